import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout } from "node:timers/promises";

import type Docker from "dockerode";
import { stringify } from "yaml";

import { buildImage } from "../demo/buildImage";
import { freePort } from "../demo/postgres";
import { run } from "../demo/shell";
import { fakeBuildArgs } from "../test/support/builtImage";
import { fakes, startedDocker, testName } from "../test/support/docker";
import { type EngineCommand, openEngineStack } from "../test/support/engineStack";
import { benchmark, type Figures, timed } from "./support/benchmark";
import { composeCommand } from "./support/compose";

/**
 * From `pulumi up` to a checked service, against `docker compose up` and waiting for the health check
 * of the same image. The image exists already; in turn, from nothing to nothing. Compose checks nothing
 * else: its service may be healthy and compute on the wrong device.
 */
const rounds = 3;
const version = "v2.7.5";
const upWithoutPreview = ["up", "--yes", "--skip-preview", "--config-file"];
/** As components/machineLearning.ts declares it. */
const healthcheck = {
  test: ["CMD", "python3", "healthcheck.py"],
  interval: "10s",
  timeout: "10s",
  retries: 3,
};

async function measure(figures: Figures): Promise<void> {
  const docker = await startedDocker();
  const image = `${testName("bench-start")}:latest`;
  const buildArgs = fakeBuildArgs("kepler-maxwell", version, await fakes());
  await buildImage(docker, { tag: image, buildArgs });
  const compose = await composeCommand();
  const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-bench-start-"));
  const name = testName("bench-start");
  const stack = await openEngineStack({
    name: "bench-start",
    config: {
      immich: { version },
      hosts: [
        {
          name: "attic",
          accelerator: "cpu",
          image,
          containerName: `${name}-ours`,
          cacheVolume: `${name}-ours-cache`,
          keepCache: false,
          publish: { address: "127.0.0.1", port: await freePort() },
        },
      ],
    },
  });
  const composeFile = path.join(folder, "docker-compose.yml");
  await writeFile(composeFile, stringify(composeProject(image, await freePort())));
  const composed = (...words: string[]) => {
    const [program, ...parameters] = [...compose, "-f", composeFile, "-p", name, ...words];
    return run(program, parameters);
  };
  try {
    const times = { ours: [] as number[], compose: [] as number[] };
    for (let round = 0; round < rounds; round += 1) {
      const ours = await timed(() =>
        succeeded(stack.command(...upWithoutPreview, stack.configFile)),
      );
      times.ours.push(ours.milliseconds / 1000);
      await stack.destroy();
      const theirs = await timed(async () => {
        await composed("up", "-d");
        await untilHealthy(docker, (await composed("ps", "-q")).trim());
      });
      times.compose.push(theirs.milliseconds / 1000);
      await composed("down", "--volumes");
    }
    figures.add("start.upToVerified", times.ours, "s");
    figures.add("start.composeUpToHealthy", times.compose, "s");
    figures.ratio("start.ratio", times.ours, times.compose, { atMost: 1.1 });
  } finally {
    await stack.dispose();
    await composed("down", "--volumes");
    await docker.getImage(image).remove({ force: true });
    await rm(folder, { recursive: true });
  }
}

async function succeeded({ ended }: EngineCommand): Promise<void> {
  const { code, text } = await ended;
  if (code !== 0) throw new Error(text);
}

function composeProject(image: string, port: number): object {
  const service = {
    image,
    restart: "always",
    ports: [`127.0.0.1:${port}:3003`],
    volumes: ["model-cache:/cache"],
    healthcheck,
  };
  return {
    version: "3.8",
    services: { "machine-learning": service },
    volumes: { "model-cache": {} },
  };
}

async function untilHealthy(docker: Docker, id: string): Promise<void> {
  const end = Date.now() + 120_000;
  while (Date.now() < end) {
    const { State } = await docker.getContainer(id).inspect();
    if (State.Health?.Status === "healthy") return;
    // As often as our check polls.
    await setTimeout(1000);
  }
  throw new Error("compose's container did not become healthy within two minutes");
}

benchmark("start", measure);
