import { dockerClientEnvironment, type EngineAddress } from "../util/dockerClient";
import { type ContainerInfo, parseContainer } from "../util/dockerContainer";
import type { Run } from "../util/run";
import { sanitize } from "../util/sanitize";

/** The container that runs Immich's database. */
export interface DatabaseContainer extends EngineAddress {
  readonly name: string;
  /** The port inside the container. */
  readonly port: number;
  /** The network whose address is preferred. */
  readonly network?: string | undefined;
}

export interface DatabaseLocation {
  readonly host: string;
  readonly port: number;
}

/** Looks up where the database is now: a container may get another address at each start. */
export async function locateDatabase(
  container: DatabaseContainer,
  run: Run,
): Promise<DatabaseLocation> {
  const docker = (...parameters: string[]) =>
    run("docker", parameters, { environment: dockerClientEnvironment(container) });
  const info = await docker("info", "--format", "{{.OperatingSystem}}");
  if (info.code !== 0) {
    const reason = sanitize(info.stderr.trim() || info.stdout.trim(), 300);
    throw new Error(
      `Docker at ${container.dockerHost} does not say where ${container.name} is: ${reason}`,
    );
  }
  const inspected = parseContainer((await docker("container", "inspect", container.name)).stdout);
  const isVirtualMachine = info.stdout.trim() === "Docker Desktop";
  const address = addressOfDatabase(inspected, { ...container, isVirtualMachine });
  if (typeof address === "string") throw new Error(address);
  return address;
}

/** @returns the address, or one sentence for the user: why there is none and what to do. */
export function addressOfDatabase(
  container: ContainerInfo | undefined,
  wanted: DatabaseContainer & { readonly isVirtualMachine: boolean },
): DatabaseLocation | string {
  const { name, port, network, dockerHost: endpoint, isVirtualMachine } = wanted;
  if (!container) {
    return `Immich's database: there is no container ${name} at ${endpoint}; correct immich.database.container, or give immich.database.host`;
  }
  if (!container.running) {
    return `Immich's database: the container ${name} is not running; start it: docker start ${name}`;
  }
  return (
    lookUpContainerAddress(container, { port, network, endpoint, isVirtualMachine }) ??
    `Immich's database: port ${port} of ${name} is not reached from here; publish it on the host, or give immich.database.host`
  );
}

/**
 * Where a port of a container is reached from this machine.
 *
 * A container of the local engine is reached at its own address, preferably that of `network`; one
 * of a remote engine, or of Docker Desktop's virtual machine, only at a published port.
 *
 * @returns undefined when it is not reached at all
 */
export function lookUpContainerAddress(
  container: ContainerInfo,
  options: {
    readonly port: number;
    readonly network?: string | undefined;
    readonly endpoint: string;
    readonly isVirtualMachine?: boolean;
  },
): DatabaseLocation | undefined {
  const isLocal = options.endpoint.startsWith("unix://");
  const published = container.published[String(options.port)];
  const { network } = options;
  const own =
    network !== undefined && Object.hasOwn(container.addresses, network)
      ? container.addresses[network]
      : Object.values(container.addresses)[0];
  if (isLocal && own && !options.isVirtualMachine) return { host: own, port: options.port };
  if (!published) return undefined;
  const isEverywhere = ["", "0.0.0.0", "::"].includes(published.address);
  const here = isLocal ? "127.0.0.1" : new URL(options.endpoint).hostname;
  return { host: isEverywhere ? here : published.address, port: published.port };
}
