import { escapeIdentifier, type Client } from "pg";

import { defaultClipModel } from "../catalog/clipModels";
import { sanitize } from "../util/sanitize";
import { systemConfigKeys } from "../catalog/systemConfigKeys";
import { refuseConfigFile, runningVersion } from "./apiStore";
import { connectToDatabase, type DatabaseAddress } from "./databaseConnection";
import { schemaName } from "./databaseFunctions";
import { formatImmichVersion } from "../catalog/immichVersion";
import { getFromApi } from "./immichApi";
import { settingOf } from "./settings";
import type { ApiStoreArgs } from "./store";

const keys = systemConfigKeys.map(({ key }) => key);

/** What stands in a database that is Immich's and can be worked with. */
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
  /** What is stored under the machine-learning keys, and under no others. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Whether there are embeddings, which a change of the CLIP model makes wrong. */
  readonly hasEmbeddings: boolean;
}

/** What stands behind an API that can be worked with. */
export interface ApiInfo {
  readonly ok: true;
  /** The release that answers, such as v2.7.5. */
  readonly immichVersion: string;
  /** The CLIP model in use. */
  readonly clipModel: string;
  /** What is stored under the machine-learning keys, and under no others. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** One message for a person: what is wrong and what to do. */
export interface ProbeFailure {
  readonly ok: false;
  readonly message: string;
}

export interface DatabaseProbeOptions extends DatabaseAddress {
  /** Milliseconds until a server that does not answer is given up. @default 10000 */
  readonly timeoutMs?: number;
  /** Whether the user has to be able to create the least-privilege role. @default true */
  readonly createsRole?: boolean;
}

/** Looks whether the model preset can be kept in that database. Changes nothing. */
export async function probeDatabase(
  options: DatabaseProbeOptions,
): Promise<DatabaseInfo | ProbeFailure> {
  let client: Client;
  try {
    client = await connectToDatabase(options, options.timeoutMs);
  } catch (error) {
    return { ok: false, message: (error as Error).message };
  }
  try {
    await client.query("BEGIN READ ONLY");
    const found = await look(client, options);
    return found.ok ? found : { ...found, message: sanitize(found.message) };
  } catch (error) {
    const { host, port } = options;
    return {
      ok: false,
      message: `the database at ${host}:${port} cannot be looked at: ${sanitize((error as Error).message)}`,
    };
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Looks whether the model preset can be kept through that API. Changes nothing. */
export async function probeApi(
  options: Omit<ApiStoreArgs, "kind">,
): Promise<ApiInfo | ProbeFailure> {
  const store: ApiStoreArgs = { kind: "api", ...options };
  try {
    await refuseConfigFile(store);
    const version = await runningVersion(store);
    const configuration = await getFromApi<unknown>(store, "/system-config");
    const model = settingOf(configuration, "machineLearning.clip.modelName");
    return {
      ok: true,
      immichVersion: formatImmichVersion(version),
      clipModel: typeof model === "string" ? model : defaultClipModel,
      settings: Object.fromEntries(
        keys.flatMap((key) => {
          const value = settingOf(configuration, key);
          return value === undefined ? [] : [[key, value]];
        }),
      ),
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
  const [tables] = await ask<{ metadata: boolean; config: boolean; embeddings: boolean }>(
    client,
    `SELECT to_regclass('public.system_metadata') IS NOT NULL AS metadata,
            to_regclass('public.system_config') IS NOT NULL AS config,
            to_regclass('public.smart_search') IS NOT NULL AS embeddings`,
  );
  if (!tables?.metadata && !tables?.config) {
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
      message: `user "${user}" lacks rights in ${where}; a superuser gives them with: ${missing.join(" ")}`,
    };
  }

  // Releases from 1.106 on leave an empty system_config behind until 1.132.
  const old = tables.config && (await exists(client, "public.system_config"));
  const kind = old || !tables.metadata ? "system_config" : "system_metadata";
  const [row] = await ask<{ type: string | null; model: string | null }>(
    client,
    kind === "system_metadata"
      ? `SELECT jsonb_typeof(value) AS type, value #>> '{machineLearning,clip,modelName}' AS model
         FROM public.system_metadata WHERE key = 'system-config'`
      : `SELECT 'object' AS type, trim(BOTH '"' FROM value) AS model
         FROM public.system_config WHERE key = 'machineLearning.clip.modelName'`,
  );
  if (row !== undefined && row.type !== "object") {
    return {
      ok: false,
      message:
        `Immich's configuration in ${where} is damaged: the row is of type ${row.type} where an object belongs, ` +
        "so Immich runs on its defaults. Look at it, then: DELETE FROM system_metadata WHERE key = 'system-config';",
    };
  }
  const [server] = await ask<{ version: string }>(
    client,
    "SELECT current_setting('server_version') AS version",
  );
  return {
    ok: true,
    kind,
    serverVersion: server?.version.split(" ")[0] ?? "",
    immichVersion: await lastRelease(client),
    clipModel: row?.model ?? defaultClipModel,
    settings: await storedSettings(client, kind),
    hasEmbeddings: tables.embeddings && (await exists(client, "public.smart_search")),
  };
}

async function storedSettings(
  client: Client,
  kind: DatabaseInfo["kind"],
): Promise<Record<string, unknown>> {
  const statement =
    kind === "system_metadata"
      ? `SELECT setting AS key, (value #> string_to_array(setting, '.'))::text AS value
         FROM public.system_metadata, unnest($1::text[]) AS setting
         WHERE key = 'system-config' AND value #> string_to_array(setting, '.') IS NOT NULL`
      : "SELECT key, value FROM public.system_config WHERE key = ANY($1) AND value IS NOT NULL";
  const { rows } = await client.query<{ key: string; value: string }>(statement, [keys]);
  return Object.fromEntries(rows.map(({ key, value }) => [key, parsed(value)]));
}

/** What is no JSON is shown as it stands. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

async function missingRights(
  client: Client,
  { database, user, createsRole = true }: DatabaseProbeOptions,
  tables: { readonly metadata: boolean; readonly config: boolean; readonly embeddings: boolean },
): Promise<string[]> {
  const grants: string[] = [];
  const [rights] = await ask<{ schema: boolean; role: boolean }>(
    client,
    `SELECT has_database_privilege(current_database(), 'CREATE')
              OR to_regnamespace('${schemaName}') IS NOT NULL AS schema,
            rolcreaterole OR rolsuper AS role
     FROM pg_roles WHERE rolname = current_user`,
  );
  const who = escapeIdentifier(user);
  if (!rights?.schema) {
    grants.push(`GRANT CREATE ON DATABASE ${escapeIdentifier(database)} TO ${who};`);
  }
  if (createsRole && !rights?.role) grants.push(`ALTER ROLE ${who} CREATEROLE;`);

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

/** Immich writes down each release that ran; older releases did not. */
async function lastRelease(client: Client): Promise<string | undefined> {
  const [history] = await ask<{ readable: boolean }>(
    client,
    `SELECT to_regclass('public.version_history') IS NOT NULL
       AND has_table_privilege(to_regclass('public.version_history'), 'SELECT') AS readable`,
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
