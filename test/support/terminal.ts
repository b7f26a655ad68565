import { spawn } from "node:child_process";
import { setTimeout as pause } from "node:timers/promises";

/** How the command ended that was run at a terminal. */
export interface TerminalRun {
  readonly code: number | null;
  readonly text: string;
}

/**
 * Runs a command line at a pseudo-terminal and presses keys: the next ones whenever it draws a question (◆) and
 * then says nothing more.
 */
export async function atTerminal(
  command: string,
  keys: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<TerminalRun> {
  const child = spawn("script", ["--quiet", "--return", "--command", command, "/dev/null"], {
    env: { ...environment, TERM: "xterm" },
  });
  let text = "";
  let isAsking = false;
  let changed = Date.now();
  child.stdout.on("data", (more: Buffer) => {
    text += more.toString();
    isAsking ||= more.includes("◆");
    changed = Date.now();
  });
  let hasEnded = false;
  const ended = new Promise<number | null>((resolve) =>
    child.once("close", (code) => {
      hasEnded = true;
      resolve(code);
    }),
  );
  const left = [...keys];
  const deadline = Date.now() + 120_000;
  while (!hasEnded) {
    if (Date.now() > deadline) {
      child.kill("SIGKILL");
      throw new Error(`it still runs after two minutes:\n${text}`);
    }
    if (isAsking && Date.now() - changed > 700 && left.length > 0) {
      isAsking = false;
      child.stdin.write(left.shift()!);
    }
    await pause(50);
  }
  return { code: await ended, text };
}
