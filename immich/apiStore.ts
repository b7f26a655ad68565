import { findSystemConfigKey } from "../catalog/systemConfigKeys";
import { formatImmichVersion, type ImmichVersion } from "../catalog/immichVersion";
import { getFromApi, type ImmichApiError, putToApi } from "./immichApi";
import { defaultOf, errorIn, sameSetting, settingOf, valuesIn } from "./settings";
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
  if (Object.keys(wanted).length > 0 || isStale) await save(store, document, wanted);
  return {
    before,
    rowWasAbsent: false,
    rowIsDamaged: false,
    skipped,
    clearedEmbeddings: null,
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
        "change it: put the settings there, or remove the variable from immich-server",
    );
  }
}

/**
 * Saves the whole configuration with our values in it. Immich takes no part of it, so what somebody else saves
 * in the 20 to 50 ms that Immich takes is reverted. Reading meanwhile would show it, but whoever reads while
 * Immich writes can make it miss the change (v2.7.5, v3.1.0): it keeps the former configuration in memory, and
 * the embeddings stay those of the former model. The interface of an administrator may do that, too.
 *
 * @throws when Immich does not have our values in the end
 */
async function save(
  store: ApiStoreArgs,
  document: Document,
  wanted: Readonly<Record<string, unknown>>,
): Promise<void> {
  const missed = differing(await put(store, document, wanted), wanted);
  if (missed.length === 0) return;
  const stored = await getFromApi<Document>(store, "/system-config");
  if (differing(ours(stored), wanted).length > 0) throw savedByAnother(store, missed);
  // It is saved, but Immich did not see that it changed: it sees it when it changes again.
  const former = Object.fromEntries(missed.map((key) => [key, settingOf(document, key)]));
  await put(store, stored, former);
  const left = differing(await put(store, stored, wanted), wanted);
  if (left.length > 0) throw savedByAnother(store, left);
}

function savedByAnother(store: ApiStoreArgs, keys: readonly string[]): Error {
  return new Error(
    `Immich at ${store.url} accepted the configuration but returns other values for ${keys.join(", ")}: ` +
      "another client saved at the same moment; run the program again",
  );
}

/** @returns our keys as Immich answers */
async function put(
  store: ApiStoreArgs,
  document: Document,
  values: Readonly<Record<string, unknown>>,
): Promise<Record<string, string>> {
  const changed = structuredClone(document);
  for (const [key, value] of Object.entries(values)) assign(changed, key.split("."), value);
  try {
    return ours(await putToApi<Document>(store, "/system-config", changed));
  } catch (error) {
    const { status } = error as ImmichApiError;
    if (status !== undefined && status >= 400 && status < 500) throw error;
    // The outcome is unknown. Reading changes nothing; sending again might undo a later save.
    const answer = ours(
      await getFromApi<Document>(store, "/system-config").catch(() => {
        throw error;
      }),
    );
    if (differing(answer, values).length > 0) throw error;
    return answer;
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
