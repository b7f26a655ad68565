import type { Resolved } from "../util/problem";
import { type AcceleratorName, accelerators } from "./accelerators";
import { atLeast, formatImmichVersion, type ImmichVersion } from "./immichVersion";

/**
 * Why a container cannot get this choice of NVIDIA GPUs; undefined when it can.
 *
 * @param gpus one of the fields `count`, `ids` and `cdi`
 */
export function gpuChoiceProblem(gpus: object, accelerator: AcceleratorName): string | undefined {
  if (Object.values(gpus).filter((value) => value !== undefined).length !== 1) {
    return "must be one of count, ids, cdi";
  }
  if (accelerators[accelerator].gpuRequest) return undefined;
  return `is for accelerator cuda only, not ${accelerator}`;
}

/**
 * Gives every GPU of a container a worker. Immich's server uses one GPU for each worker: those of
 * `MACHINE_LEARNING_DEVICE_IDS` in turn, and without that variable GPU 0 for all. A container counts
 * its GPUs from 0, whatever their numbers on the host.
 *
 * @param variables the container's, by their own names
 * @param gpus how many it gets; undefined where that is not known (all of a host's)
 * @returns the settings to add, by the names of environment.ts
 */
export function assignGpus(
  variables: Readonly<Record<string, string>>,
  gpus: number | undefined,
  version: ImmichVersion,
): Resolved<Readonly<Record<string, string | number>>> {
  const given = variables["MACHINE_LEARNING_DEVICE_IDS"];
  const workers = variables["MACHINE_LEARNING_WORKERS"];
  const ids = given?.split(",") ?? [];
  const refused = (key: string, expected: string) => ({
    value: {},
    problems: [{ key, expected }],
    notes: [],
  });

  if (gpus !== undefined && gpus > 1 && !atLeast(version, "1.118.0")) {
    return refused(
      "gpus",
      `Immich ${formatImmichVersion(version)} uses one GPU only (several since v1.118.0); give each GPU a host entry of its own`,
    );
  }
  const absent = ids.find((id) => gpus !== undefined && Number(id) >= gpus);
  if (absent !== undefined) {
    const numbers = gpus === 1 ? "one GPU, number 0" : `${gpus} GPUs, numbers 0 to ${gpus! - 1}`;
    return refused(
      "environment.deviceIds",
      `names GPU ${absent}, but the container has ${numbers}, whatever the numbers on the host`,
    );
  }
  const used = given === undefined ? (gpus ?? 1) : new Set(ids).size;
  if (used > 1 && workers !== undefined && Number(workers) < used) {
    return refused(
      "environment.workers",
      `is ${workers}, but ${used} GPUs need ${used} workers: each worker uses one GPU`,
    );
  }
  if (gpus === undefined && given === undefined) {
    const note =
      "only the first GPU is used, since their number is not known; set environment.deviceIds (0,1 for two GPUs) and as many workers";
    return { value: {}, problems: [], notes: [note] };
  }
  return {
    value: {
      ...(used > 1 && given === undefined && { deviceIds: [...Array(used).keys()].join(",") }),
      ...(used > 1 && workers === undefined && { workers: used }),
    },
    problems: [],
    notes:
      gpus !== undefined && used < gpus
        ? [`environment.deviceIds uses ${used} of the container's ${gpus} GPUs`]
        : [],
  };
}
