import { accelerators } from "../catalog/accelerators";
import type { HostSettings, Settings } from "../config/load";
import type { Run } from "../util/run";
import { checkContainerName, checkNetwork, otherOwner, type Owner } from "./containerChecks";
import { checkAnswer, type Diagnostic, error } from "./diagnostics";
import { DockerClient } from "../util/docker";
import type { ContainerInfo, ServiceInfo } from "../util/dockerAnswers";
import { checkHost } from "./hostChecks";
import { type HostInfo, probeHost } from "./hostProbe";
import { checkSwarm } from "./swarmChecks";

/** What was found out about one host. */
export interface HostReport {
  readonly name: string;
  readonly diagnostics: readonly Diagnostic[];
  /** Paths of the accelerator's optional mounts that exist; undefined when that is not known. */
  readonly optionalMounts: string[] | undefined;
  /** The names that its own container or service answers to; undefined where there is none or it is not known. */
  readonly aliases: readonly string[] | undefined;
  /** Nothing answers, as when the machine is switched off. */
  readonly unreachable: boolean;
}

/** Asks and checks one host. Changes nothing. */
export async function inspectHost(
  host: HostSettings,
  settings: Settings,
  run: Run,
): Promise<HostReport> {
  const ask = host.swarm ? askSwarm : askEngine;
  // At the same time, to save a round trip. Without the probe the rest is not worth reporting.
  const [probe, engine] = await Promise.all([
    probeHost(host, run),
    ask(host, settings, new DockerClient(host, run)),
  ]);
  const found = probe.ok ? engine.check(probe.value) : [error(probe.message)];
  const machine = probe.ok ? probe.value.machine : undefined;
  return {
    name: host.name,
    diagnostics: found.map((each) => ({ ...each, message: `${host.name}: ${each.message}` })),
    optionalMounts: optionalMountsOn(host, machine?.ok ? machine.value.paths : engine.mounts),
    aliases: engine.aliases,
    unreachable: !probe.ok && probe.unreachable === true,
  };
}

/** What the engine answered about all that a host's container or service meets there. */
interface EngineReport {
  readonly check: (info: HostInfo) => Diagnostic[];
  /** The paths that the host's container sees now; undefined where that is not known. */
  readonly mounts?: readonly string[] | undefined;
  /** The names that what is ours answers to. */
  readonly aliases: readonly string[] | undefined;
}

async function askEngine(
  host: HostSettings,
  settings: Settings,
  docker: DockerClient,
): Promise<EngineReport> {
  // One question for all hosts of the engine.
  const neighbours = settings.hosts.filter(({ dockerHost }) => dockerHost === host.dockerHost);
  const [containers, networks] = await Promise.all([
    docker.containers(neighbours.map(({ containerName }) => containerName)),
    docker.networks(),
  ]);
  const holderIn = (existing: readonly ContainerInfo[]) =>
    existing.find(({ name }) => name === host.containerName);
  return {
    check: (info) => [
      ...checkHost(host, info),
      ...checkAnswer(containers, (existing) =>
        checkContainerName(host, holderIn(existing), settings),
      ),
      ...checkAnswer(networks, (existing) => checkNetwork(host, existing)),
    ],
    mounts: containers.ok ? holderIn(containers.value)?.mounts : undefined,
    aliases: containers.ok ? aliasesOf(holderIn(containers.value), settings) : undefined,
  };
}

async function askSwarm(
  host: HostSettings,
  settings: Settings,
  docker: DockerClient,
): Promise<EngineReport> {
  const [nodes, network, service] = await Promise.all([
    docker.nodes(),
    host.network === undefined ? undefined : docker.network(host.network),
    docker.service(host.containerName),
  ]);
  // Of several nodes only the machine behind the endpoint was probed.
  const isOnlyNode = nodes.ok && nodes.value.length === 1;
  return {
    check: (info) => [
      ...checkSwarm(host, info.docker, { nodes, network, service }, settings),
      ...(isOnlyNode ? checkHost(host, info) : []),
    ],
    aliases: service.ok ? aliasesOf(service.value, settings) : undefined,
  };
}

/** A name that compose's container answers to says nothing about ours. */
function aliasesOf(
  holder: ContainerInfo | ServiceInfo | undefined,
  owner: Owner,
): readonly string[] | undefined {
  return holder && !otherOwner(holder.labels, owner) ? holder.aliases : undefined;
}

/** Where the machine cannot be probed, a container that runs keeps the mounts it has. */
function optionalMountsOn(
  { accelerator }: HostSettings,
  present: readonly string[] | undefined,
): string[] | undefined {
  const optional = accelerators[accelerator].mounts.filter((mount) => mount.optional);
  if (optional.length === 0) return [];
  return (
    present && optional.map(({ hostPath }) => hostPath).filter((path) => present.includes(path))
  );
}
