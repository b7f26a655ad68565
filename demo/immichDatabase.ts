import { Client } from "pg";
import type { PostgresServer } from "./postgres";

/**
 * The table of Immich's configuration: since v1.106.0 one row of `system_metadata`, before that one
 * row of `system_config` per setting.
 */
export type ConfigurationTable = "system_metadata" | "system_config";

export interface ImmichDatabaseOptions {
  /** @default immich */
  name?: string;
  /** @default system_metadata */
  table?: ConfigurationTable;
  /**
   * The saved configuration, nested; `undefined` for a new server, which has no row.
   *
   * @default savedConfiguration
   */
  configuration?: object | undefined;
  /**
   * The owner of the database. `immich` is no superuser, as on a shared PostgreSQL.
   *
   * @default postgres, as in Immich's docker-compose file
   */
  owner?: "postgres" | "immich";
  /** Photos that have an embedding. @default 3 */
  embeddings?: number;
  /** The version in Immich's version history. @default 2.7.5 */
  immichVersion?: string;
}

/** A database with the tables of Immich that this program uses. */
export interface ImmichDatabase {
  host: string;
  port: number;
  name: string;
  /** The owner, as which Immich connects. */
  user: string;
  password: string;
  /** Runs SQL as a superuser. */
  query<Row extends object>(sql: string, values?: unknown[]): Promise<Row[]>;
  /** The stored text of the configuration; undefined without a row. */
  configurationText(): Promise<string | undefined>;
  /** Number of photos with an embedding. */
  countEmbeddings(): Promise<number>;
}

/** A configuration with two secrets, which must be neither lost nor printed. */
export const savedConfiguration = {
  oauth: {
    enabled: true,
    issuerUrl: "https://login.example.org",
    clientId: "immich",
    clientSecret: "demo-oauth-secret",
  },
  notifications: {
    smtp: {
      enabled: true,
      from: "immich@example.org",
      transport: { host: "mail.example.org", port: 587, password: "demo-smtp-secret" },
    },
  },
  machineLearning: {
    clip: { modelName: "ViT-B-16-SigLIP2__webli" },
    duplicateDetection: { maxDistance: 0.02 },
  },
  job: { thumbnailGeneration: { concurrency: 4 } },
};

/** Length of an embedding of the model in `savedConfiguration`. */
const embeddingDimension = 768;

/**
 * Creates the database and replaces one of the same name.
 *
 * The embedded PostgreSQL has no pgvector. A fake type `vector` stores a vector as text and keeps its
 * dimension in the column's type modifier, as pgvector does; it has no operators and does not check
 * the length of a value.
 */
export async function createImmichDatabase(
  server: PostgresServer,
  options: ImmichDatabaseOptions = {},
): Promise<ImmichDatabase> {
  const name = options.name ?? "immich";
  const table = options.table ?? "system_metadata";
  const owner = options.owner ?? "postgres";
  const configuration = "configuration" in options ? options.configuration : savedConfiguration;

  await connected(server, "postgres", async (admin) => {
    await admin.query(`DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`);
    if (owner === "immich") {
      const { rowCount } = await admin.query("SELECT FROM pg_roles WHERE rolname = 'immich'");
      const verb = rowCount === 0 ? "CREATE" : "ALTER";
      await admin.query(`${verb} ROLE immich LOGIN PASSWORD '${server.password}'`);
    }
    await admin.query(`CREATE DATABASE "${name}" OWNER ${owner}`);
  });
  await connected(server, name, async (client) => {
    await client.query(vectorType);
    await client.query(`SET ROLE ${owner}`);
    await client.query(immichTables);
    await client.query(configurationTables[table]);
    await client.query('INSERT INTO version_history ("version") VALUES ($1)', [
      options.immichVersion ?? "2.7.5",
    ]);
    await client.query(
      `INSERT INTO smart_search
       SELECT gen_random_uuid(), '[0.25]'::vector FROM generate_series(1, $1)`,
      [options.embeddings ?? 3],
    );
    for (const [key, value] of configuration === undefined ? [] : rows(table, configuration))
      await client.query(`INSERT INTO ${table} (key, value) VALUES ($1, $2)`, [key, value]);
  });
  return openImmichDatabase(server, options);
}

/** The database that `createImmichDatabase` created with the same options. */
export function openImmichDatabase(
  server: PostgresServer,
  options: ImmichDatabaseOptions = {},
): ImmichDatabase {
  const name = options.name ?? "immich";
  const query = <Row extends object>(sql: string, values?: unknown[]) =>
    connected(server, name, async (client) => (await client.query<Row>(sql, values)).rows);
  const stored =
    options.table === "system_config"
      ? "SELECT string_agg(key || '=' || value, E'\\n' ORDER BY key) AS text FROM system_config"
      : "SELECT value::text AS text FROM system_metadata WHERE key = 'system-config'";
  return {
    host: server.host,
    port: server.port,
    name,
    user: options.owner ?? "postgres",
    password: server.password,
    query,
    configurationText: async () =>
      (await query<{ text: string | null }>(stored))[0]?.text ?? undefined,
    countEmbeddings: async () => {
      const found = await query<{ count: number }>(
        "SELECT count(*)::int AS count FROM smart_search",
      );
      return found[0]?.count ?? 0;
    },
  };
}

async function connected<T>(
  server: PostgresServer,
  database: string,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const client = new Client({ ...server, database });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function rows(table: ConfigurationTable, configuration: object): [key: string, value: string][] {
  if (table === "system_metadata") return [["system-config", JSON.stringify(configuration)]];
  return leaves(configuration).map(([key, value]) => [key, JSON.stringify(value)]);
}

function leaves(value: object, prefix = ""): [key: string, value: unknown][] {
  return Object.entries(value).flatMap(([key, child]: [string, unknown]) =>
    typeof child === "object" && child !== null && !Array.isArray(child)
      ? leaves(child, `${prefix}${key}.`)
      : [[`${prefix}${key}`, child] as [string, unknown]],
  );
}

const vectorType = `
  CREATE TYPE vector;
  CREATE FUNCTION vector_in(cstring, oid, integer) RETURNS vector
    LANGUAGE internal IMMUTABLE STRICT AS 'textin';
  CREATE FUNCTION vector_out(vector) RETURNS cstring
    LANGUAGE internal IMMUTABLE STRICT AS 'textout';
  CREATE TYPE vector (
    INPUT = vector_in, OUTPUT = vector_out, LIKE = text,
    TYPMOD_IN = bittypmodin, TYPMOD_OUT = bittypmodout
  );
`;

const immichTables = `
  CREATE TABLE version_history (
    id uuid DEFAULT gen_random_uuid() PRIMARY KEY,
    "createdAt" timestamptz NOT NULL DEFAULT now(),
    version character varying NOT NULL
  );
  CREATE TABLE smart_search (
    "assetId" uuid PRIMARY KEY,
    embedding vector(${embeddingDimension}) NOT NULL
  );
  CREATE TABLE face_search ("faceId" uuid PRIMARY KEY, embedding vector(512) NOT NULL);
`;

const configurationTables: Record<ConfigurationTable, string> = {
  system_metadata: `
    CREATE TABLE system_metadata (key character varying NOT NULL PRIMARY KEY, value jsonb NOT NULL);
    INSERT INTO system_metadata VALUES
      ('admin-onboarding', '{"isOnboarded": true}'),
      ('version-check-state', '{"checkedAt": "2026-01-01T00:00:00.000Z", "releaseVersion": "v2.7.5"}');
  `,
  system_config: `
    CREATE TABLE system_config (key character varying NOT NULL PRIMARY KEY, value character varying);
  `,
};
