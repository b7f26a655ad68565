/**
 * The accelerators Immich's machine learning can compute on, and what a container needs to reach
 * each of them. The devices, mounts, groups and options are those of Immich's own
 * `docker/hwaccel.ml.yml` (v3.1.0); the prerequisites are those of its page
 * "Hardware-Accelerated Machine Learning".
 */

export const acceleratorNames = [
  "cpu",
  "cuda",
  "armnn",
  "openvino",
  "openvino-wsl",
  "rocm",
  "rknn",
] as const;

export type AcceleratorName = (typeof acceleratorNames)[number];

/** How an architecture is called in image references and by `docker version`. */
export type Architecture = "amd64" | "arm64";

/** A file or folder of the host made visible in the container. */
export interface HostMount {
  readonly hostPath: string;
  readonly containerPath: string;
  readonly readOnly: boolean;
  /** True when Immich works without it: it is mounted only where the host has it. */
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
  /** What must be there, as a noun phrase. */
  readonly what: string;
  /** A path on the host whose absence shows that it is missing. */
  readonly path?: string;
  /** The command or the page that puts it right. */
  readonly fix: string;
}

export interface Accelerator {
  readonly name: AcceleratorName;
  /** For people: the kind of hardware. */
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
  readonly gpuRequest?: GpuRequest;
  /** Variables the container needs for it, by name; a stack file's own win. */
  readonly environment: Readonly<Record<string, string>>;
  /** The first release of Immich with an image for it. */
  readonly minimumImmichVersion: string;
  /** The check passes when any of them computes; ONNX Runtime's, or the name of `ownSession`. */
  readonly executionProviders: readonly [string, ...string[]];
  /**
   * Immich's own session, where ONNX Runtime does not serve the accelerator. It runs models of its own
   * format and cannot be profiled, so the check verifies only that it is available.
   */
  readonly ownSession?: {
    /** The module of Immich's server with its `is_available`. */
    readonly module: string;
    /** What to do when it is not available. */
    readonly hint: string;
  };
  readonly prerequisites: readonly Prerequisite[];
  /** GiB an image for it takes at most, unpacked; an estimate, only warned about. */
  readonly imageDisk: number;
  /** Where these facts come from, when not only from `hwaccel.ml.yml`. */
  readonly source: string;
}

const nothing = {
  devices: [],
  mounts: [],
  deviceCgroupRules: [],
  groups: [],
  securityOptions: [],
  prerequisites: [],
  environment: {},
} as const;

const renderNode: Prerequisite = {
  what: "the GPU's device nodes in /dev/dri",
  path: "/dev/dri",
  fix: "load the kernel's graphics driver (ls /dev/dri must list a renderD node)",
};

const documentation = "https://docs.immich.app/features/ml-hardware-acceleration";

export const accelerators: Readonly<Record<AcceleratorName, Accelerator>> = {
  cpu: {
    ...nothing,
    name: "cpu",
    title: "no accelerator",
    // An image with CUDA otherwise tries it first, and every session fails without a driver
    // ("CUDA failure 35", seen with ONNX Runtime 1.14.1 and 1.26.0).
    environment: { ORT_CUDA_UNAVAILABLE: "1" },
    imageSuffix: "",
    architectures: ["amd64", "arm64"],
    imageDisk: 3,
    minimumImmichVersion: "1.0.0",
    executionProviders: ["CPUExecutionProvider"],
    source: "hwaccel.ml.yml, service cpu",
  },
  cuda: {
    ...nothing,
    name: "cuda",
    title: "NVIDIA GPU",
    imageSuffix: "-cuda",
    architectures: ["amd64"],
    gpuRequest: { driver: "nvidia", count: 1, capabilities: ["gpu"] },
    imageDisk: 8,
    minimumImmichVersion: "1.94.0",
    executionProviders: ["CUDAExecutionProvider"],
    prerequisites: [
      {
        what: "NVIDIA's proprietary driver",
        fix: "install the newest driver that still supports the card, then check with: nvidia-smi",
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
    name: "armnn",
    title: "ARM Mali GPU",
    imageSuffix: "-armnn",
    architectures: ["arm64"],
    devices: ["/dev/mali0"],
    mounts: [
      {
        hostPath: "/lib/firmware/mali_csffw.bin",
        containerPath: "/lib/firmware/mali_csffw.bin",
        readOnly: true,
        optional: true,
      },
      {
        hostPath: "/usr/lib/libmali.so",
        containerPath: "/usr/lib/libmali.so",
        readOnly: true,
        optional: false,
      },
    ],
    imageDisk: 3,
    minimumImmichVersion: "1.94.0",
    executionProviders: ["ArmNN"],
    ownSession: {
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
    name: "openvino",
    title: "Intel GPU",
    imageSuffix: "-openvino",
    architectures: ["amd64"],
    devices: ["/dev/dri"],
    mounts: [
      {
        hostPath: "/dev/bus/usb",
        containerPath: "/dev/bus/usb",
        readOnly: false,
        optional: false,
      },
    ],
    deviceCgroupRules: ["c 189:* rmw"],
    imageDisk: 4,
    minimumImmichVersion: "1.94.0",
    executionProviders: ["OpenVINOExecutionProvider"],
    prerequisites: [renderNode],
    source: "hwaccel.ml.yml, service openvino",
  },
  "openvino-wsl": {
    ...nothing,
    name: "openvino-wsl",
    title: "Intel GPU under WSL2",
    imageSuffix: "-openvino",
    architectures: ["amd64"],
    devices: ["/dev/dri", "/dev/dxg"],
    mounts: [
      {
        hostPath: "/dev/bus/usb",
        containerPath: "/dev/bus/usb",
        readOnly: false,
        optional: false,
      },
      {
        hostPath: "/usr/lib/wsl",
        containerPath: "/usr/lib/wsl",
        readOnly: false,
        optional: false,
      },
    ],
    imageDisk: 4,
    minimumImmichVersion: "1.94.0",
    executionProviders: ["OpenVINOExecutionProvider"],
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
    name: "rocm",
    title: "AMD GPU",
    imageSuffix: "-rocm",
    architectures: ["amd64"],
    devices: ["/dev/dri", "/dev/kfd"],
    groups: ["video"],
    imageDisk: 35,
    minimumImmichVersion: "1.130.0",
    executionProviders: ["MIGraphXExecutionProvider", "ROCMExecutionProvider"],
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
    name: "rknn",
    title: "Rockchip NPU",
    imageSuffix: "-rknn",
    architectures: ["arm64"],
    devices: ["/dev/dri"],
    securityOptions: ["systempaths=unconfined", "apparmor=unconfined"],
    imageDisk: 3,
    minimumImmichVersion: "1.130.0",
    executionProviders: ["RKNN"],
    ownSession: { module: "immich_ml.sessions.rknn", hint: "check the rknpu kernel driver" },
    prerequisites: [
      {
        what: "the NPU's device nodes in /dev/dri",
        path: "/dev/dri",
        fix: "use the board vendor's kernel with the rknpu driver, see " + documentation + "#rknn",
      },
    ],
    source: "hwaccel.ml.yml, service rknn",
  },
};

/** Whether the text is the name of an accelerator. */
export function isAcceleratorName(text: string): text is AcceleratorName {
  return (acceleratorNames as readonly string[]).includes(text);
}
