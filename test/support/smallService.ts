import { createHash } from "node:crypto";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import { repositoryFolder } from "../../demo/folders";
import { run } from "../../demo/shell";
import { fakes, testName } from "./docker";

const onnxRuntime = "onnxruntime==1.14.1 numpy==1.26.4 onnx==1.16.0";

/**
 * Python with the oldest ONNX Runtime that is used, for the CPU. Kept for the next run, since pip takes a while.
 *
 * @returns the image's name and tag
 */
export async function onnxRuntimeImage(): Promise<string> {
  const { python310 } = await fakes();
  const base = await run("docker", ["image", "inspect", "--format", "{{.Id}}", python310]);
  const key = createHash("sha256").update(base).update(onnxRuntime).digest("hex").slice(0, 12);
  const reference = `immich-ml-test/onnxruntime:${key}`;
  if (await run("docker", ["images", "--quiet", reference])) return reference;
  await buildTestImage(
    { Dockerfile: `FROM ${python310}\nRUN pip install --quiet --no-cache-dir ${onnxRuntime}\n` },
    reference,
  );
  return reference;
}

/** Answers only the health check. */
const server = `
import http.server
class Ping(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"pong")
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("0.0.0.0", 3003), Ping).serve_forever()
`;

/** As Immich's own: whether the server answers. */
export const healthcheck = `
import urllib.request
urllib.request.urlopen("http://localhost:3003/ping", timeout=2)
`;

/** An image on this machine's engine. */
export interface TestImage {
  /** Its name and tag. */
  readonly reference: string;
  remove(): Promise<void>;
}

/**
 * A small image for engines without a network. It answers the health check and has a real ONNX Runtime
 * (for the CPU), which the accelerator's check uses.
 */
export async function buildSmallService(): Promise<TestImage> {
  return buildTestImage({
    "server.py": server,
    "healthcheck.py": healthcheck,
    Dockerfile: `FROM ${await onnxRuntimeImage()}
WORKDIR /usr/src
COPY server.py healthcheck.py ./
# Immich's own module, which the command of its images runs.
RUN mkdir immich_ml && touch immich_ml/__init__.py && cp server.py immich_ml/__main__.py
STOPSIGNAL SIGKILL
CMD ["python3", "server.py"]
`,
  });
}

/** The entry of a host on the CPU with that image; container and volume are called `<stem>-<name>`. */
export function smallHost({ reference }: TestImage, stem: string, name: string) {
  return {
    name,
    accelerator: "cpu",
    image: reference,
    containerName: `${stem}-${name}`,
    cacheVolume: `${stem}-${name}`,
    keepCache: false,
  };
}

/** @param files text by file name, including the Dockerfile */
export async function buildTestImage(
  files: Readonly<Record<string, string>>,
  reference = `${testName("service")}:latest`,
): Promise<TestImage> {
  const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-context-"));
  for (const [name, text] of Object.entries(files)) await writeFile(path.join(folder, name), text);
  await run("docker", ["build", "--quiet", "--tag", reference, folder]);
  await rm(folder, { recursive: true });
  return {
    reference,
    remove: async () => {
      await run("docker", ["rmi", reference]);
    },
  };
}

/**
 * A build context for `LegacyImage` that adds only these instructions to its base image.
 *
 * @param instructions further lines of the Dockerfile
 */
export async function smallContext(instructions = ""): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-context-"));
  const locks = path.join("requirements", "locks");
  await cp(path.join(repositoryFolder, "image", locks), path.join(folder, locks), {
    recursive: true,
  });
  await writeContext(folder, instructions);
  return folder;
}

/** Writes another Dockerfile into the build context. */
export async function writeContext(folder: string, instructions: string): Promise<void> {
  const dockerfile = `ARG PYTHON_IMAGE\nFROM \${PYTHON_IMAGE}\n${instructions}\n`;
  await writeFile(path.join(folder, "Dockerfile"), dockerfile);
}
