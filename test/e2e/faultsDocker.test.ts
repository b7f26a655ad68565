import { readFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";

import Docker from "dockerode";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { createImmichDatabase, type ImmichDatabase } from "../../demo/immichDatabase";
import { type PostgresServer, startPostgres } from "../../demo/postgres";
import { expectDeclaredToRun } from "../support/declared";
import { testName, untilHealthy } from "../support/docker";
import { missingEngine, openEngineStack, type EngineStack } from "../support/engineStack";
import { type ImageRegistry, startImageRegistry } from "../support/imageRegistry";
import { missingNight } from "../support/nightly";
import { startTestPostgres } from "../support/postgres";
import {
  missingPrivateEngine,
  type PrivateEngine,
  startPrivateEngine,
} from "../support/privateEngine";
import { buildSmallService, buildTestImage, type TestImage } from "../support/smallService";

/** Faults of a host's Docker engine, network and images. Each step follows on the last. */
describe.skipIf(missingEngine ?? missingPrivateEngine)("a host with a fault", () => {
  const containerName = testName("faults");
  const images: TestImage[] = [];
  let engine: PrivateEngine;
  let registry: ImageRegistry;
  let docker: Docker;
  let postgres: PostgresServer & { folder: string };
  let database: ImmichDatabase;
  let stack: EngineStack;
  let config: (host: object, more?: object) => Record<string, unknown>;
  let good: string;
  let newer: string;
  let broken: string;

  beforeAll(async () => {
    // With the default of five attempts Docker takes a minute to give up on a dead connection.
    engine = await startPrivateEngine({ daemon: { "max-download-attempts": 1 } });
    docker = new Docker({ socketPath: engine.endpoint.replace("unix://", "") });
    registry = await startImageRegistry(engine);
    const service = await buildSmallService();
    const another = await buildTestImage({
      Dockerfile: `FROM ${service.reference}\nRUN head -c 3000000 /dev/urandom >/models\n`,
    });
    const fake = path.join(__dirname, "..", "integration", "checkFakes", "sitecustomize.py");
    const withoutCode = await buildTestImage({
      "sitecustomize.py": await readFile(fake, "utf8"),
      Dockerfile: `FROM ${service.reference}
COPY sitecustomize.py /fake/
ENV PYTHONPATH=/fake FAKE_PROVIDER=CUDAExecutionProvider FAKE_FAULT=kernel
`,
    });
    images.push(withoutCode, another, service);
    good = await registry.offer(service.reference);
    newer = await registry.offer(another.reference);
    broken = await registry.offer(withoutCode.reference);
    postgres = await startTestPostgres();
    database = await createImmichDatabase(postgres);
    const { host, port, name, user } = database;
    config = (fields, more) => ({
      immich: { version: "v2.7.5", database: { host, port, name, user } },
      preset: "legacy-2gb",
      hosts: [
        {
          name: "attic",
          dockerHost: engine.endpoint,
          accelerator: "cpu",
          containerName,
          cacheVolume: `${containerName}-cache`,
          keepCache: false,
          publish: { address: "127.0.0.1" },
          ...fields,
        },
      ],
      ...more,
    });
    stack = await openEngineStack({
      name: "faults-docker",
      config: config({ image: good }),
      secrets: { databasePassword: database.password },
    });
  });

  beforeEach(() => {
    registry.line = "good";
  });
  afterAll(async () => {
    await stack?.dispose();
    await registry?.stop();
    await engine?.stop();
    for (const image of images) await image.remove();
    await postgres?.remove();
  });

  const container = () => docker.getContainer(containerName).inspect();
  const asDeclared = () => expectDeclaredToRun(stack, { docker, database });
  const killDocker = () => engine.inside(`kill -9 "$(cat ${engine.folder}/dockerd.pid)"`);
  const answers = async () => {
    for (let tenth = 0; tenth < 300; tenth += 1) {
      if ((await docker.ping().catch(() => undefined)) !== undefined) return;
      await pause(100);
    }
    throw new Error("Docker does not answer again");
  };

  it("fault: Docker is restarted while up pulls an image; the next up finishes it", async () => {
    registry.line = "silent";
    const halfway = registry.disturbed();
    const failed = expect(stack.up()).rejects.toThrow(/attic-image/);
    await halfway;
    await killDocker();
    await failed;
    registry.line = "good";
    await answers();
    await stack.up();
    await asDeclared();
  });

  it("fault: Docker is restarted while up waits for the service; up continues by itself", async () => {
    await stack.configure(config({ image: good, environment: { modelTtl: 10 } }));
    const previous = (await container()).Id;
    const going = stack.up();
    const isTried = async () => {
      const running = await docker.listContainers();
      return running.some(({ Id }) => Id !== previous);
    };
    // The new container is waited for then, beside the one that serves.
    while (!(await isTried())) await pause(50);
    await killDocker();
    const { text } = await going;
    expect(text).toContain("Docker does not answer");
    expect((await container()).Config.Env).toContain("MACHINE_LEARNING_MODEL_TTL=10");
    await asDeclared();
  });

  it("fault: the network is cut while an image is pulled; the previous container keeps running, the next up finishes it", async () => {
    await stack.configure(config({ image: newer }));
    const previous = (await container()).Id;
    registry.line = "cut";
    await expect(stack.up()).rejects.toThrow(/attic-image[^]*unable to find or pull image/);
    expect(await container()).toMatchObject({ Id: previous, State: { Running: true } });
    registry.line = "good";
    await stack.up();
    expect((await container()).Id).not.toBe(previous);
    await asDeclared();
    // The former one was pulled by the stack, and nothing uses it.
    await expect(docker.getImage(good).inspect()).rejects.toThrow(/no such image/i);
  });

  it("fault: a health check that lies; the check fails up with the reason, another image repairs it", async () => {
    const nvidia = { accelerator: "cuda", image: broken };
    // This machine has no GPU.
    await stack.configure(config(nvidia, { preflight: "warn" }));
    const before = await database.configurationText();
    await expect(stack.up()).rejects.toThrow(
      /healthy after[^]*cudaErrorNoKernelImageForDevice[^]*What to do:/,
    );
    await untilHealthy(container);
    expect(await database.configurationText()).toBe(before);
    await stack.configure(config({ image: newer }));
    await stack.up();
    await asDeclared();
  });

  it.skipIf(missingNight)(
    "fault: the machine loses power; container and preset are as declared again without an up",
    async () => {
      const { Id } = await container();
      await postgres.stop();
      await engine.restartMachine();
      postgres = await startPostgres({ folder: postgres.folder });
      expect(await container()).toMatchObject({ Id, State: { Running: true } });
      await asDeclared();
      const { steps } = await stack.up({ refresh: true });
      expect(steps).toEqual([]);
    },
  );
});
