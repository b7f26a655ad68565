import type { EngineAddress } from "../util/dockerClient";
import { type Answer, DockerClient, unanswered } from "../util/docker";
import type { ContainerInfo } from "../util/dockerAnswers";
import type { Run } from "../util/run";

/** The container that runs Immich's database. */
export interface DatabaseContainer extends EngineAddress {
  readonly name: string;
  /** The port inside the container. */
  readonly port: number;
  /** The network whose address is preferred. */
  readonly network?: string | undefined;
}

/** Where the database is reached from this machine. */
export interface DatabaseLocation {
  readonly host: string;
  readonly port: number;
}

/** Looks up where the database is now: a container may get another address at each start. */
export async function locateDatabase(
  { name, port, network, dockerHost, tls }: DatabaseContainer,
  run: Run,
): Promise<Answer<DatabaseLocation>> {
  const docker = new DockerClient({ dockerHost, tls }, run);
  const failed = (message: string) => unanswered(`Immich's database: ${message}`);
  const info = await docker.info();
  if (!info.ok) return failed(info.message);
  const container = await docker.container(name);
  if (!container.ok) return failed(container.message);
  if (!container.value) {
    return failed(
      `there is no container ${name} at ${dockerHost}; correct immich.database.container, or set immich.database.host`,
    );
  }
  if (!container.value.running) {
    return failed(`the container ${name} is not running; start it: docker start ${name}`);
  }
  const isVirtualMachine = info.value.operatingSystem === "Docker Desktop";
  const options = { port, network, endpoint: dockerHost, isVirtualMachine };
  const value = lookUpContainerAddress(container.value, options);
  return value
    ? { ok: true, value }
    : failed(
        `port ${port} of ${name} cannot be reached from here; publish it on the host, or set immich.database.host`,
      );
}

/**
 * Where a port of a container is reached from this machine.
 *
 * A container of the local engine is reached at its own address, preferably that in `network`; one
 * of a remote engine, or of Docker Desktop's virtual machine, only at a published port.
 *
 * @returns undefined when it cannot be reached
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
  const { port, network, endpoint, isVirtualMachine } = options;
  const isLocal = endpoint.startsWith("unix://");
  const own =
    network !== undefined && Object.hasOwn(container.addresses, network)
      ? container.addresses[network]
      : Object.values(container.addresses)[0];
  if (isLocal && own && !isVirtualMachine) return { host: own, port };
  const published = container.published[String(port)];
  if (!published) return undefined;
  const isEverywhere = ["", "0.0.0.0", "::"].includes(published.address);
  const here = isLocal ? "127.0.0.1" : new URL(endpoint).hostname;
  return { host: isEverywhere ? here : published.address, port: published.port };
}
