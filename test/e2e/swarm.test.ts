import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { parseCheckResults } from "../../verify/check";
import {
  missingEngine,
  type EngineStack,
  openEngineStack,
  resourcesIn,
} from "../support/engineStack";
import { type Load, startLoad } from "../support/load";
import { missingPrivateEngine } from "../support/privateEngine";
import { runningTasks, startSwarm, type Swarm } from "../support/swarm";

const execute = promisify(execFile);
const missing = missingEngine ?? missingPrivateEngine;
const service = "immich-ml-rack";
const address = "http://immich-machine-learning:3003";

/** Virtual addresses need the kernel's IP virtual server. */
const hasVirtualServer = existsSync("/proc/net/ip_vs");

/** One service on a real swarm of one node. Each step follows on the last. */
describe.skipIf(missing)("machine learning on a swarm", () => {
  let swarm: Swarm;
  let stack: EngineStack;
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-swarm-"));
    swarm = await startSwarm();
    stack = await openEngineStack({ name: "swarm", config: config() });
  });

  afterAll(async () => {
    await stack?.dispose();
    await swarm?.stop();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  /** The stack file of two tasks of the first image, with changes. */
  function config(host: object = {}, placement: object = {}, version = "v2.7.5") {
    return {
      immich: { version },
      hosts: [
        {
          name: "rack",
          placement: "swarm",
          dockerHost: swarm.engine.endpoint,
          image: swarm.images.first,
          keepCache: false,
          swarm: {
            replicas: 2,
            endpointMode: "dnsrr",
            registry: swarm.registry,
            ...placement,
          },
          ...host,
        },
      ],
    };
  }

  const docker = (...parameters: string[]) => swarm.engine.docker(...parameters);
  const tasks = () => runningTasks(swarm.engine, service);
  const spec = async () =>
    JSON.parse(
      await docker(
        "service",
        "inspect",
        "--format",
        "{{json .Spec.TaskTemplate.ContainerSpec}}",
        service,
      ),
    ) as { Image: string; Env: string[] };
  const untilTasks = async (count: number) => {
    for (let attempt = 0; attempt < 90 && (await tasks()).length !== count; attempt += 1)
      await seconds(1);
    expect(await tasks()).toHaveLength(count);
  };
  /** The check results of the last `up`, one per task. */
  const checks = async () => {
    const resources = resourcesIn(await stack.readState());
    const check = resources.find(({ urn }) => urn.endsWith("::rack-check"));
    return parseCheckResults(check!.outputs!["stdout"] as string);
  };
  const load = () =>
    startLoad(swarm.engine, { image: swarm.images.first, network: service, address });
  const expectNothingLost = (counted: Load) => {
    console.log(JSON.stringify(counted));
    expect(counted.answered).toBeGreaterThan(20);
    expect(counted.lost).toBe(0);
  };
  const expectNoDrift = async () => {
    expect((await stack.preview({ refresh: true })).steps).toEqual([]);
  };

  it("comes up with its network and its image by digest, each task checked, and a second preview is empty", async () => {
    const { steps, text, outputs } = await stack.up();
    expect(steps.filter((step) => !step.startsWith("create"))).toEqual([]);
    expect((await checks()).map(({ ok }) => ok)).toEqual([true, true]);
    expect(text).toContain(`rack: answers at ${address}`);
    expect(outputs["machineLearning"]!.value).toMatchObject([
      {
        host: "rack",
        url: address,
        serviceName: service,
        executionProvider: "CPUExecutionProvider",
        image: expect.stringMatching(
          /^127\.0\.0\.1:5000\/immich\/immich-ml-rack@sha256:[0-9a-f]{64}$/,
        ) as string,
      },
    ]);
    expect(await tasks()).toHaveLength(2);
    expect((await stack.preview()).steps).toEqual([]);
    await expectNoDrift();
  });

  it("drops a task's capabilities and limits its log", async () => {
    const [container] = (await docker("ps", "--quiet", "--filter", `name=${service}`)).split("\n");
    const host = JSON.parse(
      await docker("inspect", "--format", "{{json .HostConfig}}", container!),
    ) as { CapDrop: string[]; LogConfig: object };
    expect(host.CapDrop).toEqual(["ALL"]);
    expect(host.LogConfig).toEqual({
      Type: "json-file",
      Config: { "max-file": "3", "max-size": "10m" },
    });
  });

  it("is checked on demand, one result per task", async () => {
    const outputs = JSON.stringify(
      Object.fromEntries(
        Object.entries(await stack.outputs()).map(([key, { value }]) => [key, value as unknown]),
      ),
    );
    // A fake of the engine's command line, which would show the repository's stacks.
    await writeFile(path.join(folder, "outputs.json"), outputs);
    await writeFile(
      path.join(folder, "pulumi"),
      `#!/bin/sh\n[ "$1" = stack ] && exec cat ${folder}/outputs.json\nexit 1\n`,
    );
    await chmod(path.join(folder, "pulumi"), 0o755);
    const script = async (name: string) => {
      const { stdout } = await execute("node", ["--import", "tsx", `cli/${name}.ts`, "--json"], {
        env: { ...process.env, PATH: `${folder}:${process.env["PATH"]}` },
      });
      return JSON.parse(stdout) as unknown;
    };
    expect(await script("check")).toMatchObject([
      { host: "rack", ok: true, provider: "CPUExecutionProvider" },
      { host: "rack", ok: true, provider: "CPUExecutionProvider" },
    ]);
    expect(await script("status")).toMatchObject({
      hosts: [
        { host: "rack.1", health: "healthy", restarts: 0 },
        { host: "rack.2", health: "healthy", restarts: 0 },
      ],
    });
  });

  it("scales up and down again, and the remaining tasks keep running where the provider keeps the order of the variables", async () => {
    const before = await tasks();
    const order = async () => (await spec()).Env.join();
    const first = await order();
    await stack.configure(config({}, { replicas: 3 }));
    const { steps } = await stack.up();
    expect(steps).toContain("update rack");
    expect(steps.filter((step) => !/ rack(-check)?$/.test(step))).toEqual([]);
    expect(await checks()).toHaveLength(3);
    const more = await tasks();
    const second = await order();
    // The provider takes the variables from a Go map. In another order they are another task to the swarm.
    if (second === first) expect(more).toEqual(expect.arrayContaining(before));
    expect(more).toHaveLength(3);
    await stack.configure(config());
    await stack.up();
    // The one that is left over stops when `up` is over.
    await untilTasks(2);
    const fewer = await tasks();
    if ((await order()) === second) expect(more).toEqual(expect.arrayContaining(fewer));
    await expectNoDrift();
  });

  it("rolls out another environment under load without losing a request", async () => {
    const before = await tasks();
    const requests = await load();
    await stack.configure(config({ environment: { modelTtl: 20 } }));
    await stack.up();
    expectNothingLost(await requests.stop());
    expect((await spec()).Env).toContain("MACHINE_LEARNING_MODEL_TTL=20");
    expect((await tasks()).filter((task) => before.includes(task))).toEqual([]);
    await expectNoDrift();
  });

  it("rolls back an update whose task exits, names the reason, and answers throughout", async () => {
    const broken = { PYTHONHASHSEED: "none" };
    const before = await tasks();
    const requests = await load();
    await stack.configure(config({ environment: { modelTtl: 20 }, uncheckedEnvironment: broken }));
    const error = await stack.up().then(
      () => "up did not fail",
      (reason: Error) => reason.message,
    );
    expect(error).toContain("rack: the rollout failed and was rolled back");
    expect(error).toContain("PYTHONHASHSEED must be");
    expect(error).toContain("task: non-zero exit (1)");
    expectNothingLost(await requests.stop());
    expect(await tasks()).toEqual(before);

    await stack.configure(config({ environment: { modelTtl: 20 } }));
    await stack.up();
    expect(await tasks()).toEqual(before);
    await expectNoDrift();
  });

  it("loses no request when a task is killed under load", async () => {
    const requests = await load();
    await seconds(4);
    const [victim] = (await docker("ps", "--quiet", "--filter", `name=${service}`)).split("\n");
    await docker("kill", victim!);
    // The swarm needs some time to notice.
    await seconds(3);
    await untilTasks(2);
    expectNothingLost(await requests.stop());
    await expectNoDrift();
  });

  it("follows Immich to another version under load without losing a request", async () => {
    const { Image: before } = await spec();
    const requests = await load();
    await stack.configure(
      config({ image: swarm.images.second, environment: { modelTtl: 20 } }, {}, "v3.1.0"),
    );
    await stack.up();
    expectNothingLost(await requests.stop());
    const { Image: after } = await spec();
    expect(after).not.toBe(before);
    await expectNoDrift();
  });

  it("repairs a service that was scaled by hand", async () => {
    await docker("service", "scale", "--detach", `${service}=1`);
    expect((await stack.preview({ refresh: true })).differences["rack"]).toEqual([
      "mode.replicated.replicas",
    ]);
    await stack.up({ refresh: true });
    await untilTasks(2);
    await expectNoDrift();
  });

  it("starts a registry where none is given", async () => {
    const registry = { port: 5001, image: swarm.images.registry };
    await stack.configure(config({}, { replicas: 1, registry }));
    await stack.up();
    expect((await spec()).Image).toMatch(/^127\.0\.0\.1:5001\/immich-ml-rack@sha256:/);
    await expectNoDrift();
  });

  it("fault: the state is lost; the next up makes service, network and registry again", async () => {
    await stack.loseState();
    const { text } = await stack.up();
    for (const left of [
      `service ${service}`,
      `service ${service}-registry`,
      `network ${service}`,
    ]) {
      expect(text).toContain(
        `rack: the ${left}: created by this stack, but missing from its state`,
      );
    }
    expect((await checks()).map(({ ok }) => ok)).toEqual([true]);
    await expectNoDrift();
  });

  it("reports a virtual address that does not answer", async () => {
    await stack.configure(config({}, { replicas: 1, endpointMode: "vip" }));
    if (hasVirtualServer) {
      await stack.up();
      await expectNoDrift();
    } else {
      console.log("SKIPPED: this kernel has no IP virtual server, which virtual addresses need");
      await expect(stack.up()).rejects.toThrow(
        /does not answer at[^]*set swarm.endpointMode: dnsrr/,
      );
    }
    const virtualAddresses = await docker(
      "service",
      "inspect",
      "--format",
      "{{len .Endpoint.VirtualIPs}}",
      service,
    );
    expect(virtualAddresses).toBe("1");
  });

  it("leaves no service, container, network, volume or image when it is destroyed", async () => {
    await stack.destroy();
    const registry = await docker("ps", "--quiet", "--filter", `ancestor=${swarm.images.registry}`);
    expect(await docker("service", "ls", "--quiet")).toBe("");
    expect(await docker("ps", "--all", "--quiet")).toBe(registry);
    expect(await docker("network", "ls", "--quiet", "--filter", "name=immich-ml")).toBe("");
    expect(await docker("volume", "ls", "--quiet", "--filter", "name=immich-ml")).toBe("");
    expect(await docker("image", "ls", "--quiet", "--filter", "reference=127.0.0.1:*/*")).toBe("");
  });
});

const seconds = (count: number) => new Promise((resolve) => setTimeout(resolve, count * 1000));
