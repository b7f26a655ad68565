import type { Client } from "pg";

import { sanitize } from "../util/sanitize";
import { clipModelKey } from "../catalog/systemConfigKeys";
import { atLeast, type ImmichVersion } from "../catalog/immichVersion";
import { connectToDatabase, disconnect, isConnectionLoss, isSilence } from "./databaseConnection";
import {
  databaseFunctions,
  foreignSchema,
  foreignSchemaOwner,
  ownTables,
  schemaName,
} from "./databaseFunctions";
import { defaultOf } from "./settings";
import type {
  DatabaseStoreArgs,
  PreviousValue,
  SettingChange,
  WriteOptions,
  WriteResult,
} from "./store";

/** What is stored under our keys. */
export interface StoredSettings {
  /** JSON texts as stored, without absent keys. */
  readonly values: Readonly<Record<string, string>>;
  /** Damage that keeps keys from being read, one sentence each. */
  readonly damage: readonly string[];
}

/** Reads our keys out of Immich's database. */
export async function readDatabase(
  store: DatabaseStoreArgs,
  version: ImmichVersion,
): Promise<StoredSettings> {
  const client = await connectToFunctions(store);
  try {
    const answer = await call<ReadAnswer>(
      client,
      store,
      "SELECT immich_ml.read_settings($1) AS answer",
      [tableOf(version)],
    );
    return { values: answer.values, damage: damageOf(answer) };
  } finally {
    await disconnect(client);
  }
}

/** Changes our keys in Immich's database: all of them or none. */
export async function writeDatabase(
  store: DatabaseStoreArgs,
  changes: readonly SettingChange[],
  options: WriteOptions,
): Promise<WriteResult> {
  const client = await connectToFunctions(store);
  try {
    const clear =
      options.embeddings === "clear"
        ? { clear_embeddings: { default: defaultOf(clipModelKey, options.version) } }
        : {};
    await call(client, store, "BEGIN", []);
    const answer = await call<WriteAnswer>(
      client,
      store,
      "SELECT immich_ml.write_settings($1, $2, $3) AS answer",
      [
        tableOf(options.version),
        JSON.stringify(changes),
        JSON.stringify({ drop_empty_row: options.dropEmptyRow, ...clear }),
      ],
    );
    await commit(client, store, changes, answer, options.version);
    return resultOf(answer);
  } finally {
    await disconnect(client);
  }
}

/**
 * Drops the functions, and the schema unless it holds something else. Pulumi does not: its provider
 * stores an address that may have moved.
 *
 * @param only names of functions; the schema then stays. @default all
 */
export async function dropFunctions(
  store: DatabaseStoreArgs,
  only?: readonly string[],
): Promise<void> {
  const client = await connectToDatabase(store);
  try {
    for (const { name, args } of databaseFunctions) {
      if (only?.includes(name) === false) continue;
      const types = args.map(({ type }) => type).join(", ");
      await call(client, store, `DROP FUNCTION IF EXISTS ${schemaName}.${name}(${types})`, []);
    }
    if (only) return;
    const left = await call<boolean>(
      client,
      store,
      `SELECT EXISTS (SELECT FROM pg_proc WHERE pronamespace = to_regnamespace('${schemaName}'))
           OR EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace('${schemaName}')) AS answer`,
      [],
    );
    if (!left) await call(client, store, `DROP SCHEMA IF EXISTS ${schemaName}`, []);
  } finally {
    await disconnect(client);
  }
}

/** Clears the embeddings of all photos. @returns how many there were */
export async function clearEmbeddings(store: DatabaseStoreArgs): Promise<number> {
  const client = await connectToDatabase(store);
  try {
    const isOurs = await call<boolean>(
      client,
      store,
      `SELECT 'smart_search' IN (${ownTables}) AS answer`,
      [],
    );
    if (!isOurs) return 0;
    const cleared = await call<string>(
      client,
      store,
      "WITH gone AS (DELETE FROM public.smart_search RETURNING 1) SELECT count(*) AS answer FROM gone",
      [],
    );
    return Number(cleared);
  } finally {
    await disconnect(client);
  }
}

/** PostgreSQL's messages may repeat the value they are about. */
const maxMessageLength = 1000;

interface ReadAnswer {
  readonly row: string;
  readonly values: Record<string, string>;
  readonly blocked: Record<string, string>;
}

interface WriteAnswer {
  readonly row: string;
  readonly before: Record<string, { value: string } | { missing_from: number }>;
  readonly skipped: Record<string, string | null>;
  readonly cleared: number | null;
}

/** Up to release 1.105 one row per key in system_config, then one document in system_metadata. */
function tableOf(version: ImmichVersion): "system_metadata" | "system_config" {
  return atLeast(version, "1.106.0") ? "system_metadata" : "system_config";
}

/** Connects to a database whose functions are ours. */
async function connectToFunctions(store: DatabaseStoreArgs): Promise<Client> {
  const client = await connectToDatabase(store);
  try {
    const owner = await call<string | null>(
      client,
      store,
      `SELECT ${foreignSchemaOwner} AS answer`,
      [],
    );
    if (owner === null) return client;
    throw new Error(sanitize(foreignSchema(owner)));
  } catch (error) {
    await disconnect(client);
    throw error;
  }
}

async function call<Answer>(
  client: Client,
  store: DatabaseStoreArgs,
  statement: string,
  values: readonly string[],
): Promise<Answer> {
  try {
    const { rows } = await client.query<{ answer: Answer }>(statement, [...values]);
    return rows[0]?.answer as Answer;
  } catch (error) {
    throw new Error(sanitize(statementError(store, error), maxMessageLength));
  }
}

/**
 * Commits. When the connection breaks just then, the outcome is unknown, so it is read back: the
 * previous values must not be lost.
 */
async function commit(
  client: Client,
  store: DatabaseStoreArgs,
  changes: readonly SettingChange[],
  answer: WriteAnswer,
  version: ImmichVersion,
): Promise<void> {
  try {
    await client.query("COMMIT");
  } catch (error) {
    if (!isConnectionLoss(error)) throw new Error(statementError(store, error));
    const { values } = await readDatabase(store, version);
    const done = changes.every(
      ({ key, value }) =>
        key in answer.skipped ||
        JSON.stringify(parsed(values[key])) === JSON.stringify(parsed(value)),
    );
    if (!done) throw new Error(statementError(store, error));
  }
}

function resultOf(answer: WriteAnswer): WriteResult {
  const before: Record<string, PreviousValue> = {};
  for (const [key, previous] of Object.entries(answer.before)) {
    before[key] = "value" in previous ? previous : { missingFrom: previous.missing_from };
  }
  return {
    before,
    rowWasAbsent: answer.row === "absent",
    rowIsDamaged: answer.row !== "object" && answer.row !== "absent",
    skipped: answer.skipped,
    clearedEmbeddings: answer.cleared,
  };
}

function damageOf(answer: ReadAnswer): string[] {
  if (answer.row !== "object" && answer.row !== "absent") {
    return [`the whole configuration row is of type ${answer.row} instead of an object`];
  }
  const places = [...new Set(Object.values(answer.blocked))];
  return places.map((place) => `${place} is not an object`);
}

function parsed(text: string | undefined): unknown {
  return text === undefined ? undefined : JSON.parse(text);
}

function statementError(store: DatabaseStoreArgs, error: unknown): string {
  const { code, message, hint } = error as { code?: string; message?: string; hint?: string };
  const where = `the database at ${store.host}:${store.port}`;
  if (isSilence(error)) {
    return `${where} stopped answering in the middle of a statement; nothing was changed, run the program again`;
  }
  if (isConnectionLoss(error)) {
    return `the connection to ${where} was lost (${message}); nothing was changed, run the program again`;
  }
  switch (code) {
    case "IML01":
    case "IML02":
      return hint === undefined ? `${message}` : `${message}. ${hint}`;
    case "55P03":
      return `another program has been changing Immich's configuration in ${where} for more than 15 s (another run of this one?); nothing was changed`;
    case "57014":
      return `${where} did not answer within 60 s; nothing was changed`;
    case "3F000":
    case "42883":
      return `${where} has no functions in schema immich_ml (${message}); they belong to the model preset: run pulumi up --refresh`;
    case "42501":
      return `user "${store.user}" lacks a right in ${where}: ${message}`;
    default:
      return `${where} refused: ${message}`;
  }
}
