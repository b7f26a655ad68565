import { getFromApi, ImmichApiError, putToApi, type ImmichApi } from "./immichApi";

/** The queues whose results a change of a model makes wrong. */
export type ModelQueue = "smartSearch" | "faceDetection";

const titles: Readonly<Record<ModelQueue, string>> = {
  smartSearch: "Smart Search",
  faceDetection: "Face Detection",
};

export interface JobOptions {
  /**
   * Whether to do everything again (Immich's button "All") rather than what is missing. For
   * faceDetection Immich first deletes every face and every person's name.
   */
  readonly force: boolean;
  /** Seconds during which progress is logged; the job goes on afterwards. */
  readonly timeout: number;
  /** Seconds between two requests for the queue's state. @default 5 */
  readonly interval?: number;
  /** Seconds that Immich gets to clear the old embeddings, which it does after its answer. @default 2 */
  readonly settling?: number;
}

/** What Immich says of a queue. */
interface Queue {
  /** Jobs that are not done yet. */
  readonly left: number;
  /** Jobs that failed since somebody cleared them last. */
  readonly failed: number;
  readonly isPaused: boolean;
}

/**
 * Starts one of Immich's queues, logs its progress and says what came of it. `PUT /api/jobs/{name}` is
 * marked as deprecated since v2.4.0 and still the only way to start one (v3.1.0).
 *
 * @returns the outcome, in one sentence
 * @throws Error when an earlier run is in the way: Immich starts no second one
 */
export async function startQueue(
  api: ImmichApi,
  queue: ModelQueue,
  options: JobOptions,
  log: (line: string) => void,
): Promise<string> {
  const title = titles[queue];
  const { settling = 2 } = options;
  const deadline = Date.now() + options.timeout * 1000;
  const wait = (closely = 0) => untilEmpty(api, queue, { ...options, deadline, closely }, log);

  await startOnce(api, queue, options.force, { ...options, deadline }, log);
  const first = await wait();
  if (first.left > 0) return unfinished(title, first);
  if (queue === "faceDetection") return `${title} is done.`;

  // Immich clears the embeddings of the former model in the background: photos that it looked at before
  // were not missing then (seen with v2.7.5 and v3.1.0). So it looks again, and once more where that look
  // found photos: a job that ends with an error counts as done in Immich, and only the next look tells.
  let before = first;
  let missing = 0;
  for (let look = 0; look < 2; look += 1) {
    await pause(settling);
    await startOnce(api, queue, false, { ...options, deadline: Date.now() + 60_000 }, log);
    const found = await wait(closeLook);
    if (found.left > 0) return unfinished(title, found);
    // The job that looks for photos is one of the queue's.
    missing = Math.max(found.failed - before.failed, found.most - 1, 0);
    if (missing === 0) return `${title} is done: every photo has an embedding of the new model.`;
    before = found;
  }
  return (
    `${title} is not done: ${missing} photos have no embedding of the new model, because their jobs fail. ` +
    "Does machine learning answer (npm run status)? Immich's log names the reason; then start Smart Search for what is Missing (Administration, Job Queues)."
  );
}

function unfinished(title: string, { left, isPaused }: Queue): string {
  const where = "Administration, Job Queues";
  return isPaused
    ? `${title} is paused in Immich, so ${left} jobs wait and search does not find those photos: resume it (${where}).`
    : `${title} is still running in Immich, with ${left} photos left (${where}). When it is done, start it for what is Missing.`;
}

/** Starts the queue, after an earlier run, which knows nothing of the new model's missing embeddings. */
async function startOnce(
  api: ImmichApi,
  queue: ModelQueue,
  force: boolean,
  options: JobOptions & { readonly deadline: number },
  log: (line: string) => void,
): Promise<void> {
  const title = titles[queue];
  for (;;) {
    try {
      await putToApi(api, `/jobs/${queue}`, { command: "start", force });
      return;
    } catch (error) {
      const isBusy =
        error instanceof ImmichApiError &&
        error.status === 400 &&
        /already running/i.test(error.message);
      if (!isBusy) throw error;
    }
    const { left } = await read(api, queue);
    if (Date.now() >= options.deadline) {
      throw new Error(
        `${title} was not started: an earlier run has ${left} photos left, and Immich starts no second one. ` +
          "Run pulumi up again when it is done, or start it yourself (Administration, Job Queues)",
      );
    }
    log(`${title}: waiting for an earlier run with ${left} photos left`);
    await pause(options.interval ?? 5);
  }
}

/** Seconds in which a queue is asked ten times a second: failing jobs of a few photos are soon over. */
const closeLook = 3;

/** Waits until the queue is empty, paused or late, and returns what it is then and the most it had left. */
async function untilEmpty(
  api: ImmichApi,
  queue: ModelQueue,
  options: JobOptions & { readonly deadline: number; readonly closely: number },
  log: (line: string) => void,
): Promise<Queue & { readonly most: number }> {
  const { interval = 5, deadline, closely } = options;
  const closeUntil = Date.now() + closely * 1000;
  let most = 0;
  for (;;) {
    const found = await read(api, queue);
    most = Math.max(most, found.left);
    if (found.left === 0 || found.isPaused || Date.now() >= deadline) return { ...found, most };
    const isClose = Date.now() < closeUntil;
    if (!isClose) log(`${titles[queue]}: ${found.left} photos left`);
    await pause(isClose ? Math.min(interval, 0.1) : interval);
  }
}

interface QueueAnswer {
  readonly jobCounts?: Readonly<Record<string, number | undefined>>;
  readonly queueStatus?: { readonly isPaused?: boolean };
}

async function read(api: ImmichApi, queue: ModelQueue): Promise<Queue> {
  const answer = await getFromApi<Record<string, QueueAnswer | undefined>>(api, "/jobs");
  const { jobCounts = {}, queueStatus } = answer[queue] ?? {};
  // A paused queue counts its jobs apart.
  const { active = 0, waiting = 0, paused = 0, delayed = 0, failed = 0 } = jobCounts;
  const left = active + waiting + paused + delayed;
  if (!Number.isSafeInteger(left) || !Number.isSafeInteger(failed)) {
    throw new Error(
      `Immich at ${api.url} does not report how many photos ${titles[queue]} has left: is this the address of the Immich server itself?`,
    );
  }
  return { left, failed, isPaused: queueStatus?.isPaused === true };
}

function pause(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}
