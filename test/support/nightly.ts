/**
 * Whether this is `npm run test:nightly`, which also runs what is too slow for every change: whole
 * builds of all image variants, older Docker releases, faults of disk and power.
 */
export const isNightly = process.env["NIGHTLY"] === "1";

/** Why such tests are skipped; undefined in a nightly run. */
export const missingNight = isNightly ? undefined : "only npm run test:nightly runs it";

/** The cases in a nightly run, none otherwise. */
export function nightlyOnly<Case>(cases: readonly Case[]): readonly Case[] {
  return isNightly ? cases : [];
}
