import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";

import { createImmichDatabase, type ImmichDatabase } from "../../../demo/immichDatabase";
import { freePort } from "../../../demo/postgres";
import { fakes, startedDocker, testName } from "../../support/docker";
import { openEngineStack, type EngineStack } from "../../support/engineStack";
import { startTestPostgres } from "../../support/postgres";

/** A small world with a stack for it: a container that is healthy at once, and Immich's database. */
export interface World {
  readonly stack: EngineStack;
  readonly database: ImmichDatabase;
  /** Removes everything, what the stack made too. */
  remove(): Promise<void>;
}

export async function openEnvironment(): Promise<World> {
  const docker = await startedDocker();
  const { python310 } = await fakes();
  const name = testName("first-release");
  const context = await mkdtemp(path.join(tmpdir(), "immich-ml-test-first-release-"));
  await writeFile(path.join(context, "healthcheck.py"), "");
  const lines = [
    `FROM ${python310}`,
    "COPY healthcheck.py .",
    "STOPSIGNAL SIGKILL",
    'CMD ["sleep", "86400"]',
  ];
  await writeFile(path.join(context, "Dockerfile"), lines.join("\n"));
  await promisify(execFile)("docker", ["build", "--quiet", "--tag", `${name}:1`, context]);
  await rm(context, { recursive: true });

  const postgres = await startTestPostgres();
  const database = await createImmichDatabase(postgres);
  const { host, port, user } = database;
  const stack = await openEngineStack({
    name: "first-release",
    config: {
      immich: { version: "v2.7.5", database: { host, port, name: database.name, user } },
      preset: "legacy-2gb",
      hosts: [
        {
          name: "attic",
          accelerator: "cpu",
          image: `${name}:1`,
          containerName: name,
          cacheVolume: name,
          keepCache: false,
          publish: { address: "127.0.0.1", port: await freePort() },
          environment: { workers: 1, requestThreads: 1, modelTtl: 10 },
          // This image has no ONNX Runtime; the tests here check the state only.
          check: "warn",
        },
      ],
    },
    secrets: { databasePassword: database.password },
  });
  return {
    stack,
    database,
    remove: async () => {
      await stack.dispose();
      await docker
        .getImage(`${name}:1`)
        .remove({ force: true })
        .catch(() => undefined);
      await postgres.remove();
    },
  };
}
