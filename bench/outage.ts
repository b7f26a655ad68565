import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";

import { stringify } from "yaml";

import { run } from "../demo/shell";
import { fakes, startedDocker, testName } from "../test/support/docker";
import { openEngineStack } from "../test/support/engineStack";
import { buildTestImage } from "../test/support/smallService";
import { startProbe } from "../test/support/swapProbe";
import { buildSwapService } from "../test/support/swapService";
import { benchmark, type Figures } from "./support/benchmark";
import { composeCommand } from "./support/compose";

/**
 * Seconds without an answer to /ping under the alias that Immich uses, asked 20 times a second: by
 * `docker compose up` and by `up`, in turn, for the same changes. The server starts in no time, which
 * is the peer's best case: a real one is down for as long as it takes to start, too.
 */
const rounds = 3;
const goal = { atMost: 1.2 };

/** What the peer changes, too. */
const changes = ["environment", "upgrade"] as const;

async function measure(figures: Figures): Promise<void> {
  await startedDocker();
  const [composeProgram, ...composeWords] = await composeCommand();
  const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-bench-outage-"));
  const network = testName("bench-outage");
  const foreign = `${network}-compose`;
  const file = path.join(folder, "docker-compose.yml");
  const first = await buildSwapService();
  const second = await buildTestImage({ Dockerfile: `FROM ${first.reference}\nENV RELEASE=2\n` });
  await run("docker", ["network", "create", network]);
  const probe = await startProbe(first.reference, network, "http://ml:3003/ping");
  const { python310, immichMachineLearning } = await fakes();
  const stack = await openEngineStack({ name: "bench-outage" });

  const compose = async (image: string, who: string) => {
    const ml = {
      image,
      container_name: foreign,
      restart: "always",
      environment: { WHO: who },
      networks: { immich: { aliases: ["ml"] } },
      healthcheck: { test: ["CMD", "python3", "healthcheck.py"], interval: "10s" },
    };
    const networks = { immich: { external: true, name: network } };
    await writeFile(file, stringify({ version: "2.4", services: { ml }, networks }));
    const project = ["--project-name", network, "--file", file];
    await run(composeProgram, [...composeWords, ...project, "up", "--detach"]);
  };
  const host = {
    name: "attic",
    accelerator: "cpu",
    containerName: `${network}-ml`,
    cache: { volume: `${network}-cache`, keep: false },
    network,
    networkAlias: "ml",
    takeOver: foreign,
  };
  const ours = async (image: string, who: string, fault: Record<string, string> = {}) => {
    const variables = Object.entries({ WHO: who, ...fault }).map((each) => each.join("="));
    const envFile = path.join(folder, `${who}.env`);
    await writeFile(envFile, variables.join("\n"));
    const hosts = [{ ...host, image, envFiles: [envFile], healthTimeout: 60 }];
    await stack.configure({ immich: { version: "v2.7.5" }, hosts });
    await stack.up();
  };
  const built = (version: string) =>
    stack.configure({
      immich: { version },
      build: { pythonImage: python310, immichImage: immichMachineLearning },
      hosts: [{ ...host, imageVariant: "kepler-maxwell" }],
    });

  const seconds = new Map<string, number[]>();
  const note = (name: string, value: number) =>
    seconds.set(name, [...(seconds.get(name) ?? []), value]);
  /** Measures the silence until a little after the change, when the new server answers. */
  const silence = async (name: string, work: () => Promise<unknown>) => {
    const begin = Date.now() / 1000;
    await work();
    await pause(2000);
    const { who, silent } = await probe.since(begin);
    if (who.at(-1) === "-") throw new Error(`nobody answers after ${name}`);
    note(name, silent);
  };

  try {
    for (let round = 0; round < rounds; round += 1) {
      await compose(first.reference, "compose");
      await pause(3000);
      await silence("compose.environment", () => compose(first.reference, "changed"));
      await silence("compose.upgrade", () => compose(second.reference, "changed"));
      await silence("takeOver", () => ours(first.reference, "a"));
      await silence("environment", () => ours(first.reference, "b"));
      await silence("upgrade", () => ours(second.reference, "b"));
      for (const fault of [{ BREAK: "die" }, { FAULT: "compute" }] as Record<string, string>[]) {
        await silence("failedCandidate", async () => {
          const worked = await ours(second.reference, "broken", fault).then(
            () => true,
            () => false,
          );
          if (worked) throw new Error("a container that cannot work was not refused");
        });
      }
      await ours(second.reference, "b");
      await silence("goBack", () => stack.destroy());
    }

    await built("v2.7.4");
    await stack.up();
    await built("v2.7.5");
    const begin = Date.now() / 1000;
    const going = stack.command("up", "--yes", "--skip-preview", "--config-file", stack.configFile);
    const tries = new Promise<number>((resolve) => {
      going.child.stdout!.on("data", (more: Buffer) => {
        if (more.toString().includes("trying the new container")) resolve(Date.now() / 1000);
      });
    });
    const { code, text } = await going.ended;
    if (code !== 0) throw new Error(text);
    const until = await Promise.race([tries, pause(1000, undefined)]);
    if (until === undefined) throw new Error(`no candidate was tried:\n${text}`);
    await pause(2000);
    const all = (await probe.since(begin)).silent;
    note("build", all - (await probe.since(until)).silent);
    note("upgradeWithBuild", all);
    figures.add("outage.build.seconds", until - begin, "s");
  } finally {
    await stack.dispose();
    await probe.stop();
    await run("docker", ["rm", "--force", foreign]).catch(() => undefined);
    await run("docker", ["network", "rm", network]).catch(() => undefined);
    await second.remove();
    await first.remove();
    await rm(folder, { recursive: true, force: true });
  }

  const never = { failedCandidate: { atMost: 0 }, build: { atMost: 0 } } as const;
  for (const [name, values] of seconds) {
    figures.add(`outage.${name}`, values, "s", never[name as keyof typeof never]);
  }
  const of = (name: string) => seconds.get(name)!;
  figures.ratio("outage.ratio.takeOver", of("takeOver"), of("compose.environment"), goal);
  for (const name of changes) {
    figures.ratio(`outage.ratio.${name}`, of(name), of(`compose.${name}`), goal);
  }
}

benchmark("outage", measure);
