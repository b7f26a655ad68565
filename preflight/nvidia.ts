import { capabilityOf } from "../catalog/gpuChips";
import { findGpu } from "../catalog/gpuNames";
import { findKnownError, hintOf, type KnownErrorName } from "../catalog/knownErrors";
import { sanitize } from "../util/sanitize";
import { type Answer, unanswered } from "../util/docker";

/** An NVIDIA GPU as its driver describes it. */
export interface NvidiaGpu {
  readonly index: number;
  readonly uuid: string;
  readonly name: string;
  /** Such as `535.183.01`. */
  readonly driver: string;
  /** MiB in all. */
  readonly videoMemory: number | undefined;
  /** Such as `5.0`; undefined where neither the driver nor the catalog knows it. */
  readonly computeCapability: string | undefined;
}

/** Seconds that nvidia-smi may take. A driver that hangs never answers. */
export const nvidiaTimeout = 10;

/** What is asked first. */
export const nvidiaFields = "index,uuid,name,driver_version,memory.total,compute_cap";
/** For old drivers, which refuse `compute_cap` as no field they know. */
export const nvidiaFieldsOfOldDrivers = "index,uuid,name,driver_version,memory.total";

const maxMessageLength = 120;

/** The code of `timeout`, of an older BusyBox's, and of either after SIGKILL. */
const timeoutCodes: readonly number[] = [124, 143, 137];

/** Success, also with a warning that a card's own description (infoROM) is damaged. */
const successCodes: readonly number[] = [0, 14];

/** The complaints of nvidia-smi that have the same cause and cure on a host as in a container. */
const alsoOnHost: readonly KnownErrorName[] = [
  "gpu-lost",
  "nvml-permissions",
  "wsl-gpu",
  "driver-not-running",
  "nvidia-smi-crashes",
];

/**
 * Reads what `nvidia-smi --query-gpu=… --format=csv,noheader,nounits` printed, with either list of
 * fields.
 *
 * @param code the exit code; 127 when it is not installed, 124 when it was ended after
 *   {@link nvidiaTimeout}
 * @returns the GPUs, or what is wrong with the driver and what to do
 */
export function parseNvidiaSmi(output: string, code: number): Answer<readonly NvidiaGpu[]> {
  if (code === 127) {
    return unanswered(
      "NVIDIA's driver is missing (there is no nvidia-smi): install the proprietary one; the open kernel modules support no card older than Turing",
    );
  }
  if (timeoutCodes.includes(code)) {
    return unanswered(
      `NVIDIA's driver hangs (no answer from nvidia-smi within ${nvidiaTimeout} s): restart the machine; if it hangs again, look for NVRM and Xid in dmesg`,
    );
  }
  const text = output.trim();
  const isFailure =
    !successCodes.includes(code) || text === "" || /No devices were found/i.test(text);
  const gpus = isFailure ? [] : text.split("\n").flatMap((line) => parseGpu(line) ?? []);
  if (gpus.length > 0) return { ok: true, value: gpus };
  if (/No devices were found/i.test(text)) {
    return unanswered(
      "NVIDIA's driver finds no card that it supports (nvidia-smi: No devices were found). A card older than Turing needs the proprietary kernel modules (nvidia-driver, not nvidia-open) of a driver that still supports it: 580 is the last for Maxwell, Pascal and Volta, 470 for Kepler. If you have that, look for NVRM in dmesg",
    );
  }
  const message = sanitize(text.split("\n")[0]!, maxMessageLength) || `exit code ${code}`;
  return unanswered(`NVIDIA's driver does not work (nvidia-smi: ${message}): ${cureOf(text)}`);
}

function cureOf(complaint: string): string {
  const known = findKnownError(complaint, "nvidia-smi");
  if (known && alsoOnHost.includes(known.name)) return hintOf(known);
  // In a container that has worked, the same words mean another thing.
  return known?.name === "gpu-cut-off"
    ? "in an LXC guest its configuration must allow the card's devices (lxc.cgroup2.devices.allow); elsewhere restart the machine and look for NVRM and Xid in dmesg"
    : "restart the machine after a driver update, and check that the driver still supports the card";
}

function parseGpu(line: string): NvidiaGpu | undefined {
  const [index, uuid, name, driver, memory, capability] = line
    .split(",")
    .map((field) => field.trim());
  if (index === undefined || !/^\d+$/.test(index) || !uuid || !name || !driver) return undefined;
  // What a lost card has in place of its name.
  if (/^(ERR!|\[.*(error|lost).*\])$/i.test(name)) return undefined;
  const known = findGpu(name);
  return {
    index: Number(index),
    uuid,
    name,
    driver,
    videoMemory: memory && /^\d+$/.test(memory) ? Number(memory) : known?.videoMemory,
    computeCapability:
      capability && /^\d+\.\d$/.test(capability)
        ? capability
        : (known?.computeCapability ?? capabilityOf(name)),
  };
}

/** Compares dotted versions number by number; what follows a number, as in `24+dfsg1`, is ignored. */
export function isVersionAtLeast(version: string, minimum: string): boolean {
  const parts = version.split(".").map((part) => Number.parseInt(part, 10));
  for (const [position, wanted] of minimum.split(".").map(Number).entries()) {
    const part = parts[position] ?? 0;
    if (part !== wanted) return part > wanted;
  }
  return true;
}
