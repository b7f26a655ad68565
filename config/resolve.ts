import { isNamespace } from "../catalog/networks";
import { engineOf, isSameEngine } from "../util/dockerClient";
import type { Problem, Resolved } from "../util/problem";
import { resolveHost } from "./host";
import type { CheckedStack, DetectedGpus, HostSettings, Settings } from "./settings";
import { isEveryAddress } from "./values";
import { reindexProblems, resolveSelection, storeProblems } from "./store";

const unusedRole =
  "immich.database.role is no longer used and will be refused by the next release: remove it";

/**
 * What a stack file means as a whole, with every contradiction between its parts.
 *
 * @param detected the GPUs of the hosts whose `gpu` is `auto`; without them these have no image yet
 * @returns no value where a part is missing
 */
export function resolve(
  stack: CheckedStack,
  detected: DetectedGpus = {},
): Resolved<Settings | undefined> {
  const { parts } = stack;
  const resolved = (parts.hosts ?? []).map(
    (host, index) => host && resolveHost(host, index, stack, detected),
  );
  const hosts = resolved.map((host) => host?.value);
  const models = resolveSelection(parts, hosts);
  const problems = [
    ...resolved.flatMap((host) => host?.problems ?? []),
    ...duplicates(hosts),
    ...storeProblems(stack),
    ...reindexProblems(parts),
    ...models.problems,
  ];
  const notes = [
    ...stack.notes,
    ...(parts.immich?.database?.role === undefined ? [] : [unusedRole]),
    ...resolved.flatMap((host) => host?.notes ?? []),
    ...models.notes,
  ];

  const { immich, build, version } = parts;
  const isComplete = hosts.length > 0 && !hosts.includes(undefined);
  if (!isComplete || !immich || !build || !version) return { value: undefined, problems, notes };
  const value: Settings = {
    project: stack.project,
    stack: stack.stack,
    hosts: hosts.filter((host) => host !== undefined),
    immich,
    version,
    build,
    models: models.value,
    embeddings: parts.embeddings ?? "clear",
    onDestroy: parts.onDestroy ?? "keepModel",
    allowUnknownModels: parts.allowUnknownModels ?? false,
    reindex: parts.reindex ?? false,
    redetectFacesLosingNames: parts.redetectFacesLosingNames ?? false,
    preflight: parts.preflight ?? "enforce",
    secrets: stack.secrets,
    source: stack,
  };
  return { value, problems, notes };
}

/** The settings once the GPUs of the hosts whose `gpu` is `auto` are known. */
export function withDetectedGpus(
  { source }: Settings,
  detected: DetectedGpus,
): Resolved<Settings | undefined> {
  return resolve(source, detected);
}

/** What only one host may have, such as a container's name on its engine. */
function duplicates(hosts: readonly (HostSettings | undefined)[]): Problem[] {
  const claims = hosts.flatMap((host, index) => (host ? claimsOf(host, `hosts[${index}]`) : []));
  const taken = claims.flatMap(({ what, key, value }, index) => {
    const first = claims.findIndex((other) => other.what === what);
    return first === index
      ? []
      : [{ key, value, expected: `is already used by ${claims[first]!.key}` }];
  });
  return [
    ...taken,
    ...hosts.flatMap((host, index) => [
      ...tlsContradiction(host, index, hosts),
      ...portContradiction(host, index, hosts),
    ]),
  ];
}

function claimsOf(host: HostSettings, key: string) {
  const { name, dockerHost, containerName, takeOver, cache, network } = host;
  const { networkAlias, publish } = host;
  const registryPort = host.swarm?.ownRegistry?.port;
  const claim = (isMade: unknown, what: string, field: string, value: unknown) =>
    isMade ? [{ what: `${engineOf(dockerHost)} ${what}`, key: `${key}.${field}`, value }] : [];
  return [
    { what: `name ${name}`, key: `${key}.name`, value: name },
    ...claim(true, `container ${containerName}`, "containerName", containerName),
    // It may leave its name to the host's own container.
    ...claim(takeOver !== containerName && takeOver, `container ${takeOver}`, "takeOver", takeOver),
    ...(cache.kind === "volume"
      ? claim(true, `volume ${cache.volume}`, "cache.volume", cache.volume)
      : claim(true, `folder ${cache.path}`, "cache.path", cache.path)),
    ...claim(
      network && !isNamespace(network),
      `network ${network} ${networkAlias}`,
      "networkAlias",
      networkAlias,
    ),
    ...claim(publish, `port ${publish?.address}:${publish?.port}`, "publish", publish),
    ...claim(registryPort, `registry ${registryPort}`, "swarm.registry.port", registryPort),
  ];
}

/** A port on every address of an engine is taken on each of them. */
function portContradiction(
  host: HostSettings | undefined,
  index: number,
  hosts: readonly (HostSettings | undefined)[],
): Problem[] {
  const { publish: own, dockerHost } = host ?? {};
  if (!own || dockerHost === undefined) return [];
  const first = hosts.findIndex((other, at) => {
    const { publish } = other ?? {};
    return (
      at < index &&
      publish?.port === own.port &&
      publish.address !== own.address &&
      isSameEngine(other!.dockerHost, dockerHost) &&
      (isEveryAddress(publish.address) || isEveryAddress(own.address))
    );
  });
  if (first < 0) return [];
  const expected = `has a port that hosts[${first}].publish opens already on ${isEveryAddress(own.address) ? hosts[first]!.publish!.address : "every address"}; give each a port of its own`;
  return [{ key: `hosts[${index}].publish`, value: own, expected }];
}

/** One engine is reached in one way. */
function tlsContradiction(
  host: HostSettings | undefined,
  index: number,
  hosts: readonly (HostSettings | undefined)[],
): Problem[] {
  const first =
    host && hosts.find((other) => other && isSameEngine(other.dockerHost, host.dockerHost));
  if (!host || !first || first.tls === host.tls) return [];
  const expected = `must be that of host ${first.name}, because both are on ${host.dockerHost}`;
  return [{ key: `hosts[${index}].tls`, value: host.tls, expected }];
}
