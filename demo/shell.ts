import { spawn } from "node:child_process";
import type { Log } from "./progress";

/** A user of this machine. */
export interface Account {
  uid: number;
  gid: number;
}

export interface RunOptions {
  environment?: NodeJS.ProcessEnv;
  directory?: string;
  /** Called with each line of output as it arrives. */
  log?: Log;
  /** Runs the command as this user, which only root can. @default the caller */
  account?: Account;
  /** Milliseconds without output after which the command is ended. @default no limit */
  silenceLimit?: number;
}

/**
 * Runs a command without a shell.
 *
 * @returns its standard output
 * @throws an error with its last lines, when it fails or is not installed
 */
export function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.directory,
      env: { ...process.env, ...options.environment },
      ...options.account,
      stdio: ["ignore", "pipe", "pipe"],
      // A group of its own, so that what the command started ends with it.
      detached: options.silenceLimit !== undefined,
    });
    let output = "";
    let silence: NodeJS.Timeout | undefined;
    let isSilent = false;
    const heard = () => {
      clearTimeout(silence);
      if (options.silenceLimit === undefined) return;
      silence = setTimeout(() => {
        isSilent = true;
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      }, options.silenceLimit);
    };
    heard();
    const lines: string[] = [];
    const splitLines = () => {
      let rest = "";
      return (chunk: Buffer) => {
        heard();
        const parts = (rest + chunk.toString()).split(/\r?\n|\r/);
        rest = parts.pop() ?? "";
        for (const line of parts.filter((part) => part.trim() !== "")) {
          lines.push(line);
          options.log?.(line);
        }
      };
    };
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.stdout.on("data", splitLines());
    child.stderr.on("data", splitLines());
    child.on("error", (error) =>
      reject(new Error(`${command} could not be started: ${error.message}`)),
    );
    child.on("close", (code) => {
      clearTimeout(silence);
      if (code === 0) return resolve(output);
      const end = isSilent
        ? `printed nothing for ${options.silenceLimit! / 1000} s`
        : `ended with ${code}`;
      const failure = `${command} ${args.join(" ")} ${end}`;
      reject(new Error([failure, ...lines.slice(-15)].join("\n  ")));
    });
  });
}

const attempts = 3;

/**
 * Runs a command that downloads. Mirrors stall and fail: what prints nothing for two minutes is ended, and
 * everything is tried three times.
 *
 * @param prepare runs before each attempt, such as to remove what the last one left
 * @throws the error of the last attempt
 */
export async function download(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
  prepare: () => Promise<unknown> = () => Promise.resolve(),
): Promise<string> {
  for (let attempt = 1; ; attempt += 1) {
    await prepare();
    try {
      return await run(command, args, { silenceLimit: 120_000, ...options });
    } catch (error) {
      if (attempt === attempts) throw error;
      const reason = (error as Error).message.split("\n")[0]!;
      console.log(`${reason}; trying again (${attempt + 1} of ${attempts})`);
    }
  }
}

/** Whether a command succeeds. */
export function succeeds(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<boolean> {
  return run(command, args, options).then(
    () => true,
    () => false,
  );
}

/** Whether a command of that name is on the PATH. */
export function isInstalled(command: string): Promise<boolean> {
  return succeeds("sh", ["-c", `command -v "$0"`, command]);
}

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** Installs Debian packages; needs root. */
export async function installDebianPackages(packages: readonly string[], log: Log): Promise<void> {
  const environment = { DEBIAN_FRONTEND: "noninteractive" };
  const install = ["-y", "-q", "--no-install-recommends", "install"];
  // Another installation may be running; dpkg would fail at once.
  const wait = ["-o", "DPkg::Lock::Timeout=300"];
  // apt ends a stalled download itself; ended from outside, it would leave packages half installed.
  const retry = [
    ...["-o", "Acquire::Retries=5"],
    ...["-o", "Acquire::http::Timeout=30", "-o", "Acquire::https::Timeout=30"],
  ];
  await run("apt-get", [...wait, ...retry, "-q", "update"], { log });
  await run("apt-get", [...wait, ...retry, ...install, ...packages], { log, environment });
}
