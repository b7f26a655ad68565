import { run } from "../util/run";
import { locateDatabase } from "./databaseAddress";
import type { DatabaseStoreArgs, StoreArgs } from "./store";

/** The store among a command's variables; the database's container is looked up. */
export async function storeFrom(
  fields: Readonly<Record<string, string | undefined>>,
): Promise<StoreArgs> {
  const { kind, url, apiKey, caCertificate, container, network, dockerHost, tls, ...database } =
    fields;
  if (kind === "api") return { kind, url: url!, apiKey: apiKey!, caCertificate };
  const port = Number(database["port"]);
  const location =
    container === undefined
      ? ({ ok: true, value: { host: database["host"]!, port } } as const)
      : await locateDatabase({ name: container, port, network, dockerHost: dockerHost!, tls }, run);
  if (!location.ok) throw new Error(location.message);
  const { user, password, sslMode } = database as unknown as DatabaseStoreArgs;
  return {
    kind: "database",
    ...location.value,
    database: database["database"]!,
    user,
    password,
    sslMode,
  };
}
