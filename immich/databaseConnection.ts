import type { Socket } from "node:net";

import { Client, escapeIdentifier, type ClientConfig } from "pg";

import { sanitize } from "../util/sanitize";
import type { DatabaseAddress, SslMode } from "./store";

/** Milliseconds. */
const statementTimeout = 60_000;

/**
 * Connects, or throws one message that says what is wrong and what to do.
 *
 * @param timeout milliseconds until a server that does not answer counts as unreachable
 * @param options `answerWithin`: milliseconds until a statement without an answer fails
 */
export async function connectToDatabase(
  address: DatabaseAddress,
  timeout = 10_000,
  options: { readonly answerWithin?: number } = {},
): Promise<Client> {
  const config: ClientConfig = {
    host: address.host,
    port: address.port,
    database: address.database,
    user: address.user,
    password: address.password,
    ssl: tlsOptions(address.sslMode),
    connectionTimeoutMillis: timeout,
    statement_timeout: statementTimeout,
    // A server that falls silent ends no statement itself.
    query_timeout: options.answerWithin ?? statementTimeout + 5_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    // Nothing in the database can pass for a function or table that our statements name.
    options: "-c search_path=pg_catalog,pg_temp",
    application_name: "immich-ml",
  };
  const client = new Client(config);
  // Without a listener, a connection lost between two queries would end the whole process.
  client.on("error", () => undefined);
  try {
    await client.connect();
    return client;
  } catch (error) {
    await disconnect(client);
    throw new Error(sanitize(connectionError(address, error)));
  }
}

/** Closes the connection, also that to a server that has fallen silent and never says goodbye. */
export async function disconnect(client: Client): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => (timer = setTimeout(resolve, 2_000)));
  await Promise.race([client.end().catch(() => undefined), limit]);
  clearTimeout(timer);
  (client as unknown as { connection: { stream: Socket } }).connection.stream.destroy();
}

/** Whether the server took a statement and never answered. */
export function isSilence(error: unknown): boolean {
  return (error as Error).message === "Query read timeout";
}

/** Whether the connection is gone, rather than a statement refused. */
export function isConnectionLoss(error: unknown): boolean {
  const { code, message } = error as { code?: string; message?: string };
  if (code === undefined) {
    return isSilence(error) || /terminated|ended|closed|reset/i.test(message ?? "");
  }
  return /^(08|57P0[123]|E[A-Z]+$)/.test(code);
}

function connectionError(address: DatabaseAddress, error: unknown): string {
  const { host, port, database, user, sslMode } = address;
  const { code, message } = error as { code?: string; message?: string };
  const where = `the database at ${host}:${port}`;
  switch (code) {
    case "28P01":
      return `${where} refuses the password of user "${user}"`;
    case "28000":
      return `${where} does not let user "${user}" in: ${message} (no such user, or pg_hba.conf forbids it)`;
    case "3D000":
      return `${where} has no database "${database}"; Immich's is called "immich" unless DB_DATABASE_NAME says otherwise`;
    case "42501":
      return `user "${user}" may not connect: GRANT CONNECT ON DATABASE ${escapeIdentifier(database)} TO ${escapeIdentifier(user)}`;
    case "53300":
      return `${where} has no connection left (${message})`;
    case "57P03":
      return `${where} is starting up or shutting down; try again in a moment`;
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return `the database's host name ${host} cannot be resolved here`;
    case "ECONNREFUSED":
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "ETIMEDOUT":
      return `${where} does not answer (${code}): is it running, and is its port reachable from here?`;
    default:
      if (/timeout/i.test(message ?? "")) {
        return `${where} does not answer: is it running, and is its port reachable from here?`;
      }
      if (/does not support SSL/i.test(message ?? "")) {
        return `${where} does not support TLS, but sslMode is "${sslMode}"; a database of Immich's compose file wants "disable"`;
      }
      return `${where} cannot be used: ${message}`;
  }
}

function tlsOptions(sslMode: SslMode): ClientConfig["ssl"] {
  switch (sslMode) {
    case "disable":
      return false;
    case "require":
      return { rejectUnauthorized: false };
    case "verify-ca":
      return { rejectUnauthorized: true, checkServerIdentity: () => undefined };
    case "verify-full":
      return { rejectUnauthorized: true };
  }
}
