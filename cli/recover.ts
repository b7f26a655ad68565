import { hostname } from "node:os";

import { lines, reasonOf } from "../util/docker";
import { run } from "../util/run";
import { sanitizeLines } from "../util/sanitize";
import { askEngine } from "../verify/deployment";
import { runCommand } from "./command";
import { nameOf, readState, type State, writeState } from "./state";

const usage = `Makes a stack ready for the next pulumi up after a run of Pulumi was killed: removes the lock of a run that
has ended, and the pending operations that every later run would warn about. Contacts no host.

  npm run recover -- [--stack NAME]

The next pulumi up takes care of what that run left on the hosts.`;

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

/** Names of the launcher's containers, which are their host names, too. */
const launched = /^immich-ml-run-[0-9a-f]+$/;

/** @throws where a run that holds the lock goes on, or may go on elsewhere */
async function refuseUnlessEnded(message: string): Promise<void> {
  const holders = [...message.matchAll(/created by \S*@(\S+) \(pid (\d+)\)/g)];
  if (holders.length === 0) throw new Error(sanitizeLines(message));
  for (const [, where = "", pid] of holders) {
    // Processes of a container have numbers of their own.
    if (launched.test(where)) {
      if (await isContainerThere(where)) {
        throw new Error(
          `a run of ./immich-ml (container ${where}) is using the stack: wait for it, or stop it first (docker stop ${where})`,
        );
      }
    } else if (where !== hostname()) {
      throw new Error(
        `the stack is locked by a run on ${where}: when it has ended, run pulumi cancel, then this again`,
      );
    } else if (isAlive(Number(pid))) {
      throw new Error(
        `a run of Pulumi (process ${pid}) is using the stack: wait for it, or stop it first`,
      );
    }
  }
}

/** The launcher's containers are removed when they end. */
async function isContainerThere(name: string): Promise<boolean> {
  const engine = process.env["IMMICH_ML_ENGINE"];
  const there = engine === undefined ? [] : ["--host", engine];
  const words = ["ps", "--filter", `name=^/${name}$`, "--format", "{{.Names}}"];
  const asked = await run("docker", [...there, ...words], { timeout: 20 });
  if (asked.code === 0) return lines(asked.stdout).includes(name);
  throw new Error(
    `Docker does not answer (${reasonOf(asked)}), so it is not known whether the run in the container ${name} is still going: when it has ended, run pulumi cancel, then this again`,
  );
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
