import { writeFile } from "node:fs/promises";
import path from "node:path";
import { parseArgs } from "node:util";

import { gather } from "./gather";
import { page } from "./page";

const usage = `Writes one HTML page about a stack: its hosts and how they are, which CLIP models fit the card,
what Immich is told, the history, the last check and the benchmarks. The page loads nothing.

  npm run report -- [--stack NAME] [--output FILE]

  --stack   default: the selected one
  --output  default: report.html`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      stack: { type: "string" },
      output: { type: "string", default: "report.html" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return;
  }
  const data = await gather(values.stack);
  const file = path.resolve(values.output);
  await writeFile(file, page(data));
  for (const { unknown } of [data.hosts, data.history].filter((part) => "unknown" in part))
    console.error(`not known: ${unknown}`);
  console.log(file);
}

main().catch((error: unknown) => {
  console.error((error as Error).message);
  process.exit(2);
});
