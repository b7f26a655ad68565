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
}

interface QueueStatus {
  readonly jobCounts?: { readonly active?: number; readonly waiting?: number };
}

/**
 * Starts one of Immich's queues and logs its progress. `PUT /api/jobs/{name}` is marked as deprecated
 * since v2.4.0 and still the only way to start one (v3.1.0).
 *
 * @returns the outcome, in one sentence
 */
export async function startQueue(
  api: ImmichApi,
  queue: ModelQueue,
  options: JobOptions,
  log: (line: string) => void,
): Promise<string> {
  const title = titles[queue];
  try {
    await putToApi(api, `/jobs/${queue}`, { command: "start", force: options.force });
  } catch (error) {
    // Started already is all that was wanted.
    const isRunning =
      error instanceof ImmichApiError &&
      error.status === 400 &&
      /already running/i.test(error.message);
    if (!isRunning) throw error;
  }
  const interval = options.interval ?? 5;
  const begin = Date.now();
  for (;;) {
    const { active = 0, waiting = 0 } =
      (await getFromApi<Record<string, QueueStatus | undefined>>(api, "/jobs"))[queue]?.jobCounts ??
      {};
    const left = active + waiting;
    if (!Number.isSafeInteger(left)) {
      throw new Error(
        `Immich at ${api.url} does not report how many photos ${title} has left: is this the address of the Immich server itself?`,
      );
    }
    if (left === 0) return `${title} is done.`;
    if (Date.now() - begin >= options.timeout * 1000) {
      return `${title} goes on in Immich with ${left} photos left; see Administration, Job Queues.`;
    }
    log(`${title}: ${left} photos left`);
    await new Promise((resolve) => setTimeout(resolve, interval * 1000));
  }
}
