import { execFile } from "node:child_process";

export interface CommandResult {
  /** 127 when the program is not installed, 124 when it took too long. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  /** Added to the process's own environment. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** Seconds until it is ended. @default 20 */
  readonly timeout?: number;
}

/** Runs a program without a shell. Never fails: what went wrong is in the result. */
export type Run = (
  program: string,
  parameters: readonly string[],
  options?: CommandOptions,
) => Promise<CommandResult>;

/** Seconds after which a host that does not answer is given up. */
const timeout = 20;

export const run: Run = (program, parameters, options = {}) =>
  new Promise((resolve) => {
    const child = execFile(
      program,
      parameters,
      {
        env: { ...process.env, ...options.environment },
        timeout: (options.timeout ?? timeout) * 1000,
        maxBuffer: 16 * 1024 * 1024,
      },
      (error, stdout, stderr) => resolve({ code: codeOf(error), stdout, stderr }),
    );
    // A program that ends without reading its input must not end this one.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(options.stdin ?? "");
  });

/** Gives the same answer to the same question, as for hosts that share an engine. */
export function memoize(runner: Run): Run {
  const answers = new Map<string, Promise<CommandResult>>();
  return (...question) => {
    const key = JSON.stringify(question);
    const answer = answers.get(key) ?? runner(...question);
    answers.set(key, answer);
    return answer;
  };
}

function codeOf(error: (Error & { code?: unknown; killed?: boolean }) | null): number {
  if (!error) return 0;
  if (error.killed) return 124;
  if (error.code === "ENOENT") return 127;
  return typeof error.code === "number" ? error.code : 1;
}
