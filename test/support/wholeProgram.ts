// Runs index.ts without a Pulumi engine, or removes what it created, in a separate process: the test
// runner rewrites modules, so Pulumi could not serialise a dynamic provider.
//   node --import tsx test/support/wholeProgram.ts up|down <file with options>
import { readFileSync } from "node:fs";

import { loadProgram } from "../../demo/program";
import {
  createWithoutEngine,
  removeWithoutEngine,
  type EnginelessOptions,
} from "../../demo/withoutEngine";

const log = (line: string) => console.error(line);
const [, , direction, file] = process.argv;
const options = JSON.parse(readFileSync(file!, "utf8")) as Omit<EnginelessOptions, "program">;

const work =
  direction === "up"
    ? createWithoutEngine({ ...options, program: loadProgram, log })
    : removeWithoutEngine(options.journal, log);
work.then(
  (outputs) => console.log(JSON.stringify(outputs ?? {})),
  (error: Error) => {
    console.error(error.message);
    process.exitCode = 1;
  },
);
