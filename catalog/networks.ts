/*
 * Docker's own words for networks, which are no networks that containers have names on.
 */

/** Whether a container shares the network of the host or of another container, and so has no name there. */
export function isNamespace(network: string): boolean {
  return network === "host" || network.startsWith("container:");
}

/** Why a container cannot be reached on one of Docker's own networks; undefined for any other. */
export function networkProblem(network: string): string | undefined {
  return Object.hasOwn(refused, network) ? refused[network] : undefined;
}

const nameless =
  ", where containers have no names, so Immich's server could not find this one: name the network of Immich's compose file (docker network ls), such as immich_default";
const bridge = `is Docker's default network${nameless}`;

const refused: Readonly<Record<string, string>> = {
  bridge,
  default: `${bridge}; compose's own name for it is <project>_default`,
  pasta: `is rootless Podman's own network${nameless}`,
  slirp4netns: `is rootless Podman's own network${nameless}`,
  none: "is no network at all, so Immich's server could not reach the service",
  ingress: "is the swarm's own network, which containers do not join",
  docker_gwbridge: "is the swarm's own network, which containers do not join",
};
