import { existsSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";

/*
 * Immich's own source, which this repository has no line of: a folder with one folder a release,
 * `v2.7.5/machine-learning` and so on. `IMMICH_SOURCE` names it, otherwise the cache of this user.
 */

/** The quick part, which `npm test` runs where the source is there. */
export const isQuick = process.env["IMMICH_TESTS"] !== "all";

export function sourceFolder(): string {
  return process.env["IMMICH_SOURCE"] ?? path.join(homedir(), ".cache/immich-ml/immich");
}

/** The folder of a part of a release's source; undefined where it is not there. */
export function immichSource(version: string, part: "machine-learning" | "server") {
  const found = path.join(sourceFolder(), version, part);
  return existsSync(found) ? found : undefined;
}

/** The releases whose source has the part, oldest first, and in one line where it was looked for. */
export function immichReleases(part: "machine-learning" | "server") {
  const folder = sourceFolder();
  const versions = (existsSync(folder) ? readdirSync(folder) : [])
    .filter((name) => /^v\d+\.\d+\.\d+$/.test(name) && immichSource(name, part))
    .sort((left, right) => left.localeCompare(right, "en", { numeric: true }));
  const line = versions.length
    ? `Immich's ${part}: ${versions.join(", ")} in ${folder}`
    : `Immich's ${part}: not in ${folder}; npm run test:immich says what to put there`;
  return { versions, line };
}
