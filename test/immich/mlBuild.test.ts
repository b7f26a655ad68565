import { afterAll, describe, expect, it } from "vitest";

import { gpuFamilies, type GpuFamilyName } from "../../catalog/gpuFamilies";
import { docker, ended, realImage } from "../support/immichMl";
import {
  cacheVolume,
  entries,
  helpers,
  models,
  pictureFile,
  removeMade,
  startServer,
} from "../support/immichServer";
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
/** What `/predict` of each image variant does without the NVIDIA driver, while `/ping` answers. */
const withoutDriver: Readonly<Record<GpuFamilyName, RegExp>> = {
  "kepler-maxwell": /^500/,
  maxwell: /^cut/,
  "pascal-volta": /^200/,
};
/** Milliseconds: a first build downloads gigabytes. */
const timeout = 30 * 60_000;
const built: string[] = [];
afterAll(async () => {
  for (const image of built.reverse()) await docker("rmi", "--force", image);
});

describe.skipIf(isQuick).each(families)("image variant %s", { timeout }, (family) => {
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

  it("computes on a Core 2, the oldest CPU that such cards sit beside", async () => {
    const { server, tests } = await realImage(family, ends.at(-1)!);
    built.push(server, tests);
    // A smaller picture: the emulation is slow.
    const asked = Object.values(entries).map((entry) =>
      JSON.stringify(entry).replace('"maxResolution":736', '"maxResolution":320'),
    );
    try {
      const mounts = [
        "-v",
        `${await cacheVolume(tests, 17)}:/cache`,
        "-v",
        `${helpers}:/helpers:ro`,
      ];
      const command = ["/opt/tools/qemu-x86_64-static", "-cpu", "core2duo", "/opt/venv/bin/python"];
      const { code, stdout, stderr } = await ended("docker", [
        ...["run", "--rm", "--network", "none", ...mounts, "-v", `${pictureFile}:/picture.jpg:ro`],
        ...["-e", "PYTHONPATH=/usr/src:/opt/tools:/helpers", tests, ...command],
        ...["/helpers/oldCpu.py", "/picture.jpg", ...asked],
      ]);
      expect(stdout.trim().split("\n"), stderr.slice(-4000)).toEqual(asked.map(() => "200"));
      expect(code).toBe(0);
    } finally {
      await removeMade();
    }
  });

  it("is refused by the check where the driver is missing, though it is healthy", async () => {
    const { server: image, tests } = await realImage(family, ends.at(-1)!);
    built.push(image, tests);
    try {
      const server = await startServer(image, await cacheVolume(tests, 17), {}, { driver: "none" });
      const answer = await server.ask("clip").then(
        ({ status, text }) => `${status} ${text}`,
        () => "cut",
      );
      expect(answer).toMatch(withoutDriver[family]);
      const { code, stderr } = await server.check([models.clip]);
      console.log(`${family}: ${answer.slice(0, 80)}\n${stderr}`);
      expect(code).toBe(1);
      expect(stderr).toMatch(/driver/i);
    } finally {
      await removeMade();
    }
  });
});

if (versions.length === 0) it.skip(line, () => undefined);
