import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { findClipModel } from "../../catalog/clipModels";
import { presets } from "../../catalog/presets";
import { clearEmbeddings } from "../../immich/databaseStore";
import { probeApi, probeDatabase } from "../../immich/databaseProbe";
import { startQueue } from "../../immich/jobs";
import { resolveModels } from "../../immich/modelSelection";
import { applySettings, type Declared, restoreSettings } from "../../immich/reconcile";
import {
  changesOf,
  immichVersionOf,
  type Settings,
  settingsOf,
  valuesIn,
} from "../../immich/settings";
import type { ApiStoreArgs, StoreArgs } from "../../immich/store";
import { createFunctions } from "../support/databaseFunctions";
import { isQuick } from "../support/immichSource";
import { dump, missingServices, type RealImmich, restore, startRealImmich } from "./realImmich";
import { findImmich, longTestsLine } from "./source";

const { sources } = findImmich();
if (sources.length > 0 && missingServices !== undefined) console.log(missingServices);
/** `npm run test:immich` tries every release, `npm test` the newest. */
const tried = missingServices ? [] : isQuick ? sources.slice(0, 1) : sources;
if (isQuick) console.log(longTestsLine("those that restart Immich's server"));

const clipModel = "machineLearning.clip.modelName";
const faceModel = "machineLearning.facialRecognition.modelName";
const all = ["systemConfig.read", "systemConfig.update", "job.read", "job.create"];
const photos = 4;
const quick = { force: false, timeout: 60, interval: 0.3 };

describe.each(tried)("Immich $release", (source) => {
  const version = immichVersionOf(source.release);
  let immich: RealImmich;
  let api: ApiStoreArgs;

  beforeAll(async () => {
    immich = await startRealImmich(source);
    api = await immich.key(all);
    await createFunctions(immich.postgres, "immich");
    await applySettings(declare(api, { "machineLearning.urls": [immich.mlUrl] }));
    await immich.upload(photos);
    await immich.until("the photos' embeddings", async () => (await embeddings()) === photos);
  });
  afterAll(() => immich?.stop());

  const declare = (store: StoreArgs, settings: Settings): Declared => ({
    settings,
    immichVersion: source.release,
    store,
    embeddings: "clear",
    onDestroy: "keepModel",
  });
  const presetSettings = (name: string): Settings => {
    const { value } = resolveModels(name, {}, { immichVersion: version });
    return settingsOf(value!, version);
  };
  const embeddings = async () =>
    (await immich.query<{ count: number }>("SELECT count(*)::int AS count FROM smart_search"))[0]!
      .count;
  const dimension = async () =>
    (
      await immich.query<{ size: number }>(
        "SELECT atttypmod AS size FROM pg_attribute WHERE attrelid = 'smart_search'::regclass AND attname = 'embedding'",
      )
    )[0]!.size;
  const served = async () => valuesIn(await immich.ask<unknown>("GET", "/system-config"));
  const row = async () =>
    (
      await immich.query<{ text: string }>(
        "SELECT value::text AS text FROM system_metadata WHERE key = 'system-config'",
      )
    )[0]?.text;
  const secrets = async () => {
    const { oauth, notifications, trash } = await immich.ask<Record<string, unknown>>(
      "GET",
      "/system-config",
    );
    return { oauth, notifications, trash };
  };

  /** The model in use, with an embedding for each photo. */
  async function withModel(modelName: string): Promise<void> {
    await applySettings(declare(api, { [clipModel]: modelName }));
    await startQueue(api, "smartSearch", quick, () => {});
    expect(await embeddings()).toBe(photos);
  }

  test.each(Object.keys(presets))(
    "the preset %s, by the API: set, no drift, restored",
    async (name) => {
      await withModel("ViT-B-32__openai");
      const [before, others, stored] = [await served(), await secrets(), await row()];
      const declared = {
        ...declare(api, presetSettings(name)),
        onDestroy: "restoreModel",
      } as const;
      const { state } = await applySettings(declared);
      expect(changesOf(declared.settings, await served(), version)).toEqual([]);
      expect(await secrets()).toEqual(others);
      await restoreSettings(declared, state);
      expect(await served()).toEqual(before);
      expect(await row()).toBe(stored);
    },
  );

  test.skipIf(isQuick)(
    "every preset by the database, and the server knows it after its restart",
    async () => {
      await withModel("ViT-B-32__openai");
      const stored = await row();
      const store = immich.database;
      for (const name of Object.keys(presets)) {
        const declared = {
          ...declare(store, presetSettings(name)),
          onDestroy: "restoreModel",
        } as const;
        const { state } = await applySettings(declared);
        expect(changesOf(declared.settings, await served(), version)).toEqual([]);
        if (name === "legacy-2gb") {
          await immich.restart();
          expect(changesOf(declared.settings, await served(), version)).toEqual([]);
          expect(immich.log()).not.toMatch(/validation error/i);
        }
        await restoreSettings(declared, state);
        expect(await row()).toBe(stored);
      }
      await immich.restart();
    },
  );

  describe("a change of the CLIP model by the API", () => {
    const [small, large] = ["ViT-B-32__openai", "ViT-B-16-SigLIP__webli"] as const;
    beforeEach(() => withModel(small));

    test.each([
      ["the same dimension", "RN101__openai"],
      ["another dimension", large],
    ])(
      "to %s: Smart Search is done when every photo has an embedding of it",
      async (_what, model) => {
        await applySettings(declare(api, { [clipModel]: model }));
        expect(await startQueue(api, "smartSearch", quick, () => {})).toBe(
          "Smart Search is done: every photo has an embedding of the new model.",
        );
        expect(await embeddings()).toBe(photos);
        expect(await dimension()).toBe(findClipModel(model)!.embeddingDimension);
      },
    );

    test("while machine learning is down: the number of photos that are missing", async () => {
      immich.setMachineLearning(false);
      await applySettings(declare(api, { [clipModel]: "RN101__openai" }));
      const outcome = await startQueue(api, "smartSearch", quick, () => {});
      immich.setMachineLearning(true);
      // The job that looks for photos may be over when the most are seen.
      expect(outcome).toMatch(/ not done: [34] photos have no embedding of the new model/);
      expect(await embeddings()).toBe(0);
    });

    test("while the queue is paused: not done, and how many wait", async () => {
      await immich.ask("PUT", "/jobs/smartSearch", { command: "pause", force: false });
      await applySettings(declare(api, { [clipModel]: "RN101__openai" }));
      const outcome = await startQueue(api, "smartSearch", quick, () => {});
      await immich.ask("PUT", "/jobs/smartSearch", { command: "resume", force: false });
      expect(outcome).toMatch(/^Smart Search is paused in Immich, so \d+ jobs wait/);
      await immich.until("the resumed jobs", async () => (await embeddings()) === photos);
    });

    test("is kept by a destroy: every photo is still found, all else is restored", async () => {
      const before = await served();
      const { state } = await applySettings(
        declare(api, { [clipModel]: large, [faceModel]: "buffalo_s" }),
      );
      await startQueue(api, "smartSearch", quick, () => {});
      await restoreSettings(declare(api, {}), state);
      await new Promise((resolve) => setTimeout(resolve, 2000));
      expect(await embeddings()).toBe(photos);
      expect(await served()).toEqual({ ...before, [clipModel]: large });
    });
  });

  test("a key without a permission is refused before anything changes", async () => {
    const stored = await row();
    const cases = [
      [["systemConfig.read"], false, "systemConfig.update"],
      [["systemConfig.read", "systemConfig.update"], true, "job.read, job.create"],
    ] as const;
    for (const [permissions, reindex, missing] of cases) {
      const probe = await probeApi({ ...(await immich.key(permissions)), reindex });
      expect(probe).toMatchObject({
        ok: false,
        message: expect.stringContaining(missing) as string,
      });
    }
    expect(await probeApi({ ...api, reindex: true })).toMatchObject({
      ok: true,
      immichVersion: source.release,
    });
    expect(await probeApi({ ...(await immich.key(["all"])), reindex: true })).toMatchObject({
      ok: true,
    });
    expect(await probeApi({ ...api, apiKey: "not-a-key" })).toMatchObject({ ok: false });
    expect(await row()).toBe(stored);
  });

  test("Immich notices each change of the model, however much its configuration is read meanwhile", async () => {
    await withModel("ViT-B-32__openai");
    const models = ["RN50__openai", "ViT-B-16-SigLIP__webli", "ViT-B-32__openai"];
    let isOver = false;
    const read = async () => {
      while (!isOver) await immich.ask("GET", "/system-config");
    };
    const readers = [read(), read(), read()];
    try {
      for (let round = 0; round < 6; round += 1) {
        const model = models[round % models.length]!;
        await applySettings(declare(api, { [clipModel]: model }));
        await immich.until("the dimension of the new model", async () => {
          return (await dimension()) === findClipModel(model)!.embeddingDimension;
        });
        await immich.until("no embedding of the former model", async () => {
          return (await embeddings()) === 0;
        });
        await startQueue(api, "smartSearch", quick, () => {});
        expect(await embeddings()).toBe(photos);
      }
    } finally {
      isOver = true;
      await Promise.all(readers);
    }
  });

  test("a second address takes over when the first does not answer", async () => {
    const urls = ["http://127.0.0.1:9", immich.mlUrl];
    await applySettings(
      declare(api, {
        "machineLearning.urls": urls,
        "machineLearning.availabilityChecks.enabled": true,
      }),
    );
    await immich.query("DELETE FROM smart_search");
    expect(await startQueue(api, "smartSearch", quick, () => {})).toContain(
      "every photo has an embedding",
    );
    await applySettings(declare(api, { "machineLearning.urls": [immich.mlUrl] }));
  });

  test("the embeddings of the former model are cleared, and Missing finds them all", async () => {
    await clearEmbeddings(immich.database);
    expect(await embeddings()).toBe(0);
    await startQueue(api, "smartSearch", quick, () => {});
    expect(await embeddings()).toBe(photos);
  });

  test("Immich's own backup, made while a preset stands, is restored on an empty server, and up goes on", async () => {
    const declared = declare(immich.database, presetSettings("balanced"));
    const { state } = await applySettings(declared);
    const content = dump(immich.postgres, "immich");
    await immich.query("CREATE DATABASE restored");
    restore(immich.postgres, "restored", content);
    const restored = { ...immich.database, database: "restored" };
    expect(await probeDatabase(restored)).toMatchObject({ ok: true, hasCurrentFunctions: true });
    const again = await applySettings({ ...declared, store: restored }, state);
    expect(again.state.changed).toEqual([]);
    // And once more, over what is there.
    restore(immich.postgres, "restored", content);
    await restoreSettings({ ...declared, store: restored }, again.state);
    await restoreSettings(declared, state);
  });

  test.skipIf(isQuick)("a configuration file is found out before anything changes", async () => {
    const file = `${process.env["TMPDIR"] ?? "/tmp"}/immich-ml-test-${process.pid}.json`;
    const { writeFile, rm } = await import("node:fs/promises");
    await writeFile(file, "{}");
    await immich.restart({ IMMICH_CONFIG_FILE: file });
    expect(await probeApi(api)).toMatchObject({
      ok: false,
      message: expect.stringContaining(
        "takes its configuration from a file (IMMICH_CONFIG_FILE)",
      ) as string,
    });
    await rm(file);
  });
});
