import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

import { type GpuFamilyName, gpuFamilies, immichVersionProblem } from "../catalog/gpuFamilies";
import { type ImageMirror, mirrored } from "../catalog/imageMirror";
import { officialImage } from "../catalog/immichReleases";
import {
  formatImmichVersion,
  type ImmichVersion,
  parseImmichVersion,
} from "../catalog/immichVersion";
import { certificateProblem } from "../util/certificate";
import { entriesByName } from "../util/entriesByName";
import { hasCredentials, sanitize } from "../util/sanitize";
import { isWebUrl } from "../util/webUrl";

/** What an image is built from; the fields are those of `LegacyImageArgs`. */
export interface ImageBuildRequest {
  readonly gpuFamily: GpuFamilyName;
  readonly immichVersion: string;
  readonly contextPath: string;
  /**
   * Whose image it is. Only the tag depends on it: two owners of the same build share one image
   * under two tags, and each can delete its own.
   */
  readonly owner?: string | undefined;
  /** The file for the build's log. The tag depends on it, because another file replaces the image. */
  readonly logFile?: string | undefined;
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
  /** Repository and tag. The tag contains `contentHash`, so equal names are equal images. */
  readonly reference: string;
  /** Of the files the build reads and of all build arguments; 12 hexadecimal digits. */
  readonly contentHash: string;
  readonly buildArgs: Readonly<Record<string, string>>;
}

/**
 * Plans a build; reads nothing but the build context.
 *
 * @throws an error that names the field, its value and what is allowed
 */
export function imageBuild(request: ImageBuildRequest): ImageBuild {
  const gpuFamily = gpuFamilies[request.gpuFamily];
  if (!gpuFamily) {
    throw new Error(
      `gpuFamily "${String(request.gpuFamily)}" is unknown; allowed: ${Object.keys(gpuFamilies).join(", ")}`,
    );
  }
  const version = buildableVersion(request.immichVersion);
  for (const field of ["packageIndex", "aptMirror", "httpProxy", "httpsProxy"] as const) {
    const value = request[field];
    if (value !== undefined && !isWebUrl(value)) {
      throw new Error(
        `${field} "${sanitize(value)}" must be a URL that begins with http:// or https://`,
      );
    }
  }
  for (const field of ["packageIndex", "aptMirror", "imageMirror"] as const) {
    if (hasCredentials(JSON.stringify(request[field] ?? ""))) {
      throw new Error(`${field} must be without a user or password: the image would keep them`);
    }
  }
  const { caCertificate } = request;
  const problem = caCertificate === undefined ? undefined : certificateProblem(caCertificate);
  if (problem) throw new Error(`caCertificate ${problem}`);

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
    ...optional("CA_CERTIFICATE", caCertificate?.trim()),
    // Docker passes these to every RUN without a declaration and leaves them out of the history.
    ...optional("HTTP_PROXY", request.httpProxy),
    ...optional("HTTPS_PROXY", request.httpsProxy),
    ...optional("NO_PROXY", request.noProxy),
  };
  const contentHash = hashBuild(
    request.contextPath,
    Object.values(locks),
    buildArgs,
    [request.owner ?? "", ...(request.logFile === undefined ? [] : [request.logFile])].join("\0"),
  );
  const tag = `${formatImmichVersion(version)}-onnxruntime${gpuFamily.onnxRuntime}-${contentHash}`;
  return { reference: `${gpuFamily.imageName}:${tag}`, contentHash, buildArgs };
}

function buildableVersion(text: string): ImmichVersion {
  const version = parseImmichVersion(text);
  if (!version) {
    throw new Error(`immichVersion "${text}" is not a release such as v2.7.5`);
  }
  const problem = immichVersionProblem(version);
  if (problem) throw new Error(`immichVersion ${problem}`);
  return version;
}

function optional(name: string, value: string | undefined): Record<string, string> {
  return value ? { [name]: value } : {};
}

// Everything the Dockerfile copies or mounts, except the locks: a build reads two of them.
const contextFile =
  /^(Dockerfile|\.dockerignore|serve\.py|(checks|opset_bridge|setup)\/.*\.(py|pth|sh))$/;

function hashBuild(
  contextPath: string,
  locks: readonly string[],
  buildArgs: Readonly<Record<string, string>>,
  owner: string,
): string {
  if (!existsSync(join(contextPath, "Dockerfile"))) {
    throw new Error(`contextPath "${contextPath}" contains no Dockerfile`);
  }
  const hash = createHash("sha256").update(`${owner}\0`);
  const inContext = readdirSync(contextPath, { recursive: true, encoding: "utf8" });
  for (const file of [...inContext.filter((path) => contextFile.test(path)), ...locks].sort()) {
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(contextPath, file)))
      .update("\0");
  }
  for (const [name, value] of entriesByName(buildArgs)) {
    hash.update(`${name}=${value}\0`);
  }
  return hash.digest("hex").slice(0, 12);
}
