import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";

export interface CommandResult {
  /** 127 when the program is not installed, 124 when it timed out, 1 when a signal ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** Added to this process's own environment. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** Seconds after which the program and all it started are ended. @default no limit */
  readonly timeout?: number;
  /** Called with standard error as it arrives. */
  readonly onStderr?: (text: string) => void;
}

/** Runs a program without a shell. Never throws: the result says what went wrong. */
export type Run = (
  program: string,
  parameters: readonly string[],
  options?: RunOptions,
) => Promise<CommandResult>;

/** Characters kept of each stream. A program that prints more is ended. */
const maxOutput = 16 * 1024 * 1024;

/** Milliseconds from SIGTERM to SIGKILL, and for which pipes may outlive their program. */
const grace = 1000;

export const run: Run = (program, parameters, options = {}) =>
  new Promise((resolve) => {
    const { environment, stdin = "", timeout, onStderr } = options;
    // A group of its own, so that a timeout reaches what the program started, such as docker's ssh.
    const detached = timeout !== undefined;
    let child: ChildProcessWithoutNullStreams;
    try {
      child = spawn(program, parameters, { env: { ...process.env, ...environment }, detached });
    } catch (error) {
      // A parameter with a NUL character, or more of them than the system takes.
      resolve({ code: 1, stdout: "", stderr: (error as Error).message });
      return;
    }
    const { pid } = child;
    const signal = (name: NodeJS.Signals) => pid !== undefined && kill(detached ? -pid : pid, name);
    const output = { stdout: "", stderr: "" };
    const timers: NodeJS.Timeout[] = [];
    let endedWith: number | undefined;

    const settle = (code: number) => {
      timers.forEach(clearTimeout);
      if (detached && pid !== undefined) forget(pid);
      if (endedWith !== undefined) signal("SIGKILL");
      for (const stream of child.stdio) stream?.destroy();
      child.unref();
      resolve({ code: endedWith ?? code, ...output });
    };
    const end = (code: number) => {
      if (endedWith !== undefined) return;
      endedWith = code;
      signal("SIGTERM");
      timers.push(setTimeout(settle, grace, code));
    };
    const collect = (name: "stdout" | "stderr", listener?: (text: string) => void) => {
      child[name].setEncoding("utf8").on("data", (text: string) => {
        if (output[name].length + text.length > maxOutput) return end(1);
        output[name] += text;
        listener?.(text);
      });
    };

    if (timeout !== undefined) timers.push(setTimeout(end, timeout * 1000, 124));
    if (detached && pid !== undefined) remember(pid);
    collect("stdout");
    collect("stderr", onStderr);
    // A program may end without reading its input.
    child.stdin.on("error", () => undefined).end(stdin);
    child.on("error", (error: NodeJS.ErrnoException) => {
      output.stderr ||= error.message;
      settle(error.code === "ENOENT" ? 127 : 1);
    });
    child.on("close", (code) => settle(code ?? 1));
    // What the program left running may hold its pipes open for ever.
    child.on("exit", (code) => timers.push(setTimeout(settle, grace, code ?? 1).unref()));
  });

/** Answers a repeated question from memory, as for hosts that share an engine. */
export function memoize(runner: Run): Run {
  const answers = new Map<string, Promise<CommandResult>>();
  return (...question) => {
    const key = JSON.stringify(question);
    const answer = answers.get(key) ?? runner(...question);
    answers.set(key, answer);
    return answer;
  };
}

/** The process groups that run now. A terminal's Ctrl-C does not reach them. */
const groups = new Set<number>();

function remember(group: number): void {
  if (groups.size === 0) interruptions.forEach((name) => process.on(name, passOn));
  groups.add(group);
}

function forget(group: number): void {
  groups.delete(group);
  if (groups.size === 0) interruptions.forEach((name) => process.off(name, passOn));
}

const interruptions = ["SIGINT", "SIGTERM"] as const;

function passOn(name: NodeJS.Signals): void {
  for (const group of groups) {
    kill(-group, name);
    forget(group);
  }
  // Unless somebody else handles it, this process ends as it would have without this listener.
  if (process.listenerCount(name) === 0) process.kill(process.pid, name);
}

function kill(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended already.
  }
}
