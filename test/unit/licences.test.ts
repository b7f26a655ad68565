import path from "node:path";

import { init, type ModuleInfos } from "license-checker-rseidelsohn";
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
  "@logdna/tail-file": "MIT",
};

/** Development tools are not distributed. */
it(
  "every package that the program needs has an allowed licence",
  { timeout: 120_000 },
  async () => {
    const start = path.join(__dirname, "..", "..");
    const packages = await new Promise<ModuleInfos>((resolve, reject) =>
      init({ start, production: true, excludePrivatePackages: true }, (error, found) =>
        error ? reject(error) : resolve(found),
      ),
    );
    expect(Object.keys(packages).length).toBeGreaterThan(50);
    const refused = Object.entries(packages).flatMap(([name, { licenses }]) => {
      const licence = fromLicenseFile[name.slice(0, name.lastIndexOf("@"))] ?? String(licenses);
      const parts = licence.replace(/[()]/g, "").split(/ AND | OR /);
      return parts.every((part) => allowed.includes(part)) ? [] : [`${name}: ${licence}`];
    });
    expect(refused).toEqual([]);
  },
);
