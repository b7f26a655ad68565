import { canonicalClipName } from "../catalog/clipModels";
import {
  atLeast,
  formatImmichVersion,
  parseImmichVersion,
  type ImmichVersion,
} from "../catalog/immichVersion";
import {
  allowedSetting,
  clipModelKey,
  isAllowedSetting,
  systemConfigKeys,
  type SettingValue,
} from "../catalog/systemConfigKeys";
import type { ModelSelection } from "./modelSelection";

/** Keys of Immich's configuration (dotted paths) with their declared values. */
export type Settings = Record<string, SettingValue>;

/** How Immich checks whether its ML servers are up (1.143 and newer). */
export interface AvailabilityChecks {
  readonly enabled?: boolean;
  /** Milliseconds. */
  readonly timeout?: number;
  /** Milliseconds. */
  readonly interval?: number;
}

/** What a selection means in Immich's configuration of that release. */
export function settingsOf(
  selection: ModelSelection,
  version: ImmichVersion,
  availabilityChecks: AvailabilityChecks = {},
): Settings {
  const wanted: Record<string, SettingValue | undefined> = {
    ...partSettings("machineLearning.clip", selection.clip),
    ...partSettings("machineLearning.facialRecognition", selection.facialRecognition),
    ...partSettings("machineLearning.ocr", selection.ocr),
    ...partSettings("machineLearning.duplicateDetection", selection.duplicateDetection),
    "job.smartSearch.concurrency": selection.concurrency?.smartSearch,
    "job.faceDetection.concurrency": selection.concurrency?.faceDetection,
    "job.ocr.concurrency": selection.concurrency?.ocr,
    "machineLearning.availabilityChecks.enabled": availabilityChecks.enabled,
    "machineLearning.availabilityChecks.timeout": availabilityChecks.timeout,
    "machineLearning.availabilityChecks.interval": availabilityChecks.interval,
  };
  const known = systemConfigKeys.filter((entry) => keyExists(entry, version));
  return Object.fromEntries(
    known.flatMap(({ key }) => {
      const value = wanted[key];
      return value === undefined ? [] : [[key, value]];
    }),
  );
}

/** The key for the addresses of the ML servers: one text up to release 1.121, then a list. */
export function urlsKeyOf(version: ImmichVersion): "machineLearning.url" | "machineLearning.urls" {
  return atLeast(version, "1.122.0") ? "machineLearning.urls" : "machineLearning.url";
}

/** The value of an absent key in that release. */
export function defaultOf(key: string, version: ImmichVersion): SettingValue | undefined {
  const entry = systemConfigKeys.find((candidate) => candidate.key === key);
  return entry?.defaults.findLast((candidate) => atLeast(version, candidate.since))?.value;
}

/** Why that release does not allow the value for the key; undefined when it does. */
export function errorIn(key: string, value: unknown, version: ImmichVersion): string | undefined {
  const entry = systemConfigKeys.find((candidate) => candidate.key === key);
  if (entry === undefined) return "is not a key of Immich's machine-learning configuration";
  if (!keyExists(entry, version)) {
    return `does not exist in Immich ${formatImmichVersion(version)}`;
  }
  if (!isAllowedSetting(entry, value)) return `must be ${allowedSetting(entry)}`;
  if (!addressKeys.includes(key) || atLeast(version, "3.0.0")) return undefined;
  const wrong = [value].flat().find((url) => !isAddress(String(url)));
  return wrong === undefined
    ? undefined
    : `contains ${JSON.stringify(wrong)}, which Immich ${formatImmichVersion(version)} does not accept as an address, and then it saves no settings at all: ` +
        "each part of the host name must begin and end with a letter or digit (hosts[].name, networkAlias or url)";
}

const addressKeys = ["machineLearning.url", "machineLearning.urls"];

/** As Immich judges an address before v3.0.0 (validator's isURL): a refused one blocks its whole configuration. */
function isAddress(url: string): boolean {
  if (!/^https?:\/\//i.test(url) || /\s/.test(url) || !URL.canParse(url)) return false;
  const host = /^https?:\/\/(\[[^\]]*\]|[^/:?#]*)/i.exec(url)![1]!;
  const isLabel = (label: string) =>
    /^[a-z0-9_\u00a1-\uffff-]{1,63}$/i.test(label) && !/^-|-$/.test(label);
  return host.startsWith("[") || host.replace(/\.$/, "").split(".").every(isLabel);
}

/** Whether two values of a key mean the same; two spellings of one CLIP model do. */
export function sameSetting(key: string, left: unknown, right: unknown): boolean {
  if (key === clipModelKey && typeof left === "string" && typeof right === "string") {
    return canonicalClipName(left) === canonicalClipName(right);
  }
  return JSON.stringify(left) === JSON.stringify(right);
}

/**
 * What declaring these settings changes: a line for each key with both values.
 *
 * @param stored what is stored now; a key that is absent stands for the default of the release
 * @param defaults those that the server takes from its own variables instead
 */
export function changesOf(
  declared: Readonly<Record<string, unknown>>,
  stored: Readonly<Record<string, unknown>>,
  version: ImmichVersion,
  defaults: Readonly<Record<string, unknown>> = {},
): string[] {
  return Object.entries(declared).flatMap(([key, wanted]) => {
    const isStored = Object.hasOwn(stored, key);
    const now = isStored ? stored[key] : (defaults[key] ?? defaultOf(key, version));
    if (sameSetting(key, now, wanted)) return [];
    const before = now === undefined ? "nothing" : JSON.stringify(now);
    const origin = isStored || now === undefined ? "" : " (Immich's default)";
    return [`${key}: ${before}${origin} => ${JSON.stringify(wanted)}`];
  });
}

/** The value of a dotted key in a whole configuration. */
export function settingOf(configuration: unknown, key: string): unknown {
  return key
    .split(".")
    .reduce<unknown>(
      (part, name) =>
        typeof part === "object" && part !== null
          ? (part as Record<string, unknown>)[name]
          : undefined,
      configuration,
    );
}

/** Our keys out of a whole configuration, without those that are absent. */
export function valuesIn(configuration: unknown): Record<string, unknown> {
  return Object.fromEntries(
    systemConfigKeys.flatMap(({ key }) => {
      const value = settingOf(configuration, key);
      return value === undefined ? [] : [[key, value]];
    }),
  );
}

/** The parents of our keys that are present and no objects, such as `machineLearning.clip`. */
export function damageIn(configuration: unknown): string[] {
  const parents = systemConfigKeys.flatMap(({ key }) => {
    const path = key.split(".");
    return path.slice(1).map((_name, index) => path.slice(0, index + 1).join("."));
  });
  return [...new Set(parents)].filter((parent) => {
    const value = settingOf(configuration, parent);
    return (
      value !== undefined && (typeof value !== "object" || value === null || Array.isArray(value))
    );
  });
}

/** Reads a release that was checked before; anything else is an error of the caller and throws. */
export function immichVersionOf(text: string): ImmichVersion {
  const version = parseImmichVersion(text);
  if (version === undefined) {
    throw new Error(`immichVersion: "${text}" must be a full release of Immich such as v2.7.5`);
  }
  return version;
}

function keyExists(
  entry: { readonly since: string; readonly until?: string },
  version: ImmichVersion,
): boolean {
  return (
    atLeast(version, entry.since) && (entry.until === undefined || !atLeast(version, entry.until))
  );
}

function partSettings(
  path: string,
  part: undefined | false | Readonly<Record<string, SettingValue | undefined>>,
): Record<string, SettingValue | undefined> {
  if (part === undefined) return {};
  if (part === false) return { [`${path}.enabled`]: false };
  const fields = Object.entries(part).map(([name, value]) => [`${path}.${name}`, value] as const);
  return { [`${path}.enabled`]: true, ...Object.fromEntries(fields) };
}
