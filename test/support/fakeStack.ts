import type { ImmichDatabase } from "../../demo/immichDatabase";
import { freePort } from "../../demo/postgres";
import { fakes } from "./docker";

export type StackConfig = Record<string, unknown> & {
  readonly immich: { readonly version: string; readonly database: object };
  readonly hosts: readonly Record<string, unknown>[];
};

/**
 * The stack file of one host, `attic`, with the image of a GTX 750 Ti on the CPU and Immich's database,
 * all of them fakes.
 *
 * @param host further or other fields of the host
 */
export async function fakeStack(
  { host: address, port, name, user }: ImmichDatabase,
  containerName: string,
  host: Readonly<Record<string, unknown>> = {},
): Promise<StackConfig> {
  const images = await fakes();
  return {
    immich: { version: "v2.7.5", database: { host: address, port, name, user } },
    build: { pythonImage: images.python310, immichImage: images.immichMachineLearning },
    preset: "legacy-2gb",
    // Whatever a test did, the row of before comes back.
    onDestroy: "restoreModel",
    hosts: [
      {
        name: "attic",
        accelerator: "cpu",
        imageVariant: "kepler-maxwell",
        containerName,
        cacheVolume: `${containerName}-cache`,
        keepCache: false,
        publish: { address: "127.0.0.1", port: await freePort() },
        ...host,
      },
    ],
  };
}
