import { local } from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import { accelerators, type AcceleratorName } from "../catalogue/accelerators";
import { dockerClientEnvironment } from "../catalogue/dockerClient";
import {
  type EnvironmentValue,
  isSecretVariable,
  renderEnvironment,
  servicePort,
} from "../catalogue/environment";
import { parseImmichVersion } from "../catalogue/immichVersion";
import type { ModelSelection } from "../immich/modelSelection";
import {
  inferenceProgram,
  type ModelProof,
  modelsToProve,
  parseProof,
  type Proof,
  proofCommand,
  type ProofMode,
  waitingScript,
} from "../proof/proof";

/** Which NVIDIA GPUs the container is given. Exactly one of the fields. */
export interface GpuSelection {
  /** How many, whichever they are; -1 for all. */
  count?: number | undefined;
  /** Indexes (`0`) or UUIDs (`GPU-…`), as `nvidia-smi -L` shows them. */
  ids?: string[] | undefined;
  /** Names of the Container Device Interface, such as `nvidia.com/gpu=0`; needs Docker 25. */
  cdi?: string[] | undefined;
}

/** The port made reachable from outside the engine. Immich's ML has no authentication. */
export interface PublishedPort {
  /** The address of the host it is bound to, such as `192.168.1.20`. */
  address: pulumi.Input<string>;
  /** @default 3003 */
  port?: pulumi.Input<number> | undefined;
}

export interface ResourceLimits {
  /** Main memory in MiB. @default no limit */
  memory?: pulumi.Input<number> | undefined;
  /** Processor cores, such as `1.5`. @default no limit */
  cpus?: pulumi.Input<number> | undefined;
}

/** What is withheld from the container; each is given back by its name. */
export interface Hardening {
  /** Forbids gaining privileges by set-user-id programs. @default true */
  noNewPrivileges?: boolean | undefined;
  /** Drops all of root's capabilities. @default true */
  dropCapabilities?: boolean | undefined;
  /** Makes the image's file system unwritable; `/tmp` is kept in memory. @default false */
  readOnlyRoot?: boolean | undefined;
  /** Limits the log to three files of 10 MB. @default true */
  limitLog?: boolean | undefined;
  /** Limits processes and threads to 4096, far above what the server has. @default true */
  limitProcesses?: boolean | undefined;
}

export interface MachineLearningArgs {
  /**
   * The image: its id, or a reference with a digest. A tag alone would be compared with the id the
   * engine reports and replace the container on every `up`.
   */
  image: pulumi.Input<string>;

  /** Immich's version, such as `v2.7.5`. It decides which environment settings there are. */
  immichVersion: string;

  /** What the models are computed on. @default "cpu" */
  accelerator?: AcceleratorName | undefined;

  /** The NVIDIA GPUs, for the accelerator `cuda` only. @default one, whichever it is */
  gpus?: GpuSelection | undefined;

  /** Name of the container on its engine. @default "immich_machine_learning" */
  containerName?: pulumi.Input<string> | undefined;

  /** Name of the volume mounted at `/cache`. */
  cacheVolume: pulumi.Input<string>;

  /**
   * Settings of the ML server, by the names of `catalogue/environment.ts` (`modelTtl`) or the
   * variables' own names. All are checked against the Immich version.
   */
  environment?: Record<string, EnvironmentValue> | undefined;

  /**
   * Variables as read from `.env` files, under their own names; `environment` overrides them. All
   * but the known harmless ones are kept secret.
   */
  environmentFile?: Record<string, pulumi.Input<string>> | undefined;

  /** An existing network to join, such as `immich_default`. @default the engine's own */
  network?: pulumi.Input<string> | undefined;

  /** The name the container answers to in `network`. @default "immich-machine-learning" */
  networkAlias?: pulumi.Input<string> | undefined;

  /** @default no port is published */
  publish?: PublishedPort | undefined;

  /**
   * Where Immich's server reaches it.
   *
   * @default `networkAlias` where a network is joined, otherwise the published address
   */
  url?: pulumi.Input<string> | undefined;

  /** The accelerator's optional mounts that this host has, by their path on the host. */
  optionalMounts?: string[] | undefined;

  /** When the engine starts the container again. @default "always" */
  restart?: pulumi.Input<"no" | "on-failure" | "always" | "unless-stopped"> | undefined;

  limits?: ResourceLimits | undefined;

  hardening?: Hardening | undefined;

  /** Labels of the container, by name. */
  labels?: pulumi.Input<Record<string, pulumi.Input<string>>> | undefined;

  /** Whether a failed proof of the accelerator fails the deployment. @default "enforce" */
  proof?: ProofMode | undefined;

  /** The models Immich is told to use, which the proof tries too. @default none */
  models?: ModelSelection | undefined;

  /**
   * Seconds the proof waits for models that the server has to download first; 0 for only those that
   * are in the cache. Models that are missing after that are named, and do not fail the proof.
   *
   * @default 120
   */
  modelDownload?: pulumi.Input<number> | undefined;

  /** Seconds the container has to become healthy. @default 600 */
  healthTimeout?: pulumi.Input<number> | undefined;

  /** The engine's address for the docker client that runs the proof. @default the client's own */
  dockerHost?: pulumi.Input<string> | undefined;

  /** For an engine at `tcp://`: the folder with ca.pem, cert.pem and key.pem. @default none */
  tls?: pulumi.Input<string> | undefined;
}

/**
 * Immich's machine learning on one host: the container, and after every change of it the proof that
 * the accelerator computes.
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
  /** Where Immich's server reaches it. */
  public readonly url: pulumi.Output<string>;

  public readonly containerId: pulumi.Output<string>;

  public readonly containerName: pulumi.Output<string>;

  /** The execution provider that really computed; nothing while there is no successful proof. */
  public readonly executionProvider: pulumi.Output<string | undefined>;

  /** What computed each model Immich is told to use; nothing while there is no successful proof. */
  public readonly models: pulumi.Output<readonly ModelProof[] | undefined>;

  /** What the proof found; nothing where it is off. */
  public readonly proof: pulumi.Output<Proof | undefined>;

  /**
   * @param name the component's name; the container has the same, the proof `${name}-proof`.
   * @param args what to run and how.
   * @param opts give a `docker.Provider` as `provider` for an engine that is not the local one.
   * @throws when the arguments contradict each other; every reason is in the message.
   */
  constructor(name: string, args: MachineLearningArgs, opts?: pulumi.ComponentResourceOptions) {
    super("immich-ml:index:MachineLearning", name, {}, opts);

    const accelerator = accelerators[args.accelerator ?? "cpu"];
    const environment = checkedEnvironment(name, args);
    const { noNewPrivileges = true, dropCapabilities = true } = args.hardening ?? {};
    const { readOnlyRoot = false, limitLog = true } = args.hardening ?? {};
    const securityOptions = [
      // `systempaths` takes effect but is not reported back: on RKNN a refresh wants a replacement.
      ...accelerator.securityOptions,
      // Said either way: leaving it out later would not be seen as a change.
      `no-new-privileges:${noNewPrivileges}`,
    ];
    const port = pulumi
      .output(args.environmentFile ?? {})
      .apply((fromFile) => servicePort({ ...fromFile, ...environment }));
    const alias = args.networkAlias ?? "immich-machine-learning";

    const container = new docker.Container(
      name,
      {
        name: args.containerName ?? "immich_machine_learning",
        image: args.image,
        envs: environmentList(args.environmentFile, {
          ...accelerator.environment,
          ...environment,
        }),
        volumes: [{ containerPath: "/cache", volumeName: args.cacheVolume }],
        ...withoutEmptyLists({
          mounts: accelerator.mounts
            .filter((mount) => !mount.optional || args.optionalMounts?.includes(mount.hostPath))
            .map((mount) => ({
              type: "bind",
              source: mount.hostPath,
              target: mount.containerPath,
              readOnly: mount.readOnly,
            })),
          devices: accelerator.devices.map((path) => ({
            hostPath: path,
            containerPath: path,
            permissions: "rwm",
          })),
          deviceCgroupRules: [...accelerator.deviceCgroupRules],
          deviceRequests: deviceRequests(accelerator.gpuRequest, args.gpus),
          groupAdds: [...accelerator.groups],
          securityOpts: securityOptions,
        }),
        ...(dropCapabilities && { capabilities: { drops: ["ALL"] } }),
        ...(readOnlyRoot && { readOnly: true, tmpfs: { "/tmp": "" } }),
        ...(limitLog && {
          logDriver: "json-file",
          logOpts: { "max-size": "10m", "max-file": "3" },
        }),
        ...(args.limits?.memory !== undefined && {
          memory: args.limits.memory,
          // The engine's own standard, written down because it is reported back as a difference.
          memorySwap: pulumi.output(args.limits.memory).apply((memory) => 2 * memory),
        }),
        ...(args.limits?.cpus !== undefined && {
          cpus: pulumi.output(args.limits.cpus).apply(coresAsReported),
        }),
        ...(args.network !== undefined && {
          networksAdvanced: [{ name: args.network, aliases: [alias] }],
        }),
        ...(args.publish && {
          ports: [
            { internal: port, external: args.publish.port ?? 3003, ip: args.publish.address },
          ],
        }),
        restart: args.restart ?? "always",
        healthcheck: {
          // The image's own check; only its intervals are ours.
          tests: ["CMD", "python3", "healthcheck.py"],
          interval: "10s",
          timeout: "10s",
          retries: 3,
          startPeriod: startPeriod(environment),
        },
        labels: labelList(args.labels),
      },
      {
        parent: this,
        // Two containers cannot have one name, nor one published port.
        deleteBeforeReplace: true,
        // The engine takes a limit away from a running container only in words.
        replaceOnChanges: ["memory", "memorySwap", "cpus"],
      },
    );

    const proof = proofOf(name, args, accelerator.executionProviders, container, this);
    limitProcesses(name, args, container, this, proof);

    this.containerId = container.id;
    this.containerName = container.name;
    this.url = pulumi.output(args.url ?? addressOf(args, alias, port));
    this.proof = pulumi.output(proof?.stdout.apply(parseProof));
    this.executionProvider = this.proof.apply((result) =>
      result?.ok ? result.provider : undefined,
    );
    this.models = this.proof.apply((result) => (result?.ok ? result.models : undefined));
    this.registerOutputs({
      url: this.url,
      containerId: this.containerId,
      containerName: this.containerName,
      executionProvider: this.executionProvider,
      models: this.models,
      proof: this.proof,
    });
  }
}

function checkedEnvironment(name: string, args: MachineLearningArgs): Record<string, string> {
  const problems: string[] = [];
  const version = parseImmichVersion(args.immichVersion);
  const acceleratorName = args.accelerator ?? "cpu";
  if (!version) {
    problems.push(`[immichVersion] ${args.immichVersion} is not a version such as v2.7.5`);
  }
  const rendered = version && renderEnvironment(args.environment ?? {}, version, acceleratorName);
  for (const problem of rendered?.problems ?? []) {
    problems.push(`[environment] ${problem.name}: ${problem.message}`);
  }
  if (args.gpus && acceleratorName !== "cuda") {
    problems.push(`[gpus] are NVIDIA's, but the accelerator is ${acceleratorName}`);
  }
  if (args.gpus && Object.values(args.gpus).filter((value) => value !== undefined).length !== 1) {
    problems.push("[gpus] must have exactly one of count, ids, cdi");
  }
  if (args.network === undefined && !args.publish) {
    problems.push(
      "[network] or [publish] must be given, otherwise Immich's server cannot reach the container",
    );
  }
  if (problems.length > 0) throw new Error(`${name}: ${problems.join("; ")}`);
  return rendered?.variables ?? {};
}

/** An empty list in place of an absent one is a difference to the engine, and a phantom update. */
function withoutEmptyLists<T extends Record<string, unknown[]>>(lists: T): Partial<T> {
  return Object.fromEntries(
    Object.entries(lists).filter(([, list]) => list.length > 0),
  ) as Partial<T>;
}

/** The provider reports whole numbers as `1.0`, and any other spelling is a difference to it. */
function coresAsReported(cores: number): string {
  return Number.isInteger(cores) ? cores.toFixed(1) : String(cores);
}

/** The engine keeps a list secret as a whole: one secret variable hides the others' changes too. */
function environmentList(
  file: MachineLearningArgs["environmentFile"],
  environment: Record<string, string>,
): pulumi.Input<string>[] {
  return Object.entries({ ...file, ...environment })
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([variable, value]) => {
      const line = pulumi.interpolate`${variable}=${value}`;
      return isSecretVariable(variable) ? pulumi.secret(line) : line;
    });
}

/**
 * Failed checks do not count during it. The server answers only after it has loaded, and where they
 * are missing downloaded, the models it is told to preload.
 */
function startPeriod(environment: Record<string, string>): string {
  const preloads = Object.keys(environment).some((variable) => variable.includes("_PRELOAD_"));
  return preloads ? "30m0s" : "2m0s";
}

function deviceRequests(
  standard: (typeof accelerators)[AcceleratorName]["gpuRequest"],
  gpus: GpuSelection | undefined,
) {
  if (!standard) return [];
  if (gpus?.cdi) return [{ driver: "cdi", deviceIds: gpus.cdi }];
  const capabilities = [...standard.capabilities];
  if (gpus?.ids) return [{ driver: standard.driver, deviceIds: gpus.ids, capabilities }];
  return [{ driver: standard.driver, count: gpus?.count ?? standard.count, capabilities }];
}

function labelList(labels: MachineLearningArgs["labels"]) {
  return pulumi.output(labels ?? {}).apply((byName) =>
    Object.entries(byName)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([label, value]) => ({ label, value })),
  );
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

/**
 * The Docker provider has no setting for it, so the docker client sets it after each creation. Only
 * after the proof: a container that restarts again and again cannot be changed, and that tells why.
 */
function limitProcesses(
  name: string,
  args: MachineLearningArgs,
  container: docker.Container,
  parent: pulumi.Resource,
  proof: local.Command | undefined,
): void {
  if (args.hardening?.limitProcesses === false) return;
  const { dockerHost, tls } = args;
  new local.Command(
    `${name}-processes`,
    {
      create: 'docker update --pids-limit 4096 "$CONTAINER" >/dev/null',
      delete: 'docker update --pids-limit -1 "$CONTAINER" >/dev/null 2>&1 || true',
      environment: {
        CONTAINER: container.id,
        ...(dockerHost !== undefined && dockerClientEnvironment({ dockerHost, tls })),
      },
      triggers: [container.id],
      addPreviousOutputInEnv: false,
    },
    { parent, dependsOn: proof ? [proof] : [] },
  );
}

function proofOf(
  name: string,
  args: MachineLearningArgs,
  expected: readonly string[],
  container: docker.Container,
  parent: pulumi.Resource,
): local.Command | undefined {
  const mode = args.proof ?? "enforce";
  if (mode === "off") return undefined;
  const models = modelsToProve(args.models, parseImmichVersion(args.immichVersion)!);
  return new local.Command(
    `${name}-proof`,
    {
      create: proofCommand,
      stdin: inferenceProgram(),
      environment: {
        IMMICH_ML_PROOF: waitingScript(),
        IMMICH_ML_HOST: name,
        IMMICH_ML_CONTAINER: container.id,
        IMMICH_ML_EXPECTED: expected.join(","),
        IMMICH_ML_MODE: mode,
        IMMICH_ML_TIMEOUT: pulumi.output(args.healthTimeout ?? 600).apply(String),
        ...(models.length > 0 && {
          IMMICH_ML_MODELS: models.join(","),
          IMMICH_ML_DOWNLOAD: pulumi.output(args.modelDownload ?? 120).apply(String),
        }),
        ...(args.dockerHost !== undefined &&
          dockerClientEnvironment({ dockerHost: args.dockerHost, tls: args.tls })),
      },
      triggers: [container.id],
      // Progress is shown; the result on standard output is shown by the stack's outputs.
      logging: local.Logging.Stderr,
      addPreviousOutputInEnv: false,
    },
    { parent },
  );
}
