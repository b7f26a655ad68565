import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";

import { repositoryFolder } from "../rehearsal/folders";
import { buildImage, standInBuildArgs } from "../test/support/builtImage";
import { standIns, startedDocker, testName } from "../test/support/docker";
import { benchmark, type Figures, median } from "./support/benchmark";

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

async function measure(figures: Figures): Promise<void> {
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
    for (const measured of JSON.parse(stdout) as Measured[]) show(measured, figures);
  } finally {
    for (const name of [tools, image]) await docker.getImage(name).remove();
  }
}

function show(measured: Measured, figures: Figures): void {
  const { model, bytes, conversion, native, converted, decision } = measured;
  const add = (
    name: string,
    values: readonly number[],
    ...rest: [unit: string, goal?: { atMost: number }]
  ) => figures.add(`bridge.${name}[${model}, ${(bytes / 1e6).toFixed(0)} MB]`, values, ...rest);
  const seconds = conversion.map((one) => one.seconds);
  const memory = conversion.map((one) => one.memory / bytes);
  const open = {
    native: native.map((one) => one.open),
    converted: converted.map((one) => one.open),
  };
  const ran = { native: native.map((one) => one.run), converted: converted.map((one) => one.run) };

  add("conversion", seconds, "s");
  add("conversionMemory", memory, "of the file", { atMost: 2.2 });
  add("open.native", open.native, "s");
  add("open.converted", open.converted, "s");
  add("open.ratio", [median(open.converted) / median(open.native)], "", { atMost: 0.6 });
  add("run.native", ran.native, "s");
  add("run.converted", ran.converted, "s");
  add(
    "decision",
    decision.map((one) => one * 1e3),
    "ms",
    { atMost: 1 },
  );
}

benchmark("bridge", measure);
