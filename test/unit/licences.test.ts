import { readFileSync } from "node:fs";
import path from "node:path";

import { expect, it } from "vitest";

/** Licences of packages that a program under MIT may use and be distributed with. */
const allowed = [
  "MIT",
  "ISC",
  "Apache-2.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "BlueOak-1.0.0",
  "Python-2.0",
  "CC0-1.0",
  // A list: spdx-exceptions.
  "CC-BY-3.0",
];

/** Licences that a package names only in its LICENSE file. */
const fromLicenseFile: Readonly<Record<string, string>> = {
  "node_modules/@logdna/tail-file": "MIT",
};

interface LockedPackage {
  readonly license?: string;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
}

/** Development tools are not distributed. */
it("every package that the program needs has an allowed licence", () => {
  const lock = path.join(__dirname, "..", "..", "package-lock.json");
  const { packages } = JSON.parse(readFileSync(lock, "utf8")) as {
    packages: Record<string, LockedPackage>;
  };
  const needed = Object.entries(packages).filter(
    ([folder, { dev, devOptional }]) => folder !== "" && !dev && !devOptional,
  );
  expect(needed.length).toBeGreaterThan(50);
  const refused = needed.flatMap(([folder, { license }]) => {
    const licence = fromLicenseFile[folder] ?? String(license);
    const parts = licence.replace(/[()]/g, "").split(/ AND | OR /);
    return parts.every((part) => allowed.includes(part)) ? [] : [`${folder}: ${licence}`];
  });
  expect(refused).toEqual([]);
});
