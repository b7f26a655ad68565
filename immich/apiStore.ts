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

  if (Object.keys(wanted).length > 0) await put(store, document, wanted);
  return { before, rowWasAbsent: false, rowIsDamaged: false, skipped, clearedEmbeddings: null };
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

function differing(
  answer: Readonly<Record<string, string>>,
  wanted: Readonly<Record<string, unknown>>,
): string[] {
  return Object.entries(wanted).flatMap(([key, value]) => {
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
