import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import path from "node:path";

/**
 * `npm run bench` lists the benchmarks, one a file; `npm run bench -- preset` runs bench/preset.ts, and
 * `npm run bench -- all` runs all of them. Exits with 1 when one failed or missed a goal.
 */
const names = readdirSync(__dirname)
  .filter((file) => file.endsWith(".ts") && file !== path.basename(__filename))
  .map((file) => path.basename(file, ".ts"));
const [name, ...rest] = process.argv.slice(2);

if (name === undefined) {
  console.log(`npm run bench -- ${["all", ...names].join(" | ")}`);
} else if (name === "all") {
  const failed = names.filter((one) => start(one) !== 0);
  if (failed.length > 0) console.error(`failed or missed a goal: ${failed.join(", ")}`);
  process.exitCode = failed.length > 0 ? 1 : 0;
} else if (names.includes(name)) {
  process.exitCode = start(name);
} else {
  console.error(`There is no benchmark ${name}: npm run bench -- ${["all", ...names].join(" | ")}`);
  process.exitCode = 2;
}

function start(benchmark: string): number {
  const script = path.join(__dirname, `${benchmark}.ts`);
  const parameters = ["--import", "tsx", script, ...rest];
  return spawnSync(process.execPath, parameters, { stdio: "inherit" }).status ?? 1;
}
