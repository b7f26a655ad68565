import { execFile } from "node:child_process";
import { cpus } from "node:os";
import path from "node:path";
import { promisify } from "node:util";

import { repositoryFolder } from "../rehearsal/folders";
import { buildImage, standInBuildArgs } from "../test/support/builtImage";
import { standIns, startedDocker, testName } from "../test/support/docker";

/**
 * What the opset bridge costs and gains, in the kepler-maxwell image on the CPU: the same encoder once
 * at opset 18 with its weights inside the file, once at opset 19, converted by the bridge. Both are
 * opened in turn, each time in a process of its own, from a warm page cache.
 */
const rounds = 11;
// ViT-B-32's two encoders, and a visual one of twice the weights.
const models = ["visual:768", "textual:512", "visual:1088"];

interface Measured {
  model: string;
  bytes: number;
  conversion: { seconds: number; memory: number }[];
  native: { open: number; run: number }[];
  converted: { open: number; run: number }[];
  decision: number[];
}

async function main(): Promise<void> {
  const docker = await startedDocker();
  const image = `${testName("bench-bridge")}:latest`;
  const tools = `${testName("bench-tools")}:latest`;
  const buildArgs = standInBuildArgs("kepler-maxwell", "v2.7.5", await standIns());
  await buildImage(docker, { tag: image, buildArgs });
  const context = path.join(repositoryFolder, "image", "tests");
  await buildImage(docker, { tag: tools, context, buildArgs: { IMAGE: image } });
  try {
    const script = ["python", "measure.py", String(rounds), ...models];
    const { stdout } = await promisify(execFile)("docker", ["run", "--rm", tools, ...script], {
      maxBuffer: 2 ** 26,
    });
    console.log(`${new Date().toISOString().slice(0, 10)}, ${cpus()[0]?.model}, ${rounds} rounds`);
    for (const measured of JSON.parse(stdout) as Measured[]) show(measured);
  } finally {
    for (const name of [tools, image]) await docker.getImage(name).remove();
  }
}

function show(measured: Measured): void {
  const { model, bytes, conversion, native, converted, decision } = measured;
  const figure = (name: string) => `bridge.${name}[${model}, ${(bytes / 1e6).toFixed(0)} MB]`;
  const open = { native: native.map((x) => x.open), converted: converted.map((x) => x.open) };
  report(
    figure("conversion"),
    conversion.map((x) => x.seconds),
    "s",
  );
  report(
    figure("conversionMemory"),
    conversion.map((x) => x.memory / bytes),
    "of the file",
    2.2,
  );
  report(figure("open.native"), open.native, "s");
  report(figure("open.converted"), open.converted, "s");
  report(figure("open.ratio"), [median(open.converted) / median(open.native)], "", 0.6);
  report(
    figure("run.native"),
    native.map((x) => x.run),
    "s",
  );
  report(
    figure("run.converted"),
    converted.map((x) => x.run),
    "s",
  );
  report(
    figure("decision"),
    decision.map((x) => x * 1e3),
    "ms",
    1,
  );
}

function median(values: readonly number[]): number {
  return [...values].sort((left, right) => left - right)[Math.floor(values.length / 2)]!;
}

/** One line a figure; a missed goal ends the program with 1. */
function report(name: string, values: readonly number[], unit: string, goal?: number): void {
  const middle = median(values);
  const met = goal === undefined || middle <= goal;
  if (!met) process.exitCode = 1;
  const verdict = goal === undefined ? "" : `  goal <= ${goal}  ${met ? "met" : "missed"}`;
  const [least, most] = [Math.min(...values), Math.max(...values)].map((value) => value.toFixed(3));
  const spread = values.length > 1 ? `  (minimum ${least}, maximum ${most})` : "";
  console.log(`${name}  ${middle.toFixed(3)} ${unit}${verdict}${spread}`);
}

void main();
