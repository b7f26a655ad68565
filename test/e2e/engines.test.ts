import { rm } from "node:fs/promises";

import Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { expectDeclaredToRun } from "../support/declared";
import { testName } from "../support/docker";
import { imageReference, missingEngine, type EngineStack } from "../support/engineStack";
import { missingNight } from "../support/nightly";
import {
  missingPrivateEngine,
  type PrivateEngine,
  type PrivateEngineOptions,
  startPrivateEngine,
} from "../support/privateEngine";
import {
  buildSmallService,
  smallContext,
  type TestImage,
  writeContext,
} from "../support/smallService";
import { openSmallStack } from "../support/smallStack";

const containerdStore = { features: { "containerd-snapshotter": true } };

/** This machine's Docker is the oldest where it is Debian 12's 20.10. */
const engines: [string, PrivateEngineOptions][] = [
  ["this machine's Docker with the classic image store", {}],
  ["Debian's newest Docker with the classic image store", { release: "forky" }],
  [
    "Debian's newest Docker with the containerd image store",
    { release: "forky", daemon: containerdStore },
  ],
];

const missing = missingNight ?? missingEngine ?? missingPrivateEngine;

describe.skipIf(missing)("the life of a stack", () => {
  let base: TestImage;

  beforeAll(async () => {
    base = await buildSmallService();
  });
  afterAll(() => base?.remove());

  describe.each(engines)("on %s", (_name, options) => {
    const containerName = testName("engines");
    let engine: PrivateEngine | undefined;
    let docker: Docker;
    let contextPath: string;
    let stack: EngineStack | undefined;

    beforeAll(async () => {
      try {
        engine = await startPrivateEngine(options);
      } catch (error) {
        // The packages of another release may be out of reach.
        if (!options.release) throw error;
        console.log(`SKIPPED: no Docker of Debian's ${options.release} here: ${String(error)}`);
        return;
      }
      await engine.load(base.reference);
      docker = new Docker({ socketPath: engine.endpoint.replace("unix://", "") });
      contextPath = await smallContext();
      stack = await openSmallStack({
        name: "engines",
        endpoint: engine.endpoint,
        contextPath,
        baseImage: base.reference,
        containerName,
      });
    });
    afterAll(async () => {
      await stack?.dispose();
      await engine?.stop();
      if (contextPath) await rm(contextPath, { recursive: true });
    });

    const step = (name: string, run: (stack: EngineStack) => Promise<void>) =>
      it(name, async (context) => (stack ? run(stack) : context.skip()));

    step("up builds the image, starts the container and checks it", async (opened) => {
      console.log(`engine: Docker ${(await docker.version()).Version}`);
      const { outputs } = await opened.up();
      expect(outputs["provider"]?.value).toBe("CPUExecutionProvider");
      await expectDeclaredToRun(opened, { docker });
    });

    step("another build context replaces the image", async (opened) => {
      const previous = await imageReference(opened);
      await writeContext(contextPath, "ENV CHANGED=yes");
      await opened.up();
      await expect(docker.getImage(previous).inspect()).rejects.toThrow(/no such image/i);
      expect((await docker.getContainer(containerName).inspect()).Config.Env).toContain(
        "CHANGED=yes",
      );
      await expectDeclaredToRun(opened, { docker });
    });

    step("a container that was changed by hand is repaired", async (opened) => {
      const container = docker.getContainer(containerName);
      const memory = 512 * 1024 * 1024;
      const limited = { Memory: memory, MemorySwap: memory, RestartPolicy: { Name: "no" } };
      await container.update(limited);
      const { steps } = await opened.preview({ refresh: true });
      expect(steps.join()).toMatch(/(update|replace) attic/);
      await opened.up({ refresh: true });
      expect((await container.inspect()).HostConfig).toMatchObject({ Memory: 0 });
      await expectDeclaredToRun(opened, { docker });
    });

    step("a container and an image that were removed by hand are created again", async (opened) => {
      await docker.getContainer(containerName).remove({ force: true });
      await docker.getImage(await imageReference(opened)).remove({ force: true });
      const { steps } = await opened.preview({ refresh: true });
      expect(steps).toEqual(expect.arrayContaining(["create attic", "create attic-image"]));
      await opened.up({ refresh: true });
      await expectDeclaredToRun(opened, { docker });
    });

    step("destroy leaves nothing", async (opened) => {
      await opened.destroy();
      expect(await docker.listContainers({ all: true })).toEqual([]);
      expect((await docker.listVolumes()).Volumes).toEqual([]);
      const images = (await docker.listImages()).flatMap(({ RepoTags }) => RepoTags ?? ["<none>"]);
      expect(images.filter((name) => /immich-ml-legacy|<none>/.test(name))).toEqual([]);
    });
  });
});
