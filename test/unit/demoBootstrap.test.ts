import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

let folder: string;

/** A repository with one package in its lock file, and an npm that only records its calls. */
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "immich-ml-test-bootstrap-"));
  for (const name of ["demo", "bin", "node_modules"]) mkdirSync(path.join(folder, name));
  cpSync(path.join(__dirname, "../../demo/bootstrap.mjs"), path.join(folder, "demo/bootstrap.mjs"));
  lock("package-lock.json", "1.0.0");
  writeFileSync(
    path.join(folder, "bin/npm"),
    `#!/bin/sh
echo "$@" >> "${folder}/npm-calls"
cp "${folder}/package-lock.json" "${folder}/node_modules/.package-lock.json"
`,
    { mode: 0o755 },
  );
});
afterEach(() => rmSync(folder, { recursive: true }));

function lock(file: string, version: string): void {
  const packages = {
    "": { name: "immich-ml" },
    "node_modules/a": { version },
    "node_modules/only-elsewhere": { version: "9.9.9", optional: true },
  };
  writeFileSync(path.join(folder, file), JSON.stringify({ packages }));
}

function bootstrap(): string[] {
  const { status, stderr } = spawnSync(process.execPath, ["demo/bootstrap.mjs"], {
    cwd: folder,
    encoding: "utf8",
    env: { PATH: `${folder}/bin:${process.env["PATH"]}` },
  });
  expect(stderr).toBe("");
  expect(status).toBe(0);
  try {
    return readFileSync(path.join(folder, "npm-calls"), "utf8").trimEnd().split("\n");
  } catch {
    return [];
  }
}

const install = "ci --no-audit --no-fund";

test("missing packages are installed, and only once", () => {
  expect(bootstrap()).toEqual([install]);
  expect(bootstrap()).toEqual([install]);
});

test("packages are installed again when the lock file names another version", () => {
  lock("node_modules/.package-lock.json", "1.0.0");
  expect(bootstrap()).toEqual([]);

  lock("package-lock.json", "1.1.0");
  expect(bootstrap()).toEqual([install]);
});
