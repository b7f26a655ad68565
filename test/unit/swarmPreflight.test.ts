import { describe, expect, it } from "vitest";

import { preflight } from "../../preflight";
import type { Run } from "../../util/run";
import {
  type NetworkInfo,
  parseDockerInfo,
  parseNodes,
  type ServiceInfo,
} from "../../util/dockerAnswers";
import { checkSwarm } from "../../preflight/swarmChecks";
import type { HostSettings, Settings } from "../../config/load";

/** `docker info --format '{{json .}}'` of a manager, a worker and an engine in no swarm, shortened. */
const info = (swarm: object, more: object = {}) => ({
  ServerVersion: "27.5.1",
  Architecture: "x86_64",
  Runtimes: { nvidia: {}, runc: {} },
  DefaultRuntime: "nvidia",
  DockerRootDir: "/var/lib/docker",
  OperatingSystem: "Debian GNU/Linux 12 (bookworm)",
  Swarm: swarm,
  ...more,
});
const manager = info({ LocalNodeState: "active", ControlAvailable: true });
const worker = info({ LocalNodeState: "active", ControlAvailable: false });
const alone = info({ LocalNodeState: "inactive", ControlAvailable: false });

/** As `docker node inspect` answers, shortened. */
const node = (
  Hostname: string,
  more: { labels?: object; resources?: object[]; availability?: string; role?: string } = {},
) => ({
  Spec: {
    Role: more.role ?? "worker",
    Availability: more.availability ?? "active",
    Labels: more.labels ?? {},
  },
  Status: { State: "ready" },
  Description: {
    Hostname,
    Resources: { NanoCPUs: 2e9, GenericResources: more.resources },
  },
});
const discrete = (Kind: string, Value: number) => ({ DiscreteResourceSpec: { Kind, Value } });
const named = (Kind: string, Value: string) => ({ NamedResourceSpec: { Kind, Value } });

const swarm = {
  replicas: 2,
  nodeLabels: {},
  genericResources: {},
  reservations: {},
  updateOrder: "start-first",
  endpointMode: "vip",
  registry: undefined,
  ownRegistry: undefined,
} as const;
const rack = {
  name: "rack",
  dockerHost: "ssh://me@manager",
  accelerator: "cpu",
  containerName: "immich-ml-rack",
  network: undefined,
  cache: { kind: "volume", name: "models", keep: true },
  image: { kind: "given", reference: "x" },
  limits: {},
} as unknown as HostSettings;

function diagnostics(
  more: object,
  nodes: object[],
  found: { readonly network?: NetworkInfo; readonly service?: ServiceInfo } = {},
  engine: object = manager,
  host: Partial<HostSettings> = {},
): string[] {
  return checkSwarm(
    { ...rack, ...host, swarm: { ...swarm, ...more } },
    parseDockerInfo(JSON.stringify(engine))!,
    {
      nodes: { ok: true, value: parseNodes(JSON.stringify(nodes))! },
      network: host.network === undefined ? undefined : { ok: true, value: found.network },
      service: { ok: true, value: found.service },
    },
    { project: "immich-ml", stack: "dev" },
  ).map(({ severity, message }) => `${severity}: ${message}`);
}

const gpu = { genericResources: { "NVIDIA-GPU": 1 } };
const twoCards = { resources: [named("NVIDIA-GPU", "GPU-1"), named("NVIDIA-GPU", "GPU-2")] };
const ours = { "org.immich-ml.project": "immich-ml", "org.immich-ml.stack": "dev" };

describe("checkSwarm", () => {
  it.each([
    ["one node and nothing asked for", {}, [node("one")], {}],
    [
      "a label that one of two nodes has",
      { nodeLabels: { gpu: "yes" } },
      [node("one"), node("two", { labels: { gpu: "yes" } })],
      {},
    ],
    [
      "cards for each task and one more during updates",
      { ...gpu, replicas: 1 },
      [node("one", twoCards)],
      {},
    ],
    [
      "a card for each task, and updates that stop the old task first",
      { ...gpu, updateOrder: "stop-first" },
      [node("one", twoCards)],
      {},
    ],
    [
      "cards counted on several nodes",
      { ...gpu, replicas: 3 },
      [node("one", twoCards), node("two", { resources: [discrete("NVIDIA-GPU", 2)] })],
      {},
    ],
    ["our own service from before", {}, [node("one")], { service: { labels: ours, aliases: [] } }],
  ])("finds nothing wrong with %s", (_title, more, nodes, found) => {
    expect(diagnostics(more, nodes, found)).toEqual([]);
  });

  it.each([
    [
      "an engine in no swarm",
      {},
      [],
      {},
      alone,
      /is not part of a swarm: start one \(docker swarm init\)/,
    ],
    ["a worker", {}, [], {}, worker, /is a worker of its swarm.*set dockerHost to one/],
    [
      "a label no node has",
      { nodeLabels: { gpu: "maxwell" } },
      [node("one"), node("two", { labels: { zone: "attic" } })],
      {},
      manager,
      /no node has the labels gpu=maxwell .*one \(no labels\); two \(zone=attic\).*docker node update --label-add gpu=maxwell one/,
    ],
    [
      "labels that no node has together",
      { nodeLabels: { gpu: "yes", zone: "attic" } },
      [node("one", { labels: { gpu: "yes" } }), node("two", { labels: { zone: "attic" } })],
      {},
      manager,
      /no node has the labels gpu=yes, zone=attic/,
    ],
    [
      "nodes that are drained",
      {},
      [node("one", { availability: "drain" })],
      {},
      manager,
      /none of the nodes one takes tasks now.*docker node update --availability active one/,
    ],
    [
      "a resource nobody offers",
      gpu,
      [node("one")],
      {},
      manager,
      /2 tasks with 1 NVIDIA-GPU each find room for 0 \(nodes offer: one 0\): offer it \(node-generic-resources/,
    ],
    [
      "fewer cards than tasks",
      { ...gpu, replicas: 3 },
      [node("one", twoCards)],
      {},
      manager,
      /find room for 2 .*set swarm.replicas: 2/,
    ],
    [
      "cards on a node without the label",
      { ...gpu, nodeLabels: { gpu: "yes" } },
      [node("one", twoCards), node("two", { labels: { gpu: "yes" } })],
      {},
      manager,
      /find room for 0 \(nodes offer: two 0\)/,
    ],
    [
      "no card left over for an update",
      gpu,
      [node("one", twoCards)],
      {},
      manager,
      /set swarm.updateOrder: stop-first, or swarm.replicas: 1/,
    ],
    [
      "a service that is not ours",
      {},
      [node("one")],
      { service: { labels: {}, aliases: [] } },
      manager,
      /service name immich-ml-rack is taken by a service that is not ours/,
    ],
    [
      "another stack's service",
      {},
      [node("one")],
      { service: { labels: { ...ours, "org.immich-ml.stack": "test" }, aliases: [] } },
      manager,
      /taken by a service of stack immich-ml\/test/,
    ],
    [
      "an own registry that only its node reaches",
      { endpointMode: "dnsrr", ownRegistry: { port: 5000, image: "x" } },
      [node("one"), node("two")],
      {},
      manager,
      /reached on its own node only, but the swarm has 2: set swarm.registry/,
    ],
  ] as const)("finds %s and says what to do", (_title, more, nodes, found, engine, message) => {
    const reported = diagnostics(more, [...nodes], found, engine);
    expect(reported).toHaveLength(1);
    expect(reported[0]).toMatch(message);
    expect(reported[0]).toMatch(/^error: /);
  });

  it.each([
    [
      "none",
      undefined,
      /^error: the network immich does not exist in the swarm: create it \(docker network create --driver overlay --attachable immich\)/,
    ],
    [
      "a bridge",
      { driver: "bridge", attachable: false, labels: {} },
      /^error: the network immich is a bridge network/,
    ],
    [
      "one that containers cannot join",
      { driver: "overlay", attachable: false, labels: {} },
      /^warning: the network immich is not attachable/,
    ],
  ])(
    "tells %s from an overlay network that Immich's server can join",
    (_title, network, message) => {
      const host = { network: "immich" };
      expect(diagnostics({}, [node("one")], network ? { network } : {}, manager, host)).toEqual([
        expect.stringMatching(message),
      ]);
      const good = { network: { driver: "overlay", attachable: true, labels: {} } };
      expect(diagnostics({}, [node("one")], good, manager, host)).toEqual([]);
    },
  );

  it("wants NVIDIA's runtime as the standard one, and cannot know that of other nodes", () => {
    const host = { accelerator: "cuda" } as const;
    const runc = { ...manager, DefaultRuntime: "runc" };
    expect(diagnostics({}, [node("one")], {}, runc, host)).toEqual([
      expect.stringMatching(/^error: .*nvidia-ctk runtime configure/),
    ]);
    expect(diagnostics({}, [node("one"), node("two")], {}, runc, host)).toEqual([
      expect.stringMatching(/^warning: .*only on nodes where it is nvidia/),
    ]);
    expect(diagnostics({}, [node("one")], {}, manager, host)).toEqual([]);
  });

  it("warns that its own registry is empty when it moves to another manager", () => {
    const nodes = [node("one", { role: "manager" }), node("two", { role: "manager" })];
    const own = { ownRegistry: { port: 5000, image: "x" } };
    expect(diagnostics(own, nodes)).toEqual([expect.stringMatching(/^warning: .*\(one, two\)/)]);
  });
});

describe("the preflight of a swarm", () => {
  it("asks the manager by docker's own commands and refuses with everything that is missing", async () => {
    const asked: string[] = [];
    const answers: Record<string, string> = {
      info: JSON.stringify(manager),
      "node ls": "abc\n",
      "node inspect": JSON.stringify([node("one")]),
      "network inspect": JSON.stringify([{ Driver: "bridge", Attachable: false }]),
    };
    const runner: Run = (program, parameters) => {
      const command = parameters.slice(0, parameters[0] === "info" ? 1 : 2).join(" ");
      asked.push(`${program} ${command}`);
      const stdout = answers[command];
      return Promise.resolve({
        code: stdout === undefined ? 1 : 0,
        stdout: stdout ?? "[]",
        stderr: stdout === undefined ? `Error: no such service: ${parameters.at(-1)}` : "",
      });
    };
    const host = { ...rack, network: "immich", swarm: { ...swarm, nodeLabels: { gpu: "yes" } } };
    const settings = { preflight: "enforce", hosts: [host], project: "immich-ml", stack: "dev" };
    await expect(preflight(settings as unknown as Settings, runner)).rejects.toThrow(
      /rack: no node has the labels gpu=yes[^]*rack: the network immich is a bridge network/,
    );
    expect(asked.filter((question) => question.startsWith("docker ")).sort()).toEqual(
      ["info", "network inspect", "node inspect", "node ls", "service inspect"].map(
        (command) => `docker ${command}`,
      ),
    );
  });
});
