import { execFileSync } from "node:child_process";
import path from "node:path";

import { expect, it } from "vitest";

import { installDebianPackages, isInstalled, isRoot, run } from "../../demo/shell";

const directory = path.join(__dirname, "..", "..");
const scripts = execFileSync("git", ["ls-files", "*.sh"], { cwd: directory, encoding: "utf8" })
  .trim()
  .split("\n");

/** Notes without a fault: quotes inside an awk program, and `A && B || C` where B cannot fail. */
const excluded = "--exclude=SC1003,SC2015";

it("shellcheck finds no fault in any shell script", async (context) => {
  if (!(await isInstalled("shellcheck"))) {
    if (!isRoot() || !(await isInstalled("apt-get"))) {
      console.log("SKIPPED: shellcheck is not installed, so no shell script is checked");
      return context.skip();
    }
    await installDebianPackages(["shellcheck"], console.log);
  }
  expect(scripts.length).toBeGreaterThan(5);
  const check = (...files: string[]) => run("shellcheck", [excluded, ...files], { directory });
  // The program passes some scripts to sh without a first line that says so.
  await check("--shell=sh", ...scripts);
  await check(".ci/run", "immich-ml");
});
