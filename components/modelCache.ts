import { readFileSync } from "node:fs";
import { join } from "node:path";

import { local } from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import { dockerClientEnvironment } from "../util/dockerClient";
import { runScript } from "./programFile";
import { madeAgain } from "./repair";
import { type DockerClientArgs, labelList } from "./server";

/** Models of this machine that are copied into the cache, and copied again when they change. */
export interface SeededModels extends DockerClientArgs {
  /**
   * A folder laid out like Immich's cache (`clip/ViT-B-32__openai/visual/model.onnx` …) with a file
   * `SHA256SUMS` as `sha256sum` writes it. It lists every file, and all are checked against it before
   * they are copied and again in the cache; links and special files are refused.
   */
  folder: string;

  /** The image the service runs; only its `sh` and `sha256sum` are used. */
  image: pulumi.Input<string>;
}

export interface ModelCacheArgs {
  /**
   * A folder of the engine's host in place of a volume, by its absolute path. It is never removed.
   *
   * @default a volume
   */
  path?: string | undefined;

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

  /** Models to copy into the cache, for a host without internet. @default none */
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
 * What is mounted at `/cache`, where the ML server keeps its models: a volume, or a folder of the host.
 *
 * @example
 * const cache = new ModelCache("attic-cache", { volumeName: "model-cache" }, { provider });
 */
export class ModelCache extends pulumi.ComponentResource {
  /** Undefined where a folder of the host is given. */
  public readonly volume: docker.Volume | undefined;

  /** Copies the models; undefined where none are given. */
  public readonly copy: local.Command | undefined;

  /** The volume's name on the engine; undefined where a folder of the host is given. */
  public readonly volumeName: pulumi.Output<string> | undefined;

  /** The folder of the host; undefined for a volume. */
  public readonly path: string | undefined;

  /** Whether the models survive `pulumi destroy`. An output, since policies see no options. */
  public readonly retained: boolean;

  /**
   * @param name the component's name; the volume has the same, copying the models is `${name}-models`
   * @param args all optional
   * @param opts `provider`: a `docker.Provider` for an engine that is not the local one
   * @throws when `path` stands beside what is for volumes, or the folder of `models` has no readable SHA256SUMS
   */
  constructor(
    name: string,
    public readonly args: ModelCacheArgs = {},
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("immich-ml:index:ModelCache", name, {}, opts);

    const { path, volumeName, retain } = args;
    if (path !== undefined && (volumeName !== undefined || retain === false)) {
      throw new Error(`${name}: path cannot be used with volumeName or retain: false`);
    }
    this.retained = retain ?? true;
    this.path = path;
    this.volume = path === undefined ? makeVolume(name, args, this) : undefined;
    this.volumeName = this.volume?.name;
    this.copy = args.models && copyModels(`${name}-models`, args.models, args.madeAgain, this);
    this.registerOutputs({
      ...(path === undefined ? { volumeName: this.volumeName } : { path }),
      retained: this.retained,
    });
  }
}

function makeVolume(name: string, args: ModelCacheArgs, parent: ModelCache): docker.Volume {
  return new docker.Volume(
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
      parent,
      // Changing a label replaces the volume: an adopted one would lose its models.
      ignoreChanges: args.madeAgain === undefined ? ["labels"] : [],
      // It has the name of the one that is gone.
      ...(args.madeAgain !== undefined && { deleteBeforeReplace: true }),
      retainOnDelete: parent.retained,
    },
  );
}

function copyModels(
  name: string,
  models: SeededModels,
  again: number | undefined,
  cache: ModelCache,
): local.Command {
  const sums = readFileSync(join(models.folder, "SHA256SUMS"), "utf8");
  return new local.Command(
    name,
    {
      create: runScript("components/placeModels.sh"),
      environment: {
        FOLDER: models.folder,
        VOLUME: cache.path ?? cache.volumeName!,
        IMAGE: models.image,
        ...(again !== undefined && { MADE_AGAIN: String(again) }),
        ...dockerClientEnvironment(models),
      },
      // Other models, or another place to put them into.
      triggers: [sums, cache.path ?? cache.volume!.id],
      addPreviousOutputInEnv: false,
    },
    { parent: cache, ignoreChanges: again === undefined ? ["environment.MADE_AGAIN"] : [] },
  );
}
