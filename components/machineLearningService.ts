import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import { accelerators } from "../catalog/accelerators";
import { servicePort } from "../catalog/environment";
import { type ModelCheck, parseCheckResults, type CheckResult } from "../verify/check";
import { acceleratorCheck } from "./acceleratorCheck";
import {
  acceleratorMounts,
  checkedEnvironment,
  fingerprint,
  healthcheck,
  labelList,
  limitedLog,
  type ResourceLimits,
  type ServerArgs,
  serverEnvironment,
  startMinutes,
} from "./server";

export interface MachineLearningServiceArgs extends ServerArgs {
  /**
   * The image, by a reference with a digest that every node can pull: `DistributedImage` makes one of
   * an image that is known to one node only.
   */
  image: pulumi.Input<string>;

  /** Name of the service, and of its tasks with a number behind it. @default "immich_machine_learning" */
  serviceName?: pulumi.Input<string> | undefined;

  /** Tasks that share the work. @default 2 */
  replicas?: pulumi.Input<number> | undefined;

  /** Labels a node must have to run a task, by name, as `docker node update --label-add` sets them. */
  nodeLabels?: Record<string, string> | undefined;

  /**
   * What each task takes of the generic resources that nodes offer (`node-generic-resources` in an
   * engine's daemon.json), by kind, such as `{ "NVIDIA-GPU": 1 }`. This is how a task gets a GPU.
   */
  genericResources?: Record<string, number> | undefined;

  /** What a node must have free to run a task. @default nothing */
  reservations?: ResourceLimits | undefined;

  /**
   * Whether an update starts a new task before it stops the old one (`start-first`: never fewer
   * healthy tasks than `replicas`, but room for one more), or after. @default "start-first"
   */
  updateOrder?: "start-first" | "stop-first" | undefined;

  /**
   * `vip`: one address that the kernel balances between the tasks; `dnsrr`: the name resolves to the
   * tasks' own addresses in turn. @default "vip"
   */
  endpointMode?: "vip" | "dnsrr" | undefined;

  /**
   * Id of an existing overlay network to join.
   *
   * @default one is made, called as the service, that containers outside the swarm can join
   */
  networkId?: pulumi.Input<string> | undefined;

  /** A port opened on every address of every node. @default none */
  publishedPort?: pulumi.Input<number> | undefined;

  /** When a task that ended is replaced by another. @default "always" */
  restart?: pulumi.Input<"no" | "on-failure" | "always"> | undefined;
}

/**
 * Immich's machine learning as a service of a Docker Swarm: as many tasks as asked for behind one
 * address, rolled over one by one when something changes and rolled back by the swarm when a new task
 * does not become healthy; after every change the check that the tasks compute.
 *
 * @example
 * const service = new MachineLearningService("rack", {
 *   image: distributed.reference,
 *   immichVersion: "v2.7.5",
 *   cacheVolume: "immich-ml-rack-cache",
 *   replicas: 3,
 * }, { provider: manager });
 */
export class MachineLearningService extends pulumi.ComponentResource {
  /** Where Immich's server reaches it, from within the service's network. */
  public readonly url: pulumi.Output<string>;

  public readonly serviceName: pulumi.Output<string>;

  /** The execution provider that computed in every task reached; nothing without such a check. */
  public readonly executionProvider: pulumi.Output<string | undefined>;

  /** What computed each model Immich is told to use, in the first of the tasks; nothing without check. */
  public readonly models: pulumi.Output<readonly ModelCheck[] | undefined>;

  /** What the check found in each task that runs on the engine reached. */
  public readonly checks: pulumi.Output<CheckResult[]>;

  /**
   * @param name the component's name; the service has the same, the check `${name}-check`.
   * @param args what to run and how.
   * @param opts give a `docker.Provider` of a manager of the swarm as `provider`.
   * @throws when an argument is wrong; every reason is in the message.
   */
  constructor(
    name: string,
    args: MachineLearningServiceArgs,
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("immich-ml:index:MachineLearningService", name, {}, opts);

    const variables = checkedArguments(name, args);
    const serviceName = args.serviceName ?? "immich_machine_learning";
    const port = pulumi
      .output(args.environmentFile ?? {})
      .apply((fromFile) => servicePort({ ...fromFile, ...variables }));
    const alias = args.networkAlias ?? "immich-machine-learning";
    const order = args.updateOrder ?? "start-first";
    const networkId = args.networkId ?? this.makeNetwork(name, serviceName, args).id;

    const declared: docker.ServiceArgs = {
      name: serviceName,
      labels: labelList(args.labels),
      mode: { replicated: { replicas: args.replicas ?? 2 } },
      taskSpec: {
        containerSpec: containerSpec(args, variables),
        // The id, since that is what is read back; a name in its place replaces the service each time.
        networksAdvanceds: [{ id: networkId, aliases: [alias] }],
        placement: {
          constraints: Object.entries(args.nodeLabels ?? {})
            .sort(([a], [b]) => (a < b ? -1 : 1))
            .map(([label, value]) => `node.labels.${label}==${value}`),
          // As many as fit; said so that the block is there also without a constraint.
          maxReplicas: 0,
        },
        resources: resources(args),
        restartPolicy: {
          condition: pulumi.output(args.restart ?? "always").apply(condition),
          // Docker's own standard; the provider's is none, and a crash would be repeated at once.
          delay: "5s",
          maxAttempts: 0,
          window: "0s",
        },
        ...(args.hardening?.limitLog !== false && {
          logDriver: { name: limitedLog.driver, options: limitedLog.options },
        }),
      },
      updateConfig: {
        parallelism: 1,
        order,
        failureAction: "rollback",
        // A task that ends so soon after it was healthy still counts as a failed update.
        monitor: "10s",
      },
      rollbackConfig: { parallelism: 1, order, failureAction: "pause", monitor: "5s" },
      endpointSpec: {
        mode: args.endpointMode ?? "vip",
        ...(args.publishedPort !== undefined && {
          ports: [{ targetPort: port, publishedPort: args.publishedPort }],
        }),
      },
      // No convergeConfig: it deletes a new service that does not converge together with its logs, and
      // counts the old tasks of an update that is about to be rolled back. The check waits instead.
    };
    const service = new docker.Service(name, declared, {
      parent: this,
      // The engine asks the registry for them when a service is created, and then reports them.
      ignoreChanges: ["taskSpec.placement.platforms"],
      // Changed in place, the name resolves to nothing any more (seen with Docker 20.10).
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
      // A service keeps its id when it is changed, so what was declared tells that it was.
      [service.id, pulumi.output(declared).apply((spec) => fingerprint(JSON.stringify(spec)))],
      { parent: this },
    );

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

  private makeNetwork(
    name: string,
    networkName: pulumi.Input<string>,
    { labels }: MachineLearningServiceArgs,
  ): docker.Network {
    return new docker.Network(
      `${name}-network`,
      {
        name: networkName,
        driver: "overlay",
        // Immich's server, a container of docker compose, must be able to join.
        attachable: true,
        labels: labelList(labels),
      },
      { parent: this },
    );
  }
}

function checkedArguments(name: string, args: MachineLearningServiceArgs): Record<string, string> {
  const { variables, problems } = checkedEnvironment(args);
  const { devices } = accelerators[args.accelerator ?? "cpu"];
  if (devices.length > 0) {
    problems.push(
      `[accelerator] ${args.accelerator} needs the device nodes ${devices.join(", ")}, which no service of a swarm can be given; it must be cpu or cuda`,
    );
  }
  if (args.publishedPort !== undefined && args.endpointMode === "dnsrr") {
    problems.push("[endpointMode] must be vip where a port is published");
  }
  if (problems.length > 0) throw new Error(`${name}: ${problems.join("; ")}`);
  return variables;
}

function containerSpec(args: MachineLearningServiceArgs, variables: Record<string, string>) {
  const { dropCapabilities = true, readOnlyRoot = false } = args.hardening ?? {};
  return {
    image: args.image,
    env: Object.fromEntries(serverEnvironment(args, variables)),
    labels: labelList(args.labels),
    mounts: [
      // Each node has a volume of that name of its own.
      { type: "volume", source: args.cacheVolume, target: "/cache" },
      ...acceleratorMounts(args.accelerator),
      ...(readOnlyRoot ? [{ type: "tmpfs", target: "/tmp" }] : []),
    ],
    ...(dropCapabilities && { capDrops: ["ALL"] }),
    ...(readOnlyRoot && { readOnly: true }),
    healthcheck: { ...healthcheck, startPeriod: `${startMinutes(variables)}m` },
    // Requests under way are answered before the task ends.
    stopGracePeriod: "30s",
  };
}

/**
 * MiB and cores, as the swarm counts them. No limit is said as 0: what is left out would be kept from
 * before, and the provider crashes on a block without anything in it.
 */
function inSwarmUnits({ memory, cpus }: ResourceLimits = {}) {
  return {
    memoryBytes: pulumi.output(memory ?? 0).apply((mebibytes) => mebibytes * 1024 * 1024),
    nanoCpus: pulumi.output(cpus ?? 0).apply((cores) => Math.round(cores * 1e9)),
  };
}

function resources({ limits, reservations, genericResources = {} }: MachineLearningServiceArgs) {
  const discrete = Object.entries(genericResources)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([kind, count]) => `${kind}=${count}`);
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
