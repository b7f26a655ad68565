import { isClipModel } from "../catalog/clipModels";
import type { ImmichVersion } from "../catalog/immichVersion";
import { sanitize } from "../util/sanitize";
import { clipModelKey, faceModelKey } from "../catalog/systemConfigKeys";
import { readApi, writeApi } from "./apiStore";
import { readDatabase, writeDatabase } from "./databaseStore";
import { defaultOf, immichVersionOf, errorIn, sameSetting, type Settings } from "./settings";
import type {
  PreviousValue,
  SettingChange,
  StoreArgs,
  StoredSettings,
  WriteOptions,
  WriteResult,
} from "./store";

/** What is declared: our keys of Immich's configuration and where it is kept. */
export interface Declared {
  readonly settings: Settings;
  /** The server's release, e.g. v2.7.5. */
  readonly immichVersion: string;
  readonly store: StoreArgs;
  /** What happens to the embeddings of another CLIP model. */
  readonly embeddings: "clear" | "keep";
}

/** What has to be remembered of one key to give its previous value back. */
export type Remembered = PreviousValue & {
  /** What we wrote last, as JSON text. */
  readonly written: string;
};

/** What is remembered between runs. */
export interface Memory {
  readonly previous: Readonly<Record<string, Remembered>>;
  /** Whether there was no configuration row at all before us. */
  readonly rowWasAbsent: boolean;
  /** The keys whose effective value the last change altered. */
  readonly changed: readonly string[];
  /** When an effective value was altered last (ISO 8601), or "" when never: then no restart is needed. */
  readonly changedAt: string;
  /** The same for the CLIP model alone: its embeddings are to be made again. */
  readonly clipChangedAt: string;
  /** The same for the face model alone. */
  readonly faceChangedAt: string;
}

/** Characters of a stored value that a note repeats. */
const maxLength = 200;

export interface Outcome {
  readonly memory: Memory;
  /** What a person should know about what was done. */
  readonly notes: readonly string[];
}

/**
 * Makes the declared settings so, and restores those that are no longer declared.
 *
 * @param before what was remembered by the last run, or undefined for the first.
 */
export async function applySettings(declared: Declared, before?: Memory): Promise<Outcome> {
  const version = immichVersionOf(declared.immichVersion);
  const dropped = Object.entries(before?.previous ?? {}).filter(
    ([key]) => !(key in declared.settings),
  );
  const changes: SettingChange[] = [
    ...Object.entries(declared.settings).map(([key, value]) => ({
      key,
      value: JSON.stringify(value),
    })),
    ...dropped.map(([key, remembered]) => restoring(key, remembered, version)),
  ];
  const result = await write(declared.store, changes, {
    version,
    embeddings: declared.embeddings,
    dropEmptyRow: before?.rowWasAbsent ?? false,
  });
  const changed = effectiveChanges(changes, result, version);
  const now = laterThan(before?.changedAt);
  return {
    memory: {
      previous: remember(declared.settings, result, before),
      rowWasAbsent: before?.rowWasAbsent ?? result.rowWasAbsent,
      changed,
      changedAt: changed.length > 0 ? now : (before?.changedAt ?? ""),
      clipChangedAt: changed.includes(clipModelKey) ? now : (before?.clipChangedAt ?? ""),
      faceChangedAt: changed.includes(faceModelKey) ? now : (before?.faceChangedAt ?? ""),
    },
    notes: notesOn(changes, result),
  };
}

/**
 * The time now, or where a clock was turned back, a moment after what was remembered: what waits for a
 * change, a restart or a job, must see that there was another one.
 */
function laterThan(remembered: string | undefined): string {
  const now = Date.now();
  const last = remembered ? Date.parse(remembered) : 0;
  return new Date(now > last ? now : last + 1).toISOString();
}

/** What stands under the declared keys now; an absent key counts as the default of that release. */
export async function readSettings(
  declared: Declared,
): Promise<{ readonly settings: Settings; readonly notes: readonly string[] }> {
  const version = immichVersionOf(declared.immichVersion);
  const stored = await read(declared.store, version);
  const settings: Settings = {};
  const notes = stored.damage.map((damage) => `Immich's configuration is damaged: ${damage}`);
  for (const [key, value] of Object.entries(declared.settings)) {
    const text = stored.values[key];
    const current = text === undefined ? defaultOf(key, version) : parse(text);
    const found = (current ?? null) as Settings[string];
    settings[key] = sameSetting(key, found, value) ? value : found;
    const error = text === undefined ? undefined : dangerIn(key, current, version);
    if (error !== undefined) {
      notes.push(
        `Immich's configuration has ${key} = ${sanitize(text!, maxLength)}, which ${error}: Immich may not start with it`,
      );
    }
  }
  return { settings, notes };
}

/** Gives the previous values back, but for keys that somebody has changed since: theirs stay. */
export async function restoreSettings(
  declared: Declared,
  memory: Memory,
): Promise<{ readonly notes: readonly string[] }> {
  const version = immichVersionOf(declared.immichVersion);
  const changes = Object.entries(memory.previous).map(([key, remembered]) =>
    restoring(key, remembered, version),
  );
  const result = await write(declared.store, changes, {
    version,
    embeddings: declared.embeddings,
    dropEmptyRow: memory.rowWasAbsent,
  });
  return { notes: notesOn(changes, result) };
}

function write(
  store: StoreArgs,
  changes: readonly SettingChange[],
  options: WriteOptions,
): Promise<WriteResult> {
  return store.kind === "api"
    ? writeApi(store, changes, options)
    : writeDatabase(store, changes, options);
}

function read(store: StoreArgs, version: ImmichVersion): Promise<StoredSettings> {
  return store.kind === "api" ? readApi(store) : readDatabase(store, version);
}

/** Why a value that somebody else wrote may keep Immich from starting. */
function dangerIn(key: string, value: unknown, version: ImmichVersion): string | undefined {
  if (key === clipModelKey && typeof value === "string" && !isClipModel(value)) {
    return "is no CLIP model this program knows";
  }
  return errorIn(key, value, version);
}

/**
 * The change that puts a key back as it was before us. Made only where our value still stands, or
 * where Immich has dropped it because it equals the default.
 */
function restoring(key: string, remembered: Remembered, version: ImmichVersion): SettingChange {
  const isDefault = sameSetting(key, parse(remembered.written), defaultOf(key, version));
  const expected = isDefault ? [remembered.written, null] : [remembered.written];
  // A value that no running Immich can have had is not written back: it may keep it from starting.
  if ("value" in remembered && errorIn(key, parse(remembered.value), version) === undefined) {
    return { key, value: remembered.value, expected };
  }
  const remove = "missingFrom" in remembered ? remembered.missingFrom : key.split(".").length;
  return { key, remove, expected };
}

function effectiveChanges(
  changes: readonly SettingChange[],
  result: WriteResult,
  version: ImmichVersion,
): string[] {
  return changes.flatMap(({ key, value }) => {
    const previous = result.before[key];
    if (previous === undefined) return [];
    const old = "value" in previous ? parse(previous.value) : defaultOf(key, version);
    const now = value === undefined ? defaultOf(key, version) : parse(value);
    return sameSetting(key, old, now) ? [] : [key];
  });
}

/**
 * What each declared key was before us. A key that is declared later finds parents that an earlier
 * one made: these count as absent for it too, so that the last one to go takes them along.
 */
function remember(
  settings: Settings,
  result: WriteResult,
  before: Memory | undefined,
): Record<string, Remembered> {
  const earlier = Object.entries(before?.previous ?? {});
  const previous: Record<string, Remembered> = {};
  for (const [key, value] of Object.entries(settings)) {
    const known = before?.previous[key] ?? result.before[key];
    if (known === undefined) throw new Error(`the store did not say what ${key} was before`);
    const written = JSON.stringify(value);
    if ("value" in known) {
      previous[key] = { value: known.value, written };
      continue;
    }
    const inherited = earlier.flatMap(([other, remembered]) =>
      "missingFrom" in remembered && sharesParent(key, other, remembered.missingFrom)
        ? [remembered.missingFrom]
        : [],
    );
    previous[key] = { missingFrom: Math.min(known.missingFrom, ...inherited), written };
  }
  return previous;
}

function sharesParent(key: string, other: string, depth: number): boolean {
  const parent = (path: string) => path.split(".").slice(0, depth).join(".");
  return key !== other && depth < key.split(".").length && parent(key) === parent(other);
}

function notesOn(changes: readonly SettingChange[], result: WriteResult): string[] {
  const notes = Object.entries(result.skipped).map(([key, text]) => {
    const change = changes.find((candidate) => candidate.key === key);
    return (
      `${key} is ${text === null ? "no longer set" : sanitize(text, maxLength)}: somebody has changed it since, so it stays; ` +
      `before this program it was ${change?.value ?? "not set"}`
    );
  });
  if (result.clearedEmbeddings) {
    notes.push(
      `${result.clearedEmbeddings} embeddings of the previous CLIP model were cleared; search finds nothing ` +
        "until the job Smart Search has run (Administration, Jobs, Smart Search, Missing)",
    );
  }
  return notes;
}

/** A text that is no JSON can only stand in the old table; it is shown as it is. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
