/**
 * Runs the tests with Immich's real code, which is not part of this repository:
 *
 *     npm run test:immich                    the releases in ~/.cache/immich-ml/immich, a folder each
 *     npm run test:immich -- --source DIR    those in another folder
 *
 * `DIR/v2.7.5/machine-learning` is that folder of Immich's repository at that release. Where there is none, the
 * ML server is taken out of Immich's own images, without Immich's tests.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";

import { officialImage } from "../../catalog/immichReleases";
import { parseImmichVersion } from "../../catalog/immichVersion";
import { immichReleases, sourceFolder } from "../support/immichSource";

const pulled = ["v2.7.5", "v3.1.0"];

function takeFromImages(): void {
  for (const version of pulled) {
    const image = officialImage(parseImmichVersion(version)!);
    const folder = path.join(sourceFolder(), version, "machine-learning");
    const docker = (...parameters: string[]) =>
      execFileSync("docker", parameters, {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "inherit"],
      }).trim();
    console.log(`no source in ${sourceFolder()}: taking ${version} out of ${image}`);
    docker("pull", "--quiet", image);
    const container = docker("create", image);
    try {
      mkdirSync(path.join(folder, "scripts"), { recursive: true });
      docker("cp", `${container}:/usr/src/immich_ml`, folder);
      docker("cp", `${container}:/usr/src/healthcheck.py`, path.join(folder, "scripts"));
    } finally {
      docker("rm", container);
    }
  }
}

function main(): number {
  const { values, positionals } = parseArgs({
    options: { source: { type: "string" } },
    allowPositionals: true,
  });
  if (values.source !== undefined) process.env["IMMICH_SOURCE"] = path.resolve(values.source);
  if (immichReleases("machine-learning").versions.length === 0) {
    try {
      takeFromImages();
    } catch (error) {
      console.error(
        `Immich's images cannot be had either: ${(error as Error).message.split("\n")[0]}`,
      );
      return 1;
    }
  }
  console.log(immichReleases("machine-learning").line);
  const environment = { ...process.env, IMMICH_TESTS: "all" };
  const parameters = ["vitest", "run", "--project", "immich", ...positionals];
  return spawnSync("npx", parameters, { stdio: "inherit", env: environment }).status ?? 1;
}

process.exitCode = main();
