import { stripVTControlCharacters } from "node:util";

/** Takes one line for the user. */
export type Log = (line: string) => void;

/** At least this long between two lines of one task, so that a chatty tool does not hide the others. */
const secondsBetweenLines = 2;
/** Longer lines are cut, such as a package manager's list of packages. */
const maxLineLength = 160;
/** At most this long without a line of a running task. */
const secondsOfSilence = 5;

/**
 * Runs a task and logs its progress: its newest line every two seconds, a heartbeat after five seconds
 * without one, and at the end the time it took.
 */
export async function logProgress<T>(
  task: string,
  log: Log,
  work: (log: Log) => Promise<T>,
): Promise<T> {
  const start = Date.now();
  const seconds = () => `${((Date.now() - start) / 1000).toFixed(0)} s`;
  let lastLogged = start;
  let news: string | undefined = "started";
  const logNow = (line: string) => {
    lastLogged = Date.now();
    news = undefined;
    log(`${task}: ${line}`);
  };
  const clock = setInterval(() => {
    const silence = (Date.now() - lastLogged) / 1000;
    if (news !== undefined && silence >= secondsBetweenLines) logNow(`${seconds()}: ${news}`);
    else if (silence >= secondsOfSilence) logNow(`${seconds()}: still running`);
  }, 500);
  try {
    const result = await work((line) => (news = plain(line)));
    logNow(`done in ${seconds()}`);
    return result;
  } catch (error) {
    logNow(`failed after ${seconds()}`);
    throw error;
  } finally {
    clearInterval(clock);
  }
}

function plain(line: string): string {
  return stripVTControlCharacters(line).trim().slice(0, maxLineLength);
}
