import {
  acceleratorCalled,
  acceleratorNames,
  accelerators,
  isAcceleratorName,
  type AcceleratorName,
} from "../catalog/accelerators";
import { capabilityOf } from "../catalog/gpuChips";
import { acceleratorOf, findGpu, nearestGpus } from "../catalog/gpuNames";
import { atLeast, type ImmichVersion } from "../catalog/immichVersion";
import { nearestNames } from "../util/nearestNames";
import type { Resolved } from "../util/problem";
import type { HostEntry } from "./schema";
import type { DetectedGpu, DetectedGpus, GpuChoice } from "./settings";

/** What the models are computed on: an NVIDIA GPU where one is named, the CPU by default. */
export function resolveAccelerator(
  host: HostEntry,
  key: string,
  version: ImmichVersion | undefined,
): Resolved<AcceleratorName> {
  const name = host.accelerator ?? (host.gpu === undefined ? "cpu" : "cuda");
  const problem = { key: `${key}.accelerator`, value: name };
  if (!isAcceleratorName(name)) {
    const expected = `must be one of ${acceleratorNames.join(", ")}`;
    const suggestion = acceleratorCalled(name) ?? nearestNames(name, acceleratorNames)[0];
    return { value: "cpu", problems: [{ ...problem, expected, suggestion }], notes: [] };
  }
  const { minimumImmichVersion } = accelerators[name];
  const isTooNew = version && !atLeast(version, minimumImmichVersion);
  const expected = `needs Immich v${minimumImmichVersion} or newer`;
  return {
    value: name,
    problems: isTooNew ? [{ ...problem, expected }] : [],
    notes:
      name === "cpu" && host.gpu !== undefined ? ["gpu is not used, since accelerator is cpu"] : [],
  };
}

/** The GPU that a stack file names, or that was detected. */
export function resolveGpu(
  host: HostEntry,
  key: string,
  detected: DetectedGpus,
): Resolved<DetectedGpu | undefined> {
  const { videoMemory } = host;
  const found = (value: DetectedGpu | undefined) => ({ value, problems: [], notes: [] });
  if (host.gpu === undefined) {
    return found(
      videoMemory === undefined ? undefined : { computeCapability: undefined, videoMemory },
    );
  }
  // Compilers write 5.0 as sm_50.
  const name = asText(host.gpu)
    .trim()
    .replace(/^(?:sm|compute|cc|compute capability)[ _]?(\d{1,2})\.?(\d)$/i, "$1.$2")
    .replace(/^(\d|1[0-2])$/, "$1.0");
  if (name === "auto") {
    const gpu = Object.hasOwn(detected, host.name) ? detected[host.name] : undefined;
    return found(gpu && { ...gpu, videoMemory: videoMemory ?? gpu.videoMemory });
  }
  if (/^\d{1,2}\.\d$/.test(name)) return found({ computeCapability: name, videoMemory });
  const known = findGpu(name);
  if (known) return found({ ...known, videoMemory: videoMemory ?? known.videoMemory });
  const other = acceleratorOf(name);
  const computeCapability = other ? undefined : capabilityOf(name);
  if (computeCapability) return found({ computeCapability, videoMemory });
  const expected = other
    ? `is not an NVIDIA card: leave gpu out and set accelerator: ${other}`
    : "is not a GPU that this program knows; write its compute capability instead (https://developer.nvidia.com/cuda-gpus), such as 5.0, or auto";
  const suggestion = other ? undefined : nearestGpus(name)[0];
  const problem = { key: `${key}.gpu`, value: host.gpu, expected, suggestion };
  return { value: undefined, problems: [problem], notes: [] };
}

/** Unquoted, `5.0` in YAML is the number 5; 1060 is a card. */
export function asText(gpu: string | number): string {
  return typeof gpu === "number" && Number.isInteger(gpu) && gpu < 100 ? `${gpu}.0` : String(gpu);
}

export function resolveGpuChoice({
  count,
  ids,
  cdi,
  runtime,
}: NonNullable<HostEntry["gpus"]>): GpuChoice {
  const by = runtime && { runtime };
  if (ids) return { ids: ids.map(String), ...by };
  if (cdi) return { cdi };
  return { count: count === "all" ? -1 : (count ?? 1), ...by };
}

/** How many GPUs the container gets; undefined where that depends on the host. */
export function gpuCount(gpus: HostEntry["gpus"]): number | undefined {
  const { count = 1, ids, cdi } = gpus ?? {};
  if (cdi?.some((device) => device.endsWith("=all"))) return undefined;
  return (ids ?? cdi)?.length ?? (count === "all" ? undefined : count);
}
