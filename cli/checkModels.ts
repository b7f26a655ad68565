import { join } from "node:path";
import { parseArgs } from "node:util";

import { dockerClientEnvironment, type EngineAddress } from "../util/dockerClient";
import { type CommandResult, run } from "../util/run";
import { readDeployment } from "../verify/deployment";

const usage = `Computes models of every family that Immich uses on the card of a container's host, in that
container's image, and compares with a newer ONNX Runtime on the CPU. Prints a row for the
README's table. Needs PyPI for the tests' own packages, and some minutes.

  npm run check:models -- [--stack NAME] [HOST…]
  npm run check:models -- --image NAME [--docker-host ADDRESS] [--provider NAME]

Ends with 1 when a model is not verified, with 3 when there is no card.`;

/** What the command is for; another one shows that the models and this program are right. */
const cuda = "CUDAExecutionProvider";

interface Subject {
  readonly name: string;
  readonly image: string;
  readonly engine: EngineAddress;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      stack: { type: "string" },
      image: { type: "string" },
      "docker-host": { type: "string", default: "unix:///var/run/docker.sock" },
      provider: { type: "string", default: cuda },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const subjects = values.image
    ? [{ name: values.image, image: values.image, engine: { dockerHost: values["docker-host"] } }]
    : await deployed(values.stack, positionals);
  const codes: number[] = [];
  for (const subject of subjects) codes.push(await check(subject, values.provider));
  return Math.max(...codes);
}

async function deployed(stack: string | undefined, names: readonly string[]): Promise<Subject[]> {
  const { hosts } = await readDeployment(stack);
  const withCard = hosts.filter(({ accelerator }) => accelerator === "cuda");
  const chosen = withCard.filter(({ host }) => names.length === 0 || names.includes(host));
  const unknown = names.filter((name) => !withCard.some(({ host }) => host === name));
  if (unknown.length > 0 || chosen.length === 0) {
    const known = withCard.map(({ host }) => host).join(", ") || "none";
    throw new Error(`no host ${unknown.join(", ")} with accelerator cuda; this stack has ${known}`);
  }
  return Promise.all(
    chosen.map(async ({ host, containerName, ...engine }) => {
      if (!containerName) throw new Error(`${host} is a service of a swarm: give its --image`);
      const inspect = ["inspect", "--format", "{{.Image}}", containerName];
      const image = succeeded(await docker(engine, inspect), "docker inspect");
      return { name: host, image: image.trim(), engine };
    }),
  );
}

async function check({ name, image, engine }: Subject, provider: string): Promise<number> {
  const gpus = provider === cuda ? ["--gpus", "all"] : [];
  const started = ["run", "--rm", "--network", "none", ...gpus];
  const card = provider === cuda ? await gpuOf(image, engine, started) : "no card";
  if (card === undefined) return 3;

  console.error(`${name}: adding the tests to ${image}`);
  const tests = `immich-ml-check-models:${process.pid}`;
  const context = join(__dirname, "..", "image", "tests");
  const build = ["build", "--tag", tests, "--build-arg", `IMAGE=${image}`, context];
  succeeded(await docker(engine, build), "docker build");
  try {
    const command = ["python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "on_card.py"];
    const environment = ["--env", `IMMICH_ML_PROVIDER=${provider}`];
    const ended = await docker(engine, [...started, ...environment, tests, ...command], true);
    process.stdout.write(ended.stdout);
    if (ended.code === 0) console.log(row(card, provider, ended.stdout));
    return ended.code === 0 || ended.code === 3 ? ended.code : 1;
  } finally {
    await docker(engine, ["image", "rm", tests]);
  }
}

/** The card's name and driver as a container sees them; undefined, with a message, without one. */
async function gpuOf(image: string, engine: EngineAddress, started: readonly string[]) {
  const query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"];
  const ended = await docker(engine, [
    ...started,
    "--entrypoint",
    query[0]!,
    image,
    ...query.slice(1),
  ]);
  if (ended.code === 0) return ended.stdout.trim().split("\n").join("; ");
  const said = (ended.stderr.trim() || ended.stdout.trim()).split("\n")[0]!;
  console.error(
    `NO CARD: no container at ${engine.dockerHost} gets an NVIDIA card (${said}). Check nvidia-smi on that host,` +
      " and that the NVIDIA Container Toolkit is set up (nvidia-ctk runtime configure --runtime=docker).",
  );
  return undefined;
}

/** DetectedGpu, what computed, the day, the models that agree and the encoders' times. */
function row(card: string, provider: string, output: string): string {
  const passed = /(\d+) passed/.exec(output)?.[1] ?? "0";
  const times = [...output.matchAll(/^(visual|textual): ([\d.]+ ms)/gm)].map(
    ([, kind, time]) => `${kind} ${time}`,
  );
  const day = new Date().toISOString().slice(0, 10);
  return `| ${card} | ${provider} | ${day} | ${passed} models agree; ViT-B-32's size: ${times.join(", ")} |`;
}

function docker(
  engine: EngineAddress,
  parameters: readonly string[],
  show = false,
): Promise<CommandResult> {
  return run("docker", parameters, {
    environment: dockerClientEnvironment(engine),
    ...(show && { onStderr: (text: string) => process.stderr.write(text) }),
  });
}

function succeeded({ code, stdout, stderr }: CommandResult, what: string): string {
  if (code === 127) throw new Error("there is no docker command on the PATH");
  if (code !== 0) throw new Error(`${what}: ${stderr.trim() || stdout.trim()}`);
  return stdout;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error((error as Error).message);
    process.exit(2);
  },
);
