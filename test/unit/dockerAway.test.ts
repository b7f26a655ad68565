import { readFileSync } from "node:fs";
import { join, relative } from "node:path";

import { afterEach, expect, it } from "vitest";

import { FakeCommands } from "../support/scripts";

const repository = join(__dirname, "../..");

let commands: FakeCommands;
afterEach(() => commands.remove());

/** Runs lines of shell with what swap.sh reads. Docker is away until a time, and then does what is asked. */
function run(lines: string, awayUntil: number, answer = "echo true") {
  commands = new FakeCommands();
  const { folder } = commands;
  commands.add(
    "docker",
    `echo "$1" >>"${folder}/calls"
if [ "$(date)" -lt ${awayUntil} ]; then
  echo
  echo "Cannot connect to the Docker daemon at unix:///var/run/docker.sock." >&2
  [ "$1" != start ] || echo "Error: failed to start containers: 1a2b" >&2
  exit 1
fi
case $1 in version) exit ;; esac
${answer}`,
  );
  commands.write(
    "script.sh",
    `folder="${repository}/verify" work="${folder}" IMMICH_ML_HOST=attic IMMICH_ML_CONTAINER=1a2b
fail() { log "$1"; exit 1; }
. "$folder/common.sh"
. "$folder/containers.sh"
${lines}`,
  );
  return commands.run(relative(repository, join(folder, "script.sh")), {});
}

const calls = () => readFileSync(join(commands.folder, "calls"), "utf8").trim().split("\n");

it("a container whose engine is being restarted is not taken for one that does not run", async () => {
  const { stdout, stderr } = await run("is_running 1a2b && echo runs", 1020);
  expect(stdout).toBe("runs\n");
  expect(stderr).toBe("attic: Docker does not answer; waiting until it is back\n");
});

it("what Docker did not do before it was restarted is asked for again", async () => {
  const { stdout, stderr } = await run("try start 1a2b && echo started", 1020);
  expect(stdout).toBe("started\n");
  expect(stderr).toContain("Docker does not answer");
  expect(calls().filter((call) => call === "start")).toHaveLength(2);
});

it.each([
  "Error response from daemon: Renaming a container with the same name as its current name",
  "Error response from daemon: endpoint with name attic already exists in network immich",
])("what it had done before is no failure: %s", async (complaint) => {
  const asked = "try rename 1a2b attic && echo done";
  const refusal = `echo "${complaint}" >&2; exit 1`;
  expect((await run(asked, 1020, refusal)).stdout).toBe("done\n");
  commands.remove();
  expect((await run(asked, 0, refusal)).stdout).toBe("");
});

it("an engine that stays away is waited for once, and named as the reason", async () => {
  const { stdout } = await run(
    'try start 1a2b || echo "$answer"; is_running 1a2b || cat "$work/clock"',
    1_000_000,
  );
  const [reason, clock] = stdout.trim().split("\n");
  expect(reason).toBe("Cannot connect to the Docker daemon at unix:///var/run/docker.sock.");
  expect(Number(clock)).toBeLessThan(1070);
});
