import { existsSync } from "node:fs";
import { join } from "node:path";

import { afterAll, describe, expect, it } from "vitest";

import { parseCheckResults, rolloutScript } from "../../verify/check";
import { FakeCommands } from "../support/scripts";

const used: FakeCommands[] = [];
afterAll(() => used.forEach((commands) => commands.remove()));

interface World {
  /** What `docker service inspect` says in turn, such as `updating 2`; the last one stays. */
  readonly updates: readonly string[];
  /** Tasks that shall run, as `docker service ps` prints them. */
  readonly wanted: readonly string[];
  /** Tasks that ended. */
  readonly ended?: readonly string[];
  /** Containers on the engine reached, each behind its task. */
  readonly containers?: readonly string[];
  /** Exit code of the question whether the service's address answers. */
  readonly address?: number;
  /** Seconds an answer of `docker service inspect` takes. */
  readonly slowness?: number;
}

/** Runs the script with a fake `docker`. */
async function rollOut(world: World, environment: Record<string, string> = {}) {
  const commands = new FakeCommands();
  used.push(commands);
  const { folder } = commands;
  const file = (name: string, lines: readonly string[]) =>
    commands.write(name, lines.map((line) => `${line}\n`).join(""));
  file("updates", world.updates);
  file("wanted", world.wanted);
  file("ended", world.ended ?? []);
  file("containers", world.containers ?? ["t1 aaa", "t2 bbb"]);
  commands.add(
    "docker",
    `case "$*" in
  "service inspect"*ContainerSpec*) echo "rack@sha256:12 net1" ;;
  "service inspect"*) ${commands.wait(world.slowness ?? 0)}
    head -n 1 "${folder}/updates"
    [ "$(wc -l <"${folder}/updates")" -le 1 ] || sed -i 1d "${folder}/updates" ;;
  "service ps"*) cat "${folder}/wanted" "${folder}/ended" ;;
  "service logs"*) printf 'ValueError: \\033[2Jof %s\\n' "$(echo "$*" | sed 's/.* //')" ;;
  "inspect --type task"*) shift 6; for id; do echo "2026-11-24 23:16:\${id#f} $id"; done ;;
  "inspect"*) echo "running 0 0 false healthy" ;;
  "ps"*) cat "${folder}/containers" ;;
  "exec"*"/ping"*) [ ${world.address ?? 0} = 0 ] || { echo "timed out"; exit 1; } ;;
  "exec"*) cat >"${folder}/stdin"; echo '{"ok": true, "provider": "CPUExecutionProvider", "devices": []}' ;;
  "logs"*) ;;
  "run"*) echo "$*" >"${folder}/asked-beside"
    [ ${world.address ?? 0} = 0 ] || { echo "timed out"; exit 1; } ;;
  *) exit 64 ;;
esac`,
  );
  const ended = await commands.run(rolloutScript, {
    IMMICH_ML_HOST: "rack",
    IMMICH_ML_SERVICE: "immich-ml-rack",
    IMMICH_ML_ADDRESS: "http://ml:3003",
    IMMICH_ML_EXPECTED: "CPUExecutionProvider",
    IMMICH_ML_MODE: "enforce",
    IMMICH_ML_TIMEOUT: "5",
    ...environment,
  });
  return { ...ended, isCanaryLeft: existsSync(join(folder, "canary")) };
}

const running = (id: string, slot: number, node = "here") =>
  `${id}|immich-ml-rack.${slot}|${node}|Running|Running 4 seconds ago|`;
const failed = (id: string, slot: number) =>
  `${id}|immich-ml-rack.${slot}|here|Shutdown|Failed 5 seconds ago|"task: non-zero exit (1)"`;
const steady = [running("t1", 1), running("t2", 2)];

describe("the rollout of a service", { concurrent: true }, () => {
  it("is waited for, and then each task here is verified and its result printed", async () => {
    const { code, stdout, stderr } = await rollOut({
      updates: ["updating 2", "completed 2"],
      wanted: steady,
    });
    expect(code).toBe(0);
    expect(parseCheckResults(stdout).map(({ ok }) => ok)).toEqual([true, true]);
    expect(stderr).toContain("rack: answers at http://ml:3003");
    expect(stderr).not.toContain("not verified");
  });

  it("is not over while a task more or less runs than was asked for", async () => {
    const { code, stdout } = await rollOut({ updates: ["none 3"], wanted: steady });
    expect(code).toBe(1);
    expect(stdout).toContain("only 2 of 3 tasks are healthy after 5 s");
  });

  it("ends in time, however slow the docker client is", async () => {
    const world = { updates: ["none 3"], wanted: steady, slowness: 3 };
    const { stdout, stderr } = await rollOut(world, { IMMICH_ML_TIMEOUT: "10" });
    expect(stdout).toContain("only 2 of 3 tasks are healthy after 11 s");
    expect(stderr.match(/tasks healthy, update none/g)).toHaveLength(2);
  });

  it("that was rolled back fails with the newest task's error and log", async () => {
    const { code, stdout, stderr } = await rollOut({
      updates: ["updating 2", "rollback_started 2", "rollback_completed 2"],
      wanted: steady,
      ended: [failed("f10", 1), failed("f22", 2), failed("f15", 1)],
    });
    expect(code).toBe(1);
    expect(stderr).toContain("| ValueError: [2Jof f22\n");
    expect(stderr).toContain("The former tasks still serve");
    expect(parseCheckResults(stdout)).toEqual([
      {
        ok: false,
        error:
          "the rollout failed and was rolled back (immich-ml-rack.2 on node here: task: non-zero exit (1))",
        details: [],
        hint: null,
      },
    ]);
  });

  it("that was rolled back fails also where checks only warn", async () => {
    const world = { updates: ["rollback_completed 2"], wanted: steady };
    expect((await rollOut(world, { IMMICH_ML_MODE: "warn" })).code).toBe(1);
    expect((await rollOut(world, { IMMICH_ML_MODE: "off" })).code).toBe(1);
  });

  it("computes nothing where the check is off", async () => {
    const world = { updates: ["none 2"], wanted: steady };
    const { code, stdout } = await rollOut(world, { IMMICH_ML_MODE: "off" });
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
  });

  it("names the nodes whose tasks are not reached", async () => {
    const { code, stdout, stderr } = await rollOut({
      updates: ["none 3"],
      wanted: [running("t1", 1), running("t2", 2, "attic"), running("t3", 3, "cellar")],
      containers: ["t1 aaa", "t0 of-before"],
    });
    expect(code).toBe(0);
    expect(parseCheckResults(stdout)).toHaveLength(1);
    expect(stderr).toContain("not verified: the tasks on attic cellar,");
  });

  describe("of which every task runs on another node", () => {
    const world = {
      updates: ["none 2"],
      wanted: [running("t1", 1, "attic"), running("t2", 2, "cellar")],
      containers: [],
    };

    it("fails, since no card was verified; the address was asked from a container", async () => {
      const { code, stdout, stderr } = await rollOut(world);
      expect(stderr).toContain("rack: answers at http://ml:3003");
      expect(stdout).toContain("no task runs on the engine reached, all are on attic cellar");
      expect(stderr).toContain("check: warn");
      expect(code).toBe(1);
    });

    it("passes where its owner says that a warning is enough", async () => {
      const { code, stderr } = await rollOut(world, { IMMICH_ML_MODE: "warn" });
      expect(code).toBe(0);
      expect(stderr).toContain("not verified: the tasks on attic cellar,");
    });

    it("fails when the address does not answer", async () => {
      const { code, stdout } = await rollOut({ ...world, address: 1 });
      expect(code).toBe(1);
      expect(stdout).toContain("does not answer at http://ml:3003");
      const off = await rollOut({ ...world, address: 1 }, { IMMICH_ML_MODE: "off" });
      expect(off.code).toBe(1);
    });
  });

  it("fails when the address does not answer, though the tasks are healthy", async () => {
    const world = { updates: ["none 2"], wanted: steady, address: 1 };
    const { code, stdout, stderr } = await rollOut(world);
    expect(code).toBe(1);
    expect(stdout).toContain("does not answer at http://ml:3003");
    expect(stdout).toContain("timed out");
    expect(stderr).toContain("swarm.endpointMode: dnsrr");
    expect((await rollOut(world, { IMMICH_ML_MODE: "warn" })).code).toBe(0);
  });

  it("explains why no node can run a task", async () => {
    const nowhere =
      't3|immich-ml-rack.3||Running|Pending 9 seconds ago|"no suitable node (insufficient resources on 1 node)"';
    const { code, stdout } = await rollOut(
      { updates: ["updating 3"], wanted: [...steady, nowhere] },
      { IMMICH_ML_TIMEOUT: "40" },
    );
    expect(code).toBe(1);
    expect(stdout).toContain("no node can run a task: no suitable node (insufficient resources");
  });

  it.each([
    ["task", { wanted: [running("x//;e touch canary >&2 #", 1)] }, "a task's id may only have"],
    ["task", { wanted: [running("--env-file=/etc/shadow", 1)] }, "a task's id may only have"],
    ["task that failed", { ended: [failed("f1;touch canary", 1)] }, "a task's id may only have"],
    ["container", { containers: ["t1 --env-file=/etc/shadow"] }, "a container's id may only have"],
    ["container", { containers: ["t1 $(touch${IFS}canary)"] }, "a container's id may only have"],
  ])("refuses a %s with the id of %j", async (_what, hostile, message) => {
    const world = { updates: ["none 1"], wanted: [running("t1", 1)], ...hostile };
    const { code, stdout, isCanaryLeft } = await rollOut(world);
    expect(code).toBe(1);
    expect(stdout).toContain(message);
    expect(isCanaryLeft || existsSync("canary")).toBe(false);
  });

  it("refuses a service's name that is an option", async () => {
    const world = { updates: ["none 2"], wanted: steady };
    const { code, stdout } = await rollOut(world, { IMMICH_ML_SERVICE: "--filter" });
    expect(code).toBe(1);
    expect(stdout).toContain("the service's name may only have");
  });
});
