import { execFileSync } from "node:child_process";
import path from "node:path";

import { expect, it } from "vitest";

import { compareImmichVersions, parseImmichVersion } from "../../catalog/immichVersion";
import { immichSources, isQuick } from "../support/immichSource";
import changes from "../unit/immichVariables.json";

const { sources, line } = immichSources;
console.log(line);

const script = path.join(__dirname, "../support/immichVariables.py");

/** test/unit/environment.test.ts holds the table of variables to what this file says of each release. */
it.each(isQuick ? [...sources].slice(-1) : [...sources])(
  "%s reads the variables that our table knows of it",
  (release, folder) => {
    const version = parseImmichVersion(release)!;
    const known = changes.findLast(
      ({ since }) => compareImmichVersions(parseImmichVersion(since)!, version) <= 0,
    );
    const read = execFileSync("python3", [script, "--folder", folder], { encoding: "utf8" });
    expect(known!.variables).toEqual(JSON.parse(read));
  },
);

if (sources.size === 0) it.skip(line, () => undefined);
