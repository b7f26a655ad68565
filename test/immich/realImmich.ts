import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { cp, mkdir, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { deflateSync, crc32 } from "node:zlib";

import { Client } from "pg";

import { findClipModel } from "../../catalog/clipModels";
import { freePort, type PostgresServer } from "../../demo/postgres";
import type { ApiStoreArgs, DatabaseStoreArgs } from "../../immich/store";
import { isOnPath } from "../support/engineStack";
import { startInstalledPostgres } from "../support/systemPostgres";
import type { ImmichSource } from "./source";

/*
 * Immich's real server with its PostgreSQL and Redis, an administrator, photos and API keys. Machine
 * learning is a fake that answers with vectors of the asked model's dimension.
 */

const debian = "/usr/lib/postgresql";
const sharedOf = (version: string) => `/usr/share/postgresql/${version}/extension/vector.control`;

/** PostgreSQL with pgvector, which Immich needs. */
const postgresVersion = (existsSync(debian) ? readdirSync(debian) : []).find((version) =>
  existsSync(sharedOf(version)),
);

/** What is missing to start Immich here; undefined when nothing is. */
export const missingServices =
  postgresVersion === undefined
    ? "SKIPPED: no real Immich server: no PostgreSQL of Debian with pgvector"
    : isOnPath("redis-server")
      ? undefined
      : "SKIPPED: no real Immich server: no redis-server on the PATH";

export interface RealImmich {
  readonly source: ImmichSource;
  readonly url: string;
  readonly database: DatabaseStoreArgs;
  readonly postgres: PostgresServer;
  readonly mlUrl: string;
  /** What the server has logged since it started last. */
  log(): string;
  /** An API store with a new key. */
  key(permissions: readonly string[]): Promise<ApiStoreArgs>;
  /** A request of the administrator. */
  ask<Answer>(method: string, path: string, body?: unknown): Promise<Answer>;
  query<Row extends object>(statement: string, values?: unknown[]): Promise<Row[]>;
  restart(variables?: Readonly<Record<string, string>>): Promise<void>;
  /** Starts another release on the same database and photos. */
  upgrade(next: ImmichSource): Promise<void>;
  upload(count: number): Promise<void>;
  /** Waits until a condition holds. */
  until(what: string, holds: () => Promise<boolean>): Promise<void>;
  /** Switches the fake machine learning off, where every request fails, and on. */
  setMachineLearning(isOn: boolean): void;
  stop(): Promise<void>;
}

export async function startRealImmich(source: ImmichSource): Promise<RealImmich> {
  const folder = mkdtempSync(path.join(tmpdir(), "immich-ml-test-immich-"));
  const postgres = await startInstalledPostgres({
    name: "",
    programs: path.join(debian, postgresVersion!, "bin"),
  });
  const { host, port, user, password } = postgres;
  const admin = new Client({ host, port, user, password, database: "postgres" });
  await admin.connect();
  await admin.query("CREATE DATABASE immich");
  await admin.end();
  const sql = new Client({ host, port, user, password, database: "immich" });
  sql.on("error", () => undefined);
  await sql.connect();
  const redisPort = await freePort();
  const redis = spawn("redis-server", ["--port", String(redisPort), "--save", ""], {
    stdio: "ignore",
    cwd: folder,
  });
  const ml = await startFakeMachineLearning();
  const serverPort = await freePort();
  const url = `http://127.0.0.1:${serverPort}`;
  await writeGeodata(path.join(folder, "build", "geodata"));
  await mkdir(path.join(folder, "media"));

  let server: ChildProcess | undefined;
  let logged = "";
  const stopServer = async () => {
    if (!server) return;
    const gone = new Promise((resolve) => server!.once("exit", resolve));
    // Its workers are processes of their own and outlive it.
    const end = (signal: NodeJS.Signals) => process.kill(-server!.pid!, signal);
    end("SIGTERM");
    const killer = setTimeout(() => end("SIGKILL"), 5_000);
    await gone;
    clearTimeout(killer);
    try {
      end("SIGKILL");
    } catch {
      // All of them are gone.
    }
    server = undefined;
  };
  let running = source;
  const startServer = async (variables: Readonly<Record<string, string>> = {}) => {
    logged = "";
    await copyPlugin(running, path.join(folder, "build", "corePlugin"));
    const environment = {
      DB_URL: `postgres://${user}:${password}@${host}:${port}/immich`,
      DB_VECTOR_EXTENSION: "pgvector",
      REDIS_HOSTNAME: "127.0.0.1",
      REDIS_PORT: String(redisPort),
      IMMICH_HOST: "127.0.0.1",
      IMMICH_PORT: String(serverPort),
      IMMICH_MEDIA_LOCATION: path.join(folder, "media"),
      IMMICH_BUILD_DATA: path.join(folder, "build"),
      IMMICH_IGNORE_MOUNT_CHECK_ERRORS: "true",
      NO_COLOR: "1",
      ...variables,
    };
    server = launch(running, environment, folder);
    for (const stream of [server.stdout, server.stderr])
      stream?.on("data", (chunk: Buffer) => (logged += chunk.toString()));
    await until("the server to answer", async () => {
      if (server?.exitCode !== null || server.signalCode !== null)
        throw new Error(`Immich ended: ${logged.slice(-3000)}`);
      // Both of its workers.
      if (
        !/Immich Microservices is running|Microservices:Bootstrap.*(running|listening)/i.test(
          logged,
        )
      )
        return false;
      return fetch(`${url}/api/server/ping`).then(
        ({ ok }) => ok,
        () => false,
      );
    });
  };
  const stop = async () => {
    await stopServer();
    await sql.end().catch(() => undefined);
    redis.kill();
    await ml.close();
    await postgres.remove();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await startServer();
  } catch (error) {
    await stop();
    throw error;
  }

  let token = "";
  const ask = async <Answer>(method: string, at: string, body?: unknown): Promise<Answer> => {
    const isForm = body instanceof FormData;
    const answer = await fetch(`${url}/api${at}`, {
      method,
      headers: {
        ...(token !== "" && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && !isForm && { "content-type": "application/json" }),
      },
      ...(body !== undefined && { body: isForm ? body : JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${at}: ${answer.status} ${text}`);
    return (text === "" ? undefined : JSON.parse(text)) as Answer;
  };
  const account = { email: "admin@immich.lan", password: "admin-of-the-test" };
  await ask("POST", "/auth/admin-sign-up", { ...account, name: "Admin" });
  token = (await ask<{ accessToken: string }>("POST", "/auth/login", account)).accessToken;

  return {
    source,
    url,
    postgres,
    mlUrl: ml.url,
    database: {
      kind: "database",
      host,
      port,
      database: "immich",
      user,
      password,
      sslMode: "disable",
    },
    log: () => logged,
    ask,
    until,
    query: async <Row extends object>(statement: string, values: unknown[] = []) =>
      (await sql.query<Row>(statement, values)).rows,
    key: async (permissions) => {
      const made = await ask<{ secret: string }>("POST", "/api-keys", {
        name: "test",
        permissions,
      });
      return { kind: "api", url, apiKey: made.secret };
    },
    restart: async (variables) => {
      await stopServer();
      await startServer(variables);
    },
    upload: async (count) => {
      for (let index = 0; index < count; index += 1) {
        const form = new FormData();
        const now = new Date().toISOString();
        const fields = {
          deviceAssetId: `photo-${index}`,
          deviceId: "test",
          fileCreatedAt: now,
          fileModifiedAt: now,
        };
        for (const [name, value] of Object.entries(fields)) form.set(name, value);
        form.set("assetData", new Blob([png(index)], { type: "image/png" }), `photo-${index}.png`);
        await ask("POST", "/assets", form);
      }
    },
    setMachineLearning: (isOn) => (ml.isOn = isOn),
    upgrade: async (next) => {
      await stopServer();
      running = next;
      await startServer();
    },
    stop,
  };
}

function launch(
  { folder, image }: ImmichSource,
  environment: Readonly<Record<string, string>>,
  shared: string,
): ChildProcess {
  if (folder !== undefined) {
    return spawn(process.execPath, ["dist/main.js"], {
      cwd: path.join(folder, "server"),
      detached: true,
      env: { ...process.env, NODE_ENV: "production", ...environment },
    });
  }
  const variables = Object.entries(environment).flatMap(([name, value]) => [
    "--env",
    `${name}=${value}`,
  ]);
  return spawn(
    "docker",
    [
      ...["run", "--rm", "--network", "host", "--volume", `${shared}:${shared}`],
      ...["--sig-proxy=true", ...variables, image!],
    ],
    { detached: true },
  );
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 240_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`waited 240 s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

/** Releases with plugins do not start without the manifest of their own one. Only its workflows need its code. */
async function copyPlugin({ folder }: ImmichSource, destination: string): Promise<void> {
  const manifest = path.join(folder ?? "", "plugins", "manifest.json");
  if (folder === undefined || !existsSync(manifest)) return;
  await mkdir(destination, { recursive: true });
  await cp(manifest, path.join(destination, "manifest.json"));
}

/** The least that Immich's reverse geocoding starts with. */
async function writeGeodata(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const city = [
    1,
    "Nowhere",
    "Nowhere",
    "",
    10,
    20,
    "P",
    "PPL",
    "XX",
    "",
    "",
    "",
    "",
    "",
    1000,
    "",
    1,
    "Etc/UTC",
  ];
  const files = {
    "geodata-date.txt": "2026-01-01",
    "admin1CodesASCII.txt": "",
    "admin2Codes.txt": "",
    "ne_10m_admin_0_countries.geojson": '{"features":[]}',
    "cities500.txt": `${[...city, "2026-01-01"].join("\t")}\n`,
  };
  for (const [name, text] of Object.entries(files)) await writeFile(path.join(folder, name), text);
}

interface FakeMachineLearning {
  readonly url: string;
  isOn: boolean;
  close(): Promise<void>;
}

/** Answers as Immich's machine learning does, with a vector that depends on the CLIP model. */
async function startFakeMachineLearning(): Promise<FakeMachineLearning> {
  const fake = { isOn: true };
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      if (!fake.isOn) {
        // As long as a machine that is off keeps Immich waiting, in short.
        setTimeout(() => response.writeHead(503).end(), 500);
        return;
      }
      if (request.url !== "/predict") {
        response.end("pong");
        return;
      }
      const body = Buffer.concat(chunks).toString("latin1");
      const size = { imageHeight: 64, imageWidth: 64 };
      const model = /"clip":\{"\w+":\{"modelName":"([^"]+)"/.exec(body)?.[1];
      const vector = Array.from(
        { length: findClipModel(model ?? "")?.embeddingDimension ?? 512 },
        () => model?.length ?? 1,
      );
      const ocr = { text: [], box: [], boxScore: [], textScore: [] };
      const answer =
        model !== undefined
          ? { clip: JSON.stringify(vector), ...size }
          : body.includes('"facial-recognition"')
            ? { "facial-recognition": [], ...size }
            : { ocr, ...size };
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify(answer));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return Object.assign(fake, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

/** A picture of one colour, another for each number. */
function png(index: number): Uint8Array<ArrayBuffer> {
  const size = 64;
  const chunk = (type: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const ends = Buffer.alloc(8);
    ends.writeUInt32BE(data.length, 0);
    ends.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(size, 0);
  header.writeUInt32BE(size, 4);
  header.set([8, 2], 8);
  const row = Buffer.concat([
    Buffer.from([0]),
    Buffer.from(Array.from({ length: size * 3 }, (_, at) => (at * (index + 1)) % 256)),
  ]);
  const pixels = deflateSync(Buffer.concat(Array.from({ length: size }, () => row)));
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const parts = [chunk("IHDR", header), chunk("IDAT", pixels), chunk("IEND", Buffer.alloc(0))];
  return new Uint8Array(Buffer.concat([signature, ...parts]));
}

/** Dumps a database as Immich's own backup does. */
export function dump({ host, port, user, password }: PostgresServer, database: string): Buffer {
  return execFileSync(
    path.join(debian, postgresVersion!, "bin", "pg_dump"),
    [
      "--clean",
      "--if-exists",
      "--host",
      host,
      "--port",
      String(port),
      "--username",
      user,
      database,
    ],
    { env: { ...process.env, PGPASSWORD: password }, maxBuffer: 1 << 30 },
  );
}

/** Restores a dump as Immich does: in one transaction that stops at the first error. */
export function restore(
  { host, port, user, password }: PostgresServer,
  database: string,
  content: Buffer,
): void {
  execFileSync(
    path.join(debian, postgresVersion!, "bin", "psql"),
    [
      ...["--host", host, "--port", String(port), "--username", user, "--dbname", database],
      ...["--single-transaction", "--set", "ON_ERROR_STOP=on", "--quiet", "--output", "/dev/null"],
    ],
    {
      env: { ...process.env, PGPASSWORD: password },
      input: content,
      stdio: ["pipe", "ignore", "pipe"],
    },
  );
}
