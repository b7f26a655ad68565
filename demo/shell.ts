import { spawn } from "node:child_process";
import type { Say } from "./progress";

/** A user of this machine. */
export interface Account {
  uid: number;
  gid: number;
}

export interface RunOptions {
  environment?: NodeJS.ProcessEnv;
  directory?: string;
  /** Called with every line of output as it comes. */
  say?: Say;
  /** Default: the caller's; only root can name another. */
  account?: Account;
  /** Written to the command's standard input. */
  input?: string;
}

/**
 * Runs a command without a shell and answers with its standard output.
 * A command that fails, or is not there, becomes an error that ends with its last lines.
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
      stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    });
    let output = "";
    const lines: string[] = [];
    const listen = (keep: boolean) => {
      let rest = "";
      return (chunk: Buffer) => {
        if (keep) output += chunk.toString();
        const parts = (rest + chunk.toString()).split(/\r?\n|\r/);
        rest = parts.pop() ?? "";
        for (const line of parts.filter((part) => part.trim() !== "")) {
          lines.push(line);
          options.say?.(line);
        }
      };
    };
    child.stdout?.on("data", listen(true));
    child.stderr?.on("data", listen(false));
    child.on("error", (error) =>
      reject(new Error(`${command} could not be started: ${error.message}`)),
    );
    child.on("close", (code) => {
      if (code === 0) resolve(output);
      else
        reject(
          new Error(
            [`${command} ${args.join(" ")} ended with ${code}`, ...lines.slice(-15)].join("\n  "),
          ),
        );
    });
    child.stdin?.end(options.input);
  });
}

/** Whether a command of that name is on the PATH. */
export function isInstalled(command: string): Promise<boolean> {
  return run("sh", ["-c", `command -v "$0"`, command]).then(
    () => true,
    () => false,
  );
}

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** Installs Debian packages; needs root. */
export async function installDebianPackages(packages: readonly string[], say: Say): Promise<void> {
  const environment = { DEBIAN_FRONTEND: "noninteractive" };
  await run("apt-get", ["update", "-q"], { say });
  await run("apt-get", ["install", "-y", "-q", "--no-install-recommends", ...packages], {
    say,
    environment,
  });
}
