import { execFile } from "node:child_process";
import path from "node:path";

import { afterEach, describe, expect, it } from "vitest";

import { FakeCommands } from "../support/scripts";

const repository = path.join(__dirname, "..", "..");
let commands: FakeCommands;
afterEach(() => commands.remove());

/** @param docker lines of shell in place of the docker client */
function checkModels(docker: string): Promise<{ code: number; stdout: string; stderr: string }> {
  commands = new FakeCommands();
  commands.add("docker", docker);
  const parameters = [path.join(repository, "cli/checkModels.ts"), "--image", "x"];
  return new Promise((resolve) =>
    execFile(
      path.join(repository, "node_modules/.bin/tsx"),
      parameters,
      { env: { ...process.env, PATH: `${commands.folder}:${process.env["PATH"]}` } },
      (error, stdout, stderr) => resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    ),
  );
}

describe("check:models shows what docker prints", () => {
  it("as a few clean lines with the cure when the tests cannot be added", async () => {
    const { code, stderr } = await checkModels(`case $1 in
      run) echo "GeForce GTX 750 Ti, 470.256" ;;
      build) printf '#5 1.0 Collecting x\\n\\033[2J#5 ERROR: No matching distribution found for pytest\\n' >&2; exit 1 ;;
    esac`);
    expect(code).toBe(2);
    expect(stderr).toContain("docker build failed:\n  | #5 1.0 Collecting x\n");
    expect(stderr).toContain("  | \\u001b[2J#5 ERROR: No matching distribution");
    expect(stderr).toContain("What to do: the package index does not have the package");
    expect(stderr).not.toContain("\u001b");
  });

  it("harmless to a terminal while the tests run", async () => {
    const { code, stdout, stderr } = await checkModels(`case "$*" in
      *--query-gpu*) echo "GeForce GTX 750 Ti, 470.256" ;;
      *pytest*) printf 'clip\\033[2J\\n3 passed\\n'; printf 'a warning\\033]0;title\\n' >&2 ;;
    esac`);
    expect(code).toBe(0);
    expect(stdout).toContain("3 models agree");
    expect(stdout + stderr).not.toContain("\u001b");
  });

  it("with the cure of a container that gets no GPU", async () => {
    const { code, stderr } = await checkModels(
      `echo 'docker: Error response from daemon: could not select device driver "" with capabilities: [[gpu]].' >&2; exit 125`,
    );
    expect(code).toBe(3);
    expect(stderr).toContain("NO GPU: no container at");
    expect(stderr).toContain("nvidia-ctk runtime configure --runtime=docker");
  });
});
