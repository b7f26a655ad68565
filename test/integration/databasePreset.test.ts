import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";

import type { Settings as StackSettings } from "../../config/load";
import { inspectImmich } from "../../preflight/immichReport";
import type { CommandResult } from "../../util/run";
import { probeDatabase, type DatabaseProbeOptions } from "../../immich/databaseProbe";
import {
  applySettings,
  restoreSettings,
  type Declared,
  type SavedState,
} from "../../immich/reconcile";
import { changesOf, type Settings } from "../../immich/settings";
import type { DatabaseStoreArgs } from "../../immich/store";
import { createImmichDatabase, type ImmichDatabase } from "../../demo/immichDatabase";
import { freePort, type PostgresServer } from "../../demo/postgres";
import { createFunctions } from "../support/databaseFunctions";
import { startTestPostgres } from "../support/postgres";

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

let server: PostgresServer;
let immich: ImmichDatabase;
let store: DatabaseStoreArgs;

beforeAll(async () => {
  server = await startTestPostgres();
  immich = await createImmichDatabase(server, { name: "immich" });
  await createFunctions(server, "immich");
  store = {
    kind: "database",
    host: server.host,
    port: server.port,
    database: "immich",
    user: server.user,
    password: server.password,
    sslMode: "disable",
  };
});
afterAll(() => server?.remove());

const declare = (settings: Settings = legacy): Declared => ({
  settings,
  immichVersion: "v2.7.5",
  store,
  embeddings: "clear",
  onDestroy: "restoreModel",
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
const apply = async (settings?: Settings, before?: SavedState) =>
  (await applySettings(declare(settings), before)).state;

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
    const saved = await apply();
    expect(await immich.configurationText()).not.toBe(before);
    await restoreSettings(declare(), saved);
    expect(await immich.configurationText()).toBe(before);
  });

  test("byte for byte also after keys were added and dropped on the way", async () => {
    await setRow('{"trash": {"days": 7}}');
    const before = await immich.configurationText();
    let saved = await apply({ [clipModel]: "RN50__openai" });
    saved = await apply(
      { [clipModel]: "RN101__openai", [ocrEnabled]: false, [faceModel]: "buffalo_s" },
      saved,
    );
    saved = await apply({ [ocrEnabled]: false, [smartSearch]: 1 }, saved);
    expect(await immich.configurationText()).toBe(
      '{"job": {"smartSearch": {"concurrency": 1}}, "trash": {"days": 7}, "machineLearning": {"ocr": {"enabled": false}}}',
    );
    await restoreSettings(declare({ [ocrEnabled]: false, [smartSearch]: 1 }), saved);
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
        let saved: SavedState | undefined;
        let last: Settings = {};
        for (const entries of declared) {
          last = Object.fromEntries(entries);
          saved = await apply(last, saved);
        }
        await restoreSettings(declare(last), saved!);
        expect(await immich.configurationText()).toBe(before);
      }),
      { numRuns: 60 },
    );
  });

  test("a key that somebody has changed since stays theirs, and it is said", async () => {
    await setRow("{}");
    const saved = await apply();
    await setKey("{machineLearning,facialRecognition,modelName}", '"antelopev2"');
    const { notes } = await restoreSettings(declare(), saved);
    expect(notes).toEqual([
      `${faceModel} is "antelopev2": someone has changed it since, so it stays; before this program it was not set`,
    ]);
    expect(await immich.configurationText()).toBe(
      '{"machineLearning": {"facialRecognition": {"modelName": "antelopev2"}}}',
    );
  });

  test("a second try, after the first one failed halfway, restores nothing and reports nothing", async () => {
    await setRow('{"machineLearning": {"clip": {"modelName": "RN50__openai"}}}');
    const before = await immich.configurationText();
    const saved = await apply();
    await restoreSettings(declare(), saved);
    expect((await restoreSettings(declare(), saved)).notes).toEqual([]);
    expect(await immich.configurationText()).toBe(before);
  });

  test("a previous value that no running Immich can have had is not written back", async () => {
    await setRow('{"machineLearning": {"clip": {"modelName": 5}}}');
    const saved = await apply();
    await restoreSettings(declare(), saved);
    expect(await immich.configurationText()).toBe('{"machineLearning": {"clip": {}}}');
  });

  test("a previous value is restored although Immich dropped ours as equal to its default", async () => {
    await setRow('{"machineLearning": {"clip": {"modelName": "RN50__openai"}}}');
    const saved = await apply({ [clipModel]: "ViT-B-32__openai" });
    await setRow("{}");
    await restoreSettings(declare({ [clipModel]: "ViT-B-32__openai" }), saved);
    expect(await immich.configurationText()).toBe(
      '{"machineLearning": {"clip": {"modelName": "RN50__openai"}}}',
    );
  });

  test("a damaged row is left alone", async () => {
    await setRow("{}");
    const saved = await apply();
    await setRow('"junk"');
    const { notes } = await restoreSettings(declare(), saved);
    expect(notes).toHaveLength(Object.keys(legacy).length);
    expect(await immich.configurationText()).toBe('"junk"');
  });
});

describe("drift", () => {
  const driftOf = async (declared: Settings = legacy) => {
    const { user, password } = server;
    const probe = await probeDatabase({ ...store, user, password });
    if (!probe.ok) throw new Error(probe.message);
    return changesOf(declared, probe.settings, { major: 2, minor: 7, patch: 5 });
  };

  test("is every key that somebody changed, and no other", async () => {
    await setRow(undefined);
    await apply();
    expect(await driftOf()).toEqual([]);
    await setKey("{machineLearning,clip,modelName}", '"RN50__openai"');
    await setKey("{machineLearning,ocr}", "{}");
    expect(await driftOf()).toEqual([
      `${clipModel}: "RN50__openai" => "ViT-B-32__openai"`,
      `${ocrEnabled}: true (Immich's default) => false`,
    ]);
  });

  test("is not what Immich's own save drops because it equals a default", async () => {
    await setRow(undefined);
    await apply();
    // What a save of an unrelated setting leaves of the row: no value that equals its default.
    await setRow(
      '{"trash": {"days": 7}, "job": {"smartSearch": {"concurrency": 1}}, ' +
        '"machineLearning": {"ocr": {"enabled": false}, "facialRecognition": {"modelName": "buffalo_s"}}}',
    );
    expect(await driftOf()).toEqual([]);
  });

  test("is a save from a page opened before, which overwrites ours", async () => {
    await setRow(undefined);
    await apply();
    await setRow('{"trash": {"days": 7}}');
    expect(await driftOf()).toEqual([
      `${faceModel}: "buffalo_l" (Immich's default) => "buffalo_s"`,
      `${ocrEnabled}: true (Immich's default) => false`,
      `${smartSearch}: 2 (Immich's default) => 1`,
    ]);
  });

  test("is not another spelling of the same CLIP model", async () => {
    await setRow('{"machineLearning": {"clip": {"modelName": "immich-app/ViT-B-32__openai"}}}');
    expect(await driftOf({ [clipModel]: "ViT-B-32__openai" })).toEqual([]);
  });

  test.each([["5"], ['"ViT-X"']])(
    "is a CLIP model with which Immich may not start: %s",
    async (text) => {
      await setRow(`{"machineLearning": {"clip": {"modelName": ${text}}}}`);
      expect(await driftOf({ [clipModel]: "ViT-B-32__openai" })).toEqual([
        `${clipModel}: ${text} => "ViT-B-32__openai"`,
      ]);
    },
  );

  test.each([
    [
      '{"machineLearning": null}',
      "is damaged: machineLearning is not an object. Look at it, then: UPDATE system_metadata SET value = value #- '{machineLearning}'",
    ],
    ['{"job": {"ocr": 5}}', "is damaged: job.ocr is not an object"],
    ['"a string"', "is damaged: the row is of type string"],
  ])("%s is reported on reading", async (document, expected) => {
    await setRow(document);
    await expect(driftOf()).rejects.toThrow(expected);
  });
});

describe("the photos' search", () => {
  const clip = (modelName: string) =>
    `{"machineLearning": {"clip": {"modelName": "${modelName}"}}}`;
  const embeddings = async () => {
    const [row] = await immich.query("SELECT count(*)::int AS count FROM smart_search");
    return (row as { count: number }).count;
  };
  const keep = (settings?: Settings): Declared => ({
    ...declare(settings),
    onDestroy: "keepModel",
  });
  beforeEach(async () => {
    await immich.query("TRUNCATE smart_search");
    await immich.query(
      "INSERT INTO smart_search SELECT gen_random_uuid(), '[0.5]' FROM generate_series(1, 3)",
    );
  });

  test("survives a destroy: the CLIP model stays, everything else is restored, and it is said", async () => {
    await setRow(clip("ViT-B-32__openai"));
    const { state } = await applySettings({
      ...keep({ [clipModel]: "RN50__openai", [ocrEnabled]: false }),
      embeddings: "keep",
    });
    const { notes, needsRestart } = await restoreSettings(keep(), state);
    expect(await immich.configurationText()).toBe(clip("RN50__openai"));
    expect(await embeddings()).toBe(3);
    expect(needsRestart).toBe(true);
    expect(notes).toEqual([
      `${clipModel} stays "RN50__openai", so that search keeps finding photos; before this program it was "ViT-B-32__openai" (immich-ml:onDestroy: restoreModel restores it and empties the search)`,
    ]);
  });

  test("is emptied by a destroy only where the stack file asks for the former model", async () => {
    await setRow(clip("ViT-B-32__openai"));
    const { state } = await applySettings({
      ...keep({ [clipModel]: "RN50__openai" }),
      embeddings: "keep",
    });
    await restoreSettings(declare(), state);
    expect(await immich.configurationText()).toBe(clip("ViT-B-32__openai"));
    expect(await embeddings()).toBe(0);
  });

  test("survives a stack file that no longer names the CLIP model, and a later destroy still knows the former one", async () => {
    await setRow(clip("ViT-B-32__openai"));
    const first = await applySettings({
      ...keep({ [clipModel]: "RN50__openai", [smartSearch]: 1 }),
      embeddings: "keep",
    });
    const { state } = await applySettings(keep({ [smartSearch]: 1 }), first.state);
    expect(await embeddings()).toBe(3);
    await restoreSettings(declare(), state);
    expect(await immich.configurationText()).toBe(clip("ViT-B-32__openai"));
  });

  test("and Immich need no restart where a destroy changes nothing", async () => {
    await setRow("{}");
    const state = await apply({ [clipModel]: "ViT-B-32__openai", [faceModel]: "buffalo_l" });
    expect((await restoreSettings(keep(), state)).needsRestart).toBe(false);
  });
});

describe("what Immich would refuse", () => {
  test("is not written: an address that v2.7.5 takes for none and then saves nothing any more", async () => {
    await setRow("{}");
    const urls = (url: string): Settings => ({ "machineLearning.urls": [url] });
    await expect(apply(urls("http://attic-:3003"))).rejects.toThrow(
      'machineLearning.urls contains "http://attic-:3003", which Immich v2.7.5 does not accept as an address',
    );
    expect(await immich.configurationText()).toBe("{}");
    for (const url of [
      "http://attic:3003",
      "http://[fd00::1]:3003",
      "http://10.0.0.2:3003",
      "http://immich_ml:3003",
    ])
      await apply(urls(url));
  });

  test("is not written back: a made-up model that stood there before", async () => {
    await setRow('{"machineLearning": {"clip": {"modelName": "made-up"}}}');
    const saved = await apply({ [clipModel]: "RN50__openai" });
    await restoreSettings(declare(), saved);
    expect(await immich.configurationText()).toBe('{"machineLearning": {"clip": {}}}');
  });
});

describe("a server with IMMICH_MACHINE_LEARNING_URL", () => {
  const urls: Settings = { "machineLearning.urls": ["http://attic:3003"] };

  test("drops the equal value when somebody saves: neither drift, nor a change by somebody", async () => {
    const declared: Declared = { ...declare(urls), defaults: urls };
    await setRow("{}");
    const { state } = await applySettings(declared);
    expect(state.changedAt).toBe("");
    await setRow("{}");
    expect(changesOf(urls, {}, { major: 2, minor: 7, patch: 5 }, urls)).toEqual([]);
    expect((await restoreSettings(declared, state)).notes).toEqual([]);
  });
});

describe("what changed", () => {
  test("is only what has another effect: values equal to the default need no restart", async () => {
    await setRow(undefined);
    const saved = await apply({ [clipModel]: "ViT-B-32__openai", [faceModel]: "buffalo_l" });
    expect(saved).toMatchObject({ changed: [], changedAt: "" });
    const next = await apply({ [clipModel]: "ViT-B-32__openai", [faceModel]: "buffalo_s" }, saved);
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

describe("the preflight finds out what makes Immich ignore the preset", () => {
  const inspect = async (answer: Partial<CommandResult>, stored = "{}") => {
    await setRow(stored);
    const settings = {
      models: {},
      version: { major: 2, minor: 7, patch: 5 },
      preflight: "enforce",
      secrets: { databasePassword: server.password },
      immich: {
        version: "v2.7.5",
        serverContainer: "immich_server",
        dockerHost: "unix:///var/run/docker.sock",
        database: { ...store, name: store.database },
      },
    } as unknown as StackSettings;
    const docker = () => Promise.resolve({ code: 0, stdout: "", stderr: "", ...answer });
    return inspectImmich(settings, docker);
  };

  test.each([
    [
      "a configuration file",
      "IMMICH_CONFIG_FILE=/config.yml\n",
      "{}",
      /^immich_server reads its configuration from \/config.yml \(IMMICH_CONFIG_FILE\), so Immich would ignore the preset/,
    ],
    [
      "machine learning off by a variable",
      "IMMICH_MACHINE_LEARNING_ENABLED=false\n",
      "{}",
      /switched off in Immich.*remove IMMICH_MACHINE_LEARNING_ENABLED/,
    ],
    [
      "machine learning off by hand",
      "",
      '{"machineLearning": {"enabled": false}}',
      /switched off in Immich.*switch it on \(Administration/,
    ],
  ])("%s", async (_what, stdout, stored, message) => {
    const { diagnostics } = await inspect({ stdout }, stored);
    expect(diagnostics).toEqual([
      { severity: "error", message: expect.stringMatching(message) as string },
    ]);
  });

  test("and nothing where all is well; the default address of the server is passed on", async () => {
    const on = '{"machineLearning": {"enabled": true}}';
    const stdout =
      "IMMICH_MACHINE_LEARNING_URL=http://attic:3003\nIMMICH_MACHINE_LEARNING_ENABLED=false\n";
    const report = await inspect({ stdout }, on);
    expect(report.diagnostics).toEqual([]);
    expect(report.serverDefaults).toMatchObject({ "machineLearning.urls": ["http://attic:3003"] });
  });

  test("where the container cannot be asked, it is not taken for none", async () => {
    const { diagnostics } = await inspect({ code: 1, stderr: "error during connect: EOF" });
    expect(diagnostics).toEqual([
      {
        severity: "warning",
        message: expect.stringContaining(
          "the variables of immich_server could not be read: error during connect: EOF",
        ) as string,
      },
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
      hasCurrentFunctions: false,
      functions: {},
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
      'does not support TLS, but sslMode is "require"',
    ],
    [
      "an unknown host",
      { host: "database.invalid" },
      "the database's host name database.invalid cannot be resolved",
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

  test("fault: PostgreSQL lets us in and falls silent; one message after 15 s, and nothing waits", async () => {
    const { connect, createServer } = await import("node:net");
    const silent = createServer((client) => {
      const upstream = connect(server.port, server.host);
      client.pipe(upstream);
      client.on("error", () => undefined);
      upstream.on("error", () => undefined);
      let isIn = false;
      upstream.on("data", (data: Buffer) => {
        if (isIn) return;
        // ReadyForQuery ends the handshake.
        isIn = data.includes(Buffer.from([0x5a, 0, 0, 0, 5, 0x49]));
        client.write(data);
      });
    });
    const port = await freePort();
    await new Promise<void>((resolve) => silent.listen(port, "127.0.0.1", resolve));
    const begin = Date.now();
    expect(await probeDatabase({ ...probed, port })).toEqual({
      ok: false,
      message: `the database at 127.0.0.1:${port} cannot be checked: it accepted the connection, but has not answered for 15 s`,
    });
    expect(Date.now() - begin).toBeLessThan(20_000);
    silent.close();
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

  test("Immich's own user, who owns the database, lacks nothing", async () => {
    await createImmichDatabase(server, { name: "owned", owner: "immich" });
    const owner = { ...probed, database: "owned", user: "immich" };
    expect(await probeDatabase(owner)).toMatchObject({ ok: true });
  });

  test("the functions of release 0.1.0 are no current ones", async () => {
    await setRow("{}");
    expect(await probeDatabase(probed)).toMatchObject({ hasCurrentFunctions: true });
    await immich.query(
      "CREATE FUNCTION immich_ml.settings_keys() RETURNS jsonb LANGUAGE sql AS 'SELECT NULL::jsonb'",
    );
    expect(await probeDatabase(probed)).toMatchObject({ hasCurrentFunctions: false });
    await immich.query("DROP FUNCTION immich_ml.settings_keys()");
  });

  test("the message names every grant that a user lacks", async () => {
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
        /GRANT CREATE ON DATABASE "foreign" TO "stranger"; GRANT .* ON public\.system_metadata TO "stranger"; GRANT .* ON public\.smart_search/,
      ) as string,
    });
  });
});
