import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Client } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";

import { createImmichDatabase, savedConfiguration } from "../../demo/immichDatabase";
import { startPostgres, type PostgresServer } from "../../demo/postgres";
import { startTestPostgres } from "../support/postgres";

let server: PostgresServer;

beforeAll(async () => {
  server = await startTestPostgres();
});
afterAll(() => server.remove());

test("the row of a current Immich holds the saved configuration with its secrets", async () => {
  const database = await createImmichDatabase(server, { name: "current" });

  expect(JSON.parse((await database.configurationText()) ?? "")).toEqual(savedConfiguration);
  const keys = await database.query<{ key: string }>(
    "SELECT key FROM system_metadata ORDER BY key",
  );
  expect(keys.map(({ key }) => key)).toEqual([
    "admin-onboarding",
    "system-config",
    "version-check-state",
  ]);
});

test("before v1.106 the same configuration is a row of JSON text for each setting", async () => {
  const database = await createImmichDatabase(server, { name: "old", table: "system_config" });

  const [row] = await database.query<{ value: string }>(
    "SELECT value FROM system_config WHERE key = 'machineLearning.clip.modelName'",
  );
  expect(row?.value).toBe('"ViT-B-16-SigLIP2__webli"');
  expect(await database.configurationText()).toContain("oauth.clientSecret=");
});

test("a server where nobody saved anything has no row", async () => {
  const database = await createImmichDatabase(server, { name: "fresh", configuration: undefined });

  expect(await database.configurationText()).toBeUndefined();
});

test("the owner immich is no superuser, owns the tables and can log in", async () => {
  const database = await createImmichDatabase(server, { name: "shared", owner: "immich" });
  const { host, port, user, password, name } = database;
  const client = new Client({ host, port, user, password, database: name });
  await client.connect();
  try {
    const { rows } = await client.query<{ owner: string; superuser: boolean }>(
      `SELECT tableowner AS owner, rolsuper AS superuser
       FROM pg_tables JOIN pg_roles ON rolname = tableowner WHERE tablename = 'system_metadata'`,
    );
    expect(rows).toEqual([{ owner: "immich", superuser: false }]);
  } finally {
    await client.end();
  }
});

test("a column of embeddings carries its dimension where pgvector keeps it", async () => {
  const database = await createImmichDatabase(server, { name: "embeddings", embeddings: 7 });
  const [column] = await database.query<{ dimension: number; shown: string }>(
    `SELECT atttypmod AS dimension, format_type(atttypid, atttypmod) AS shown FROM pg_attribute
     WHERE attrelid = 'smart_search'::regclass AND attname = 'embedding'`,
  );

  expect(column).toEqual({ dimension: 768, shown: "vector(768)" });
  expect(await database.countEmbeddings()).toBe(7);
});

test("a stopped server comes back on its port with what it stored", async () => {
  const own = await startTestPostgres();
  const database = await createImmichDatabase(own);
  const before = await database.configurationText();
  await own.stop();
  const again = await startPostgres({ folder: own.folder });
  try {
    expect(again.port).toBe(own.port);
    expect(await database.configurationText()).toBe(before);
  } finally {
    await again.remove();
  }
});

test.runIf(process.getuid?.() === 0)(
  "root can keep the data in a folder that no other account can enter",
  async () => {
    const closed = await mkdtemp(path.join(tmpdir(), "immich-ml-test-closed-"));
    await chmod(closed, 0o700);
    const inside = await startPostgres({ folder: path.join(closed, "database") });
    try {
      const database = await createImmichDatabase(inside);
      expect(await database.countEmbeddings()).toBe(3);
    } finally {
      await inside.remove();
      await rm(closed, { recursive: true });
    }
  },
);
