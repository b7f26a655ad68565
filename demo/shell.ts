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
    });
    let output = "";
    const lines: string[] = [];
    const splitLines = () => {
      let rest = "";
      return (chunk: Buffer) => {
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
      if (code === 0) return resolve(output);
      const failure = `${command} ${args.join(" ")} ended with ${code}`;
      reject(new Error([failure, ...lines.slice(-15)].join("\n  ")));
    });
  });
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
  await run("apt-get", [...wait, "-q", "update"], { log });
  await run("apt-get", [...wait, ...install, ...packages], { log, environment });
}
