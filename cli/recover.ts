import { hostname } from "node:os";

import { run } from "../util/run";
import { sanitizeLines } from "../util/sanitize";
import { askEngine } from "../verify/deployment";
import { runCommand } from "./command";
import { nameOf, readState, type State, writeState } from "./state";

const usage = `Makes a stack ready for the next pulumi up after a run of Pulumi that was killed: removes a lock whose run
has ended, and the pending operations that every later run would warn of. Asks no host and changes none.

  npm run recover -- [--stack NAME]

What that run left on the hosts, the next pulumi up takes over.`;

runCommand({ usage, options: {}, allowPositionals: false }, async ({ stack }) => {
  const state = await readState(stack);
  const pending = state.deployment.pending_operations ?? [];
  const cleared: State = { ...state, deployment: { ...state.deployment, pending_operations: [] } };
  try {
    await writeState(stack, cleared);
  } catch (error) {
    const message = String((error as Error).cause);
    if (!message.includes("currently locked")) throw error;
    await refuseUnlessEnded(message);
    await askEngine(stack, "cancel", "--yes");
    console.log("removed the lock of a run that has ended");
    await writeState(stack, cleared);
  }
  for (const { type, resource } of pending)
    console.log(`no longer pending: ${type} ${nameOf(resource)}`);
  console.log("ready: pulumi up");
  return 0;
});

/** @throws where a run that holds the lock goes on, or may go on elsewhere */
async function refuseUnlessEnded(message: string): Promise<void> {
  const holders = [...message.matchAll(/created by \S*@(\S+) \(pid (\d+)\)/g)];
  if (holders.length === 0) throw new Error(sanitizeLines(message));
  for (const [, where, pid] of holders) {
    if (where !== hostname()) {
      throw new Error(
        `the stack is locked by a run on ${where}: once that has ended, pulumi cancel, then run this again`,
      );
    }
    if (isInRunner) continue;
    if (isAlive(Number(pid))) {
      throw new Error(
        `a run of Pulumi (process ${pid}) has the stack: wait for it, or end it first`,
      );
    }
  }
  if (isInRunner && (await runners()).length > 1) {
    throw new Error("another run of ./immich-ml has the stack: wait for it, or end it first");
  }
}

/** In the runner of ./immich-ml each run has a container, and numbers of processes of its own. */
const isInRunner = process.env["IMMICH_ML_RUNNER"] !== undefined;

/** The runners of this folder of stacks, this one too. */
async function runners(): Promise<string[]> {
  const { IMMICH_ML_ENGINE: engine = "", IMMICH_ML_HOME: home = "" } = process.env;
  const filters = ["--filter", "label=org.immich-ml.runner=true", "--filter", `volume=${home}`];
  const asked = await run("docker", ["--host", engine, "ps", "--quiet", ...filters], {
    timeout: 30,
  });
  if (asked.code !== 0) {
    throw new Error(
      sanitizeLines(`whether another run of ./immich-ml goes on is unknown: ${asked.stderr}`),
    );
  }
  return asked.stdout.split("\n").filter((line) => line !== "");
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
