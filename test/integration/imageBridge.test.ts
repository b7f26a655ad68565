import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";

import type Docker from "dockerode";
import { afterAll, beforeAll, expect, it } from "vitest";

import { buildImage } from "../../demo/buildImage";
import { repositoryFolder } from "../../demo/folders";
import { fakeBuildArgs } from "../support/builtImage";
import { fakes, startedDocker, testName } from "../support/docker";

let docker: Docker;
const built: string[] = [];
const image = `${testName("bridge")}:latest`;
const tests = `${testName("bridge-tests")}:latest`;

beforeAll(async () => {
  docker = await startedDocker();
  const buildArgs = fakeBuildArgs("kepler-maxwell", "v2.7.5", await fakes());
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

/** @returns the output; an error quotes its end */
async function run(...command: string[]): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(
      "docker",
      [
        ...["run", "--rm", "--name", testName("bridge"), "--network", "none"],
        // A file system that one model fills.
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

it("passes the bridge's tests under ONNX Runtime 1.14.1 without skipping any", async () => {
  const output = await run(...["python", "-m", "pytest", "-q", "-p", "no:cacheprovider"]);
  const summary = output.trim().split("\n").at(-1) ?? "";
  expect(summary).toMatch(/^\d{3} passed in/);
});

const onCard = ["python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "on_card.py"];

it("runs the tests of npm run check:models on the CPU", async () => {
  // A GPU runs all of them; here a few show that the tests work.
  const some = [...onCard, "-k", "21-10 or (encoder and textual)"];
  const output = await run("env", "IMMICH_ML_PROVIDER=CPUExecutionProvider", ...some);
  expect(output).toMatch(/^textual: [\d.]+ ms, cosine similarity 1\.0/m);
  expect(output).toMatch(/^7 passed, 85 deselected/m);
});

it("ends the check of the models with one line when there is no GPU, and passes nothing", async () => {
  const failure = await run(...onCard).catch((error: unknown) => (error as Error).message);
  expect(failure).toContain(
    "NO GPU: CUDAExecutionProvider does not come up in this container: CUDA failure 35",
  );
  expect(failure).toContain("no tests ran");
});

it("npm run check:models explains that no container gets a GPU", async () => {
  const script = path.join(repositoryFolder, "cli", "checkModels.ts");
  const parameters = ["--import", "tsx", script, "--image", image];
  const ended = await promisify(execFile)(process.execPath, parameters).then(
    () => ({ code: 0, stderr: "" }),
    (error: unknown) => error as { code: number; stderr: string },
  );
  expect(ended.stderr).toMatch(
    /^NO GPU: no container at unix:\/\/\S+ can use an NVIDIA GPU \(.+\)\nWhat to do: /,
  );
  expect(ended.code).toBe(3);
});

it("passes mypy in strict mode", async () => {
  // A copy, because mypy skips site-packages; without sqlite, which the fake image's Python lacks.
  const script =
    "mkdir /tmp/typed && cp -r /opt/venv/lib/python3.10/site-packages/opset_bridge /tmp/typed/ && " +
    "python -m mypy --strict --ignore-missing-imports --no-sqlite-cache --cache-dir /tmp/mypy " +
    "/tmp/typed/opset_bridge";
  expect(await run("sh", "-c", script)).toContain("Success: no issues found");
});
