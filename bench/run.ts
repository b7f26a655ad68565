import { readdirSync } from "node:fs";
import path from "node:path";
import { spawnSync } from "node:child_process";

/** `npm run bench -- preset` runs bench/preset.ts; without a name it lists what there is. */
const names = readdirSync(__dirname)
  .filter((file) => file.endsWith(".ts") && file !== path.basename(__filename))
  .map((file) => path.basename(file, ".ts"));
const [name, ...rest] = process.argv.slice(2);

if (name === undefined || !names.includes(name)) {
  const asked = name === undefined ? "Which one" : `There is no benchmark ${name}; which one`;
  console.error(`${asked}? npm run bench -- ${names.join(" | ")}`);
  process.exit(2);
}
const script = path.join(__dirname, `${name}.ts`);
const { status } = spawnSync(process.execPath, ["--import", "tsx", script, ...rest], {
  stdio: "inherit",
});
process.exit(status ?? 1);
