import { Client } from "pg";

import { databaseFunctions, schemaName } from "../../immich/databaseFunctions";
import type { PostgresServer } from "../../demo/postgres";

/** A connection whose loss is no error; the caller must close it. */
export async function connect(
  server: PostgresServer,
  database: string,
  as: { readonly user?: string; readonly password?: string } = {},
): Promise<Client> {
  const { host, port, user, password } = server;
  const client = new Client({ host, port, user, password, database, ...as });
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

/** The schema and its functions, as the program's resources make them. */
export async function createFunctions(server: PostgresServer, database: string): Promise<void> {
  const client = await connect(server, database);
  await client.query(`CREATE SCHEMA ${schemaName}`);
  for (const statement of functionStatements()) await client.query(statement);
  await client.end();
}

/** The `CREATE FUNCTION` statements of the declared functions. */
function functionStatements(): string[] {
  return databaseFunctions.map((definition) => {
    const args = definition.args.map(({ name, type }) => `${name} ${type}`).join(", ");
    return (
      `CREATE FUNCTION ${schemaName}.${definition.name}(${args}) RETURNS ${definition.returns} ` +
      `LANGUAGE ${definition.language} ` +
      `AS $function$${definition.body}$function$`
    );
  });
}
