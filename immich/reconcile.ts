import type { ImmichVersion } from "../catalog/immichVersion";
import { sanitize } from "../util/sanitize";
import { isClipModel } from "../catalog/clipModels";
import { clipModelKey, faceModelKey } from "../catalog/systemConfigKeys";
import { writeApi } from "./apiStore";
import { writeDatabase } from "./databaseStore";
import { defaultOf, immichVersionOf, errorIn, sameSetting, type Settings } from "./settings";
import type { PreviousValue, SettingChange, StoreArgs, WriteOptions, WriteResult } from "./store";

/** What is declared: our keys of Immich's configuration and where it is kept. */
export interface Declared {
  readonly settings: Settings;
  /** The server's release, e.g. v2.7.5. */
  readonly immichVersion: string;
  readonly store: StoreArgs;
  /** What happens to the embeddings of another CLIP model. */
  readonly embeddings: "clear" | "keep";
  /** Whether the former CLIP model comes back with the other settings; Immich then drops every embedding. */
  readonly onDestroy: "keepModel" | "restoreModel";
  /** Whether Immich's servers may run on older values than those stored, as after a move to the API. */
  readonly announce?: boolean;
  /** Defaults that the server takes from its own variables, such as IMMICH_MACHINE_LEARNING_URL. */
  readonly defaults?: Settings;
}

/** The value of a key before this program set it. */
export type SavedValue = PreviousValue & {
  /** What we wrote last, as JSON text. */
  readonly written: string;
};

/** What is saved between runs. */
export interface SavedState {
  readonly previous: Readonly<Record<string, SavedValue>>;
  /** Whether the configuration row was absent before the first run. */
  readonly rowWasAbsent: boolean;
  /** The keys whose effective value the last change altered. */
  readonly changed: readonly string[];
  /** When an effective value changed last in the database (ISO 8601), "" for never. */
  readonly changedAt: string;
  /** The same for the CLIP model alone. */
  readonly clipChangedAt: string;
  /** The same for the face model alone. */
  readonly faceChangedAt: string;
  /** Name of the database that holds the settings; absent for the API. */
  readonly database?: string;
}

/** Characters of a stored value that a note repeats. */
const maxLength = 200;

export interface Outcome {
  readonly state: SavedState;
  /** What the user should know about it. */
  readonly notes: readonly string[];
}

/**
 * Sets the declared settings, and restores those that are no longer declared.
 *
 * @param before the state of the last run, undefined for the first
 */
export async function applySettings(declared: Declared, before?: SavedState): Promise<Outcome> {
  const version = immichVersionOf(declared.immichVersion);
  refuseWrong(declared);
  const [dropped, kept] = restorable(
    declared,
    Object.entries(before?.previous ?? {}).filter(([key]) => !(key in declared.settings)),
  );
  const changes: SettingChange[] = [
    ...Object.entries(declared.settings).map(([key, value]) => ({
      key,
      value: JSON.stringify(value),
    })),
    ...dropped.map(([key, saved]) => restoring(key, saved, declared)),
  ];
  const result = await write(declared.store, changes, {
    version,
    embeddings: declared.embeddings,
    dropEmptyRow: before?.rowWasAbsent ?? false,
    announce: declared.announce ?? false,
  });
  const changed = effectiveChanges(changes, result, declared);
  const now = laterThan(before?.changedAt);
  return {
    state: {
      previous: {
        ...Object.fromEntries(kept),
        ...previousValues(declared.settings, result, before),
      },
      rowWasAbsent: before?.rowWasAbsent ?? result.rowWasAbsent,
      changed,
      // Immich itself tells its servers of a change by its API.
      changedAt:
        changed.length > 0 && declared.store.kind === "database" ? now : (before?.changedAt ?? ""),
      clipChangedAt: changed.includes(clipModelKey) ? now : (before?.clipChangedAt ?? ""),
      faceChangedAt: changed.includes(faceModelKey) ? now : (before?.faceChangedAt ?? ""),
    },
    notes: [...notesOn(changes, result), ...notesOnKept(kept)],
  };
}

/** What goes into the configuration passes that release's rules first: in its database nobody else asks. */
function refuseWrong({ settings, immichVersion }: Declared): void {
  const version = immichVersionOf(immichVersion);
  const errors = Object.entries(settings).flatMap(([key, value]) => {
    const error = errorIn(key, value, version);
    return error === undefined ? [] : [`${key} ${error}`];
  });
  if (errors.length > 0) throw new Error(`${errors.join("; ")}; nothing was changed`);
}

/** Now; after a clock was set back, a moment later than the last change, so that this one counts. */
function laterThan(last: string | undefined): string {
  const now = Date.now();
  const earliest = last ? Date.parse(last) + 1 : 0;
  return new Date(Math.max(now, earliest)).toISOString();
}

/** Restores the previous values, except of keys that someone else has changed since. */
export async function restoreSettings(
  declared: Declared,
  saved: SavedState,
): Promise<{ readonly notes: readonly string[]; readonly needsRestart: boolean }> {
  const version = immichVersionOf(declared.immichVersion);
  const [former, kept] = restorable(declared, Object.entries(saved.previous));
  const changes = former.map(([key, value]) => restoring(key, value, declared));
  const result = await write(declared.store, changes, {
    version,
    embeddings: declared.embeddings,
    dropEmptyRow: saved.rowWasAbsent,
  });
  // Another try may have restored a key and failed before the restart.
  const isRestored = changes.some(
    ({ key, value }) => key in result.skipped && (result.skipped[key] ?? undefined) === value,
  );
  return {
    notes: [...notesOn(changes, result), ...notesOnKept(kept)],
    needsRestart: isRestored || effectiveChanges(changes, result, declared).length > 0,
  };
}

type Saved = readonly [key: string, saved: SavedValue];

/**
 * The keys to restore and those that stay: unless the stack file asks for it, the former CLIP model does
 * not come back, since Immich would drop every embedding and search would find nothing.
 */
function restorable(declared: Declared, saved: readonly Saved[]): readonly [Saved[], Saved[]] {
  const version = immichVersionOf(declared.immichVersion);
  const stays = ([key, value]: Saved) =>
    key === clipModelKey &&
    declared.onDestroy === "keepModel" &&
    !sameSetting(key, formerValue(key, value, version), parse(value.written));
  return [saved.filter((entry) => !stays(entry)), saved.filter(stays)];
}

/** What the key meant before this program: its value, or the default it stood for. */
function formerValue(key: string, saved: SavedValue, version: ImmichVersion): unknown {
  return "value" in saved ? parse(saved.value) : defaultOf(key, version);
}

function notesOnKept(kept: readonly Saved[]): string[] {
  return kept.map(
    ([key, saved]) =>
      `${key} stays ${sanitize(saved.written, maxLength)}, so that search keeps finding photos; before this program it was ` +
      `${"value" in saved ? sanitize(saved.value, maxLength) : "not set"} (immich-ml:onDestroy: restoreModel restores it and empties the search)`,
  );
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

/**
 * The change that restores a key. Made only while the key holds our value, or is absent because Immich
 * drops values that equal the default.
 */
function restoring(key: string, saved: SavedValue, declared: Declared): SettingChange {
  const version = immichVersionOf(declared.immichVersion);
  const isDefault = sameSetting(key, parse(saved.written), defaultIn(declared, key));
  const expected = isDefault ? [saved.written, null] : [saved.written];
  // A previous value that this release does not allow may keep Immich from starting.
  if ("value" in saved && isRunnable(key, parse(saved.value), version)) {
    return { key, value: saved.value, expected };
  }
  const remove = "missingFrom" in saved ? saved.missingFrom : key.split(".").length;
  return { key, remove, expected };
}

/** What an absent key stands for on that server. */
function defaultIn({ immichVersion, defaults }: Declared, key: string): unknown {
  return defaults?.[key] ?? defaultOf(key, immichVersionOf(immichVersion));
}

/** Whether a server of that release starts with the value: it must know the name of a CLIP model. */
function isRunnable(key: string, value: unknown, version: ImmichVersion): boolean {
  if (errorIn(key, value, version) !== undefined) return false;
  return key !== clipModelKey || (typeof value === "string" && isClipModel(value));
}

function effectiveChanges(
  changes: readonly SettingChange[],
  result: WriteResult,
  declared: Declared,
): string[] {
  return changes.flatMap(({ key, value }) => {
    const previous = result.before[key];
    if (previous === undefined) return [];
    const old = "value" in previous ? parse(previous.value) : defaultIn(declared, key);
    const now = value === undefined ? defaultIn(declared, key) : parse(value);
    return sameSetting(key, old, now) ? [] : [key];
  });
}

/**
 * The value of each declared key before us. Parents that we made for an earlier key count as absent for
 * a later one too, so that removing the last key removes them.
 */
function previousValues(
  settings: Settings,
  result: WriteResult,
  before: SavedState | undefined,
): Record<string, SavedValue> {
  const earlier = Object.entries(before?.previous ?? {});
  const previous: Record<string, SavedValue> = {};
  for (const [key, value] of Object.entries(settings)) {
    const known = before?.previous[key] ?? result.before[key];
    if (known === undefined) throw new Error(`the store did not return the previous ${key}`);
    const written = JSON.stringify(value);
    if ("value" in known) {
      previous[key] = { value: known.value, written };
      continue;
    }
    const inherited = earlier.flatMap(([other, saved]) =>
      "missingFrom" in saved && sharesParent(key, other, saved.missingFrom)
        ? [saved.missingFrom]
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
  const notes = Object.entries(result.skipped).flatMap(([key, text]) => {
    const wanted = changes.find((change) => change.key === key)?.value;
    // Restored by an earlier try.
    if (!result.rowIsDamaged && (text ?? undefined) === wanted) return [];
    return [
      `${key} is ${text === null ? "no longer set" : sanitize(text, maxLength)}: someone has changed it since, so it stays; ` +
        `before this program it was ${wanted ?? "not set"}`,
    ];
  });
  if (result.clearedEmbeddings) {
    notes.push(
      `${result.clearedEmbeddings} embeddings of the previous CLIP model were cleared; search finds nothing ` +
        "until the job Smart Search has run (Administration, Job Queues, Smart Search, All)",
    );
  }
  return notes;
}

/** Only the old table can hold a text that is no JSON; it is returned unchanged. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
