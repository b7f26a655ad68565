import type Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { freePort } from "../../demo/postgres";
import { expectDeclaredToRun } from "../support/declared";
import { fakes, startedDocker, testName } from "../support/docker";
import {
  imageReference,
  missingEngine,
  openEngineStack,
  type EngineStack,
} from "../support/engineStack";
import { takenPort } from "../support/takenPort";

/** Several hosts in one stack and several stacks on one engine. Each step follows on the last. */
describe.skipIf(missingEngine)("several hosts and stacks on the real engine", () => {
  let docker: Docker;
  let config: (hosts: object[]) => Record<string, unknown>;
  let first: EngineStack;
  let second: EngineStack;
  let attic: object;
  const names: string[] = [];

  beforeAll(async () => {
    docker = await startedDocker();
    const images = await fakes();
    config = (hosts) => ({
      immich: { version: "v2.7.5" },
      build: { pythonImage: images.python310, immichImage: images.immichMachineLearning },
      hosts,
    });
  });

  afterAll(async () => {
    await first?.dispose();
    await second?.dispose();
  });

  const newHost = (name: string, port: number) => {
    const containerName = testName(name);
    names.push(containerName);
    return {
      name,
      accelerator: "cpu",
      imageVariant: "kepler-maxwell",
      containerName,
      cacheVolume: `${containerName}-cache`,
      keepCache: false,
      publish: { address: "127.0.0.1", port },
    };
  };
  const isRunning = async (containerName: string) =>
    (await docker.getContainer(containerName).inspect()).State.Running;
  const ping = async (port: number) => (await fetch(`http://127.0.0.1:${port}/ping`)).text();

  it("an up that fails halfway names the reason, and the next one finishes it", async () => {
    const taken = await takenPort();
    attic = newHost("attic", taken.port);
    first = await openEngineStack({ name: "first", config: config([attic]) });
    await expect(first.up()).rejects.toThrow(new RegExp(`${taken.port}`));
    await taken.close();
    await first.up();
    expect(await ping(taken.port)).toBe("pong");
    await expectDeclaredToRun(first, { docker });
  });

  it("adding a host keeps the container of the first", async () => {
    const port = await freePort();
    const cellar = newHost("cellar", port);
    const id = (await docker.getContainer(names[0]!).inspect()).Id;
    await first.configure(config([attic, cellar]));
    const { steps } = await first.up();
    expect(steps.every((step) => step.startsWith("create cellar"))).toBe(true);
    expect(await ping(port)).toBe("pong");
    expect((await docker.getContainer(names[0]!).inspect()).Id).toBe(id);
    await expectDeclaredToRun(first, { docker });
  });

  it("removing a host deletes its container and volume and keeps the other's", async () => {
    const id = (await docker.getContainer(names[0]!).inspect()).Id;
    await first.configure(config([attic]));
    const { steps } = await first.up();
    expect(steps.every((step) => step.startsWith("delete cellar"))).toBe(true);
    await expect(docker.getContainer(names[1]!).inspect()).rejects.toThrow(/no such container/i);
    await expect(docker.getVolume(`${names[1]}-cache`).inspect()).rejects.toThrow(
      /no such volume/i,
    );
    expect((await docker.getContainer(names[0]!).inspect()).Id).toBe(id);
    await expectDeclaredToRun(first, { docker });
  });

  it("a second stack shares the image of the first", async () => {
    const port = await freePort();
    second = await openEngineStack({ name: "second", config: config([newHost("attic", port)]) });
    await second.up();
    const images = await Promise.all(
      [names[0]!, names[2]!].map(async (name) => (await docker.getContainer(name).inspect()).Image),
    );
    expect(images[0]).toBe(images[1]);
    await expectDeclaredToRun(second, { docker });
  });

  it("destroying the first stack keeps the second running and unchanged", async () => {
    await first.destroy();
    expect(await isRunning(names[2]!)).toBe(true);
    await expectDeclaredToRun(second, { docker });
    await expect(docker.getContainer(names[0]!).inspect()).rejects.toThrow(/no such container/i);
    await expect(docker.getVolume(`${names[0]}-cache`).inspect()).rejects.toThrow(
      /no such volume/i,
    );
  });

  it("destroying the second stack removes the image", async () => {
    const reference = await imageReference(second);
    await second.destroy();
    await expect(docker.getImage(reference).inspect()).rejects.toThrow(/no such image/i);
  });
});
