import { afterAll, beforeAll, expect, test } from "vitest";

import type { SavedState } from "../../immich/reconcile";
import { createImmichDatabase, type ImmichDatabase } from "../../demo/immichDatabase";
import { freePort, type PostgresServer } from "../../demo/postgres";
import { runProgram } from "../support/commandProgram";
import { createFunctions } from "../support/databaseFunctions";
import { startTestPostgres } from "../support/postgres";

const clipModel = "machineLearning.clip.modelName";

let server: PostgresServer;
let immich: ImmichDatabase;
let before: string | undefined;

beforeAll(async () => {
  server = await startTestPostgres();
  immich = await createImmichDatabase(server, { name: "immich" });
  before = await immich.configurationText();
  await createFunctions(server, "immich");
});
afterAll(() => server?.remove());

const variables = (more: Record<string, string> = {}) => ({
  [clipModel]: '"ViT-B-32__openai"',
  "machineLearning.ocr.enabled": "false",
  "immich.version": "v2.7.5",
  "immich.embeddings": "clear",
  "immich.onDestroy": "restoreModel",
  "store.kind": "database",
  "store.host": server.host,
  "store.port": String(server.port),
  "store.database": "immich",
  "store.user": server.user,
  "store.password": server.password,
  "store.sslMode": "disable",
  ...more,
});

const schemas = () => immich.query("SELECT FROM pg_namespace WHERE nspname = 'immich_ml'");

test("sets on create, changes on update, restores and drops the schema on delete", async () => {
  const created = await runProgram("settingsProgram.ts", "create", variables());
  expect(created.errors).toContain("3 embeddings of the previous CLIP model were cleared");
  expect(created.code).toBe(0);
  const saved = JSON.parse(created.output) as SavedState;
  expect(saved).toMatchObject({
    database: "immich",
    previous: { [clipModel]: { value: '"ViT-B-16-SigLIP2__webli"' } },
    changed: [clipModel, "machineLearning.ocr.enabled"],
  });
  expect(created.output).not.toContain(server.password);

  const changed = { ...variables(), [clipModel]: '"RN50__openai"' };
  const updated = await runProgram("settingsProgram.ts", "update", {
    ...changed,
    PULUMI_COMMAND_STDOUT: created.output,
  });
  expect(JSON.parse(updated.output)).toMatchObject({
    previous: { [clipModel]: { value: '"ViT-B-16-SigLIP2__webli"', written: '"RN50__openai"' } },
    changed: [clipModel],
  });
  expect(await immich.configurationText()).toContain("RN50__openai");

  const last = { ...changed, PULUMI_COMMAND_STDOUT: updated.output };
  const gone = await runProgram("settingsProgram.ts", "delete", {
    ...last,
    "store.port": String(await freePort()),
  });
  expect(gone.code).toBe(1);
  expect(gone.errors).toMatch(
    /could not be restored: the database at 127\.0\.0\.1:\d+ does not answer.*pulumi state delete/,
  );
  expect(await runProgram("settingsProgram.ts", "delete", last)).toMatchObject({
    code: 0,
    output: "",
  });
  expect(await immich.configurationText()).toBe(before);
  expect(await schemas()).toEqual([]);
});

test("continues from what release 0.1.0 saved", async () => {
  await createFunctions(server, "immich");
  const created = await runProgram("settingsProgram.ts", "create", variables());
  const taken = await runProgram("settingsProgram.ts", "create", {
    ...variables(),
    "immich.firstRelease": created.output,
  });
  const { previous, changed } = JSON.parse(taken.output) as SavedState;
  expect(previous).toEqual((JSON.parse(created.output) as SavedState).previous);
  expect(changed).toEqual([]);
  await runProgram("settingsProgram.ts", "delete", {
    ...variables(),
    PULUMI_COMMAND_STDOUT: taken.output,
  });
  expect(await immich.configurationText()).toBe(before);
});

test("a schema that holds something else is left", async () => {
  await createFunctions(server, "immich");
  await immich.query("CREATE TABLE immich_ml.notes (note text)");
  const { output } = await runProgram("settingsProgram.ts", "create", variables());
  const last = { ...variables(), PULUMI_COMMAND_STDOUT: output };
  expect((await runProgram("settingsProgram.ts", "delete", last)).code).toBe(0);
  expect(await schemas()).toHaveLength(1);
  expect(
    await immich.query(
      "SELECT proname FROM pg_proc WHERE pronamespace = 'immich_ml'::regnamespace",
    ),
  ).toEqual([]);
});
