import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";

import { probeDatabase, type DatabaseProbeOptions } from "../../immich/databaseProbe";
import {
  applySettings,
  restoreSettings,
  readSettings,
  type Declared,
  type Memory,
} from "../../immich/reconcile";
import type { Settings } from "../../immich/settings";
import type { DatabaseStoreArgs } from "../../immich/store";
import { provider } from "../../immich/systemConfig";
import { createImmichDatabase, type ImmichDatabase } from "../../demo/immichDatabase";
import { freePort, type PostgresServer } from "../../demo/postgres";
import { createFunctions } from "../support/databaseFunctions";
import { startTestPostgres } from "../support/postgres";

const role = { user: "immich_ml", password: "role-password" };
const clipModel = "machineLearning.clip.modelName";
const faceModel = "machineLearning.facialRecognition.modelName";
const ocrEnabled = "machineLearning.ocr.enabled";
const smartSearch = "job.smartSearch.concurrency";
const legacy: Settings = {
  "machineLearning.clip.enabled": true,
  [clipModel]: "ViT-B-32__openai",
  [faceModel]: "buffalo_s",
  [ocrEnabled]: false,
  [smartSearch]: 1,
};

const nothing: Memory = {
  previous: {},
  rowWasAbsent: false,
  changed: [],
  changedAt: "",
  clipChangedAt: "",
  faceChangedAt: "",
};

let server: PostgresServer;
let immich: ImmichDatabase;
let store: DatabaseStoreArgs;

beforeAll(async () => {
  server = await startTestPostgres();
  immich = await createImmichDatabase(server, { name: "immich" });
  await createFunctions(server, "immich", role);
  store = {
    kind: "database",
    host: server.host,
    port: server.port,
    database: "immich",
    ...role,
    sslMode: "disable",
  };
});
afterAll(() => server?.remove());

const declare = (settings: Settings = legacy): Declared => ({
  settings,
  immichVersion: "v2.7.5",
  store,
  embeddings: "clear",
});
const setRow = async (document: string | undefined) => {
  await immich.query("DELETE FROM system_metadata WHERE key = 'system-config'");
  if (document === undefined) return;
  await immich.query("INSERT INTO system_metadata VALUES ('system-config', $1)", [document]);
};
const setKey = (path: string, value: string) =>
  immich.query(
    `UPDATE system_metadata SET value = jsonb_set(value, '${path}', '${value}') WHERE key = 'system-config'`,
  );
const apply = async (settings?: Settings, before?: Memory) =>
  (await applySettings(declare(settings), before)).memory;

describe("restoring", () => {
  test.each([
    ["an absent row", undefined],
    ["an empty row", "{}"],
    ["a row with empty sections", '{"job": {}, "machineLearning": {"clip": {}}}'],
    [
      "a row with values of its own",
      '{"job": {"smartSearch": {"concurrency": 4}}, "oauth": {"clientSecret": "s"}, ' +
        '"machineLearning": {"clip": {"modelName": "RN50__openai"}, "facialRecognition": {"minScore": 0.70}}}',
    ],
  ])("%s comes back byte for byte", async (_name, document) => {
    await setRow(document);
    const before = await immich.configurationText();
    const memory = await apply();
    expect(await immich.configurationText()).not.toBe(before);
    await restoreSettings(declare(), memory);
    expect(await immich.configurationText()).toBe(before);
  });

  test("byte for byte also after keys were added and dropped on the way", async () => {
    await setRow('{"trash": {"days": 7}}');
    const before = await immich.configurationText();
    let memory = await apply({ [clipModel]: "RN50__openai" });
    memory = await apply(
      { [clipModel]: "RN101__openai", [ocrEnabled]: false, [faceModel]: "buffalo_s" },
      memory,
    );
    memory = await apply({ [ocrEnabled]: false, [smartSearch]: 1 }, memory);
    expect(await immich.configurationText()).toBe(
      '{"job": {"smartSearch": {"concurrency": 1}}, "trash": {"days": 7}, "machineLearning": {"ocr": {"enabled": false}}}',
    );
    await restoreSettings(declare({ [ocrEnabled]: false, [smartSearch]: 1 }), memory);
    expect(await immich.configurationText()).toBe(before);
  });

  test("whatever stood there and whichever keys came and went: byte for byte", async () => {
    const leaf = fc.oneof(fc.integer(), fc.boolean(), fc.string({ unit: "grapheme-ascii" }));
    const section = (names: string[]) =>
      fc.dictionary(fc.constantFrom(...names), leaf, { noNullPrototype: true });
    const part = (names: string[], inner: string[]) =>
      fc.dictionary(fc.constantFrom(...names), section(inner), { noNullPrototype: true });
    const document = fc.record(
      {
        machineLearning: part(["clip", "ocr", "facialRecognition", "other"], ["minScore", "extra"]),
        job: part(["smartSearch", "migration"], ["other"]),
        trash: section(["days"]),
      },
      { requiredKeys: [], noNullPrototype: true },
    );
    const declarations = fc.array(fc.subarray(Object.entries(legacy)), {
      minLength: 1,
      maxLength: 3,
    });
    await fc.assert(
      fc.asyncProperty(fc.option(document), declarations, async (stored, declared) => {
        await setRow(stored === null ? undefined : JSON.stringify(stored));
        const before = await immich.configurationText();
        let memory: Memory | undefined;
        let last: Settings = {};
        for (const entries of declared) {
          last = Object.fromEntries(entries);
          memory = await apply(last, memory);
        }
        await restoreSettings(declare(last), memory!);
        expect(await immich.configurationText()).toBe(before);
      }),
      { numRuns: 60 },
    );
  });

  test("a key that somebody has changed since stays theirs, and it is said", async () => {
    await setRow("{}");
    const memory = await apply();
    await setKey("{machineLearning,facialRecognition,modelName}", '"antelopev2"');
    const { notes } = await restoreSettings(declare(), memory);
    expect(notes).toEqual([
      `${faceModel} is "antelopev2": somebody has changed it since, so it stays; before this program it was not set`,
    ]);
    expect(await immich.configurationText()).toBe(
      '{"machineLearning": {"facialRecognition": {"modelName": "antelopev2"}}}',
    );
  });

  test("what a refresh found is not taken for what this program wrote", async () => {
    await setRow("{}");
    const memory = await apply();
    await setKey("{machineLearning,facialRecognition,modelName}", '"antelopev2"');
    const state = { ...declare(), ...memory };
    const props = (await provider.read!("system-config", state)).props!;
    expect(props.settings[faceModel]).toBe("antelopev2");
    await provider.delete!("system-config", props);
    expect(await immich.configurationText()).toContain("antelopev2");
  });

  test("a previous value that no running Immich can have had is not written back", async () => {
    await setRow('{"machineLearning": {"clip": {"modelName": 5}}}');
    const memory = await apply();
    await restoreSettings(declare(), memory);
    expect(await immich.configurationText()).toBe('{"machineLearning": {"clip": {}}}');
  });

  test("a previous value is restored although Immich dropped ours as equal to its default", async () => {
    await setRow('{"machineLearning": {"clip": {"modelName": "RN50__openai"}}}');
    const memory = await apply({ [clipModel]: "ViT-B-32__openai" });
    await setRow("{}");
    await restoreSettings(declare({ [clipModel]: "ViT-B-32__openai" }), memory);
    expect(await immich.configurationText()).toBe(
      '{"machineLearning": {"clip": {"modelName": "RN50__openai"}}}',
    );
  });

  test("a damaged row is left alone", async () => {
    await setRow("{}");
    const memory = await apply();
    await setRow('"junk"');
    const { notes } = await restoreSettings(declare(), memory);
    expect(notes).toHaveLength(Object.keys(legacy).length);
    expect(await immich.configurationText()).toBe('"junk"');
  });

  test("with the database gone, the error says how to go on", async () => {
    const gone = { ...declare(), store: { ...store, port: await freePort() } };
    await expect(provider.delete!("system-config", { ...gone, ...nothing })).rejects.toThrow(
      /could not be restored: the database at 127\.0\.0\.1:\d+ does not answer.*pulumi state delete/,
    );
  });
});

describe("drift", () => {
  test("is every key that somebody changed, and no other", async () => {
    await setRow(undefined);
    await apply();
    await setKey("{machineLearning,clip,modelName}", '"RN50__openai"');
    await setKey("{machineLearning,ocr}", "{}");
    const { settings } = await readSettings(declare());
    // OCR's absent key stands for Immich's default: on.
    expect(settings).toEqual({ ...legacy, [clipModel]: "RN50__openai", [ocrEnabled]: true });
  });

  test("is not what Immich's own save drops because it equals a default", async () => {
    await setRow(undefined);
    await apply();
    // What a save of an unrelated setting leaves of the row: no value that equals its default.
    await setRow(
      '{"trash": {"days": 7}, "job": {"smartSearch": {"concurrency": 1}}, ' +
        '"machineLearning": {"ocr": {"enabled": false}, "facialRecognition": {"modelName": "buffalo_s"}}}',
    );
    expect((await readSettings(declare())).settings).toEqual(legacy);
  });

  test("is a save from a page opened before, which overwrites ours", async () => {
    await setRow(undefined);
    await apply();
    await setRow('{"trash": {"days": 7}}');
    expect((await readSettings(declare())).settings).toEqual({
      ...legacy,
      [faceModel]: "buffalo_l",
      [ocrEnabled]: true,
      [smartSearch]: 2,
    });
  });

  test("is not another spelling of the same CLIP model", async () => {
    await setRow('{"machineLearning": {"clip": {"modelName": "immich-app/ViT-B-32__openai"}}}');
    const { settings } = await readSettings(declare({ [clipModel]: "ViT-B-32__openai" }));
    expect(settings).toEqual({ [clipModel]: "ViT-B-32__openai" });
  });

  test.each([
    [
      '{"machineLearning": {"clip": {"modelName": 5}}}',
      "must be text: Immich may not start with it",
    ],
    [
      '{"machineLearning": {"clip": {"modelName": "ViT-X"}}}',
      "is no CLIP model this program knows",
    ],
    ['{"machineLearning": null}', "machineLearning is no object where one belongs"],
    ['"a string"', "the whole configuration row is of type string"],
  ])("%s is reported on reading", async (document, said) => {
    await setRow(document);
    expect((await readSettings(declare())).notes.join()).toContain(said);
  });
});

describe("what changed", () => {
  test("is only what has another effect: values equal to the default need no restart", async () => {
    await setRow(undefined);
    const memory = await apply({ [clipModel]: "ViT-B-32__openai", [faceModel]: "buffalo_l" });
    expect(memory).toMatchObject({ changed: [], changedAt: "" });
    const next = await apply({ [clipModel]: "ViT-B-32__openai", [faceModel]: "buffalo_s" }, memory);
    expect(next.changed).toEqual([faceModel]);
    expect(next).toMatchObject({ clipChangedAt: "", faceChangedAt: next.changedAt });
    expect(Date.parse(next.changedAt)).not.toBeNaN();
    const same = await apply({ [clipModel]: "ViT-B-32__openai", [faceModel]: "buffalo_s" }, next);
    expect(same).toMatchObject({ changed: [], changedAt: next.changedAt });
  });

  test("includes the embeddings of another CLIP model, by number", async () => {
    await setRow(undefined);
    await immich.query("TRUNCATE smart_search");
    await immich.query(
      "INSERT INTO smart_search SELECT gen_random_uuid(), '[0.5]' FROM generate_series(1, 3)",
    );
    const { notes } = await applySettings(declare({ [clipModel]: "RN50__openai" }));
    expect(notes).toEqual([
      expect.stringContaining("3 embeddings of the previous CLIP model were cleared"),
    ]);
  });
});

describe("the probe", () => {
  let probed: DatabaseProbeOptions;
  beforeEach(() => {
    probed = {
      host: server.host,
      port: server.port,
      database: "immich",
      user: server.user,
      password: server.password,
      sslMode: "disable",
      timeoutMs: 3000,
    };
  });

  test("says which table, which releases and which CLIP model there are", async () => {
    await createImmichDatabase(server, { name: "probed" });
    expect(await probeDatabase({ ...probed, database: "probed" })).toEqual({
      ok: true,
      kind: "system_metadata",
      serverVersion: expect.stringMatching(/^\d+/) as string,
      immichVersion: "2.7.5",
      clipModel: "ViT-B-16-SigLIP2__webli",
      settings: {
        "machineLearning.clip.modelName": "ViT-B-16-SigLIP2__webli",
        "machineLearning.duplicateDetection.maxDistance": 0.02,
      },
      hasEmbeddings: true,
    });
  });

  test("tells the old table from its empty remains", async () => {
    const old = await createImmichDatabase(server, {
      name: "old",
      table: "system_config",
      embeddings: 0,
    });
    expect(await probeDatabase({ ...probed, database: "old" })).toMatchObject({
      kind: "system_config",
      clipModel: "ViT-B-16-SigLIP2__webli",
      settings: {
        "machineLearning.clip.modelName": "ViT-B-16-SigLIP2__webli",
        "machineLearning.duplicateDetection.maxDistance": 0.02,
      },
      hasEmbeddings: false,
    });
    await old.query("TRUNCATE system_config");
    await old.query("CREATE TABLE system_metadata (key varchar PRIMARY KEY, value jsonb NOT NULL)");
    expect(await probeDatabase({ ...probed, database: "old" })).toMatchObject({
      kind: "system_metadata",
    });
  });

  test.each([
    ["a wrong password", { password: "wrong-password" }, 'refuses the password of user "postgres"'],
    ["a database that is not there", { database: "photos" }, 'has no database "photos"'],
    [
      "a database that is not Immich's",
      { database: "postgres" },
      "is not Immich's: it has neither",
    ],
    [
      "TLS where there is none",
      { sslMode: "require" as const },
      'speaks no TLS, but sslMode is "require"',
    ],
    [
      "an unknown host",
      { host: "database.invalid" },
      "the name database.invalid of the database's host",
    ],
  ])("%s: one message", async (_name, change, said) => {
    const result = await probeDatabase({ ...probed, ...change });
    expect(result).toEqual({ ok: false, message: expect.stringContaining(said) as string });
    expect(JSON.stringify(result)).not.toContain("wrong-password");
  });

  test("nobody there: one message, soon", async () => {
    const result = await probeDatabase({ ...probed, port: await freePort() });
    expect(result).toMatchObject({
      ok: false,
      message: expect.stringContaining("does not answer (ECONNREFUSED)") as string,
    });
  });

  test("a server that accepts and then says nothing is given up", async () => {
    const { createServer } = await import("node:net");
    const silent = createServer();
    const port = await freePort();
    await new Promise<void>((resolve) => silent.listen(port, "127.0.0.1", resolve));
    const result = await probeDatabase({ ...probed, port, timeoutMs: 500 });
    silent.close();
    expect(result).toMatchObject({
      ok: false,
      message: expect.stringContaining("does not answer") as string,
    });
  });

  test("a damaged row is found before anything is changed", async () => {
    await setRow('"junk"');
    expect(await probeDatabase(probed)).toMatchObject({
      ok: false,
      message: expect.stringContaining("is damaged: the row is of type string") as string,
    });
    await setRow("{}");
  });

  test("Immich's own user, who owns the database, lacks only the right to create a role", async () => {
    await createImmichDatabase(server, { name: "owned", owner: "immich" });
    const owner = { ...probed, database: "owned", user: "immich" };
    expect(await probeDatabase(owner)).toEqual({
      ok: false,
      message:
        `user "immich" lacks rights in database "owned" at ${server.host}:${server.port}; ` +
        'a superuser gives them with: ALTER ROLE "immich" CREATEROLE;',
    });
    expect(await probeDatabase({ ...owner, createsRole: false })).toMatchObject({ ok: true });
  });

  test("a user without rights is told every grant that is missing", async () => {
    await immich.query("CREATE ROLE stranger LOGIN PASSWORD 'x'");
    await createImmichDatabase(server, { name: "foreign" });
    const result = await probeDatabase({
      ...probed,
      database: "foreign",
      user: "stranger",
      password: "x",
    });
    expect(result).toMatchObject({
      ok: false,
      message: expect.stringMatching(
        /GRANT CREATE ON DATABASE "foreign" TO "stranger"; ALTER ROLE "stranger" CREATEROLE; GRANT .* ON public\.system_metadata TO "stranger"; GRANT .* ON public\.smart_search/,
      ) as string,
    });
  });
});

test("notes reach the person who runs the program", async () => {
  const printed = vi.spyOn(console, "log").mockImplementation(() => undefined);
  await setRow("[]");
  await provider.read!("system-config", { ...declare(), ...nothing });
  expect(printed).toHaveBeenCalledWith(
    expect.stringContaining("Immich's configuration is damaged"),
  );
  printed.mockRestore();
});
