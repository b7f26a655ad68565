import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";

import { officialImage } from "../../catalog/immichReleases";
import { parseImmichVersion } from "../../catalog/immichVersion";

/*
 * Where the tests find Immich's real ML code, of which this repository has no line: `IMMICH_SOURCE` is a
 * checkout, or a folder with one a release (`v2.7.5/machine-learning`); without it the cache folder. Where
 * there is none, npm run test:immich takes the code out of Immich's images, without Immich's tests.
 */

const cache = path.join(homedir(), ".cache/immich-ml/immich");

/** Whether every release is tested. @default the newest in short, as in npm test */
export const isQuick = process.env["IMMICH_ALL"] !== "1";

/** The folders `machine-learning` that are at hand, by release. */
function findSources(folder: string): Map<string, string> {
  const checkout = path.join(folder, "machine-learning");
  if (existsSync(path.join(checkout, "immich_ml"))) {
    const project = readFileSync(path.join(checkout, "pyproject.toml"), "utf8");
    return new Map([[`v${/^version = "(.+)"/m.exec(project)![1]}`, checkout]]);
  }
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return new Map(
    names
      .filter((name) => existsSync(path.join(folder, name, "machine-learning/immich_ml")))
      .sort((left, right) => left.localeCompare(right, "en", { numeric: true }))
      .map((name) => [name, path.join(folder, name, "machine-learning")]),
  );
}

/** Puts the code of Immich's images into the cache folder. */
function takeFromImages(): void {
  for (const version of ["v2.7.5", "v3.1.0"]) {
    const image = officialImage(parseImmichVersion(version)!);
    const folder = path.join(cache, version, "machine-learning");
    const docker = (...words: string[]) =>
      execFileSync("docker", words, { encoding: "utf8", stdio: "pipe", timeout: 900_000 }).trim();
    docker("pull", "--quiet", image);
    const container = docker("create", image);
    try {
      mkdirSync(path.join(folder, "scripts"), { recursive: true });
      docker("cp", `${container}:/usr/src/healthcheck.py`, path.join(folder, "scripts"));
      docker("cp", `${container}:/usr/src/immich_ml`, folder);
    } finally {
      docker("rm", container);
    }
  }
}

function find() {
  const folder = process.env["IMMICH_SOURCE"] ?? cache;
  let sources = findSources(folder);
  if (sources.size === 0 && folder === cache && process.env["IMMICH_PULL"] === "1") {
    try {
      takeFromImages();
      sources = findSources(cache);
    } catch {
      // Said below.
    }
  }
  const line = sources.size
    ? `Immich's ML code: ${[...sources.keys()].join(", ")} in ${folder}`
    : `SKIPPED: no ML code of Immich: none in ${folder}, no official image (npm run test:immich pulls it)`;
  return { sources, line };
}

/** The ML code of each release, oldest first, and in one line where it comes from. */
export const immichSources = find();
