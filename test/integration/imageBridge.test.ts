import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";

import type Docker from "dockerode";
import { afterAll, beforeAll, expect, it } from "vitest";

import { repositoryFolder } from "../../rehearsal/folders";
import { buildImage, standInBuildArgs } from "../support/builtImage";
import { standIns, startedDocker, testName } from "../support/docker";

let docker: Docker;
const built: string[] = [];
const image = `${testName("bridge")}:latest`;
const tests = `${testName("bridge-tests")}:latest`;

beforeAll(async () => {
  docker = await startedDocker();
  const buildArgs = standInBuildArgs("kepler-maxwell", "v2.7.5", await standIns());
  await buildImage(docker, { tag: image, buildArgs });
  built.unshift(image);
  await buildImage(docker, {
    tag: tests,
    context: path.join(repositoryFolder, "image", "tests"),
    buildArgs: { IMAGE: image },
  });
  built.unshift(tests);
});

afterAll(async () => {
  for (const name of built) await docker.getImage(name).remove();
});

/** @returns what the command printed; throws with it when the command fails */
async function run(...command: string[]): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(
      "docker",
      [
        ...["run", "--rm", "--name", testName("bridge"), "--network", "none"],
        // A file system that a model fills.
        ...["--tmpfs", "/small:size=24m,mode=1777", tests],
        ...command,
      ],
      { maxBuffer: 2 ** 26 },
    );
    return stdout;
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${command.join(" ")} failed:\n${stdout.slice(-6000)}\n${stderr.slice(-2000)}`);
  }
}

it("passes the bridge's own tests under ONNX Runtime 1.14.1, none of them skipped", async () => {
  const output = await run(...["python", "-m", "pytest", "-q", "-p", "no:cacheprovider"]);
  const summary = output.trim().split("\n").at(-1) ?? "";
  expect(summary).toMatch(/^\d{3} passed in/);
});

it("is typed without a gap", async () => {
  // A copy, because mypy takes site-packages for code of its own; no sqlite, which the stand-in's
  // Python lacks.
  const script =
    "mkdir /tmp/typed && cp -r /opt/venv/lib/python3.10/site-packages/opset_bridge /tmp/typed/ && " +
    "python -m mypy --strict --ignore-missing-imports --no-sqlite-cache --cache-dir /tmp/mypy " +
    "/tmp/typed/opset_bridge";
  expect(await run("sh", "-c", script)).toContain("Success: no issues found");
});
