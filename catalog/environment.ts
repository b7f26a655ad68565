import type { AcceleratorName } from "./accelerators";
import { atLeast, formatImmichVersion, type ImmichVersion } from "./immichVersion";
import { nearestNames } from "../util/nearestNames";

/** What a variable's value may be. Limits are inclusive. */
export type ValueType =
  | { readonly kind: "integer"; readonly minimum: number; readonly maximum?: number }
  | { readonly kind: "boolean" }
  | { readonly kind: "choice"; readonly allowed: readonly string[] }
  | { readonly kind: "text"; readonly pattern?: RegExp; readonly allowed: string };

/** A name the ML server reads the setting under, and in which releases of Immich. */
export interface VariableName {
  readonly variable: string;
  /** The first release that reads it. Absent: older than every release this project supports. */
  readonly since?: string;
  /** The first release that no longer reads it. */
  readonly until?: string;
}

/** One setting of the ML container that is made through its environment. */
export interface EnvironmentSetting {
  /** The name in a stack file. */
  readonly setting: string;
  /** The names of the variable through the releases. */
  readonly names: readonly [VariableName, ...VariableName[]];
  readonly type: ValueType;
  /** The value that holds when the setting is absent, for people. */
  readonly standard: string;
  readonly effect: string;
  /** Present when the ML server does not react to it: why, and what does the job. */
  readonly ignoredReason?: string;
  /** Present when only these accelerators react to it. */
  readonly onlyFor?: readonly AcceleratorName[];
  /** True when the value may hold a credential and must be kept secret. */
  readonly secret?: boolean;
  readonly source: string;
}

/** The newest release whose configuration was read for this table. */
export const newestReleaseRead = "3.1.0";

const config = "immich_ml/config.py, v3.1.0";
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
const precision: ValueType = { kind: "choice", allowed: ["FP16", "FP32"] };

export const environmentSettings: readonly EnvironmentSetting[] = [
  {
    setting: "cacheFolder",
    names: [{ variable: "MACHINE_LEARNING_CACHE_FOLDER" }],
    type: { kind: "text", pattern: /^\/\S*$/, allowed: "an absolute path in the container" },
    standard: "/cache (set by the image)",
    effect: "Folder the models are downloaded to and loaded from.",
    source: config,
  },
  {
    setting: "modelTtl",
    names: [{ variable: "MACHINE_LEARNING_MODEL_TTL" }],
    type: integer(0),
    standard: "300",
    effect:
      "Seconds without a request after which the worker restarts, which alone frees video memory; 0 never does.",
    source: config,
  },
  {
    setting: "modelTtlPoll",
    names: [{ variable: "MACHINE_LEARNING_MODEL_TTL_POLL_S" }],
    type: integer(0),
    standard: "10",
    effect: "Seconds between two looks at modelTtl; 0 never looks.",
    source: config,
  },
  {
    setting: "workers",
    names: [{ variable: "MACHINE_LEARNING_WORKERS" }],
    type: integer(1),
    standard: "1",
    effect: "Processes that serve requests; each loads its own copy of the models.",
    source: config,
  },
  {
    setting: "workerTimeout",
    names: [{ variable: "MACHINE_LEARNING_WORKER_TIMEOUT" }],
    type: integer(0),
    standard: "300 (900 with DEVICE=rocm since v3.0.0; 120 before v1.131.0)",
    effect: "Seconds of silence after which a worker is killed; 0 never kills.",
    source: config,
  },
  {
    setting: "httpKeepaliveTimeout",
    names: [{ variable: "MACHINE_LEARNING_HTTP_KEEPALIVE_TIMEOUT_S" }],
    type: integer(0),
    standard: "2",
    effect: "Seconds an idle connection of the Immich server is kept open.",
    source: config,
  },
  {
    setting: "requestThreads",
    names: [{ variable: "MACHINE_LEARNING_REQUEST_THREADS" }],
    type: integer(0),
    standard: "the number of CPU cores",
    effect:
      "Requests a worker computes at the same time; 0 computes them strictly one after another.",
    source: config,
  },
  {
    setting: "modelInterOpThreads",
    names: [{ variable: "MACHINE_LEARNING_MODEL_INTER_OP_THREADS" }],
    type: integer(0),
    standard: "0 (automatic: 1 on the CPU)",
    effect: "Threads for operators that can run beside one another.",
    source: config,
  },
  {
    setting: "modelIntraOpThreads",
    names: [{ variable: "MACHINE_LEARNING_MODEL_INTRA_OP_THREADS" }],
    type: integer(0),
    standard: "0 (automatic: 2 on the CPU)",
    effect: "Threads inside one operator.",
    source: config,
  },
  {
    setting: "modelArena",
    names: [{ variable: "MACHINE_LEARNING_MODEL_ARENA", since: "2.2.0" }],
    type: boolean,
    standard: "true (the CPU and CUDA images set false)",
    effect: "Whether main memory is allocated ahead of time: faster, but takes more.",
    source: config,
  },
  {
    setting: "ann",
    names: [{ variable: "MACHINE_LEARNING_ANN" }],
    type: boolean,
    standard: "true",
    effect: "Whether ARM NN is used where it is found.",
    onlyFor: ["armnn"],
    source: config,
  },
  {
    setting: "annFp16Turbo",
    names: [{ variable: "MACHINE_LEARNING_ANN_FP16_TURBO", since: "1.110.0" }],
    type: boolean,
    standard: "false",
    effect: "Whether ARM NN computes in half precision.",
    onlyFor: ["armnn"],
    source: config,
  },
  {
    setting: "annTuningLevel",
    names: [{ variable: "MACHINE_LEARNING_ANN_TUNING_LEVEL", since: "1.110.0" }],
    type: integer(0, 3),
    standard: "2",
    effect:
      "How long ARM NN tunes itself to the GPU: 1 rapid, 2 normal, 3 exhaustive, 0 not at all.",
    onlyFor: ["armnn"],
    source: config,
  },
  {
    setting: "rknn",
    names: [{ variable: "MACHINE_LEARNING_RKNN", since: "1.130.0" }],
    type: boolean,
    standard: "true",
    effect: "Whether the Rockchip NPU is used where it is found.",
    onlyFor: ["rknn"],
    source: config,
  },
  {
    setting: "rknnThreads",
    names: [{ variable: "MACHINE_LEARNING_RKNN_THREADS", since: "1.130.0" }],
    type: integer(1),
    standard: "1",
    effect: "Threads that feed the Rockchip NPU; each loads the model.",
    onlyFor: ["rknn"],
    source: config,
  },
  {
    setting: "preloadClipTextual",
    names: [{ variable: "MACHINE_LEARNING_PRELOAD__CLIP__TEXTUAL", since: "1.125.0" }],
    type: modelList,
    standard: "none",
    effect: "CLIP text models loaded when a worker starts.",
    source: config,
  },
  {
    setting: "preloadClipVisual",
    names: [{ variable: "MACHINE_LEARNING_PRELOAD__CLIP__VISUAL", since: "1.125.0" }],
    type: modelList,
    standard: "none",
    effect: "CLIP image models loaded when a worker starts.",
    source: config,
  },
  {
    setting: "preloadClip",
    names: [{ variable: "MACHINE_LEARNING_PRELOAD__CLIP", since: "1.98.0", until: "1.125.0" }],
    type: modelList,
    standard: "none",
    effect: "CLIP models loaded when a worker starts.",
    source: "immich_ml/config.py, v1.98.0 to v1.124",
  },
  {
    setting: "preloadFaceDetection",
    names: [
      { variable: "MACHINE_LEARNING_PRELOAD__FACIAL_RECOGNITION__DETECTION", since: "1.125.0" },
    ],
    type: modelList,
    standard: "none",
    effect: "Face detection models loaded when a worker starts.",
    source: config,
  },
  {
    setting: "preloadFaceRecognition",
    names: [
      { variable: "MACHINE_LEARNING_PRELOAD__FACIAL_RECOGNITION__RECOGNITION", since: "1.125.0" },
    ],
    type: modelList,
    standard: "none",
    effect: "Face recognition models loaded when a worker starts.",
    source: config,
  },
  {
    setting: "preloadFacialRecognition",
    names: [
      {
        variable: "MACHINE_LEARNING_PRELOAD__FACIAL_RECOGNITION",
        since: "1.98.0",
        until: "1.125.0",
      },
    ],
    type: modelList,
    standard: "none",
    effect: "Face models loaded when a worker starts.",
    source: "immich_ml/config.py, v1.98.0 to v1.124",
  },
  {
    setting: "preloadOcrDetection",
    names: [{ variable: "MACHINE_LEARNING_PRELOAD__OCR__DETECTION", since: "2.3.0" }],
    type: modelList,
    standard: "none",
    effect: "Text detection models loaded when a worker starts.",
    source: config,
  },
  {
    setting: "preloadOcrRecognition",
    names: [{ variable: "MACHINE_LEARNING_PRELOAD__OCR__RECOGNITION", since: "2.3.0" }],
    type: modelList,
    standard: "none",
    effect: "Text recognition models loaded when a worker starts.",
    source: config,
  },
  {
    setting: "maxBatchSizeFacialRecognition",
    names: [{ variable: "MACHINE_LEARNING_MAX_BATCH_SIZE__FACIAL_RECOGNITION", since: "1.119.0" }],
    type: integer(1),
    standard: "no limit (1 with OpenVINO)",
    effect: "Faces of one picture computed at once; fewer need less video memory.",
    source: config,
  },
  {
    setting: "maxBatchSizeOcr",
    names: [
      { variable: "MACHINE_LEARNING_MAX_BATCH_SIZE__OCR", since: "2.6.0" },
      {
        variable: "MACHINE_LEARNING_MAX_BATCH_SIZE__TEXT_RECOGNITION",
        since: "2.2.0",
        until: "2.6.0",
      },
    ],
    type: integer(1),
    standard: "6",
    effect: "Lines of text of one picture computed at once; fewer need less video memory.",
    source: `${config}; renamed in v2.6.0 although the documentation of v2.2.0 already had the new name`,
  },
  {
    setting: "openvinoPrecision",
    names: [{ variable: "MACHINE_LEARNING_OPENVINO_PRECISION", since: "2.3.0" }],
    type: precision,
    standard: "FP32",
    effect: "Precision OpenVINO computes in.",
    onlyFor: ["openvino", "openvino-wsl"],
    source: config,
  },
  {
    setting: "rocmPrecision",
    names: [{ variable: "MACHINE_LEARNING_ROCM_PRECISION", since: "2.6.0" }],
    type: precision,
    standard: "FP32",
    effect: "Precision ROCm computes in.",
    onlyFor: ["rocm"],
    source: config,
  },
  {
    setting: "deviceIds",
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
  {
    setting: "deviceId",
    names: [{ variable: "MACHINE_LEARNING_DEVICE_ID", since: "1.118.0" }],
    type: integer(0),
    standard: "set by the server itself",
    effect: "The GPU of one worker.",
    ignoredReason: "the server overwrites it for every worker (immich#29457); use deviceIds",
    source: "immich_ml/gunicorn_conf.py, v3.1.0",
  },
  {
    setting: "testFull",
    names: [{ variable: "MACHINE_LEARNING_TEST_FULL" }],
    type: boolean,
    standard: "false",
    effect: "Makes Immich's own tests complete.",
    ignoredReason: "only Immich's own tests read it",
    source: config,
  },
  {
    setting: "maxJobsPerWorker",
    names: [{ variable: "MACHINE_LEARNING_MAX_JOBS_PER_WORKER" }],
    type: integer(1),
    standard: "none",
    effect: "Meant to limit a worker to so many jobs.",
    ignoredReason:
      "no release of Immich ever read it; requestThreads and the job concurrency in Immich's configuration limit the jobs",
    source: "absent from the whole history of Immich's machine-learning folder",
  },
  {
    setting: "device",
    names: [{ variable: "DEVICE" }],
    type: { kind: "choice", allowed: ["cpu", "cuda", "rocm", "openvino", "armnn", "rknn"] },
    standard: "none",
    effect: "With rocm, since v3.0.0: raises the standard workerTimeout to 900 seconds.",
    ignoredReason:
      "it is an argument of the image's build; the image and its accelerator decide where models run",
    onlyFor: ["rocm"],
    source: config,
  },
  {
    setting: "host",
    names: [
      { variable: "IMMICH_HOST", since: "1.131.0" },
      { variable: "MACHINE_LEARNING_HOST", until: "1.131.0" },
    ],
    type: address,
    standard: "[::], every address (0.0.0.0 before v1.131.0)",
    effect: "Address in the container the server listens on.",
    source: config,
  },
  {
    setting: "port",
    names: [
      { variable: "IMMICH_PORT", since: "1.131.0" },
      { variable: "MACHINE_LEARNING_PORT", until: "1.131.0" },
    ],
    type: integer(1, 65535),
    standard: "3003",
    effect: "Port in the container the server listens on.",
    source: config,
  },
  {
    setting: "logLevel",
    names: [{ variable: "IMMICH_LOG_LEVEL" }],
    type: {
      kind: "choice",
      allowed: ["critical", "error", "warning", "warn", "info", "log", "debug", "verbose"],
    },
    standard: "info",
    effect: "How much the server logs.",
    source: config,
  },
  {
    setting: "noColor",
    names: [{ variable: "NO_COLOR" }],
    type: boolean,
    standard: "false",
    effect: "Whether the log is free of colours.",
    source: config,
  },
  {
    setting: "huggingFaceEndpoint",
    names: [{ variable: "HF_ENDPOINT" }],
    type: url,
    standard: "https://huggingface.co",
    effect: "Mirror the models are downloaded from (immich#8874).",
    source: "huggingface_hub, environment variables",
  },
  {
    setting: "huggingFaceHome",
    names: [{ variable: "HF_HOME" }],
    type: { kind: "text", pattern: /^\/\S*$/, allowed: "an absolute path in the container" },
    standard: "~/.cache/huggingface",
    effect: "Folder of the download library's own cache.",
    source: "huggingface_hub, environment variables",
  },
  {
    setting: "huggingFaceOffline",
    names: [{ variable: "HF_HUB_OFFLINE" }],
    type: boolean,
    standard: "false",
    effect: "Forbids every download; only models already in the cache are used.",
    source: "huggingface_hub, environment variables",
  },
  {
    setting: "huggingFaceToken",
    names: [{ variable: "HF_TOKEN" }],
    type: address,
    standard: "none",
    effect: "Access token for downloads.",
    secret: true,
    source: "huggingface_hub, environment variables",
  },
  {
    setting: "httpProxy",
    names: [{ variable: "HTTP_PROXY" }],
    type: url,
    standard: "none",
    effect: "Proxy for downloads over http.",
    secret: true,
    source: "read by the HTTP library of huggingface_hub",
  },
  {
    setting: "httpsProxy",
    names: [{ variable: "HTTPS_PROXY" }],
    type: url,
    standard: "none",
    effect: "Proxy for downloads over https.",
    secret: true,
    source: "read by the HTTP library of huggingface_hub",
  },
  {
    setting: "noProxy",
    names: [{ variable: "NO_PROXY" }],
    type: address,
    standard: "none",
    effect: "Hosts reached without the proxy, separated by commas.",
    source: "read by the HTTP library of huggingface_hub",
  },
  {
    setting: "timeZone",
    names: [{ variable: "TZ" }],
    type: address,
    standard: "UTC",
    effect: "Time zone of the log's times.",
    source: "the C library",
  },
  {
    setting: "cudaUnavailable",
    names: [{ variable: "ORT_CUDA_UNAVAILABLE" }],
    type: { kind: "choice", allowed: ["1"] },
    standard: "1 with accelerator cpu, otherwise unset",
    effect: "ONNX Runtime leaves the CUDA execution provider out.",
    source: "seen to work with ONNX Runtime 1.14.1 and 1.26.0",
  },
  {
    setting: "hsaOverrideGfxVersion",
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
];

export type EnvironmentValue = string | number | boolean;

/** An error in the environment of a stack file. */
export interface EnvironmentProblem {
  /** The name as it was given. */
  readonly name: string;
  readonly message: string;
}

export interface RenderedEnvironment {
  /** Names and values for the container, in the order of the names. */
  readonly variables: Record<string, string>;
  readonly problems: readonly EnvironmentProblem[];
  /** What the user should know though nothing is wrong. */
  readonly notes: readonly string[];
}

/**
 * Turns the environment of a stack file into the container's variables.
 *
 * @param settings by the names of this table (`modelTtl`) or the variables' own (`MACHINE_LEARNING_MODEL_TTL`).
 */
export function renderEnvironment(
  settings: Readonly<Record<string, EnvironmentValue>>,
  immichVersion: ImmichVersion,
  accelerator: AcceleratorName,
): RenderedEnvironment {
  const variables = new Map<string, string>();
  const problems: EnvironmentProblem[] = [];
  const notes: string[] = [];

  for (const [name, value] of Object.entries(settings)) {
    const found = find(name);
    if (!found) {
      if (isOfNewerRelease(name, immichVersion)) {
        variables.set(name, String(value));
        notes.push(
          `${name} is passed on unchecked: this program knows the variables up to v${newestReleaseRead}`,
        );
      } else {
        problems.push({ name, message: unknownName(name) });
      }
      continue;
    }
    const { row, givenVariable } = found;
    const current = row.names.find((candidate) => isReadBy(candidate, immichVersion));
    const variable = givenVariable ?? current;
    if (!current || !variable || !isReadBy(variable, immichVersion)) {
      problems.push({ name, message: notInRelease(row, immichVersion) });
      continue;
    }
    const text = toText(row, value);
    if (text === undefined) {
      const shown = row.secret ? "the value" : JSON.stringify(value);
      problems.push({ name, message: `${shown} is not ${describe(row.type)}` });
      continue;
    }
    if (variables.has(variable.variable)) {
      problems.push({ name, message: `given twice: ${row.setting} and ${variable.variable}` });
      continue;
    }
    variables.set(variable.variable, text);
    const reason = ignoredOn(row, accelerator);
    if (reason) notes.push(`${variable.variable}=${text} has no effect: ${reason}`);
  }

  const completed = completeBatchSizes(variables, immichVersion);
  if (completed) notes.push(completed);

  return {
    variables: Object.fromEntries([...variables].sort(([a], [b]) => (a < b ? -1 : 1))),
    problems,
    notes,
  };
}

/** The port the ML server listens on, of the container's variables. @default 3003 */
export function servicePort(variables: Readonly<Record<string, string>>): number {
  return Number(variables["IMMICH_PORT"] ?? variables["MACHINE_LEARNING_PORT"] ?? 3003);
}

/**
 * Whether the value of a variable must be kept out of logs and plain state: true for all that is
 * not known to be harmless, since Immich's `.env` also holds the database's password.
 */
export function isSecretVariable(variable: string): boolean {
  const row = environmentSettings.find((candidate) =>
    candidate.names.some((name) => name.variable === variable),
  );
  return row?.secret ?? !row;
}

function find(
  name: string,
): { row: EnvironmentSetting; givenVariable: VariableName | undefined } | undefined {
  for (const row of environmentSettings) {
    if (row.setting === name) return { row, givenVariable: undefined };
    const givenVariable = row.names.find((candidate) => candidate.variable === name);
    if (givenVariable) return { row, givenVariable };
  }
  return undefined;
}

function isReadBy(name: VariableName, version: ImmichVersion): boolean {
  return (
    (name.since === undefined || atLeast(version, name.since)) &&
    (name.until === undefined || !atLeast(version, name.until))
  );
}

function isOfNewerRelease(name: string, version: ImmichVersion): boolean {
  const [major, minor] = newestReleaseRead.split(".").map(Number);
  return name.startsWith("MACHINE_LEARNING_") && atLeast(version, `${major}.${(minor ?? 0) + 1}.0`);
}

function unknownName(name: string): string {
  const known = environmentSettings.flatMap((row) => [
    row.setting,
    ...row.names.map((candidate) => candidate.variable),
  ]);
  const [nearest] = nearestNames(name, known);
  return nearest
    ? `not a setting of the ML container; did you mean ${nearest}?`
    : `not a setting of the ML container; known are ${environmentSettings.map((row) => row.setting).join(", ")}`;
}

function notInRelease(row: EnvironmentSetting, version: ImmichVersion): string {
  const releases = row.names.map(({ variable, since, until }) =>
    [variable, since && `since v${since}`, until && `before v${until}`].filter(Boolean).join(" "),
  );
  return `Immich ${formatImmichVersion(version)} does not read it; there is ${releases.join(", and ")} (as ${row.setting} the right one is chosen)`;
}

function toText(row: EnvironmentSetting, value: EnvironmentValue): string | undefined {
  const text = String(value);
  switch (row.type.kind) {
    case "integer": {
      const number = Number(text);
      const { minimum, maximum = Number.MAX_SAFE_INTEGER } = row.type;
      const isInteger = /^-?\d+$/.test(text) && Number.isSafeInteger(number);
      return isInteger && number >= minimum && number <= maximum ? text : undefined;
    }
    case "boolean":
      // The words pydantic reads as a boolean.
      return /^(true|false|1|0|yes|no|on|off)$/i.test(text) ? text : undefined;
    case "choice":
      return row.type.allowed.includes(text) ? text : undefined;
    case "text":
      return row.type.pattern?.test(text) === false || text === "" ? undefined : text;
  }
}

function describe(type: ValueType): string {
  switch (type.kind) {
    case "integer":
      return type.maximum === undefined
        ? `a whole number of ${type.minimum} or more`
        : `a whole number from ${type.minimum} to ${type.maximum}`;
    case "boolean":
      return "true or false";
    case "choice":
      return `one of ${type.allowed.join(", ")}`;
    case "text":
      return type.allowed;
  }
}

function ignoredOn(row: EnvironmentSetting, accelerator: AcceleratorName): string | undefined {
  if (row.onlyFor?.includes(accelerator)) return undefined;
  if (row.ignoredReason) return row.ignoredReason;
  return row.onlyFor ? `only ${row.onlyFor.join(" and ")} reads it` : undefined;
}

/**
 * v2.2.0 to v2.5.x take the batch size of OCR from the same section as that of faces, so OCR is
 * left with none at all when only the faces' is set (fixed by immich#26524).
 */
function completeBatchSizes(
  variables: Map<string, string>,
  version: ImmichVersion,
): string | undefined {
  const faces = "MACHINE_LEARNING_MAX_BATCH_SIZE__FACIAL_RECOGNITION";
  const text = "MACHINE_LEARNING_MAX_BATCH_SIZE__TEXT_RECOGNITION";
  const isAffected = atLeast(version, "2.2.0") && !atLeast(version, "2.6.0");
  if (!isAffected || !variables.has(faces) || variables.has(text)) return undefined;
  variables.set(text, "6");
  return `${text}=6 is added: without it Immich ${formatImmichVersion(version)} breaks OCR when ${faces} is set (immich#26524)`;
}
