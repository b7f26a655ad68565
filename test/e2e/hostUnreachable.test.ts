import type Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { freePort } from "../../demo/postgres";
import { fakes, startedDocker, testName } from "../support/docker";
import { missingEngine, openEngineStack, type EngineStack } from "../support/engineStack";
import { type SshServer, startSshServer } from "../support/sshServer";

/** Two hosts, one of them switched off. Each step follows on the last. */
describe.skipIf(missingEngine)("a host that is unreachable", () => {
  let docker: Docker;
  let cellarServer: SshServer;
  const path = process.env["PATH"];
  let stack: EngineStack;
  let attic: ReturnType<typeof newHost>;
  let cellar: ReturnType<typeof newHost>;
  let config: (...hosts: object[]) => Record<string, unknown>;

  const newHost = (name: string, port: number, dockerHost?: string) => ({
    name,
    ...(dockerHost && { dockerHost }),
    accelerator: "cpu",
    imageVariant: "kepler-maxwell",
    containerName: testName(name),
    cacheVolume: testName(`${name}-cache`),
    keepCache: false,
    publish: { address: "127.0.0.1", port },
  });
  const withTtl = (host: object, modelTtl: number) => ({ ...host, environment: { modelTtl } });
  const inspect = (name: string) => docker.getContainer(name).inspect();

  beforeAll(async () => {
    docker = await startedDocker();
    const images = await fakes();
    cellarServer = await startSshServer({ dockerHost: "unix:///var/run/docker.sock" });
    process.env["PATH"] = cellarServer.path;
    attic = newHost("attic", await freePort());
    cellar = newHost("cellar", await freePort(), cellarServer.endpoint);
    config = (...hosts) => ({
      immich: { version: "v2.7.5" },
      build: { pythonImage: images.python310, immichImage: images.immichMachineLearning },
      hosts,
    });
    stack = await openEngineStack({ name: "off", config: config(attic, cellar) });
    await stack.up();
    await cellarServer.switchOff();
  });

  afterAll(async () => {
    await stack?.dispose();
    await cellarServer?.stop();
    process.env["PATH"] = path;
  });

  it("is named, and the preview is empty when nothing changed", async () => {
    const { steps, text } = await stack.preview();
    expect(text).toMatch(/warning: cellar: Docker at ssh:.* does not answer/);
    expect(steps).toEqual([]);
  });

  it("stays as it is while another host is changed, even when its settings changed", async () => {
    const before = await inspect(cellar.containerName);
    await stack.configure(config(withTtl(attic, 10), withTtl(cellar, 10)));
    const { steps, outputs } = await stack.up();
    expect(steps.length).toBeGreaterThan(0);
    expect(steps.filter((step) => !step.includes("attic"))).toEqual([]);
    expect((await inspect(attic.containerName)).Config.Env).toContain(
      "MACHINE_LEARNING_MODEL_TTL=10",
    );
    expect((await inspect(cellar.containerName)).Id).toBe(before.Id);
    const hosts = outputs["machineLearning"]!.value as { host: string; containerId: string }[];
    expect(hosts.map(({ host }) => host)).toEqual(["attic", "cellar"]);
    expect(hosts[1]!.containerId).toBe(before.Id);
  });

  it("does not downgrade an error of another host", async () => {
    await stack.configure(config({ ...attic, network: "nowhere" }, cellar));
    await expect(stack.preview()).rejects.toThrow(/nothing was changed[^]*attic:[^]*cellar:/);
  });

  it("is updated by the first up after it answers again", async () => {
    await stack.configure(config(withTtl(attic, 10), withTtl(cellar, 10)));
    await cellarServer.switchOn();
    const { steps } = await stack.up();
    expect(steps.filter((step) => !step.includes("cellar"))).toEqual([]);
    expect((await inspect(cellar.containerName)).Config.Env).toContain(
      "MACHINE_LEARNING_MODEL_TTL=10",
    );
    expect((await stack.preview({ refresh: true })).steps).toEqual([]);
  });
});
