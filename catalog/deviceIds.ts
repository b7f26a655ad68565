import type { Resolved } from "../util/problem";
import { type AcceleratorName, accelerators } from "./accelerators";
import { atLeast, formatImmichVersion, type ImmichVersion } from "./immichVersion";

interface GpuChoice {
  readonly count?: number | "all" | undefined;
  readonly ids?: readonly (string | number)[] | undefined;
  readonly cdi?: readonly string[] | undefined;
  readonly runtime?: "nvidia" | undefined;
}

/** The variables by which NVIDIA's runtime gives a container its cards; none without that runtime. */
export function runtimeEnvironment(gpus: GpuChoice | undefined): Record<string, string> {
  if (!gpus?.runtime) return {};
  const { count = 1, ids } = gpus;
  const first = count === "all" || count === -1 ? ["all"] : [...Array(count).keys()];
  return {
    NVIDIA_VISIBLE_DEVICES: (ids ?? first).join(","),
    NVIDIA_DRIVER_CAPABILITIES: "compute,utility",
  };
}

/**
 * Why a container cannot get this choice of NVIDIA GPUs; undefined when it can.
 *
 * @param gpus one of the fields `count`, `ids` and `cdi`; none of them with `runtime`
 */
export function gpuChoiceProblem(
  gpus: GpuChoice,
  accelerator: AcceleratorName,
): string | undefined {
  const { runtime, ...choices } = gpus;
  const chosen = Object.values(choices).filter((value) => value !== undefined).length;
  if (runtime !== undefined && gpus.cdi !== undefined) {
    return "cannot have both cdi and runtime: either Docker or NVIDIA's runtime passes on the cards";
  }
  if (chosen > 1 || (chosen === 0 && runtime === undefined)) {
    return "must be one of count, ids, cdi";
  }
  const twice = [...(gpus.ids ?? []), ...(gpus.cdi ?? [])]
    .map(String)
    .find((id, index, all) => all.indexOf(id) !== index);
  if (twice !== undefined) return `names card ${twice} twice`;
  if (accelerators[accelerator].gpuRequest) return undefined;
  return `is for accelerator cuda only, not ${accelerator}`;
}

/**
 * Gives every GPU of a container a worker. Immich's server uses one GPU for each worker: those of
 * `MACHINE_LEARNING_DEVICE_IDS` in turn, and without that variable GPU 0 for all. A container counts
 * its GPUs from 0, whatever their numbers on the host.
 *
 * The workers of several GPUs must never end: Immich gives a new one its GPU by the number of workers that
 * live, and after an idle time-out ends all at once, every one gets the last (seen with v2.7.5 and v3.1.0).
 * image/serve.py mends this, but not for a container that is started in another way.
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
  const ttl = variables["MACHINE_LEARNING_MODEL_TTL"];
  const neverEnds =
    Number(ttl) === 0 || Number(variables["MACHINE_LEARNING_MODEL_TTL_POLL_S"]) === 0;
  if (used > 1 && ttl !== undefined && !neverEnds) {
    return refused(
      "environment.modelTtl",
      `is ${ttl}, but must be 0 with several GPUs: after an idle time-out Immich's workers would all use the last one; a host entry for each GPU may have a time-out`,
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
      ...(used > 1 && !neverEnds && { modelTtl: 0 }),
    },
    problems: [],
    notes: [
      ...(gpus !== undefined && used < gpus
        ? [`environment.deviceIds uses ${used} of the container's ${gpus} GPUs`]
        : []),
      ...(used > 1 && !neverEnds ? [staysLoaded] : []),
    ],
  };
}

const staysLoaded =
  "environment.modelTtl is 0, so the models stay in video memory: after an idle time-out Immich's workers would all use one GPU";

/**
 * Keeps servers that share a cache from rewriting its face recogniser at once. Immich changes the
 * file in place for batches of any size; while one writes, another reads half of it, takes it for
 * damaged and deletes the model (v2.7.5 and v3.1.0). One face at a time needs no change.
 *
 * @param variables the container's, by their own names
 * @param isShared whether other containers use the cache, such as the tasks of a swarm
 * @returns the settings to add, by the names of environment.ts
 */
export function protectSharedCache(
  variables: Readonly<Record<string, string>>,
  isShared: boolean,
  version: ImmichVersion,
): Resolved<Readonly<Record<string, number>>> {
  const given = variables["MACHINE_LEARNING_MAX_BATCH_SIZE__FACIAL_RECOGNITION"];
  const isAlone = !isShared && !(Number(variables["MACHINE_LEARNING_WORKERS"]) > 1);
  if (isAlone || !atLeast(version, "1.119.0")) return { value: {}, problems: [], notes: [] };
  if (given === undefined) {
    return { value: { maxBatchSizeFacialRecognition: 1 }, problems: [], notes: [] };
  }
  const note = `environment.maxBatchSizeFacialRecognition is ${given}: with several workers on one cache the first faces may fail, and the model is downloaded again; 1 prevents it`;
  return { value: {}, problems: [], notes: Number(given) > 1 ? [note] : [] };
}
