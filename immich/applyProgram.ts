import { run } from "../util/run";
import { log, runCommandProgram } from "./commandProgram";
import { fromEnvironment } from "./environment";
import { startQueue } from "./jobs";
import { restartServer, serverFrom } from "./serverContainer";

/*
 * The program of the command `preset-apply`: makes changed settings take effect, each change once.
 * Its variables: `changed.*` (when a setting, the CLIP model and the face model changed last, or ""),
 * `server.*` to restart Immich and `reindex.*` to index the photos again.
 */

/** What was applied so far. */
export interface Applied {
  /** The change after which Immich was restarted; likewise the others. */
  readonly restartedFor: string;
  readonly clipIndexedFor: string;
  readonly facesIndexedFor: string;
  /** The outcome of the last restart, in one sentence. */
  readonly restart: string;
  /** The outcome of the last indexing. */
  readonly reindexed: string;
}

const nothing: Applied = {
  restartedFor: "",
  clipIndexedFor: "",
  facesIndexedFor: "",
  restart: "not needed: nothing has another effect than before",
  reindexed: "not needed: no model changed",
};

/** Seconds during which the progress of a queue is logged. */
const queueTimeout = 60;
const timeout = 900;

runCommandProgram<Applied>(timeout, async (action, saved) => {
  if (action === "delete") return undefined;
  const before = { ...nothing, ...saved };
  const restarted = await restart(before);
  return reindex(restarted);
});

async function restart(before: Applied): Promise<Applied> {
  const server = serverFrom(fromEnvironment("server"));
  const changedAt = fromEnvironment("changed")["at"] ?? "";
  if (!server || changedAt === "" || changedAt === before.restartedFor) return before;
  const outcome = await restartServer(server, { changedAt, whenMissing: "fail" }, log, run);
  log(outcome);
  return { ...before, restartedFor: changedAt, restart: outcome };
}

async function reindex(before: Applied): Promise<Applied> {
  const { url, apiKey, force, faces } = fromEnvironment("reindex");
  if (url === undefined || apiKey === undefined) return before;
  const { clipAt = "", faceAt = "" } = fromEnvironment("changed");
  const outcomes: string[] = [];
  const start = async (queue: "smartSearch" | "faceDetection", all: boolean) => {
    const options = { force: all, timeout: queueTimeout };
    outcomes.push(await startQueue({ url, apiKey }, queue, options, log));
  };
  if (clipAt !== "" && clipAt !== before.clipIndexedFor) {
    await start("smartSearch", force === "true");
  }
  const wantsFaces = faces === "true" && faceAt !== "" && faceAt !== before.facesIndexedFor;
  if (wantsFaces) await start("faceDetection", true);
  return {
    ...before,
    clipIndexedFor: clipAt,
    ...(wantsFaces && { facesIndexedFor: faceAt }),
    ...(outcomes.length > 0 && { reindexed: outcomes.join(" ") }),
  };
}
