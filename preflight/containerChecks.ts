import { isNamespace } from "../catalog/networks";
import type { HostSettings } from "../config/load";
import { type Diagnostic, error, note, warning } from "./diagnostics";
import type { ContainerInfo } from "../util/dockerAnswers";

/** Whose containers may be replaced: this stack's. */
export interface Owner {
  readonly project: string;
  readonly stack: string;
}

/** The stack that an object's labels name; undefined for an object of ours. */
export function otherOwner(
  labels: Readonly<Record<string, string>>,
  owner: Owner,
): { readonly stack: string | undefined } | undefined {
  const stack = labels["org.immich-ml.stack"];
  const project = labels["org.immich-ml.project"];
  if (stack === owner.stack && project === owner.project) return undefined;
  return { stack: stack === undefined ? undefined : `${project}/${stack}` };
}

/** Checks whether the container's name is free for this stack. */
export function checkContainerName(
  host: HostSettings,
  existing: ContainerInfo | undefined,
  owner: Owner,
): Diagnostic | undefined {
  const { containerName } = host;
  const other = existing && otherOwner(existing.labels, owner);
  if (!other) return undefined;
  const taken = `the container name ${containerName} is taken by`;
  if (other.stack !== undefined) {
    return error(
      `${taken} stack ${other.stack}: give this host another containerName, or destroy that stack first`,
    );
  }
  if (existing.name === host.takeOver) return undefined;
  return error(
    `${taken} ${described(existing)}. To hand it over: takeOver: ${containerName}; it runs until the new one has computed, and comes back with destroy. Or give this host another containerName`,
  );
}

/** `docker compose's service NAME`, or what else it is. */
function described({ labels }: ContainerInfo): string {
  const service = labels["com.docker.compose.service"];
  return service === undefined
    ? "a container that this program did not create"
    : `docker compose's service ${service}`;
}

/** The name of a container that was taken over, while it is kept. */
export function keptName(takeOver: string): string {
  return `${takeOver}-before-immich-ml`;
}

/** Says what a hand-over does, and whether there is anything to hand over. */
export function checkTakeOver(
  { takeOver, cache, networkAlias }: HostSettings,
  containers: readonly ContainerInfo[],
  isDeployed: boolean,
): readonly Diagnostic[] {
  if (takeOver === undefined) return [];
  const named = (name: string) => containers.find((container) => container.name === name);
  const [former, kept] = [named(takeOver), named(keptName(takeOver))];
  if (former && kept) {
    return [
      error(
        `there are both ${takeOver} and ${kept.name}, which takeOver kept: remove the one that you do not need (docker rm)`,
      ),
    ];
  }
  if (!former) {
    if (kept || isDeployed) return [];
    return [error(`takeOver: there is no container ${takeOver}; docker ps -a lists them`)];
  }
  const handOver = `takes over from ${takeOver} (${described(former)}), which answers as ${networkAlias} until the new container has computed; then it is stopped and kept as ${keptName(takeOver)}, and destroy brings it back`;
  return [note(handOver), ...checkCache(former, cache)];
}

function checkCache(former: ContainerInfo, cache: HostSettings["cache"]): readonly Diagnostic[] {
  const { name, cache: mounted } = former;
  if (!mounted) return [];
  const isSame =
    cache.kind === "volume" ? cache.volume === mounted.volume : cache.path === mounted.source;
  if (isSame) return [];
  const [place, setting] =
    mounted.volume === undefined
      ? [`the folder ${mounted.source}`, `{ path: ${mounted.source} }`]
      : [`the volume ${mounted.volume}`, `{ volume: ${mounted.volume} }`];
  const declared =
    cache.kind === "volume" ? `the volume ${cache.volume}` : `the folder ${cache.path}`;
  return [
    warning(
      `${name} keeps its models in ${place}, and this host in ${declared}: set cache: ${setting} to keep them`,
    ),
  ];
}

/** Checks whether another server has the same name in the network, which would get half of the requests. */
export function checkAlias(
  { network, networkAlias, takeOver }: HostSettings,
  others: readonly ContainerInfo[],
): readonly Diagnostic[] {
  if (network === undefined) return [];
  return others
    .filter(({ name, running, aliasesIn }) => {
      const isKept = takeOver !== undefined && [takeOver, keptName(takeOver)].includes(name);
      return running && !isKept && aliasesIn[network]?.includes(networkAlias);
    })
    .map((other) =>
      error(
        `${other.name} (${described(other)}) answers as ${networkAlias} in the network ${network}, too, and would get part of Immich's requests. Hand it over: takeOver: ${other.name}; or stop it, or give this host another networkAlias`,
      ),
    );
}

/** The container whose network is shared; undefined for a network, and for that of the host. */
export function sharedContainer(network: string | undefined): string | undefined {
  return network?.startsWith("container:") ? network.slice("container:".length) : undefined;
}

/** Checks whether the container whose network is to be shared runs. */
export function checkSharedNetwork(
  { network }: HostSettings,
  existing: readonly ContainerInfo[],
): Diagnostic | undefined {
  const other = sharedContainer(network);
  if (other === undefined || existing.some(({ name, running }) => name === other && running)) {
    return undefined;
  }
  return error(
    `network: ${network} needs a container ${other} that runs; start it first, or correct network`,
  );
}

/** Checks whether the networks to join exist. */
export function checkNetwork(
  host: Pick<HostSettings, "network" | "networks">,
  networks: readonly string[],
): Diagnostic | undefined {
  const wanted = [host.network, ...(host.networks ?? [])].filter((name) => name !== undefined);
  const network = wanted.find((name) => !isNamespace(name) && !networks.includes(name));
  if (network === undefined) return undefined;
  const others = networks.filter((name) => !["host", "none"].includes(name)).join(", ");
  return error(
    `the network ${network} does not exist; there are ${others}. Start Immich first (docker compose up -d), or correct network (immich.network)`,
  );
}
