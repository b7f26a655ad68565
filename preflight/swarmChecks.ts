import type { HostSettings } from "../config/load";
import type { DockerInfo, NetworkInfo, NodeInfo } from "./docker";
import { type Diagnostic, error, type Owner, warning } from "./hostChecks";

/** What a manager of a swarm told. */
export interface SwarmInfo {
  readonly nodes: readonly NodeInfo[];
  /** The network to join, or of the name that the one to be made will have. */
  readonly network?: NetworkInfo | undefined;
  /** The labels of a service of the name that ours has or will have. */
  readonly serviceLabels?: Readonly<Record<string, string>> | undefined;
}

/** Checks whether a swarm can run what a host entry asks of it. */
export function checkSwarm(
  host: HostSettings,
  engine: DockerInfo,
  facts: SwarmInfo,
  owner: Owner,
): Diagnostic[] {
  const { dockerHost } = host;
  if (engine.swarm === "none") {
    return [
      error(
        `Docker at ${dockerHost} is in no swarm: make it one (docker swarm init), or correct dockerHost, or set placement: container`,
      ),
    ];
  }
  if (engine.swarm === "worker") {
    return [
      error(
        `Docker at ${dockerHost} is a worker of its swarm, and services are managed by a manager: set dockerHost to one (docker node ls there lists them)`,
      ),
    ];
  }
  return [
    ...checkNodes(host, facts.nodes),
    ...checkRegistry(host, facts.nodes),
    ...checkOverlay(host, facts),
    ...checkServiceName(host, facts.serviceLabels, owner),
    ...checkDefaultRuntime(host, engine, facts.nodes),
  ];
}

/** Labels first, then what the nodes that have them offer. */
function checkNodes(host: HostSettings, nodes: readonly NodeInfo[]): Diagnostic[] {
  const { nodeLabels, genericResources, replicas, updateOrder } = host.swarm!;
  const wanted = Object.entries(nodeLabels);
  const fitting = nodes.filter(({ labels }) =>
    wanted.every(([label, value]) => labels[label] === value),
  );
  if (fitting.length === 0) {
    const said = wanted.map(([label, value]) => `${label}=${value}`).join(", ");
    const options = wanted.map(([label, value]) => `--label-add ${label}=${value}`).join(" ");
    return [
      error(
        `no node has the labels ${said} (swarm.nodeLabels); there are ${nodes.map(described).join("; ")}. Label one: docker node update ${options} ${nodes[0]?.hostname ?? "NODE"}`,
      ),
    ];
  }
  const ready = fitting.filter(({ takesTasks }) => takesTasks);
  if (ready.length === 0) {
    const names = fitting.map(({ hostname }) => hostname).join(", ");
    return [
      error(
        `none of the nodes ${names} takes tasks now: start it, or docker node update --availability active ${fitting[0]!.hostname}`,
      ),
    ];
  }
  return Object.entries(genericResources).flatMap(([kind, each]) => {
    // What is left over on one node is of no use to a task on another.
    const places = ready.reduce(
      (sum, node) => sum + Math.floor((node.genericResources[kind] ?? 0) / each),
      0,
    );
    const offered = ready
      .map((node) => `${node.hostname} ${node.genericResources[kind] ?? 0}`)
      .join(", ");
    if (places < replicas) {
      const fix =
        places > 0
          ? `set swarm.replicas: ${places}, or offer more`
          : `offer it (node-generic-resources in /etc/docker/daemon.json of the node, then restart Docker there)`;
      return [
        error(
          `${replicas} tasks with ${each} ${kind} each find room for ${places} (nodes offer: ${offered}): ${fix}`,
        ),
      ];
    }
    if (places < replicas + 1 && updateOrder === "start-first") {
      return [
        error(
          `an update starts a new task before it stops the old one, but all ${kind} are taken by the ${replicas} tasks (nodes offer: ${offered}): set swarm.updateOrder: stop-first, or swarm.replicas: ${replicas - 1}`,
        ),
      ];
    }
    return [];
  });
}

function described({ hostname, labels }: NodeInfo): string {
  const said = Object.entries(labels).map(([label, value]) => `${label}=${value}`);
  return `${hostname} (${said.join(", ") || "no labels"})`;
}

/** The registry run here is one task with one volume on one node. */
function checkRegistry(host: HostSettings, nodes: readonly NodeInfo[]): Diagnostic[] {
  const { ownRegistry, endpointMode } = host.swarm!;
  if (!ownRegistry || nodes.length < 2) return [];
  if (endpointMode === "dnsrr") {
    return [
      error(
        `with endpointMode: dnsrr the registry this program runs is reached on its own node only, but the swarm has ${nodes.length}: give swarm.registry`,
      ),
    ];
  }
  const managers = nodes.filter(({ isManager }) => isManager);
  if (managers.length < 2) return [];
  return [
    warning(
      `the registry this program runs keeps its images on one of the ${managers.length} managers (${managers.map(({ hostname }) => hostname).join(", ")}) and is empty when it moves to another: give swarm.registry`,
    ),
  ];
}

function checkOverlay(host: HostSettings, { network }: SwarmInfo): Diagnostic[] {
  if (host.network === undefined) return [];
  if (!network) {
    return [
      error(
        `the network ${host.network} does not exist in the swarm: make it (docker network create --driver overlay --attachable ${host.network}), or leave network out and one is made`,
      ),
    ];
  }
  if (network.driver !== "overlay") {
    return [
      error(
        `the network ${host.network} is a ${network.driver} network, and a swarm's services join overlay networks only: leave network out and one is made, which Immich's server joins`,
      ),
    ];
  }
  if (!network.attachable) {
    return [
      warning(
        `the network ${host.network} is not attachable: Immich's server reaches the service only as a service of the swarm itself, not as a container of docker compose`,
      ),
    ];
  }
  return [];
}

function checkServiceName(
  host: HostSettings,
  labels: SwarmInfo["serviceLabels"],
  owner: Owner,
): Diagnostic[] {
  if (!labels) return [];
  const stack = labels["org.immich-ml.stack"];
  const project = labels["org.immich-ml.project"];
  if (stack === owner.stack && project === owner.project) return [];
  const whose = stack === undefined ? "that is not ours" : `of stack ${project}/${stack}`;
  return [
    error(
      `the service name ${host.containerName} is taken by a service ${whose}: give this host another name, or remove it (docker service rm ${host.containerName})`,
    ),
  ];
}

/** A service cannot ask for GPUs; NVIDIA's runtime gives a task what its node's resource names. */
function checkDefaultRuntime(
  host: HostSettings,
  engine: DockerInfo,
  nodes: readonly NodeInfo[],
): Diagnostic[] {
  if (host.accelerator !== "cuda" || engine.defaultRuntime === "nvidia") return [];
  const fix =
    "sudo nvidia-ctk runtime configure --runtime=docker --set-as-default, then restart Docker";
  return nodes.length > 1
    ? [
        warning(
          `the default runtime of the engine reached is ${engine.defaultRuntime}: tasks see a GPU only on nodes where it is nvidia (${fix})`,
        ),
      ]
    : [
        error(
          `tasks of a service see a GPU only where the engine's default runtime is nvidia, and here it is ${engine.defaultRuntime}: ${fix}`,
        ),
      ];
}
