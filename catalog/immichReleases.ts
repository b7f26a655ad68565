import { type ImmichVersion, compareImmichVersions, formatImmichVersion } from "./immichVersion";

/** The ONNX Runtime of Immich's own `-cuda` image over a range of versions. */
export interface OfficialCudaRuntime {
  /** First version of the range. */
  readonly since: string;
  /** Version of onnxruntime-gpu in Immich's lock. */
  readonly onnxRuntime: string;
  /** Oldest compute capability with machine code in that wheel and in the image's cuDNN. */
  readonly minimumComputeCapability: string;
}

/**
 * From the locks in machine-learning/ at the release commits of v1.94.0, the first with CUDA, to
 * v3.1.0; the oldest capability from the machine code in the wheel of that version. v2.1.0 came
 * with cuDNN 9.14, which has none for cards before 7.5 (immich-app/immich#22982). Newest first.
 */
export const officialCudaRuntimes: readonly OfficialCudaRuntime[] = [
  { since: "3.0.0", onnxRuntime: "1.26.0", minimumComputeCapability: "6.0" },
  { since: "2.6.0", onnxRuntime: "1.24.1", minimumComputeCapability: "6.0" },
  { since: "2.5.0", onnxRuntime: "1.23.2", minimumComputeCapability: "6.0" },
  { since: "2.2.0", onnxRuntime: "1.19.2", minimumComputeCapability: "5.2" },
  { since: "2.1.0", onnxRuntime: "1.19.2", minimumComputeCapability: "7.5" },
  { since: "1.120.0", onnxRuntime: "1.19.2", minimumComputeCapability: "5.2" },
  { since: "1.94.0", onnxRuntime: "1.16.3", minimumComputeCapability: "5.2" },
];

/**
 * The CUDA of Immich's own `-cuda` images since v1.106, and the oldest NVIDIA driver that Immich's
 * documentation names for it.
 */
export const officialCuda = { version: "12.2", minimumDriver: "535" } as const;

/** The newest release whose lock was read: what comes after may have dropped more cards. */
export const newestKnownImmichVersion: ImmichVersion = { major: 3, minor: 1, patch: 0 };

function versionOf(text: string): ImmichVersion {
  const [major = 0, minor = 0, patch = 0] = text.split(".").map(Number);
  return { major, minor, patch };
}

/**
 * What Immich's own `-cuda` image of this version computes with. For a version newer than any known
 * here only what every ONNX Runtime on PyPI up to 1.31 serves is promised: 7.5 and newer.
 */
export function officialCudaRuntime(version: ImmichVersion): OfficialCudaRuntime | undefined {
  if (compareImmichVersions(version, newestKnownImmichVersion) > 0) {
    return {
      since: formatImmichVersion(newestKnownImmichVersion),
      onnxRuntime: "unknown",
      minimumComputeCapability: "7.5",
    };
  }
  return officialCudaRuntimes.find(
    (runtime) => compareImmichVersions(version, versionOf(runtime.since)) >= 0,
  );
}

const repository = "ghcr.io/immich-app/immich-machine-learning";

/**
 * Digests of the multi-platform image without suffix, as pinned by several public repositories; a
 * version that is not listed is taken by its tag, which Immich does not move.
 */
const digests: Readonly<Record<string, string>> = {
  "v2.7.5": "sha256:a2501141440f10516d329fdfba2c68082e19eb9ba6016c061ac80d23beadf7f3",
  "v3.1.0": "sha256:5a0839dc5303cd7215bcd2180a26aed3af41675aefb3e75e5157e9f10ad16e6e",
};

/**
 * Immich's own machine-learning image of a version, by digest where it is known.
 *
 * @param suffix of the tag, as Immich names it: `-cuda`, `-openvino`, …; empty for the CPU image.
 */
export function officialImage(version: ImmichVersion, suffix = ""): string {
  const tag = formatImmichVersion(version);
  const digest = suffix === "" ? digests[tag] : undefined;
  return `${repository}:${tag}${suffix}${digest ? `@${digest}` : ""}`;
}
