import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import { LegacyImage, MachineLearning, ModelCache } from "../../components";
import { openEngineStack, type EngineStack } from "./engineStack";

export interface SmallStackOptions {
  readonly name: string;
  /** The engine's address. */
  readonly endpoint: string;
  /** A build context, as `smallContext` makes it. */
  readonly contextPath: string;
  /** What it is built on. */
  readonly baseImage: string;
  readonly containerName: string;
}

/**
 * A stack of the components that live on a Docker engine, as index.ts wires them, with an image that
 * is built in seconds and without a network.
 */
export function openSmallStack(options: SmallStackOptions): Promise<EngineStack> {
  const { endpoint, contextPath, baseImage, containerName } = options;
  const program = () => {
    const provider = new docker.Provider("engine", {
      host: endpoint,
      disableDockerDaemonCheck: true,
    });
    const labels = {
      "org.immich-ml.project": pulumi.getProject(),
      "org.immich-ml.stack": pulumi.getStack(),
    };
    const image = new LegacyImage(
      "attic-image",
      {
        gpuFamily: "kepler-maxwell",
        immichVersion: "v2.7.5",
        pythonImage: baseImage,
        contextPath,
      },
      { provider },
    );
    const cache = new ModelCache(
      "attic-cache",
      { volumeName: `${containerName}-cache`, retain: false, labels },
      { provider },
    );
    const service = new MachineLearning(
      "attic",
      {
        image: image.imageId,
        immichVersion: "v2.7.5",
        containerName,
        cacheVolume: cache.volumeName,
        publish: { address: "127.0.0.1" },
        dockerHost: endpoint,
        labels,
      },
      { provider },
    );
    return Promise.resolve({ provider: service.executionProvider, image: image.imageId });
  };
  return openEngineStack({ name: options.name, program });
}
