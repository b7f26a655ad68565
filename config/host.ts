import type { AcceleratorName } from "../catalog/accelerators";
import { gpuChoiceProblem } from "../catalog/deviceIds";
import type { ImmichVersion } from "../catalog/immichVersion";
import { isSameEngine } from "../util/dockerClient";
import type { Problem, Resolved } from "../util/problem";
import { resolveEnvironment } from "./environment";
import { resolveAccelerator, resolveGpu, resolveGpuChoice } from "./gpu";
import { resolveCache } from "./cache";
import { addressProblems } from "./address";
import { containerNameOf, containerProblems, networkProblems } from "./container";
import { resolveImage } from "./image";
import { immichDefaultAlias } from "./networkAlias";
import { withPresetEnvironment } from "./presetEnvironment";
import type { HostEntry, ImmichEntry } from "./schema";
import type { CheckedStack, DetectedGpus, HostSettings } from "./settings";
import { placementProblems, resolveSwarm } from "./swarm";
import { isEveryAddress } from "./values";

/**
 * What the entry of a host means.
 *
 * @param index its place in the list; the first host has the address where Immich looks by default, unless
 *   another one has it already ({@link keepAliases})
 * @param detected the GPUs of the hosts whose `gpu` is `auto`
 */
export function resolveHost(
  host: HostEntry,
  index: number,
  stack: CheckedStack,
  detected: DetectedGpus,
): Resolved<HostSettings> {
  const key = `hosts[${index}]`;
  const { immich, build, version } = stack.parts;
  const environmentFile = stack.environmentFiles[index] ?? {};
  const accelerator = resolveAccelerator(host, key, version);
  const gpu = resolveGpu(host, key, detected);
  const image = resolveImage(host, key, accelerator.value, gpu.value, stack.parts);
  const own = withPresetEnvironment(host, stack.parts, environmentFile, accelerator.value);
  const environment = resolveEnvironment(own, key, version, {
    accelerator: accelerator.value,
    image: image.value,
    file: environmentFile,
  });
  const network = resolveNetwork(host, index, immich, environment.value.port, version);
  const cache = resolveCache(host, key);
  const all = [accelerator, gpu, image, environment, network, cache];
  return {
    value: {
      ...host,
      ...network.value,
      accelerator: accelerator.value,
      gpu: gpu.value,
      image: image.value,
      gpus: host.gpus && resolveGpuChoice(host.gpus),
      containerName: containerNameOf(host),
      cache: cache.value,
      swarm: resolveSwarm(host, image.value, build?.imageMirror),
      environment: environment.value.settings,
      environmentFile,
    },
    problems: [
      ...all.flatMap(({ problems }) => problems),
      ...gpuChoiceProblems(host, key, accelerator.value),
      ...placementProblems(host, key, accelerator.value),
      ...containerProblems(host, key, accelerator.value, image.value),
    ],
    notes: all.flatMap(({ notes }) => notes).map((note) => `${host.name}: ${note}`),
  };
}

/** How Immich reaches a host: by its name on a network both are in, or at a published port. */
function resolveNetwork(
  host: HostEntry,
  index: number,
  immich: ImmichEntry | undefined,
  port: number,
  version: ImmichVersion | undefined,
): Resolved<Pick<HostSettings, "network" | "networkAlias" | "url">> {
  const { publish, url } = host;
  const key = `hosts[${index}]`;
  const isOnSwarm = host.placement === "swarm";
  // Immich's own network exists on Immich's engine; a swarm's services join overlay networks only.
  const isBesideImmich =
    immich !== undefined && isSameEngine(host.dockerHost, immich.dockerHost) && !isOnSwarm;
  const network = host.network ?? (isBesideImmich ? immich?.network : undefined);
  const networkAlias = host.networkAlias ?? (index === 0 ? immichDefaultAlias : host.name);

  const problems: Problem[] = [
    ...networkProblems(host, key, network, immich),
    ...addressProblems(host, key, { immich, network, version }),
  ];
  if (immich && network === undefined && !publish && !isOnSwarm) {
    const expected =
      "needs publish, or network (immich.network on Immich's own engine), otherwise Immich's server cannot reach it";
    problems.push({ key, expected });
  }
  const isEverywhere = publish && isEveryAddress(publish.address);
  if (network === undefined && isEverywhere && url === undefined) {
    const expected = `is missing: the address at which Immich reaches the host; ${publish.address} is not one`;
    problems.push({ key: `${key}.url`, expected });
  }
  const created = `immich-ml-${host.name}`;
  const note = `Immich's server reaches the service once it has joined the network ${created}, which is created: docker network connect ${created} <its container>, or in its compose file`;
  const mustJoin = isOnSwarm && network === undefined && !publish && url === undefined;

  const { address, port: publishedPort } = publish ?? {};
  const published = `http://${address?.includes(":") ? `[${address}]` : address}:${publishedPort}`;
  const byName = `http://${networkAlias}:${port}`;
  return {
    value: { network, networkAlias, url: url ?? (network || !publish ? byName : published) },
    problems,
    notes: mustJoin ? [note] : [],
  };
}

function gpuChoiceProblems(
  { gpus }: HostEntry,
  key: string,
  accelerator: AcceleratorName,
): Problem[] {
  const expected = gpus && gpuChoiceProblem(gpus, accelerator);
  if (expected === undefined) return [];
  const isEmpty = Object.keys(gpus!).length === 0;
  return [{ key: `${key}.gpus`, ...(!isEmpty && { value: gpus }), expected }];
}
