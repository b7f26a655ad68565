import { accelerators } from "../catalog/accelerators";
import type { HostSettings, Settings } from "../config/load";
import type { Run } from "../util/run";
import { checkContainerName, checkNetwork } from "./containerChecks";
import { checkAnswer, type Diagnostic, error } from "./diagnostics";
import { type Answer, DockerClient } from "./docker";
import { checkHost } from "./hostChecks";
import { type HostInfo, type MachineInfo, probeHost } from "./hostProbe";
import { checkSwarm } from "./swarmChecks";

/** What was found out about one host. */
export interface HostReport {
  readonly name: string;
  readonly diagnostics: readonly Diagnostic[];
  /** Paths of the accelerator's optional mounts that exist; undefined when that is not known. */
  readonly optionalMounts: string[] | undefined;
  /** Nothing answers, as when the machine is switched off. */
  readonly unreachable: boolean;
}

/** Asks and checks one host. Changes nothing. */
export async function inspectHost(
  host: HostSettings,
  settings: Settings,
  run: Run,
): Promise<HostReport> {
  const check = host.swarm ? askSwarm : askEngine;
  // Without waiting for the probe; what the engine then leaves unanswered is not reported.
  const [probe, checkOthers] = await Promise.all([
    probeHost(host, run),
    check(host, settings, new DockerClient(host, run)),
  ]);
  const found = probe.ok ? checkOthers(probe.value) : [error(probe.message)];
  return {
    name: host.name,
    diagnostics: found.map((each) => ({ ...each, message: `${host.name}: ${each.message}` })),
    optionalMounts: optionalMountsOn(host, probe.ok ? probe.value.machine : undefined),
    unreachable: !probe.ok && probe.unreachable === true,
  };
}

type HostCheck = (info: HostInfo) => Diagnostic[];

async function askEngine(
  host: HostSettings,
  settings: Settings,
  docker: DockerClient,
): Promise<HostCheck> {
  const { containerName } = host;
  // One question for all hosts of the engine.
  const neighbours = settings.hosts.filter(({ dockerHost }) => dockerHost === host.dockerHost);
  const [containers, networks] = await Promise.all([
    docker.containers(neighbours.map((neighbour) => neighbour.containerName)),
    docker.networks(),
  ]);
  return (info) => [
    ...checkHost(host, info),
    ...checkAnswer(containers, (existing) => {
      const holder = existing.find(({ name }) => name === containerName);
      return checkContainerName(host, holder, settings);
    }),
    ...checkAnswer(networks, (existing) => checkNetwork(host, existing)),
  ];
}

async function askSwarm(
  host: HostSettings,
  settings: Settings,
  docker: DockerClient,
): Promise<HostCheck> {
  const [nodes, network, service] = await Promise.all([
    docker.nodes(),
    docker.network(host.network ?? host.containerName),
    docker.service(host.containerName),
  ]);
  // Of several nodes only the machine behind the endpoint was probed.
  const isOnlyNode = nodes.ok && nodes.value.length === 1;
  return (info) => [
    ...checkSwarm(host, info.docker, { nodes, network, service }, settings),
    ...(isOnlyNode ? checkHost(host, info) : []),
  ];
}

function optionalMountsOn(
  { accelerator }: HostSettings,
  machine: Answer<MachineInfo> | undefined,
): string[] | undefined {
  const paths = accelerators[accelerator].mounts.flatMap(({ optional, hostPath }) =>
    optional ? [hostPath] : [],
  );
  if (paths.length === 0) return [];
  return machine?.ok ? paths.filter((path) => machine.value.paths.includes(path)) : undefined;
}
