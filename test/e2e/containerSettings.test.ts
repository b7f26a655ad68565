import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import type Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { createImmichDatabase } from "../../demo/immichDatabase";
import { type PostgresServer } from "../../demo/postgres";
import { startedDocker, testName, untilHealthy } from "../support/docker";
import { missingEngine, openEngineStack, type EngineStack } from "../support/engineStack";
import { type StackConfig, fakeStack } from "../support/fakeStack";
import { startTestPostgres } from "../support/postgres";

/** One host with what a compose file may have, from the first `up` to `destroy`. */
describe.skipIf(missingEngine)("a host with many settings of its container", () => {
  const containerName = testName("settings");
  const network = `${containerName}-second`;
  let docker: Docker;
  let postgres: PostgresServer;
  let folder: string;
  let config: StackConfig;
  let stack: EngineStack;

  const settings = () => ({
    cache: { path: path.join(folder, "cache") },
    user: "1000:1000",
    groups: [992],
    network: `${network}-first`,
    networks: [network],
    labels: { "com.example.update": "false" },
    limits: { memory: 1024, swap: 256, cpuset: "0" },
    log: { driver: "local" },
    restart: "on-failure:5",
    extraHosts: { "immich.lan": "192.0.2.5" },
    dns: ["192.0.2.53"],
    ulimits: { nofile: { soft: 2048, hard: 4096 } },
    shmSize: 96,
    healthcheck: { interval: 5, retries: 4 },
    uncheckedEnvironment: { MY_SWITCH: "on" },
    environment: { workers: 1, OMP_NUM_THREADS: 1 },
  });

  beforeAll(async () => {
    docker = await startedDocker();
    postgres = await startTestPostgres();
    folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-host-"));
    await mkdir(path.join(folder, "cache"));
    await chmod(path.join(folder, "cache"), 0o777);
    for (const name of [network, `${network}-first`]) await docker.createNetwork({ Name: name });
    const fake = await fakeStack(await createImmichDatabase(postgres), containerName, {});
    const host = { ...fake.hosts[0] };
    for (const key of ["cacheVolume", "keepCache"]) Reflect.deleteProperty(host, key);
    config = { ...fake, preset: "none", hosts: [{ ...host, ...settings() }] };
    stack = await openEngineStack({ name: "settings", config });
  });

  afterAll(async () => {
    await stack?.dispose();
    for (const name of [network, `${network}-first`]) {
      await docker
        ?.getNetwork(name)
        .remove()
        .catch(() => undefined);
    }
    await postgres?.remove();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  const container = () => docker.getContainer(containerName).inspect();

  it("refuses a folder that the server's user cannot write into, before anything changes", async () => {
    const closed = path.join(folder, "closed");
    await mkdir(closed, { mode: 0o700 });
    const [host] = config.hosts;
    await stack.configure({ ...config, hosts: [{ ...host, cache: { path: closed } }] });
    await expect(stack.preview()).rejects.toThrow(/closed \(cache\.path\) belongs to 0:0/);
    await stack.configure(config);
  });

  it("up gives the container all of them, and it computes", async () => {
    await writeFile(path.join(folder, "cache", "kept"), "a model");
    await stack.up();
    const { Config, HostConfig, NetworkSettings } = await container();
    await untilHealthy(container);
    expect(Config.User).toBe("1000:1000");
    expect(Config.Env).toEqual(expect.arrayContaining(["MY_SWITCH=on", "HOME=/tmp"]));
    expect(Config.Labels).toMatchObject({ "com.example.update": "false" });
    expect(Config.Healthcheck).toMatchObject({ Interval: 5e9, Retries: 4 });
    expect(HostConfig).toMatchObject({
      Binds: [`${path.join(folder, "cache")}:/cache:rw`],
      GroupAdd: ["992"],
      CpusetCpus: "0",
      Memory: 1024 * 1024 * 1024,
      MemorySwap: 1280 * 1024 * 1024,
      ShmSize: 96 * 1024 * 1024,
      Dns: ["192.0.2.53"],
      ExtraHosts: ["immich.lan:192.0.2.5"],
      LogConfig: { Type: "local", Config: { "max-size": "10m", "max-file": "3" } },
      RestartPolicy: { Name: "on-failure", MaximumRetryCount: 5 },
      Ulimits: [{ Name: "nofile", Soft: 2048, Hard: 4096 }],
    });
    expect(Object.keys(NetworkSettings.Networks)).toContain(network);
  });

  it("then a preview is empty, also one that reads everything back", async () => {
    expect((await stack.preview()).steps).toEqual([]);
    expect((await stack.preview({ refresh: true })).steps).toEqual([]);
  });

  it("a change of them reaches the container, and previews are empty again", async () => {
    const [host] = config.hosts;
    const changed = { shmSize: 64, labels: {}, limits: { memory: 1024 }, restart: "always" };
    await stack.configure({ ...config, hosts: [{ ...host, ...changed }] });
    await stack.up();
    const { Config, HostConfig } = await container();
    expect(HostConfig).toMatchObject({ ShmSize: 64 * 1024 * 1024, MemorySwap: 2 ** 31 });
    expect(HostConfig.RestartPolicy).toMatchObject({ Name: "always" });
    expect(Config.Labels).not.toHaveProperty("com.example.update");
    expect((await stack.preview({ refresh: true })).steps).toEqual([]);
  });

  it("destroy leaves the folder as it is", async () => {
    await stack.destroy();
    await expect(container()).rejects.toThrow(/no such container/i);
    expect(await readFile(path.join(folder, "cache", "kept"), "utf8")).toBe("a model");
    expect((await stat(path.join(folder, "cache"))).isDirectory()).toBe(true);
  });
});
