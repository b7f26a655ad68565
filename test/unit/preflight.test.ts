import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import { describe, expect, it } from "vitest";

import { type CommandResult, memoize, run, type Run } from "../../util/run";
import { detectGpus, preflight } from "../../preflight";
import {
  checkAlias,
  checkContainerName,
  checkNetwork,
  checkTakeOver,
} from "../../preflight/containerChecks";
import { driftOf } from "../../preflight/containerDrift";
import { lookUpContainerAddress } from "../../immich/databaseAddress";
import { parseContainers, parseDockerInfo } from "../../util/dockerAnswers";
import { checkHost } from "../../preflight/hostChecks";
import { parseProbe, shellOn, probeScript } from "../../preflight/hostProbe";
import { isVersionAtLeast, parseNvidiaSmi } from "../../preflight/nvidia";
import type { HostSettings, Settings } from "../../config/load";

/** `docker info --format '{{json .}}'`, shortened to what matters, as engines really answer. */
const engineAnswers = {
  debian12: {
    ServerVersion: "20.10.24+dfsg1",
    Architecture: "x86_64",
    Runtimes: { "io.containerd.runc.v2": {}, runc: {} },
    DockerRootDir: "/var/lib/docker",
    OperatingSystem: "Debian GNU/Linux 12 (bookworm)",
    Swarm: { LocalNodeState: "inactive" },
  },
  withToolkit: {
    ServerVersion: "27.5.1",
    Architecture: "x86_64",
    Runtimes: { nvidia: { path: "nvidia-container-runtime" }, runc: {} },
    CDISpecDirs: ["/etc/cdi", "/var/run/cdi"],
    DockerRootDir: "/var/lib/docker",
    OperatingSystem: "Ubuntu 24.04.2 LTS",
  },
  withSystemd: {
    ServerVersion: "27.5.1",
    Architecture: "x86_64",
    Runtimes: { nvidia: { path: "nvidia-container-runtime" }, runc: {} },
    CgroupDriver: "systemd",
    CDISpecDirs: ["/etc/cdi"],
    DockerRootDir: "/var/lib/docker",
    OperatingSystem: "Debian GNU/Linux 12 (bookworm)",
  },
  withCdi: {
    ServerVersion: "29.0.2",
    Architecture: "x86_64",
    Runtimes: { runc: {} },
    CDISpecDirs: ["/etc/cdi", "/var/run/cdi"],
    DiscoveredDevices: [{ Source: "cdi", ID: "nvidia.com/gpu=0" }],
    DockerRootDir: "/var/lib/docker",
    OperatingSystem: "NixOS 25.11",
  },
  board: {
    ServerVersion: "26.1.4",
    Architecture: "aarch64",
    Runtimes: { runc: {} },
    DockerRootDir: "/var/lib/docker",
    OperatingSystem: "Armbian 24.11.1 bookworm",
  },
  ancient: { ServerVersion: "18.09.1", Architecture: "x86_64", Runtimes: { runc: {} } },
};

const engine = (name: keyof typeof engineAnswers) =>
  parseDockerInfo(JSON.stringify(engineAnswers[name]))!;

const uuid = "GPU-8e5e22a2-43f2-1f6d-52f6-0d3bb5e0a5f4";
const otherUuid = "GPU-0c1f7f0e-11aa-2bb3-44cc-55dd66ee77ff";
const nvidia = (...cards: string[]) =>
  [...cards.map((card) => `nvidia ${card}`), "nvidia-exit 0"].join("\n");

/** What the probe's script prints on hosts of many kinds. */
const probes = {
  gtx750ti: `free 52428800\ntoolkit nvidia-ctk\n${nvidia(`0, ${uuid}, NVIDIA GeForce GTX 750 Ti, 535.183.01, 1999, 5.0`)}`,
  gtx750tiWithoutLinks: `free 52428800\nno card links\ntoolkit nvidia-ctk\n${nvidia(`0, ${uuid}, NVIDIA GeForce GTX 750 Ti, 535.183.01, 1999, 5.0`)}`,
  gtx750tiOldDriver: `free 52428800\ntoolkit nvidia-container-runtime-hook\n${nvidia(`0, ${uuid}, GeForce GTX 750 Ti, 440.100, 2002`)}`,
  gtx750tiDriver450: `free 52428800\ntoolkit nvidia-container-runtime-hook\n${nvidia(`0, ${uuid}, GeForce GTX 750 Ti, 450.119.03, 2002`)}`,
  gtx1060: `free 52428800\ntoolkit nvidia-ctk\n${nvidia(`0, ${uuid}, NVIDIA GeForce GTX 1060 3GB, 570.133.07, 3072, 6.1`)}`,
  gtx1060OldDriver: `free 52428800\ntoolkit nvidia-ctk\n${nvidia(`0, ${uuid}, NVIDIA GeForce GTX 1060 3GB, 470.256.02, 3019, 6.1`)}`,
  twoCards: `free 52428800\ntoolkit nvidia-ctk\n${nvidia(`0, ${uuid}, NVIDIA GeForce RTX 3060, 570.133.07, 12288, 8.6`, `1, ${otherUuid}, NVIDIA GeForce GTX 750 Ti, 570.133.07, 2048, 5.0`)}`,
  unknownOldCard: `free 52428800\ntoolkit nvidia-ctk\n${nvidia(`0, ${uuid}, GeForce Engineering Sample, 390.157, 1024`)}`,
  noDriver: "free 52428800\ntoolkit nvidia-ctk\nnvidia-exit 127",
  brokenDriver:
    "free 52428800\ntoolkit nvidia-ctk\nnvidia NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running.\nnvidia-exit 9",
  mismatch:
    "free 52428800\ntoolkit nvidia-ctk\nnvidia Failed to initialize NVML: Driver/library version mismatch\nnvidia NVML library version: 535.183\nnvidia-exit 18",
  noDevices: "free 52428800\ntoolkit nvidia-ctk\nnvidia No devices were found\nnvidia-exit 6",
  noToolkit: `free 52428800\n${nvidia(`0, ${uuid}, NVIDIA GeForce GTX 750 Ti, 535.183.01, 1999, 5.0`)}`,
  fullDisk: `free 2097152\ntoolkit nvidia-ctk\n${nvidia(`0, ${uuid}, NVIDIA GeForce GTX 750 Ti, 535.183.01, 1999, 5.0`)}`,
  intel:
    "path /dev/dri\npath /dev/bus/usb\nrender /dev/dri/renderD128\nfree 52428800\nnvidia-exit 127",
  intelWithoutRenderNode: "path /dev/dri\npath /dev/bus/usb\nfree 52428800\nnvidia-exit 127",
  wsl: "path /dev/dri\npath /dev/dxg\npath /usr/lib/wsl\npath /dev/bus/usb\nrender /dev/dri/renderD128\nfree 52428800\nnvidia-exit 127",
  mali: "path /dev/mali0\npath /lib/firmware/mali_csffw.bin\npath /usr/lib/libmali.so\nfree 52428800\nnvidia-exit 127",
  maliWithoutLibrary: "path /dev/mali0\nfree 52428800\nnvidia-exit 127",
  amd: "path /dev/dri\npath /dev/kfd\nrender /dev/dri/renderD128\nfree 52428800\nnvidia-exit 127",
  bare: "free 52428800\nnvidia-exit 127",
};

const attic = {
  name: "attic",
  dockerHost: "unix:///var/run/docker.sock",
  accelerator: "cuda",
  gpu: { name: "GeForce GTX 750 Ti", computeCapability: "5.0", videoMemory: 2048 },
  image: { kind: "legacy", gpuFamily: "kepler-maxwell" },
  gpus: undefined,
  containerName: "immich_machine_learning",
  cache: { kind: "volume", volume: "model-cache", keep: true },
  hardening: {},
  limits: {},
  network: "immich_default",
} as unknown as HostSettings;

const official = {
  kind: "official",
  reference: "ghcr.io/immich-app/immich-machine-learning:v2.7.5",
} as const;

function messages(
  host: Partial<HostSettings>,
  probe: keyof typeof probes,
  engineName: keyof typeof engineAnswers = "withToolkit",
): string[] {
  const diagnostics = checkHost(
    { ...attic, ...host },
    { docker: engine(engineName), machine: { ok: true, value: parseProbe(probes[probe]) } },
  );
  return diagnostics.map(({ severity, message }) => `${severity}: ${message}`);
}

describe("checkHost", () => {
  it("warns where a daemon-reload takes the card away, and nowhere else", () => {
    expect(messages({}, "gtx750tiWithoutLinks", "withSystemd")).toEqual([
      expect.stringMatching(
        /^warning: updates run systemctl daemon-reload.*sudo nvidia-ctk system create-dev-char-symlinks/,
      ),
    ]);
    expect(messages({}, "gtx750ti", "withSystemd")).toEqual([]);
    expect(messages({}, "gtx750tiWithoutLinks", "withToolkit")).toEqual([]);
    const cdi = { gpus: { cdi: ["nvidia.com/gpu=0"] } };
    expect(messages(cdi, "gtx750tiWithoutLinks", "withSystemd")).toEqual([]);
  });

  it.each([
    ["a GTX 750 Ti with a current driver", {}, "gtx750ti", "withToolkit"],
    ["a GTX 750 Ti whose driver does not know compute_cap", {}, "gtx750tiDriver450", "withToolkit"],
    ["a newer card on an older runtime", { gpu: undefined }, "gtx1060", "withToolkit"],
    ["a toolkit that only left its hook", {}, "gtx750tiDriver450", "debian12"],
    [
      "a toolkit known by CDI alone",
      { gpus: { cdi: ["nvidia.com/gpu=0"] } },
      "noToolkit",
      "withCdi",
    ],
    ["the second of two cards, by index", { gpus: { ids: ["1"] } }, "twoCards", "withToolkit"],
    ["the second of two cards, by UUID", { gpus: { ids: [otherUuid] } }, "twoCards", "withToolkit"],
    [
      "no accelerator on a bare machine",
      { accelerator: "cpu", gpu: undefined, image: official },
      "bare",
      "debian12",
    ],
    [
      "an Intel GPU",
      { accelerator: "openvino", gpu: undefined, image: official },
      "intel",
      "debian12",
    ],
    [
      "an Intel GPU under WSL2",
      { accelerator: "openvino-wsl", gpu: undefined, image: official },
      "wsl",
      "debian12",
    ],
    ["a Mali GPU", { accelerator: "armnn", gpu: undefined, image: official }, "mali", "board"],
    ["an AMD GPU", { accelerator: "rocm", gpu: undefined, image: official }, "amd", "debian12"],
  ] as [string, Partial<HostSettings>, keyof typeof probes, keyof typeof engineAnswers][])(
    "finds nothing wrong with %s",
    (_kind, host, probe, engineName) => {
      expect(messages(host, probe, engineName)).toEqual([]);
    },
  );

  it.each([
    [
      "a missing driver",
      {},
      "noDriver",
      [
        "error: NVIDIA's driver is missing (there is no nvidia-smi): install the proprietary one; the open kernel modules support no card older than Turing",
      ],
    ],
    [
      "a driver that is not loaded",
      {},
      "brokenDriver",
      [
        expect.stringMatching(
          /^error: NVIDIA's driver does not work \(nvidia-smi: NVIDIA-SMI has failed because/,
        ),
      ],
    ],
    [
      "a driver updated without a restart",
      {},
      "mismatch",
      [
        expect.stringMatching(
          /Driver\/library version mismatch\): restart the machine after a driver update/,
        ),
      ],
    ],
    [
      "a driver that finds no card",
      {},
      "noDevices",
      [expect.stringMatching(/No devices were found.*look for NVRM in dmesg/)],
    ],
    [
      "a driver too old for CUDA 11.8",
      {},
      "gtx750tiOldDriver",
      ["error: the NVIDIA driver 440.100 is too old for CUDA 11.8; 450.80.02 or newer is needed"],
    ],
    [
      "a driver too old for Immich's own image",
      { image: official, gpu: undefined },
      "gtx1060OldDriver",
      ["error: the NVIDIA driver 470.256.02 is too old for CUDA 12.2; 535 or newer is needed"],
    ],
    [
      "a GPU the image variant has no code for",
      { image: { kind: "legacy", gpuFamily: "pascal-volta" }, gpu: undefined },
      "gtx750ti",
      [
        expect.stringMatching(
          /^error: imageVariant pascal-volta has no code for NVIDIA GeForce GTX 750 Ti \(compute capability 5\.0\)/,
        ),
      ],
    ],
    [
      "another card than the stack file says",
      {},
      "gtx1060",
      [
        "error: the stack file says GeForce GTX 750 Ti, but the host has NVIDIA GeForce GTX 1060 3GB (compute capability 6.1); correct gpu, or set gpu: auto",
      ],
    ],
    [
      "less video memory than the stack file counts on",
      { gpu: { computeCapability: "6.1", videoMemory: 6144 }, image: official },
      "gtx1060",
      [
        "error: the stack file counts on 6144 MiB of video memory, but NVIDIA GeForce GTX 1060 3GB has 3072 MiB; set videoMemory: 3072",
      ],
    ],
    [
      "less video memory where the stack file gives nothing else",
      { gpu: { computeCapability: undefined, videoMemory: 4096 } },
      "gtx1060",
      [
        "error: the stack file counts on 4096 MiB of video memory, but NVIDIA GeForce GTX 1060 3GB has 3072 MiB; set videoMemory: 3072",
      ],
    ],
    [
      "a card number the host does not have",
      { gpus: { ids: ["3"] } },
      "twoCards",
      [
        "error: gpus.ids names 3, but the host has 0 (NVIDIA GeForce RTX 3060), 1 (NVIDIA GeForce GTX 750 Ti)",
      ],
    ],
    [
      "more cards than there are",
      { gpus: { count: 2 } },
      "gtx750ti",
      ["error: gpus.count asks for 2 cards, but the host has 0 (NVIDIA GeForce GTX 750 Ti)"],
    ],
    [
      "little disk, without stopping",
      {},
      "fullDisk",
      [
        "warning: only 2.0 GiB are free in /var/lib/docker; an image for cuda takes up to 8 GiB unless it is there already",
      ],
    ],
    [
      "an Intel GPU without its driver",
      { accelerator: "openvino", gpu: undefined, image: official },
      "intelWithoutRenderNode",
      [
        "error: /dev/dri has no render node (renderD128): the kernel's driver does not support this GPU; a newer kernel may",
      ],
    ],
  ] as [string, Partial<HostSettings>, keyof typeof probes, unknown[]][])(
    "reports %s",
    (_kind, host, probe, expected) => {
      expect(messages(host, probe)).toEqual(expected);
    },
  );

  it("reports a missing toolkit", () => {
    expect(messages({}, "noToolkit", "debian12")).toEqual([
      expect.stringMatching(/^error: the NVIDIA Container Toolkit is missing: https/),
    ]);
  });

  it("reports everything that is missing at once", () => {
    const found = messages({ accelerator: "armnn", gpu: undefined, image: official }, "bare");
    expect(found).toEqual([
      "error: the machine is amd64, but the image for armnn exists only for arm64",
      expect.stringMatching(/^error: the Mali kernel driver \(\/dev\/mali0\) is missing/),
      expect.stringMatching(
        /^error: the closed-source Mali library \(\/usr\/lib\/libmali\.so\) is missing/,
      ),
    ]);
  });

  it("does not ask for the Mali firmware, which not every driver needs", () => {
    const found = messages(
      { accelerator: "armnn", gpu: undefined, image: official },
      "maliWithoutLibrary",
      "board",
    );
    expect(found).toEqual([expect.stringContaining("libmali.so")]);
  });

  it("knows that an image of ours is for amd64 only, and nothing of the user's own image", () => {
    expect(messages({ accelerator: "cpu" }, "bare", "board")).toEqual([
      "error: the machine is arm64, but the image for cpu exists only for amd64",
    ]);
    const own = { kind: "given", reference: "example.org/my/ml:1" } as const;
    expect(messages({ image: own, gpu: undefined }, "gtx1060OldDriver", "withToolkit")).toEqual([]);
    expect(messages({ image: own, accelerator: "cpu" }, "bare", "board")).toEqual([]);
  });

  it("reports an engine that is too old, and one without CDI", () => {
    expect(messages({ accelerator: "cpu", image: official }, "bare", "ancient")).toEqual([
      expect.stringMatching(/^error: Docker 18\.09\.1 is too old; 20\.10\.10 or newer is needed/),
    ]);
    expect(messages({ gpus: { cdi: ["nvidia.com/gpu=0"] } }, "gtx750ti", "debian12")).toEqual([
      expect.stringMatching(/^error: gpus\.cdi needs Docker 25 or newer/),
    ]);
  });

  const behindTcp = { docker: engine("withToolkit"), machine: undefined };

  it("warns that a machine behind tcp:// was not checked", () => {
    const remote = { ...attic, dockerHost: "tcp://box:2376", tls: "certificates" };
    expect(checkHost(remote, behindTcp)).toEqual([
      {
        severity: "warning",
        message:
          "tcp://box:2376 reaches only the Docker engine, so the NVIDIA GPU of its machine was not checked",
      },
    ]);
  });

  it("warns of a tcp:// without TLS", () => {
    const remote = { dockerHost: "tcp://box:2375", accelerator: "cpu", image: official } as const;
    const [diagnostic] = checkHost({ ...attic, ...remote }, behindTcp);
    expect(diagnostic).toMatchObject({
      severity: "warning",
      message: expect.stringContaining("whoever reaches it has root on that machine") as string,
    });
  });
});

describe("checkContainerName", () => {
  const container = (labels: Record<string, string>) =>
    parseContainers(JSON.stringify([{ Id: "1", Config: { Labels: labels } }]))![0];
  const found = (labels: Record<string, string>) =>
    checkContainerName(attic, container(labels), owner)?.message;

  it("accepts a free name and this stack's own container", () => {
    expect(checkContainerName(attic, undefined, owner)).toBeUndefined();
    const ours = { "org.immich-ml.project": "immich-ml", "org.immich-ml.stack": "dev" };
    expect(found(ours)).toBeUndefined();
  });

  it("says how docker compose hands its container over, and lets it be handed over", () => {
    expect(
      found({
        "com.docker.compose.project": "immich",
        "com.docker.compose.service": "immich-machine-learning",
        "com.docker.compose.project.working_dir": "/srv/immich",
        "com.docker.compose.project.config_files": "/srv/immich/docker-compose.yml",
      }),
    ).toBe(
      "the container name immich_machine_learning is taken by docker compose's service immich-machine-learning. To hand it over: takeOver: immich_machine_learning; it runs until the new one has computed, and comes back with destroy. Or give this host another containerName",
    );
    const taken = { ...attic, takeOver: "immich_machine_learning" };
    const [compose] = containersOf({ Name: "/immich_machine_learning" });
    expect(checkContainerName(taken, compose, owner)).toBeUndefined();
  });

  it("refuses another stack's container and a stranger's", () => {
    const others = { "org.immich-ml.project": "immich-ml", "org.immich-ml.stack": "other" };
    expect(found(others)).toBe(
      "the container name immich_machine_learning is taken by stack immich-ml/other: give this host another containerName, or destroy that stack first",
    );
    expect(found({})).toContain(
      "a container that this program did not create. To hand it over: takeOver:",
    );
  });
});

const owner = { project: "immich-ml", stack: "dev" };

/** Containers as `docker inspect` describes them. */
function containersOf(...described: object[]) {
  return parseContainers(JSON.stringify(described.map((each) => ({ Id: "1", ...each }))))!;
}

const running = { Running: true, Status: "running", StartedAt: "2026-11-01T10:00:00Z" };
const inImmich = (...Aliases: string[]) => ({
  NetworkSettings: { Networks: { immich_default: { IPAddress: "172.18.0.9", Aliases } } },
});
const joined = {
  ...attic,
  network: "immich_default",
  networkAlias: "immich-machine-learning",
  cache: { kind: "volume", volume: "model-cache", keep: true },
} as const;

describe("checkTakeOver", () => {
  const compose = {
    Name: "/immich_machine_learning",
    State: running,
    Config: { Labels: { "com.docker.compose.service": "immich-machine-learning" } },
    Mounts: [{ Source: "/x", Name: "immich_model-cache", Destination: "/cache" }],
  };
  const host = { ...joined, takeOver: "immich_machine_learning" };
  const messages = (of: HostSettings, deployed: boolean, ...found: object[]) =>
    checkTakeOver(of, containersOf(...found), deployed).map(
      ({ severity, message }) => `${severity}: ${message}`,
    );

  it("says what is handed over, and that its models would be left behind", () => {
    expect(messages(host, false, compose)).toEqual([
      "note: takes over from immich_machine_learning (docker compose's service immich-machine-learning), which answers as immich-machine-learning until the new container has computed; then it is stopped and kept as immich_machine_learning-before-immich-ml, and destroy brings it back",
      "warning: immich_machine_learning keeps its models in the volume immich_model-cache, and this host in the volume model-cache: set cache: { volume: immich_model-cache } to keep them",
    ]);
    const same = {
      ...host,
      cache: { kind: "volume", volume: "immich_model-cache", keep: true },
    } as const;
    expect(messages(same, false, compose)).toHaveLength(1);
  });

  it("refuses a name that is wrong, and two that could be meant, but not one that was handed over", () => {
    expect(messages(host, false)).toEqual([
      "error: takeOver: there is no container immich_machine_learning; docker ps -a lists them",
    ]);
    expect(messages(host, true)).toEqual([]);
    const kept = { ...compose, Name: "/immich_machine_learning-before-immich-ml" };
    expect(messages(host, true, kept)).toEqual([]);
    expect(messages(host, true, compose, kept)[0]).toMatch(/^error: there are both/);
  });
});

describe("checkAlias", () => {
  it("refuses another server under the alias, under any container name, unless it is handed over", () => {
    const other = { Name: "/ml-by-hand", State: running, ...inImmich("immich-machine-learning") };
    expect(checkAlias(joined, containersOf(other))[0]?.message).toMatch(
      /^ml-by-hand \(a container that this program did not create\) answers as immich-machine-learning in the network immich_default, too.*takeOver: ml-by-hand/,
    );
    expect(checkAlias({ ...joined, takeOver: "ml-by-hand" }, containersOf(other))).toEqual([]);
    const stopped = { ...other, State: { Running: false } };
    const elsewhere = { ...other, ...inImmich("immich-server") };
    expect(checkAlias(joined, containersOf(stopped, elsewhere))).toEqual([]);
  });
});

describe("driftOf", () => {
  const labels = {
    "org.immich-ml.project": "immich-ml",
    "org.immich-ml.stack": "dev",
    "org.immich-ml.host": `immich-ml/dev/${attic.name}`,
  };
  const own = { Name: `/${attic.containerName}`, State: running, Config: { Labels: labels } };
  const fault = (state: object, ...others: object[]) =>
    driftOf(
      { ...joined, takeOver: "compose" },
      containersOf({ ...own, State: { ...running, ...state } }, ...others),
      [],
      owner,
    ).fault;

  it("finds nothing where all is well, and what is missing", () => {
    const well = { isContainerMissing: false, isVolumeMissing: false, fault: undefined };
    expect(driftOf(joined, containersOf(own), ["model-cache"], owner)).toEqual(well);
    const gone = { isContainerMissing: true, isVolumeMissing: true, fault: undefined };
    expect(driftOf(joined, containersOf({ Name: "/other" }), [], owner)).toEqual(gone);
  });

  it("names why the container does not serve, and since when", () => {
    expect(fault({ Health: { Status: "healthy" } })).toBeUndefined();
    expect(fault({ Health: { Status: "starting" } })).toBeUndefined();
    expect(
      fault({ Running: false, Status: "exited", ExitCode: 137, FinishedAt: "2026-11-02" }),
    ).toBe("it does not run (exited, exit code 137) since 2026-11-02");
    expect(fault({ Health: { Status: "unhealthy" } })).toContain("it is unhealthy");
    expect(fault({ Status: "restarting", ExitCode: 3 })).toContain(
      "keeps restarting (exit code 3)",
    );
    expect(fault({}, { Name: "/compose-before-immich-ml", State: running })).toContain(
      "compose-before-immich-ml runs again",
    );
  });
});

describe("checkNetwork", () => {
  it("names the networks there are when the one to join is missing", () => {
    expect(checkNetwork(attic, ["bridge", "host", "none", "immich_default"])).toBeUndefined();
    expect(checkNetwork(attic, ["bridge", "host", "none", "photos_default"])).toEqual({
      severity: "error",
      message:
        "the network immich_default does not exist; there are bridge, photos_default. Start Immich first (docker compose up -d), or correct network (immich.network)",
    });
  });
});

describe("parseNvidiaSmi", () => {
  it("takes the compute capability of an old driver's card from the catalog", () => {
    expect(parseNvidiaSmi(`0, ${uuid}, GeForce GTX 750 Ti, 390.157, 2002`, 0)).toEqual({
      ok: true,
      value: [
        {
          index: 0,
          uuid,
          name: "GeForce GTX 750 Ti",
          driver: "390.157",
          videoMemory: 2002,
          computeCapability: "5.0",
        },
      ],
    });
  });

  it("leaves out what neither the driver nor the catalog knows", () => {
    const answer = parseNvidiaSmi(`0, ${uuid}, Some Unknown GPU, 580.65.06, [N/A], [N/A]`, 0);
    expect(answer).toMatchObject({
      value: [{ videoMemory: undefined, computeCapability: undefined }],
    });
  });

  it.each([
    ["", 0],
    ["No devices were found", 0],
    ["a new format nobody knows", 0],
    ["Unable to determine the device handle for GPU 0000:01:00.0: Unknown Error", 15],
  ])("takes %j (exit code %i) for a failure", (output, code) => {
    expect(parseNvidiaSmi(output, code).ok).toBe(false);
  });

  it.each([
    [
      "Unable to determine the device handle for GPU0: 0000:65:00.0: GPU is lost.  Reboot the system to recover this GPU",
      15,
      /loose slot/,
    ],
    [`0, ${uuid}, [Unknown Error], 535.183.01, [Unknown Error], [Unknown Error]`, 0, /loose slot/],
    [`0, ${uuid}, ERR!, 535.183.01, [GPU is lost], [GPU is lost]`, 0, /loose slot/],
    ["Failed to initialize NVML: Insufficient Permissions", 4, /rights of \/dev\/nvidia/],
    ["sh: 1: nvidia-smi: Permission denied", 126, /rights of \/dev\/nvidia/],
    ["Failed to initialize NVML: GPU access blocked by the operating system", 17, /wsl --update/],
    ["Failed to initialize NVML: Driver Not Loaded", 9, /dkms/],
    ["Failed to initialize NVML: Unknown Error", 255, /LXC guest/],
    ["Segmentation fault", 139, /libraries do not match/],
  ])("says of %j (exit code %i) what it means on a host", (output, code, message) => {
    expect(parseNvidiaSmi(output, code)).toMatchObject({
      ok: false,
      message: expect.stringMatching(message) as string,
    });
  });

  it("takes the cards that answer where another one is lost", () => {
    const lines = [
      `0, ${uuid}, NVIDIA GeForce GTX 1070, 580.82.09, 8192, 6.1`,
      "1, GPU-11111111-2222-3333-4444-555555555555, [Unknown Error], [Unknown Error], [Unknown Error]",
    ];
    expect(parseNvidiaSmi(lines.join("\n"), 0)).toMatchObject({ ok: true, value: [{ index: 0 }] });
  });
});

describe("isVersionAtLeast", () => {
  it.each([
    ["535.183.01", "535", true],
    ["450.80.02", "450.80.02", true],
    ["450.57", "450.80.02", false],
    ["1000.1", "535", true],
    ["20.10.24+dfsg1", "20.10", true],
    ["19.03.15", "20.10", false],
  ])("%s against %s: %s", (driver, minimum, expected) => {
    expect(isVersionAtLeast(driver, minimum)).toBe(expected);
  });
});

describe("shellOn", () => {
  it("runs directly, by ssh, or not at all", () => {
    expect(shellOn("unix:///var/run/docker.sock")).toEqual(["sh", "-s"]);
    expect(shellOn("ssh://me@box:2222")).toEqual([
      "ssh",
      "-o",
      "BatchMode=yes",
      "-o",
      "ConnectTimeout=10",
      "-p",
      "2222",
      "--",
      "me@box",
      "sh",
      "-s",
    ]);
    expect(shellOn("tcp://box:2376")).toBeUndefined();
  });
});

describe("probeScript", () => {
  it("keeps a strange folder in its place", () => {
    expect(probeScript("/mnt/my 'disk'")).toContain(`df -Pk -- '/mnt/my '\\''disk'\\'''`);
  });

  it.each([
    ["ends an nvidia-smi that hangs", "sleep 60", "timeout 0.3"],
    ["has answered for all else when nothing ends nvidia-smi", "trap '' TERM; sleep 60", ""],
  ])("%s", async (_what, nvidiaSmi, limit) => {
    const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-probe-"));
    await writeFile(path.join(folder, "nvidia-smi"), `#!/bin/sh\n${nvidiaSmi}\n`, { mode: 0o755 });
    const { stdout } = await run("sh", ["-s"], {
      stdin: probeScript("/").replace('limit="timeout 10"', `limit="${limit}"`),
      environment: { PATH: `${folder}:${process.env["PATH"]}` },
      timeout: limit ? 30 : 2,
    });
    await rm(folder, { recursive: true });
    const { nvidia, freeDisk } = parseProbe(stdout);
    expect(stdout).toContain("ask nvidia-smi\n");
    expect(freeDisk).toBeGreaterThan(0);
    expect(nvidia).toMatchObject({ message: expect.stringContaining("driver hangs") as string });
  });
});

describe("lookUpContainerAddress", () => {
  const [database] = parseContainers(
    JSON.stringify([
      {
        Id: "1",
        State: { Running: true },
        NetworkSettings: {
          Networks: {
            other: { IPAddress: "172.19.0.2" },
            immich_default: { IPAddress: "172.18.0.3" },
          },
          Ports: { "5432/tcp": [{ HostIp: "0.0.0.0", HostPort: "15432" }], "80/tcp": null },
        },
      },
    ]),
  )!;
  const at = (endpoint: string, more = {}) =>
    lookUpContainerAddress(database!, { port: 5432, network: "immich_default", endpoint, ...more });

  it("takes the address in Immich's own network on the local engine", () => {
    expect(at("unix:///var/run/docker.sock")).toEqual({ host: "172.18.0.3", port: 5432 });
  });

  it("takes the published port on a remote engine and in Docker Desktop", () => {
    expect(at("ssh://me@box:22")).toEqual({ host: "box", port: 15432 });
    expect(at("unix:///x.sock", { isVirtualMachine: true })).toEqual({
      host: "127.0.0.1",
      port: 15432,
    });
  });

  it("finds no way where nothing is published", () => {
    expect(
      lookUpContainerAddress(
        { ...database!, published: {} },
        { port: 5432, endpoint: "tcp://box:2375" },
      ),
    ).toBeUndefined();
  });
});

/** Answers as several hosts would, by the engine's address. */
function fakeHosts(hosts: Record<string, { info: object | undefined; probe?: string }>): Run {
  const done = (stdout: string): CommandResult => ({ code: 0, stdout, stderr: "" });
  return (program, parameters, options) => {
    const endpoint = options?.environment?.["DOCKER_HOST"];
    if (program !== "docker") {
      const host = Object.entries(hosts).find(([key]) =>
        parameters.includes(new URL(key).hostname),
      );
      return Promise.resolve(
        done(host?.[1].probe ?? hosts["unix:///var/run/docker.sock"]?.probe ?? ""),
      );
    }
    const host = hosts[endpoint!];
    if (!host?.info) {
      return Promise.resolve({
        code: 1,
        stdout: "",
        stderr: `Cannot connect to the Docker daemon at ${endpoint}.`,
      });
    }
    if (parameters[0] === "info") return Promise.resolve(done(JSON.stringify(host.info)));
    if (parameters[1] === "ls" && parameters[0] === "container")
      return Promise.resolve(done("abc\tother\timmich_default\t\n"));
    if (parameters[0] === "network") return Promise.resolve(done("bridge\nimmich_default\n"));
    const missing = parameters.slice(2).map((name) => `Error: No such container: ${name}`);
    return Promise.resolve({ code: 1, stdout: "[]\n", stderr: missing.join("\n") });
  };
}

const local = "unix:///var/run/docker.sock";
const settings = (hosts: HostSettings[], preflightMode = "enforce") =>
  ({
    project: "immich-ml",
    stack: "dev",
    hosts,
    preflight: preflightMode,
    models: undefined,
  }) as unknown as Settings;

describe("preflight", () => {
  const remote = { ...attic, name: "cellar", dockerHost: "ssh://me@cellar" };
  const ask = fakeHosts({
    [local]: { info: engineAnswers.withToolkit, probe: probes.noDriver },
    "ssh://me@cellar": { info: undefined },
  });

  it("names every host that is not ready, all at once, before anything is changed", async () => {
    await expect(preflight(settings([attic, remote]), ask)).rejects.toThrow(
      /nothing was changed.*\n {2}attic: NVIDIA's driver is missing.*\n {2}cellar: Docker at ssh:\/\/me@cellar does not answer/,
    );
  });

  it("goes on when it may only warn, and does not look when it is off", async () => {
    await expect(preflight(settings([attic, remote], "warn"), ask)).resolves.toMatchObject({
      database: undefined,
    });
    const untouched: Run = () => Promise.reject(new Error("looked"));
    await expect(preflight(settings([attic], "off"), untouched)).resolves.toEqual({
      database: undefined,
      databaseFunctions: {},
      mayBeFirstRelease: true,
      optionalMounts: {},
      drift: {},
      aliases: {},
      unreachableHosts: new Set(),
    });
  });

  it("asks an engine once, however many hosts are on it", async () => {
    const questions: string[] = [];
    const counted: Run = (program, parameters, options) => {
      questions.push([program, ...parameters].join(" "));
      if (parameters[1] === "ls" && parameters[0] === "container") {
        return Promise.resolve({ code: 0, stdout: "1\tone\t\t\n2\tthree\t\t\n", stderr: "" });
      }
      if (parameters[0] !== "container") return ask(program, parameters, options);
      const ours = { "org.immich-ml.project": "immich-ml", "org.immich-ml.stack": "dev" };
      const found = [
        { Id: "1", Name: "/one", Config: { Labels: ours } },
        { Id: "2", Name: "/three", Config: {} },
      ];
      return Promise.resolve({ code: 0, stdout: JSON.stringify(found), stderr: "" });
    };
    const hosts = ["one", "two", "three"].map((name) => ({
      ...attic,
      name,
      containerName: name,
      cache: { kind: "volume" as const, volume: `${name}-cache`, keep: true },
      accelerator: "cpu" as const,
    }));
    await expect(preflight(settings(hosts), counted)).rejects.toThrow(
      /changed[^]*:\n {2}three: the container name three is taken by a container that this program did not create[^\n]*$/,
    );
    expect(questions.sort()).toEqual([
      "docker container inspect 1 2",
      'docker container ls --all --no-trunc --format {{.ID}}\t{{.Names}}\t{{.Networks}}\t{{.Label "org.immich-ml.host"}}',
      "docker info --format {{json .}}",
      "docker network ls --format {{.Name}}",
      "docker volume inspect one-cache two-cache three-cache",
      "sh -s",
    ]);
  });

  it("names a host that is off and goes on with the others", async () => {
    const ready = fakeHosts({
      [local]: { info: engineAnswers.withToolkit, probe: probes.gtx750ti },
      "ssh://me@cellar": { info: undefined },
    });
    const found = await preflight(settings([attic, remote]), ready);
    expect([...found.unreachableHosts]).toEqual(["cellar"]);
  });

  it("asks an engine each question once, however many hosts share it", async () => {
    const asked: string[] = [];
    const answers = fakeHosts({
      [local]: { info: engineAnswers.debian12, probe: probes.noDriver },
    });
    const counting: Run = (program, parameters, options) => {
      asked.push([program, ...parameters].join(" "));
      return answers(program, parameters, options);
    };
    const many = Array.from({ length: 50 }, (_nothing, index) => ({
      ...attic,
      name: `host-${index}`,
      containerName: `container-${index}`,
      accelerator: "cpu" as const,
    }));
    await preflight(settings(many), counting);
    const inspected = asked.filter((question) => question.startsWith("docker container inspect"));
    expect(inspected).toHaveLength(1);
    expect(asked).toHaveLength(6);
  });

  it("refuses when every host is off", async () => {
    const dark = fakeHosts({
      [local]: { info: undefined },
      "ssh://me@cellar": { info: undefined },
    });
    await expect(preflight(settings([attic, remote]), dark)).rejects.toThrow(
      /nothing was changed.*\n {2}attic: Docker at unix:.*\n {2}cellar: Docker at ssh:/,
    );
  });

  it("reports which optional mounts a host has", async () => {
    const board = {
      ...attic,
      accelerator: "armnn",
      gpu: undefined,
      image: official,
    } as HostSettings;
    const found = await preflight(
      settings([board]),
      fakeHosts({ [local]: { info: engineAnswers.board, probe: probes.mali } }),
    );
    expect(found.optionalMounts).toEqual({ attic: ["/lib/firmware/mali_csffw.bin"] });
  });
});

describe("a question without an answer", () => {
  const ours = { "org.immich-ml.project": "immich-ml", "org.immich-ml.stack": "dev" };
  const found = [{ Id: "1", Name: "/immich_machine_learning", Config: { Labels: ours } }];
  const manager = {
    ...engineAnswers.withToolkit,
    DefaultRuntime: "nvidia",
    Swarm: { LocalNodeState: "active", ControlAvailable: true },
  };
  const node = {
    Spec: { Role: "manager", Availability: "active", Labels: {} },
    Status: { State: "ready" },
    Description: { Hostname: "one" },
  };
  const answers: Record<string, string> = {
    info: JSON.stringify(engineAnswers.withToolkit),
    "container ls": "1\timmich_machine_learning\timmich_default\t\n",
    "container inspect": JSON.stringify(found),
    "volume inspect": "[]",
    "network ls": "bridge\nimmich_default\n",
    "network inspect": JSON.stringify([{ Driver: "overlay", Attachable: true }]),
    "node ls": "abc\n",
    "node inspect": JSON.stringify([node]),
    "service inspect": JSON.stringify([{ Spec: { Labels: ours } }]),
    sh: probes.gtx750ti,
    ssh: probes.gtx750ti,
  };
  const refusal = async (host: HostSettings, more: Record<string, string | CommandResult>) => {
    const fake: Run = (program, parameters) => {
      const words = parameters.slice(0, parameters[0] === "info" ? 1 : 2).join(" ");
      const answer = { ...answers, ...more }[program === "docker" ? words : program]!;
      return Promise.resolve(
        typeof answer === "string" ? { code: 0, stdout: answer, stderr: "" } : answer,
      );
    };
    const refused = await preflight(settings([host]), fake).then(
      () => "",
      (error: Error) => error.message,
    );
    return refused.split("\n  ").slice(1);
  };
  const inSwarm = {
    ...attic,
    swarm: { replicas: 1, nodeLabels: {}, genericResources: {}, updateOrder: "stop-first" },
  } as unknown as HostSettings;
  const board = {
    ...attic,
    accelerator: "armnn",
    card: undefined,
    image: official,
  } as HostSettings;

  const failures: [what: string, answer: CommandResult, reason: string][] = [
    [
      "fails",
      { code: 1, stdout: "[]\n", stderr: "warning\nerror during connect: EOF\n" },
      "error during connect: EOF",
    ],
    ["fails without a word", { code: 2, stdout: "", stderr: "" }, "exit code 2"],
    ["hangs", { code: 124, stdout: "", stderr: "" }, "no answer within 20 s"],
  ];
  const garbled: CommandResult = { code: 0, stdout: '[{"Id": 5}, {', stderr: "" };
  const unreadable: (typeof failures)[number] = ["garbles", garbled, "the answer is not readable"];
  const empty: (typeof failures)[number] = [
    "answers nothing",
    { code: 0, stdout: "", stderr: "" },
    "the answer is not readable",
  ];

  it.each([...failures, unreadable, empty])(
    "is an error of its own: docker %s",
    async (_what, answer, reason) => {
      const where = `at ${attic.dockerHost} could not be`;
      expect(await refusal(attic, { "container inspect": answer })).toEqual([
        `attic: the containers ${where} inspected: ${reason}`,
      ]);
      expect(
        await refusal(inSwarm, {
          info: JSON.stringify(manager),
          "network inspect": answer,
          "service inspect": answer,
          "node inspect": answer,
        }),
      ).toEqual([
        `attic: the nodes ${where} inspected: ${reason}`,
        `attic: the networks ${where} inspected: ${reason}`,
        `attic: the services ${where} inspected: ${reason}`,
      ]);
    },
  );

  it.each([...failures, empty])(
    "is an error of its own: a list of docker %s",
    async (_what, answer, reason) => {
      const where = `at ${attic.dockerHost} could not be listed`;
      expect(await refusal(attic, { "network ls": answer })).toEqual([
        `attic: the networks ${where}: ${reason}`,
      ]);
      expect(await refusal(inSwarm, { info: JSON.stringify(manager), "node ls": answer })).toEqual([
        `attic: the nodes ${where}: ${reason}`,
      ]);
    },
  );

  it.each(failures)(
    "is an error of its own: the probe of the machine %s",
    async (_what, answer, reason) => {
      const behind = { ...attic, dockerHost: "ssh://me@box:2222" };
      expect(await refusal(behind, { ssh: answer })).toEqual([
        `attic: the machine of ssh://me@box:2222 could not be probed (${reason}): make sure that ssh me@box true works`,
      ]);
      expect(await refusal(attic, { sh: answer })).toEqual([
        `attic: the machine of unix:///var/run/docker.sock could not be probed (${reason})`,
      ]);
    },
  );

  it("is only a warning where nothing is needed of the machine but its disk", async () => {
    const [, answer] = failures[0]!;
    expect(await refusal({ ...attic, accelerator: "cpu" }, { sh: answer })).toEqual([]);
  });

  it("tells an object that does not exist from one that was not asked about", async () => {
    const missing = (stderr: string) => ({ code: 1, stdout: "[]\n", stderr });
    for (const words of [
      "Error: No such container: immich_machine_learning",
      "Error response from daemon: No such container: immich_machine_learning",
      "error: no such object: immich_machine_learning",
    ]) {
      expect(await refusal(attic, { "container inspect": missing(words) })).toEqual([]);
    }
    for (const words of [
      "Error: No such network: immich_default",
      "Error response from daemon: network immich_default not found",
    ]) {
      expect(
        await refusal(inSwarm, {
          info: JSON.stringify(manager),
          "network inspect": missing(words),
        }),
      ).toEqual([
        expect.stringContaining("the network immich_default does not exist in the swarm"),
      ]);
    }
    for (const words of [
      "Error: no such service: immich_machine_learning",
      "Status: Error: no such service: immich_machine_learning, Code: 1",
      "Error response from daemon: service immich_machine_learning not found",
    ]) {
      expect(
        await refusal(inSwarm, {
          info: JSON.stringify(manager),
          "service inspect": missing(words),
        }),
      ).toEqual([]);
    }
    const elsewhere = missing("error during connect: bash: docker: command not found");
    expect(await refusal(attic, { "container inspect": elsewhere })).toEqual([
      expect.stringContaining("could not be inspected: error during connect"),
    ]);
  });

  const hangs = /^attic: NVIDIA's driver hangs \(no answer from nvidia-smi within 10 s\): restart/;
  it.each([124, 137, 143])(
    "is an error of its own: nvidia-smi ended after its time (code %i)",
    async (code) => {
      const sh = `free 52428800\ntoolkit nvidia-ctk\nask nvidia-smi\nnvidia \nnvidia-exit ${code}`;
      expect(await refusal(attic, { sh })).toEqual([expect.stringMatching(hangs)]);
    },
  );

  it("is an error of its own: nvidia-smi that nothing can end", async () => {
    const stdout = "free 52428800\ntoolkit nvidia-ctk\nask nvidia-smi\n";
    const sh = { code: 124, stdout, stderr: "" };
    expect(await refusal(attic, { sh })).toEqual([expect.stringMatching(hangs)]);
    expect(await refusal({ ...attic, accelerator: "cpu" }, { sh })).toEqual([]);
  });

  it("leaves the optional mounts unknown, and never takes them for none", async () => {
    const mountsOf = async (
      host: HostSettings,
      mode: string,
      sh: CommandResult,
      Mounts?: object[],
    ) => {
      const info = JSON.stringify(engineAnswers.board);
      const fake: Run = (program, parameters) => {
        if (program !== "docker") return Promise.resolve(sh);
        if (parameters[0] === "container" && parameters[1] === "inspect") {
          const stdout = JSON.stringify(found.map((container) => ({ ...container, Mounts })));
          return Promise.resolve({ code: 0, stdout, stderr: "" });
        }
        const stdout = parameters[0] === "info" ? info : answers[parameters.slice(0, 2).join(" ")]!;
        return Promise.resolve({ code: 0, stdout, stderr: "" });
      };
      return (await preflight(settings([host], mode), fake)).optionalMounts[host.name];
    };
    const answered = { code: 0, stdout: probes.mali, stderr: "" };
    const none = { code: 0, stdout: probes.maliWithoutLibrary, stderr: "" };
    const [, failed] = failures[0]!;
    expect(await mountsOf(board, "warn", answered)).toEqual(["/lib/firmware/mali_csffw.bin"]);
    expect(await mountsOf(board, "warn", none)).toEqual([]);
    expect(await mountsOf(board, "warn", failed)).toBeUndefined();
    expect(await mountsOf(board, "off", answered)).toBeUndefined();
    const behindTcp = { ...board, dockerHost: "tcp://box:2376", tls: "certificates" };
    expect(await mountsOf(behindTcp, "enforce", answered)).toBeUndefined();
    // The container that is there shows which of them it was given.
    const firmware = { Type: "bind", Source: "/lib/firmware/mali_csffw.bin" };
    for (const [host, mode] of [
      [board, "warn"],
      [behindTcp, "enforce"],
    ] as const) {
      expect(await mountsOf(host, mode, failed, [firmware])).toEqual([firmware.Source]);
      expect(await mountsOf(host, mode, failed, [])).toEqual([]);
    }
    expect(await mountsOf(board, "warn", none, [firmware])).toEqual([]);
    // An accelerator without optional mounts leaves nothing to know.
    expect(await mountsOf({ ...attic, image: official }, "warn", failed)).toEqual([]);
    expect(await refusal(board, { sh: failed, info: JSON.stringify(engineAnswers.board) })).toEqual(
      [expect.stringContaining("could not be probed")],
    );
  });
});

describe("detectGpus", () => {
  const undecided = { ...attic, gpu: undefined, image: undefined };
  const detect = (probe: string, host: Partial<HostSettings> = {}) =>
    detectGpus(
      settings([{ ...undecided, ...host }]),
      fakeHosts({ [local]: { info: engineAnswers.withToolkit, probe } }),
    );

  it("detects the GPU of a host with gpu: auto, and asks no other host", async () => {
    expect(await detect(probes.gtx750ti)).toEqual({
      attic: { name: "NVIDIA GeForce GTX 750 Ti", computeCapability: "5.0", videoMemory: 1999 },
    });
    const untouched: Run = () => Promise.reject(new Error("asked"));
    expect(await detectGpus(settings([attic]), untouched)).toEqual({});
  });

  it("asks a host once for itself and for the preflight, with one memory of the answers", async () => {
    const asked: string[] = [];
    const hosts = fakeHosts({
      [local]: { info: engineAnswers.withToolkit, probe: probes.gtx750ti },
    });
    const ask = memoize((program, parameters, options) => {
      asked.push([program, ...parameters, options?.stdin ?? ""].join(" "));
      return hosts(program, parameters, options);
    });
    const all = settings([undecided]);
    await detectGpus(all, ask);
    await preflight({ ...all, hosts: [attic] }, ask);
    expect(asked).toEqual([...new Set(asked)]);
    expect(asked.filter((question) => question.startsWith("docker info"))).toHaveLength(1);
  });

  it("takes the oldest of the cards the container will get", async () => {
    expect((await detect(probes.twoCards))["attic"]?.computeCapability).toBe("8.6");
    expect(
      (await detect(probes.twoCards, { gpus: { count: -1 } }))["attic"]?.computeCapability,
    ).toBe("5.0");
    expect(
      (await detect(probes.twoCards, { gpus: { ids: ["1"] } }))["attic"]?.computeCapability,
    ).toBe("5.0");
  });

  it("asks for the compute capability where an old driver does not report it", async () => {
    await expect(detect(probes.unknownOldCard)).rejects.toThrow(
      /attic: this driver does not report the compute capability of GeForce Engineering Sample/,
    );
  });

  it("refuses a host whose machine cannot be asked, or does not answer", async () => {
    const ask = (host: Partial<HostSettings>, result: CommandResult) =>
      detectGpus(settings([{ ...undecided, ...host }]), (program) =>
        Promise.resolve(
          program === "docker"
            ? { code: 0, stdout: JSON.stringify(engineAnswers.withToolkit), stderr: "" }
            : result,
        ),
      );
    const hung = { code: 124, stdout: "free 1\nask nvidia-smi\n", stderr: "" };
    await expect(ask({}, hung)).rejects.toThrow(/attic: NVIDIA's driver hangs/);
    const lost = { code: 255, stdout: "", stderr: "Connection closed" };
    await expect(ask({}, lost)).rejects.toThrow(/attic: the machine of .* \(Connection closed\)/);
    await expect(ask({ dockerHost: "tcp://box:2376" }, hung)).rejects.toThrow(
      /attic: tcp:\/\/box:2376 reaches only the Docker engine/,
    );
  });

  it.each([
    ["noDriver", /attic: NVIDIA's driver is missing \(there is no nvidia-smi\)/],
    ["brokenDriver", /attic: NVIDIA's driver does not work \(nvidia-smi: NVIDIA-SMI has failed/],
  ] as const)("refuses a host with %s", async (probe, message) => {
    await expect(detect(probes[probe])).rejects.toThrow(message);
  });
});
