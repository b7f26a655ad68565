import { createHash } from "node:crypto";

import type { local } from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import { swarmProblems } from "../catalog/swarm";
import { entriesByName } from "../util/entriesByName";
import { type ModelCheck, parseCheckResults, type CheckResult } from "../verify/check";
import { acceleratorCheck } from "./acceleratorCheck";
import {
  acceleratorMounts,
  checkedEnvironment,
  healthcheck,
  healthTest,
  labelList,
  limitedLog,
  portOf,
  type ResourceLimits,
  type ServerArgs,
  serverEnvironment,
  startMinutes,
  stopSeconds,
} from "./server";

export interface MachineLearningServiceArgs extends ServerArgs {
  /**
   * The image, by a reference with a digest that every node can pull: `DistributedImage` makes one
   * of an image that only one node has.
   */
  image: pulumi.Input<string>;

  /** Name of the service; its tasks append a number. @default "immich_machine_learning" */
  serviceName?: pulumi.Input<string> | undefined;

  /** Tasks that share the work. @default 2 */
  replicas?: pulumi.Input<number> | undefined;

  /**
   * Labels a node must have to run a task, by name, as `docker node update --label-add` sets them.
   *
   * @default none
   */
  nodeLabels?: Record<string, string> | undefined;

  /**
   * What each task takes of the generic resources that nodes offer (`node-generic-resources` in an
   * engine's daemon.json), by kind, such as `{ "NVIDIA-GPU": 1 }`. This is how a task gets a GPU.
   *
   * @default none
   */
  genericResources?: Record<string, number> | undefined;

  /** What a node must have free to run a task. @default nothing */
  reservations?: ResourceLimits | undefined;

  /**
   * Whether an update starts a new task before it stops the old one (`start-first`: never fewer
   * healthy tasks than `replicas`, but room for one more), or after.
   *
   * @default "start-first"
   */
  updateOrder?: pulumi.Input<"start-first" | "stop-first"> | undefined;

  /**
   * `vip`: one address that the kernel balances between the tasks; `dnsrr`: the name resolves to the
   * tasks' own addresses in turn.
   *
   * @default "vip"
   */
  endpointMode?: "vip" | "dnsrr" | undefined;

  /**
   * Id of an existing overlay network to join.
   *
   * @default one is made under the service's name, which containers outside the swarm can join
   */
  networkId?: pulumi.Input<string> | undefined;

  /** A port opened on every address of every node. @default none */
  publishedPort?: pulumi.Input<number> | undefined;

  /** When another task replaces one that ended. @default "always" */
  restart?: pulumi.Input<"no" | "on-failure" | "always"> | undefined;
}

/**
 * Immich's machine learning as a service of a Docker Swarm: several tasks behind one address. A
 * change is rolled out task by task, and the swarm rolls it back when a new task does not become
 * healthy; after every change the check that the tasks compute.
 *
 * @example
 * const service = new MachineLearningService("rack", {
 *   image: distributed.reference,
 *   immichVersion: "v2.7.5",
 *   cacheVolume: "immich-ml-rack-cache",
 *   replicas: 3,
 * }, { provider });
 */
export class MachineLearningService extends pulumi.ComponentResource {
  public readonly service: docker.Service;

  /** The overlay network; undefined where an existing one is joined. */
  public readonly network: docker.Network | undefined;

  /** Waits for the roll-out and runs the check after each change. */
  public readonly checkCommand: local.Command;

  /** Where Immich's server reaches it, from within the service's network. */
  public readonly url: pulumi.Output<string>;

  public readonly serviceName: pulumi.Output<string>;

  /** The execution provider that computed in every task checked; undefined without such a check. */
  public readonly executionProvider: pulumi.Output<string | undefined>;

  /** What computed each model in the first task; undefined without a successful check. */
  public readonly models: pulumi.Output<readonly ModelCheck[] | undefined>;

  /** The check's result for each task on the engine that is reached. */
  public readonly checks: pulumi.Output<CheckResult[]>;

  /**
   * @param name the component's name; the service has the same, its network is `${name}-network`, the
   *   check `${name}-check`
   * @param args what to run and how
   * @param opts `provider`: a `docker.Provider` of a manager of the swarm
   * @throws when arguments are wrong: a line for each, with its value and what is allowed
   */
  constructor(
    name: string,
    public readonly args: MachineLearningServiceArgs,
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("immich-ml:index:MachineLearningService", name, {}, opts);

    const variables = checkedArguments(name, args);
    const alias = args.networkAlias ?? "immich-machine-learning";
    const port = portOf(args, variables);

    this.network = args.networkId === undefined ? makeNetwork(name, args, this) : undefined;
    // By id, which is what the provider reads back; a name replaces the service each time.
    const network = { id: args.networkId ?? this.network!.id, aliases: [alias] };
    const declared = serviceArgs(args, variables, network, port);
    const service = new docker.Service(name, declared, {
      parent: this,
      // The engine looks the platforms up when it creates a service, and reports them from then on.
      ignoreChanges: ["taskSpec.placement.platforms"],
      // After a change in place the name resolves to nothing (seen with Docker 20.10).
      replaceOnChanges: ["endpointSpec.mode"],
      // Two services cannot have one name.
      deleteBeforeReplace: true,
    });

    this.url = pulumi.interpolate`http://${alias}:${port}`;
    const check = acceleratorCheck(
      name,
      args,
      "verify/rollout.sh",
      { IMMICH_ML_SERVICE: service.name, IMMICH_ML_ADDRESS: this.url },
      // A service keeps its id through changes, so the declaration triggers the check.
      [service.id, pulumi.output(declared).apply((spec) => fingerprint(JSON.stringify(spec)))],
      { parent: this },
    );

    this.service = service;
    this.checkCommand = check;
    this.serviceName = service.name;
    this.checks = check.stdout.apply(parseCheckResults);
    this.executionProvider = this.checks.apply((checks) => {
      const providers = new Set(checks.map((found) => (found.ok ? found.provider : undefined)));
      return providers.size === 1 ? [...providers][0] : undefined;
    });
    this.models = this.checks.apply((checks) => {
      const [first] = checks;
      return first?.ok && checks.every(({ ok }) => ok) ? first.models : undefined;
    });
    this.registerOutputs({
      url: this.url,
      serviceName: this.serviceName,
      executionProvider: this.executionProvider,
      models: this.models,
      checks: this.checks,
    });
  }
}

function checkedArguments(name: string, args: MachineLearningServiceArgs): Record<string, string> {
  const { accelerator = "cpu", endpointMode = "vip", publishedPort } = args;
  const isPublished = publishedPort !== undefined;
  return checkedEnvironment(name, args, swarmProblems({ accelerator, endpointMode, isPublished }));
}

const defaultName = "immich_machine_learning";

function makeNetwork(
  name: string,
  { serviceName, labels }: MachineLearningServiceArgs,
  parent: MachineLearningService,
): docker.Network {
  return new docker.Network(
    `${name}-network`,
    {
      name: serviceName ?? defaultName,
      driver: "overlay",
      // Immich's server, a container of docker compose, must be able to join.
      attachable: true,
      labels: labelList(labels),
    },
    { parent },
  );
}

function serviceArgs(
  args: MachineLearningServiceArgs,
  variables: Record<string, string>,
  network: docker.types.input.ServiceTaskSpecNetworksAdvanced,
  port: pulumi.Output<number>,
): docker.ServiceArgs {
  const order = args.updateOrder ?? "start-first";
  return {
    name: args.serviceName ?? defaultName,
    labels: labelList(args.labels),
    mode: { replicated: { replicas: args.replicas ?? 2 } },
    taskSpec: {
      containerSpec: containerSpec(args, variables),
      networksAdvanceds: [network],
      placement: {
        constraints: entriesByName(args.nodeLabels).map(
          ([label, value]) => `node.labels.${label}==${value}`,
        ),
        // No limit; keeps the block in place without a constraint.
        maxReplicas: 0,
      },
      resources: resources(args),
      restartPolicy: {
        condition: pulumi.output(args.restart ?? "always").apply(condition),
        // Docker's own default; the provider's is none, and a crash would repeat at once.
        delay: "5s",
        maxAttempts: 0,
        window: "0s",
      },
      ...(args.hardening?.limitLog !== false && {
        logDriver: { name: limitedLog.driver, options: limitedLog.options },
      }),
    },
    // A task that ends within `monitor` after it became healthy fails the update, too.
    updateConfig: { parallelism: 1, order, failureAction: "rollback", monitor: "10s" },
    rollbackConfig: { parallelism: 1, order, failureAction: "pause", monitor: "5s" },
    endpointSpec: {
      mode: args.endpointMode ?? "vip",
      ...(args.publishedPort !== undefined && {
        ports: [{ targetPort: port, publishedPort: args.publishedPort }],
      }),
    },
    // No convergeConfig: it deletes a new service that does not converge, with its logs, and counts
    // the old tasks of an update that is about to be rolled back. The check waits instead.
  };
}

function containerSpec(args: MachineLearningServiceArgs, variables: Record<string, string>) {
  const { dropCapabilities = true, readOnlyRoot = false } = args.hardening ?? {};
  return {
    image: args.image,
    ...(args.command && { args: args.command }),
    env: Object.fromEntries(serverEnvironment(args, variables)),
    labels: labelList(args.labels),
    mounts: [
      // Each node has its own volume of that name.
      { type: "volume", source: args.cacheVolume!, target: "/cache" },
      ...acceleratorMounts(args.accelerator),
      ...(readOnlyRoot ? [{ type: "tmpfs", target: "/tmp" }] : []),
    ],
    ...(dropCapabilities && { capDrops: ["ALL"] }),
    ...(readOnlyRoot && { readOnly: true }),
    healthcheck: {
      ...healthcheck,
      // The swarm itself replaces a task that is unhealthy.
      ...healthTest(args, "no"),
      startPeriod: `${startMinutes(variables)}m`,
    },
    stopGracePeriod: `${stopSeconds}s`,
  };
}

/**
 * MiB and cores in the swarm's units. No limit is 0: a limit that is left out stays as it was, and
 * the provider crashes on an empty block.
 */
function inSwarmUnits({ memory, cpus }: ResourceLimits = {}) {
  return {
    memoryBytes: pulumi.output(memory ?? 0).apply((mebibytes) => mebibytes * 1024 * 1024),
    nanoCpus: pulumi.output(cpus ?? 0).apply((cores) => Math.round(cores * 1e9)),
  };
}

function resources({ limits, reservations, genericResources }: MachineLearningServiceArgs) {
  const discrete = entriesByName(genericResources).map(([kind, count]) => `${kind}=${count}`);
  return {
    limits: inSwarmUnits(limits),
    reservation: {
      ...inSwarmUnits(reservations),
      ...(discrete.length > 0 && { genericResources: { discreteResourcesSpecs: discrete } }),
    },
  };
}

function condition(restart: "no" | "on-failure" | "always"): string {
  return { no: "none", "on-failure": "on-failure", always: "any" }[restart];
}

function fingerprint(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
