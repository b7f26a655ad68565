import { existsSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile, copyFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import * as docker from "@pulumi/docker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { LegacyImage } from "../../components";
import { describeProgress } from "../../components/buildLog";
import { fakes } from "../support/docker";
import { type EngineStack, missingEngine, openEngineStack } from "../support/engineStack";

const repository = path.join(__dirname, "..", "..");

/** Real builds of `image/setup/install.sh` that fail, on the real engine and its Docker provider. */
describe.skipIf(missingEngine)("an image that cannot be built", () => {
  let folder: string;
  let python: string;
  let stack: EngineStack;
  let packageIndex: string | undefined;

  beforeAll(async () => {
    python = (await fakes()).python310;
    folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-build-fails-"));
    await mkdir(path.join(folder, "setup"));
    await mkdir(path.join(folder, "requirements/locks"), { recursive: true });
    await copyFile(
      path.join(repository, "image/setup/install.sh"),
      path.join(folder, "setup/install.sh"),
    );
    for (const lock of ["cuda-11.8", "kepler-maxwell-v2"]) {
      await writeFile(
        path.join(folder, `requirements/locks/${lock}.txt`),
        `onnx==1.16.0 --hash=sha256:${"0".repeat(64)}\n`,
      );
    }
    stack = await openEngineStack({
      name: "build-fails",
      program: () => {
        const provider = new docker.Provider("engine", { host: "unix:///var/run/docker.sock" });
        new LegacyImage(
          "attic-image",
          {
            gpuFamily: "kepler-maxwell",
            immichVersion: "v2.7.5",
            pythonImage: python,
            contextPath: folder,
            ...(packageIndex !== undefined && { packageIndex }),
          },
          { provider },
        );
        return Promise.resolve({});
      },
    });
  });

  afterAll(async () => {
    await stack?.dispose();
    await rm(folder, { recursive: true, force: true });
    // A failed build's log stays for the user.
    if (stack) await rm(`.build-${stack.name}-attic-image.log`, { force: true });
  });

  /** @param before what the step does before it installs */
  async function failure(before: string, index?: string): Promise<string> {
    packageIndex = index;
    await writeFile(
      path.join(folder, "Dockerfile"),
      `ARG PYTHON_IMAGE
FROM \${PYTHON_IMAGE}
ARG PACKAGE_INDEX=
ARG CUDA_LOCK
COPY setup/install.sh /tmp/
COPY \${CUDA_LOCK} /tmp/lock.txt
RUN ${before} sh /tmp/install.sh cuda /tmp/lock.txt /opt/cuda
`,
    );
    return stack.up().then(
      () => "",
      (error: Error) => error.message,
    );
  }

  it("says that the package index does not have a package", async () => {
    const message = await failure(
      "(cd /tmp && python3 -m http.server 8000 &) && sleep 1 &&",
      "http://localhost:8000/simple",
    );
    expect(message).toContain('the step "CUDA libraries" failed');
    expect(message).toContain("ERROR: No matching distribution found for onnx==1.16.0");
    expect(message).toContain("What to do: the package index does not have the package");
  });

  it("says that the disk is full, and before that what it does", async () => {
    const file = `.build-${stack.name}-attic-image.log`;
    const seen: string[] = [];
    const timer = setInterval(() => {
      if (existsSync(file)) seen.push(describeProgress(readFileSync(file, "utf8"), 5));
    }, 200);
    const message = await failure("echo collecting && sleep 3 && cat /etc/passwd >/dev/full &&");
    clearInterval(timer);
    expect(seen).toContain("0 min 5 s: CUDA libraries (collecting)");
    expect(message).toContain("No space left on device");
    expect(message).toContain("docker builder prune");
  });

  it("says that a mirror's certificate is not trusted", async () => {
    // A TLS server with a certificate of its own.
    const server =
      "import http.server, ssl; s = http.server.HTTPServer(('', 8443), http.server.SimpleHTTPRequestHandler);" +
      " c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); c.load_cert_chain('/tmp/crt', '/tmp/key');" +
      " s.socket = c.wrap_socket(s.socket, server_side=True); s.serve_forever()";
    const message = await failure(
      "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -keyout /tmp/key -out /tmp/crt 2>/dev/null" +
        ` && (python3 -c "${server}" &) && sleep 1 &&`,
      "https://localhost:8443/simple",
    );
    expect(message).toContain("CERTIFICATE_VERIFY_FAILED");
    expect(message).toContain("«build.caCertificate»");
  });
});
