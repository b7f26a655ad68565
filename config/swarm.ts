import type { AcceleratorName } from "../catalog/accelerators";
import { type ImageMirror, mirrored } from "../catalog/imageMirror";
import { swarmProblems } from "../catalog/swarm";
import { isNamespace } from "../catalog/networks";
import type { Problem } from "../util/problem";
import { containerOnly } from "./container";
import { type HostEntry, swarmSchema } from "./schema";
import type { ImageSource, SwarmSettings } from "./settings";
import { isEveryAddress } from "./values";

/** Docker's own registry, version 2.8.3: the index of all its architectures on Docker Hub. */
const registryImage =
  "docker.io/library/registry@sha256:a3d8aaa63ed8681a604f1dea0aa03f100d5895b6a58ace528858a7b332415373";

/** How a host runs as a service of a swarm, with everything the stack file leaves out. */
export function resolveSwarm(
  host: HostEntry,
  image: ImageSource | undefined,
  imageMirror: ImageMirror | undefined,
): SwarmSettings | undefined {
  if (host.placement !== "swarm") return undefined;
  const { registry, ...entry } = host.swarm ?? swarmSchema.parse({});
  if (typeof registry === "string") return { ...entry, registry, ownRegistry: undefined };
  // Only the node that built an image has it; one from a registry can be pulled by all.
  if (!registry && image?.kind !== "legacy") {
    return { ...entry, registry: undefined, ownRegistry: undefined };
  }
  const port = registry?.port ?? 5000;
  return {
    ...entry,
    // Every node reaches it at this address, and needs no TLS there.
    registry: `127.0.0.1:${port}`,
    ownRegistry: { port, image: registry?.image ?? mirrored(registryImage, imageMirror) },
  };
}

/** What of a host's settings a service of a swarm cannot have. */
export function placementProblems(
  host: HostEntry,
  key: string,
  accelerator: AcceleratorName,
): Problem[] {
  if (host.placement === "container") {
    const expected = "must be swarm, because swarm is set; or remove swarm";
    return host.swarm ? [{ key: `${key}.placement`, value: host.placement, expected }] : [];
  }
  const { gpus, containerName, takeOver, cache, cacheModels, restart } = host;
  const { hardening, publish, swarm } = host;
  const leftOut = "must be left out with placement: swarm";
  const isEverywhere = publish && isEveryAddress(publish.address);
  // What is undefined is fine.
  const refusals: readonly (readonly [field: string, value: unknown, expected: string])[] = [
    [
      "gpus",
      gpus,
      "cannot be given to a service of a swarm, which asks its nodes for generic resources: swarm.genericResources, such as { NVIDIA-GPU: 1 }",
    ],
    [
      "containerName",
      containerName,
      `${leftOut}, which names the containers of a service itself; the service is called immich-ml-${host.name}`,
    ],
    ["takeOver", takeOver, `${leftOut}: only a container can be handed over`],
    [
      "cache.path",
      cache.path,
      `${leftOut}: a task starts only on nodes that have the folder, and only one node is reached from here; cache.volume names a volume of each node`,
    ],
    [
      "cacheModels",
      cacheModels,
      `${leftOut}: each node has a volume of its own, and only one engine is reached from here`,
    ],
    [
      "network",
      host.network !== undefined && isNamespace(host.network) ? host.network : undefined,
      "must be an overlay network with placement: swarm, or left out",
    ],
    ["limits.swap", host.limits.swap, `${leftOut}: services have no such setting`],
    ["limits.cpuset", host.limits.cpuset, `${leftOut}: services have no such setting`],
    ...containerOnly.map(
      (field) =>
        [field, host[field], `${leftOut}: this program does not support it for services`] as const,
    ),
    [
      "restart",
      ["no", "on-failure", "always"].includes(restart) ? undefined : restart,
      "must be one of no, on-failure, always with placement: swarm, where nothing is stopped by hand",
    ],
    [
      "hardening.noNewPrivileges",
      hardening.noNewPrivileges || undefined,
      `${leftOut}: services have no such setting, but none of root's capabilities either (dropCapabilities)`,
    ],
    [
      "hardening.limitProcesses",
      hardening.limitProcesses || undefined,
      `${leftOut}: only limits.memory limits the number of a service's processes`,
    ],
    [
      "publish.address",
      isEverywhere ? undefined : publish?.address,
      "must be 0.0.0.0 with placement: swarm, which opens the port on every address of every node; leave publish out and Immich reaches it by its name on the network",
    ],
  ];
  return [
    ...swarmProblems({
      accelerator,
      endpointMode: swarm?.endpointMode ?? "vip",
      isPublished: publish !== undefined,
    }).map((problem) => ({
      ...problem,
      key: `${key}.${problem.key.replace("endpointMode", "swarm.endpointMode")}`,
    })),
    ...refusals
      .filter(([, value]) => value !== undefined)
      .map(([field, value, expected]) => ({ key: `${key}.${field}`, value, expected })),
  ];
}
