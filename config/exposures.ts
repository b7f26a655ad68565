import { isEveryAddress } from "./values";
import type { HostSettings, Settings } from "./settings";

/** What a stack lets others reach or read, though its user may not know: a warning each. */
export function exposures(settings: Settings): string[] {
  return [
    ...settings.hosts.flatMap((host) => [...openPort(host), ...openRegistry(host)]),
    ...readableKey(settings),
  ];
}

function openPort({ name, publish, swarm, network, environment }: HostSettings): string[] {
  const { host = "0.0.0.0", IMMICH_HOST: address = host } = environment;
  if (network === "host" && isEveryAddress(String(address).replace(/[[\]]/g, ""))) {
    return [
      `${name}: network: host opens the server's port on every address of the host, and Immich's machine learning has no authentication: set environment.host to the one where Immich reaches it, or let a firewall admit only Immich's server`,
    ];
  }
  if (!publish || !(swarm || isEveryAddress(publish.address))) return [];
  const where = swarm ? "on every address of every node" : "on every address of the host";
  const instead = swarm
    ? "leave publish out, since Immich reaches the service on its network"
    : "set publish.address to the one where Immich reaches it";
  return [
    `${name}: publish opens port ${publish.port} ${where}, and Immich's machine learning has no authentication: ${instead}, or let a firewall admit only Immich's server`,
  ];
}

function openRegistry({ name, swarm }: HostSettings): string[] {
  if (!swarm?.ownRegistry) return [];
  const { ownRegistry, endpointMode } = swarm;
  const where = endpointMode === "vip" ? "on every node" : "on its node";
  return [
    `${name}: the registry this program runs on a manager of the swarm has neither password nor TLS, and its port ${ownRegistry.port} is open ${where}: let a firewall admit only the nodes, or set swarm.registry`,
  ];
}

/** An API key that crosses a network unencrypted. */
function readableKey({ immich, models }: Settings): string[] {
  const address = models && immich.api ? new URL(immich.api.url) : undefined;
  if (!address || address.protocol !== "http:" || isLoopback(address.hostname)) return [];
  return [
    `immich.api.url ${address.origin} is not encrypted: whoever is on the way to ${address.hostname} can read the administrator's API key; use https://, or an address of this machine`,
  ];
}

function isLoopback(hostname: string): boolean {
  return /^(localhost|.*\.localhost|127\.[\d.]+|\[::1\]|\[::ffff:7f[0-9a-f]{2}:[0-9a-f]+\])$/.test(
    hostname,
  );
}
