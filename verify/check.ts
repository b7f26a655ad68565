import { type AcceleratorName, accelerators } from "../catalog/accelerators";
import { atLeast, type ImmichVersion } from "../catalog/immichVersion";
import type { ModelSelection } from "../immich/modelSelection";
import { sanitize } from "../util/sanitize";

/**
 * The check that a container's accelerator computes: a shell script that waits for health and runs
 * inference.py in the container, and the result it prints.
 */

/** What one device computed of the check's own network. */
export interface DeviceCheck {
  /** The container's number of the device, or `cpu`. */
  readonly device: string;
  /** Milliseconds of the second run; the first one loads kernels. */
  readonly milliseconds: number;
  /** The operators by the execution provider that ran them. */
  readonly operators: Readonly<Record<string, readonly string[]>>;
  /** The operators that another provider had to run. */
  readonly fallbackOps: readonly string[];
  /** Largest absolute difference from the CPU's numbers, of outputs with unit variance. */
  readonly maximumDifference?: number;
  /** The GPU's name. */
  readonly gpu?: string;
  readonly computeCapability?: string;
  /** MiB. */
  readonly videoMemory?: number;
  /** The newest CUDA that the driver supports. */
  readonly driverCuda?: string;
}

export interface PassedCheck {
  readonly ok: true;
  /** The execution provider that computed. */
  readonly provider: string;
  readonly onnxRuntime?: string;
  readonly availableProviders?: readonly string[];
  readonly devices: readonly DeviceCheck[];
  /** True where only the session was loaded: see `session` in the catalog's accelerators. */
  readonly notExecuted?: boolean;
  /** The models Immich uses; absent where they are unknown. */
  readonly models?: readonly ModelCheck[];
  /** MiB of each NVIDIA GPU, with these models loaded; absent where the driver does not tell. */
  readonly videoMemory?: readonly { readonly used: number; readonly total: number }[];
}

/** What computed a model, and whether Immich's server can use it. */
export interface ModelCheck {
  /** Task and name, as in Immich's cache: `clip/ViT-B-32__openai`. */
  readonly model: string;
  /** Why the model was not verified. */
  readonly notVerified?: string;
  /** Milliseconds of the server's answers, once it had loaded the model. */
  readonly serverMilliseconds?: number;
  /** Its files, each computed apart from the server; none where there was no room for a copy. */
  readonly parts: readonly {
    /** `visual`, `textual`, `detection` or `recognition`. */
    readonly part: string;
    readonly device: string;
    /** The execution provider that computed it. */
    readonly provider: string;
    /** Milliseconds of the second run. */
    readonly milliseconds: number;
    /** The cosine between its numbers and the CPU's; absent where the CPU did not compute it, too. */
    readonly agreement?: number;
    /** The same on the CPU, for comparison; absent for models over 1 GiB. */
    readonly cpuMilliseconds?: number;
    /** Costly operators that another provider had to run. */
    readonly fallbackOps: readonly string[];
  }[];
  readonly note?: string;
}

export interface FailedCheck {
  readonly ok: false;
  readonly error: string;
  /** ONNX Runtime's own messages. */
  readonly details: readonly string[];
  /** What to do, where it is known. */
  readonly hint: string | null;
}

export type CheckResult = PassedCheck | FailedCheck;

/** A failed check fails the deployment (`enforce`) or only warns (`warn`), or there is none (`off`). */
export type CheckMode = "enforce" | "warn" | "off";

/** The script that checks a container, by its path from the root of this repository. */
export const checkScript = "verify/check.sh";

/** The script that puts a new container in the place of the one that serves, and checks it. */
export const swapScript = "verify/swap.sh";

/** The script that waits for a service of a swarm and checks its tasks. */
export const rolloutScript = "verify/rollout.sh";

/** The scripts' variables that depend on the accelerator. */
export function checkVariables(accelerator: AcceleratorName): Record<string, string> {
  const { executionProviders, session } = accelerators[accelerator];
  return {
    IMMICH_ML_EXPECTED: executionProviders.join(","),
    ...(session && {
      IMMICH_ML_SESSION: session.module,
      IMMICH_ML_SESSION_HINT: session.hint,
    }),
  };
}

/**
 * The models of a selection, for the variable `IMMICH_ML_MODELS`: task and name as in Immich's cache;
 * without a selection `any`, for one that is in the cache. None for releases before v1.106.0, whose server takes another form of request.
 */
export function modelsToCheck(
  selection: ModelSelection | undefined,
  version: ImmichVersion,
): readonly string[] {
  if (!atLeast(version, "1.106.0")) return [];
  if (!selection) return ["any"];
  const { clip, facialRecognition, ocr } = selection;
  return [
    ["clip", clip && clip.modelName],
    ["facial-recognition", facialRecognition && facialRecognition.modelName],
    ["ocr", ocr && ocr.modelName],
  ].flatMap(([task, name]) => (name ? [`${task}/${name.split("/").at(-1)}`] : []));
}

/**
 * Reads the last line of the check's standard output.
 *
 * @throws when it is not a result.
 */
export function parseCheckResult(output: string): CheckResult {
  return parseLine(output.trimEnd().split("\n").at(-1) ?? "");
}

/**
 * Reads the output of a service's check: one result for each task that was reached.
 *
 * @throws when a line is not a result.
 */
export function parseCheckResults(output: string): CheckResult[] {
  return output
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map(parseLine);
}

/** Names that version 0.1.0 gave to fields. */
const formerFields = new Map([
  ["card", "gpu"],
  ["elsewhere", "fallbackOps"],
  ["notProven", "notVerified"],
  ["onlyLoaded", "notExecuted"],
]);

/** Reads a stored value; results that version 0.1.0 stored get today's names. */
export function parseStored(text: string): unknown {
  return JSON.parse(text, (_key, value: unknown) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.fromEntries(
          Object.entries(value).map(([field, item]) => [formerFields.get(field) ?? field, item]),
        )
      : value,
  );
}

function parseLine(line: string): CheckResult {
  let parsed: unknown;
  try {
    parsed = parseStored(line);
  } catch {
    parsed = undefined;
  }
  if (!isCheckResult(parsed)) {
    throw new Error(`the check ended without a result; its last line was: ${sanitize(line, 200)}`);
  }
  return parsed;
}

/** Whether a container's answer has all the fields that are read. */
function isCheckResult(value: unknown): value is CheckResult {
  if (!isObject(value)) return false;
  const { ok, provider, devices, models = [], error, details } = value;
  return ok === true
    ? typeof provider === "string" && isListOf(devices, isDevice) && isListOf(models, isModel)
    : ok === false && typeof error === "string" && Array.isArray(details);
}

function isDevice(value: unknown): boolean {
  return isObject(value) && "device" in value;
}

function isModel(value: unknown): boolean {
  return (
    isObject(value) && typeof value["model"] === "string" && isListOf(value["parts"], isObject)
  );
}

function isListOf(value: unknown, isItem: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(isItem);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
