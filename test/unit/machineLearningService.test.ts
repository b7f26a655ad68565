import * as pulumi from "@pulumi/pulumi";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";

import { type Inputs, missingHealthCheck } from "../../policy/checks";
import {
  DistributedImage,
  MachineLearningService,
  type MachineLearningServiceArgs,
} from "../../components";

interface Registered {
  type: string;
  name: string;
  inputs: Record<string, unknown>;
}

const registered: Registered[] = [];
const verified = '{"ok": true, "provider": "CUDAExecutionProvider", "devices": []}\n';
let stdout = verified;

beforeEach(() => {
  registered.length = 0;
  stdout = verified + verified;
});

beforeAll(async () => {
  await pulumi.runtime.setMocks({
    newResource: ({ type, name, inputs }) => {
      registered.push({ type, name, inputs: inputs as Record<string, unknown> });
      const output = name.endsWith("-push")
        ? "The push refers to …\nregistry.lan:5000/immich/rack@sha256:abc\n"
        : stdout;
      return { id: `${name}-id`, state: { ...(inputs as object), stdout: output } };
    },
    call: () => ({}),
  });
});

const rack: MachineLearningServiceArgs = {
  image: "registry.lan:5000/immich/rack@sha256:abc",
  immichVersion: "v2.7.5",
  accelerator: "cuda",
  serviceName: "immich-ml-rack",
  cacheVolume: "immich-ml-rack-cache",
  environment: { workers: 1 },
};

function settled<T>(output: pulumi.Output<T>): Promise<T> {
  return new Promise((resolve) => output.apply(resolve));
}

async function create(args: Partial<MachineLearningServiceArgs> = {}) {
  const component = new MachineLearningService("rack", { ...rack, ...args });
  expect(await settled(component.service.id)).toBe("rack-id");
  expect(component.network === undefined).toBe("networkId" in args);
  const outputs = await settled(
    pulumi.output({
      url: component.url,
      serviceName: component.serviceName,
      executionProvider: component.executionProvider,
    }),
  );
  const inputsOf = (type: string) => registered.find((one) => one.type === type)?.inputs;
  return {
    outputs,
    service: inputsOf("docker:index/service:Service") as {
      taskSpec: Record<string, unknown> & { containerSpec: Record<string, unknown> };
      [key: string]: unknown;
    },
    network: inputsOf("docker:index/network:Network"),
    check: inputsOf("command:local:Command") as {
      environment: Record<string, string>;
      triggers: unknown[];
    },
  };
}

describe("MachineLearningService", () => {
  it("registers a service that never has fewer healthy tasks and rolls back by itself, field by field", async () => {
    const { service } = await create({
      replicas: 3,
      nodeLabels: { zone: "attic", gpu: "maxwell" },
      genericResources: { "NVIDIA-GPU": 1 },
      limits: { memory: 4096, cpus: 1.5 },
      reservations: { memory: 2048 },
      labels: { "org.immich-ml.stack": "dev" },
    });
    expect(service).toEqual({
      name: "immich-ml-rack",
      labels: [{ label: "org.immich-ml.stack", value: "dev" }],
      mode: { replicated: { replicas: 3 } },
      taskSpec: {
        containerSpec: {
          image: "registry.lan:5000/immich/rack@sha256:abc",
          env: { MACHINE_LEARNING_WORKERS: "1" },
          labels: [{ label: "org.immich-ml.stack", value: "dev" }],
          mounts: [{ type: "volume", source: "immich-ml-rack-cache", target: "/cache" }],
          capDrops: ["ALL"],
          healthcheck: {
            tests: ["CMD", "python3", "-c", expect.stringContaining("libcuda") as string, "50"],
            interval: "10s",
            timeout: "20s",
            retries: 3,
            startPeriod: "2m",
          },
          stopGracePeriod: "30s",
        },
        networksAdvanceds: [{ id: "rack-network-id", aliases: ["immich-machine-learning"] }],
        placement: {
          constraints: ["node.labels.gpu==maxwell", "node.labels.zone==attic"],
          maxReplicas: 0,
        },
        resources: {
          limits: { memoryBytes: 4096 * 1024 * 1024, nanoCpus: 1.5e9 },
          reservation: {
            memoryBytes: 2048 * 1024 * 1024,
            nanoCpus: 0,
            genericResources: { discreteResourcesSpecs: ["NVIDIA-GPU=1"] },
          },
        },
        restartPolicy: { condition: "any", delay: "5s", maxAttempts: 0, window: "0s" },
        logDriver: { name: "json-file", options: { "max-size": "10m", "max-file": "3" } },
      },
      updateConfig: {
        parallelism: 1,
        order: "start-first",
        failureAction: "rollback",
        monitor: "10s",
      },
      rollbackConfig: {
        parallelism: 1,
        order: "start-first",
        failureAction: "pause",
        monitor: "5s",
      },
      endpointSpec: { mode: "vip" },
    });
  });

  it("makes a network that Immich's server can join, unless one is given", async () => {
    expect((await create()).network).toEqual({
      name: "immich-ml-rack",
      driver: "overlay",
      attachable: true,
      labels: [],
    });
    registered.length = 0;
    const { network, service } = await create({ networkId: "abc", networkAlias: "ml" });
    expect(network).toBeUndefined();
    expect(service.taskSpec["networksAdvanceds"]).toEqual([{ id: "abc", aliases: ["ml"] }]);
  });

  it("declares every absent limit as 0, so that removing one is a change", async () => {
    const { service } = await create();
    expect(service.taskSpec["resources"]).toEqual({
      limits: { memoryBytes: 0, nanoCpus: 0 },
      reservation: { memoryBytes: 0, nanoCpus: 0 },
    });
  });

  it.each([
    ["no", "none"],
    ["on-failure", "on-failure"],
    ["always", "any"],
  ] as const)("replaces a task that ended as restart: %s says", async (restart, condition) => {
    const { service } = await create({ restart });
    expect(service.taskSpec["restartPolicy"]).toMatchObject({ condition });
  });

  it("lifts each hardening by its name, and keeps /tmp in memory under a read-only root", async () => {
    const { service } = await create({
      hardening: { dropCapabilities: false, readOnlyRoot: true, limitLog: false },
    });
    expect(service.taskSpec.containerSpec).not.toHaveProperty("capDrops");
    expect(service.taskSpec).not.toHaveProperty("logDriver");
    expect(service.taskSpec.containerSpec).toMatchObject({
      readOnly: true,
      mounts: [{ target: "/cache" }, { type: "tmpfs", target: "/tmp" }],
    });
  });

  it("checks the tasks again when anything declared changes, and only then", async () => {
    const triggersOf = async (args: Partial<MachineLearningServiceArgs>) => {
      registered.length = 0;
      return (await create(args)).check.triggers;
    };
    const first = await triggersOf({});
    expect(await triggersOf({})).toEqual(first);
    expect(await triggersOf({ replicas: 3 })).not.toEqual(first);
    expect(await triggersOf({ environment: { workers: 2 } })).not.toEqual(first);
    expect(await triggersOf({ healthTimeout: 20 })).toEqual(first);
  });

  it("waits for the roll-out even where the check is off", async () => {
    stdout = "";
    const { check, outputs } = await create({ check: "off", dockerHost: "ssh://me@manager" });
    expect(check.environment).toMatchObject({
      IMMICH_ML_MODE: "off",
      IMMICH_ML_SERVICE: "immich-ml-rack",
      IMMICH_ML_ADDRESS: "http://immich-machine-learning:3003",
      DOCKER_HOST: "ssh://me@manager",
    });
    expect(outputs.executionProvider).toBeUndefined();
  });

  it("names the provider that computed in every task, and none when they differ", async () => {
    expect((await create()).outputs).toEqual({
      url: "http://immich-machine-learning:3003",
      serviceName: "immich-ml-rack",
      executionProvider: "CUDAExecutionProvider",
    });
    stdout = verified + '{"ok": false, "error": "fell back", "details": [], "hint": null}\n';
    expect((await create()).outputs.executionProvider).toBeUndefined();
  });

  it("refuses what no service can be given, all at once", () => {
    expect(
      () =>
        new MachineLearningService("rack", {
          ...rack,
          accelerator: "openvino",
          publishedPort: 3003,
          endpointMode: "dnsrr",
          environment: { workers: "many" },
        }),
    ).toThrow(
      /^rack:environment\.workers: .*\nrack:accelerator: "openvino": needs .*\/dev\/dri.*\nrack:endpointMode: "dnsrr": must be vip/,
    );
  });
});

describe("DistributedImage", () => {
  const distribute = async (args: object = {}) => {
    const component = new DistributedImage("rack-distributed", {
      image: "sha256:0123456789abcdef0123",
      repository: "registry.lan:5000/immich/rack",
      ...args,
    });
    return settled(component.reference);
  };

  it("returns the digest of the registry, and pushes under a tag that follows the image", async () => {
    expect(await distribute()).toBe("registry.lan:5000/immich/rack@sha256:abc");
    expect(registered.find(({ name }) => name === "rack-distributed-push")!.inputs).toMatchObject({
      environment: {
        IMAGE: "sha256:0123456789abcdef0123",
        REPOSITORY: "registry.lan:5000/immich/rack",
        TAG: "0123456789ab",
      },
      triggers: ["sha256:0123456789abcdef0123", "registry.lan:5000/immich/rack"],
    });
    expect(registered.map(({ type }) => type)).not.toContain("docker:index/service:Service");
  });

  it("runs a registry on a manager, its port open on every node, where one is asked for", async () => {
    const ownRegistry = {
      name: "immich-ml-rack-registry",
      port: 5000,
      image: "registry@sha256:def",
      labels: { "org.example.shelf": "3" },
    };
    await distribute({ repository: "127.0.0.1:5000/immich-ml-rack", ownRegistry });
    const { inputs } = registered.find(({ type }) => type === "docker:index/service:Service")!;
    expect(missingHealthCheck("docker:index/service:Service", inputs as Inputs)).toEqual([]);
    expect(inputs).toEqual({
      name: "immich-ml-rack-registry",
      labels: [{ label: "org.example.shelf", value: "3" }],
      taskSpec: {
        containerSpec: {
          image: "registry@sha256:def",
          mounts: [
            { type: "volume", source: "immich-ml-rack-registry", target: "/var/lib/registry" },
          ],
          healthcheck: {
            tests: ["CMD-SHELL", expect.stringContaining("http://127.0.0.1:5000/v2/")],
            interval: "10s",
            timeout: "10s",
            startPeriod: "30s",
            retries: 3,
          },
          stopGracePeriod: "10s",
        },
        resources: { limits: { memoryBytes: 536_870_912, nanoCpus: 0 } },
        placement: { constraints: ["node.role==manager"], maxReplicas: 0 },
        restartPolicy: { condition: "any", delay: "5s", maxAttempts: 0, window: "0s" },
      },
      endpointSpec: {
        mode: "vip",
        ports: [{ targetPort: 5000, publishedPort: 5000, publishMode: "ingress" }],
      },
    });
  });
});
