import { accelerators, type AcceleratorName } from "../catalog/accelerators";
import {
  gpuFamilies,
  gpuFamilyFor,
  gpuFamilyNames,
  hasCodeFor,
  immichVersionProblem,
  type GpuFamilyName,
} from "../catalog/gpuFamilies";
import { mirrored } from "../catalog/imageMirror";
import { officialImage } from "../catalog/immichReleases";
import {
  compareImmichVersions,
  formatImmichVersion,
  type ImmichVersion,
  parseImmichVersion,
} from "../catalog/immichVersion";
import { nearestNames } from "../util/nearestNames";
import type { Problem, Resolved } from "../util/problem";
import { asText } from "./gpu";
import type { HostEntry } from "./schema";
import type { DetectedGpu, ImageSource, StackParts } from "./settings";

/**
 * Which image a host runs: the one it names, the variant it names, or what fits its GPU and Immich's
 * version. Undefined while that is not known.
 */
export function resolveImage(
  host: HostEntry,
  key: string,
  accelerator: AcceleratorName,
  gpu: DetectedGpu | undefined,
  { immich, build, version }: StackParts,
): Resolved<ImageSource | undefined> {
  const found = (value: ImageSource | undefined, problems: readonly Problem[] = []) => ({
    value,
    problems,
    notes: [],
  });
  const refused = (field: "gpu" | "imageVariant", expected: string, suggestion?: string) =>
    found(undefined, [{ key: `${key}.${field}`, value: host[field], expected, suggestion }]);
  const { imageVariant: variant } = host;

  if (host.image && variant) {
    return refused("imageVariant", "cannot be used with image: each of them decides what runs");
  }
  if (host.image) {
    const source = { kind: "given", reference: host.image } as const;
    return { ...found(source), notes: versionNote(host.image, version) };
  }
  if (!version || !immich) return found(undefined);

  const familyImage = (family: GpuFamilyName) =>
    found({ kind: "legacy", gpuFamily: family }, [
      ...familyProblems(family, host, key, gpu),
      ...unbuildable(immichVersionProblem(version), host),
    ]);
  const suffix = accelerators[accelerator].imageSuffix;
  const reference = mirrored(officialImage(version, suffix), build?.imageMirror);
  const official = found({ kind: "official", reference });

  if (variant === "official") return official;
  if (variant !== undefined && !isGpuFamily(variant)) {
    return refused(
      "imageVariant",
      `must be official or one of ${gpuFamilyNames.join(", ")}`,
      nearestNames(variant, [...gpuFamilyNames, "official"])[0],
    );
  }
  if (variant !== undefined && !accelerators[accelerator].runsGpuFamilyImages) {
    return refused(
      "imageVariant",
      `is an image for NVIDIA GPUs; accelerator ${accelerator} runs the official image`,
    );
  }
  if (variant !== undefined) return familyImage(variant);

  if (!accelerators[accelerator].gpuRequest) return official;
  if (host.gpu === undefined) {
    return refused("gpu", "is missing: a GPU's name, a compute capability such as 5.0, or auto");
  }
  if (!gpu?.computeCapability) return found(undefined);
  const fitting = gpuFamilyFor(gpu.computeCapability, version);
  if (fitting.kind === "unsupported") return refused("gpu", fitting.reason);
  return fitting.kind === "official" ? official : familyImage(fitting.gpuFamily.name);
}

/** Server and machine learning should be of one release, which an image's tag may contradict. */
function versionNote(reference: string, version: ImmichVersion | undefined): string[] {
  const [, tag] = /immich-machine-learning:(v\d+\.\d+\.\d+)/.exec(reference) ?? [];
  const own = tag && parseImmichVersion(tag);
  if (!own || !version || compareImmichVersions(own, version) === 0) return [];
  return [
    `image is Immich's ${tag}, but the server runs ${formatImmichVersion(version)}: both should be of one version`,
  ];
}

/** Whether it is Immich's own image, from wherever it is pulled. */
export function isOfficialImage(image: ImageSource | undefined): boolean {
  if (!image || image.kind === "legacy") return false;
  return (
    image.kind === "official" || image.reference.includes("immich-app/immich-machine-learning")
  );
}

function familyProblems(
  family: GpuFamilyName,
  host: HostEntry,
  key: string,
  gpu: DetectedGpu | undefined,
): Problem[] {
  const problems: Problem[] = [];
  const capability = gpu?.computeCapability;
  if (capability !== undefined && !hasCodeFor(gpuFamilies[family], capability)) {
    const expected = `has no code for compute capability ${capability} (${asText(host.gpu!)}); leave imageVariant out, and the program chooses the right one`;
    problems.push({ key: `${key}.imageVariant`, value: family, expected });
  }
  if (host.tls !== undefined) {
    const expected = `cannot be used with an image that is built on the host (${family}): the Docker provider's builder connects without certificates. Use dockerHost: ssh://…, or image: one that is already there`;
    problems.push({ key: `${key}.tls`, value: host.tls, expected });
  }
  return problems;
}

function unbuildable(reason: string | undefined, host: HostEntry): Problem[] {
  if (reason === undefined) return [];
  return [{ key: "immich.version", expected: `${reason} (for host ${host.name})` }];
}

function isGpuFamily(name: string): name is GpuFamilyName {
  return Object.hasOwn(gpuFamilies, name);
}
