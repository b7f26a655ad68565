import { join } from "node:path";

import { findKnownError, hintOf, type Place } from "../catalog/knownErrors";
import { dockerClientEnvironment, type EngineAddress } from "../util/dockerClient";
import { type CommandResult, run } from "../util/run";
import { sanitize, sanitizeLines } from "../util/sanitize";
import { readDeployment } from "../verify/deployment";
import { chooseHosts, dockerHostOption, runCommand } from "./command";

const usage = `Computes a model of every family that Immich uses on the GPU of a container's host, in that
container's image, and compares the results with a newer ONNX Runtime on the CPU. Prints a row for the
table of cards in docs/verification.md. Takes a few minutes and needs PyPI for packages of the tests.

  npm run check:models -- [--stack NAME] [HOST…]
  npm run check:models -- --image NAME [--docker-host ADDRESS] [--provider NAME]

Exits with 1 when a model is not verified, with 3 when there is no GPU.`;

/** Another provider verifies the models and this program without a GPU. */
const cuda = "CUDAExecutionProvider";

const options = {
  image: { type: "string" },
  "docker-host": dockerHostOption,
  provider: { type: "string", default: cuda },
} as const;

interface Subject {
  readonly name: string;
  readonly image: string;
  readonly engine: EngineAddress;
}

runCommand({ usage, options, allowPositionals: true }, async (values, names) => {
  const { image, "docker-host": dockerHost, provider, stack } = values;
  const subjects =
    image === undefined
      ? await deployed(stack, names)
      : [{ name: image, image, engine: { dockerHost } }];
  const codes: number[] = [];
  for (const subject of subjects) codes.push(await check(subject, provider));
  return Math.max(...codes);
});

async function deployed(stack: string | undefined, names: readonly string[]): Promise<Subject[]> {
  const { hosts } = await readDeployment(stack);
  const chosen = chooseHosts(
    hosts.filter(({ accelerator }) => accelerator === "cuda"),
    names,
  );
  if (chosen.length === 0) throw new Error("this stack has no host with accelerator cuda");
  return Promise.all(
    chosen.map(async ({ host, containerName, ...engine }) => {
      if (!containerName) throw new Error(`${host} is a service of a swarm: name its --image`);
      const inspect = ["inspect", "--format", "{{.Image}}", "--", containerName];
      const image = succeeded(await docker(engine, inspect), "docker inspect", "start");
      return { name: host, image: image.trim(), engine };
    }),
  );
}

async function check({ name, image, engine }: Subject, provider: string): Promise<number> {
  const gpus = provider === cuda ? ["--gpus", "all"] : [];
  const started = ["run", "--rm", "--network", "none", ...gpus];
  const gpu = provider === cuda ? await gpuOf(image, engine, started) : "no GPU";
  if (gpu === undefined) return 3;

  console.error(`${name}: adding the tests to ${image}`);
  const tests = `immich-ml-check-models:${process.pid}`;
  const context = join(__dirname, "..", "image", "tests");
  const build = ["build", "--progress=plain", "--tag", tests];
  const source = ["--build-arg", `IMAGE=${image}`, context];
  succeeded(await docker(engine, [...build, ...source]), "docker build", "build");
  try {
    const command = ["python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "on_card.py"];
    const environment = ["--env", `IMMICH_ML_PROVIDER=${provider}`];
    const ended = await docker(engine, [...started, ...environment, tests, ...command], true);
    process.stdout.write(sanitizeLines(ended.stdout));
    if (ended.code === 0) console.log(row(gpu, provider, ended.stdout));
    return ended.code === 0 || ended.code === 3 ? ended.code : 1;
  } finally {
    await docker(engine, ["image", "rm", tests]);
  }
}

/** The GPU's name and driver as a container sees them; undefined, with a message, without one. */
async function gpuOf(image: string, engine: EngineAddress, started: readonly string[]) {
  const query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"];
  const [program, ...parameters] = query;
  const entrypoint = ["--entrypoint", program!, image, ...parameters];
  const ended = await docker(engine, [...started, ...entrypoint]);
  if (ended.code === 0)
    return ended.stdout
      .trim()
      .split("\n")
      .map((line) => sanitize(line))
      .join("; ");
  const text = ended.stderr.trim() || ended.stdout.trim();
  const known = findKnownError(text, "start") ?? findKnownError(text, "nvidia-smi");
  const cure = known
    ? hintOf(known)
    : "check nvidia-smi on that host, and that the NVIDIA Container Toolkit is set up (nvidia-ctk runtime configure --runtime=docker)";
  const [problem = ""] = text.split("\n");
  console.error(
    `NO GPU: no container at ${engine.dockerHost} can use an NVIDIA GPU (${sanitize(problem, 300)})\nWhat to do: ${cure}`,
  );
  return undefined;
}

/** The GPU, what computed, the day, the number of models that agree and the encoders' times. */
function row(gpu: string, provider: string, output: string): string {
  const passed = /(\d+) passed/.exec(output)?.[1] ?? "0";
  const times = [...output.matchAll(/^(visual|textual): ([\d.]+ ms)/gm)].map(
    ([, kind, time]) => `${kind} ${time}`,
  );
  const day = new Date().toISOString().slice(0, 10);
  return `| ${gpu} | ${provider} | ${day} | ${passed} models agree; ViT-B-32's size: ${times.join(", ")} |`;
}

function docker(
  engine: EngineAddress,
  parameters: readonly string[],
  show = false,
): Promise<CommandResult> {
  return run("docker", parameters, {
    environment: dockerClientEnvironment(engine),
    ...(show && { onStderr: (text: string) => process.stderr.write(sanitizeLines(text)) }),
  });
}

/** @throws with the last lines that docker printed, and the cure where it is known */
function succeeded({ code, stdout, stderr }: CommandResult, what: string, place: Place): string {
  if (code === 127) throw new Error("there is no docker command on the PATH");
  if (code === 0) return stdout;
  const printed = stderr.trim() || stdout.trim();
  const lines = printed.split(/[\r\n]+/).slice(-shownLines);
  const known = findKnownError(printed, place);
  const message = [`${what} failed:`, ...lines.map((line) => `  | ${sanitize(line, 300)}`)];
  if (known) message.push(`What to do: ${hintOf(known)}`);
  throw new Error(message.join("\n"));
}

/** Lines of docker's that are shown of a failure. */
const shownLines = 15;
