import { accelerators } from "../catalog/accelerators";
import type { HostSettings } from "../config/load";
import type { SwarmSettings } from "../config/settings";
import { otherOwner, type Owner } from "./containerChecks";
import {
  type Check,
  checkAnswer,
  type Diagnostic,
  error,
  type Found,
  runChecks,
  warning,
} from "./diagnostics";
import type { Answer } from "../util/docker";
import type { DockerInfo, NetworkInfo, NodeInfo, ServiceInfo } from "../util/dockerAnswers";

/** What a swarm's manager answered. */
export interface SwarmInfo {
  readonly nodes: Answer<readonly NodeInfo[]>;
  /** The network that the stack file names; undefined where it names none. */
  readonly network: Answer<NetworkInfo | undefined> | undefined;
  /** The service that has the name ours has or will have. */
  readonly service: Answer<ServiceInfo | undefined>;
}

/** Checks whether a swarm can run what a host entry asks of it. */
export function checkSwarm(
  host: HostSettings,
  docker: DockerInfo,
  info: SwarmInfo,
  owner: Owner,
): Diagnostic[] {
  const role = checkRole(host, docker);
  if (role) return [role];
  const { swarm } = host;
  return [
    ...checkAnswer(
      info.nodes,
      (nodes) => checkNodes(swarm!, nodes),
      (nodes) => runChecks(nodeChecks, { host, docker, swarm: swarm!, nodes }),
    ),
    ...(info.network
      ? checkAnswer(info.network, (network) => checkNetwork(host.network!, network))
      : []),
    ...checkAnswer(info.service, (service) => checkServiceName(host, service, owner)),
  ];
}

interface Subject {
  readonly host: HostSettings;
  readonly docker: DockerInfo;
  readonly swarm: SwarmSettings;
  readonly nodes: readonly NodeInfo[];
}

function checkRole({ dockerHost }: HostSettings, { swarm }: DockerInfo): Diagnostic | undefined {
  if (swarm === "none") {
    return error(
      `Docker at ${dockerHost} is not part of a swarm: start one (docker swarm init), or correct dockerHost, or set placement: container`,
    );
  }
  if (swarm === "worker") {
    return error(
      `Docker at ${dockerHost} is a worker of its swarm, but only a manager can create services: set dockerHost to one (docker node ls there lists them)`,
    );
  }
  return undefined;
}

/** Labels first, then what the nodes that have them offer. */
function checkNodes(swarm: SwarmSettings, nodes: readonly NodeInfo[]): Found {
  const wanted = Object.entries(swarm.nodeLabels);
  const fitting = nodes.filter(({ labels }) =>
    wanted.every(([label, value]) => labels[label] === value),
  );
  if (fitting.length === 0) {
    const options = wanted.map(([label, value]) => `--label-add ${label}=${value}`).join(" ");
    return error(
      `no node has the labels ${listed(swarm.nodeLabels)} (swarm.nodeLabels); there are ${nodes.map(described).join("; ")}. Label one: docker node update ${options} ${nodes[0]?.hostname ?? "NODE"}`,
    );
  }
  const ready = fitting.filter(({ takesTasks }) => takesTasks);
  if (ready.length === 0) {
    return error(
      `none of the nodes ${names(fitting)} takes tasks now: start it, or docker node update --availability active ${fitting[0]!.hostname}`,
    );
  }
  return Object.entries(swarm.genericResources).flatMap(
    ([kind, each]) => checkResource(swarm, ready, kind, each) ?? [],
  );
}

/** Whether every task finds room by one kind of generic resource, also during an update. */
function checkResource(
  { replicas, updateOrder }: SwarmSettings,
  nodes: readonly NodeInfo[],
  kind: string,
  each: number,
): Diagnostic | undefined {
  const offers = nodes.map(({ genericResources }) => genericResources[kind] ?? 0);
  const offered = nodes.map(({ hostname }, index) => `${hostname} ${offers[index]}`).join(", ");
  // What is left over on one node is of no use to a task on another.
  const places = offers.reduce((sum, offer) => sum + Math.floor(offer / each), 0);
  if (places < replicas) {
    const fix =
      places > 0
        ? `set swarm.replicas: ${places}, or offer more`
        : "offer it (node-generic-resources in /etc/docker/daemon.json of the node, then restart Docker there)";
    return error(
      `${replicas} tasks with ${each} ${kind} each find room for ${places} (nodes offer: ${offered}): ${fix}`,
    );
  }
  if (places > replicas || updateOrder === "stop-first") return undefined;
  return error(
    `an update starts a new task before it stops the old one, but the ${replicas} tasks take all ${kind} (nodes offer: ${offered}): set swarm.updateOrder: stop-first, or swarm.replicas: ${replicas - 1}`,
  );
}

const nodeChecks: readonly Check<Subject>[] = [
  // The registry that this program runs is one task with one volume on one node.
  ({ swarm: { ownRegistry, endpointMode }, nodes }) =>
    ownRegistry &&
    nodes.length > 1 &&
    endpointMode === "dnsrr" &&
    error(
      `with endpointMode: dnsrr the registry this program runs is reached on its own node only, but the swarm has ${nodes.length}: set swarm.registry`,
    ),
  ({ swarm: { ownRegistry, endpointMode }, nodes }) => {
    const managers = nodes.filter(({ isManager }) => isManager);
    if (!ownRegistry || endpointMode === "dnsrr" || managers.length < 2) return undefined;
    return warning(
      `the registry this program runs keeps its images on one of the ${managers.length} managers (${names(managers)}) and is empty when it moves to another: set swarm.registry`,
    );
  },
  // A service cannot ask for GPUs; NVIDIA's runtime gives a task what its node's resource names.
  ({ host, docker: { defaultRuntime }, nodes }) => {
    const { gpuRequest } = accelerators[host.accelerator];
    if (gpuRequest?.driver !== "nvidia" || defaultRuntime === "nvidia") return undefined;
    const fix =
      "sudo nvidia-ctk runtime configure --runtime=docker --set-as-default, then restart Docker";
    return nodes.length > 1
      ? warning(
          `the default runtime of the engine reached is ${defaultRuntime}: tasks see a GPU only on nodes where it is nvidia (${fix})`,
        )
      : error(
          `tasks of a service see a GPU only where the engine's default runtime is nvidia, and here it is ${defaultRuntime}: ${fix}`,
        );
  },
];

function checkNetwork(name: string, network: NetworkInfo | undefined): Diagnostic | undefined {
  if (!network) {
    return error(
      `the network ${name} does not exist in the swarm: create it (docker network create --driver overlay --attachable ${name}), or leave network out, and the program creates one`,
    );
  }
  if (network.driver !== "overlay") {
    return error(
      `the network ${name} is a ${network.driver} network, and a swarm's services join only overlay networks: leave network out, and the program creates one that Immich's server can join`,
    );
  }
  if (network.attachable) return undefined;
  return warning(
    `the network ${name} is not attachable: Immich's server reaches the service only as a service of the swarm itself, not as a container of docker compose`,
  );
}

function checkServiceName(
  { containerName: name }: HostSettings,
  service: ServiceInfo | undefined,
  owner: Owner,
): Diagnostic | undefined {
  const other = service && otherOwner(service.labels, owner);
  if (!other) return undefined;
  const whose = other.stack === undefined ? "that is not ours" : `of stack ${other.stack}`;
  return error(
    `the service name ${name} is taken by a service ${whose}: give this host another name, or remove it (docker service rm ${name})`,
  );
}

function described({ hostname, labels }: NodeInfo): string {
  return `${hostname} (${listed(labels) || "no labels"})`;
}

function listed(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([label, value]) => `${label}=${value}`)
    .join(", ");
}

function names(nodes: readonly NodeInfo[]): string {
  return nodes.map(({ hostname }) => hostname).join(", ");
}
