import { z } from "zod";

import type { AcceleratorName } from "../catalog/accelerators";
import { sameSetting, settingOf } from "../immich/settings";
import type { ModelCheck } from "./check";
import type { DeployedHost } from "./deployment";

/** The state of a stack's hosts and of Immich, from what Docker and Immich answer. */

export interface StackStatus extends ImmichStatus {
  readonly hosts: readonly HostStatus[];
}

/** What is unknown is absent. */
export interface HostStatus {
  readonly host: string;
  readonly accelerator: AcceleratorName;
  /** `healthy`, `unhealthy`, `starting`, or the container's state where it does not run. */
  readonly health: string;
  readonly restarts?: number;
  readonly image?: string;
  readonly immichVersion?: string;
  /** What computed in the last check. */
  readonly provider?: string;
  readonly gpus?: readonly GpuStatus[];
  readonly models?: readonly CachedModel[];
  /** The models Immich uses, as the last check found them. */
  readonly verified?: readonly ModelCheck[];
  /** The last time it was restarted because it had lost its card. */
  readonly cardLoss?: CardLoss;
  /** Why it does not serve or nothing more is known, and what to do where that is known. */
  readonly problem?: string;
}

export interface GpuStatus {
  readonly name: string;
  /** MiB. */
  readonly used: number;
  /** MiB. */
  readonly free: number;
}

export interface CardLoss {
  /** In UTC. */
  readonly at: string;
  /** What the driver said. */
  readonly complaint: string;
}

export interface CachedModel {
  /** Task and model, such as `clip/ViT-B-32__openai`. */
  readonly name: string;
  /** MiB. */
  readonly size: number;
}

/** A task of a service, as a manager of its swarm reports it. */
export interface TaskStatus {
  readonly slot: string;
  readonly node: string;
  /** Such as `running` or `pending`. */
  readonly state: string;
  readonly error: string;
  /** Id of its container, where that runs on the same engine. */
  readonly container: string | undefined;
}

export interface ImmichStatus {
  readonly settings?: readonly SettingStatus[];
  readonly queues?: readonly QueueStatus[];
  /** Why Immich did not answer. */
  readonly immichProblem?: string;
}

/** One of Immich's settings, as the stack declares it and as Immich has it. */
export interface SettingStatus {
  readonly key: string;
  readonly declared: unknown;
  readonly actual?: unknown;
  readonly agrees?: boolean;
}

export interface QueueStatus {
  readonly queue: string;
  readonly waiting: number;
  readonly active: number;
  readonly failed: number;
}

/** What `docker container inspect` prints, as far as it is read. */
export interface InspectedContainer {
  readonly RestartCount: number;
  readonly State: {
    readonly Status: string;
    readonly Running: boolean;
    readonly Restarting?: boolean;
    readonly ExitCode?: number;
    readonly OOMKilled?: boolean;
    /** Why Docker could not start it; empty where it could. */
    readonly Error?: string;
    readonly Health?: { readonly Status: string };
  };
  readonly Config: { readonly Image: string; readonly Labels?: Record<string, string> };
}

export function containerStatus(
  host: DeployedHost,
  name: string,
  { State, Config, RestartCount }: InspectedContainer,
): HostStatus {
  const version = Config.Labels?.["org.opencontainers.image.version"];
  return {
    host: name,
    accelerator: host.accelerator,
    health: State.Health?.Status ?? State.Status,
    restarts: RestartCount,
    image: Config.Image,
    ...(version !== undefined && { immichVersion: version }),
    ...(host.executionProvider !== undefined && { provider: host.executionProvider }),
    ...(host.models !== undefined && { verified: host.models }),
  };
}

export function unreachedTaskStatus(
  host: DeployedHost,
  { slot, node, state, error }: TaskStatus,
): HostStatus {
  const where = node ? `runs on node ${node}, which was not asked` : "runs nowhere";
  return {
    host: `${host.host}.${slot}`,
    accelerator: host.accelerator,
    health: state,
    problem: error ? `${where}: ${error}` : where,
  };
}

/**
 * @param tasks lines of id|name|node|state|error
 * @param containers lines of task|container
 */
export function parseTasks(tasks: string, containers: string): TaskStatus[] {
  const rows = (text: string) =>
    text
      .split("\n")
      .filter((line) => line.includes("|"))
      .map((line) => line.split("|"));
  const containerOf = new Map(rows(containers).map(([task, container]) => [task, container]));
  return rows(tasks)
    .map(([id = "", name = "", node = "", state = "", error = ""]) => ({
      slot: name.replace(/^.*\./, ""),
      node,
      state: state.replace(/ .*/, "").toLowerCase(),
      error,
      container: containerOf.get(id),
    }))
    .sort((left, right) => Number(left.slot) - Number(right.slot));
}

/** @param text lines of name, used and free MiB, as nvidia-smi prints them */
export function parseGpus(text: string): GpuStatus[] {
  return text
    .trim()
    .split("\n")
    .map((line) => line.split(",").map((field) => field.trim()))
    .filter(({ length }) => length === 3)
    .map(([name = "", used, free]) => ({ name, used: Number(used), free: Number(free) }));
}

/** @param text what verify/gpuHealthcheck.py has written down in the container */
export function parseCardLoss(text: string): CardLoss | undefined {
  const found = z
    .object({ restarted: z.number(), complaint: z.string() })
    .safeParse(jsonIn(text)).data;
  if (!found) return undefined;
  const at = new Date(found.restarted * 1000).toISOString();
  return { at: at.replace("T", " ").slice(0, 16), complaint: found.complaint };
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** @param text lines of KiB and folder, as du prints them in the cache */
export function parseModels(text: string): CachedModel[] {
  const tasks = ["clip", "facial-recognition", "ocr"];
  return text.split("\n").flatMap((line) => {
    const [, kibibytes, name = ""] = /^(\d+)\s+(\S.*?)\/?$/.exec(line) ?? [];
    return tasks.includes(name.replace(/\/.*/, ""))
      ? [{ name, size: Math.ceil(Number(kibibytes) / 1024) }]
      : [];
  });
}

export function compareSettings(
  declared: readonly (readonly [string, unknown])[],
  configuration: unknown,
): SettingStatus[] {
  return declared.map(([key, value]) => {
    const actual = settingOf(configuration, key);
    return { key, declared: value, actual, agrees: sameSetting(key, value, actual) };
  });
}

/** Immich's answer about its jobs, as far as it is read. */
export type JobsAnswer = Readonly<
  Record<
    string,
    { readonly jobCounts?: Readonly<Partial<Omit<QueueStatus, "queue"> & { paused: number }>> }
  >
>;

export function parseQueues(jobs: JobsAnswer): QueueStatus[] {
  const names = ["smartSearch", "faceDetection", "facialRecognition", "ocr", "duplicateDetection"];
  return names.flatMap((queue) => {
    const counts = jobs[queue]?.jobCounts;
    if (!counts) return [];
    // A paused queue counts its jobs apart.
    const { waiting = 0, paused = 0, active = 0, failed = 0 } = counts;
    return [{ queue, waiting: waiting + paused, active, failed }];
  });
}
