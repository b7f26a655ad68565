import { readFileSync } from "node:fs";
import { join } from "node:path";

import { systemConfigKeys } from "../catalog/systemConfigKeys";

/** The schema that holds everything this project puts into Immich's database. */
export const schemaName = "immich_ml";

/**
 * Whose code may run as the user who connects: that of a superuser, the database's owner, or that user.
 * Any role can plant code in `public` where all may create there, as by default up to PostgreSQL 14.
 */
const isTrusted = `(owner.rolsuper OR owner.rolname = current_user OR owner.oid =
    (SELECT datdba FROM pg_database WHERE datname = current_database()))`;

/** Names of the plain tables in `public` that may be touched. A view runs the code of its owner. */
export const ownTables = `SELECT class.relname::text
    FROM pg_class AS class JOIN pg_roles AS owner ON owner.oid = class.relowner
    WHERE class.relnamespace = to_regnamespace('public') AND class.relkind = 'r' AND ${isTrusted}`;

/** Who else owns our schema, and could put functions of their own in it; NULL for nobody. */
export const foreignSchemaOwner = `(SELECT owner.rolname
    FROM pg_namespace AS namespace JOIN pg_roles AS owner ON owner.oid = namespace.nspowner
    WHERE namespace.nspname = '${schemaName}' AND NOT ${isTrusted})`;

/**
 * An operator or function of another role that may be taken for PostgreSQL's own; NULL for none. Our own
 * connections look names up in pg_catalog, but the provider that makes the functions does not.
 */
export const foreignCode = `(SELECT code.name FROM (
      SELECT oprname AS name, oprowner AS owner, oprnamespace AS namespace FROM pg_operator
      UNION ALL SELECT proname, proowner, pronamespace FROM pg_proc
      WHERE proname IN (SELECT proname FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace)
    ) AS code JOIN pg_roles AS owner ON owner.oid = code.owner
    WHERE code.namespace IN (to_regnamespace('public'), to_regnamespace(quote_ident(current_user)))
      AND NOT ${isTrusted} LIMIT 1)`;

/** What to do about such an owner. */
export function foreignSchema(owner: string): string {
  return `schema ${schemaName} belongs to user "${owner}", whose functions in it would run with your rights: look at it, then DROP SCHEMA ${schemaName} CASCADE`;
}

/** A function of the schema, as `CREATE FUNCTION` wants it. */
export interface DatabaseFunction {
  readonly name: string;
  readonly args: readonly { readonly name: string; readonly type: string }[];
  readonly returns: string;
  readonly language: "plpgsql";
  readonly body: string;
}

/**
 * The functions through which Immich's configuration is read and written. They have a schema of their
 * own because Immich reports functions in `public` as schema drift (seen with v3.1.0).
 */
export const databaseFunctions: readonly DatabaseFunction[] = [
  {
    name: "read_settings",
    args: [{ name: "store", type: "text" }],
    returns: "jsonb",
    language: "plpgsql",
    body: bodyOf("readSettings.sql"),
  },
  {
    name: "write_settings",
    args: [
      { name: "store", type: "text" },
      { name: "changes", type: "jsonb" },
      { name: "options", type: "jsonb" },
    ],
    returns: "jsonb",
    language: "plpgsql",
    body: bodyOf("writeSettings.sql"),
  },
];

/** The function with a mark of the stack that makes it, so that the stack knows it without its state. */
export function markedFunction(made: DatabaseFunction, stack: string): DatabaseFunction {
  return { ...made, body: `${made.body}\n-- immich-ml stack: ${stack}` };
}

/** By name, the stack that made each function in our schema; null where it has no mark. */
export const functionsByStack = `(SELECT coalesce(jsonb_object_agg(proname,
      substring(prosrc FROM '-- immich-ml stack: (\\S+)\\s*$')), '{}')
    FROM pg_proc WHERE pronamespace = to_regnamespace('${schemaName}'))`;

/** Both functions know the keys with their types and limits, and check first that the tables are Immich's. */
function bodyOf(file: string): string {
  return sql(file)
    .replace("{{settings_keys}}", JSON.stringify(whitelist()))
    .replace("{{check_store}}", sql("checkStore.sql"))
    .replace("{{own_tables}}", ownTables);
}

function sql(file: string): string {
  return readFileSync(join(__dirname, "sql", file), "utf8").trimEnd();
}

function whitelist(): Record<string, object> {
  return Object.fromEntries(
    systemConfigKeys.map(({ key, type, minimum, maximum }) => [key, { type, minimum, maximum }]),
  );
}
