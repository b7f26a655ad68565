import type { HostSettings } from "../config/load";
import type { ContainerInfo } from "../util/dockerAnswers";
import { keptName, otherOwner, type Owner } from "./containerChecks";

/** What differs on a host's engine from what runs there after an `up`. */
export interface HostDrift {
  /** No container of this host exists: it was deleted, or never made. */
  readonly isContainerMissing: boolean;
  /** The cache's volume does not exist. */
  readonly isVolumeMissing: boolean;
  /** Why the container does not serve, and since when; undefined where it does, or is missing. */
  readonly fault: string | undefined;
}

/** Whether a container is that of a host, also one of a release that did not label it with the host. */
export function isOwn(host: HostSettings, container: ContainerInfo, owner: Owner): boolean {
  const label = container.labels["org.immich-ml.host"];
  if (label !== undefined) return label === `${owner.project}/${owner.stack}/${host.name}`;
  return container.name === host.containerName && otherOwner(container.labels, owner) === undefined;
}

/** Compares what exists with what a stack that is up to date has. */
export function driftOf(
  host: HostSettings,
  containers: readonly ContainerInfo[],
  volumes: readonly string[],
  owner: Owner,
): HostDrift {
  const own = containers.filter((container) => isOwn(host, container, owner));
  return {
    isContainerMissing: own.length === 0,
    isVolumeMissing: host.cache.kind === "volume" && !volumes.includes(host.cache.volume),
    fault: own.length === 0 ? undefined : faultOf(host, own, containers),
  };
}

function faultOf(
  { containerName, takeOver }: HostSettings,
  own: readonly ContainerInfo[],
  all: readonly ContainerInfo[],
): string | undefined {
  const serving = own.find(({ name }) => name === containerName);
  if (!serving) return `an interrupted run left ${own.map(({ name }) => name).join(", ")}`;
  const back = all.find(
    ({ name, running }) =>
      takeOver !== undefined && running && [takeOver, keptName(takeOver)].includes(name),
  );
  if (back) return `${back.name} runs again since ${back.state.startedAt}`;
  const { status, exitCode, startedAt, finishedAt, health } = serving.state;
  if (status === "restarting") return `it keeps restarting (exit code ${exitCode})`;
  if (!serving.running)
    return `it does not run (${status}, exit code ${exitCode}) since ${finishedAt}`;
  return health === "unhealthy" ? `it is unhealthy; it started at ${startedAt}` : undefined;
}
