import path from "node:path";

import { init, type ModuleInfos } from "license-checker-rseidelsohn";
import { expect, it } from "vitest";

/** Licences that let a program under MIT use a package and be passed on with it. */
const allowed = [
  "MIT",
  "ISC",
  "Apache-2.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "BlueOak-1.0.0",
  "Python-2.0",
  "CC0-1.0",
  // Texts and lists (spdx-exceptions), named in the package itself.
  "CC-BY-3.0",
];

/** What a package says in its LICENSE file alone, read by hand. */
const readByHand: Readonly<Record<string, string>> = {
  "@logdna/tail-file": "MIT",
};

/** What the program itself needs; the tests' own tools are passed on to nobody. */
it(
  "every package the program is run with has a licence of the list",
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
      const said = readByHand[name.slice(0, name.lastIndexOf("@"))] ?? String(licenses);
      const parts = said.replace(/[()]/g, "").split(/ AND | OR /);
      return parts.every((part) => allowed.includes(part)) ? [] : [`${name}: ${said}`];
    });
    expect(refused).toEqual([]);
  },
);
