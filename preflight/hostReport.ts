import { accelerators } from "../catalog/accelerators";
import type { HostSettings, Settings } from "../config/load";
import type { Run } from "../util/run";
import {
  checkAlias,
  checkContainerName,
  checkNetwork,
  checkSharedNetwork,
  checkTakeOver,
  keptName,
  otherOwner,
  type Owner,
  sharedContainer,
} from "./containerChecks";
import { driftOf, type HostDrift, isOwn } from "./containerDrift";
import { checkAnswer, type Diagnostic, error, warning } from "./diagnostics";
import { type Answer, DockerClient } from "../util/docker";
import { isSameEngine } from "../util/dockerClient";
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
  /** What its engine lacks; undefined when that is not known. */
  readonly drift: HostDrift | undefined;
  /** The names that its own container or service answers to; undefined where there is none or it is not known. */
  readonly aliases: readonly string[] | undefined;
  /** Undefined where the machine was not asked. */
  readonly hasIpv6: boolean | undefined;
  /** No machine is known by the host's name. */
  readonly unresolved: boolean;
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
    drift: probe.ok ? engine.drift : undefined,
    aliases: engine.aliases,
    unreachable: !probe.ok && probe.unreachable === true,
    unresolved: !probe.ok && probe.unresolved === true,
    hasIpv6: machine?.ok ? machine.value.hasIpv6 : undefined,
  };
}

/** What the engine answered about all that a host's container or service meets there. */
interface EngineReport {
  readonly check: (info: HostInfo) => Diagnostic[];
  /** The paths that the host's container sees now; undefined where that is not known. */
  readonly mounts?: readonly string[] | undefined;
  readonly drift?: HostDrift | undefined;
  /** The names that what is ours answers to. */
  readonly aliases: readonly string[] | undefined;
}

async function askEngine(
  host: HostSettings,
  settings: Settings,
  docker: DockerClient,
): Promise<EngineReport> {
  // One question for all hosts of the engine.
  const neighbours = settings.hosts.filter(({ dockerHost }) =>
    isSameEngine(dockerHost, host.dockerHost),
  );
  const [containers, networks, volumes] = await Promise.all([
    containersAbout(neighbours, settings, docker),
    docker.networks(),
    docker.volumes(
      neighbours.flatMap(({ cache }) => (cache.kind === "volume" ? cache.volume : [])),
    ),
  ]);
  const all = containers.ok ? containers.value : [];
  const own = all.filter((container) => isOwn(host, container, settings));
  const holder = all.find(({ name }) => name === host.containerName);
  const serving = own.find(({ name }) => name === host.containerName) ?? holder;
  const drift =
    containers.ok && volumes.ok ? driftOf(host, all, volumes.value, settings) : undefined;
  return {
    check: (info) => [
      ...checkHost(host, info),
      ...checkAnswer(containers, (found) => {
        // Among the hosts of one stack, keepAliases decides.
        const foreign = found.filter(({ labels }) => otherOwner(labels, settings) !== undefined);
        return [
          checkContainerName(host, holder, settings),
          checkSharedNetwork(host, found),
          ...checkTakeOver(host, foreign, own.length > 0),
          ...checkAlias(host, foreign),
        ].filter((each) => each !== undefined);
      }),
      ...checkAnswer(networks, (existing) => checkNetwork(host, existing)),
      ...checkAnswer(volumes),
      ...(drift?.fault === undefined
        ? []
        : [warning(`${host.containerName}: ${drift.fault}; up starts and checks it again`)]),
    ],
    mounts: serving?.mounts,
    aliases: containers.ok ? aliasesOf(serving, settings) : undefined,
    drift,
  };
}

/** The containers of the engine that the checks of its hosts look at. */
async function containersAbout(
  hosts: readonly HostSettings[],
  { project, stack }: Settings,
  docker: DockerClient,
): Promise<Answer<readonly ContainerInfo[]>> {
  const listed = await docker.allContainers();
  if (!listed.ok) return listed;
  const names = new Set(
    hosts.flatMap(({ containerName, takeOver, network }) =>
      [containerName, ...(takeOver === undefined ? [] : [takeOver, keptName(takeOver)])].concat(
        sharedContainer(network) ?? [],
      ),
    ),
  );
  const networks = new Set(hosts.map(({ network }) => network));
  const ids = listed.value
    .filter(
      (each) =>
        each.host.startsWith(`${project}/${stack}/`) ||
        each.names.some((name) => names.has(name)) ||
        each.networks.some((network) => networks.has(network)),
    )
    .map(({ id }) => id);
  return docker.containers(ids);
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
