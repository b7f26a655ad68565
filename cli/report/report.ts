import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";

import { sanitize } from "../../util/sanitize";
import { runCommand } from "../command";
import { gather } from "./gather";
import { page } from "./page";
import { earlierReadings, merged } from "./videoMemory";

const usage = `Writes one HTML page about a stack: whether its GPU is in use, its hosts and models, the video memory
over the last runs, Immich's settings and the history. The page loads nothing.

  npm run report -- [--stack NAME] [--output FILE]

  --stack   default: the selected one
  --output  default: report.html; the new report takes over the VRAM history of one that is there`;

const options = { output: { type: "string", default: "report.html" } } as const;

runCommand({ usage, options, allowPositionals: false }, async ({ stack, output }) => {
  const file = path.resolve(output);
  const [data, earlier] = await Promise.all([
    gather(stack),
    readFile(file, "utf8").catch(() => ""),
  ]);
  const readings = merged(earlierReadings(earlier, data.stack.answer), data.readings);
  await writeFile(file, page({ ...data, readings }));
  for (const { unknown } of [data.hosts, data.history])
    if (unknown !== undefined) console.error(`not known: ${sanitize(unknown)}`);
  console.log(file);
  return 0;
});
