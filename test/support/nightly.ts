/**
 * Whether this is `npm run test:nightly`, which also runs what is too slow for every change: whole
 * builds of all image variants, several Docker releases, faults of disk and power, more hostile input.
 */
export const isNightly = process.env["NIGHTLY"] === "1";

/** Why such tests are skipped; undefined in a nightly run. */
export const missingNight = isNightly ? undefined : "what only npm run test:nightly runs";
if (missingNight) console.log(`SKIPPED: ${missingNight}`);

/** The cases in a nightly run, none otherwise. */
export function nightlyOnly<Case>(cases: readonly Case[]): readonly Case[] {
  return isNightly ? cases : [];
}
