import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";

import { dockerRelease } from "./dockerRelease";
import { fakes, testName } from "./docker";

const execute = promisify(execFile);

/** Why private engines are not possible; undefined when they are. */
export const missingPrivateEngine =
  process.platform === "linux" && process.getuid?.() === 0
    ? undefined
    : "a Docker engine with fake devices needs root on Linux";
if (missingPrivateEngine) console.log(`SKIPPED: ${missingPrivateEngine}`);

/** Options of `unshare` that separate mounts, network and processes like another machine. */
const ownMachine = [
  ...["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"],
  ...["--propagation", "private"],
];

export interface PrivateEngineOptions {
  /** The Debian release that its Docker comes from. @default this machine's Docker */
  readonly release?: string;
  /** Docker's configuration file. @default empty */
  readonly daemon?: Readonly<Record<string, unknown>>;
  /** Size of a separate disk in MiB. @default it shares this machine's disk */
  readonly disk?: number;
}

/** A Docker engine of one test, with fake devices of every accelerator. */
export interface PrivateEngine {
  /** The address, as in `DOCKER_HOST`. */
  readonly endpoint: string;
  /** All its files; images and containers are in `data`. */
  readonly folder: string;
  /** A process in the engine's network, which lives until the power is cut. */
  readonly process: number;
  /** The id of an image that sleeps. */
  readonly sleeper: string;
  /** Runs the docker client. @returns its output */
  docker(...parameters: string[]): Promise<string>;
  /** Builds an image. @returns its id */
  build(dockerfile: string, files?: Readonly<Record<string, string>>): Promise<string>;
  /** Copies an image from this machine's engine. */
  load(reference: string): Promise<void>;
  /** Runs a shell command in the engine's mounts, network and processes. */
  inside(command: string): Promise<string>;
  /** Starts a program there. */
  spawnInside(program: string, ...parameters: string[]): Promise<ChildProcess>;
  /** Kills everything in it at once, as a power cut does, and starts it again. */
  restartMachine(): Promise<void>;
  stop(): Promise<void>;
}

export async function startPrivateEngine(
  options: PrivateEngineOptions = {},
): Promise<PrivateEngine> {
  const root = options.release && (await dockerRelease(options.release));
  // The path of a socket is limited to about a hundred characters.
  const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-engine-"));
  await writeFile(path.join(folder, "daemon.json"), JSON.stringify(options.daemon ?? {}));
  let log = "";
  const switchOn = () => {
    const started = spawn(
      "unshare",
      [...ownMachine, "sh", path.join(__dirname, "privateEngine.sh"), folder, root ?? ""],
      { stdio: "pipe", env: { ...process.env, DISK: String(options.disk ?? "") } },
    );
    for (const stream of [started.stdout, started.stderr]) {
      stream.on("data", (text: Buffer) => (log = (log + text.toString()).slice(-20_000)));
    }
    return started;
  };
  let child = switchOn();
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
  const nsenter = async () => {
    // The child of `unshare` is the first process inside.
    const children = `/proc/${child.pid}/task/${child.pid}/children`;
    const first = (await readFile(children, "utf8")).trim();
    return ["--target", first, "--mount", "--net", "--pid"];
  };
  const inside = async (command: string) => {
    const { stdout } = await execute("nsenter", [...(await nsenter()), "sh", "-c", command]);
    return stdout.trim();
  };
  const spawnInside = async (program: string, ...parameters: string[]) =>
    spawn("nsenter", [...(await nsenter()), program, ...parameters], { stdio: "pipe" });
  // On this machine's engine, since the private one has no network.
  const build: PrivateEngine["build"] = async (dockerfile, files = {}) => {
    const context = await mkdtemp(path.join(tmpdir(), "immich-ml-test-context-"));
    for (const [name, text] of Object.entries({ ...files, Dockerfile: dockerfile })) {
      await writeFile(path.join(context, name), text);
    }
    // The provider does not find an unnamed image that another is built on.
    const tag = testName("image");
    await execute("docker", ["--host", machine, "build", "--quiet", "--tag", tag, context]);
    await load(tag);
    await execute("docker", ["--host", machine, "rmi", tag]);
    await rm(context, { recursive: true });
    return docker("image", "inspect", "--format", "{{.Id}}", tag);
  };
  const restartMachine = async () => {
    await powerCut(child);
    child = switchOn();
    await answers(docker, child, () => log);
  };
  const stop = async () => {
    await removeContainers(docker).catch(() => undefined);
    await powerCut(child);
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    await answers(docker, child, () => log);
    const { python310 } = await fakes();
    await load(python310);
    const sleeper = await build(
      `FROM ${python310}\nSTOPSIGNAL SIGKILL\nCMD ["sleep", "infinity"]\n`,
    );
    return {
      ...{ endpoint, folder, sleeper, docker, build, load },
      ...{ inside, spawnInside, restartMachine, stop },
      get process() {
        return child.pid!;
      },
    };
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
  throw new Error(`the private Docker engine does not answer:\n${log()}`);
}

/** Otherwise their control groups would stay. */
async function removeContainers(docker: PrivateEngine["docker"]): Promise<void> {
  const ids = (await docker("ps", "--all", "--quiet")).split("\n").filter(Boolean);
  if (ids.length > 0) await docker("rm", "--force", ...ids);
}

/** The first process ends with its standard input, and the kernel kills all others with it. */
async function powerCut(machine: ChildProcess): Promise<void> {
  if (machine.exitCode !== null) return;
  const over = new Promise((resolve) => machine.once("exit", resolve));
  machine.stdin?.end();
  await over;
}
