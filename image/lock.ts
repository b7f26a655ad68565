/**
 * Resolves the image's Python packages and writes a hash lock for each GPU family and each
 * major version of Immich, one for each version of the CUDA libraries, and those of the bridge's tests.
 *
 *     npm run lock:image            all of them
 *     npm run lock:image -- --check  fails when one is out of date
 *
 * Needs Python 3 with venv; installs the resolver `uv` into a temporary folder. Resolution sees PyPI
 * as of `packagesUntil`, so it writes the same locks on any day and machine.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

import { gpuFamilies, lockedImmichMajors } from "../catalog/gpuFamilies";

// Release day of Immich v3.1.0, the newest whose dependencies were read.
const packagesUntil = "2026-07-27";
const testPackagesUntil = "2026-11-01";
const uvVersion = "0.13.9";
// glibc 2.36 of Debian 12 runs wheels for 2.28 and older.
const platform = "x86_64-manylinux_2_28";

const requirements = join(__dirname, "requirements");

interface Lock {
  /** Path from requirements/. */
  readonly name: string;
  /** File names in requirements/. */
  readonly inputs: readonly string[];
  readonly python: string;
  readonly options: readonly string[];
  readonly until?: string;
}

const image = ["--python-platform", platform];
const families = Object.values(gpuFamilies);

const locks: readonly Lock[] = [
  ...[...new Set(families.map(({ cuda }) => cuda))].map((cuda) => ({
    name: `locks/cuda-${cuda}.txt`,
    inputs: [`cuda-${cuda}.in`],
    python: families[0]!.python,
    // NVIDIA's packages also depend on libraries that inference never loads.
    options: [...image, "--no-deps"],
  })),
  ...families.flatMap(({ name, python }) =>
    lockedImmichMajors.map((major) => ({
      name: `locks/${name}-v${major}.txt`,
      inputs: [`immich-v${major}.in`, `${name}.in`],
      python,
      options: [...image, "--override", "overrides.txt"],
    })),
  ),
  ...["requirements", "reference-requirements"].map((name) => ({
    name: `../tests/${name}.txt`,
    inputs: [`../tests/${name}.in`],
    python: families[0]!.python,
    // For the Python of every image variant.
    options: ["--universal"],
    until: testPackagesUntil,
  })),
];

function resolve(uv: string, lock: Lock): string {
  const packages = execFileSync(
    uv,
    [
      ...["pip", "compile", ...lock.inputs, ...lock.options],
      ...["--python-version", lock.python, "--exclude-newer", lock.until ?? packagesUntil],
      ...["--only-binary", ":all:", "--generate-hashes"],
      // No annotations, which would depend on this machine.
      ...["--no-header", "--no-annotate", "--no-emit-index-url", "--no-config", "--quiet"],
    ],
    { cwd: requirements, encoding: "utf8", maxBuffer: 2 ** 26 },
  );
  return `# Made by npm run lock:image from ${lock.inputs.map((input) => basename(input)).join(" and ")}; not to be edited.\n${packages}`;
}

function withUv<Result>(use: (uv: string) => Result): Result {
  const folder = mkdtempSync(join(tmpdir(), "immich-ml-lock-"));
  try {
    console.log(`installing uv ${uvVersion}`);
    execFileSync("python3", ["-m", "venv", folder], { stdio: "inherit" });
    const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    execFileSync(join(folder, "bin/python"), [...pip, `uv==${uvVersion}`], { stdio: "inherit" });
    return use(join(folder, "bin/uv"));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function main(check: boolean): number {
  const stale = withUv((uv) => {
    const changed: string[] = [];
    for (const lock of locks) {
      const path = join(requirements, lock.name);
      const content = resolve(uv, lock);
      const same = existsSync(path) && readFileSync(path, "utf8") === content;
      console.log(`${lock.name}: ${same ? "unchanged" : check ? "STALE" : "written"}`);
      if (!same) changed.push(lock.name);
      if (!same && !check) writeFileSync(path, content);
    }
    return changed;
  });
  if (!check || stale.length === 0) return 0;
  console.error(`stale: ${stale.join(", ")}; run npm run lock:image and commit the result`);
  return 1;
}

process.exitCode = main(process.argv.includes("--check"));
