import { stripVTControlCharacters } from "node:util";

/** Tells a person one line of news. */
export type Say = (line: string) => void;

/** The least time between two lines of one task, so that a chatty tool does not drown the rest. */
const secondsBetweenLines = 2;
/** Longer lines are cut: a package manager's list of packages says no more than its beginning. */
const maxLineLength = 160;
/** The longest time a running task says nothing. */
const secondsOfSilence = 5;

/**
 * Does a piece of work and keeps a person informed: its newest line every two seconds while it has
 * news, a heartbeat after five seconds without any, a line with the time it took at the end.
 */
export async function logProgress<T>(
  task: string,
  say: Say,
  work: (say: Say) => Promise<T>,
): Promise<T> {
  const start = Date.now();
  const seconds = () => `${((Date.now() - start) / 1000).toFixed(0)} s`;
  let lastSaid = start;
  let news: string | undefined = "started";
  const speak = (line: string) => {
    lastSaid = Date.now();
    news = undefined;
    say(`${task}: ${line}`);
  };
  const clock = setInterval(() => {
    const silence = (Date.now() - lastSaid) / 1000;
    if (news !== undefined && silence >= secondsBetweenLines) speak(`${seconds()}: ${news}`);
    else if (silence >= secondsOfSilence) speak(`${seconds()}: still at it`);
  }, 500);
  try {
    const result = await work((line) => (news = plain(line)));
    speak(`done in ${seconds()}`);
    return result;
  } catch (error) {
    speak(`failed after ${seconds()}`);
    throw error;
  } finally {
    clearInterval(clock);
  }
}

function plain(line: string): string {
  return stripVTControlCharacters(line).trim().slice(0, maxLineLength);
}
