import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import * as docker from "@pulumi/docker";
import { type EngineEvent, LocalWorkspace, type Stack } from "@pulumi/pulumi/automation";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { MachineLearning, type MachineLearningArgs, ModelCache } from "../../components";
import { findEngine } from "../../demo/withEngine";
import { readSettings } from "../../config/read";
import { fakes } from "../support/docker";
import { type SshServer, startSshServer } from "../support/sshServer";
import { askNothingAfterRuns, missingEngine } from "../support/engineStack";
import {
  missingPrivateEngine,
  type PrivateEngine,
  startPrivateEngine,
} from "../support/privateEngine";

const missing = missingEngine ?? missingPrivateEngine;
const network = "immich-ml-test-machines";

/** The container's name of a service. */
const containerOf = (name: string) => `immich-ml-test-machine-${name}`;

/** Services on a Docker engine with fake devices. */
describe.skipIf(missing)("a machine-learning container on the real engine", () => {
  let folder: string;
  let engine: PrivateEngine;
  let server: SshServer;
  let endpoint: string;
  let stack: Stack;
  let outputs: Stack["outputs"];
  let declared: Readonly<Record<string, Partial<MachineLearningArgs>>> = {};

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-machines-"));
    engine = await startPrivateEngine();
    endpoint = engine.endpoint;
    server = await startSshServer({ dockerHost: engine.endpoint });
    await engine.docker("network", "create", network);
    // The volume of a compose file.
    await engine.docker(
      "volume",
      "create",
      "--label",
      "com.docker.compose.volume=model-cache",
      "model-cache",
    );
    const found = await findEngine(console.log);
    if ("missing" in found) throw new Error(found.missing);
    stack = await LocalWorkspace.createStack(
      {
        stackName: "machines",
        projectName: "immich-ml",
        program: () => Promise.resolve(program()),
      },
      {
        pulumiCommand: found.engine,
        workDir: folder,
        envVars: {
          PULUMI_BACKEND_URL: `file://${folder}`,
          PULUMI_CONFIG_PASSPHRASE: "test",
          PULUMI_SKIP_UPDATE_CHECK: "true",
          // Only the last state is saved: saving that of 36 services at each step takes a minute.
          PULUMI_EXPERIMENTAL: "true",
          PULUMI_SKIP_CHECKPOINTS: "true",
          PATH: server.path,
        },
      },
    );
    outputs = stack.outputs.bind(stack);
    askNothingAfterRuns(stack, () => Promise.resolve({}));
  });

  afterAll(async () => {
    await stack?.destroy().catch(() => undefined);
    await server?.stop();
    await engine?.stop();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  function program() {
    const provider = new docker.Provider("engine", { host: endpoint });
    const cache = new ModelCache("attic-cache", { labels: { stack: "machines" } }, { provider });
    const services = Object.entries(declared).map(([name, args]) => {
      const service = new MachineLearning(
        name,
        {
          image: engine.sleeper,
          immichVersion: "v2.7.5",
          containerName: containerOf(name),
          cacheVolume: cache.volumeName,
          network,
          networkAlias: name,
          dockerHost: endpoint,
          check: "off",
          // Nothing serves in most of these containers, and Docker would ask all of them every ten seconds.
          healthcheck: { interval: 600 },
          ...args,
        },
        { provider },
      );
      return [name, { provider: service.executionProvider, check: service.check }] as const;
    });
    return Object.fromEntries(services);
  }

  async function steps(run: (onEvent: (event: EngineEvent) => void) => Promise<unknown>) {
    const operations: string[] = [];
    await run(({ resourcePreEvent }) => {
      const step = resourcePreEvent?.metadata;
      if (!step || ["same", "refresh"].includes(step.op)) return;
      if (step.type.startsWith("docker:") || step.type.startsWith("command:")) {
        const differs = Object.keys(step.detailedDiff ?? {}).map((key) =>
          key.replace(/[[.].*/, ""),
        );
        operations.push([step.op, step.urn.split("::").at(-1), ...new Set(differs)].join(" "));
      }
    });
    return operations;
  }

  /** Operations by service: of its container, its cache and its check. */
  const up = async (services: Readonly<Record<string, Partial<MachineLearningArgs>>>) => {
    declared = services;
    return steps((onEvent) => stack.up({ onEvent }));
  };
  const drift = () => steps((onEvent) => stack.preview({ refresh: true, onEvent }));
  const inside = (name: string, command: string) =>
    engine.docker("exec", containerOf(name), "sh", "-c", command);
  const hostConfig = async (name: string) =>
    JSON.parse(
      await engine.docker("inspect", "--format", "{{json .HostConfig}}", containerOf(name)),
    ) as {
      DeviceRequests: unknown;
      MaskedPaths: unknown[];
      SecurityOpt: string[];
      Memory: number;
      NanoCpus: number;
      PidsLimit: number | null;
    };

  it("is created hardened, adopts the compose file's volume, and a refreshed preview is empty", async () => {
    expect((await up({ attic: {} })).sort()).toEqual([
      "create attic",
      "create attic-cache",
      "create attic-check",
    ]);
    expect((await hostConfig("attic")).PidsLimit).toBe(4096);
    expect(await inside("attic", "grep -E '^(CapEff|NoNewPrivs)' /proc/self/status")).toBe(
      "NoNewPrivs:\t1\nCapEff:\t0000000000000000".split("\n").reverse().join("\n"),
    );
    const label = await engine.docker(
      "volume",
      "inspect",
      "--format",
      "{{json .Labels}}",
      "model-cache",
    );
    expect(JSON.parse(label)).toEqual({ "com.docker.compose.volume": "model-cache" });
    expect(await drift()).toEqual([]);
  });

  /** Each service is made with the first arguments and changed to the second, all of them in two runs. */
  describe("changed", () => {
    const firmware = ["/lib/firmware/mali_csffw.bin"];
    const gpus = (value: MachineLearningArgs["gpus"]) =>
      [{}, { accelerator: "cuda", gpus: value }] as const;
    const changes: Readonly<
      Record<
        string,
        readonly [from: Partial<MachineLearningArgs>, to: Partial<MachineLearningArgs>]
      >
    > = {
      cuda: [{}, { accelerator: "cuda", optionalMounts: firmware }],
      armnn: [{}, { accelerator: "armnn", optionalMounts: firmware }],
      "openvino-wsl": [{}, { accelerator: "openvino-wsl", optionalMounts: firmware }],
      rocm: [{}, { accelerator: "rocm", optionalMounts: firmware }],
      "armnn-without-firmware": [{}, { accelerator: "armnn", optionalMounts: [] }],
      "armnn-unknown": [
        { accelerator: "armnn", optionalMounts: firmware },
        { accelerator: "armnn", optionalMounts: undefined },
      ],
      "one-gpu": gpus({ count: 1 }),
      "all-gpus": gpus({ count: -1 }),
      "gpu-0": gpus({ ids: ["0"] }),
      "gpu-by-uuid": gpus({ ids: ["GPU-8e5e22a2"] }),
      limits: [{}, { limits: { memory: 128, cpus: 1 } }],
      "a-limit-less": [{ limits: { memory: 128, cpus: 1 } }, { limits: { cpus: 0.5 } }],
      "no-limits": [{ limits: { memory: 128, cpus: 0.5 } }, {}],
      "new-privileges": [{}, { hardening: { noNewPrivileges: false } }],
      capabilities: [{}, { hardening: { dropCapabilities: false } }],
      "unwritable-root": [{}, { hardening: { readOnlyRoot: true } }],
      "unlimited-log": [{}, { hardening: { limitLog: false } }],
      "unlimited-processes": [{}, { hardening: { limitProcesses: false } }],
      "another-variable": [{}, { environment: { workers: 2 } }],
      "no-variable": [{ environment: { workers: 2 } }, {}],
      // An entry that disappears, which the provider may take for one that it may choose itself.
      "no-user": [{ user: "1000:1000" }, {}],
      "no-cpuset": [{ cpuset: "0" }, {}],
      "no-extra-host": [{ extraHosts: { hub: "192.0.2.1" } }, {}],
      "no-dns": [{ dns: ["192.0.2.1"] }, {}],
      "no-ulimit": [{ ulimits: { nofile: { soft: 1024, hard: 2048 } } }, {}],
      "no-shm-size": [{ shmSize: 128 }, {}],
      "no-log-driver": [{ log: { driver: "none" } }, {}],
      "no-log-driver-of-ours": [{ log: { driver: "none" } }, { hardening: { limitLog: false } }],
      "no-group": [{ groups: ["video"] }, {}],
      "no-label": [{ labels: { "org.immich-ml.stack": "dev" } }, {}],
      "no-swap": [{ limits: { memory: 128 }, swap: 64 }, { limits: { memory: 128 } }],
      "health-check-again": [{ healthcheck: false }, {}],
      "another-interval": [{}, { healthcheck: { interval: 20 } }],
      "no-command": [{ command: ["sleep", "100000"] }, {}],
      "no-port": [{ publish: { address: "127.0.0.1", port: 28931 } }, {}],
      label: [{}, { labels: { "org.immich-ml.stack": "dev" } }],
    };
    const names = Object.keys(changes);
    const side = (index: 0 | 1) =>
      Object.fromEntries(names.map((name) => [name, changes[name]![index]]));
    let operations: readonly string[];
    let drifted: readonly string[];

    beforeAll(async () => {
      await up(side(0));
      expect(await hostConfig("no-limits")).toMatchObject({
        Memory: 128 * 1024 * 1024,
        NanoCpus: 5e8,
      });
      operations = await up(side(1));
      drifted = await drift();
    });

    /** The operations of one service's container, and of the command that hands over to it. */
    const ofContainer = (all: readonly string[], name: string) =>
      all.filter((step) => [name, `${name}-check`].includes(step.split(" ")[1]!));

    it.each(names.filter((name) => name !== "armnn-unknown"))(
      "to %s: its container is another, and a refreshed preview is empty",
      (name) => {
        expect(ofContainer(operations, name)).not.toEqual([]);
        expect(ofContainer(drifted, name)).toEqual([]);
      },
    );

    it("leaves nothing else to do", () => {
      expect(drifted).toEqual([]);
    });

    it.each([
      ["cuda", "ls /dev/mali0 /dev/dri /dev/kfd /dev/dxg 2>/dev/null || true", ""],
      [
        "armnn",
        "ls /dev/mali0 /usr/lib/libmali.so /lib/firmware/mali_csffw.bin",
        "/dev/mali0\n/lib/firmware/mali_csffw.bin\n/usr/lib/libmali.so",
      ],
      [
        "openvino-wsl",
        "ls -d /dev/dri/* /dev/dxg /usr/lib/wsl/lib",
        "/dev/dri/card0\n/dev/dri/renderD128\n/dev/dxg\n/usr/lib/wsl/lib",
      ],
      [
        "rocm",
        "ls /dev/dri/* /dev/kfd; id -nG",
        "/dev/dri/card0\n/dev/dri/renderD128\n/dev/kfd\nroot video",
      ],
    ])("for %s sees the accelerator's devices, groups and files", async (name, command, seen) => {
      expect(ofContainer(operations, name).join()).toContain(`replace ${name}`);
      expect(await inside(name, command)).toBe(seen);
    });

    it("for armnn runs without the firmware, and cannot write the library", async () => {
      const name = "armnn-without-firmware";
      expect(await inside(name, `ls ${firmware[0]} 2>&1 || true`)).toContain("No such file");
      expect(await inside(name, "{ echo x >>/usr/lib/libmali.so; } 2>&1 || true")).toContain(
        "Read-only file system",
      );
    });

    it("for armnn keeps the firmware while it is unknown whether the host has it", async () => {
      expect(ofContainer(operations, "armnn-unknown")).toEqual([]);
      expect(await inside("armnn-unknown", `ls ${firmware[0]}`)).toBe(firmware[0]);
    });

    const request = { Driver: "nvidia", Count: 0, DeviceIDs: [] as string[] };
    it.each([
      ["one-gpu", { ...request, Count: 1 }],
      ["all-gpus", { ...request, Count: -1 }],
      ["gpu-0", { ...request, DeviceIDs: ["0"] }],
      ["gpu-by-uuid", { ...request, DeviceIDs: ["GPU-8e5e22a2"] }],
    ])("for other GPUs (%s) is replaced, and the request is read back", async (name, wanted) => {
      expect(ofContainer(operations, name).join()).toContain(`replace ${name} deviceRequests`);
      expect((await hostConfig(name)).DeviceRequests).toEqual([
        { ...wanted, Capabilities: [["gpu"]], Options: {} },
      ]);
    });

    it("loses its limits again", async () => {
      expect(await hostConfig("no-limits")).toMatchObject({ Memory: 0, NanoCpus: 0 });
      expect(await hostConfig("a-limit-less")).toMatchObject({ Memory: 0, NanoCpus: 5e8 });
      expect([null, -1, 0]).toContain((await hostConfig("unlimited-processes")).PidsLimit);
    });
  });

  it("for armnn loses the firmware once the host is known to have none", async () => {
    const service = { accelerator: "armnn" } as const;
    await up({ attic: { ...service, optionalMounts: ["/lib/firmware/mali_csffw.bin"] } });
    expect(await up({ attic: { ...service, optionalMounts: [] } })).not.toEqual([]);
    expect(await inside("attic", "ls /lib/firmware/mali_csffw.bin 2>&1 || true")).toContain(
      "No such file",
    );
  });

  it("for rknn sees what Docker hides; only that option shows as drift", async () => {
    await up({ attic: { accelerator: "rknn" } });
    const { MaskedPaths, SecurityOpt } = await hostConfig("attic");
    expect(MaskedPaths).toEqual([]);
    expect(SecurityOpt).toEqual(["apparmor=unconfined", "no-new-privileges:true"]);
    // The provider does not read `systempaths` back. This fails once it does.
    const differences = (await drift()).filter((step) => step.includes("securityOpts"));
    expect(differences).toContain("replace attic securityOpts");
  });

  it("for openvino may use every USB device", async (context) => {
    try {
      await up({ attic: { accelerator: "openvino" } });
    } catch (error) {
      if (!/deviceCgroupRules/.test(String(error))) throw error;
      console.log(
        "SKIPPED: the docker plugin here is older than 5.2.0, which alone knows deviceCgroupRules",
      );
      return context.skip();
    }
    expect(await inside("attic", "ls /dev/dri/renderD128 /dev/bus/usb/001/001")).toContain(
      "renderD128",
    );
    expect(await drift()).toEqual([]);
  });

  describe("with a check", () => {
    /** A fake of the ML image on a host with a GPU. */
    let service: string;
    /** An image with Python only. */
    let bare: string;

    const attic = async () =>
      (await outputs())["attic"]!.value as { check?: unknown; provider?: unknown };

    beforeAll(async () => {
      const fake = path.join(__dirname, "..", "integration", "checkFakes", "sitecustomize.py");
      const { python310 } = await fakes();
      const base = `FROM ${python310}
RUN mkdir -p /usr/src /fake && echo 'pass' >/usr/src/healthcheck.py
WORKDIR /usr/src
STOPSIGNAL SIGKILL
CMD ["sh", "-c", "[ -z \\"$HF_HOME\\" ] || { echo 'RuntimeError: boom'; exit 3; }; exec sleep infinity"]
`;
      bare = await engine.build(base);
      service = await engine.build(
        `${base}RUN pip install --quiet onnxruntime==1.14.1 numpy==1.26.4
COPY sitecustomize.py /fake/
ENV PYTHONPATH=/fake FAKE_PROVIDER=CUDAExecutionProvider
`,
        { "sitecustomize.py": await readFile(fake, "utf8") },
      );
    });

    it("fails up with the last log lines when the container crashes in a loop, and does so again", async () => {
      const crashing = {
        image: service,
        check: "enforce",
        environment: { huggingFaceHome: "/crash" },
      } as const;
      for (const attempt of [1, 2]) {
        await expect(up({ attic: crashing }), `attempt ${attempt}`).rejects.toThrow(
          /the container keeps restarting[\s\S]*\| RuntimeError: boom/,
        );
      }
    });

    it("fails up when the image has no ONNX Runtime at all", async () => {
      await expect(up({ attic: { image: bare, check: "enforce" } })).rejects.toThrow(
        /the image lacks a Python package: No module named 'numpy'[\s\S]*is this an image of Immich's machine learning\?/,
      );
    });

    it("continues when a failed check is only a warning", async () => {
      await up({ attic: { image: bare, check: "warn" } });
      const found = await attic();
      expect(found.check).toMatchObject({ ok: false });
      expect(found.provider).toBeUndefined();
      expect(await drift()).toEqual([]);
    });

    it("names what computed, on a local engine and on two cards behind ssh", async () => {
      const { value: settings } = readSettings(
        {
          immich: { version: "v2.7.5", network },
          hosts: [{ name: "attic", gpu: "Tesla K80", gpus: { count: 2 } }],
        },
        { project: "immich-ml", stack: "machines", secrets: {} },
      );
      const { gpus, environment } = settings!.hosts[0]!;
      const checked = { image: service, accelerator: "cuda", check: "enforce" } as const;
      await up({ attic: checked });
      expect((await attic()).provider).toBe("CUDAExecutionProvider");
      endpoint = server.endpoint;
      try {
        await up({ attic: { ...checked, gpus, environment } });
        expect((await hostConfig("attic")).DeviceRequests).toMatchObject([{ Count: 2 }]);
        expect(await inside("attic", "env | grep -E 'WORKERS|DEVICE_IDS' | sort")).toBe(
          "MACHINE_LEARNING_DEVICE_IDS=0,1\nMACHINE_LEARNING_WORKERS=2",
        );
        expect((await attic()).check).toMatchObject({
          ok: true,
          devices: [{ device: "0" }, { device: "1" }],
        });
        expect(await drift()).toEqual([]);
      } finally {
        endpoint = engine.endpoint;
      }
    });
  });
});
