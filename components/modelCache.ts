import { readFileSync } from "node:fs";
import { join } from "node:path";

import { local } from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import { dockerClientEnvironment } from "../util/dockerClient";
import { runScript } from "./programFile";
import { madeAgain } from "./repair";
import { type DockerClientArgs, labelList } from "./server";

/** Models of this machine that are copied into the volume, and copied again when they change. */
export interface SeededModels extends DockerClientArgs {
  /**
   * A folder laid out like Immich's cache (`clip/ViT-B-32__openai/visual/model.onnx` …) with a file
   * `SHA256SUMS` as `sha256sum` writes it. It lists every file, and all are checked against it before
   * they are copied and again in the volume; links and special files are refused.
   */
  folder: string;

  /** The image the service runs; only its `sh` and `sha256sum` are used. */
  image: pulumi.Input<string>;
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
   * Whether `pulumi destroy` leaves the volume, several gigabytes of downloads, on the engine; the
   * next `up` adopts it again. (The resource option `protect` would refuse the whole destroy.)
   *
   * @default true
   */
  retain?: boolean | undefined;

  /** Models to copy into the volume, for a host without internet. @default none */
  models?: SeededModels | undefined;

  /**
   * Another number makes a volume that was deleted by hand again, with its models.
   *
   * @default the number in the state
   */
  madeAgain?: number | undefined;

  /** Labels of the volume, by name. An adopted volume keeps its own. @default none */
  labels?: pulumi.Input<Record<string, pulumi.Input<string>>> | undefined;
}

/**
 * The volume mounted at `/cache`, where the ML server keeps its models.
 *
 * @example
 * const cache = new ModelCache("attic-cache", { volumeName: "model-cache" }, { provider });
 */
export class ModelCache extends pulumi.ComponentResource {
  public readonly volume: docker.Volume;

  /** Copies the models; undefined where none are given. */
  public readonly copy: local.Command | undefined;

  /** The volume's name on the engine. */
  public readonly volumeName: pulumi.Output<string>;

  /** Whether the volume survives `pulumi destroy`. An output, since policies see no options. */
  public readonly retained: boolean;

  /**
   * @param name the component's name; the volume has the same, copying the models is `${name}-models`
   * @param args all optional
   * @param opts `provider`: a `docker.Provider` for an engine that is not the local one
   * @throws when the folder of `models` has no readable SHA256SUMS
   */
  constructor(
    name: string,
    public readonly args: ModelCacheArgs = {},
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("immich-ml:index:ModelCache", name, {}, opts);

    this.retained = args.retain ?? true;
    this.volume = new docker.Volume(
      name,
      {
        name: args.volumeName ?? "model-cache",
        driver: "local",
        labels: labelList(
          pulumi.output(args.labels ?? {}).apply((labels) => ({
            ...labels,
            ...(args.madeAgain !== undefined && { [madeAgain]: String(args.madeAgain) }),
          })),
        ),
      },
      {
        parent: this,
        // Changing a label replaces the volume: an adopted one would lose its models.
        ignoreChanges: args.madeAgain === undefined ? ["labels"] : [],
        // It has the name of the one that is gone.
        ...(args.madeAgain !== undefined && { deleteBeforeReplace: true }),
        retainOnDelete: this.retained,
      },
    );
    this.copy = copyModels(`${name}-models`, args, this.volume, this);

    this.volumeName = this.volume.name;
    this.registerOutputs({ volumeName: this.volumeName, retained: this.retained });
  }
}

function copyModels(
  name: string,
  { models, madeAgain: again }: ModelCacheArgs,
  volume: docker.Volume,
  parent: ModelCache,
): local.Command | undefined {
  if (!models) return undefined;
  const sums = readFileSync(join(models.folder, "SHA256SUMS"), "utf8");
  return new local.Command(
    name,
    {
      create: runScript("components/placeModels.sh"),
      environment: {
        FOLDER: models.folder,
        VOLUME: volume.name,
        IMAGE: models.image,
        ...(again !== undefined && { MADE_AGAIN: String(again) }),
        ...dockerClientEnvironment(models),
      },
      // Other models, or another volume to put them into.
      triggers: [sums, volume.id],
      addPreviousOutputInEnv: false,
    },
    { parent, ignoreChanges: again === undefined ? ["environment.MADE_AGAIN"] : [] },
  );
}
