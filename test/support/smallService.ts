import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import { repositoryFolder } from "../../demo/folders";
import { run } from "../../demo/shell";
import { fakes, testName } from "./docker";

/** Answers the health check and nothing else. */
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

const healthcheck = `
import urllib.request
urllib.request.urlopen("http://localhost:3003/ping", timeout=2)
`;

/** An image on the machine's own engine, for as long as a test needs it. */
export interface TestImage {
  /** Its name and tag. */
  readonly reference: string;
  remove(): Promise<void>;
}

/**
 * An image a tenth of the size of ours, for engines without a network: it answers the health check, and
 * a real ONNX Runtime (of the CPU) is in it for the check.
 */
export async function buildSmallService(): Promise<TestImage> {
  const { python310 } = await fakes();
  return buildTestImage({
    "server.py": server,
    "healthcheck.py": healthcheck,
    Dockerfile: `FROM ${python310}
RUN pip install --quiet --no-cache-dir onnxruntime==1.14.1 numpy==1.26.4
WORKDIR /usr/src
COPY server.py healthcheck.py ./
CMD ["python3", "server.py"]
`,
  });
}

/** @param files text by name; one is the Dockerfile */
export async function buildTestImage(files: Readonly<Record<string, string>>): Promise<TestImage> {
  const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-context-"));
  for (const [name, text] of Object.entries(files)) await writeFile(path.join(folder, name), text);
  const reference = `${testName("service")}:latest`;
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
 * A build context for `LegacyImage` that adds nothing to its base image but what is asked.
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

/** Writes its Dockerfile anew, which makes another image. */
export async function writeContext(folder: string, instructions: string): Promise<void> {
  const dockerfile = `ARG PYTHON_IMAGE\nFROM \${PYTHON_IMAGE}\n${instructions}\n`;
  await writeFile(path.join(folder, "Dockerfile"), dockerfile);
}
