import type { AcceleratorName } from "./accelerators";

/** What a variable's value may be. Limits are inclusive. */
export type ValueType =
  | { readonly kind: "integer"; readonly minimum: number; readonly maximum?: number }
  | { readonly kind: "boolean" }
  | { readonly kind: "choice"; readonly allowed: readonly string[] }
  | { readonly kind: "text"; readonly pattern?: RegExp; readonly allowed: string };

/** A name the ML server reads the setting under, and in which releases of Immich. */
export interface VariableName {
  readonly variable: string;
  /** The first release that reads it. @default every release supported here */
  readonly since?: string;
  /** The first release that no longer reads it. @default none */
  readonly until?: string;
}

interface EnvironmentRow {
  /** The variable's names, newest release first. */
  readonly names: readonly [VariableName, ...VariableName[]];
  readonly type: ValueType;
  /** What holds when the setting is absent, in words. */
  readonly standard: string;
  readonly effect: string;
  /** Why the ML server ignores it, and what does the job instead. @default it has an effect */
  readonly ignoredReason?: string;
  /** What to set where no release from a certain one on reads any of its names. @default nothing */
  readonly replacedBy?: string;
  /** Whether the server takes its standard for a value that it does not know. @default it ends */
  readonly fallsBack?: boolean;
  /** The accelerators that react to it. @default all */
  readonly onlyFor?: readonly AcceleratorName[];
  /** Whether the value may hold a credential. @default false */
  readonly secret?: boolean;
  /** Where the row comes from. @default immich_ml/config.py of {@link newestReleaseRead} */
  readonly source?: string;
}

/** One setting of the ML server that its environment makes. */
export interface EnvironmentSetting extends EnvironmentRow {
  /** The name in a stack file. */
  readonly setting: string;
}

/** The newest release whose configuration was read for this table. */
export const newestReleaseRead = "3.1.0";

const integer = (minimum: number, maximum?: number): ValueType =>
  maximum === undefined ? { kind: "integer", minimum } : { kind: "integer", minimum, maximum };
const boolean: ValueType = { kind: "boolean" };
const modelList: ValueType = {
  kind: "text",
  pattern: /^[\w.-]+(,[\w.-]+)*$/,
  allowed: "one model name, or several separated by commas",
};
const address: ValueType = { kind: "text", pattern: /^\S+$/, allowed: "an address without blanks" };
const url: ValueType = {
  kind: "text",
  pattern: /^https?:\/\/\S+$/,
  allowed: "an http:// or https:// address",
};
const proxy: ValueType = {
  kind: "text",
  pattern: /^(https?|socks[45][ah]?):\/\/[^\s/]\S*$/,
  allowed: "an http://, https:// or socks5h:// address",
};
const precision: ValueType = { kind: "choice", allowed: ["FP16", "FP32"] };

const rows: Readonly<Record<string, EnvironmentRow>> = {
  cacheFolder: {
    names: [{ variable: "MACHINE_LEARNING_CACHE_FOLDER" }],
    type: { kind: "text", pattern: /^\/\S*$/, allowed: "an absolute path in the container" },
    standard: "/cache (set by the image)",
    effect: "Folder the models are downloaded to and loaded from.",
  },
  modelTtl: {
    names: [{ variable: "MACHINE_LEARNING_MODEL_TTL" }],
    type: integer(0),
    standard: "300",
    effect:
      "Seconds without a request after which the worker restarts, which alone frees video memory; 0 never does.",
  },
  modelTtlPoll: {
    names: [{ variable: "MACHINE_LEARNING_MODEL_TTL_POLL_S" }],
    type: integer(0),
    standard: "10",
    effect: "Seconds between two checks of modelTtl; 0 never checks.",
  },
  workers: {
    names: [{ variable: "MACHINE_LEARNING_WORKERS" }],
    type: integer(1),
    standard: "1",
    effect: "Processes that serve requests; each loads its own copy of the models.",
  },
  workerTimeout: {
    names: [{ variable: "MACHINE_LEARNING_WORKER_TIMEOUT" }],
    type: integer(0),
    standard: "300 (900 with DEVICE=rocm since v3.0.0; 120 before v1.131.0)",
    effect: "Seconds of silence after which a worker is killed; 0 never kills.",
  },
  httpKeepaliveTimeout: {
    names: [{ variable: "MACHINE_LEARNING_HTTP_KEEPALIVE_TIMEOUT_S", since: "1.113.0" }],
    type: integer(0),
    standard: "2",
    effect: "Seconds an idle connection of the Immich server is kept open.",
  },
  requestThreads: {
    names: [{ variable: "MACHINE_LEARNING_REQUEST_THREADS" }],
    type: integer(0),
    standard: "the number of CPU cores",
    effect:
      "Requests a worker computes at the same time; 0 computes them strictly one after another.",
  },
  modelInterOpThreads: {
    names: [{ variable: "MACHINE_LEARNING_MODEL_INTER_OP_THREADS" }],
    type: integer(0),
    standard: "0 (automatic: 1 on the CPU)",
    effect: "Threads for operators that can run beside one another.",
  },
  modelIntraOpThreads: {
    names: [{ variable: "MACHINE_LEARNING_MODEL_INTRA_OP_THREADS" }],
    type: integer(0),
    standard: "0 (automatic: 2 on the CPU)",
    effect: "Threads inside one operator.",
  },
  modelArena: {
    names: [{ variable: "MACHINE_LEARNING_MODEL_ARENA", since: "2.2.0" }],
    type: boolean,
    standard: "true (the CPU and CUDA images set false)",
    effect: "Whether main memory is allocated ahead of time: faster, but takes more.",
  },
  ann: {
    names: [{ variable: "MACHINE_LEARNING_ANN" }],
    type: boolean,
    standard: "true",
    effect: "Whether ARM NN is used where it is found.",
    onlyFor: ["armnn"],
  },
  annFp16Turbo: {
    names: [{ variable: "MACHINE_LEARNING_ANN_FP16_TURBO", since: "1.110.0" }],
    type: boolean,
    standard: "false",
    effect: "Whether ARM NN computes in half precision.",
    onlyFor: ["armnn"],
  },
  annTuningLevel: {
    names: [{ variable: "MACHINE_LEARNING_ANN_TUNING_LEVEL", since: "1.110.0" }],
    type: integer(0, 3),
    standard: "2",
    effect:
      "How long ARM NN tunes itself to the GPU: 1 rapid, 2 normal, 3 exhaustive, 0 not at all.",
    onlyFor: ["armnn"],
  },
  rknn: {
    names: [{ variable: "MACHINE_LEARNING_RKNN", since: "1.130.0" }],
    type: boolean,
    standard: "true",
    effect: "Whether the Rockchip NPU is used where it is found.",
    onlyFor: ["rknn"],
  },
  rknnThreads: {
    names: [{ variable: "MACHINE_LEARNING_RKNN_THREADS", since: "1.130.0" }],
    type: integer(1),
    standard: "1",
    effect: "Threads that feed the Rockchip NPU; each loads the model.",
    onlyFor: ["rknn"],
  },
  preloadClipTextual: {
    names: [{ variable: "MACHINE_LEARNING_PRELOAD__CLIP__TEXTUAL", since: "1.125.0" }],
    type: modelList,
    standard: "none",
    effect: "CLIP text models loaded when a worker starts.",
  },
  preloadClipVisual: {
    names: [{ variable: "MACHINE_LEARNING_PRELOAD__CLIP__VISUAL", since: "1.125.0" }],
    type: modelList,
    standard: "none",
    effect: "CLIP image models loaded when a worker starts.",
  },
  preloadClip: {
    names: [{ variable: "MACHINE_LEARNING_PRELOAD__CLIP", since: "1.98.0", until: "3.0.0" }],
    type: modelList,
    standard: "none",
    effect: "CLIP models, text and image, loaded when a worker starts.",
    replacedBy: "preloadClipTextual and preloadClipVisual",
    source: "immich_ml/config.py, v1.98.0 to v2.7.5; since v1.125.0 it stands for the two",
  },
  preloadFaceDetection: {
    names: [
      { variable: "MACHINE_LEARNING_PRELOAD__FACIAL_RECOGNITION__DETECTION", since: "1.125.0" },
    ],
    type: modelList,
    standard: "none",
    effect: "Face detection models loaded when a worker starts.",
  },
  preloadFaceRecognition: {
    names: [
      { variable: "MACHINE_LEARNING_PRELOAD__FACIAL_RECOGNITION__RECOGNITION", since: "1.125.0" },
    ],
    type: modelList,
    standard: "none",
    effect: "Face recognition models loaded when a worker starts.",
  },
  preloadFacialRecognition: {
    names: [
      {
        variable: "MACHINE_LEARNING_PRELOAD__FACIAL_RECOGNITION",
        since: "1.98.0",
        until: "3.0.0",
      },
    ],
    type: modelList,
    standard: "none",
    effect: "Face models, detection and recognition, loaded when a worker starts.",
    replacedBy: "preloadFaceDetection and preloadFaceRecognition",
    source: "immich_ml/config.py, v1.98.0 to v2.7.5; since v1.125.0 it stands for the two",
  },
  preloadOcrDetection: {
    names: [{ variable: "MACHINE_LEARNING_PRELOAD__OCR__DETECTION", since: "2.3.0" }],
    type: modelList,
    standard: "none",
    effect: "Text detection models loaded when a worker starts.",
  },
  preloadOcrRecognition: {
    names: [{ variable: "MACHINE_LEARNING_PRELOAD__OCR__RECOGNITION", since: "2.3.0" }],
    type: modelList,
    standard: "none",
    effect: "Text recognition models loaded when a worker starts.",
  },
  maxBatchSizeFacialRecognition: {
    names: [{ variable: "MACHINE_LEARNING_MAX_BATCH_SIZE__FACIAL_RECOGNITION", since: "1.119.0" }],
    type: integer(1),
    standard: "no limit (1 with OpenVINO)",
    effect: "Faces of one picture computed at once; fewer need less video memory.",
  },
  maxBatchSizeOcr: {
    names: [
      { variable: "MACHINE_LEARNING_MAX_BATCH_SIZE__OCR", since: "2.6.0" },
      {
        variable: "MACHINE_LEARNING_MAX_BATCH_SIZE__TEXT_RECOGNITION",
        since: "2.2.0",
        until: "3.0.0",
      },
    ],
    type: integer(1),
    standard: "6",
    effect: "Lines of text of one picture computed at once; fewer need less video memory.",
    source:
      "immich_ml/config.py; renamed in v2.6.0, which reads the old name until v3.0.0, though the documentation of v2.2.0 already had the new one",
  },
  openvinoPrecision: {
    names: [{ variable: "MACHINE_LEARNING_OPENVINO_PRECISION", since: "2.3.0" }],
    type: precision,
    standard: "FP32",
    effect: "Precision OpenVINO computes in.",
    onlyFor: ["openvino", "openvino-wsl"],
  },
  rocmPrecision: {
    names: [{ variable: "MACHINE_LEARNING_ROCM_PRECISION", since: "2.6.0" }],
    type: precision,
    standard: "FP32",
    effect: "Precision ROCm computes in.",
    onlyFor: ["rocm"],
  },
  deviceIds: {
    names: [{ variable: "MACHINE_LEARNING_DEVICE_IDS", since: "1.118.0" }],
    type: {
      kind: "text",
      pattern: /^\d+(,\d+)*$/,
      allowed: "GPU numbers as the container counts them, separated by commas",
    },
    standard: "0",
    effect: "GPUs given to the workers in turn; needs as many workers to use all of them.",
    source: "immich_ml/gunicorn_conf.py, v3.1.0",
  },
  deviceId: {
    names: [{ variable: "MACHINE_LEARNING_DEVICE_ID", since: "1.118.0" }],
    type: integer(0),
    standard: "set by the server itself",
    effect: "The GPU of one worker.",
    ignoredReason: "the server overwrites it for every worker (immich#29457); use deviceIds",
    source: "immich_ml/gunicorn_conf.py, v3.1.0",
  },
  testFull: {
    names: [{ variable: "MACHINE_LEARNING_TEST_FULL" }],
    type: boolean,
    standard: "false",
    effect: "Makes Immich's own tests complete.",
    ignoredReason: "only Immich's own tests read it",
  },
  maxJobsPerWorker: {
    names: [{ variable: "MACHINE_LEARNING_MAX_JOBS_PER_WORKER" }],
    type: integer(1),
    standard: "none",
    effect: "Meant to limit a worker to so many jobs.",
    ignoredReason:
      "no release of Immich ever read it; requestThreads and the job concurrency in Immich's configuration limit the jobs",
    source: "absent from the whole history of Immich's machine-learning folder",
  },
  device: {
    names: [{ variable: "DEVICE" }],
    type: { kind: "choice", allowed: ["cpu", "cuda", "rocm", "openvino", "armnn", "rknn"] },
    standard: "none",
    effect: "With rocm, since v3.0.0: raises the standard workerTimeout to 900 seconds.",
    ignoredReason:
      "it is an argument of the image's build; the image and its accelerator decide where models run",
    onlyFor: ["rocm"],
  },
  host: {
    names: [
      { variable: "IMMICH_HOST", since: "1.106.0" },
      { variable: "MACHINE_LEARNING_HOST", until: "1.106.0" },
    ],
    type: address,
    standard: "[::], every address (0.0.0.0 before v1.100.0, and where the machine has no IPv6)",
    effect: "Address in the container the server listens on.",
  },
  port: {
    names: [
      { variable: "IMMICH_PORT", since: "1.106.0" },
      { variable: "MACHINE_LEARNING_PORT", until: "1.106.0" },
    ],
    type: integer(1, 65535),
    standard: "3003",
    effect: "Port in the container the server listens on.",
  },
  logLevel: {
    names: [
      { variable: "IMMICH_LOG_LEVEL", since: "1.106.0" },
      { variable: "LOG_LEVEL", until: "1.106.0" },
    ],
    fallsBack: true,
    type: {
      kind: "choice",
      allowed: ["critical", "error", "warning", "warn", "info", "log", "debug", "verbose"],
    },
    standard: "info",
    effect: "How much the server logs.",
  },
  noColor: {
    names: [{ variable: "NO_COLOR" }],
    type: boolean,
    standard: "false",
    effect: "Whether the log is free of colours.",
  },
  huggingFaceEndpoint: {
    names: [{ variable: "HF_ENDPOINT" }],
    type: url,
    standard: "https://huggingface.co",
    effect: "Mirror the models are downloaded from (immich#8874).",
    source: "huggingface_hub, environment variables",
  },
  huggingFaceHome: {
    names: [{ variable: "HF_HOME" }],
    type: { kind: "text", pattern: /^\/\S*$/, allowed: "an absolute path in the container" },
    standard: "~/.cache/huggingface",
    effect: "Folder of the download library's own cache.",
    source: "huggingface_hub, environment variables",
  },
  huggingFaceOffline: {
    names: [{ variable: "HF_HUB_OFFLINE" }],
    type: boolean,
    standard: "false",
    effect: "Forbids every download; only models already in the cache are used.",
    source: "huggingface_hub, environment variables",
  },
  huggingFaceToken: {
    names: [{ variable: "HF_TOKEN" }],
    type: address,
    standard: "none",
    effect: "Access token for downloads.",
    secret: true,
    source: "huggingface_hub, environment variables",
  },
  httpProxy: {
    names: [{ variable: "HTTP_PROXY" }],
    type: proxy,
    standard: "none",
    effect: "Proxy for downloads over http.",
    secret: true,
    source: "read by the HTTP library of huggingface_hub",
  },
  httpsProxy: {
    names: [{ variable: "HTTPS_PROXY" }],
    type: proxy,
    standard: "none",
    effect: "Proxy for downloads over https.",
    secret: true,
    source: "read by the HTTP library of huggingface_hub",
  },
  noProxy: {
    names: [{ variable: "NO_PROXY" }],
    type: address,
    standard: "none",
    effect: "Hosts reached without the proxy, separated by commas.",
    source: "read by the HTTP library of huggingface_hub",
  },
  timeZone: {
    names: [{ variable: "TZ" }],
    type: address,
    standard: "UTC",
    effect: "Time zone of the log's times.",
    source: "the C library",
  },
  cudaUnavailable: {
    names: [{ variable: "ORT_CUDA_UNAVAILABLE" }],
    type: { kind: "choice", allowed: ["1"] },
    standard: "1 with accelerator cpu, otherwise unset",
    effect: "ONNX Runtime leaves the CUDA execution provider out.",
    source: "observed with ONNX Runtime 1.14.1 and 1.26.0",
  },
  hsaOverrideGfxVersion: {
    names: [{ variable: "HSA_OVERRIDE_GFX_VERSION" }],
    type: {
      kind: "text",
      pattern: /^\d+\.\d+\.\d+$/,
      allowed: "three numbers separated by points, such as 10.3.0",
    },
    standard: "none",
    effect: "Makes ROCm treat the GPU as another one.",
    onlyFor: ["rocm"],
    source: "ROCm; immich#16613",
  },
};

export const environmentSettings: readonly EnvironmentSetting[] = Object.entries(rows).map(
  ([setting, row]) => ({ setting, ...row }),
);
