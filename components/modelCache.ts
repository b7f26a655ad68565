import { readFileSync } from "node:fs";
import { join } from "node:path";

import { local } from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import { dockerClientEnvironment } from "../util/dockerClient";

/** Models of this machine that are copied into the volume, and copied again when they change. */
export interface SeededModels {
  /**
   * A folder laid out as Immich's cache (`clip/ViT-B-32__openai/visual/model.onnx` …) with a file
   * `SHA256SUMS` as `sha256sum` writes it: every file is checked against it in the volume.
   */
  folder: string;
  /** The image the service runs; only its `sh` and `sha256sum` are used. */
  image: pulumi.Input<string>;
  /** The engine's address for the docker client that copies. @default the client's own */
  dockerHost?: pulumi.Input<string>;
  /** For an engine at `tcp://`: the folder with ca.pem, cert.pem and key.pem. */
  tls?: pulumi.Input<string> | undefined;
}

export interface ModelCacheArgs {
  /**
   * The volume's name on the engine. An existing volume of that name, such as the one of Immich's
   * compose file, is adopted with its models.
   *
   * @default "model-cache"
   */
  volumeName?: pulumi.Input<string> | undefined;

  /**
   * Whether the volume and the models in it stay when the stack is destroyed. They are several
   * gigabytes of downloads, and the next `up` adopts them again. (With the resource option `protect`
   * beside it, the destruction would be refused and nothing more would be kept.)
   *
   * @default true
   */
  retain?: boolean | undefined;

  /** Models put into the volume beforehand, for a host without internet. @default none */
  models?: SeededModels | undefined;

  /** Marks put on the volume, by name. Those of an adopted volume stay as they are. */
  labels?: pulumi.Input<Record<string, pulumi.Input<string>>> | undefined;
}

/**
 * The volume mounted at `/cache`, where the ML server keeps its models.
 *
 * @example
 * const cache = new ModelCache("attic-cache", { volumeName: "model-cache" }, { provider });
 */
export class ModelCache extends pulumi.ComponentResource {
  /** The volume's name on the engine. */
  public readonly volumeName: pulumi.Output<string>;

  /** Whether the volume stays when the stack is destroyed; policies cannot see it in another way. */
  public readonly retained: boolean;

  /**
   * @param name the component's name; the volume has the same.
   * @param args all optional.
   * @param opts give a `docker.Provider` as `provider` for an engine that is not the local one.
   */
  constructor(name: string, args: ModelCacheArgs = {}, opts?: pulumi.ComponentResourceOptions) {
    super("immich-ml:index:ModelCache", name, {}, opts);

    this.retained = args.retain ?? true;
    const volume = new docker.Volume(
      name,
      {
        name: args.volumeName ?? "model-cache",
        driver: "local",
        labels: volumeLabels(args.labels),
      },
      {
        parent: this,
        // The engine keeps an adopted volume's own labels, and they are not worth its models.
        ignoreChanges: ["labels"],
        retainOnDelete: this.retained,
      },
    );

    if (args.models) placeModels(name, args.models, volume, this);

    this.volumeName = volume.name;
    this.registerOutputs({ volumeName: this.volumeName, retained: this.retained });
  }
}

const placingScript = readFileSync(join(__dirname, "placeModels.sh"), "utf8");

function placeModels(
  name: string,
  { folder, image, dockerHost, tls }: SeededModels,
  volume: docker.Volume,
  parent: ModelCache,
): void {
  const sums = readFileSync(join(folder, "SHA256SUMS"), "utf8");
  new local.Command(
    `${name}-models`,
    {
      create: placingScript,
      environment: {
        FOLDER: folder,
        VOLUME: volume.name,
        IMAGE: image,
        ...(dockerHost !== undefined && dockerClientEnvironment({ dockerHost, tls })),
      },
      // Other models, or another volume to put them into.
      triggers: [sums, volume.id],
      addPreviousOutputInEnv: false,
    },
    { parent },
  );
}

function volumeLabels(labels: ModelCacheArgs["labels"]) {
  return pulumi.output(labels ?? {}).apply((byName) =>
    Object.entries(byName)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([label, value]) => ({ label, value })),
  );
}
