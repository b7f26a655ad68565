import { escapeIdentifier, type Client } from "pg";

import { defaultClipModel } from "../catalog/clipModels";
import { sanitize } from "../util/sanitize";
import { clipModelKey, systemConfigKeys } from "../catalog/systemConfigKeys";
import { missingPermissions, readApi, runningVersion } from "./apiStore";
import { connectToDatabase, disconnect, isSilence } from "./databaseConnection";
import {
  foreignCode,
  foreignSchema,
  foreignSchemaOwner,
  functionsByStack,
  ownTables,
  schemaName,
} from "./databaseFunctions";
import { formatImmichVersion } from "../catalog/immichVersion";
import { damageIn, valuesIn } from "./settings";
import type { ApiStoreArgs, DatabaseAddress } from "./store";

const keys = systemConfigKeys.map(({ key }) => key);

/** What is in a database that is Immich's and can hold the model preset. */
export interface DatabaseInfo {
  readonly ok: true;
  /** The table that holds Immich's configuration; `system_config` up to release 1.105. */
  readonly kind: "system_metadata" | "system_config";
  /** Version of PostgreSQL, such as 14.13. */
  readonly serverVersion: string;
  /** Release that last ran on this database, where it says so. */
  readonly immichVersion: string | undefined;
  /** The CLIP model in use. */
  readonly clipModel: string;
  /** The stored machine-learning keys and no others. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Whether there are embeddings, which a change of the CLIP model makes wrong. */
  readonly hasEmbeddings: boolean;
  /** Whether schema immich_ml has functions, and not those of release 0.1.0. */
  readonly hasCurrentFunctions: boolean;
  /** The functions in that schema, each with the stack that made it; null where it has no mark. */
  readonly functions: Readonly<Record<string, string | null>>;
}

/** What is behind an API that can hold the model preset. */
export interface ApiInfo {
  readonly ok: true;
  /** The release that answers, such as v2.7.5. */
  readonly immichVersion: string;
  /** The CLIP model in use. */
  readonly clipModel: string;
  /** The stored machine-learning keys and no others. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** What is wrong and what to do, in one message. */
export interface ProbeFailure {
  readonly ok: false;
  readonly message: string;
}

export interface DatabaseProbeOptions extends DatabaseAddress {
  /** Milliseconds until a server that does not answer counts as unreachable. @default 10000 */
  readonly timeoutMs?: number;
}

/** Milliseconds that one of the probe's questions may take. */
const answerWithin = 15_000;

/** Checks whether that database can hold the model preset. Changes nothing. */
export async function probeDatabase(
  options: DatabaseProbeOptions,
): Promise<DatabaseInfo | ProbeFailure> {
  let client: Client;
  try {
    client = await connectToDatabase(options, options.timeoutMs, { answerWithin });
  } catch (error) {
    return { ok: false, message: (error as Error).message };
  }
  try {
    await client.query("BEGIN READ ONLY");
    const found = await look(client, options);
    return found.ok ? found : { ...found, message: sanitize(found.message) };
  } catch (error) {
    const { host, port } = options;
    const reason = isSilence(error)
      ? `it accepted the connection, but has not answered for ${answerWithin / 1000} s`
      : sanitize((error as Error).message);
    return { ok: false, message: `the database at ${host}:${port} cannot be checked: ${reason}` };
  } finally {
    await disconnect(client);
  }
}

/** Checks whether that API can hold the model preset. Changes nothing. */
export async function probeApi({
  reindex = false,
  ...options
}: Omit<ApiStoreArgs, "kind"> & {
  /** Whether the key will start jobs, too. @default false */
  readonly reindex?: boolean;
}): Promise<ApiInfo | ProbeFailure> {
  const store: ApiStoreArgs = { kind: "api", ...options };
  try {
    const missing = await missingPermissions(store, { reindex });
    if (missing.length > 0) {
      const message = `immich-ml:immichApiKey lacks the permission ${missing.join(", ")} at ${store.url}: give it to the key (Account Settings, API Keys), or make another key`;
      return { ok: false, message };
    }
    const settings = await readApi(store);
    const version = await runningVersion(store);
    const model = settings[clipModelKey];
    return {
      ok: true,
      immichVersion: formatImmichVersion(version),
      clipModel: typeof model === "string" ? model : defaultClipModel,
      settings,
    };
  } catch (error) {
    return { ok: false, message: (error as Error).message };
  }
}

async function look(
  client: Client,
  options: DatabaseProbeOptions,
): Promise<DatabaseInfo | ProbeFailure> {
  const { host, port, database, user } = options;
  const where = `database "${database}" at ${host}:${port}`;
  const [names] = await ask<{
    own: string[];
    all: string[];
    schemaOwner: string | null;
    code: string | null;
  }>(
    client,
    `SELECT ARRAY(${ownTables}) AS own, ${foreignSchemaOwner} AS "schemaOwner", ${foreignCode} AS code,
       ARRAY(SELECT relname::text FROM pg_class WHERE relnamespace = to_regnamespace('public')) AS all`,
  );
  const { own, all, schemaOwner, code } = names!;
  const tables = {
    metadata: own.includes("system_metadata"),
    config: own.includes("system_config"),
    embeddings: own.includes("smart_search"),
    history: own.includes("version_history"),
  };
  // Beside Immich's system_metadata, a system_config of another role is as good as none.
  const foreign = ["system_metadata", "smart_search", tables.metadata ? "" : "system_config"].find(
    (name) => all.includes(name) && !own.includes(name),
  );
  if (foreign !== undefined) {
    return {
      ok: false,
      message:
        `public.${foreign} in ${where} is not touched, because it is not a plain table of user "${user}", of the database's ` +
        "owner or of a superuser. Set immich.database.user to Immich's; if it is not Immich's, remove it",
    };
  }
  if (schemaOwner !== null)
    return { ok: false, message: `in ${where} ${foreignSchema(schemaOwner)}` };
  if (code !== null) {
    return {
      ok: false,
      message: `in ${where} another user has made an operator or function "${code}", which could run with your rights in place of PostgreSQL's: look at it, drop it, then REVOKE CREATE ON SCHEMA public FROM PUBLIC`,
    };
  }
  if (!tables.metadata && !tables.config) {
    return {
      ok: false,
      message:
        `${where} is not Immich's: it has neither system_metadata nor system_config. ` +
        "If Immich was never started on it, start it once; otherwise look at immich.database.name",
    };
  }
  const missing = await missingRights(client, options, tables);
  if (missing.length > 0) {
    return {
      ok: false,
      message: `user "${user}" lacks rights in ${where}; a superuser can grant them: ${missing.join(" ")}`,
    };
  }

  // Releases from 1.106 on leave an empty system_config behind until 1.132.
  const old = tables.config && (await exists(client, "public.system_config"));
  const kind = old || !tables.metadata ? "system_config" : "system_metadata";
  const stored = await storedSettings(client, kind);
  if (typeof stored === "string") {
    return { ok: false, message: `Immich's configuration in ${where} is damaged: ${stored}` };
  }
  const model = stored[clipModelKey];
  const [server] = await ask<{ version: string; functions: Record<string, string | null> }>(
    client,
    `SELECT current_setting('server_version') AS version, ${functionsByStack} AS functions`,
  );
  const functions = server?.functions ?? {};
  return {
    ok: true,
    kind,
    serverVersion: server?.version.split(" ")[0] ?? "",
    immichVersion: tables.history ? await lastRelease(client) : undefined,
    clipModel: typeof model === "string" ? model : defaultClipModel,
    settings: stored,
    hasEmbeddings: tables.embeddings && (await exists(client, "public.smart_search")),
    hasCurrentFunctions: "read_settings" in functions && !("settings_keys" in functions),
    functions,
  };
}

/** @returns our keys with their values, or what is damaged and how to repair it. */
async function storedSettings(
  client: Client,
  kind: DatabaseInfo["kind"],
): Promise<Record<string, unknown> | string> {
  if (kind === "system_config") {
    const statement =
      "SELECT key, value FROM public.system_config WHERE key = ANY($1) AND value IS NOT NULL";
    const { rows } = await client.query<{ key: string; value: string }>(statement, [keys]);
    return Object.fromEntries(rows.map(({ key, value }) => [key, parsed(value)]));
  }
  // The rest of the row holds secrets and is not read.
  const [row] = await ask<{ type: string; sections: Record<string, unknown> }>(
    client,
    `SELECT jsonb_typeof(value) AS type, CASE jsonb_typeof(value) WHEN 'object' THEN
       (SELECT coalesce(jsonb_object_agg(section.key, section.value), '{}')
        FROM jsonb_each(value) AS section WHERE section.key IN ('machineLearning', 'job')) END AS sections
     FROM public.system_metadata WHERE key = 'system-config'`,
  );
  if (row === undefined) return {};
  if (row.type !== "object") {
    return (
      `the row is of type ${row.type} instead of an object, so Immich runs on its defaults. ` +
      "Look at it, then: DELETE FROM system_metadata WHERE key = 'system-config';"
    );
  }
  const [damaged] = damageIn(row.sections);
  if (damaged !== undefined) {
    return (
      `${damaged} is not an object. Look at it, then: ` +
      `UPDATE system_metadata SET value = value #- '{${damaged.replaceAll(".", ",")}}' WHERE key = 'system-config';`
    );
  }
  return valuesIn(row.sections);
}

/** What is no JSON is returned unchanged. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

async function missingRights(
  client: Client,
  { database, user }: DatabaseProbeOptions,
  tables: { readonly metadata: boolean; readonly config: boolean; readonly embeddings: boolean },
): Promise<string[]> {
  const grants: string[] = [];
  const [rights] = await ask<{ schema: boolean }>(
    client,
    `SELECT has_database_privilege(current_database(), 'CREATE')
              OR to_regnamespace('${schemaName}') IS NOT NULL AS schema`,
  );
  const who = escapeIdentifier(user);
  if (!rights?.schema) {
    grants.push(`GRANT CREATE ON DATABASE ${escapeIdentifier(database)} TO ${who};`);
  }

  const needed = [
    ...(tables.metadata ? ["system_metadata"] : []),
    ...(tables.config ? ["system_config"] : []),
    ...(tables.embeddings ? ["smart_search"] : []),
  ];
  for (const table of needed) {
    const [granted] = await ask<{ all: boolean }>(
      client,
      `SELECT bool_and(has_table_privilege('public.${table}', "right")) AS all
       FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS "right"`,
    );
    if (!granted?.all) {
      grants.push(`GRANT SELECT, INSERT, UPDATE, DELETE ON public.${table} TO ${who};`);
    }
  }
  return grants;
}

/** Immich records each release that ran; old ones did not. */
async function lastRelease(client: Client): Promise<string | undefined> {
  const [history] = await ask<{ readable: boolean }>(
    client,
    `SELECT has_table_privilege('public.version_history', 'SELECT') AS readable`,
  );
  if (!history?.readable) return undefined;
  const [last] = await ask<{ version: string }>(
    client,
    'SELECT version FROM public.version_history ORDER BY "createdAt" DESC LIMIT 1',
  );
  return last?.version;
}

async function exists(client: Client, table: string): Promise<boolean> {
  const [row] = await ask<{ found: boolean }>(
    client,
    `SELECT EXISTS (SELECT FROM ${table}) AS found`,
  );
  return row?.found ?? false;
}

async function ask<Row extends object>(client: Client, statement: string): Promise<Row[]> {
  return (await client.query<Row>(statement)).rows;
}
