import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import type Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { freePort } from "../../demo/postgres";
import { run } from "../../demo/shell";
import { expectDeclaredToRun } from "../support/declared";
import { fakes, startedDocker, testName } from "../support/docker";
import { missingEngine, openEngineStack, type EngineStack } from "../support/engineStack";
import { startTlsProxy, type TlsProxy } from "../support/tlsProxy";

/** A host whose engine is at tcp:// with TLS. Each step follows on the last. */
describe.skipIf(missingEngine)("a host behind TLS", () => {
  let docker: Docker;
  let proxy: TlsProxy;
  let stack: EngineStack;
  let config: (tls: string | undefined) => Record<string, unknown>;
  const containerName = testName("tls");
  const image = `${testName("tls-image")}:1`;
  let folder: string;

  beforeAll(async () => {
    docker = await startedDocker();
    const { python310 } = await fakes();
    folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-tls-image-"));
    await writeFile(
      path.join(folder, "Dockerfile"),
      `FROM ${python310}
RUN mkdir -p /usr/src && echo pass >/usr/src/healthcheck.py
WORKDIR /usr/src
STOPSIGNAL SIGKILL
CMD ["sleep", "infinity"]
`,
    );
    await run("docker", ["build", "--quiet", "--tag", image, folder]);
    proxy = await startTlsProxy("/var/run/docker.sock");
    const port = await freePort();
    config = (tls) => ({
      immich: { version: "v2.7.5" },
      hosts: [
        {
          name: "cellar",
          dockerHost: proxy.endpoint,
          tls,
          accelerator: "cpu",
          image,
          // The image has Python, but no ONNX Runtime.
          check: "warn",
          containerName,
          cacheVolume: `${containerName}-cache`,
          keepCache: false,
          publish: { address: "127.0.0.1", port },
        },
      ],
    });
    stack = await openEngineStack({ name: "tls", config: config(proxy.otherCertificates) });
  });

  afterAll(async () => {
    await stack?.dispose();
    await proxy?.stop();
    await run("docker", ["rmi", image]);
    await rm(folder, { recursive: true });
  });

  it("is refused with certificates of another authority, before anything is changed", async () => {
    await expect(stack.up()).rejects.toThrow(
      /nothing was changed[^]*cellar: Docker at tcp:[^]*do not fit together: ca\.pem must be of the authority/,
    );
    await expect(docker.getContainer(containerName).inspect()).rejects.toThrow(
      /no such container/i,
    );
  });

  it("is refused with a folder without the files, which are named", async () => {
    await stack.configure(config(path.dirname(proxy.certificates)));
    await expect(stack.preview()).rejects.toThrow(
      /hosts\[0\]\.tls[^]*ca\.pem and cert\.pem and key\.pem cannot be read there/,
    );
  });

  it("is created and checked with matching certificates", async () => {
    await stack.configure(config(proxy.certificates));
    const { text } = await stack.up();
    expect(text).toContain("cellar: healthy after");
    expect(await stack.readState()).toContain("lacks a Python package: No module named 'numpy'");
    await expectDeclaredToRun(stack, { docker });
  });

  it("does not store its key in the state", async () => {
    const state = await stack.readState();
    const key = await readFile(path.join(proxy.certificates, "key.pem"), "utf8");
    expect(state).toContain(proxy.certificates);
    expect(state).not.toContain(key.split("\n")[1]);
    expect(state).not.toContain("PRIVATE KEY");
  });
});
