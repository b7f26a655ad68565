import { findGpu } from "../catalog/gpus";
import { sanitize } from "../util/sanitize";

/** An NVIDIA card as the driver describes it. */
export interface NvidiaGpu {
  readonly index: number;
  readonly uuid: string;
  readonly name: string;
  /** Such as `535.183.01`. */
  readonly driver: string;
  /** MiB in all. */
  readonly videoMemory: number | undefined;
  /** Such as `5.0`; nothing where neither the driver nor the catalog of cards knows it. */
  readonly computeCapability: string | undefined;
}

export type NvidiaAnswer =
  | { readonly kind: "cards"; readonly cards: readonly NvidiaGpu[] }
  /** The program is not there: no driver. */
  | { readonly kind: "absent" }
  /** The program is there but cannot talk to the driver or finds no card. */
  | { readonly kind: "failed"; readonly message: string };

const maxMessageLength = 120;

/** What is asked first; old drivers answer that `compute_cap` is no field they know. */
export const nvidiaFields = "index,uuid,name,driver_version,memory.total,compute_cap";
/** What every driver answers. */
export const nvidiaFieldsOfOldDrivers = "index,uuid,name,driver_version,memory.total";

/**
 * Reads what `nvidia-smi --query-gpu=… --format=csv,noheader,nounits` printed, with either list of
 * fields.
 *
 * @param code the exit code; 127 when it is not installed
 */
export function parseNvidiaSmi(output: string, code: number): NvidiaAnswer {
  if (code === 127) return { kind: "absent" };
  const text = output.trim();
  if (code !== 0 || text === "" || /No devices were found/i.test(text)) {
    const [first] = text.split("\n");
    const message = sanitize(first!, maxMessageLength) || `nvidia-smi ended with code ${code}`;
    return { kind: "failed", message };
  }
  const cards = text.split("\n").flatMap((line) => parseGpu(line) ?? []);
  return cards.length > 0
    ? { kind: "cards", cards }
    : { kind: "failed", message: `nvidia-smi printed: ${sanitize(text, maxMessageLength)}` };
}

function parseGpu(line: string): NvidiaGpu | undefined {
  const [index, uuid, name, driver, memory, capability] = line
    .split(",")
    .map((field) => field.trim());
  if (index === undefined || !/^\d+$/.test(index) || !uuid || !name || !driver) return undefined;
  const known = findGpu(name);
  return {
    index: Number(index),
    uuid,
    name,
    driver,
    videoMemory: memory && /^\d+$/.test(memory) ? Number(memory) : known?.videoMemory,
    computeCapability:
      capability && /^\d+\.\d$/.test(capability) ? capability : known?.computeCapability,
  };
}

/** Whether a driver's version is at least another, number by number. */
export function isDriverAtLeast(driver: string, minimum: string): boolean {
  const parts = driver.split(".").map(Number);
  for (const [position, wanted] of minimum.split(".").map(Number).entries()) {
    const part = parts[position] ?? 0;
    if (part !== wanted) return part > wanted;
  }
  return true;
}
