import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { missingEngine, type EngineStack, openEngineStack } from "../support/engineStack";
import { startLoad } from "../support/load";
import {
  missingPrivateEngine,
  type PrivateEngine,
  startPrivateEngine,
} from "../support/privateEngine";
import { runningTasks, startSwarm, type Swarm, swarmDaemon } from "../support/swarm";

const execute = promisify(execFile);
const missing = missingEngine ?? missingPrivateEngine;
const service = "immich-ml-rack";

/** Two engines in separate networks with a cable between them. Each step follows on the last. */
describe.skipIf(missing)("machine learning on a swarm of two nodes", () => {
  let swarm: Swarm;
  let other: PrivateEngine;
  let stack: EngineStack;

  beforeAll(async () => {
    other = await startPrivateEngine({ daemon: swarmDaemon });
    swarm = await startSwarm(async (engine) => {
      await cable(engine, other);
      return "10.77.0.1";
    });
    const token = await swarm.engine.docker("swarm", "join-token", "--quiet", "worker");
    await other.docker(
      "swarm",
      "join",
      "--advertise-addr",
      "10.77.0.2",
      "--token",
      token,
      "10.77.0.1:2377",
    );
    stack = await openEngineStack({ name: "swarm-nodes", config: config() });
  });

  afterAll(async () => {
    await stack?.dispose();
    await other?.stop();
    await swarm?.stop();
  });

  const config = (placement: object = {}) => ({
    immich: { version: "v2.7.5" },
    hosts: [
      {
        name: "rack",
        placement: "swarm",
        dockerHost: swarm.engine.endpoint,
        image: swarm.images.first,
        keepCache: false,
        swarm: { replicas: 2, endpointMode: "dnsrr", registry: swarm.registry, ...placement },
      },
    ],
  });
  const tasksOn = async (engine: PrivateEngine) =>
    (await engine.docker("ps", "--quiet", "--filter", `name=${service}`))
      .split("\n")
      .filter(Boolean);

  it("runs a task on each node, pulled by digest; names the remote one as not checked", async () => {
    const { text } = await stack.up();
    expect(await tasksOn(swarm.engine)).toHaveLength(1);
    expect(await tasksOn(other)).toHaveLength(1);
    expect(text).toContain("not verified: the tasks on");
    expect((await stack.preview({ refresh: true })).steps).toEqual([]);
  });

  it("keeps answering while the remote task is killed", async () => {
    const load = await startLoad(swarm.engine, {
      image: swarm.images.first,
      network: service,
      address: "http://immich-machine-learning:3003",
    });
    const [remote] = await tasksOn(other);
    await other.docker("kill", remote!);
    await new Promise((resolve) => setTimeout(resolve, 25_000));
    const counted = await load.stop();
    console.log(JSON.stringify(counted));
    expect(counted.lost).toBe(0);
    expect(counted.answered).toBeGreaterThan(20);
    expect(await runningTasks(swarm.engine, service)).toHaveLength(2);
  });

  it("refuses a label that no node has, before anything is changed", async () => {
    await stack.configure(config({ nodeLabels: { gpu: "maxwell" } }));
    await expect(stack.preview()).rejects.toThrow(/no node has the labels gpu=maxwell/);
  });
});

/** Joins the networks of two engines by a pair of virtual devices. */
async function cable(one: PrivateEngine, two: PrivateEngine): Promise<void> {
  const ends = [
    { engine: one, device: "cable-one", address: "10.77.0.1/24" },
    { engine: two, device: "cable-two", address: "10.77.0.2/24" },
  ];
  await execute("ip", [
    ...["link", "add", "cable-one", "netns", String(one.process), "type", "veth"],
    ...["peer", "name", "cable-two", "netns", String(two.process)],
  ]);
  for (const { engine, device, address } of ends) {
    await engine.inside(`ip address add ${address} dev ${device} && ip link set ${device} up`);
  }
}
