import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";

import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { LocalWorkspace, type Stack } from "@pulumi/pulumi/automation";
import type Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { repositoryFolder } from "../../demo/folders";
import { findEngine } from "../../demo/withEngine";
import { fakes, startedDocker, testName } from "../support/docker";
import { missingEngine } from "../support/engineStack";

const execute = promisify(execFile);
const secret = "a-password-nobody-may-read";

/** A stack with the outputs, check and history of index.ts, but without an image to build. */
describe.skipIf(missingEngine)("npm run report on a stack of the real engine", () => {
  const containerName = testName("report");
  let docker: Docker;
  let folder: string;
  let environment: Record<string, string>;
  let stack: Stack;

  beforeAll(async () => {
    docker = await startedDocker();
    const { python310 } = await fakes();
    const container = await docker.createContainer({
      name: containerName,
      Image: python310,
      Cmd: ["sleep", "infinity"],
    });
    await container.start();
    folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-report-"));
    environment = {
      PULUMI_BACKEND_URL: `file://${folder}`,
      PULUMI_CONFIG_PASSPHRASE: "test",
      PULUMI_SKIP_UPDATE_CHECK: "true",
    };
    const found = await findEngine(console.log);
    if ("missing" in found) throw new Error(found.missing);
    stack = await LocalWorkspace.createStack(
      { stackName: "report", projectName: "immich-ml", program: () => Promise.resolve(program()) },
      { pulumiCommand: found.engine, workDir: folder, envVars: environment },
    );
    await stack.setConfig("immich-ml:databasePassword", { value: secret, secret: true });
    const hosts = [{ name: "attic", gpu: "GeForce GTX 750 Ti" }];
    await stack.setConfig("immich-ml:hosts", { value: JSON.stringify(hosts) });
    await stack.up({ message: "the first <b>up</b>" });
  });

  afterAll(async () => {
    await stack?.destroy();
    await docker
      ?.getContainer(containerName)
      .remove({ force: true })
      .catch(() => undefined);
    if (folder) await rm(folder, { recursive: true });
  });

  function program() {
    const check = { ok: true, provider: "CUDAExecutionProvider", devices: [] };
    new local.Command("attic-check", { create: `echo '${JSON.stringify(check)}'` });
    return {
      machineLearning: [
        {
          host: "attic",
          containerName,
          dockerHost: "unix:///var/run/docker.sock",
          accelerator: "cuda",
          url: "http://attic:3003",
          imageVariant: "kepler-maxwell",
          executionProvider: "CUDAExecutionProvider",
        },
      ],
      systemConfig: { "machineLearning.clip.modelName": "ViT-B-32__openai" },
      password: pulumi.secret(secret),
    };
  }

  async function report(...options: string[]): Promise<{ text: string; errors: string }> {
    const file = path.join(folder, "page.html");
    const script = path.join(repositoryFolder, "cli", "report", "report.ts");
    const tsx = path.join(repositoryFolder, "node_modules", ".bin", "tsx");
    const { stderr } = await execute(tsx, [script, "--output", file, ...options], {
      cwd: folder,
      env: { ...process.env, ...environment },
    });
    return { text: await readFile(file, "utf8"), errors: stderr };
  }

  it("shows the hosts, the GPU, the last check, the selected model and the history", async () => {
    const { text, errors } = await report("--stack", "report");
    expect(errors).toBe("");
    expect(text).toContain("Stack report");
    expect(text).toMatch(/<h3>attic<\/h3>\s*<span class="chip warn">running</);
    expect(text).toContain("GeForce GTX 750 Ti, 2 GiB (from the stack file)");
    expect(text).toMatch(/passed<\/span>\s*CUDAExecutionProvider/);
    expect(text).toMatch(/data-chosen[^>]*>ViT-B-32__openai</);
    expect(text).toContain("the first &lt;b&gt;up&lt;/b&gt;");
    expect(text).toContain("<h1>Your GPU is in use</h1>");
  });

  it("holds no secret of the stack", async () => {
    expect((await report("--stack", "report")).text).not.toContain(secret);
  });

  it("reports a missing stack on the page and on the terminal", async () => {
    const { text, errors } = await report("--stack", "another");
    expect(errors).toMatch(/not known: .*another/);
    expect(text).toMatch(/Not known: .*another/);
    expect(text).toContain("All 58 CLIP models, and which fit");
  });
});
