import fc from "fast-check";
import type { Client } from "pg";
import { isClipModel } from "../../catalog/clipModels";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { probeDatabase } from "../../immich/databaseProbe";
import { applySettings, restoreSettings, type SavedState } from "../../immich/reconcile";
import { immichVersionOf, errorIn, settingOf } from "../../immich/settings";
import type { DatabaseStoreArgs } from "../../immich/store";
import { systemConfigKeys } from "../../catalog/systemConfigKeys";
import { createImmichDatabase, type ImmichDatabase } from "../../demo/immichDatabase";
import type { PostgresServer } from "../../demo/postgres";
import { connect, createFunctions } from "../support/databaseFunctions";
import {
  anyJson,
  anyText,
  canarySecret,
  clearFailure,
  expectClear,
  hostile,
  notoriousTexts,
  spoiled,
} from "../support/hostile";
import { wholeConfiguration } from "../support/immichApi";
import { startTestPostgres } from "../support/postgres";

const version = "v2.7.5";
const clip = "machineLearning.clip.modelName";

let server: PostgresServer;
let immich: ImmichDatabase;
let store: DatabaseStoreArgs;
let owner: Client;

beforeAll(async () => {
  server = await startTestPostgres();
  immich = await createImmichDatabase(server, { name: "immich" });
  await createFunctions(server, "immich");
  owner = await connect(server, "immich");
  await owner.query("CREATE TABLE canary (alive boolean)");
  await owner.query("INSERT INTO canary VALUES (true)");
  await owner.query(`CREATE ROLE canary_owner LOGIN SUPERUSER PASSWORD '${canarySecret}'`);
  const { host, port } = server;
  const account = { user: "canary_owner", password: canarySecret };
  store = { kind: "database", host, port, database: "immich", ...account, sslMode: "disable" };
});
afterAll(async () => {
  await owner?.end();
  await server?.remove();
});

const declare = (settings: Record<string, string | boolean | number>) =>
  ({
    settings,
    immichVersion: version,
    store,
    embeddings: "clear",
    onDestroy: "restoreModel",
  }) as const;

/** The row as it is given; false where PostgreSQL itself does not take it (NUL, half a character). */
async function setRow(document: unknown): Promise<boolean> {
  await owner.query("DELETE FROM system_metadata WHERE key = 'system-config'");
  return owner
    .query("INSERT INTO system_metadata VALUES ('system-config', $1)", [JSON.stringify(document)])
    .then(
      () => true,
      () => false,
    );
}

async function expectCanaryAlive(): Promise<void> {
  const { rows } = await owner.query("SELECT alive FROM canary");
  expect(rows).toEqual([{ alive: true }]);
}

/** The configuration without our keys and what of their parents is then empty. */
function ofOthers(value: unknown): unknown {
  const copy = structuredClone(value) as Record<string, unknown>;
  for (const { key } of systemConfigKeys) {
    const path = key.split(".");
    for (let depth = path.length; depth > 0; depth -= 1) {
      const parent = path
        .slice(0, depth - 1)
        .reduce<unknown>(
          (part, name) => (part as Record<string, unknown> | undefined)?.[name],
          copy,
        );
      if (typeof parent !== "object" || parent === null) continue;
      const fields = parent as Record<string, unknown>;
      const name = path[depth - 1]!;
      const isEmpty = JSON.stringify(fields[name]) === "{}";
      if (depth === path.length || isEmpty) delete fields[name];
    }
  }
  return copy;
}

describe("what stands in Immich's database", () => {
  hostile(
    "a configuration of any shape is read, set and restored byte for byte, or left alone",
    fc.oneof(spoiled(wholeConfiguration()), anyJson),
    async (document) => {
      if (!(await setRow(document))) return;
      const before = await immich.configurationText();
      const declared = declare({ [clip]: "RN50__openai", "job.ocr.concurrency": 1 });
      const probe = await probeDatabase(store);
      if (!probe.ok) expectClear(probe.message);
      const saves: SavedState[] = [];
      await clearFailure(async () => saves.push((await applySettings(declared)).state));
      for (const saved of saves) {
        const { notes } = await restoreSettings(declared, saved);
        for (const note of notes) expectClear(note);
      }
      const after = await immich.configurationText();
      // What no Immich can have run with is not written back: it would not start again.
      const isSound = Object.keys(declared.settings).every((key) => {
        const value = settingOf(document, key);
        if (value === undefined) return true;
        if (key === clip && !(typeof value === "string" && isClipModel(value))) return false;
        return errorIn(key, value, immichVersionOf(version)) === undefined;
      });
      if (isSound) expect(after).toBe(before);
      else expect(ofOthers(JSON.parse(after!))).toEqual(ofOthers(JSON.parse(before!)));
      await expectCanaryAlive();
    },
    { share: 0.3 },
  );

  hostile(
    "a model's name of any text is stored as that text, or refused",
    anyText,
    async (name) => {
      await setRow({});
      const refusal = await clearFailure(() =>
        applySettings(declare({ "machineLearning.facialRecognition.modelName": name })),
      );
      const { machineLearning } = JSON.parse((await immich.configurationText()) ?? "{}") as {
        machineLearning?: { facialRecognition: { modelName: string } };
      };
      const stored = machineLearning?.facialRecognition.modelName;
      expect(stored).toBe(refusal === undefined ? name : undefined);
      await expectCanaryAlive();
    },
    { share: 0.5 },
  );

  const change = fc.record(
    {
      key: fc.oneof(fc.constantFrom(...systemConfigKeys.map(({ key }) => key)), anyText),
      value: fc.oneof(
        anyText,
        anyJson.map((value) => JSON.stringify(value)),
        anyJson,
      ),
      remove: anyJson,
      expected: fc.oneof(anyJson, fc.array(fc.oneof(anyText, fc.constant(null)))),
    },
    { requiredKeys: ["key"] },
  );
  const options = fc.oneof(
    fc.record({ drop_empty_row: fc.boolean(), clear_embeddings: anyJson }, { requiredKeys: [] }),
    anyJson,
  );
  hostile(
    "the functions, whatever they are called with, change nothing but our keys",
    fc.tuple(
      fc.oneof(fc.constantFrom("system_metadata", "system_metadata", "system_config"), anyText),
      fc.oneof(fc.array(change, { maxLength: 3 }), anyJson),
      options,
    ),
    async ([table, changes, more]) => {
      await setRow(wholeConfiguration());
      const others = ofOthers(wholeConfiguration());
      const read = () => owner.query("SELECT immich_ml.read_settings($1)", [table]);
      const write = () =>
        owner.query("SELECT immich_ml.write_settings($1, $2, $3)", [
          table,
          JSON.stringify(changes),
          JSON.stringify(more),
        ]);
      for (const call of [read, write]) {
        const code = await call().then(
          () => "none",
          (error: { code?: string }) => error.code,
        );
        // No error within the server itself.
        expect(code).not.toMatch(/^XX/);
      }
      expect(ofOthers(JSON.parse((await immich.configurationText()) ?? "{}"))).toEqual(others);
      await expectCanaryAlive();
    },
  );
});

describe("names", () => {
  hostile(
    "a user, password and database of any name end in one clear message without the password",
    fc.tuple(anyText, anyText, anyText),
    async ([user, password, database]) => {
      const options = { ...store, user, database, password: canarySecret + password };
      const probe = await probeDatabase(options);
      expect(probe.ok).toBe(false);
      if (!probe.ok) expectClear(probe.message);
      await expectCanaryAlive();
    },
    { share: 0.3 },
  );

  it.each(
    notoriousTexts.filter(
      (text) => text.trim() !== "" && text.length < 60 && !/[\0\ud800]/.test(text),
    ),
  )("the statements that a user called %j needs are right, and do what is said", async (name) => {
    const quoted = `"${name.replaceAll('"', '""')}"`;
    await owner.query(`CREATE ROLE ${quoted} LOGIN PASSWORD 'password'`);
    try {
      const options = { ...store, user: name, password: "password" };
      const refused = await probeDatabase(options);
      expect(refused.ok).toBe(false);
      const statements = refused.ok ? "" : refused.message.split("can grant them: ")[1]!;
      await owner.query(unprinted(statements));
      expect(await probeDatabase(options)).toMatchObject({ ok: true });
      await expectCanaryAlive();
    } finally {
      await owner.query(`DROP OWNED BY ${quoted}`);
      await owner.query(`DROP ROLE ${quoted}`);
    }
  });
});

/** Control characters stand in a message as escapes, as PostgreSQL's own U&"…" has them. */
function unprinted(statements: string): string {
  return statements.replace(/\\u([0-9a-f]{4})/g, (_whole, code: string) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  );
}
