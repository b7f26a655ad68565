import { type Load, startLoad } from "../test/support/load";
import { type PrivateEngine } from "../test/support/privateEngine";
import { runningTasks, startSwarm } from "../test/support/swarm";
import { benchmark, type Figures } from "./support/benchmark";

/**
 * Answers per second of a swarm service with one, two and four tasks, and requests lost while its image
 * is changed. The service is like the component's, on a private engine, with the fake server's small
 * model. The numbers of replicas are tried in turn, so that a busy machine slows them alike.
 */
const service = "immich-ml-bench";
const network = "immich-ml-bench";
const address = `http://${service}:3003`;
const replicas = [1, 2, 4];
const rounds = 3;
const seconds = 8;
/** Requests at a time: enough to keep four tasks busy. */
const workers = 8;

async function measure(figures: Figures): Promise<void> {
  const swarm = await startSwarm();
  const { engine, images } = swarm;
  const load = (options: { workers: number; seconds: number }) =>
    startLoad(engine, { image: images.first, network, address, ...options });
  try {
    await createService(engine, images.first);
    const rates = new Map<number, number[]>(replicas.map((count) => [count, []]));
    for (let round = 0; round < rounds; round += 1) {
      for (const count of replicas) {
        await scaleTo(engine, count);
        // The first requests load the model in each task.
        await (await load({ workers, seconds: 2 })).finish();
        const counted = await (await load({ workers, seconds })).finish();
        rates.get(count)!.push(counted.answered / counted.seconds);
      }
    }
    for (const count of replicas) {
      figures.add(`swarm.throughput.${count}`, rates.get(count)!, "requests/s");
    }
    figures.ratio("swarm.throughput.2 by 1", rates.get(2)!, rates.get(1)!);
    figures.ratio("swarm.throughput.4 by 1", rates.get(4)!, rates.get(1)!);

    await scaleTo(engine, 2);
    const updates: Load[] = [];
    for (const image of [images.second, images.first, images.second]) {
      const requests = await load({ workers: 2, seconds: 240 });
      await engine.docker(
        "service",
        "update",
        "--quiet",
        "--no-resolve-image",
        "--image",
        image,
        service,
      );
      updates.push(await requests.stop());
    }
    const of = (value: (counted: Load) => number) => updates.map(value);
    figures.add(
      "swarm.update.answered",
      of(({ answered }) => answered),
      "requests",
    );
    figures.add(
      "swarm.update.failed once",
      of(({ retried }) => retried),
      "requests",
    );
    figures.add("swarm.update.lost", Math.max(...of(({ lost }) => lost)), "requests", {
      atMost: 0,
    });
    figures.add(
      "swarm.update.slowest answer",
      of(({ slowest }) => slowest),
      "s",
    );
  } finally {
    await swarm.stop();
  }
}

/** With the docker client, since Pulumi is not measured here. */
async function createService(engine: PrivateEngine, image: string): Promise<void> {
  await engine.docker("network", "create", "--driver", "overlay", "--attachable", network);
  await engine.docker(
    ...["service", "create", "--quiet", "--no-resolve-image", "--name", service],
    ...["--network", network, "--endpoint-mode", "dnsrr", "--replicas", "1"],
    ...["--update-order", "start-first", "--update-monitor", "5s", "--stop-grace-period", "30s"],
    ...["--cap-drop", "ALL", "--env", "ORT_CUDA_UNAVAILABLE=1"],
    ...["--health-cmd", "python3 healthcheck.py", "--health-interval", "5s"],
    ...["--mount", "type=volume,source=immich-ml-bench,target=/cache", image],
  );
}

async function scaleTo(engine: PrivateEngine, count: number): Promise<void> {
  await engine.docker("service", "scale", `${service}=${count}`);
  if ((await runningTasks(engine, service)).length !== count) {
    throw new Error(`the service does not have ${count} tasks`);
  }
}

benchmark("swarm", measure);
