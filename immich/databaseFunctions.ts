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

/** Both functions know the keys with their types and limits, and check first that the table is Immich's. */
function bodyOf(file: string): string {
  return sql(file)
    .replace("{{settings_keys}}", JSON.stringify(whitelist()))
    .replace("{{check_store}}", sql("checkStore.sql"));
}

function sql(file: string): string {
  return readFileSync(join(__dirname, "sql", file), "utf8").trimEnd();
}

function whitelist(): Record<string, object> {
  return Object.fromEntries(
    systemConfigKeys.map(({ key, type, minimum, maximum }) => [key, { type, minimum, maximum }]),
  );
}
