/** Where an Immich server finds its database, by its own variables. */
export interface ServerDatabase {
  readonly host: string;
  readonly port: number;
  readonly name: string;
  readonly user: string;
  readonly password: string;
  readonly sslMode: "disable" | "require" | "verify-ca" | "verify-full";
  /** A file in the server's container that holds the password; it goes before `password`. */
  readonly passwordFile?: string | undefined;
}

const sslModes = ["disable", "require", "verify-ca", "verify-full"] as const;

/**
 * Reads the variables as the server of v3.1.0 does (its config.repository.ts): `DB_URL` before the
 * single ones, and Immich's defaults for what is absent or empty.
 *
 * @throws with the variable's name, never its value
 */
export function serverDatabase(environment: Readonly<Record<string, string>>): ServerDatabase {
  const url = environment["DB_URL"];
  if (url) return fromUrl(url);
  return {
    host: environment["DB_HOSTNAME"] || "database",
    port: portOf(environment["DB_PORT"] || "5432", "DB_PORT"),
    name: environment["DB_DATABASE_NAME"] || "immich",
    user: environment["DB_USERNAME"] || "postgres",
    password: environment["DB_PASSWORD"] || "postgres",
    passwordFile: environment["DB_PASSWORD_FILE"] || undefined,
    sslMode: sslModeOf(environment["DB_SSL_MODE"]),
  };
}

function fromUrl(text: string): ServerDatabase {
  if (!/^postgres(ql)?:\/\//.test(text) || !URL.canParse(text)) {
    throw new Error("DB_URL of the server is not a URL that begins with postgres://");
  }
  const url = new URL(text);
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1") || url.searchParams.get("host") || "";
  if (host === "" || host.startsWith("/")) {
    throw new Error(
      "DB_URL of the server names a socket; immich-ml reaches the database over TCP only",
    );
  }
  return {
    host,
    port: portOf(url.port || "5432", "DB_URL"),
    name: decode(url.pathname.slice(1)) || "immich",
    user: decode(url.username) || "postgres",
    password: decode(url.password),
    sslMode: sslModeOf(url.searchParams.get("sslmode") ?? undefined),
  };
}

/** What is no percent-encoding stays, as PostgreSQL's own parser for Node.js leaves it. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function portOf(text: string, variable: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw new Error(`${variable} of the server has no port from 1 to 65535`);
}

/** `allow` and `prefer` of PostgreSQL's clients take what is there, which is no TLS in Immich's image. */
function sslModeOf(text: string | undefined): ServerDatabase["sslMode"] {
  return sslModes.find((mode) => mode === text) ?? "disable";
}
