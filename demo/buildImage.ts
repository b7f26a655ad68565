import path from "node:path";
import type Docker from "dockerode";
import { buildContext } from "./buildContext";
import { repositoryFolder } from "./folders";

export interface BuildRequest {
  /** Name and tag of the image. */
  tag: string;
  /** @default the repository's image/ */
  context?: string;
  /** @default Dockerfile */
  dockerfile?: string;
  buildArgs: Record<string, string>;
  labels?: Record<string, string>;
  /** The last stage to build. @default the last one of the Dockerfile */
  target?: string;
  /** Whether to ignore cached layers. @default false */
  noCache?: boolean;
}

/** The engine's error, with the output of the build. */
export class BuildFailed extends Error {
  constructor(
    message: string,
    readonly log: string,
  ) {
    super(message);
  }
}

/**
 * Builds with BuildKit, as Pulumi's provider does. The engine brings it, so no client has to.
 *
 * @returns the output of the build
 * @throws {@link BuildFailed}
 */
export async function buildImage(
  docker: Docker,
  request: BuildRequest,
  onLine: (line: string) => void = () => undefined,
): Promise<string> {
  const dockerfile = request.dockerfile ?? "Dockerfile";
  const context = request.context ?? path.join(repositoryFolder, "image");
  const stream = await docker.buildImage(await buildContext(context, dockerfile), {
    t: request.tag,
    version: "2",
    dockerfile,
    buildargs: request.buildArgs,
    labels: request.labels ?? {},
    nocache: request.noCache ?? false,
    ...(request.target !== undefined && { target: request.target }),
  });
  const lines: string[] = [];
  let failure: string | undefined;
  const { followProgress } = docker as unknown as { followProgress: FollowProgress };
  await new Promise<void>((resolve) => {
    const onFinished = (error: Error | null) => {
      failure ??= error?.message;
      resolve();
    };
    followProgress(stream, onFinished, (event) => {
      failure ??= event.error;
      for (const line of linesOf(event.stream ?? event.error ?? "")) {
        lines.push(line);
        onLine(line);
      }
    });
  });
  if (failure !== undefined) throw new BuildFailed(failure, lines.join("\n"));
  return lines.join("\n");
}

/** Decodes BuildKit's messages. Missing in the types of the package. */
type FollowProgress = (
  this: void,
  stream: NodeJS.ReadableStream,
  onFinished: (error: Error | null) => void,
  onProgress: (event: { stream?: string; error?: string }) => void,
) => void;

/** BuildKit names its steps in plain text, but sends their output as base64. */
function linesOf(text: string): string[] {
  const encoded = text.trim();
  const isEncoded = /^[A-Za-z0-9+/]+={0,2}$/.test(encoded) && encoded.length % 4 === 0;
  const decoded = isEncoded ? Buffer.from(encoded, "base64").toString() : text;
  return decoded.split(/[\r\n]+/).filter((line) => line.trim() !== "");
}
