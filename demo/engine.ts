import { spawn } from "node:child_process";
import { existsSync, openSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import path from "node:path";
import Docker from "dockerode";
import { cacheFolder } from "./folders";
import { logProgress, type Log } from "./progress";
import { installDebianPackages, isInstalled, isRoot, run } from "./shell";

const secondsToStart = 60;

/**
 * Makes sure that a Docker engine answers and that the `docker` command is installed. If not, and the
 * caller is root on Debian, installs Debian's `docker.io` and starts it.
 *
 * An engine started here keeps running: the demo's containers belong to it.
 */
export async function ensureDockerEngine(log: Log): Promise<void> {
  if (!(await isInstalled("docker"))) await logProgress("docker.io", log, installDocker);
  if ((await answer()) === undefined) return;
  const host = process.env["DOCKER_HOST"];
  if (host !== undefined)
    throw new Error(`DOCKER_HOST is ${host}, and no Docker engine answers there.`);
  if (!isRoot())
    throw new Error(
      `No Docker engine answers: ${await answer()}\n` +
        "Start one (systemctl start docker), join the group docker, or run this as root.",
    );
  if (!(await isInstalled("dockerd"))) await logProgress("docker.io", log, installDocker);
  await logProgress("Docker engine", log, startEngine);
}

/** Undefined when the engine answers, otherwise the reason why not. */
async function answer(): Promise<string | undefined> {
  try {
    await new Docker({ timeout: 5000 }).ping();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

async function installDocker(log: Log): Promise<void> {
  if (!isRoot() || !(await isInstalled("apt-get")))
    throw new Error(
      "Docker is not installed. Install it (https://docs.docker.com/engine/install/).",
    );
  // Since Debian 13 the command is in its own package.
  await installDebianPackages(["docker.io", "iptables", "ca-certificates"], log);
  if (!(await isInstalled("docker"))) await installDebianPackages(["docker-cli"], log);
}

async function startEngine(log: Log): Promise<void> {
  if (existsSync("/run/systemd/system")) {
    await run("systemctl", ["start", "docker"], { log });
    return waitForEngine("See journalctl -u docker.");
  }
  await mkdir(cacheFolder, { recursive: true });
  const logFile = path.join(cacheFolder, "dockerd.log");
  const output = openSync(logFile, "a");
  const engine = spawn("dockerd", [], { detached: true, stdio: ["ignore", output, output] });
  engine.unref();
  const ended = new Promise<void>((resolve) => engine.once("exit", () => resolve()));
  await waitForEngine(undefined, ended).catch(async (error: Error) => {
    const lines = (await readFile(logFile, "utf8")).trimEnd().split("\n").slice(-8);
    throw new Error([error.message, `The end of ${logFile}:`, ...lines].join("\n  "));
  });
}

async function waitForEngine(hint?: string, ended?: Promise<void>): Promise<void> {
  let hasEnded = false;
  void ended?.then(() => (hasEnded = true));
  for (let second = 0; second < secondsToStart && !hasEnded; second += 1) {
    if ((await answer()) === undefined) return;
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  const problem = hasEnded
    ? "dockerd ended."
    : `The Docker engine did not answer within ${secondsToStart} s.`;
  throw new Error(hint === undefined ? problem : `${problem} ${hint}`);
}
