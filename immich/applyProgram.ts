import { run } from "../util/run";
import { log, runCommandProgram } from "./commandProgram";
import { clearEmbeddings } from "./databaseStore";
import { fromEnvironment } from "./environment";
import { type ModelQueue, startQueue } from "./jobs";
import { restartServers, serverFrom } from "./serverContainer";
import { storeFrom } from "./storeVariables";

/*
 * The program of the command `preset-apply`: makes changed settings take effect, each change once.
 * Its variables: `changed.*` (when a setting, the CLIP model and the face model changed last, or ""),
 * `server.*` to restart Immich, `store.*` to clear embeddings meanwhile, and `reindex.*` to index the
 * photos again.
 */

/** What was applied so far. */
export interface Applied {
  /** The change after which Immich was restarted; likewise the others. */
  readonly restartedFor: string;
  readonly clipIndexedFor: string;
  readonly facesIndexedFor: string;
  /** The announcement after which faces were detected again. */
  readonly facesPlannedFor: string;
  /** The outcome of the last restart, in one sentence. */
  readonly restart: string;
  /** The outcome of the last indexing. */
  readonly reindexed: string;
}

const nothing: Applied = {
  restartedFor: "",
  clipIndexedFor: "",
  facesIndexedFor: "",
  facesPlannedFor: "",
  restart: "not needed: no change has an effect",
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
  const { at: changedAt = "", clipAt = "" } = fromEnvironment("changed");
  if (!server || changedAt === "" || changedAt === before.restartedFor) return before;
  const fields = fromEnvironment("store");
  const isNewModel = clipAt !== "" && clipAt > before.restartedFor;
  const whileStopped =
    isNewModel && fields["kind"] === "database"
      ? { startedBefore: clipAt, act: () => clearOldEmbeddings(fields) }
      : undefined;
  const options = {
    changedAt,
    whenMissing: "fail",
    ...(whileStopped && { whileStopped }),
  } as const;
  const outcome = await restartServers(server, options, log, run);
  log(outcome);
  return { ...before, restartedFor: changedAt, restart: outcome };
}

/** Until its restart, Immich's jobs went on with the former model. */
async function clearOldEmbeddings(fields: Parameters<typeof storeFrom>[0]): Promise<void> {
  const store = await storeFrom(fields);
  if (store.kind !== "database") return;
  const cleared = await clearEmbeddings(store);
  if (cleared > 0) log(`${cleared} more embeddings of the former CLIP model were cleared.`);
}

async function reindex(before: Applied): Promise<Applied> {
  const { url, apiKey, caCertificate, force, facesPlannedAt = "" } = fromEnvironment("reindex");
  if (url === undefined || apiKey === undefined) return before;
  const { clipAt = "", faceAt = "" } = fromEnvironment("changed");
  const outcomes: string[] = [];
  const start = async (queue: ModelQueue, all: boolean) => {
    const options = { force: all, timeout: queueTimeout };
    outcomes.push(await startQueue({ url, apiKey, caCertificate }, queue, options, log));
  };
  if (clipAt !== "" && clipAt !== before.clipIndexedFor) {
    await start("smartSearch", force === "true");
  }
  // Every name is lost, so only for the change that this run's preview announced.
  const isPlanned = facesPlannedAt !== before.facesPlannedFor && faceAt >= facesPlannedAt;
  if (isPlanned && facesPlannedAt !== "") await start("faceDetection", true);
  else if (faceAt !== "" && faceAt !== before.facesIndexedFor) outcomes.push(facesAreOld);
  return {
    ...before,
    clipIndexedFor: clipAt,
    facesIndexedFor: faceAt,
    facesPlannedFor: facesPlannedAt,
    ...(outcomes.length > 0 && { reindexed: outcomes.join(" ") }),
  };
}

const facesAreOld =
  "The face model changed. Face Detection was not started, because it deletes the names of all people. Faces that Immich already has stay " +
  "as the former model saw them. To detect all faces again without the names: Administration, Job Queues, Face Detection, Reset.";
