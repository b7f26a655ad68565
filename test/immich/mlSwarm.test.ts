import path from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { testName } from "../support/docker";
import { type EngineStack, missingEngine, openEngineStack } from "../support/engineStack";
import { buildFrom, docker, realImage } from "../support/immichMl";
import { entries, helpers } from "../support/immichServer";
import { immichSources, isQuick } from "../support/immichSource";
import { type Load, startLoad } from "../support/load";
import { missingPrivateEngine } from "../support/privateEngine";
import { startSwarm, type Swarm } from "../support/swarm";
import { longTestsLine } from "./source";

const { sources, line } = immichSources;
const release = [...sources.keys()].at(-1);
console.log(line);
if (isQuick) console.log(longTestsLine("its ML server on a swarm"));
const service = "immich-ml-rack";
const timeout = 20 * 60_000;

/**
 * Builds the image without the CUDA libraries, which are most of it and do nothing here, with what puts the CPU in
 * the card's place and with models, which a new volume takes from its image.
 */
async function buildOnCpu(tag: string): Promise<void> {
  const { server, tests } = await realImage("kepler-maxwell", release!);
  const { Config } = JSON.parse(
    await docker("image", "inspect", "--format", "{{json .}}", server),
  ) as { Config: { Env: string[]; Entrypoint: string[]; Cmd: string[] } };
  const variables = Config.Env.filter((variable) => !variable.startsWith("PYTHONPATH="));
  await buildFrom(
    tag,
    `FROM ${tests} AS models
COPY models.py /
RUN python /models.py /cache 20
FROM ${server} AS whole
RUN rm -r /opt/cuda
FROM scratch
COPY --from=whole / /
COPY --from=models /cache /cache
COPY sitecustomize.py /opt/on-cpu/
WORKDIR /usr/src
ENV ${variables.join(" ")} PYTHONPATH=/usr/src:/opt/on-cpu
ENTRYPOINT ${JSON.stringify(Config.Entrypoint)}
CMD ${JSON.stringify(Config.Cmd)}`,
    Object.fromEntries(
      ["models.py", "sitecustomize.py"].map((file) => [file, path.join(helpers, file)]),
    ),
  );
}

/** Immich does not ask a server again, so a request that fails once is a lost one. */
describe.skipIf(isQuick || release === undefined || missingEngine || missingPrivateEngine)(
  `the ML server of Immich ${release} on a swarm`,
  () => {
    const image = testName("real-swarm");
    let swarm: Swarm;
    let stack: EngineStack;

    beforeAll(async () => {
      await buildOnCpu(image);
      swarm = await startSwarm();
      await swarm.engine.load(image);
      stack = await openEngineStack({ name: "real-swarm", config: config() });
      await stack.up();
    }, 30 * 60_000);

    afterAll(async () => {
      await stack?.dispose();
      await swarm?.stop();
      await docker("rmi", image);
    });

    function config(environment: object = {}) {
      const { registry, engine } = swarm;
      return {
        immich: { version: release },
        hosts: [
          {
            name: "rack",
            placement: "swarm",
            dockerHost: engine.endpoint,
            image,
            keepCache: false,
            environment,
            swarm: { replicas: 2, endpointMode: "dnsrr", registry },
          },
        ],
      };
    }

    /** Asks while something is rolled out. */
    async function whileAsking(rollOut: () => Promise<unknown>): Promise<Load> {
      const load = await startLoad(swarm.engine, {
        image: swarm.images.first,
        network: service,
        address: "http://immich-machine-learning:3003",
        workers: 8,
        seconds: 600,
        entries: entries.picture,
      });
      await rollOut();
      // The last of the former tasks may still end.
      await new Promise((resolve) => setTimeout(resolve, 15_000));
      const counted = await load.stop();
      console.log(JSON.stringify(counted));
      expect(counted.answered).toBeGreaterThan(20);
      return counted;
    }

    it("loses no request while another environment is rolled out", { timeout }, async () => {
      await stack.configure(config({ modelTtl: 200 }));
      const counted = await whileAsking(() => stack.up());
      expect(counted).toMatchObject({ retried: 0, lost: 0, reasons: {} });
    });

    it("loses some with Immich's own command: the reason for serve.py", { timeout }, async () => {
      // Docker's client, and both tasks at once: the check of an `up` shows nothing here.
      const update = (...words: string[]) =>
        swarm.engine.docker("service", "update", "--detach=false", "--quiet", ...words, service);
      await update("--update-parallelism=0", "--args=python -m immich_ml");
      const counted = await whileAsking(() => update("--force"));
      expect(counted.retried).toBeGreaterThan(0);
    });
  },
);

if (release === undefined) it.skip(line, () => undefined);
