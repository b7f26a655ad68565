import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";

import { buildImage } from "../demo/buildImage";
import { repositoryFolder } from "../demo/folders";
import { fakeBuildArgs } from "../test/support/builtImage";
import { fakes, startedDocker, testName } from "../test/support/docker";
import { benchmark, type Figures } from "./support/benchmark";

/**
 * Cost and gain of the opset bridge, in the image variant kepler-maxwell on the CPU: the same encoder at
 * opset 18 with its weights in the file, and at opset 19, converted by the bridge. Both are opened in
 * turn, each in a new process, from a warm page cache. Then the same through `/predict` of the fake
 * server: the first request after a start, and later ones.
 */
const rounds = 9;
// ViT-B-32's two encoders, and a visual one of twice the weights.
const models = ["visual:768", "textual:512", "visual:1088"];

interface Opened {
  /** Seconds. */
  open: number;
  /** Seconds of CPU time to open the model. */
  cpu: number;
  run: number;
}

interface Measured {
  model: string;
  bytes: number;
  conversion: { seconds: number; memory: number }[];
  native: Opened[];
  converted: Opened[];
  nativeUnpacked: Opened[];
  convertedUnpacked: Opened[];
  decision: number[];
}

interface Requests {
  bytes: number;
  converting: number;
  first: { native: number[]; converted: number[] };
  later: { native: number[]; converted: number[] };
}

async function measure(figures: Figures): Promise<void> {
  const docker = await startedDocker();
  const image = `${testName("bench-bridge")}:latest`;
  const tools = `${testName("bench-tools")}:latest`;
  const buildArgs = fakeBuildArgs("kepler-maxwell", "v2.7.5", await fakes());
  await buildImage(docker, { tag: image, buildArgs });
  const context = path.join(repositoryFolder, "image", "tests");
  await buildImage(docker, { tag: tools, context, buildArgs: { IMAGE: image } });
  try {
    const script = ["python", "measure.py", String(rounds), ...models];
    const { stdout } = await promisify(execFile)("docker", ["run", "--rm", tools, ...script], {
      maxBuffer: 2 ** 26,
    });
    const measured = JSON.parse(stdout) as { models: Measured[]; predict: Requests };
    for (const model of measured.models) showModel(model, figures);
    showRequests(measured.predict, figures);
  } finally {
    for (const name of [tools, image]) await docker.getImage(name).remove();
  }
}

function showModel(measured: Measured, figures: Figures): void {
  const { model, bytes, conversion, native, converted, decision } = measured;
  const name = (figure: string) => `bridge.${figure}[${model}, ${megabytes(bytes)}]`;
  const seconds = conversion.map((one) => one.seconds);
  const memory = conversion.map((one) => one.memory / bytes);
  const open = (opened: Opened[]) => opened.map((one) => one.open);
  const cpu = (opened: Opened[]) => opened.map((one) => one.cpu);
  const ran = (opened: Opened[]) => opened.map((one) => one.run);
  const milliseconds = decision.map((one) => one * 1e3);

  figures.add(name("conversion"), seconds, "s");
  figures.add(name("conversionMemory"), memory, "of the file", { atMost: 2.2 });
  figures.add(name("open.native"), open(native), "s");
  figures.add(name("open.converted"), open(converted), "s");
  figures.ratio(name("open.ratio"), open(converted), open(native), { atMost: 0.6 });
  figures.ratio(name("open.ratio.cpuTime"), cpu(converted), cpu(native));
  // Without ONNX Runtime's packing of matrices, which is the same work for both.
  const { nativeUnpacked, convertedUnpacked } = measured;
  figures.ratio(name("open.ratio.withoutPacking"), open(convertedUnpacked), open(nativeUnpacked));
  figures.add(name("run.native"), ran(native), "s");
  figures.add(name("run.converted"), ran(converted), "s");
  figures.add(name("decision"), milliseconds, "ms", { atMost: 1 });
}

function showRequests({ bytes, converting, first, later }: Requests, figures: Figures): void {
  const name = (figure: string) => `predict.${figure}[visual:768, ${megabytes(bytes)}]`;
  figures.add(name("firstEver.withConversion"), converting, "s");
  figures.add(name("first.native"), first.native, "s");
  figures.add(name("first.converted"), first.converted, "s");
  figures.ratio(name("first.ratio"), first.converted, first.native, { atMost: 1 });
  figures.add(name("steady.native"), later.native, "s");
  figures.add(name("steady.converted"), later.converted, "s");
  figures.ratio(name("steady.ratio"), later.converted, later.native, { atMost: 1.1 });
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`;

benchmark("bridge", measure);
