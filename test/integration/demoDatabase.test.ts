import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Client } from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { createImmichDatabase, savedConfiguration } from "../../demo/immichDatabase";
import { startPostgres, type PostgresServer } from "../../demo/postgres";
import { readableCopy } from "../../demo/privateFolder";
import { isRoot, run } from "../../demo/shell";
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

test("a server whose configuration was never saved has no row", async () => {
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

test("a column of embeddings has its dimension where pgvector keeps it", async () => {
  const database = await createImmichDatabase(server, { name: "embeddings", embeddings: 7 });
  const [column] = await database.query<{ dimension: number; shown: string }>(
    `SELECT atttypmod AS dimension, format_type(atttypid, atttypmod) AS shown FROM pg_attribute
     WHERE attrelid = 'smart_search'::regclass AND attname = 'embedding'`,
  );

  expect(column).toEqual({ dimension: 768, shown: "vector(768)" });
  expect(await database.countEmbeddings()).toBe(7);
});

test("a stopped server starts again with its port and data", async () => {
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

describe.runIf(isRoot())("a folder that only root can enter", () => {
  let closed: string;
  const nobody = 65_534;
  /** Where the data is instead, which must be reachable for the user postgres. */
  const used = () => readFile(path.join(closed, "database", "outside"), "utf8");

  beforeEach(async () => {
    closed = await mkdtemp(path.join(tmpdir(), "immich-ml-test-closed-"));
    await chmod(closed, 0o700);
  });
  afterEach(() => rm(closed, { recursive: true }));

  test("can hold a database, whose data is in a folder with a random name that only postgres can enter", async () => {
    const inside = await startPostgres({ folder: path.join(closed, "database") });
    try {
      const database = await createImmichDatabase(inside);
      expect(await database.countEmbeddings()).toBe(3);
      const { uid, mode } = await stat(await used());
      expect(uid).toBe(Number(await run("id", ["-u", "postgres"])));
      expect(mode & 0o777).toBe(0o700);
      await inside.stop();
      const again = await startPostgres({ folder: inside.folder });
      expect(again.port).toBe(inside.port);
    } finally {
      await inside.remove();
    }
  });

  test.each(["folder", "link"])(
    "does not use a %s that another user put in the place of its data",
    async (planted) => {
      const inside = await startPostgres({ folder: path.join(closed, "database") });
      await inside.remove();
      const victim = path.join(closed, "victim");
      await mkdir(victim);
      await chown(victim, nobody, nobody);
      const place = await mkdtemp("/var/tmp/immich-ml-test-planted-");
      await rm(place, { recursive: true });
      if (planted === "link") await symlink(victim, place);
      else await rename(victim, place);
      await mkdir(path.join(closed, "database"));
      await writeFile(path.join(closed, "database", "outside"), place);
      const again = await startPostgres({ folder: path.join(closed, "database") });
      try {
        expect(await used()).not.toBe(place);
        expect((await stat(place)).uid).toBe(nobody);
        expect(await readdir(place)).toEqual([]);
      } finally {
        await again.remove();
        await rm(place, { recursive: true });
      }
    },
  );

  test("never runs programs that another user put in the place of root's copy", async () => {
    const account = { uid: nobody, gid: nobody };
    const programs = path.join(closed, "programs");
    await mkdir(programs);
    await writeFile(path.join(programs, "initdb"), "#!/bin/sh\necho ours\n", { mode: 0o755 });
    const record = path.join(closed, "record");
    const planted = await mkdtemp("/var/tmp/immich-ml-test-planted-");
    await chown(planted, nobody, nobody);
    await writeFile(record, planted);
    const copy = await readableCopy(programs, record, account);
    try {
      expect(copy).not.toBe(planted);
      expect(await run(path.join(copy, "initdb"), [], { account })).toBe("ours\n");
      expect((await stat(copy)).uid).toBe(0);
      expect(await readableCopy(programs, record, account)).toBe(copy);
    } finally {
      for (const folder of [copy, planted]) await rm(folder, { recursive: true });
    }
  });
});
