import { readFileSync } from "node:fs";
import { join } from "node:path";

import { atLeast, type ImmichVersion } from "../catalog/immichVersion";
import { sanitize } from "../util/sanitize";
import type { ModelSelection } from "../immich/modelSelection";

/**
 * The check that a container's accelerator really computes: the shell script that waits for health
 * and the Python program it runs inside the container, and what comes back.
 */

/** What one device computed of the network that is part of the check. */
export interface DeviceCheck {
  /** The number the container counts the device by, or `cpu`. */
  readonly device: string;
  /** Milliseconds for the second run of the network; the first one loads kernels. */
  readonly milliseconds: number;
  /** The operators by the execution provider that ran them. */
  readonly operators: Readonly<Record<string, readonly string[]>>;
  /** The network's operators that another provider had to run. */
  readonly elsewhere: readonly string[];
  /** Largest absolute difference from the CPU's numbers, of outputs with unit variance. */
  readonly maximumDifference?: number;
  readonly card?: string;
  readonly computeCapability?: string;
  /** MiB. */
  readonly videoMemory?: number;
  /** The newest CUDA the driver supports. */
  readonly driverCuda?: string;
}

export interface PassedCheck {
  readonly ok: true;
  /** The execution provider that really computed. */
  readonly provider: string;
  readonly onnxRuntime?: string;
  readonly availableProviders?: readonly string[];
  readonly devices: readonly DeviceCheck[];
  /** True for ARM NN and RKNN: the session is there, but nothing was computed on it. */
  readonly notExecuted?: boolean;
  /** The models Immich is told to use; none where that is not known. */
  readonly models?: readonly ModelCheck[];
}

/** What computed a model, and whether Immich's server can use it. */
export interface ModelCheck {
  /** Task and name, as in Immich's cache: `clip/ViT-B-32__openai`. */
  readonly model: string;
  /** Why nothing is known of it; the others are verified all the same. */
  readonly notVerified?: string;
  /** Milliseconds the running server took for its requests, once the model was loaded. */
  readonly serverMilliseconds?: number;
  /** Its files, each computed apart from the server; none where there was no room for a copy. */
  readonly parts: readonly {
    /** `visual`, `textual`, `detection` or `recognition`. */
    readonly part: string;
    readonly device: string;
    /** The execution provider that really computed it. */
    readonly provider: string;
    /** Milliseconds of the second run. */
    readonly milliseconds: number;
    /** Operators that are heavy work and that another provider had to run. */
    readonly elsewhere: readonly string[];
  }[];
  /** What else is worth saying. */
  readonly note?: string;
}

export interface FailedCheck {
  readonly ok: false;
  readonly error: string;
  /** What ONNX Runtime itself said. */
  readonly details: readonly string[];
  /** What to do, where it is known. */
  readonly hint: string | null;
}

export type CheckResult = PassedCheck | FailedCheck;

/** What happens when the check fails: the deployment fails, it only warns, or there is no check. */
export type CheckMode = "enforce" | "warn" | "off";

/**
 * The command line. The script itself travels in the environment and the Python program on standard
 * input, so that nothing is quoted and an error does not repeat them.
 */
export const checkCommand = 'exec sh -c "$IMMICH_ML_CHECK"';

/** The shell script, for the environment variable `IMMICH_ML_CHECK`. */
export function waitingScript(): string {
  return readFileSync(join(__dirname, "check.sh"), "utf8");
}

/** The shell script that shows a swarm's service, for the environment variable `IMMICH_ML_CHECK`. */
export function rolloutScript(): string {
  return readFileSync(join(__dirname, "rollout.sh"), "utf8");
}

/**
 * The models of a selection, for the environment variable `IMMICH_ML_MODELS`: task and name as in
 * Immich's cache. None for releases before v1.106.0, whose server is asked in another form.
 */
export function modelsToCheck(
  selection: ModelSelection | undefined,
  version: ImmichVersion,
): readonly string[] {
  if (!selection || !atLeast(version, "1.106.0")) return [];
  const { clip, facialRecognition, ocr } = selection;
  return [
    ["clip", clip && clip.modelName],
    ["facial-recognition", facialRecognition && facialRecognition.modelName],
    ["ocr", ocr && ocr.modelName],
  ].flatMap(([task, name]) => (name ? [`${task}/${name.split("/").at(-1)}`] : []));
}

/** The Python program, for standard input. */
export function inferenceProgram(): string {
  return readFileSync(join(__dirname, "inference.py"), "utf8");
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
 * Reads what the check of a service printed: a result for each task that was reached.
 *
 * @throws when a line is not a result.
 */
export function parseCheckResults(output: string): CheckResult[] {
  return output
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map(parseLine);
}

function parseLine(line: string): CheckResult {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    parsed = undefined;
  }
  if (!isCheckResult(parsed)) {
    throw new Error(`the check ended without a result; its last line was: ${sanitize(line, 200)}`);
  }
  return parsed;
}

/** Whether what the container said has everything that is read of it. */
function isCheckResult(value: unknown): value is CheckResult {
  if (typeof value !== "object" || value === null) return false;
  const { ok, provider, devices, error, details } = value as Record<string, unknown>;
  return ok === true
    ? typeof provider === "string" && Array.isArray(devices) && devices.every(isDevice)
    : ok === false && typeof error === "string" && Array.isArray(details);
}

function isDevice(value: unknown): boolean {
  return typeof value === "object" && value !== null && "device" in value;
}
