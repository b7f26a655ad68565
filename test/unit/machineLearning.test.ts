import { readFileSync } from "node:fs";
import { join } from "node:path";

import * as pulumi from "@pulumi/pulumi";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";

import type { MachineLearningArgs } from "../../components/machineLearning";
import { MachineLearning } from "../../components/machineLearning";
import { gracefulCommand } from "../../components/server";
import { swapScript } from "../../verify/check";

interface Registered {
  type: string;
  name: string;
  inputs: Record<string, unknown>;
}

const registered: Registered[] = [];
const secretSignature = "4dabf18193072939515e22adb298388d";

/** A value as the engine receives it, with secrets marked. */
function readable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(readable);
  if (typeof value !== "object" || value === null) return value;
  const object = value as Record<string, unknown>;
  if (secretSignature in object) return { secret: readable(object["value"]) };
  return Object.fromEntries(Object.entries(object).map(([key, item]) => [key, readable(item)]));
}

beforeEach(() => {
  registered.length = 0;
});

beforeAll(async () => {
  await pulumi.runtime.setMocks({
    newResource: ({ type, name, inputs }) => {
      registered.push({ type, name, inputs: readable(inputs) as Record<string, unknown> });
      const stdout =
        type === "command:local:Command"
          ? 'noise\n{"ok": true, "provider": "CUDAExecutionProvider", "devices": []}\n'
          : undefined;
      return { id: `${name}-id`, state: { ...(inputs as object), stdout } };
    },
    call: () => ({}),
  });
});

/** The machine of a GTX 750 Ti, as the dev stack describes it. */
const attic: MachineLearningArgs = {
  image: "sha256:abc",
  immichVersion: "v2.7.5",
  accelerator: "cuda",
  containerName: "immich_machine_learning",
  cacheVolume: "model-cache",
  network: "immich_default",
  environment: {
    workers: 1,
    maxJobsPerWorker: 1,
    modelTtl: 10,
    annFp16Turbo: false,
    device: "cuda",
  },
};

async function create(args: Partial<MachineLearningArgs> = {}, base = attic) {
  const service = new MachineLearning("attic", { ...base, ...args });
  const outputs = await settled(
    pulumi.output({
      url: service.url,
      containerId: service.containerId,
      executionProvider: service.executionProvider,
      check: service.check,
    }),
  );
  const container = registered.find(({ type }) => type === "docker:index/container:Container")!;
  const named = (name: string) => registered.find((resource) => resource.name === name);
  return { outputs, container, check: named("attic-check") };
}

function settled<T>(output: pulumi.Output<T>): Promise<T> {
  return new Promise((resolve) => output.apply(resolve));
}

const gpuHealthcheck = readFileSync(
  join(__dirname, "..", "..", "verify", "gpuHealthcheck.py"),
  "utf8",
);

describe("MachineLearning", () => {
  it("registers the seed's compose service field by field, hardened", async () => {
    const { container } = await create();
    expect(container).toEqual({
      type: "docker:index/container:Container",
      name: "attic",
      inputs: {
        start: false,
        mustRun: false,
        image: "sha256:abc",
        envs: [
          "DEVICE=cuda",
          "MACHINE_LEARNING_ANN_FP16_TURBO=false",
          "MACHINE_LEARNING_MAX_JOBS_PER_WORKER=1",
          "MACHINE_LEARNING_MODEL_TTL=10",
          "MACHINE_LEARNING_WORKERS=1",
        ],
        volumes: [{ containerPath: "/cache", volumeName: "model-cache" }],
        deviceRequests: [{ driver: "nvidia", count: 1, capabilities: ["gpu"] }],
        securityOpts: ["no-new-privileges:true"],
        capabilities: { drops: ["ALL"] },
        logDriver: "json-file",
        logOpts: { "max-size": "10m", "max-file": "3" },
        networksAdvanced: [{ name: "immich_default", aliases: ["immich-machine-learning"] }],
        restart: "always",
        stopTimeout: 30,
        destroyGraceSeconds: 30,
        healthcheck: {
          tests: ["CMD", "python3", "-c", gpuHealthcheck, "50", "restart"],
          interval: "10s",
          timeout: "20s",
          retries: 3,
          startPeriod: "2m0s",
        },
        labels: [
          { label: "org.immich-ml.host", value: "project/stack/attic" },
          { label: "org.immich-ml.project", value: "project" },
          { label: "org.immich-ml.stack", value: "stack" },
        ],
      },
    });
  });

  it("starts Immich's own image so that a stop answers the requests under way", async () => {
    const command = gracefulCommand("v2.7.5");
    expect(command).toEqual(["python", "-c", expect.stringContaining("os.execvp") as string]);
    expect((await create({ command })).container.inputs["command"]).toEqual(command);
    // Earlier releases start gunicorn in another way.
    expect(gracefulCommand("v1.130.3")).toBeUndefined();
  });

  it("keeps the models in a folder of the host where one is given, in that or a volume", async () => {
    const { container } = await create({ cacheVolume: undefined, cacheFolder: "/mnt/cache" });
    expect(container.inputs["volumes"]).toEqual([
      { containerPath: "/cache", hostPath: "/mnt/cache" },
    ]);
    for (const cacheFolder of [undefined, "/mnt/cache"]) {
      const cacheVolume = cacheFolder && "model-cache";
      expect(() => new MachineLearning("x", { ...attic, cacheVolume, cacheFolder })).toThrow(
        "x:cacheVolume: or cacheFolder must be given, one of them",
      );
    }
  });

  it("hides CUDA from ONNX Runtime where none is wanted, whatever the image", async () => {
    const { container } = await create({ accelerator: "cpu", environment: {} });
    expect(container.inputs["envs"]).toEqual(["ORT_CUDA_UNAVAILABLE=1"]);
  });

  it("keeps the variables secret once an env file has one that is not known to be harmless", async () => {
    const plain = await create({ environmentFile: { TZ: "UTC" }, environment: { workers: 2 } });
    expect(plain.container.inputs["envs"]).toEqual(["MACHINE_LEARNING_WORKERS=2", "TZ=UTC"]);
    registered.length = 0;
    const { container } = await create({
      environmentFile: { DB_PASSWORD: "hidden", MACHINE_LEARNING_WORKERS: "4" },
      environment: { workers: 2 },
    });
    expect(container.inputs["envs"]).toEqual({
      secret: ["DB_PASSWORD=hidden", "MACHINE_LEARNING_WORKERS=2"],
    });
  });

  it("is reached at Immich's default address, and names what computed", async () => {
    const { outputs } = await create();
    expect(outputs).toEqual({
      url: "http://immich-machine-learning:3003",
      containerId: "attic-id",
      executionProvider: "CUDAExecutionProvider",
      check: { ok: true, provider: "CUDAExecutionProvider", devices: [] },
    });
  });

  it("checks every new container, with nothing quoted into the command line", async () => {
    const { check } = await create({ dockerHost: "ssh://me@box", healthTimeout: 90 });
    expect(check?.name).toBe("attic-check");
    const script = `exec sh ${join(__dirname, "../..", swapScript)}`;
    expect(check?.inputs).toEqual({
      create: script,
      update: script,
      delete: `${script} release`,
      environment: {
        IMMICH_ML_HOST: "attic",
        IMMICH_ML_CONTAINER: "attic-id",
        IMMICH_ML_PIDS_LIMIT: "4096",
        IMMICH_ML_NAME: "immich_machine_learning",
        IMMICH_ML_OWNER: "project/stack/attic",
        IMMICH_ML_NETWORKS: "immich_default immich-machine-learning",
        IMMICH_ML_RESTART: "always",
        IMMICH_ML_PORT: "3003",
        IMMICH_ML_URL: "http://immich-machine-learning:3003",
        IMMICH_ML_EXPECTED: "CUDAExecutionProvider",
        IMMICH_ML_MODE: "enforce",
        IMMICH_ML_TIMEOUT: "90",
        // Immich's models are not known.
        IMMICH_ML_MODELS: "any",
        IMMICH_ML_DOWNLOAD: "120",
        DOCKER_HOST: "ssh://me@box",
      },
      logging: "stderr",
      addPreviousOutputInEnv: true,
    });
  });

  it("limits the processes of every container, unless that is turned off", async () => {
    const address = { dockerHost: "tcp://box:2376", tls: "/certificates" };
    const { check } = await create({ ...address, check: "off" });
    expect(check?.inputs["environment"]).toMatchObject({
      IMMICH_ML_PIDS_LIMIT: "4096",
      DOCKER_HOST: "tcp://box:2376",
      DOCKER_TLS_VERIFY: "1",
      DOCKER_CERT_PATH: "/certificates",
    });
    registered.length = 0;
    const without = await create({ hardening: { limitProcesses: false } });
    expect(without.check?.inputs["environment"]).toMatchObject({ IMMICH_ML_PIDS_LIMIT: "-1" });
  });

  it.each([
    ["armnn", "ArmNN", "immich_ml.sessions.ann.loader"],
    ["rknn", "RKNN", "immich_ml.sessions.rknn"],
  ] as const)("names Immich's own session for %s", async (accelerator, session, module) => {
    const { check } = await create({ accelerator });
    expect(check?.inputs["environment"]).toMatchObject({
      IMMICH_ML_EXPECTED: session,
      IMMICH_ML_SESSION: module,
    });
  });

  it("checks the models Immich uses, and again when they change", async () => {
    const models = {
      clip: { modelName: "immich-app/ViT-B-32__openai" },
      facialRecognition: { modelName: "buffalo_s" },
      ocr: false,
    } as const;
    const { check } = await create({ models, modelDownload: 30 });
    expect(check?.inputs["environment"]).toMatchObject({
      IMMICH_ML_MODELS: "clip/ViT-B-32__openai,facial-recognition/buffalo_s",
      IMMICH_ML_DOWNLOAD: "30",
    });
  });

  it("checks no models of a release whose server has another API", async () => {
    const { check } = await create(
      { models: { clip: { modelName: "ViT-B-32__openai" } } },
      { ...attic, immichVersion: "v1.105.1", environment: {} },
    );
    expect(check?.inputs["environment"]).not.toHaveProperty("IMMICH_ML_MODELS");
  });

  it("checks nothing where the check is off", async () => {
    const { check, outputs } = await create({ check: "off" });
    expect(check?.inputs["environment"]).toMatchObject({ IMMICH_ML_MODE: "off" });
    expect(outputs.executionProvider).toBeUndefined();
    expect(outputs.check).toBeUndefined();
  });

  it.each([
    [
      { ids: ["0", "GPU-1a2b"] },
      [{ driver: "nvidia", deviceIds: ["0", "GPU-1a2b"], capabilities: ["gpu"] }],
    ],
    [{ count: -1 }, [{ driver: "nvidia", count: -1, capabilities: ["gpu"] }]],
    [{ cdi: ["nvidia.com/gpu=0"] }, [{ driver: "cdi", deviceIds: ["nvidia.com/gpu=0"] }]],
  ])("asks for the GPUs %o", async (gpus, deviceRequests) => {
    const { container } = await create({ gpus });
    expect(container.inputs["deviceRequests"]).toEqual(deviceRequests);
  });

  it.each([
    ["cpu", {}],
    [
      "armnn",
      {
        devices: [{ hostPath: "/dev/mali0", containerPath: "/dev/mali0", permissions: "rwm" }],
        mounts: [
          {
            type: "bind",
            source: "/usr/lib/libmali.so",
            target: "/usr/lib/libmali.so",
            readOnly: true,
          },
        ],
      },
    ],
    [
      "openvino",
      {
        devices: [{ hostPath: "/dev/dri", containerPath: "/dev/dri", permissions: "rwm" }],
        // /dev/bus/usb is optional, and nothing says here that the host has it.
        deviceCgroupRules: ["c 189:* rmw"],
      },
    ],
    [
      "rocm",
      {
        devices: [
          { hostPath: "/dev/dri", containerPath: "/dev/dri", permissions: "rwm" },
          { hostPath: "/dev/kfd", containerPath: "/dev/kfd", permissions: "rwm" },
        ],
        groupAdds: ["video"],
      },
    ],
  ] as const)(
    "gives the accelerator %s its devices and nothing else",
    async (accelerator, expected) => {
      const { container } = await create({ accelerator });
      const keys = ["devices", "mounts", "deviceCgroupRules", "groupAdds", "deviceRequests"];
      const given = Object.entries(container.inputs).filter(([key]) => keys.includes(key));
      expect(Object.fromEntries(given)).toEqual(expected);
    },
  );

  it("mounts the Mali firmware where the host has it", async () => {
    const { container } = await create({
      accelerator: "armnn",
      optionalMounts: ["/lib/firmware/mali_csffw.bin"],
    });
    expect(container.inputs["mounts"]).toHaveLength(2);
  });

  it.each([
    ["armnn", undefined, ["mounts"]],
    ["armnn", [], undefined],
    ["armnn", ["/lib/firmware/mali_csffw.bin"], undefined],
    ["cuda", undefined, undefined],
  ] as const)(
    "keeps the container's mounts while those the host has are unknown: %s, %j",
    async (accelerator, optionalMounts, expected) => {
      const ignored: Record<string, unknown> = {};
      const args = { ...attic, accelerator, optionalMounts: optionalMounts && [...optionalMounts] };
      const service = new MachineLearning("attic", args, {
        transformations: [
          ({ type, opts }) => {
            ignored[type] = opts.ignoreChanges;
            return undefined;
          },
        ],
      });
      await settled(service.containerId);
      const others = (ignored["docker:index/container:Container"] as string[]).filter(
        (key) => key !== "waitTimeout",
      );
      expect(others.length > 0 ? others : undefined).toEqual(expected);
    },
  );

  it("lifts each hardening by its name, and makes the root read-only when asked", async () => {
    const { container } = await create({
      hardening: {
        noNewPrivileges: false,
        dropCapabilities: false,
        limitLog: false,
        readOnlyRoot: true,
      },
    });
    for (const key of ["capabilities", "logOpts", "logDriver"]) {
      expect(container.inputs).not.toHaveProperty(key);
    }
    expect(container.inputs).toMatchObject({
      securityOpts: ["no-new-privileges:false"],
      readOnly: true,
      tmpfs: { "/tmp": "" },
    });
  });

  it("keeps a hardening whose switch is undefined", async () => {
    const { container } = await create({ hardening: { dropCapabilities: undefined } });
    expect(container.inputs["capabilities"]).toEqual({ drops: ["ALL"] });
  });

  it("publishes no port unless asked, and then on the named address only", async () => {
    expect((await create()).container.inputs).not.toHaveProperty("ports");
    registered.length = 0;
    const { container, outputs } = await create({
      network: undefined,
      publish: { address: "192.168.1.20", port: 13003 },
      environment: { port: 4000 },
    });
    expect(container.inputs["ports"]).toEqual([
      { internal: 4000, external: 13003, ip: "192.168.1.20" },
    ]);
    expect(outputs.url).toBe("http://192.168.1.20:13003");
  });

  it("writes an IPv6 address into brackets", async () => {
    const { outputs } = await create({ network: undefined, publish: { address: "fd00::2" } });
    expect(outputs.url).toBe("http://[fd00::2]:3003");
  });

  it("limits memory, swap and CPUs when asked", async () => {
    const { container } = await create({ limits: { memory: 2048, cpus: 1.5 } });
    expect(container.inputs).toMatchObject({ memory: 2048, memorySwap: 4096, cpus: "1.5" });
    registered.length = 0;
    expect((await create({ limits: { cpus: 2 } })).container.inputs["cpus"]).toBe("2.0");
  });

  it("has longer to start where models are preloaded", async () => {
    const { container } = await create({ environment: { preloadClipVisual: "ViT-B-32__openai" } });
    expect(container.inputs["healthcheck"]).toMatchObject({ startPeriod: "30m0s" });
  });

  it("makes the new container before the former one is deleted, and exposes its children", async () => {
    const options = new Map<string, pulumi.CustomResourceOptions>();
    const service = new MachineLearning("attic", attic, {
      transformations: [
        ({ type, opts }) => {
          options.set(type, opts);
          return undefined;
        },
      ],
    });
    await settled(service.check);
    expect(service.args).toBe(attic);
    expect(await settled(service.container.id)).toBe("attic-id");
    expect(await settled(service.checkCommand!.id)).toBe("attic-check-id");
    expect(options.get("docker:index/container:Container")?.deleteBeforeReplace).toBe(false);
    expect(options.get("docker:index/container:Container")?.parent).toBe(service);
    expect(options.get("command:local:Command")?.parent).toBe(service);
  });

  it.each([
    [
      { immichVersion: "release" },
      'attic:immichVersion: "release": must be a version such as v2.7.5',
    ],
    [
      { environment: { workers: -1 } },
      "attic:environment.workers: -1 is not a whole number of 1 or more",
    ],
    [
      { accelerator: "cpu", gpus: { count: 1 } },
      'attic:gpus: {"count":1}: is for accelerator cuda only, not cpu',
    ],
    [
      { gpus: { count: 1, ids: ["0"] } },
      'attic:gpus: {"count":1,"ids":["0"]}: must be one of count, ids, cdi',
    ],
    [
      { network: undefined },
      "attic:network: is missing, and so is publish: Immich's server cannot reach the container",
    ],
  ] as [Partial<MachineLearningArgs>, string][])("refuses %o", (wrong, message) => {
    expect(() => new MachineLearning("attic", { ...attic, ...wrong })).toThrow(message);
    expect(registered.filter(({ type }) => type.startsWith("docker"))).toEqual([]);
  });
});
