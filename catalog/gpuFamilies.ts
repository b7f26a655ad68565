import { named } from "../util/named";
import { type ImmichVersion, atLeast, formatImmichVersion } from "./immichVersion";
import { officialCudaRuntime, servedByEveryRelease } from "./immichReleases";

/** What the image for one family of NVIDIA GPUs consists of. */
interface GpuFamilyFacts {
  /**
   * The compute capabilities whose newest possible ONNX Runtime this is, oldest first. It runs on every
   * GPU from the first of them on.
   */
  readonly computeCapabilities: readonly [string, ...string[]];
  /** GPUs of the oldest compute capabilities, for messages. @default none */
  readonly examples?: string;
  readonly python: "3.10" | "3.11";
  /** The base image, by digest. */
  readonly pythonImage: string;
  /** Version of PyPI's onnxruntime-gpu. */
  readonly onnxRuntime: string;
  readonly cuda: string;
  readonly cudnn: string;
  /** The oldest NVIDIA driver for Linux that runs this CUDA. */
  readonly minimumDriver: string;
  /** Repository part of the built image's name. */
  readonly imageName: string;
  /** Whether Immich's models (opset 19, IR version 9) must be converted for this ONNX Runtime. */
  readonly opsetBridge: boolean;
  /** Where the row comes from. */
  readonly evidence: string;
}

export type GpuFamily = GpuFamilyFacts & { readonly name: GpuFamilyName };
/** The architectures of our images: the wheels in the locks exist for no other. */
export const legacyArchitectures: readonly string[] = ["amd64"];

// Digests of Docker Hub's multi-platform images as pinned by several public repositories in 2026.
const python310 =
  "docker.io/library/python:3.10-slim-bookworm@sha256:68d914ec641a0b69267ce65184d000a2bc3a9ee2590ab702b82250ab2385735a";
const python311 =
  "docker.io/library/python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b";

/**
 * A wheel of ONNX Runtime runs on the GPUs it has machine code for, so the newest wheel with code for
 * a GPU is the newest that GPU can have. Oldest family first.
 */
const rows = {
  "kepler-maxwell": {
    computeCapabilities: ["3.7", "5.0"],
    examples: "3.7 (Tesla K80) and 5.0 (GTX 750 Ti)",
    python: "3.10",
    pythonImage: python310,
    onnxRuntime: "1.14.1",
    cuda: "11.8",
    cudnn: "8.5.0.96",
    minimumDriver: "450.80.02",
    imageName: "immich-ml-legacy",
    opsetBridge: true,
    evidence:
      "Machine code in libonnxruntime_providers_cuda.so of onnxruntime-gpu 1.14.1: sm_37 50 52 60 61 70 75 80; " +
      "1.15.1 has no sm_37 and sm_50. 1.14.1 has no wheel for Python 3.11. cuDNN 8.5.0.96 has sm_35 and " +
      "newer, 8.9.6.50 only sm_50 and newer.",
  },
  maxwell: {
    computeCapabilities: ["5.2"],
    python: "3.11",
    pythonImage: python311,
    onnxRuntime: "1.20.2",
    cuda: "12.2",
    cudnn: "9.10.2.21",
    minimumDriver: "525.60.13",
    imageName: "immich-ml-maxwell",
    opsetBridge: false,
    evidence:
      "Machine code in onnxruntime-gpu 1.20.2: sm_52 60 61 70 75 80; 1.21.1 begins at sm_60. " +
      "cuDNN 9.10.2.21 has sm_50 and newer, 9.11 begins at sm_75.",
  },
  "pascal-volta": {
    computeCapabilities: ["6.0", "6.1", "7.0"],
    python: "3.11",
    pythonImage: python311,
    onnxRuntime: "1.26.0",
    cuda: "12.2",
    cudnn: "9.10.2.21",
    minimumDriver: "525.60.13",
    imageName: "immich-ml-pascal-volta",
    opsetBridge: false,
    evidence:
      "Machine code in onnxruntime-gpu 1.26.0: sm_60 70 75 80 86 90; 1.27.0 begins at sm_75. " +
      "cuDNN 9.10.2.21 has sm_50 and newer, 9.11 begins at sm_75.",
  },
} satisfies Readonly<Record<string, GpuFamilyFacts>>;

/** A family of NVIDIA GPUs that one build of ONNX Runtime serves and Immich's own image does not. */
export type GpuFamilyName = keyof typeof rows;

export const gpuFamilyNames = Object.keys(rows) as readonly GpuFamilyName[];

export const gpuFamilies = named<GpuFamilyName, GpuFamilyFacts>(rows);

/** What serves a GPU: an image built here, Immich's own, or nothing. */
export type GpuFamilyChoice =
  | { readonly kind: "gpuFamily"; readonly gpuFamily: GpuFamily }
  | { readonly kind: "official" }
  | { readonly kind: "unsupported"; readonly reason: string };

/** Reads `5.0`, as 50; undefined for anything else. */
export function parseComputeCapability(text: string): number | undefined {
  const match = /^(\d{1,2})\.(\d)$/.exec(text);
  return match ? Number(match[1]) * 10 + Number(match[2]) : undefined;
}

/** Whether a compute capability is at least another; never where one of them is unreadable. */
function isCapabilityAtLeast(computeCapability: string, minimum: string): boolean {
  return parseComputeCapability(computeCapability)! >= parseComputeCapability(minimum)!;
}

/** Whether a family's ONNX Runtime has machine code for a GPU of this compute capability. */
export function hasCodeFor(family: GpuFamily, computeCapability: string): boolean {
  return isCapabilityAtLeast(computeCapability, family.computeCapabilities[0]);
}

/**
 * What serves a GPU of this compute capability under this version of Immich: Immich's own image where
 * its ONNX Runtime has code for the GPU, otherwise an image built here. Of a version newer than the
 * last whose lock is known, only the GPUs that every ONNX Runtime serves get Immich's image.
 *
 * @param computeCapability such as `5.0`
 */
export function gpuFamilyFor(
  computeCapability: string,
  immichVersion: ImmichVersion,
): GpuFamilyChoice {
  if (parseComputeCapability(computeCapability) === undefined) {
    return {
      kind: "unsupported",
      reason: `"${computeCapability}" is not a compute capability; one looks like 5.0`,
    };
  }
  const official = officialCudaRuntime(immichVersion);
  if (official && isCapabilityAtLeast(computeCapability, official.minimumComputeCapability)) {
    return { kind: "official" };
  }
  if (isCapabilityAtLeast(computeCapability, servedByEveryRelease)) {
    return {
      kind: "unsupported",
      reason: `Immich ${formatImmichVersion(immichVersion)} has no CUDA image; the first is v1.94.0`,
    };
  }
  const families = Object.values(gpuFamilies);
  const gpuFamily = families.findLast((family) => hasCodeFor(family, computeCapability));
  if (gpuFamily) return { kind: "gpuFamily", gpuFamily };
  return {
    kind: "unsupported",
    reason:
      `no ONNX Runtime wheel has machine code for compute capability ${computeCapability}: ` +
      `the oldest supported GPUs are ${families[0]!.examples}; use accelerator cpu`,
  };
}

/** The oldest Immich whose server the locks fit (OCR came with 2.2.0). */
const oldestImmichVersion = "2.2.0";

/** Immich's major versions that have locks under image/requirements/locks. */
export const lockedImmichMajors: readonly number[] = [2, 3];

/** Why no image can be built for this version; undefined when one can. */
export function immichVersionProblem(version: ImmichVersion): string | undefined {
  if (atLeast(version, oldestImmichVersion) && lockedImmichMajors.includes(version.major)) {
    return undefined;
  }
  return (
    `${formatImmichVersion(version)} cannot be built: locks exist for v${oldestImmichVersion} ` +
    `to v${Math.max(...lockedImmichMajors)}.x`
  );
}
