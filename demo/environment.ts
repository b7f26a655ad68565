import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { parse, stringify } from "yaml";
import { cacheFolder, repositoryFolder } from "./folders";
import { createImmichDatabase, openImmichDatabase, type ImmichDatabase } from "./immichDatabase";
import { logProgress, type Log } from "./progress";
import { startPostgres, type PostgresServer } from "./postgres";
import { ensureFakeImages } from "./fakeImages";

export const project = "immich-ml";
export const stack = "demo";

/** The part of a stack file that the demo reads or changes. */
export interface DemoConfig extends Record<string, unknown> {
  "immich-ml:immich": {
    version: string;
    database: { host: string; port: number; name: string; user: string };
  };
  "immich-ml:build"?: { pythonImage?: string; immichImage?: string };
  "immich-ml:hosts": { name: string; accelerator?: string; envFiles?: string[] }[];
}

/** What the program finds outside its stack: Immich's database. */
export interface DemoEnvironment {
  server: PostgresServer;
  database: ImmichDatabase;
  /** The text of the configuration row before the first `npm run demo`. */
  before: string | undefined;
}

/** All that the demo keeps on disk except the database and Pulumi's state. */
export const demoFolder = path.join(cacheFolder, "demo");

/** Lists what a demo without the engine created. */
export const demoJournal = path.join(demoFolder, "created.json");

const beforeFile = path.join(demoFolder, "row-before.json");

/** Starts the demo's database, or the one that an earlier run left. */
export async function startDemoEnvironment(config: DemoConfig, log: Log): Promise<DemoEnvironment> {
  const { port, name } = config["immich-ml:immich"].database;
  const server = await logProgress("PostgreSQL", log, () =>
    startPostgres({ folder: path.join(cacheFolder, "database"), port }),
  );
  await mkdir(demoFolder, { recursive: true });
  if (existsSync(beforeFile)) {
    const { before } = JSON.parse(await readFile(beforeFile, "utf8")) as { before?: string };
    return { server, database: openImmichDatabase(server, { name }), before };
  }
  const database = await logProgress("fake Immich database", log, () =>
    createImmichDatabase(server, { name }),
  );
  const before = await database.configurationText();
  await writeFile(beforeFile, JSON.stringify({ before }));
  return { server, database, before };
}

/** What an earlier run left; undefined when there is nothing. */
export async function findDemoEnvironment(
  config: DemoConfig,
  log: Log,
): Promise<DemoEnvironment | undefined> {
  return existsSync(beforeFile) ? startDemoEnvironment(config, log) : undefined;
}

/** The configuration in Pulumi.demo.yaml. */
export async function readDemoConfig(): Promise<DemoConfig> {
  const text = await readFile(path.join(repositoryFolder, `Pulumi.${stack}.yaml`), "utf8");
  return (parse(text) as { config: DemoConfig }).config;
}

/** Builds fakes for images that cannot be pulled, and removes the others from the configuration. */
export async function withReachableImages(config: DemoConfig, log: Log): Promise<DemoConfig> {
  const [dockerHub, ghcr] = await Promise.all([
    isRegistry("https://registry-1.docker.io"),
    isRegistry("https://ghcr.io"),
  ]);
  const { pythonImage, immichImage, ...build } = config["immich-ml:build"] ?? {};
  if (!dockerHub || !ghcr) {
    const unreachable = [!dockerHub && "Docker Hub", !ghcr && "ghcr.io"].filter(Boolean);
    log(`${unreachable.join(" and ")} cannot be reached, so fake images are used`);
    await ensureFakeImages(config["immich-ml:immich"].version, log);
  }
  return {
    ...config,
    "immich-ml:build": {
      ...build,
      ...(pythonImage !== undefined && !dockerHub && { pythonImage }),
      ...(immichImage !== undefined && !ghcr && { immichImage }),
    },
  };
}

/** The text of a stack file. */
export function stackFile(config: DemoConfig): string {
  return stringify({ config });
}

/** Whether a container registry answers. A proxy's refusal does not count. */
async function isRegistry(address: string): Promise<boolean> {
  try {
    const answer = await fetch(`${address}/v2/`, { signal: AbortSignal.timeout(3000) });
    return answer.status === 200 || answer.status === 401;
  } catch {
    return false;
  }
}
