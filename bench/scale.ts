import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import { stringify } from "yaml";

import { installDebianPackages, isInstalled, run } from "../demo/shell";
import { fakes, testName } from "../test/support/docker";
import { openEngineStack } from "../test/support/engineStack";
import { benchmark, type Figures, median, timed } from "./support/benchmark";

/**
 * Time to create, run again, change and destroy 1, 10 and 50 hosts on one engine, in turn with docker
 * compose and the same containers. The image sleeps and is healthy; neither side waits for that, and
 * nothing is checked (`check: off`). The state is a local file.
 */
const sizes = [1, 10, 50];
/** `npm run bench -- scale <rounds>` */
const rounds = Number(process.argv[2] ?? 2);
/** Measured for each fleet, in this order. */
const steps = ["create", "noOp", "change", "destroy"] as const;

type Times = Record<(typeof steps)[number], number[]>;

/** One of the two ways to run the same containers. */
interface Fleet {
  /** Runs the containers with this environment. */
  up(modelTtl: number): Promise<unknown>;
  down(): Promise<unknown>;
  remove(): Promise<unknown>;
}

async function measure(figures: Figures): Promise<void> {
  const compose = await composeCommand();
  const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-bench-"));
  const network = testName("bench-network");
  const image = await sleeper(folder);
  await run("docker", ["network", "create", network]);
  const noOps: number[][] = [];
  try {
    for (const size of sizes) {
      const hosts = Array.from({ length: size }, (_, index) => `host-${index + 1}`);
      const ours = await ourFleet(hosts, image, network);
      const theirs = composeFleet(hosts, image, network, folder, compose);
      const own = noTimes();
      const peer = noTimes();
      try {
        for (let round = 0; round < rounds; round += 1) {
          await goThrough(ours, own);
          await goThrough(theirs, peer);
        }
      } finally {
        await ours.remove();
        await theirs.remove();
      }
      noOps.push(own.noOp);
      for (const step of steps) {
        const goal = size === 50 && step === "create" ? { atMost: 1.5 } : undefined;
        figures.add(`scale.${size}.${step}`, own[step], "ms");
        figures.add(`scale.${size}.${step}.compose`, peer[step], "ms");
        figures.ratio(`scale.${size}.${step}.ratio`, own[step], peer[step], goal);
      }
    }
    const [one, , fifty] = noOps.map(median);
    // Otherwise the goal would be met by the noise of a busy machine.
    if (fifty! <= one!) {
      throw new Error(
        `a no-op of 50 hosts took no longer (${fifty} ms) than one of a single host (${one} ms): the machine is too busy for this benchmark, run it again`,
      );
    }
    figures.add("scale.noOp.perAddedHost", (fifty! - one!) / 49, "ms", { atMost: 60 });
  } finally {
    await removeNetwork(network);
    await run("docker", ["rmi", image]);
    await rm(folder, { recursive: true });
  }
}

/** Docker 20.10 may keep the endpoint of a removed container, which spoils no figure. */
async function removeNetwork(name: string): Promise<void> {
  await run("docker", ["network", "rm", name]).catch((error: Error) =>
    console.error(error.message),
  );
}

const noTimes = (): Times => ({ create: [], noOp: [], change: [], destroy: [] });

async function goThrough(fleet: Fleet, times: Times): Promise<void> {
  const works = [() => fleet.up(300), () => fleet.up(300), () => fleet.up(10), () => fleet.down()];
  for (const [index, step] of steps.entries()) {
    times[step].push((await timed(works[index]!)).milliseconds);
  }
}

/** `pulumi up` on the command line, without questions. */
async function ourFleet(hosts: readonly string[], image: string, network: string): Promise<Fleet> {
  const prefix = testName("bench-scale");
  const config = (modelTtl: number) => ({
    immich: { version: "v2.7.5" },
    hosts: hosts.map((name) => ({
      name,
      accelerator: "cpu",
      image,
      network,
      containerName: `${prefix}-${name}`,
      cacheVolume: `${prefix}-${name}`,
      keepCache: false,
      environment: { modelTtl },
      check: "off",
    })),
  });
  const stack = await openEngineStack({ name: "scale", config: config(300) });
  const command = async (...words: string[]) => {
    const file = ["--config-file", stack.configFile];
    const { code, text } = await stack.command(...words, "--yes", "--skip-preview", ...file).ended;
    if (code !== 0) throw new Error(`pulumi ${words[0]} ended with ${code}:\n${text}`);
  };
  return {
    up: async (modelTtl) => {
      await stack.configure(config(modelTtl));
      await command("up");
    },
    down: () => command("destroy"),
    remove: () => stack.dispose(),
  };
}

/** The same containers for docker compose. */
function composeFleet(
  hosts: readonly string[],
  image: string,
  network: string,
  folder: string,
  [program, ...words]: readonly [string, ...string[]],
): Fleet {
  const project = testName("bench-compose");
  const file = path.join(folder, `${project}.yaml`);
  const service = (name: string, modelTtl: number) => ({
    image,
    container_name: `${project}-${name}`,
    restart: "always",
    environment: {
      MACHINE_LEARNING_MODEL_TTL: String(modelTtl),
      ORT_CUDA_UNAVAILABLE: "1",
    },
    volumes: [`${name}:/cache`],
    networks: { immich: { aliases: [name] } },
    cap_drop: ["ALL"],
    pids_limit: 4096,
    security_opt: ["no-new-privileges:true"],
    logging: { driver: "json-file", options: { "max-size": "10m", "max-file": "3" } },
    healthcheck: {
      test: ["CMD", "python3", "healthcheck.py"],
      interval: "10s",
      timeout: "10s",
      retries: 3,
      start_period: "2m",
    },
  });
  const compose = (...command: string[]) =>
    run(program, [...words, "--project-name", project, "--file", file, ...command]);
  const write = (modelTtl: number) =>
    writeFile(
      file,
      stringify({
        version: "2.4",
        services: Object.fromEntries(hosts.map((name) => [name, service(name, modelTtl)])),
        volumes: Object.fromEntries(hosts.map((name) => [name, { name: `${project}-${name}` }])),
        networks: { immich: { external: true, name: network } },
      }),
    );
  return {
    up: async (modelTtl) => {
      await write(modelTtl);
      await compose("up", "--detach");
    },
    // Ours stops the containers without waiting, too.
    down: () => compose("down", "--volumes", "--timeout", "0"),
    remove: () => compose("down", "--volumes", "--timeout", "0"),
  };
}

/** An image that sleeps, with the cheapest possible health check. */
async function sleeper(folder: string): Promise<string> {
  const { python310 } = await fakes();
  const image = `${testName("bench-sleeper")}:1`;
  await writeFile(
    path.join(folder, "Dockerfile"),
    `FROM ${python310}
RUN ln -sf /bin/true /usr/local/bin/python3
# Neither side waits for a container to stop.
STOPSIGNAL SIGKILL
CMD ["sleep", "infinity"]
`,
  );
  await run("docker", ["build", "--quiet", "--tag", image, folder]);
  return image;
}

/** The plugin of the docker client if installed, else Debian's docker-compose. */
async function composeCommand(): Promise<readonly [string, ...string[]]> {
  const hasPlugin = await run("docker", ["compose", "version"]).then(
    () => true,
    () => false,
  );
  if (hasPlugin) return ["docker", "compose"];
  if (!(await isInstalled("docker-compose"))) {
    await installDebianPackages(["docker-compose"], console.log);
  }
  return ["docker-compose"];
}

benchmark("scale", measure);
