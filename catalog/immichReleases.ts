import {
  atLeast,
  compareImmichVersions,
  formatImmichVersion,
  type ImmichVersion,
} from "./immichVersion";

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
 * Newest first. The versions stand in the locks of machine-learning/ at the release commits from
 * v1.94.0, the first with CUDA, to v3.1.0; the oldest capability is that of the machine code in the
 * wheel. v2.1.0 came with cuDNN 9.14, which has none for GPUs before 7.5 (immich-app/immich#22982).
 */
const officialCudaRuntimes: readonly OfficialCudaRuntime[] = [
  { since: "3.0.0", onnxRuntime: "1.26.0", minimumComputeCapability: "6.0" },
  { since: "2.6.0", onnxRuntime: "1.24.1", minimumComputeCapability: "6.0" },
  { since: "2.5.0", onnxRuntime: "1.23.2", minimumComputeCapability: "6.0" },
  { since: "2.2.0", onnxRuntime: "1.19.2", minimumComputeCapability: "5.2" },
  { since: "2.1.0", onnxRuntime: "1.19.2", minimumComputeCapability: "7.5" },
  { since: "1.120.0", onnxRuntime: "1.19.2", minimumComputeCapability: "5.2" },
  { since: "1.94.0", onnxRuntime: "1.16.3", minimumComputeCapability: "5.2" },
];

/** The oldest compute capability that every ONNX Runtime on PyPI up to 1.31 has machine code for. */
export const servedByEveryRelease = "7.5";

/**
 * The CUDA of Immich's own `-cuda` images since v1.106, and the oldest NVIDIA driver that Immich's
 * documentation names for it.
 */
export const officialCuda = { version: "12.2", minimumDriver: "535" } as const;

/** The releases whose real server `npm run test:immich` tests this program against. */
export const testedReleases = ["v3.1.0", "v2.7.5", "v2.5.6", "v2.4.1"] as const;

/** The newest release whose lock was read; later ones may have dropped more GPUs. */
const newestKnownImmichVersion: ImmichVersion = { major: 3, minor: 1, patch: 0 };

/**
 * What Immich's own `-cuda` image of this version computes with; undefined before it had one. A version
 * newer than any known here is trusted only with GPUs that every release serves.
 */
export function officialCudaRuntime(version: ImmichVersion): OfficialCudaRuntime | undefined {
  if (compareImmichVersions(version, newestKnownImmichVersion) > 0) {
    return {
      since: formatImmichVersion(newestKnownImmichVersion),
      onnxRuntime: "unknown",
      minimumComputeCapability: servedByEveryRelease,
    };
  }
  return officialCudaRuntimes.find(({ since }) => atLeast(version, since));
}

/**
 * Whether the web server of Immich's own image of this version hangs on its control socket unless it
 * is told to have none: gunicorn 25.1, which v2.6.0 brought (immich-app/immich#27173); v3.0.0 tells it.
 */
export function hasControlSocket(version: ImmichVersion): boolean {
  return atLeast(version, "2.6.0") && !atLeast(version, "3.0.0");
}

const repository = "ghcr.io/immich-app/immich-machine-learning";

/**
 * Digests of the multi-platform image without suffix, as several public repositories pin them. Other
 * versions are pulled by their tag, which Immich does not move.
 */
const digests: Readonly<Record<string, string>> = {
  "v2.7.5": "sha256:a2501141440f10516d329fdfba2c68082e19eb9ba6016c061ac80d23beadf7f3",
  "v3.1.0": "sha256:5a0839dc5303cd7215bcd2180a26aed3af41675aefb3e75e5157e9f10ad16e6e",
};

/**
 * Immich's own machine-learning image of a version, by digest where that is known.
 *
 * @param suffix of the tag: `-cuda`, `-openvino`, …; empty for the CPU image
 */
export function officialImage(version: ImmichVersion, suffix = ""): string {
  const tag = formatImmichVersion(version);
  const digest = suffix === "" ? digests[tag] : undefined;
  return `${repository}:${tag}${suffix}${digest ? `@${digest}` : ""}`;
}
