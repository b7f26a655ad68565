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

/** How several cards of one container are shared out to the server's workers. */
export interface AssignedGpus {
  /** Settings to be added, by the names of environment.ts. */
  readonly added: Readonly<Record<string, string | number>>;
  readonly problems: readonly { readonly setting: string; readonly message: string }[];
  readonly notes: readonly string[];
}

/**
 * Gives every card of a container a worker. Immich's server uses one card for each worker, the cards
 * of `MACHINE_LEARNING_DEVICE_IDS` in turn, and without that variable card 0 for all of them.
 * Inside a container cards are numbered from 0, whatever their numbers on the host.
 *
 * @param variables the container's, by their own names
 * @param cards how many it is given; undefined where that is not known (all of a host's)
 */
export function assignGpus(
  variables: Readonly<Record<string, string>>,
  cards: number | undefined,
  version: ImmichVersion,
): AssignedGpus {
  const given = variables["MACHINE_LEARNING_DEVICE_IDS"];
  const workers = variables["MACHINE_LEARNING_WORKERS"];
  const ids = given?.split(",") ?? [];
  const only = (setting: string, message: string): AssignedGpus => ({
    added: {},
    problems: [{ setting, message }],
    notes: [],
  });

  if (cards !== undefined && cards > 1 && !atLeast(version, "1.118.0")) {
    return only(
      "gpus",
      `Immich ${formatImmichVersion(version)} uses one card only (several since v1.118.0); give each card a host entry of its own`,
    );
  }
  const absent = ids.find((id) => cards !== undefined && Number(id) >= cards);
  if (absent !== undefined) {
    return only(
      "environment.deviceIds",
      `names card ${absent}, but the container is given ${cards === 1 ? "one card, which is number 0 in it" : `${cards} cards, which are numbered 0 to ${cards! - 1} in it`}, whatever the numbers on the host`,
    );
  }
  const used = given === undefined ? (cards ?? 1) : new Set(ids).size;
  if (used > 1 && workers !== undefined && Number(workers) < used) {
    return only(
      "environment.workers",
      `is ${workers}, but ${used} cards need ${used} workers: each worker uses one card`,
    );
  }
  if (cards === undefined && given === undefined) {
    const note =
      "only the first card is used, since it is not known how many there are; set environment.deviceIds (0,1 for two cards) and as many workers";
    return { added: {}, problems: [], notes: [note] };
  }
  return {
    added: {
      ...(used > 1 && given === undefined && { deviceIds: numbers(used) }),
      ...(used > 1 && workers === undefined && { workers: used }),
    },
    problems: [],
    notes:
      cards !== undefined && used < cards
        ? [`environment.deviceIds uses ${used} of the container's ${cards} cards`]
        : [],
  };
}

/** `0,1,2` for three. */
function numbers(count: number): string {
  return [...Array(count).keys()].join(",");
}
