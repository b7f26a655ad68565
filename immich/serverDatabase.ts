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

/** The variables that Immich's start script reads from files (`DB_USERNAME_FILE`), besides the password. */
const fromFiles = ["DB_URL", "DB_HOSTNAME", "DB_DATABASE_NAME", "DB_USERNAME"] as const;

/** The files in the server's container that hold its variables, by the variables' names. */
export function databaseFiles(
  environment: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    fromFiles.flatMap((name) => {
      const file = environment[`${name}_FILE`];
      return file ? [[name, file] as const] : [];
    }),
  );
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
  const host = environment["DB_HOSTNAME"] || "database";
  if (host.startsWith("/")) throw new Error(`DB_HOSTNAME ${socketOnly}`);
  return {
    host,
    port: portOf(environment["DB_PORT"] || "5432", "DB_PORT"),
    name: environment["DB_DATABASE_NAME"] || "immich",
    user: environment["DB_USERNAME"] || "postgres",
    password: environment["DB_PASSWORD"] || "postgres",
    passwordFile: environment["DB_PASSWORD_FILE"] || undefined,
    sslMode: sslModeOf(environment["DB_SSL_MODE"]),
  };
}

function fromUrl(text: string): ServerDatabase {
  if (/^socket:/.test(text)) throw new Error(`DB_URL ${socketOnly}`);
  if (!/^postgres(ql)?:\/\//.test(text) || !URL.canParse(text)) {
    throw new Error("DB_URL of the server is not a URL that begins with postgres://");
  }
  const url = new URL(text);
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1") || url.searchParams.get("host") || "";
  if (host === "" || host.startsWith("/")) {
    throw new Error(`DB_URL ${socketOnly}`);
  }
  return {
    host,
    port: portOf(url.port || "5432", "DB_URL"),
    name: decode(url.pathname.slice(1)) || "immich",
    user: decode(url.username) || "postgres",
    password: decode(url.password),
    sslMode: sslModeOf(
      url.searchParams.get("sslmode") ?? sslOfUrl[url.searchParams.get("ssl") ?? ""],
    ),
  };
}

const socketOnly = "of the server names a socket; immich-ml reaches the database over TCP only";

/** What `?ssl=` means to PostgreSQL's clients for Node.js. */
const sslOfUrl: Readonly<Record<string, string>> = {
  true: "verify-full",
  "1": "verify-full",
  "no-verify": "no-verify",
};

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
  // Of PostgreSQL's clients for Node.js: TLS with whatever certificate.
  if (text === "no-verify") return "require";
  return sslModes.find((mode) => mode === text) ?? "disable";
}
