import { named } from "../util/named";

/**
 * The accelerators Immich's machine learning can compute on, and what a container needs to reach
 * each. Devices, mounts, groups and options are those of Immich's own `docker/hwaccel.ml.yml`
 * (v3.1.0); the prerequisites are those of its page "Hardware-Accelerated Machine Learning".
 */

/** An architecture by the name that image references and `docker version` use. */
export type Architecture = "amd64" | "arm64";

/** A file or folder of the host that the container sees. */
export interface HostMount {
  readonly hostPath: string;
  readonly containerPath: string;
  readonly readOnly: boolean;
  /** Whether Immich works without it; then it is mounted only where the host has it. */
  readonly optional: boolean;
}

/** A request to the engine for GPUs, as in compose's `deploy.resources.reservations.devices`. */
export interface GpuRequest {
  readonly driver: string;
  readonly count: number;
  readonly capabilities: readonly string[];
}

/** Something the host must have before the container can use the accelerator. */
export interface Prerequisite {
  /** A noun phrase. */
  readonly what: string;
  /** A path on the host whose absence shows that it is missing. */
  readonly path?: string;
  /** True when the path must hold a render node, such as /dev/dri/renderD128. */
  readonly needsRenderNode?: true;
  /** The command or the page that helps. */
  readonly fix: string;
}

interface AcceleratorFacts {
  /** The kind of hardware, in words. */
  readonly title: string;
  /** What follows the version in the tag of Immich's official image, e.g. `-cuda`. */
  readonly imageSuffix: string;
  /** The architectures Immich publishes the image for. */
  readonly architectures: readonly Architecture[];
  /** Device nodes, under the same path in the container, with permissions `rwm`. */
  readonly devices: readonly string[];
  readonly mounts: readonly HostMount[];
  /** Rules in the form of `docker run --device-cgroup-rule`. */
  readonly deviceCgroupRules: readonly string[];
  /** Supplementary groups of the container's process, by name. */
  readonly groups: readonly string[];
  readonly securityOptions: readonly string[];
  /** Of NVIDIA GPUs only: the other accelerators are reached by their devices. */
  readonly gpuRequest?: GpuRequest;
  /** Whether the images of {@link gpuFamilies} run on it. @default false */
  readonly runsGpuFamilyImages?: boolean;
  /** Whether it computes on a render node, `/dev/dri/renderD…`. @default false */
  readonly needsRenderNode?: boolean;
  /** Variables the container needs for it; those of a stack file win. */
  readonly environment: Readonly<Record<string, string>>;
  /** The first release of Immich with an image for it. */
  readonly minimumImmichVersion: string;
  /** What must compute for the check to pass, any one of them: an ONNX Runtime provider, or the session. */
  readonly executionProviders: readonly [string, ...string[]];
  /** Immich's own session beside ONNX Runtime. @default ONNX Runtime computes */
  readonly session?: ImmichSession;
  readonly prerequisites: readonly Prerequisite[];
  /** GiB that an image for it takes at most, unpacked. An estimate, so only a warning follows from it. */
  readonly imageDisk: number;
  /** Where these facts come from. */
  readonly source: string;
}

/** A session of Immich's ML server that runs models of its own format, so no ONNX file tests it. */
export interface ImmichSession {
  /** The Python module whose `is_available` says whether the server would use it. */
  readonly module: string;
  /** What to check on the host where it is not available. */
  readonly hint: string;
}

export type Accelerator = AcceleratorFacts & { readonly name: AcceleratorName };

const nothing = {
  devices: [],
  mounts: [],
  deviceCgroupRules: [],
  groups: [],
  securityOptions: [],
  prerequisites: [],
  environment: {},
} as const;

/** The same path in the container, writable and required by default. */
const mount = (path: string, options: Partial<HostMount> = {}): HostMount => ({
  hostPath: path,
  containerPath: path,
  readOnly: false,
  optional: false,
  ...options,
});

const renderNode: Prerequisite = {
  what: "the GPU's device nodes in /dev/dri",
  path: "/dev/dri",
  needsRenderNode: true,
  fix: "load the kernel's graphics driver (ls /dev/dri must list a renderD node)",
};

const documentation = "https://docs.immich.app/features/ml-hardware-acceleration";

const rows = {
  cpu: {
    ...nothing,
    title: "no accelerator",
    // Without it an image with CUDA tries that first, and every session fails for want of a driver
    // ("CUDA failure 35", ONNX Runtime 1.14.1 and 1.26.0).
    environment: { ORT_CUDA_UNAVAILABLE: "1" },
    runsGpuFamilyImages: true,
    imageSuffix: "",
    architectures: ["amd64", "arm64"],
    imageDisk: 3,
    minimumImmichVersion: "1.0.0",
    executionProviders: ["CPUExecutionProvider"],
    source: "hwaccel.ml.yml, service cpu",
  },
  cuda: {
    ...nothing,
    title: "NVIDIA GPU",
    imageSuffix: "-cuda",
    architectures: ["amd64"],
    gpuRequest: { driver: "nvidia", count: 1, capabilities: ["gpu"] },
    runsGpuFamilyImages: true,
    imageDisk: 8,
    minimumImmichVersion: "1.94.0",
    executionProviders: ["CUDAExecutionProvider"],
    prerequisites: [
      {
        what: "NVIDIA's proprietary driver",
        fix: "install the newest driver that still supports the GPU, then run nvidia-smi to check",
      },
      {
        what: "the NVIDIA Container Toolkit",
        fix: "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html",
      },
    ],
    source: "hwaccel.ml.yml, service cuda; v1.94 to v1.98 also asked for compute and video",
  },
  armnn: {
    ...nothing,
    title: "ARM Mali GPU",
    imageSuffix: "-armnn",
    architectures: ["arm64"],
    devices: ["/dev/mali0"],
    mounts: [
      mount("/lib/firmware/mali_csffw.bin", { readOnly: true, optional: true }),
      mount("/usr/lib/libmali.so", { readOnly: true }),
    ],
    imageDisk: 3,
    minimumImmichVersion: "1.94.0",
    executionProviders: ["ArmNN"],
    session: {
      module: "immich_ml.sessions.ann.loader",
      hint: "check libmali.so and /dev/mali0",
    },
    prerequisites: [
      {
        what: "the Mali kernel driver (/dev/mali0)",
        path: "/dev/mali0",
        fix: `use the device vendor's Linux image, see ${documentation}#arm-nn`,
      },
      {
        what: "the closed-source Mali library (/usr/lib/libmali.so)",
        path: "/usr/lib/libmali.so",
        fix: `get libmali.so from the device's vendor, see ${documentation}#arm-nn`,
      },
    ],
    source: "hwaccel.ml.yml, service armnn: the firmware is «not always required»",
  },
  openvino: {
    ...nothing,
    title: "Intel GPU",
    imageSuffix: "-openvino",
    architectures: ["amd64"],
    devices: ["/dev/dri"],
    mounts: [mount("/dev/bus/usb", { optional: true })],
    deviceCgroupRules: ["c 189:* rmw"],
    imageDisk: 4,
    minimumImmichVersion: "1.94.0",
    executionProviders: ["OpenVINOExecutionProvider"],
    needsRenderNode: true,
    prerequisites: [renderNode],
    source:
      "hwaccel.ml.yml, service openvino; USB serves Intel's Neural Compute Stick, and guests of LXC and virtual machines often have none",
  },
  "openvino-wsl": {
    ...nothing,
    title: "Intel GPU under WSL2",
    imageSuffix: "-openvino",
    architectures: ["amd64"],
    devices: ["/dev/dri", "/dev/dxg"],
    mounts: [mount("/dev/bus/usb", { optional: true }), mount("/usr/lib/wsl")],
    imageDisk: 4,
    minimumImmichVersion: "1.94.0",
    executionProviders: ["OpenVINOExecutionProvider"],
    needsRenderNode: true,
    prerequisites: [
      renderNode,
      {
        what: "WSL2's GPU device (/dev/dxg)",
        path: "/dev/dxg",
        fix: "update WSL with: wsl --update, and install the GPU's Windows driver",
      },
      {
        what: "WSL2's driver libraries (/usr/lib/wsl)",
        path: "/usr/lib/wsl",
        fix: "update WSL with: wsl --update, and install the GPU's Windows driver",
      },
    ],
    source: "hwaccel.ml.yml, service openvino-wsl",
  },
  rocm: {
    ...nothing,
    title: "AMD GPU",
    imageSuffix: "-rocm",
    architectures: ["amd64"],
    devices: ["/dev/dri", "/dev/kfd"],
    groups: ["video"],
    imageDisk: 35,
    minimumImmichVersion: "1.130.0",
    executionProviders: ["MIGraphXExecutionProvider", "ROCMExecutionProvider"],
    needsRenderNode: true,
    prerequisites: [
      renderNode,
      {
        what: "the AMD compute device (/dev/kfd)",
        path: "/dev/kfd",
        fix: "load the amdgpu kernel driver with ROCm support, see https://rocm.docs.amd.com",
      },
    ],
    source:
      "hwaccel.ml.yml, service rocm; immich#16613; ONNX Runtime's ROCm provider gave way to MIGraphX with immich#26178",
  },
  rknn: {
    ...nothing,
    title: "Rockchip NPU",
    imageSuffix: "-rknn",
    architectures: ["arm64"],
    devices: ["/dev/dri"],
    securityOptions: ["systempaths=unconfined", "apparmor=unconfined"],
    imageDisk: 3,
    minimumImmichVersion: "1.130.0",
    executionProviders: ["RKNN"],
    session: { module: "immich_ml.sessions.rknn", hint: "check the rknpu kernel driver" },
    prerequisites: [
      {
        what: "the NPU's device nodes in /dev/dri",
        path: "/dev/dri",
        fix: `use the board vendor's kernel with the rknpu driver, see ${documentation}#rknn`,
      },
    ],
    source: "hwaccel.ml.yml, service rknn",
  },
} satisfies Readonly<Record<string, AcceleratorFacts>>;

export type AcceleratorName = keyof typeof rows;

export const acceleratorNames = Object.keys(rows) as readonly AcceleratorName[];

export const accelerators = named<AcceleratorName, AcceleratorFacts>(rows);

/** What people call an accelerator: its maker, or a name of hwaccel.transcoding.yml. */
const otherNames: Readonly<Record<string, AcceleratorName>> = {
  nvidia: "cuda",
  nvenc: "cuda",
  amd: "rocm",
  radeon: "rocm",
  migraphx: "rocm",
  intel: "openvino",
  quicksync: "openvino",
  qsv: "openvino",
  mali: "armnn",
  ann: "armnn",
  rockchip: "rknn",
  rkmpp: "rknn",
  npu: "rknn",
  none: "cpu",
};

/** The accelerator that is meant by another name of it; undefined for any other text. */
export function acceleratorCalled(text: string): AcceleratorName | undefined {
  const name = text.toLowerCase();
  return Object.hasOwn(otherNames, name) ? otherNames[name] : undefined;
}

/** The accelerators that an image is made for, as its tag says; none where it does not. */
export function acceleratorsOfImage(image: string): readonly AcceleratorName[] {
  const fitting = acceleratorNames.filter((name) => {
    const { imageSuffix } = accelerators[name];
    return imageSuffix !== "" && new RegExp(`${imageSuffix}(@|$)`).test(image);
  });
  const isOfficial = /(^|\/)immich-machine-learning[:@]/.test(image);
  return fitting.length === 0 && isOfficial ? ["cpu"] : fitting;
}

/** Whether the text is the name of an accelerator. */
export function isAcceleratorName(text: string): text is AcceleratorName {
  return Object.hasOwn(accelerators, text);
}
