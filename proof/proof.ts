import { readFileSync } from "node:fs";
import { join } from "node:path";

import { printable } from "../catalogue/printable";

/**
 * The proof that a container's accelerator really computes: the shell script that waits for health
 * and the Python program it runs inside the container, and what comes back.
 */

/** What one device computed. */
export interface DeviceProof {
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

export interface SuccessfulProof {
  readonly ok: true;
  /** The execution provider that really computed. */
  readonly provider: string;
  readonly onnxRuntime?: string;
  readonly availableProviders?: readonly string[];
  readonly devices: readonly DeviceProof[];
  /** True for ARM NN and RKNN: the session is there, but nothing was computed on it. */
  readonly onlyLoaded?: boolean;
}

export interface FailedProof {
  readonly ok: false;
  readonly error: string;
  /** What ONNX Runtime itself said. */
  readonly details: readonly string[];
  /** What to do, where it is known. */
  readonly hint: string | null;
}

export type Proof = SuccessfulProof | FailedProof;

/** What happens when the proof fails: the deployment fails, it only warns, or there is no proof. */
export type ProofMode = "enforce" | "warn" | "off";

/**
 * The command line. The script itself travels in the environment and the Python program on standard
 * input, so that nothing is quoted and an error does not repeat them.
 */
export const proofCommand = 'exec sh -c "$IMMICH_ML_PROOF"';

/** The shell script, for the environment variable `IMMICH_ML_PROOF`. */
export function waitingScript(): string {
  return readFileSync(join(__dirname, "prove.sh"), "utf8");
}

/** The Python program, for standard input. */
export function inferenceProgram(): string {
  return readFileSync(join(__dirname, "inference.py"), "utf8");
}

/**
 * Reads the last line of the proof's standard output.
 *
 * @throws when it is not a result.
 */
export function parseProof(output: string): Proof {
  const line = output.trimEnd().split("\n").at(-1) ?? "";
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    parsed = undefined;
  }
  if (!isProof(parsed)) {
    throw new Error(`the proof ended without a result; its last line was: ${printable(line, 200)}`);
  }
  return parsed;
}

/** Whether what the container said has everything that is read of it. */
function isProof(value: unknown): value is Proof {
  if (typeof value !== "object" || value === null) return false;
  const { ok, provider, devices, error, details } = value as Record<string, unknown>;
  return ok === true
    ? typeof provider === "string" && Array.isArray(devices) && devices.every(isDevice)
    : ok === false && typeof error === "string" && Array.isArray(details);
}

function isDevice(value: unknown): boolean {
  return typeof value === "object" && value !== null && "device" in value;
}
