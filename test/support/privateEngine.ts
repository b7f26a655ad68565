import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";

import { standIns, testName } from "./docker";

const execute = promisify(execFile);

/** Why such an engine cannot be had here; undefined when it can. */
export const missingPrivateEngine =
  process.platform === "linux" && process.getuid?.() === 0
    ? undefined
    : "a Docker engine with stand-in devices needs root on Linux";
if (missingPrivateEngine) console.log(`SKIPPED: ${missingPrivateEngine}`);

/** A Docker engine of a test's own, with stand-ins for every accelerator's devices. */
export interface PrivateEngine {
  /** The address, as in `DOCKER_HOST`. */
  readonly endpoint: string;
  /** A process of this machine that has the engine's network, and keeps it until the engine is stopped. */
  readonly process: number;
  /** The id of an image in it that sleeps. */
  readonly sleeper: string;
  /** The docker client's answer. */
  docker(...parameters: string[]): Promise<string>;
  /** Builds an image for it and answers with its id. */
  build(dockerfile: string, files?: Readonly<Record<string, string>>): Promise<string>;
  /** Copies an image of the machine's engine into it. */
  load(reference: string): Promise<void>;
  stop(): Promise<void>;
}

/** @param options `bridge`: whether containers have a network where none is asked for */
export async function startPrivateEngine(
  options: { readonly bridge?: boolean } = {},
): Promise<PrivateEngine> {
  // A socket's path may have at most some hundred characters.
  const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-engine-"));
  const script = path.join(__dirname, "privateEngine.sh");
  const child = spawn(
    "unshare",
    [...["--mount", "--net", "--propagation", "private"], ...["sh", script, folder]],
    {
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, ...(options.bridge && { ENGINE_BRIDGE: "" }) },
    },
  );
  let log = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (text: Buffer) => (log = (log + text.toString()).slice(-20_000)));
  }
  const endpoint = `unix://${folder}/docker.sock`;
  const machine = process.env["DOCKER_HOST"] ?? "unix:///var/run/docker.sock";
  const docker = async (...parameters: string[]) => {
    const { stdout } = await execute("docker", parameters, {
      env: { ...process.env, DOCKER_HOST: endpoint },
      maxBuffer: 16 * 1024 * 1024,
    });
    return stdout.trim();
  };
  const load = async (reference: string) => {
    const pipe = `docker --host "$MACHINE" save "$IMAGE" | docker --host "$ENGINE" load`;
    await execute("sh", ["-c", pipe], {
      env: { ...process.env, MACHINE: machine, ENGINE: endpoint, IMAGE: reference },
    });
  };
  // By the machine's own engine: this one is cut off from every network.
  const build: PrivateEngine["build"] = async (dockerfile, files = {}) => {
    const context = await mkdtemp(path.join(tmpdir(), "immich-ml-test-context-"));
    for (const [name, text] of Object.entries({ ...files, Dockerfile: dockerfile })) {
      await writeFile(path.join(context, name), text);
    }
    // An image without a name from which another is made would be hidden from the provider.
    const tag = testName("image");
    await execute("docker", ["--host", machine, "build", "--quiet", "--tag", tag, context]);
    await load(tag);
    await execute("docker", ["--host", machine, "rmi", tag]);
    await rm(context, { recursive: true });
    return docker("image", "inspect", "--format", "{{.Id}}", tag);
  };
  const stop = async () => {
    await stopContainers(docker).catch(() => undefined);
    await ended(child);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await answers(docker, child, () => log);
    const { python310 } = await standIns();
    await load(python310);
    const sleeper = await build(`FROM ${python310}\nCMD ["sleep", "infinity"]\n`);
    return { endpoint, process: child.pid!, sleeper, docker, build, load, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function answers(
  docker: PrivateEngine["docker"],
  child: ChildProcess,
  log: () => string,
): Promise<void> {
  for (let attempt = 0; attempt < 60; attempt += 1) {
    if (child.exitCode !== null) break;
    try {
      await docker("version");
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
  throw new Error(`the test's own Docker engine does not answer:\n${log()}`);
}

/** Containers outlive their engine, and would keep its folder mounted. */
async function stopContainers(docker: PrivateEngine["docker"]): Promise<void> {
  const ids = (await docker("ps", "--all", "--quiet")).split("\n").filter(Boolean);
  if (ids.length > 0) await docker("rm", "--force", ...ids);
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const over = new Promise((resolve) => child.once("exit", resolve));
  child.stdin?.end();
  await over;
}
