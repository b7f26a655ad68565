import { afterAll, describe, expect, it } from "vitest";

import { gpuFamilies, type GpuFamilyName } from "../../catalog/gpuFamilies";
import { docker, ended, realImage } from "../support/immichMl";
import { immichSources, isQuick } from "../support/immichSource";
import { longTestsLine } from "./source";

const { sources, line } = immichSources;
const versions = [...sources.keys()];
console.log(line);
if (isQuick) console.log(longTestsLine("builds of every image variant with Immich's own tests"));
const minor = (version: string) => version.split(".").slice(0, 2).join(".");
/** The oldest and the newest release of each minor version that are there. */
const ends = versions.filter(
  (version, index) =>
    minor(version) !== minor(versions[index - 1] ?? "") ||
    minor(version) !== minor(versions[index + 1] ?? ""),
);

const families = Object.keys(gpuFamilies) as GpuFamilyName[];
const built: string[] = [];
afterAll(async () => {
  for (const image of built.reverse()) await docker("rmi", "--force", image);
});

describe.skipIf(isQuick).each(families)("image variant %s", (family) => {
  it.each(ends)("builds Immich %s and passes its tests", async (version) => {
    const { server, tests, hasTests } = await realImage(family, version);
    built.push(server, tests);
    if (!hasTests)
      return console.log(`${version}: taken out of Immich's image, which has no tests`);
    const command = [
      "python",
      "-m",
      "pytest",
      "-q",
      "-o",
      "addopts=",
      "-p",
      "no:cacheprovider",
      "test_main.py",
    ];
    const { stdout } = await ended("docker", [
      "run",
      "--rm",
      "--network",
      "none",
      tests,
      ...command,
    ]);
    const summary = stdout.trim().split("\n").at(-1) ?? "";
    console.log(`${family} ${version}: ${summary}`);
    expect(summary, stdout.slice(-4000)).toMatch(/^\d\d+ passed, 3 skipped/);
  });
});

if (versions.length === 0) it.skip(line, () => undefined);
