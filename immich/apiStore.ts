import { findSystemConfigKey } from "../catalog/systemConfigKeys";
import { formatImmichVersion, type ImmichVersion } from "../catalog/immichVersion";
import { getFromApi, type ImmichApiError, putToApi } from "./immichApi";
import { defaultOf, errorIn, sameSetting, valuesIn } from "./settings";
import type {
  ApiStoreArgs,
  PreviousValue,
  SettingChange,
  WriteOptions,
  WriteResult,
} from "./store";

type Document = Record<string, unknown>;

/** Reads our keys through Immich's API, which returns every key, defaults included. */
export async function readApi(store: ApiStoreArgs): Promise<Record<string, unknown>> {
  await refuseConfigFile(store);
  return valuesIn(await getFromApi<unknown>(store, "/system-config"));
}

/**
 * Changes our keys through Immich's API. The API takes only a whole configuration, so this reads it,
 * merges our keys into it and sends all of it back; nothing of it is kept.
 */
export async function writeApi(
  store: ApiStoreArgs,
  changes: readonly SettingChange[],
  options: WriteOptions,
): Promise<WriteResult> {
  await refuseConfigFile(store);
  const running = await runningVersion(store);
  const document = await getFromApi<Document>(store, "/system-config");
  const stored = ours(document);

  const before: Record<string, PreviousValue> = {};
  const skipped: Record<string, string | null> = {};
  const wanted: Record<string, unknown> = {};
  for (const { key, value, expected } of changes) {
    const current = stored[key];
    const target: unknown =
      value === undefined ? defaultOf(key, options.version) : JSON.parse(value);
    const error = errorIn(key, target, running);
    if (error !== undefined) {
      throw new Error(
        `Immich at ${store.url} is ${formatImmichVersion(running)}: ${key} ${error}; nothing was changed`,
      );
    }
    if (current === undefined) {
      throw new Error(`Immich at ${store.url} does not have ${key}; nothing was changed`);
    }
    if (
      expected !== undefined &&
      !expected.some((text) => text !== null && same(key, text, current))
    ) {
      skipped[key] = current;
      continue;
    }
    before[key] = { value: current };
    if (!sameSetting(key, JSON.parse(current), target)) wanted[key] = target;
  }

  const isStale = options.announce === true && changes.length > 0;
  const putBack =
    Object.keys(wanted).length > 0 || isStale ? await save(store, document, wanted) : [];
  return {
    before,
    rowWasAbsent: false,
    rowIsDamaged: false,
    skipped,
    clearedEmbeddings: null,
    putBack,
  };
}

/** What an API key must be allowed, by what the program does with it. */
const permissionsFor = {
  settings: ["systemConfig.read", "systemConfig.update"],
  reindex: ["job.read", "job.create"],
} as const;

/**
 * The permissions that the key lacks. It may always ask for its own; releases before v1.139 do not know
 * the question, and then the first use of the key shows it.
 */
export async function missingPermissions(
  store: ApiStoreArgs,
  { reindex }: { readonly reindex: boolean },
): Promise<string[]> {
  let granted: unknown;
  try {
    granted = (await getFromApi<{ permissions?: unknown }>(store, "/api-keys/me")).permissions;
  } catch (error) {
    if ([400, 403, 404].includes((error as ImmichApiError).status ?? 0)) return [];
    throw error;
  }
  if (!Array.isArray(granted) || granted.includes("all")) return [];
  const needed = [...permissionsFor.settings, ...(reindex ? permissionsFor.reindex : [])];
  return needed.filter((permission) => !granted.includes(permission));
}

/** The server's release. */
export async function runningVersion(store: ApiStoreArgs): Promise<ImmichVersion> {
  const { major, minor, patch } = await getFromApi<ImmichVersion>(store, "/server/version");
  if (![major, minor, patch].every(Number.isSafeInteger)) {
    throw new Error(`the answer of ${store.url} has no version: it is not Immich's server`);
  }
  return { major, minor, patch };
}

/** With IMMICH_CONFIG_FILE set, Immich ignores its saved configuration and refuses changes. */
async function refuseConfigFile(store: ApiStoreArgs): Promise<void> {
  const { configFile } = await getFromApi<{ configFile?: boolean }>(store, "/server/features");
  if (configFile === true) {
    throw new Error(
      `Immich at ${store.url} takes its configuration from a file (IMMICH_CONFIG_FILE), so nothing else can ` +
        "change it: put the settings there, or take the variable away from immich-server",
    );
  }
}

/** Times that what others saved meanwhile is put back before that is given up. */
const rounds = 3;

/**
 * Saves the whole configuration with our values in it. Immich takes no part of it, so what somebody
 * else saves between our reading and Immich's writing would be reverted. It is read all the while, and
 * what was seen and is gone afterwards is put back.
 *
 * @returns the keys that were put back
 */
async function save(
  store: ApiStoreArgs,
  document: Document,
  wanted: Readonly<Record<string, unknown>>,
): Promise<string[]> {
  const putBack: string[] = [];
  let base = document;
  let next = wanted;
  for (let round = 1; round <= rounds; round += 1) {
    const watch = watchConfiguration(store);
    try {
      await put(store, structuredClone(base), next);
    } finally {
      watch.stop();
    }
    const seen = await watch.seen;
    if (seen.length === 0) return putBack;
    const now = await getFromApi<Document>(store, "/system-config");
    next = lostValues(
      leavesOf(base),
      seen.map((found) => leavesOf(found)),
      leavesOf(now),
      new Set(Object.keys(next)),
    );
    if (Object.keys(next).length === 0) return putBack;
    putBack.push(...Object.keys(next));
    base = now;
  }
  return putBack;
}

/** Milliseconds. Immich takes 20 to 50 to save. */
const betweenLooks = 4;

/** Reads the configuration again and again until it is stopped. */
function watchConfiguration(store: ApiStoreArgs): {
  readonly stop: () => void;
  readonly seen: Promise<readonly Document[]>;
} {
  let isOver = false;
  const look = async () => {
    const seen: Document[] = [];
    while (!isOver) {
      const found = await getFromApi<Document>(store, "/system-config", { repeat: false }).catch(
        () => undefined,
      );
      if (found === undefined) break;
      seen.push(found);
      await new Promise((resolve) => setTimeout(resolve, betweenLooks));
    }
    return seen;
  };
  return {
    stop: () => void (isOver = true),
    seen: Promise.all([look(), look()]).then((lists) => lists.flat()),
  };
}

/** What somebody else has changed in what was seen, and what is as before now. */
function lostValues(
  before: ReadonlyMap<string, string>,
  seen: readonly ReadonlyMap<string, string>[],
  now: ReadonlyMap<string, string>,
  own: ReadonlySet<string>,
): Record<string, unknown> {
  const lost: Record<string, unknown> = {};
  for (const snapshot of seen) {
    for (const [key, value] of snapshot) {
      const was = before.get(key);
      if (own.has(key) || was === undefined || value === was || now.get(key) !== was) continue;
      lost[key] = JSON.parse(value);
    }
  }
  return lost;
}

/** Every value of a configuration as JSON, by its dotted key. */
function leavesOf(part: unknown, path: readonly string[] = []): Map<string, string> {
  if (typeof part !== "object" || part === null || Array.isArray(part)) {
    return new Map([[path.join("."), JSON.stringify(part)]]);
  }
  return new Map(
    Object.entries(part).flatMap(([name, inner]) => [...leavesOf(inner, [...path, name])]),
  );
}

async function put(
  store: ApiStoreArgs,
  document: Document,
  wanted: Readonly<Record<string, unknown>>,
): Promise<void> {
  for (const [key, value] of Object.entries(wanted)) assign(document, key.split("."), value);
  let answer: Record<string, string>;
  try {
    answer = ours(await putToApi<Document>(store, "/system-config", document));
  } catch (error) {
    const { status } = error as ImmichApiError;
    if (status !== undefined && status >= 400 && status < 500) throw error;
    // The outcome is unknown. Reading changes nothing; sending again might undo a later save.
    answer = ours(
      await getFromApi<Document>(store, "/system-config").catch(() => {
        throw error;
      }),
    );
    if (differing(answer, wanted).length > 0) throw error;
    return;
  }
  const left = differing(answer, wanted);
  if (left.length > 0) {
    throw new Error(
      `Immich at ${store.url} accepted the configuration but returns other values for ${left.join(", ")}: ` +
        "another client saved at the same moment; run the program again",
    );
  }
}

/** Our keys that Immich returns otherwise; of others we know no rules. */
function differing(
  answer: Readonly<Record<string, string>>,
  wanted: Readonly<Record<string, unknown>>,
): string[] {
  return Object.entries(wanted).flatMap(([key, value]) => {
    if (findSystemConfigKey(key) === undefined) return [];
    const text = answer[key];
    return text !== undefined && sameSetting(key, JSON.parse(text), value) ? [] : [key];
  });
}

/** Our keys as JSON texts. */
function ours(document: Document): Record<string, string> {
  const values = Object.entries(valuesIn(document));
  return Object.fromEntries(values.map(([key, value]) => [key, JSON.stringify(value)]));
}

function assign(document: Document, path: readonly string[], value: unknown): void {
  const [name, ...rest] = path as [string, ...string[]];
  if (rest.length === 0) document[name] = value;
  else assign(document[name] as Document, rest, value);
}

function same(key: string, left: string, right: string): boolean {
  return sameSetting(key, JSON.parse(left), JSON.parse(right));
}
