import { isNamespace } from "../catalog/networks";
import type { HostSettings } from "../config/load";
import { type Diagnostic, error } from "./diagnostics";
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
  { containerName }: HostSettings,
  existing: ContainerInfo | undefined,
  owner: Owner,
): Diagnostic | undefined {
  const other = existing && otherOwner(existing.labels, owner);
  if (!other) return undefined;
  const taken = `the container name ${containerName} is taken by`;
  if (other.stack !== undefined) {
    return error(
      `${taken} stack ${other.stack}: give this host another containerName, or destroy that stack first`,
    );
  }
  const {
    "com.docker.compose.service": service,
    "com.docker.compose.project.config_files": files = "the compose file",
    "com.docker.compose.project.working_dir": folder,
  } = existing.labels;
  if (service === undefined) {
    return error(
      `${taken} a container that is not ours: remove it (docker rm -f ${containerName}), or give this host another containerName`,
    );
  }
  const inFolder = folder ? `in ${folder} run ` : "";
  return error(
    `${taken} docker compose's service ${service}. To hand it over: ${inFolder}docker compose rm --stop --force ${service}, then delete the service from ${files}; its volume and models stay. Or give this host another containerName`,
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
