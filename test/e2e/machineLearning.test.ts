import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import * as docker from "@pulumi/docker";
import { type EngineEvent, LocalWorkspace, type Stack } from "@pulumi/pulumi/automation";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { AcceleratorName } from "../../catalog/accelerators";
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
const container = "immich-ml-test-machine";

/** One container after another, on a Docker engine with fake devices. */
describe.skipIf(missing)("a machine-learning container on the real engine", () => {
  let folder: string;
  let engine: PrivateEngine;
  let server: SshServer;
  let endpoint: string;
  let stack: Stack;
  let outputs: Stack["outputs"];
  let declared: Partial<MachineLearningArgs> = {};

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
    const service = new MachineLearning(
      "attic",
      {
        image: engine.sleeper,
        immichVersion: "v2.7.5",
        containerName: container,
        cacheVolume: cache.volumeName,
        network,
        dockerHost: endpoint,
        check: "off",
        ...declared,
      },
      { provider },
    );
    return { provider: service.executionProvider, check: service.check };
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

  const up = (args: Partial<MachineLearningArgs>) => {
    declared = args;
    return steps((onEvent) => stack.up({ onEvent }));
  };
  const drift = () => steps((onEvent) => stack.preview({ refresh: true, onEvent }));
  const inside = (command: string) => engine.docker("exec", container, "sh", "-c", command);
  const hostConfig = async () =>
    JSON.parse(await engine.docker("inspect", "--format", "{{json .HostConfig}}", container)) as {
      DeviceRequests: unknown;
      MaskedPaths: unknown[];
      SecurityOpt: string[];
      Memory: number;
      NanoCpus: number;
      PidsLimit: number | null;
    };

  it("is created hardened, adopts the compose file's volume, and a refreshed preview is empty", async () => {
    expect((await up({})).sort()).toEqual([
      "create attic",
      "create attic-cache",
      "create attic-check",
    ]);
    expect((await hostConfig()).PidsLimit).toBe(4096);
    expect(await inside("grep -E '^(CapEff|NoNewPrivs)' /proc/self/status")).toBe(
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
  ] as [AcceleratorName, string, string][])(
    "for %s sees the accelerator's devices, groups and files, and a refreshed preview is empty",
    async (accelerator, command, seen) => {
      const operations = await up({
        accelerator,
        optionalMounts: ["/lib/firmware/mali_csffw.bin"],
      });
      expect(operations.join()).toContain("replace attic");
      expect(await inside(command)).toBe(seen);
      expect(await drift()).toEqual([]);
    },
  );

  it("for armnn runs without the firmware, and cannot write the library", async () => {
    await up({ accelerator: "armnn", optionalMounts: [] });
    expect(await inside("ls /lib/firmware/mali_csffw.bin 2>&1 || true")).toContain("No such file");
    expect(await inside("{ echo x >>/usr/lib/libmali.so; } 2>&1 || true")).toContain(
      "Read-only file system",
    );
  });

  it("for armnn keeps the firmware while it is unknown whether the host has it", async () => {
    const listed = "ls /lib/firmware/mali_csffw.bin 2>&1 || true";
    await up({ accelerator: "armnn", optionalMounts: ["/lib/firmware/mali_csffw.bin"] });
    expect(await up({ accelerator: "armnn", optionalMounts: undefined })).toEqual([]);
    expect(await inside(listed)).toBe("/lib/firmware/mali_csffw.bin");
    expect(await up({ accelerator: "armnn", optionalMounts: [] })).not.toEqual([]);
    expect(await inside(listed)).toContain("No such file");
  });

  it("for rknn sees what Docker hides; only that option shows as drift", async () => {
    await up({ accelerator: "rknn" });
    const { MaskedPaths, SecurityOpt } = await hostConfig();
    expect(MaskedPaths).toEqual([]);
    expect(SecurityOpt).toEqual(["apparmor=unconfined", "no-new-privileges:true"]);
    // The provider does not read `systempaths` back. This fails once it does.
    const differences = (await drift()).filter((step) => step.includes("securityOpts"));
    expect(differences).toContain("replace attic securityOpts");
  });

  it("for openvino may use every USB device", async (context) => {
    try {
      await up({ accelerator: "openvino" });
    } catch (error) {
      if (!/deviceCgroupRules/.test(String(error))) throw error;
      console.log(
        "SKIPPED: the docker plugin here is older than 5.2.0, which alone knows deviceCgroupRules",
      );
      return context.skip();
    }
    expect(await inside("ls /dev/dri/renderD128 /dev/bus/usb/001/001")).toContain("renderD128");
    expect(await drift()).toEqual([]);
  });

  it.each([
    [
      { count: 1 },
      [{ Driver: "nvidia", Count: 1, DeviceIDs: [], Capabilities: [["gpu"]], Options: {} }],
    ],
    [
      { count: -1 },
      [{ Driver: "nvidia", Count: -1, DeviceIDs: [], Capabilities: [["gpu"]], Options: {} }],
    ],
    [
      { ids: ["0"] },
      [{ Driver: "nvidia", Count: 0, DeviceIDs: ["0"], Capabilities: [["gpu"]], Options: {} }],
    ],
    [
      { ids: ["GPU-8e5e22a2"] },
      [
        {
          Driver: "nvidia",
          Count: 0,
          DeviceIDs: ["GPU-8e5e22a2"],
          Capabilities: [["gpu"]],
          Options: {},
        },
      ],
    ],
  ])("is replaced for other GPUs (%o), and the request is read back", async (gpus, requests) => {
    expect((await up({ accelerator: "cuda", gpus })).join()).toMatch(
      /replace attic.*deviceRequests/,
    );
    expect((await hostConfig()).DeviceRequests).toEqual(requests);
    expect(await drift()).toEqual([]);
  });

  it.each([
    ["limits", { limits: { memory: 128, cpus: 1 } }],
    ["a limit less", { limits: { cpus: 0.5 } }],
    ["no limits", {}],
    ["new privileges allowed", { hardening: { noNewPrivileges: false } }],
    ["capabilities restored", { hardening: { dropCapabilities: false } }],
    ["an unwritable root", { hardening: { readOnlyRoot: true } }],
    ["an unlimited log", { hardening: { limitLog: false } }],
    ["unlimited processes", { hardening: { limitProcesses: false } }],
    ["another variable", { environment: { workers: 2 } }],
    ["nothing of all that", {}],
    ["a label", { labels: { "org.immich-ml.stack": "dev" } }],
  ] as [string, Partial<MachineLearningArgs>][])(
    "with %s is changed, and a refreshed preview is empty",
    async (_what, args) => {
      expect(await up(args)).not.toEqual([]);
      expect(await drift()).toEqual([]);
    },
  );

  it("loses its limits again", async () => {
    await up({ limits: { memory: 128, cpus: 0.5 } });
    expect(await hostConfig()).toMatchObject({ Memory: 128 * 1024 * 1024, NanoCpus: 5e8 });
    await up({});
    expect(await hostConfig()).toMatchObject({ Memory: 0, NanoCpus: 0 });
  });

  describe("with a check", () => {
    /** A fake of the ML image on a host with a GPU. */
    let service: string;
    /** An image with Python only. */
    let bare: string;

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
        await expect(up(crashing), `attempt ${attempt}`).rejects.toThrow(
          /the container keeps restarting[\s\S]*\| RuntimeError: boom/,
        );
      }
    });

    it("fails up when the image has no ONNX Runtime at all", async () => {
      await expect(up({ image: bare, check: "enforce" })).rejects.toThrow(
        /the image lacks a Python package: No module named 'numpy'[\s\S]*is this an image of Immich's machine learning\?/,
      );
    });

    it("continues when a failed check is only a warning", async () => {
      await up({ image: bare, check: "warn" });
      const found = await outputs();
      expect(found["check"]?.value).toMatchObject({ ok: false });
      expect(found["provider"]?.value).toBeUndefined();
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
      const attic = settings!.hosts[0]!;
      await up({ image: service, accelerator: "cuda", check: "enforce" });
      expect((await outputs())["provider"]?.value).toBe("CUDAExecutionProvider");
      endpoint = server.endpoint;
      try {
        await up({
          image: service,
          accelerator: "cuda",
          check: "enforce",
          gpus: attic.gpus,
          environment: attic.environment,
        });
        expect((await hostConfig()).DeviceRequests).toMatchObject([{ Count: 2 }]);
        expect(await inside("env | grep -E 'WORKERS|DEVICE_IDS' | sort")).toBe(
          "MACHINE_LEARNING_DEVICE_IDS=0,1\nMACHINE_LEARNING_WORKERS=2",
        );
        expect((await outputs())["check"]?.value).toMatchObject({
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
