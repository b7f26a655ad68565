import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { parse, stringify } from "yaml";
import { cacheFolder, repositoryFolder } from "./folders";
import { createImmichDatabase, openImmichDatabase, type ImmichDatabase } from "./immichDatabase";
import { logProgress, type Say } from "./progress";
import { startPostgres, type PostgresServer } from "./postgres";
import { ensureFakeImages } from "./fakeImages";

export const project = "immich-ml";
export const stack = "demo";

/** What of a stack file the demo has to know. */
export interface DemoConfig extends Record<string, unknown> {
  "immich-ml:immich": {
    version: string;
    database: { host: string; port: number; name: string; user: string };
  };
  "immich-ml:build"?: { pythonImage?: string; immichImage?: string };
  "immich-ml:hosts": { name: string; accelerator?: string; envFiles?: string[] }[];
}

/** The world outside, as far as the demo needs one. */
export interface DemoEnvironment {
  server: PostgresServer;
  database: ImmichDatabase;
  /** The configuration row to the last byte, as it was before the first `npm run demo`. */
  before: string | undefined;
}

/** Everything the demo leaves on disk, but the database's data and Pulumi's state. */
export const demoFolder = path.join(cacheFolder, "demo");

/** Where a demo without engine keeps what it created. */
export const demoJournal = path.join(demoFolder, "created.json");

const beforeFile = path.join(demoFolder, "row-before.json");

/** Starts the world of the demo, or finds it as an earlier run has left it. */
export async function startDemoEnvironment(config: DemoConfig, say: Say): Promise<DemoEnvironment> {
  const { port, name } = config["immich-ml:immich"].database;
  const server = await logProgress("PostgreSQL", say, () =>
    startPostgres({ folder: path.join(cacheFolder, "database"), port }),
  );
  await mkdir(demoFolder, { recursive: true });
  if (existsSync(beforeFile)) {
    const { before } = JSON.parse(await readFile(beforeFile, "utf8")) as { before?: string };
    return { server, database: openImmichDatabase(server, { name }), before };
  }
  const database = await logProgress("Immich-shaped database", say, () =>
    createImmichDatabase(server, { name }),
  );
  const before = await database.configurationText();
  await writeFile(beforeFile, JSON.stringify({ before }));
  return { server, database, before };
}

/** The world as an earlier run has left it; undefined where there is none. */
export async function findDemoEnvironment(
  config: DemoConfig,
  say: Say,
): Promise<DemoEnvironment | undefined> {
  return existsSync(beforeFile) ? startDemoEnvironment(config, say) : undefined;
}

/** What Pulumi.demo.yaml says. */
export async function readDemoConfig(): Promise<DemoConfig> {
  const text = await readFile(path.join(repositoryFolder, `Pulumi.${stack}.yaml`), "utf8");
  return (parse(text) as { config: DemoConfig }).config;
}

/**
 * Makes the fake images for what cannot be pulled, and takes those out of the configuration
 * whose originals can.
 */
export async function withReachableImages(config: DemoConfig, say: Say): Promise<DemoConfig> {
  const [dockerHub, ghcr] = await Promise.all([
    isRegistry("https://registry-1.docker.io"),
    isRegistry("https://ghcr.io"),
  ]);
  const { pythonImage, immichImage, ...build } = config["immich-ml:build"] ?? {};
  if (!dockerHub || !ghcr) {
    const unreachable = [!dockerHub && "Docker Hub", !ghcr && "ghcr.io"].filter(Boolean);
    say(`${unreachable.join(" and ")} cannot be reached: fake images take their place`);
    await ensureFakeImages(config["immich-ml:immich"].version, say);
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

/** A stack file as Pulumi reads it. */
export function stackFile(config: DemoConfig): string {
  return stringify({ config });
}

/** Whether a container registry answers there; a proxy's refusal is no answer of a registry. */
async function isRegistry(address: string): Promise<boolean> {
  try {
    const answer = await fetch(`${address}/v2/`, { signal: AbortSignal.timeout(3000) });
    return answer.status === 200 || answer.status === 401;
  } catch {
    return false;
  }
}
