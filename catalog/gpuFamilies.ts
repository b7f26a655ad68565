import { type ImmichVersion, atLeast, formatImmichVersion } from "./immichVersion";
import { officialCudaRuntime } from "./immichReleases";

/** A family of NVIDIA cards that one build of ONNX Runtime serves and Immich's own image does not. */
export type GpuFamilyName = "kepler-maxwell" | "maxwell" | "pascal-volta";

/** What has to be in the image for one family of cards. */
export interface GpuFamily {
  readonly name: GpuFamilyName;
  /** Compute capabilities whose newest possible runtime this is; it may run on newer cards too. */
  readonly computeCapabilities: readonly string[];
  readonly python: "3.10" | "3.11";
  /** The base image, by digest. */
  readonly pythonImage: string;
  /** Version of PyPI's onnxruntime-gpu. */
  readonly onnxRuntime: string;
  readonly cuda: string;
  readonly cudnn: string;
  /** Oldest NVIDIA driver for Linux that runs this CUDA. */
  readonly minimumDriver: string;
  /** Repository part of the built image's name. */
  readonly imageName: string;
  /** Whether Immich's own models (opset 19, IR version 9) have to be converted for this runtime. */
  readonly opsetBridge: boolean;
  /** Where the row comes from. */
  readonly evidence: string;
}

/** The architectures of our images: the wheels in the locks exist for no other. */
export const legacyArchitectures: readonly string[] = ["amd64"];

// Digests of Docker Hub's multi-platform images as pinned by several public repositories in 2026.
const python310 =
  "docker.io/library/python:3.10-slim-bookworm@sha256:68d914ec641a0b69267ce65184d000a2bc3a9ee2590ab702b82250ab2385735a";
const python311 =
  "docker.io/library/python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b";

/**
 * One row a GPU family. A wheel of ONNX Runtime runs on the cards whose machine code it carries, so
 * the newest wheel with code for a card is the newest that card can have.
 */
export const gpuFamilies: Readonly<Record<GpuFamilyName, GpuFamily>> = {
  "kepler-maxwell": {
    name: "kepler-maxwell",
    computeCapabilities: ["3.7", "5.0"],
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
    name: "maxwell",
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
    name: "pascal-volta",
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
};

/** What serves a card: an image of ours, Immich's own, or nothing. */
export type GpuFamilyChoice =
  | { readonly kind: "gpuFamily"; readonly gpuFamily: GpuFamily }
  | { readonly kind: "official" }
  | { readonly kind: "unsupported"; readonly reason: string };

/** Reads `5.0`; undefined for anything else. */
export function parseComputeCapability(text: string): number | undefined {
  const match = /^(\d{1,2})\.(\d)$/.exec(text);
  return match ? Number(match[1]) * 10 + Number(match[2]) : undefined;
}

/**
 * What serves a card of this compute capability under this version of Immich.
 *
 * Immich's own image is preferred where its ONNX Runtime has code for the card. A version newer
 * than the last one whose lock is known is trusted only with cards that every ONNX Runtime serves
 * (7.5 and newer); older cards get an image of ours, which serves them under any lock.
 *
 * @param computeCapability such as `5.0`
 */
export function gpuFamilyFor(
  computeCapability: string,
  immichVersion: ImmichVersion,
): GpuFamilyChoice {
  const capability = parseComputeCapability(computeCapability);
  if (capability === undefined) {
    return {
      kind: "unsupported",
      reason: `"${computeCapability}" is not a compute capability; one looks like 5.0`,
    };
  }
  if (capability < 37) {
    return {
      kind: "unsupported",
      reason:
        `no ONNX Runtime wheel has machine code for compute capability ${computeCapability}: ` +
        "the oldest cards served are 3.7 (Tesla K80) and 5.0 (GTX 750 Ti); use accelerator cpu",
    };
  }
  const official = officialCudaRuntime(immichVersion);
  if (official && capability >= parseComputeCapability(official.minimumComputeCapability)!) {
    return { kind: "official" };
  }
  const gpuFamily = Object.values(gpuFamilies)
    .filter((candidate) => parseComputeCapability(candidate.computeCapabilities[0]!)! <= capability)
    .at(-1);
  if (!gpuFamily || capability >= 75) {
    return {
      kind: "unsupported",
      reason: `Immich ${formatImmichVersion(immichVersion)} has no CUDA image; the first is v1.94.0`,
    };
  }
  return { kind: "gpuFamily", gpuFamily };
}

/** The oldest Immich whose server our locks fit (OCR came with 2.2.0). */
export const oldestImmichVersion = "2.2.0";

/** Immich's major versions that have locks under image/requirements/locks. */
export const lockedImmichMajors: readonly number[] = [2, 3];

/** Why no image of ours can be built for this version; undefined when one can. */
export function immichVersionProblem(version: ImmichVersion): string | undefined {
  if (atLeast(version, oldestImmichVersion) && lockedImmichMajors.includes(version.major)) {
    return undefined;
  }
  return (
    `${formatImmichVersion(version)} cannot be built: locks exist for v${oldestImmichVersion} ` +
    `to v${Math.max(...lockedImmichMajors)}.x`
  );
}
