import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";

import { describe, expect, it } from "vitest";

import { memoize, run, type Run } from "../../util/run";

const shell = (script: string, options?: Parameters<Run>[2]) => run("sh", ["-c", script], options);

async function seconds<Result>(work: Promise<Result>): Promise<[Result, number]> {
  const begin = performance.now();
  return [await work, (performance.now() - begin) / 1000];
}

/** Whether a process is there and is no zombie. */
async function isAlive(pid: string): Promise<boolean> {
  const { stdout } = await run("ps", ["-o", "stat=", "-p", pid.trim()]);
  return stdout.trim() !== "" && !stdout.trim().startsWith("Z");
}

/** Ends a process that a test left running on purpose. */
const stop = (pid: string) => run("kill", ["-KILL", pid.trim()]);

describe("run", () => {
  it("answers with the code and both streams, and passes standard error on as it comes", async () => {
    const heard: string[] = [];
    const onStderr = (text: string) => heard.push(text);
    const script = 'printf "%s: " "$WHO"; cat; echo ünwell >&2; exit 3';
    const options = { environment: { WHO: "me" }, stdin: "hello", onStderr };
    expect(await shell(script, options)).toEqual({
      code: 3,
      stdout: "me: hello",
      stderr: "ünwell\n",
    });
    expect(heard.join("")).toBe("ünwell\n");
  });

  it("answers 127 for a program that is not installed, and 1 for one that cannot be started", async () => {
    expect(await run("/nowhere/docker", [])).toMatchObject({ code: 127, stdout: "" });
    expect(await run(__filename, [])).toMatchObject({ code: 1 });
    expect(await run("true", ["a\0b"])).toMatchObject({ code: 1 });
    expect(await run("true", ["x".repeat(4_000_000)])).toMatchObject({ code: 1 });
  });

  it("answers 1 for a program that a signal ended", async () => {
    expect(await shell("kill -KILL $$")).toMatchObject({ code: 1 });
  });

  it("answers 124 after the time limit, with what was printed before, and ends what was started", async () => {
    const script = "sleep 60 & echo $!; sleep 60";
    const [result, took] = await seconds(shell(script, { timeout: 0.5 }));
    expect(result.code).toBe(124);
    expect(took).toBeLessThan(5);
    expect(await isAlive(result.stdout)).toBe(false);
  });

  it("kills a program that ignores SIGTERM", async () => {
    const script = "trap '' TERM; echo $$; while :; do sleep 0.1; done";
    const [result, took] = await seconds(shell(script, { timeout: 0.5 }));
    expect(result.code).toBe(124);
    expect(took).toBeLessThan(5);
    expect(await isAlive(result.stdout)).toBe(false);
  });

  it("kills what ignores SIGTERM behind a program that does not", async () => {
    const stubborn = "trap '' TERM; while :; do sleep 0.1; done";
    const script = `sh -c "${stubborn}" >/dev/null 2>&1 & echo $!; sleep 60`;
    const result = await shell(script, { timeout: 0.5 });
    expect(result.code).toBe(124);
    expect(await isAlive(result.stdout)).toBe(false);
  });

  it.each([undefined, 30])(
    "does not wait for what a program left behind with its pipes (time limit %s)",
    async (timeout) => {
      const options = timeout === undefined ? {} : { timeout };
      const [result, took] = await seconds(shell("sleep 60 & echo $!; exit 5", options));
      expect(result.code).toBe(5);
      expect(took).toBeLessThan(5);
      // It may be meant to stay, such as the connection that ssh shares.
      expect(await isAlive(result.stdout)).toBe(true);
      await stop(result.stdout);
    },
  );

  it("does not wait after the time limit for a process that left the group with the pipes", async () => {
    const [result, took] = await seconds(
      shell("setsid sleep 60 & echo $!; sleep 60", { timeout: 0.5 }),
    );
    expect(result.code).toBe(124);
    expect(took).toBeLessThan(5);
    await stop(result.stdout);
  });

  it.each(["yes", "yes >&2"])("ends a program that floods its output (%s)", async (script) => {
    const { code, stdout, stderr } = await shell(script, { timeout: 60 });
    expect(code).toBe(1);
    expect(stdout.length + stderr.length).toBeGreaterThan(1024 * 1024);
    expect(stdout.length + stderr.length).toBeLessThanOrEqual(16 * 1024 * 1024);
  });

  it("takes all of a long output", async () => {
    const { code, stdout } = await shell("head -c 8000000 /dev/zero | tr '\\0' x");
    expect([code, stdout.length]).toEqual([0, 8_000_000]);
  });

  it("does not mind a program that never reads its input", async () => {
    const stdin = "x".repeat(4 * 1024 * 1024);
    expect(await shell("exit 4", { stdin })).toMatchObject({ code: 4 });
    expect(await shell("sleep 60", { stdin, timeout: 0.5 })).toMatchObject({ code: 124 });
  });

  it("passes an interrupt on to what runs in a group of its own", async () => {
    const program = `
      const { run } = require(${JSON.stringify(path.join(__dirname, "../../util/run.ts"))});
      const onStderr = (text) => process.stdout.write(text);
      void run("sh", ["-c", "echo $$ >&2; exec sleep 60"], { timeout: 60, onStderr });`;
    const parent = spawn(process.execPath, ["--import", "tsx", "--eval", program]);
    const [pid] = (await once(parent.stdout, "data")) as [Buffer];
    const ended = once(parent, "exit");
    parent.kill("SIGINT");
    expect(await ended).toEqual([null, "SIGINT"]);
    expect(await isAlive(String(pid))).toBe(false);
  });
});

describe("memoize", () => {
  it("asks once for the same question, and again for another", async () => {
    const asked: string[] = [];
    const answer = { code: 0, stdout: "", stderr: "" };
    const ask = memoize((program, parameters, options) => {
      asked.push([program, ...parameters, options?.environment?.["DOCKER_HOST"]].join(" "));
      return Promise.resolve(answer);
    });
    const at = (host: string) => ({ environment: { DOCKER_HOST: host } });
    await Promise.all([ask("docker", ["info"], at("a")), ask("docker", ["info"], at("a"))]);
    await ask("docker", ["info"], at("b"));
    expect(asked).toEqual(["docker info a", "docker info b"]);
  });
});
