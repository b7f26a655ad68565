import type { CheckResult } from "../../verify/check";
import type { HostStatus, QueueStatus, SettingStatus } from "../../verify/status";

/** An answer, or why there is none. */
export type Result<Answer> =
  | { readonly answer: Answer; readonly unknown?: undefined }
  | { readonly answer?: undefined; readonly unknown: string };

/** Everything a report shows. Nothing in it is secret. */
export interface ReportData {
  readonly stack: Result<string>;
  readonly made: Date;
  readonly hosts: Result<readonly HostReport[]>;
  /** Immich's settings as the stack declares them; empty without a preset. */
  readonly settings: readonly SettingStatus[];
  readonly queues: readonly QueueStatus[];
  /** Why Immich did not answer, where it was asked. */
  readonly immichProblem?: string | undefined;
  /** The release the stack is for, such as v2.7.5. */
  readonly immichVersion?: string | undefined;
  /** The newest first. */
  readonly history: Result<readonly Operation[]>;
  /** This report's and earlier ones', the oldest run first. */
  readonly readings: readonly Reading[];
}

export interface HostReport extends HostStatus {
  readonly gpu?: DetectedGpu | undefined;
  readonly check?: LastCheck | undefined;
}

export interface DetectedGpu {
  readonly name: string;
  /** MiB. */
  readonly videoMemory: number;
  /** Whether the driver reports it, or the stack file and the catalog. */
  readonly source: "driver" | "stack file";
}

export interface LastCheck {
  readonly check: CheckResult;
  readonly at?: Date | undefined;
}

/** The video memory of a GPU at the end of a run, with the models loaded. */
export interface Reading {
  /** ISO 8601. */
  readonly at: string;
  /** The host and its GPU. */
  readonly of: string;
  /** MiB. */
  readonly used: number;
  /** MiB. */
  readonly total: number;
}

/** One `up`, `refresh` or `destroy`. */
export interface Operation {
  readonly kind: string;
  readonly result: string;
  readonly message: string;
  readonly began: Date;
  readonly ended?: Date | undefined;
  /** Number of resources by step, such as `create` or `same`. */
  readonly changes: Readonly<Record<string, number>>;
}
