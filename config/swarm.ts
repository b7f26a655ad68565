import { type AcceleratorName, accelerators } from "../catalog/accelerators";
import { mirrored } from "../catalog/imageMirror";
import type { Problem } from "./errors";
import type { ImageSource } from "./resolve";
import { type HostEntry, type SwarmEntry, swarmSchema } from "./schema";

/**
 * Docker's own registry, version 2.8.3: the index of all its architectures on Docker Hub.
 */
const registryImage =
  "docker.io/library/registry@sha256:a3d8aaa63ed8681a604f1dea0aa03f100d5895b6a58ace528858a7b332415373";

/** How a host's machine learning runs as a service of a Docker Swarm. */
export interface SwarmSettings extends Omit<SwarmEntry, "registry"> {
  /**
   * Where the image is pushed to and every node pulls it from, such as
   * `registry.lan:5000/immich`; undefined where the nodes pull it from where it comes from.
   */
  readonly registry: string | undefined;
  /** The registry that this program runs on the swarm, where none was given and one is needed. */
  readonly ownRegistry: { readonly port: number; readonly image: string } | undefined;
}

/** What a stack file says of a swarm, with everything it leaves out. */
export function resolveSwarm(
  host: HostEntry,
  image: ImageSource | undefined,
  imageMirror: string | undefined,
): SwarmSettings {
  const { registry, ...entry } = host.swarm ?? swarmSchema.parse({});
  if (typeof registry === "string") return { ...entry, registry, ownRegistry: undefined };
  // What was built on one node is known to no other; what comes from a registry is known to all.
  if (!registry && image?.kind !== "legacy") {
    return { ...entry, registry: undefined, ownRegistry: undefined };
  }
  const port = registry?.port ?? 5000;
  return {
    ...entry,
    // By this address every node reaches it, and takes it without TLS.
    registry: `127.0.0.1:${port}`,
    ownRegistry: { port, image: registry?.image ?? mirrored(registryImage, imageMirror) },
  };
}

/** What of a host's settings a service of a swarm cannot be given, a problem each. */
export function swarmProblems(
  host: HostEntry,
  key: string,
  accelerator: AcceleratorName,
): Problem[] {
  if (host.placement === "container") {
    const expected = "must be swarm, since swarm is given; or leave that out";
    return host.swarm ? [{ key: `${key}.placement`, value: host.placement, expected }] : [];
  }
  const { devices } = accelerators[accelerator];
  const hasDevices = devices.length > 0;
  const isTrue = (value: boolean | undefined) => value === true;
  const refusals: readonly (readonly [string, unknown, boolean, string])[] = [
    [
      "accelerator",
      accelerator,
      hasDevices,
      `needs the device nodes ${devices.join(", ")}, which Docker gives to no service of a swarm; with placement: swarm it must be cpu or cuda, or use placement: container on each machine`,
    ],
    [
      "gpus",
      host.gpus,
      host.gpus !== undefined,
      "cannot be given to a service of a swarm, which asks its nodes for generic resources: swarm.genericResources, such as { NVIDIA-GPU: 1 }",
    ],
    [
      "containerName",
      host.containerName,
      host.containerName !== undefined,
      `must be left out with placement: swarm, which names the containers of a service itself; the service is called immich-ml-${host.name}`,
    ],
    [
      "cacheModels",
      host.cacheModels,
      host.cacheModels !== undefined,
      "must be left out with placement: swarm: each node has a volume of its own, and only one engine is reached from here",
    ],
    [
      "restart",
      host.restart,
      host.restart === "unless-stopped",
      "must be one of no, on-failure, always with placement: swarm, where nothing is stopped by hand",
    ],
    [
      "hardening.noNewPrivileges",
      true,
      isTrue(host.hardening.noNewPrivileges),
      "must be left out with placement: swarm: services cannot be told so; they have none of root's capabilities instead (dropCapabilities)",
    ],
    [
      "hardening.limitProcesses",
      true,
      isTrue(host.hardening.limitProcesses),
      "must be left out with placement: swarm: the number of a service's processes is limited by limits.memory only",
    ],
    [
      "publish.address",
      host.publish?.address,
      host.publish !== undefined && !["0.0.0.0", "::"].includes(host.publish.address),
      "must be 0.0.0.0 with placement: swarm, which opens the port on every address of every node; leave publish out and Immich reaches it by its name on the network",
    ],
    [
      "swarm.endpointMode",
      host.swarm?.endpointMode,
      host.publish !== undefined && host.swarm?.endpointMode === "dnsrr",
      "must be vip together with publish: a port is opened for a virtual address only",
    ],
  ];
  return refusals
    .filter(([, , isRefused]) => isRefused)
    .map(([field, value, , expected]) => ({ key: `${key}.${field}`, value, expected }));
}
