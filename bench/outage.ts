import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";

import { stringify } from "yaml";

import { run } from "../demo/shell";
import { testName } from "../test/support/docker";
import { openEngineStack } from "../test/support/engineStack";
import { buildTestImage } from "../test/support/smallService";
import { startProbe } from "../test/support/swapProbe";
import { buildSwapService } from "../test/support/swapService";
import { benchmark, type Figures } from "./support/benchmark";
import { composeCommand } from "./support/compose";

/**
 * Seconds in which nobody answers `/ping` under the name that Immich uses: compose's container is taken over,
 * the environment changes, the image changes as with a new Immich version, and a change
 * whose new container cannot compute. Beside `docker compose up -d` making the same change; a probe asks 20
 * times a second. The server ends at once when it is stopped and answers at once when it is started.
 */
const rounds = 3;
const alias = "immich-machine-learning";

async function measure(figures: Figures): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-bench-outage-"));
  const network = testName("bench-outage");
  const image = await buildSwapService();
  const newer = await buildTestImage({
    Dockerfile: `FROM ${image.reference}\nENV RELEASE=newer\n`,
  });
  await run("docker", ["network", "create", network]);
  const probe = await startProbe(image.reference, network, `http://${alias}:3003/ping`);
  const compose = await composeService(folder, network);
  const ours = await ourService(network, compose.container);
  const silentDuring = async (change: () => Promise<unknown>) => {
    await pause(1000);
    const began = Date.now() / 1000;
    await change();
    return (await probe.since(began)).silent;
  };
  const takeOver: number[] = [];
  const environment = { ours: [] as number[], compose: [] as number[] };
  const version = { ours: [] as number[], compose: [] as number[] };
  const failed: number[] = [];
  try {
    for (let round = 0; round < rounds; round += 1) {
      await compose.up(image.reference, `${round}`);
      await pause(2000);
      environment.compose.push(
        await silentDuring(() => compose.up(image.reference, `${round} again`)),
      );
      version.compose.push(await silentDuring(() => compose.up(newer.reference, `${round} again`)));
      takeOver.push(await silentDuring(() => ours.up(image.reference, `${round}`)));
      environment.ours.push(await silentDuring(() => ours.up(image.reference, `${round} again`)));
      version.ours.push(await silentDuring(() => ours.up(newer.reference, `${round} again`)));
      failed.push(
        await silentDuring(() =>
          ours.up(newer.reference, `${round} again`, { FAULT: "compute" }).then(
            () => Promise.reject(new Error("a container that cannot compute was not refused")),
            () => undefined,
          ),
        ),
      );
      await ours.destroy();
      await compose.down();
    }
    figures.add("outage.environment.compose", environment.compose, "s");
    figures.add("outage.environment", environment.ours, "s");
    const goal = { atMost: 1.2 };
    figures.ratio("outage.environment.ratio", environment.ours, environment.compose, goal);
    figures.add("outage.version.compose", version.compose, "s");
    figures.add("outage.version", version.ours, "s");
    figures.ratio("outage.version.ratio", version.ours, version.compose, goal);
    figures.add("outage.takeOver", takeOver, "s");
    figures.ratio("outage.takeOver.ratio", takeOver, environment.compose, goal);
    figures.add("outage.failedChange", failed, "s", { atMost: 0 });
  } finally {
    await ours.remove();
    await compose.down();
    await probe.stop();
    await run("docker", ["network", "rm", network]);
    await newer.remove();
    await image.remove();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Immich's service in a compose file, with the health check that this program sets. */
async function composeService(folder: string, network: string) {
  const [program, ...words] = await composeCommand();
  const project = testName("bench-outage");
  const container = `${project}-compose`;
  const file = path.join(folder, "docker-compose.yml");
  const compose = (...command: string[]) =>
    run(program, [...words, "--project-name", project, "--file", file, ...command]);
  return {
    container,
    up: async (image: string, who: string) => {
      const service = {
        image,
        container_name: container,
        restart: "always",
        environment: { WHO: who },
        networks: { immich: { aliases: [alias] } },
        healthcheck: {
          test: ["CMD", "python3", "healthcheck.py"],
          interval: "10s",
          timeout: "10s",
        },
      };
      const networks = { immich: { external: true, name: network } };
      await writeFile(
        file,
        stringify({ version: "3.8", services: { "immich-machine-learning": service }, networks }),
      );
      await compose("up", "--detach");
    },
    down: () => compose("down"),
  };
}

async function ourService(network: string, takeOver: string) {
  const name = testName("bench-outage");
  const stack = await openEngineStack({ name: "bench-outage" });
  return {
    up: async (image: string, who: string, variables: Record<string, string> = {}) => {
      await stack.configure({
        immich: { version: "v2.7.5" },
        hosts: [
          {
            name: "attic",
            accelerator: "cpu",
            image,
            containerName: name,
            cache: { volume: name, keep: false },
            network,
            takeOver,
            uncheckedEnvironment: { WHO: who, ...variables },
          },
        ],
      });
      await stack.up();
    },
    destroy: () => stack.destroy(),
    remove: () => stack.dispose(),
  };
}

benchmark("outage", measure);
