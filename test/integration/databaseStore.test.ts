import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Client } from "pg";

import { readDatabase, writeDatabase } from "../../immich/databaseStore";
import { schemaName } from "../../immich/databaseFunctions";
import type { DatabaseStoreArgs, SettingChange, WriteOptions } from "../../immich/store";
import { createImmichDatabase } from "../../demo/immichDatabase";
import type { PostgresServer } from "../../demo/postgres";
import { connect, createFunctions } from "../support/databaseFunctions";
import { startTestPostgres } from "../support/postgres";
import { installedPostgres, startInstalledPostgres } from "../support/systemPostgres";

const version = { major: 2, minor: 7, patch: 5 };
const oldVersion = { major: 1, minor: 105, patch: 1 };
const keep: WriteOptions = { version, embeddings: "keep", dropEmptyRow: false };
const clear: WriteOptions = { ...keep, embeddings: "clear" };
const clipModel = "machineLearning.clip.modelName";
const faceModel = "machineLearning.facialRecognition.modelName";
const ocrEnabled = "machineLearning.ocr.enabled";

const servers = [
  { name: "embedded PostgreSQL", start: startTestPostgres },
  ...installedPostgres().map((installed) => ({
    name: installed.name,
    start: () => startInstalledPostgres(installed),
  })),
];
if (servers.length === 1)
  console.log("no other PostgreSQL is installed: only the embedded one is tested");

describe.each(servers)("$name", ({ start }) => {
  let server: PostgresServer;
  let admin: Client;
  let oldAdmin: Client;
  let store: DatabaseStoreArgs;
  let oldStore: DatabaseStoreArgs;

  beforeAll(async () => {
    server = await start();
    await createImmichDatabase(server, { name: "immich" });
    await createFunctions(server, "immich");
    const old = { name: "immich_old", table: "system_config", configuration: undefined } as const;
    await createImmichDatabase(server, old);
    oldAdmin = await connect(server, "immich_old");
    // Releases before 1.106 had the table too, for other things.
    await oldAdmin.query("CREATE TABLE system_metadata (key varchar PRIMARY KEY, value jsonb)");
    await createFunctions(server, "immich_old");
    admin = await connect(server, "immich");
    store = {
      kind: "database",
      host: "127.0.0.1",
      port: server.port,
      database: "immich",
      user: server.user,
      password: server.password,
      sslMode: "disable",
    };
    oldStore = { ...store, database: "immich_old" };
  });

  beforeEach(fillEmbeddings);

  afterAll(async () => {
    await admin?.end();
    await oldAdmin?.end();
    await server?.remove();
  });

  async function fillEmbeddings(): Promise<void> {
    await admin.query("TRUNCATE smart_search");
    await admin.query(
      "INSERT INTO smart_search SELECT gen_random_uuid(), '[0.5]' FROM generate_series(1, 3)",
    );
  }

  async function setRow(document: string | undefined): Promise<void> {
    await admin.query("DELETE FROM system_metadata WHERE key = 'system-config'");
    if (document !== undefined) {
      await admin.query("INSERT INTO system_metadata VALUES ('system-config', $1)", [document]);
    }
  }

  async function row(): Promise<string | undefined> {
    const { rows } = await admin.query<{ value: string }>(
      "SELECT value::text FROM system_metadata WHERE key = 'system-config'",
    );
    return rows[0]?.value;
  }

  const set = (key: string, value: unknown): SettingChange => ({
    key,
    value: JSON.stringify(value),
  });

  test("keeps everything else of the row, to the byte", async () => {
    await setRow('{"oauth": {"clientSecret": "s3cret"}, "machineLearning": {"x": 1.50}}');
    await writeDatabase(store, [set(clipModel, "ViT-B-16__openai")], keep);
    expect(await row()).toBe(
      '{"oauth": {"clientSecret": "s3cret"}, ' +
        '"machineLearning": {"x": 1.50, "clip": {"modelName": "ViT-B-16__openai"}}}',
    );
  });

  test("creates an absent row and removes it again, with every parent it made", async () => {
    await setRow(undefined);
    const result = await writeDatabase(
      store,
      [set(clipModel, "ViT-B-16__openai"), set(faceModel, "buffalo_s"), set(ocrEnabled, false)],
      keep,
    );
    expect(result.rowWasAbsent).toBe(true);
    expect(result.before).toEqual({
      [clipModel]: { missingFrom: 1 },
      [faceModel]: { missingFrom: 1 },
      [ocrEnabled]: { missingFrom: 1 },
    });
    expect(await row()).toContain('"buffalo_s"');
    await writeDatabase(
      store,
      [clipModel, faceModel, ocrEnabled].map((key) => ({ key, remove: 1 })),
      { ...keep, dropEmptyRow: true },
    );
    expect(await row()).toBeUndefined();
  });

  test("leaves a parent that was empty before", async () => {
    await setRow('{"machineLearning": {"clip": {}}}');
    const { before } = await writeDatabase(store, [set(clipModel, "ViT-B-16__openai")], keep);
    expect(before).toEqual({ [clipModel]: { missingFrom: 3 } });
    await writeDatabase(store, [{ key: clipModel, remove: 3 }], { ...keep, dropEmptyRow: true });
    expect(await row()).toBe('{"machineLearning": {"clip": {}}}');
  });

  test("reports previous values as the texts that stood there", async () => {
    const before =
      '{"machineLearning": {"facialRecognition": {"minScore": 0.70, "modelName": "buffalo_m"}}}';
    await setRow(before);
    const minScore = "machineLearning.facialRecognition.minScore";
    const result = await writeDatabase(
      store,
      [set(minScore, 0.5), set(faceModel, "buffalo_s")],
      keep,
    );
    expect(result.before).toEqual({
      [minScore]: { value: "0.70" },
      [faceModel]: { value: '"buffalo_m"' },
    });
    await writeDatabase(
      store,
      [
        { key: minScore, value: "0.70" },
        { key: faceModel, value: '"buffalo_m"' },
      ],
      keep,
    );
    expect(await row()).toBe(before);
  });

  test("changes a key only where the expected value stands", async () => {
    await setRow('{"machineLearning": {"clip": {"modelName": "RN50__openai"}}}');
    const result = await writeDatabase(
      store,
      [
        { key: clipModel, value: '"ViT-L-14__openai"', expected: ['"ViT-B-16__openai"', null] },
        { key: faceModel, value: '"buffalo_m"', expected: ['"buffalo_s"', null] },
      ],
      keep,
    );
    expect(result.skipped).toEqual({ [clipModel]: '"RN50__openai"' });
    expect(await row()).toContain('"RN50__openai"');
    expect(await row()).toContain('"buffalo_m"');
  });

  test("writes nothing at all when one of several values is refused", async () => {
    await setRow("{}");
    await expect(
      writeDatabase(store, [set(faceModel, "buffalo_s"), set("job.ocr.concurrency", 0)], keep),
    ).rejects.toThrow("the value 0 is not allowed for job.ocr.concurrency");
    expect(await row()).toBe("{}");
  });

  test.each([
    ["machineLearning.enabled", "yes"],
    ["machineLearning.urls", []],
    ["machineLearning.urls", ["http://a:3003", ""]],
    ["machineLearning.urls", "http://a:3003"],
    [clipModel, 5],
    [clipModel, null],
    [clipModel, ""],
    ["machineLearning.facialRecognition.minScore", 1.5],
    ["job.smartSearch.concurrency", 1.5],
    ["job.smartSearch.concurrency", {}],
  ])("refuses inside the database: %s = %j", async (key, value) => {
    await setRow("{}");
    await expect(writeDatabase(store, [set(key, value)], keep)).rejects.toThrow(
      "is not allowed for",
    );
    expect(await row()).toBe("{}");
  });

  test("refuses a key that is not ours, inside the database", async () => {
    await setRow("{}");
    await expect(writeDatabase(store, [set("oauth.clientSecret", "x")], keep)).rejects.toThrow(
      "oauth.clientSecret is not one of those that may be changed",
    );
    await expect(writeDatabase(store, [set("machineLearning", "x")], keep)).rejects.toThrow(
      "machineLearning is not one of those",
    );
  });

  test.each(['"a string"', "[]", "5", "null"])(
    "reads a whole row of junk (%s) as damage and never overwrites it",
    async (junk) => {
      await setRow(junk);
      const { values, damage } = await readDatabase(store, version);
      expect(values).toEqual({});
      expect(damage).toHaveLength(1);
      await expect(writeDatabase(store, [set(faceModel, "buffalo_s")], keep)).rejects.toThrow(
        "Immich's configuration is damaged: the whole row is no object; nothing was changed",
      );
      expect(await row()).toBe(junk);
    },
  );

  test.each(["5", "null", '"text"', "[]"])(
    "reads %s where the section belongs as damage and says how to go on",
    async (junk) => {
      const document = `{"oauth": {}, "machineLearning": ${junk}}`;
      await setRow(document);
      expect((await readDatabase(store, version)).damage).toEqual([
        "machineLearning is not an object",
      ]);
      await expect(writeDatabase(store, [set(faceModel, "buffalo_s")], keep)).rejects.toThrow(
        "value #- '{machineLearning}'",
      );
      expect(await row()).toBe(document);
    },
  );

  test("repairs junk that stands under one of our keys", async () => {
    await setRow('{"machineLearning": {"clip": {"modelName": 5}}}');
    const { values } = await readDatabase(store, version);
    expect(values[clipModel]).toBe("5");
    await writeDatabase(store, [set(clipModel, "ViT-B-16__openai")], clear);
    expect(await row()).toBe('{"machineLearning": {"clip": {"modelName": "ViT-B-16__openai"}}}');
  });

  test("a user without rights in the schema cannot call the functions", async () => {
    await admin.query("CREATE ROLE stranger LOGIN PASSWORD 'x'");
    const stranger = await connect(server, "immich", { user: "stranger", password: "x" });
    await expect(
      stranger.query(`SELECT ${schemaName}.read_settings('system_metadata')`),
    ).rejects.toThrow("permission denied for schema immich_ml");
    await stranger.end();
    await admin.query("DROP ROLE stranger");
  });

  test("what is read has no secret of the rest of the row", async () => {
    await setRow('{"oauth": {"clientSecret": "s3cret"}}');
    const { rows } = await admin.query(
      `SELECT ${schemaName}.read_settings('system_metadata') AS a`,
    );
    expect(JSON.stringify(rows)).not.toContain("s3cret");
  });

  test("a caller's search_path and temporary objects do not get into the functions", async () => {
    await setRow('{"machineLearning": {"clip": {"modelName": "ViT-B-16__openai"}}}');
    const caller = await connect(server, "immich");
    await caller.query("CREATE TEMP TABLE jsonb (a int)");
    await caller.query("CREATE TEMP TABLE system_metadata (key text, value text)");
    await caller.query(
      "CREATE FUNCTION pg_temp.coalesce_all(text) RETURNS text LANGUAGE sql AS 'SELECT ''evil'''",
    );
    await caller.query("SET search_path = pg_temp, pg_catalog, public");
    const { rows } = await caller.query<{ answer: { values: object } }>(
      `SELECT ${schemaName}.read_settings('system_metadata') AS answer`,
    );
    expect(rows[0]?.answer.values).toEqual({ [clipModel]: '"ViT-B-16__openai"' });
    await caller.end();
  });

  test("clears embeddings with the change of the CLIP model, unless told to keep them", async () => {
    const count = async () =>
      Number(
        (await admin.query<{ n: string }>("SELECT count(*) AS n FROM smart_search")).rows[0]?.n,
      );
    await setRow(undefined);
    // The default written out is no other model.
    let result = await writeDatabase(store, [set(clipModel, "ViT-B-32__openai")], clear);
    expect(result.clearedEmbeddings).toBeNull();
    result = await writeDatabase(store, [set(clipModel, "immich-app/ViT-B-32::openai")], clear);
    expect(result.clearedEmbeddings).toBeNull();
    result = await writeDatabase(store, [set(clipModel, "ViT-B-16__openai")], keep);
    expect(result.clearedEmbeddings).toBeNull();
    expect(await count()).toBe(3);
    result = await writeDatabase(store, [set(clipModel, "RN101__openai")], clear);
    expect(result.clearedEmbeddings).toBe(3);
    expect(await count()).toBe(0);
    await fillEmbeddings();
    result = await writeDatabase(store, [{ key: clipModel, remove: 1 }], clear);
    expect(result.clearedEmbeddings).toBe(3);
  });

  test("a refused change clears no embeddings", async () => {
    await setRow("{}");
    await expect(
      writeDatabase(
        store,
        [set(clipModel, "RN101__openai"), set("job.ocr.concurrency", -1)],
        clear,
      ),
    ).rejects.toThrow("is not allowed for");
    const { rows } = await admin.query("SELECT FROM smart_search");
    expect(rows).toHaveLength(3);
  });

  test("two writers at once both succeed and neither loses the other's keys", async () => {
    await setRow(undefined);
    const concurrency = Array.from({ length: 6 }, (_, index) =>
      writeDatabase(store, [set("job.ocr.concurrency", index + 1)], keep),
    );
    const results = await Promise.all([
      ...concurrency,
      writeDatabase(store, [set(faceModel, "buffalo_s")], keep),
      writeDatabase(store, [set(clipModel, "RN101__openai")], keep),
    ]);
    expect(results.filter((result) => result.rowWasAbsent)).toHaveLength(1);
    const document = await row();
    expect(document).toContain('"buffalo_s"');
    expect(document).toContain('"RN101__openai"');
  });

  test("a key we do not own, changed at the same moment, is kept", async () => {
    await setRow('{"trash": {"days": 30}}');
    const immich = await connect(server, "immich");
    await immich.query("BEGIN");
    await immich.query(
      `UPDATE system_metadata SET value = '{"trash": {"days": 7}}' WHERE key = 'system-config'`,
    );
    const write = writeDatabase(store, [set(faceModel, "buffalo_s")], keep);
    await waiting(1);
    await immich.query("COMMIT");
    await immich.end();
    await write;
    expect(await row()).toContain('"trash": {"days": 7}');
    expect(await row()).toContain('"buffalo_s"');
  });

  test("a row that Immich creates at the same moment is merged into, not overwritten", async () => {
    await setRow(undefined);
    const immich = await connect(server, "immich");
    await immich.query("BEGIN");
    await immich.query(
      `INSERT INTO system_metadata VALUES ('system-config', '{"trash": {"days": 7}}')`,
    );
    const write = writeDatabase(store, [set(faceModel, "buffalo_s")], keep);
    await waiting(1);
    await immich.query("COMMIT");
    await immich.end();
    expect((await write).rowWasAbsent).toBe(false);
    expect(await row()).toContain('"trash": {"days": 7}');
    expect(await row()).toContain('"buffalo_s"');
  });

  test("a connection killed in the middle of the transaction changes nothing and says so", async () => {
    const before = '{"trash": {"days": 30}}';
    await setRow(before);
    const blocker = await connect(server, "immich");
    await blocker.query("BEGIN");
    await blocker.query("SELECT FROM system_metadata WHERE key = 'system-config' FOR UPDATE");
    const write = writeDatabase(store, [set(clipModel, "RN101__openai")], clear).then(
      () => "written",
      (error: Error) => error.message,
    );
    await waiting(1);
    await admin.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'immich-ml'",
    );
    expect(await write).toMatch(/connection to the database at .* was lost.*nothing was changed/);
    await blocker.query("ROLLBACK");
    await blocker.end();
    expect(await row()).toBe(before);
    expect((await admin.query("SELECT FROM smart_search")).rows).toHaveLength(3);
  });

  test(
    "a lock that is not given up ends in a message, not in waiting",
    { timeout: 60_000 },
    async () => {
      await setRow("{}");
      const blocker = await connect(server, "immich");
      await blocker.query("BEGIN");
      await blocker.query("SELECT FROM system_metadata WHERE key = 'system-config' FOR UPDATE");
      await expect(writeDatabase(store, [set(faceModel, "buffalo_s")], keep)).rejects.toThrow(
        "another program has been changing Immich's configuration",
      );
      await blocker.query("ROLLBACK");
      await blocker.end();
    },
  );

  test("a second write of the same values touches nothing", async () => {
    await setRow("{}");
    await writeDatabase(store, [set(faceModel, "buffalo_s")], keep);
    const xmin = "SELECT xmin::text FROM system_metadata WHERE key = 'system-config'";
    const first = (await admin.query(xmin)).rows;
    await writeDatabase(store, [set(faceModel, "buffalo_s")], clear);
    expect((await admin.query(xmin)).rows).toEqual(first);
  });

  test("releases up to 1.105: one row per key, JSON texts, restored exactly", async () => {
    await oldAdmin.query(
      `INSERT INTO system_config VALUES ('machineLearning.facialRecognition.modelName', '"buffalo_m"'),
        ('oauth.clientSecret', '"s3cret"')`,
    );
    const options = { ...clear, version: oldVersion };
    const concurrency = "job.smartSearch.concurrency";
    const result = await writeDatabase(
      oldStore,
      [set(faceModel, "buffalo_s"), set(clipModel, "RN101__openai"), set(concurrency, 1)],
      options,
    );
    expect(result.before).toEqual({
      [faceModel]: { value: '"buffalo_m"' },
      [clipModel]: { missingFrom: 1 },
      [concurrency]: { missingFrom: 1 },
    });
    expect(result.clearedEmbeddings).toBe(3);
    expect((await readDatabase(oldStore, oldVersion)).values).toEqual({
      [faceModel]: '"buffalo_s"',
      [clipModel]: '"RN101__openai"',
      [concurrency]: "1",
    });
    await writeDatabase(
      oldStore,
      [
        { key: faceModel, value: '"buffalo_m"', expected: ['"buffalo_s"'] },
        { key: clipModel, remove: 1, expected: ['"RN101__openai"'] },
        { key: concurrency, remove: 1, expected: ["1", null] },
      ],
      options,
    );
    const { rows } = await oldAdmin.query("SELECT key, value FROM system_config ORDER BY key");
    expect(rows).toEqual([
      { key: faceModel, value: '"buffalo_m"' },
      { key: "oauth.clientSecret", value: '"s3cret"' },
    ]);
  });

  test("a release that does not fit the tables is refused", async () => {
    await expect(readDatabase(oldStore, version)).rejects.toThrow("it is older than v1.106");
    await expect(readDatabase(store, oldVersion)).rejects.toThrow("has no table system_config");
  });

  async function waiting(count: number): Promise<void> {
    for (let attempt = 0; attempt < 100; attempt += 1) {
      const { rows } = await admin.query(
        "SELECT FROM pg_stat_activity WHERE application_name = 'immich-ml' AND wait_event_type = 'Lock'",
      );
      if (rows.length >= count) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error("nobody waits for the lock");
  }
});
