import path from "node:path";

import type Docker from "dockerode";

import type { GpuFamilyName } from "../../catalog/gpuFamilies";
import { imageBuild } from "../../components/imageBuild";
import { repositoryFolder } from "../../demo/folders";
import { buildContext } from "../../demo/providers/buildContext";
import type { FakeImages } from "../../demo/fakeImages";

export interface BuildRequest {
  tag: string;
  /** Default: the repository's image/. */
  context?: string;
  /** Default: Dockerfile. */
  dockerfile?: string;
  buildArgs: Record<string, string>;
  /** A stage to stop at. */
  target?: string;
  /** Whether to make every layer anew. Default: false. */
  noCache?: boolean;
}

/** What a build printed; thrown with the engine's error when it failed. */
export class BuildFailed extends Error {
  constructor(
    message: string,
    readonly log: string,
  ) {
    super(message);
  }
}

/** Builds with BuildKit, as the Pulumi provider does. @returns what the build printed */
export async function buildImage(docker: Docker, request: BuildRequest): Promise<string> {
  const dockerfile = request.dockerfile ?? "Dockerfile";
  const context = request.context ?? path.join(repositoryFolder, "image");
  const stream = await docker.buildImage(await buildContext(context, dockerfile), {
    t: request.tag,
    version: "2",
    dockerfile,
    buildargs: request.buildArgs,
    nocache: request.noCache ?? false,
    ...(request.target === undefined ? {} : { target: request.target }),
  });
  const lines: string[] = [];
  const { followProgress } = docker as unknown as { followProgress: FollowProgress };
  let failure: string | undefined;
  await new Promise<void>((resolve) => {
    const onFinished = (error: Error | null) => {
      failure ??= error?.message;
      resolve();
    };
    followProgress(stream, onFinished, (event) => {
      failure ??= event.error;
      lines.push((event.stream ?? event.error ?? JSON.stringify(event)).trimEnd());
    });
  });
  const log = lines.join("\n");
  if (failure !== undefined) throw new BuildFailed(failure, log);
  return log;
}

/** Decodes BuildKit's messages; not yet in the package's types. */
type FollowProgress = (
  this: void,
  stream: NodeJS.ReadableStream,
  onFinished: (error: Error | null) => void,
  onProgress: (event: { stream?: string; error?: string }) => void,
) => void;

/** The build arguments of a GPU family on fakes of what a registry would give. */
export function fakeBuildArgs(
  gpuFamily: GpuFamilyName,
  immichVersion: string,
  images: FakeImages,
): Record<string, string> {
  return {
    ...imageBuild({
      gpuFamily,
      immichVersion,
      contextPath: path.join(repositoryFolder, "image"),
      pythonImage: gpuFamily === "kepler-maxwell" ? images.python310 : images.python311,
      immichImage: images.immichMachineLearning,
    }).buildArgs,
  };
}
