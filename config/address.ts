import { isIP } from "node:net";

import { isNamespace } from "../catalog/networks";
import { atLeast, type ImmichVersion } from "../catalog/immichVersion";
import { machineOf } from "../util/dockerClient";
import type { Problem } from "../util/problem";
import { bareHostname } from "../util/webUrl";
import type { HostEntry, ImmichEntry } from "./schema";
import { isEveryAddress } from "./values";

/*
 * Whether Immich's server can reach a host at the address that its entry gives.
 */

interface Reach {
  readonly immich: ImmichEntry | undefined;
  /** The network that the container joins. */
  readonly network: string | undefined;
  readonly version: ImmichVersion | undefined;
}

export function addressProblems(host: HostEntry, key: string, reach: Reach): Problem[] {
  return [
    ...urlProblems(host, key, reach),
    ...publishProblems(host, key, reach),
    ...listenProblems(host, key, reach),
  ];
}

function urlProblems({ url: value, ...host }: HostEntry, key: string, reach: Reach): Problem[] {
  if (value === undefined || !URL.canParse(value)) return [];
  const problem = (expected: string) => [{ key: `${key}.url`, value, expected }];
  const { hostname, pathname, search, hash } = new URL(value);
  const name = bareHostname(hostname);
  if (isIP(name) && isEveryAddress(name)) {
    return problem(
      "is no address to reach: give the one of the host, such as http://192.168.1.20:3003",
    );
  }
  if (isLoopback(name) && !sharesLoopback(host, reach)) {
    return problem(
      "leads Immich's server to its own container: give the host's address in your network, such as http://192.168.1.20:3003",
    );
  }
  if (search + hash !== "") return problem("must end with the host, port or path");
  // Since v3.0.0 Immich adds to a path that ends with "/"; before, it takes the host and port alone.
  const takesPath = !reach.version || atLeast(reach.version, "3.0.0");
  if (pathname === "/" || (takesPath && pathname.endsWith("/"))) return [];
  return problem(
    takesPath
      ? 'has a path that Immich drops, since it does not end with "/"; /ping and /predict are added by Immich'
      : "has a path, which Immich before v3.0.0 drops: give the host and port alone",
  );
}

function publishProblems(
  { publish, url, ...host }: HostEntry,
  key: string,
  reach: Reach,
): Problem[] {
  if (!publish || url !== undefined || !reach.immich || !isLoopback(publish.address)) return [];
  // In a common network Immich reaches the host by its name.
  if (reach.network !== undefined || host.placement === "swarm" || host.swarm) return [];
  if (sharesLoopback({ ...host, publish }, reach)) return [];
  return [
    {
      key: `${key}.publish.address`,
      value: publish.address,
      expected:
        "is reached on that machine alone, and Immich's server is not there: give the machine's address in your network",
    },
  ];
}

/** A server that listens on its loopback only is reached from inside its container alone. */
function listenProblems({ environment }: HostEntry, key: string, { network }: Reach): Problem[] {
  if (network !== undefined && isNamespace(network)) return [];
  return ["host", "IMMICH_HOST"].flatMap((name) => {
    const value = environment[name];
    if (typeof value !== "string" || !isLoopback(bareHostname(value))) return [];
    const expected =
      "is reached from inside the container only, so Immich's server cannot reach it: leave it out, or give 0.0.0.0";
    return [{ key: `${key}.environment.${name}`, value, expected }];
  });
}

/** Whether Immich's server, too, has the loopback where the host listens. */
function sharesLoopback(
  { dockerHost, publish }: Pick<HostEntry, "dockerHost" | "publish">,
  { immich, network }: Reach,
): boolean {
  // Which containers share a network of another, a stack file does not tell.
  if (network?.startsWith("container:")) return true;
  const isOnHost = network === "host" || publish !== undefined;
  const mayBeOnHost = immich?.network === undefined || immich.network === "host";
  const isSameMachine = machineOf(dockerHost) === machineOf(immich?.dockerHost ?? "");
  return isOnHost && mayBeOnHost && isSameMachine;
}

function isLoopback(name: string): boolean {
  return /^(localhost|.*\.localhost|127\.[\d.]+|::1|::ffff:7f[0-9a-f]{2}:[0-9a-f]+)$/i.test(name);
}
