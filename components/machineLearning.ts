import type { local } from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import { accelerators, type AcceleratorName } from "../catalog/accelerators";
import type { Problem } from "../util/problem";
import { gpuChoiceProblem, runtimeEnvironment } from "../catalog/deviceIds";
import { isNamespace } from "../catalog/networks";
import { type ModelCheck, parseCheckResult, type CheckResult, swapScript } from "../verify/check";
import { acceleratorCheck } from "./acceleratorCheck";
import type { Repair } from "./repair";
import {
  acceleratorAccess,
  containerOptions,
  type ContainerOptions,
  hasOptionalMounts,
  healthcheckOf,
  networkOptions,
  optionsLabel,
  restartOptions,
} from "./containerOptions";
import {
  type CacheArgs,
  checkedEnvironment,
  labelList,
  portOf,
  type ServerArgs,
  serverEnvironment,
  stopSeconds,
} from "./server";

/** Which NVIDIA GPUs the container is given: exactly one of `count`, `ids` and `cdi`. */
export interface GpuSelection {
  /** How many, whichever they are; -1 for all. */
  count?: number | undefined;
  /** Indexes (`0`) or UUIDs (`GPU-…`), as `nvidia-smi -L` lists them. */
  ids?: string[] | undefined;
  /** Names of the Container Device Interface, such as `nvidia.com/gpu=0`; needs Docker 25. */
  cdi?: string[] | undefined;
  /**
   * Gives them by Docker's runtime `nvidia` and `NVIDIA_VISIBLE_DEVICES`, for engines that know no
   * `--gpus`. @default `docker run --gpus`
   */
  runtime?: "nvidia" | undefined;
}

/** A port that is open outside the engine. Immich's ML has no authentication. */
export interface PublishedPort {
  /** The address of the host it is bound to, such as `192.168.1.20`. */
  address: pulumi.Input<string>;
  /** @default 3003 */
  port?: pulumi.Input<number> | undefined;
}

export interface MachineLearningArgs extends ServerArgs, CacheArgs, ContainerOptions {
  /**
   * The image: its id, or a reference with a digest. A tag would replace the container on every
   * `up`, since the engine reports an id.
   */
  image: pulumi.Input<string>;

  /** The NVIDIA GPUs, for the accelerator `cuda` only. @default one, whichever it is */
  gpus?: GpuSelection | undefined;

  /** Name of the container on its engine. @default "immich_machine_learning" */
  containerName?: pulumi.Input<string> | undefined;

  /**
   * A container that serves now and is not this program's, such as docker compose's. It is stopped and
   * kept as `<name>-before-immich-ml` once the new one has computed, and comes back when the new one
   * fails its check, and when this component is removed.
   *
   * @default none
   */
  takeOver?: pulumi.Input<string> | undefined;

  /**
   * An existing network to join, such as `immich_default`; `host`, or `container:<name>`, to share the
   * network of the host or of another container, where `url` must say how Immich reaches it.
   *
   * @default the engine's own
   */
  network?: pulumi.Input<string> | undefined;

  /** @default no port is published */
  publish?: PublishedPort | undefined;

  /**
   * Where Immich's server reaches it.
   *
   * @default `networkAlias` where a network is joined, otherwise the published address
   */
  url?: pulumi.Input<string> | undefined;

  /**
   * The accelerator's optional mounts that this host has, by their path on the host.
   *
   * @default unknown: a new container gets none of them, an existing one keeps its mounts until it
   *   is replaced for another reason
   */
  optionalMounts?: string[] | undefined;

  /** What was found to be gone or broken, and is mended by this run. @default nothing */
  repair?: Repair | undefined;

  /**
   * When the engine restarts the container: `no`, `on-failure`, `on-failure:5` for five times at most,
   * `always`, `unless-stopped`.
   *
   * @default "always"
   */
  restart?: string | undefined;
}

/**
 * Immich's machine learning on one host: the container, and the command that puts it in the place of
 * the one before it and checks that the accelerator computes. What serves is only stopped once the
 * new one has computed beside it, and serves again when that one fails.
 *
 * @example
 * const service = new MachineLearning("attic", {
 *   image: image.imageId,
 *   immichVersion: "v2.7.5",
 *   accelerator: "cuda",
 *   cacheVolume: cache.volumeName,
 *   network: "immich_default",
 *   environment: { workers: 1, requestThreads: 1, modelTtl: 10 },
 * }, { provider });
 */
export class MachineLearning extends pulumi.ComponentResource {
  public readonly container: docker.Container;

  /** Runs the check after each change; undefined where it is off. */
  public readonly checkCommand: local.Command | undefined;

  /** Where Immich's server reaches it. */
  public readonly url: pulumi.Output<string>;

  public readonly containerId: pulumi.Output<string>;

  public readonly containerName: pulumi.Output<string>;

  /** The execution provider that computed; undefined without a successful check. */
  public readonly executionProvider: pulumi.Output<string | undefined>;

  /** What computed each model Immich is configured to use; undefined without a successful check. */
  public readonly models: pulumi.Output<readonly ModelCheck[] | undefined>;

  /** The check's result; undefined where it is off. */
  public readonly check: pulumi.Output<CheckResult | undefined>;

  /**
   * @param name the component's name; the container has the same; `${name}-check` limits its processes
   *   and, unless it is off, checks it
   * @param args what to run and how
   * @param opts `provider`: a `docker.Provider` for an engine that is not the local one
   * @throws when arguments are wrong: a line for each, with its value and what is allowed
   */
  constructor(
    name: string,
    public readonly args: MachineLearningArgs,
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("immich-ml:index:MachineLearning", name, {}, opts);

    const variables = checkedArguments(name, args);
    const alias = args.networkAlias ?? "immich-machine-learning";
    const port = portOf(args, variables);

    const owner = `${pulumi.getProject()}/${pulumi.getStack()}/${name}`;
    const containerName = args.containerName ?? "immich_machine_learning";
    const declared = containerArgs(args, variables, alias, port, owner);
    const container = new docker.Container(name, declared, {
      parent: this,
      // The provider would remove the one that serves before the new one is made.
      deleteBeforeReplace: false,
      // Docker ignores a limit that is removed and a health check that changes, so replace. The last one stands
      // for nothing else: no run waits here, and a container that is gone is replaced by another value of it.
      replaceOnChanges: ["memory", "memorySwap", "cpus", "healthcheck", "waitTimeout"],
      ignoreChanges: [
        ...(areMountsUnknown(args) ? ["mounts"] : []),
        ...(args.repair?.container === undefined ? ["waitTimeout"] : []),
      ],
    });

    const url = pulumi.output(args.url ?? addressOf(args, alias, port));
    const check = acceleratorCheck(
      name,
      args,
      swapScript,
      {
        IMMICH_ML_CONTAINER: container.id,
        IMMICH_ML_PIDS_LIMIT: args.hardening?.limitProcesses === false ? "-1" : "4096",
        IMMICH_ML_NAME: containerName,
        IMMICH_ML_OWNER: owner,
        IMMICH_ML_NETWORKS: networkLines(declared.networksAdvanced),
        IMMICH_ML_RESTART: args.restart ?? "always",
        IMMICH_ML_PORT: port.apply(String),
        IMMICH_ML_URL: url,
        ...(args.repair?.fault !== undefined && { IMMICH_ML_OBSERVED: args.repair.fault }),
        ...(args.repair?.isStateLost && { IMMICH_ML_STATE_LOST: "yes" }),
        ...(args.takeOver !== undefined && { IMMICH_ML_TAKE_OVER: args.takeOver }),
      },
      // A command that is replaced would give back what was taken over.
      undefined,
      {
        parent: this,
        // Of the run that saw it: later ones keep what is in the state.
        ignoreChanges: [
          ...(args.repair?.fault === undefined ? ["environment.IMMICH_ML_OBSERVED"] : []),
          ...(args.repair?.isStateLost ? [] : ["environment.IMMICH_ML_STATE_LOST"]),
        ],
      },
      "release",
    );

    this.container = container;
    this.checkCommand = check;
    this.containerId = container.id;
    this.containerName = pulumi.output(containerName);
    this.url = url;
    this.check = check.stdout.apply((stdout) =>
      args.check === "off" ? undefined : parseCheckResult(stdout),
    );
    this.executionProvider = this.check.apply((result) =>
      result?.ok ? result.provider : undefined,
    );
    this.models = this.check.apply((result) => (result?.ok ? result.models : undefined));
    this.registerOutputs({
      url: this.url,
      containerId: this.containerId,
      containerName: this.containerName,
      executionProvider: this.executionProvider,
      models: this.models,
      check: this.check,
    });
  }
}

/** Unknown is not none: an existing container keeps the mounts it has. */
function areMountsUnknown(args: MachineLearningArgs): boolean {
  return args.optionalMounts === undefined && hasOptionalMounts(args.accelerator, args.renderNode);
}

function checkedArguments(name: string, args: MachineLearningArgs): Record<string, string> {
  const { accelerator = "cpu", gpus, network, publish, url } = args;
  const isShared = typeof network === "string" && isNamespace(network);
  const gpuProblem = gpus && gpuChoiceProblem(gpus, accelerator);
  return checkedEnvironment(name, args, [
    ...(gpuProblem ? [{ key: "gpus", value: gpus, expected: gpuProblem }] : []),
    ...(network === undefined && !publish ? [unreachable] : []),
    ...(isShared && url === undefined ? [addressMissing] : []),
  ]);
}

const unreachable: Problem = {
  key: "network",
  expected: "is missing, and so is publish: Immich's server cannot reach the container",
};

const addressMissing: Problem = {
  key: "url",
  expected: "is missing: where Immich reaches it, since it has no name of its own on that network",
};

function containerArgs(
  args: MachineLearningArgs,
  variables: Record<string, string>,
  alias: pulumi.Input<string>,
  port: pulumi.Output<number>,
  owner: string,
): docker.ContainerArgs {
  const accelerator = accelerators[args.accelerator ?? "cpu"];
  const { noNewPrivileges = true, dropCapabilities = true } = args.hardening ?? {};
  const { readOnlyRoot = false } = args.hardening ?? {};
  return {
    // Without a name, so that it is made while the former one runs; swap.sh starts it and names it.
    start: false,
    mustRun: false,
    ...(args.repair?.container !== undefined && { waitTimeout: args.repair.container }),
    image: args.image,
    ...(args.command && { command: args.command }),
    envs: serverEnvironment(args, { ...variables, ...runtimeEnvironment(args.gpus) }).map(
      toEnvEntry,
    ),
    volumes: [
      args.cacheFolder === undefined
        ? { containerPath: "/cache", volumeName: args.cacheVolume }
        : { containerPath: "/cache", hostPath: args.cacheFolder },
    ],
    ...withoutEmptyLists({
      ...acceleratorAccess(args),
      deviceRequests: deviceRequests(accelerator.gpuRequest, args.gpus),
      securityOpts: [
        // `systempaths` works but is not read back: on RKNN a refresh proposes a replacement.
        ...accelerator.securityOptions,
        // Always present: the provider does not see an entry that disappears.
        `no-new-privileges:${noNewPrivileges}`,
      ],
    }),
    ...(dropCapabilities && { capabilities: { drops: ["ALL"] } }),
    ...(readOnlyRoot && { readOnly: true, tmpfs: { "/tmp": "" } }),
    ...(args.gpus?.runtime && { runtime: args.gpus.runtime }),
    ...containerOptions(args),
    ...(args.limits?.memory !== undefined && {
      memory: args.limits.memory,
      // As much again is Docker's own default; left out, reading it back would be a difference.
      memorySwap: pulumi
        .output(args.limits.memory)
        .apply((memory) => memory + (args.swap ?? memory)),
    }),
    ...(args.limits?.cpus !== undefined && {
      cpus: pulumi.output(args.limits.cpus).apply(coresAsReported),
    }),
    ...networkOptions(args.network, args.networks, alias),
    ...(args.publish && {
      ports: [{ internal: port, external: args.publish.port ?? 3003, ip: args.publish.address }],
    }),
    ...restartOptions(args.restart ?? "always"),
    stopTimeout: stopSeconds,
    // Without it the provider kills the container that it replaces.
    destroyGraceSeconds: stopSeconds,
    healthcheck: healthcheckOf(args, variables, args.restart ?? "always"),
    labels: labelList(
      pulumi.output(args.labels ?? {}).apply((labels) => ({
        "org.immich-ml.project": pulumi.getProject(),
        "org.immich-ml.stack": pulumi.getStack(),
        "org.immich-ml.host": owner,
        ...optionsLabel(args),
        ...labels,
      })),
    ),
  };
}

/** The networks as swap.sh reads them: a line each, the name and the aliases. */
function networkLines(networks: docker.ContainerArgs["networksAdvanced"]): pulumi.Output<string> {
  return pulumi
    .output(networks)
    .apply((all = [{ name: "bridge" }]) =>
      all.map(({ name, aliases }) => `${name} ${(aliases ?? []).join(",")}`).join("\n"),
    );
}

/** Pulumi keeps a list secret as a whole: one secret variable hides changes of the others, too. */
function toEnvEntry([variable, value]: [string, pulumi.Input<string>]): pulumi.Output<string> {
  return pulumi.interpolate`${variable}=${value}`;
}

/** An empty list differs from an absent one, which would be an update in every run. */
function withoutEmptyLists<T extends Record<string, unknown[]>>(lists: T): Partial<T> {
  return Object.fromEntries(
    Object.entries(lists).filter(([, list]) => list.length > 0),
  ) as Partial<T>;
}

/** The provider reports whole numbers as `1.0`; any other spelling would be a difference. */
function coresAsReported(cores: number): string {
  return Number.isInteger(cores) ? cores.toFixed(1) : String(cores);
}

function deviceRequests(
  standard: (typeof accelerators)[AcceleratorName]["gpuRequest"],
  gpus: GpuSelection | undefined,
) {
  if (!standard || gpus?.runtime) return [];
  if (gpus?.cdi) return [{ driver: "cdi", deviceIds: gpus.cdi }];
  const capabilities = [...standard.capabilities];
  if (gpus?.ids) return [{ driver: standard.driver, deviceIds: gpus.ids, capabilities }];
  return [{ driver: standard.driver, count: gpus?.count ?? standard.count, capabilities }];
}

function addressOf(
  args: MachineLearningArgs,
  alias: pulumi.Input<string>,
  port: pulumi.Input<number>,
): pulumi.Output<string> {
  if (args.network !== undefined || !args.publish)
    return pulumi.interpolate`http://${alias}:${port}`;
  return pulumi
    .all([args.publish.address, args.publish.port ?? 3003])
    .apply(([address, published]) =>
      address.includes(":") ? `http://[${address}]:${published}` : `http://${address}:${published}`,
    );
}
