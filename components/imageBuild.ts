import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

import { type GpuFamilyName, gpuFamilies, immichVersionProblem } from "../catalog/gpuFamilies";
import { type ImageMirror, mirrored } from "../catalog/imageMirror";
import { officialImage } from "../catalog/immichReleases";
import { formatImmichVersion, parseImmichVersion } from "../catalog/immichVersion";

/** What an image is built from. Everything in it is plain; nothing is read but the build context. */
export interface ImageBuildRequest {
  readonly gpuFamily: GpuFamilyName;
  readonly immichVersion: string;
  readonly contextPath: string;
  /**
   * Whose image it is. Part of the tag alone, not of the build: what two owners build from the same
   * sources is one image with two tags, and one of them can be deleted without the other.
   */
  readonly owner?: string | undefined;
  readonly pythonImage?: string | undefined;
  readonly immichImage?: string | undefined;
  readonly imageMirror?: ImageMirror | undefined;
  readonly packageIndex?: string | undefined;
  readonly aptMirror?: string | undefined;
  readonly caCertificate?: string | undefined;
  readonly httpProxy?: string | undefined;
  readonly httpsProxy?: string | undefined;
  readonly noProxy?: string | undefined;
}

/** A build as Docker takes it. */
export interface ImageBuild {
  /** Repository and tag; the tag carries `contentHash`, so equal names are equal images of one owner. */
  readonly reference: string;
  /** Of the build context's files that matter and all build arguments; 12 hexadecimal digits. */
  readonly contentHash: string;
  readonly buildArgs: Readonly<Record<string, string>>;
}

/**
 * @throws an error that names the setting, its value and what is allowed
 */
export function imageBuild(request: ImageBuildRequest): ImageBuild {
  const gpuFamily = gpuFamilies[request.gpuFamily];
  if (!gpuFamily) {
    throw new Error(
      `gpuFamily "${String(request.gpuFamily)}" is unknown; allowed: ${Object.keys(gpuFamilies).join(", ")}`,
    );
  }
  const version = parseImmichVersion(request.immichVersion);
  if (!version) {
    throw new Error(
      `immichVersion "${request.immichVersion}" is not a release; one looks like v2.7.5`,
    );
  }
  const problem = immichVersionProblem(version);
  if (problem) throw new Error(`immichVersion ${problem}`);
  requireUrl("packageIndex", request.packageIndex);
  requireUrl("aptMirror", request.aptMirror);
  requireUrl("httpProxy", request.httpProxy);
  requireUrl("httpsProxy", request.httpsProxy);
  requireCertificate(request.caCertificate);

  const locks = {
    cuda: `requirements/locks/cuda-${gpuFamily.cuda}.txt`,
    python: `requirements/locks/${gpuFamily.name}-v${version.major}.txt`,
  };
  const buildArgs: Record<string, string> = {
    PYTHON_IMAGE: request.pythonImage ?? mirrored(gpuFamily.pythonImage, request.imageMirror),
    IMMICH_IMAGE: request.immichImage ?? mirrored(officialImage(version), request.imageMirror),
    GPU_FAMILY: gpuFamily.name,
    IMMICH_VERSION: formatImmichVersion(version),
    ONNXRUNTIME_VERSION: gpuFamily.onnxRuntime,
    CUDNN_VERSION: gpuFamily.cudnn,
    LOCK: locks.python,
    CUDA_LOCK: locks.cuda,
    ...optional("PACKAGE_INDEX", request.packageIndex),
    ...optional("APT_MIRROR", request.aptMirror),
    ...optional("CA_CERTIFICATE", request.caCertificate?.trim()),
    // Docker passes these to every RUN without a declaration and leaves them out of the history.
    ...optional("HTTP_PROXY", request.httpProxy),
    ...optional("HTTPS_PROXY", request.httpsProxy),
    ...optional("NO_PROXY", request.noProxy),
  };
  const contentHash = hashBuild(
    request.contextPath,
    Object.values(locks),
    buildArgs,
    request.owner ?? "",
  );
  const tag = `${formatImmichVersion(version)}-onnxruntime${gpuFamily.onnxRuntime}-${contentHash}`;
  return { reference: `${gpuFamily.imageName}:${tag}`, contentHash, buildArgs };
}

function optional(name: string, value: string | undefined): Record<string, string> {
  return value ? { [name]: value } : {};
}

function requireUrl(name: string, value: string | undefined): void {
  if (value !== undefined && !/^https?:\/\/[^\s/]+/.test(value)) {
    throw new Error(`${name} "${value}" is not an address; one looks like https://host/path`);
  }
}

// Linux takes no single argument or environment variable longer than this.
const maxArgumentLength = 128 * 1024;

function requireCertificate(pem: string | undefined): void {
  if (pem === undefined) return;
  if (!pem.includes("-----BEGIN CERTIFICATE-----")) {
    throw new Error("caCertificate is not PEM text: it has no line BEGIN CERTIFICATE");
  }
  if (pem.length >= maxArgumentLength) {
    throw new Error(
      `caCertificate has ${pem.length} characters, at most ${maxArgumentLength} are possible: ` +
        "give the one certificate that is missing, not the whole bundle",
    );
  }
}

// Everything the Dockerfile copies or mounts, but for the locks of other GPU families and versions.
const contextEntries = ["Dockerfile", ".dockerignore", "checks", "opset_bridge", "setup"];
const contextFile = /(^|\/)(Dockerfile|\.dockerignore|[^/]+\.(py|pth|sh))$/;

function hashBuild(
  contextPath: string,
  locks: readonly string[],
  buildArgs: Readonly<Record<string, string>>,
  owner: string,
): string {
  if (!existsSync(join(contextPath, "Dockerfile"))) {
    throw new Error(`contextPath "${contextPath}" holds no Dockerfile`);
  }
  const files = [
    ...contextEntries.flatMap((entry) => filesUnder(contextPath, entry)),
    ...locks,
  ].sort();
  const hash = createHash("sha256").update(`${owner}\0`);
  for (const file of files) {
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(contextPath, file)))
      .update("\0");
  }
  for (const [name, value] of Object.entries(buildArgs).sort(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(`${name}=${value}\0`);
  }
  return hash.digest("hex").slice(0, 12);
}

function filesUnder(contextPath: string, entry: string): string[] {
  const path = join(contextPath, entry);
  if (!existsSync(path)) return [];
  if (contextFile.test(entry)) return [entry];
  return readdirSync(path, { withFileTypes: true }).flatMap((child) => {
    const relative = `${entry}/${child.name}`;
    if (child.isDirectory()) return filesUnder(contextPath, relative);
    return contextFile.test(relative) ? [relative] : [];
  });
}
