import { writeFile } from "node:fs/promises";
import path from "node:path";

import { sanitize } from "../../util/sanitize";
import { runCommand } from "../command";
import { gather } from "./gather";
import { page } from "./page";

const usage = `Writes one HTML page about a stack: its hosts and how they are, which CLIP models fit the card,
Immich's settings, the history, the last check and the benchmarks. The page loads nothing.

  npm run report -- [--stack NAME] [--output FILE]

  --stack   default: the selected one
  --output  default: report.html`;

const options = { output: { type: "string", default: "report.html" } } as const;

runCommand({ usage, options, allowPositionals: false }, async ({ stack, output }) => {
  const data = await gather(stack);
  const file = path.resolve(output);
  await writeFile(file, page(data));
  for (const { unknown } of [data.hosts, data.history])
    if (unknown !== undefined) console.error(`not known: ${sanitize(unknown)}`);
  console.log(file);
  return 0;
});
