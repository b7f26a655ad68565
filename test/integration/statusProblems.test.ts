import { execFile } from "node:child_process";
import path from "node:path";

import { afterAll, beforeAll, expect, it } from "vitest";

import { run } from "../../util/run";
import { fakes, testName } from "../support/docker";
import { FakeCommands } from "../support/scripts";

const repository = path.join(__dirname, "..", "..");
const commands = new FakeCommands();
const containers: string[] = [];
let image: string;

beforeAll(async () => {
  image = (await fakes()).python310;
});

afterAll(async () => {
  for (const container of containers) await run("docker", ["rm", "--force", container]);
  commands.remove();
});

async function started(options: readonly string[], script: string): Promise<string> {
  const name = testName("status");
  containers.push(name);
  const words = ["run", "--detach", "--name", name, ...options, image, "sh", "-c", script];
  expect((await run("docker", words)).code).toBe(0);
  return name;
}

/** The status of hosts with the accelerator cuda, by a real engine and a fake `pulumi`. */
function status(hosts: Readonly<Record<string, string>>): Promise<string> {
  const machineLearning = Object.entries(hosts).map(([host, containerName]) => ({
    host,
    containerName,
    dockerHost: "unix:///var/run/docker.sock",
    accelerator: "cuda",
  }));
  commands.write("outputs", JSON.stringify({ machineLearning }));
  commands.add("pulumi", `[ "$1" = stack ] && cat "${commands.folder}/outputs"`);
  return new Promise((resolve) =>
    execFile(
      path.join(repository, "node_modules/.bin/tsx"),
      [path.join(repository, "cli/status.ts")],
      { env: { ...process.env, PATH: `${commands.folder}:${process.env["PATH"]}` } },
      (_error, stdout, stderr) => resolve(stdout + stderr),
    ),
  );
}

it("says why containers do not serve, and what to do, from real ones", async () => {
  const nvidiaSmi = "/usr/local/bin/nvidia-smi";
  const hosts = {
    attic: await started(
      ["--restart", "always"],
      "echo \"[ERROR] Can't connect to ('::', 3003)\"; exit 1",
    ),
    cellar: await started([], "exit 139"),
    barn: await started(
      [],
      `printf '#!/bin/sh\necho "Failed to initialize NVML: Unknown Error"\nexit 255\n' >${nvidiaSmi}; chmod +x ${nvidiaSmi}; exec sleep 600`,
    ),
    shed: await started([], "exec sleep 600"),
  };
  await new Promise((resolve) => setTimeout(resolve, 4000));
  const text = await status(hosts);
  expect(text).toMatch(
    /attic: it keeps restarting \(exit code 1\): the host has no IPv6.*host: 0\.0\.0\.0/,
  );
  expect(text).toContain("cellar: it has ended (exit code 139): the server crashed");
  expect(text).toContain(
    "barn: Failed to initialize NVML: Unknown Error: the container has lost its card",
  );
  expect(text).toMatch(/shed: .*nvidia-smi.*the container started without a card/);
});
