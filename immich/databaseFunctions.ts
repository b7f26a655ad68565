import { readFileSync } from "node:fs";
import { join } from "node:path";

import { systemConfigKeys } from "../catalog/systemConfigKeys";

/** The schema that holds everything this project puts into Immich's database. */
export const schemaName = "immich_ml";

/** A function of the schema, as `CREATE FUNCTION` wants it. */
export interface DatabaseFunction {
  readonly name: string;
  readonly args: readonly { readonly name: string; readonly type: string }[];
  readonly returns: string;
  readonly language: "sql" | "plpgsql";
  /** Whether it runs with its owner's rights. Only these are for the least-privilege role. */
  readonly securityDefiner: boolean;
  readonly body: string;
}

/**
 * The functions through which Immich's configuration is read and written, in the order in which they
 * must be created. They live in a schema of their own because Immich reports functions in `public` as
 * schema drift (seen with v3.1.0).
 */
export const databaseFunctions: readonly DatabaseFunction[] = [
  {
    name: "settings_keys",
    args: [],
    returns: "jsonb",
    language: "sql",
    securityDefiner: false,
    body: `SELECT '${JSON.stringify(whitelist())}'::pg_catalog.jsonb`,
  },
  {
    name: "check_store",
    args: [{ name: "store", type: "text" }],
    returns: "void",
    language: "plpgsql",
    securityDefiner: false,
    body: bodyOf("checkStore.sql"),
  },
  {
    name: "read_settings",
    args: [{ name: "store", type: "text" }],
    returns: "jsonb",
    language: "plpgsql",
    securityDefiner: true,
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
    securityDefiner: true,
    body: bodyOf("writeSettings.sql"),
  },
];

/** The keys with their types and limits, which the functions hold every change against. */
function whitelist(): Record<string, object> {
  return Object.fromEntries(
    systemConfigKeys.map(({ key, type, minimum, maximum }) => [key, { type, minimum, maximum }]),
  );
}

function bodyOf(file: string): string {
  return readFileSync(join(__dirname, "sql", file), "utf8").trim();
}
