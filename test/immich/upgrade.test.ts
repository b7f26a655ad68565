import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { resolveModels } from "../../immich/modelSelection";
import { applySettings, type Declared, restoreSettings } from "../../immich/reconcile";
import { changesOf, immichVersionOf, settingsOf, valuesIn } from "../../immich/settings";
import type { StoreArgs } from "../../immich/store";
import { createFunctions } from "../support/databaseFunctions";
import { isQuick } from "../support/immichSource";
import { missingServices, type RealImmich, startRealImmich } from "./realImmich";
import { findImmich } from "./source";

const [older, newer] = ["v2.7.5", "v3.1.0"];
const sourceOf = (wanted?: string) =>
  findImmich().sources.find(({ release }) => release === wanted);
const [from, to] = [sourceOf(older), sourceOf(newer)];
const canRun = !isQuick && !missingServices && from && to;

/** The owner's upgrade of Immich across a major release, with a preset in force. */
describe.skipIf(!canRun).each(["api", "database"] as const)(
  `an upgrade from ${older} to ${newer} under a preset set by the %s`,
  (kind) => {
    let immich: RealImmich;
    let store: StoreArgs;

    beforeAll(async () => {
      immich = await startRealImmich(from!);
      await createFunctions(immich.postgres, "immich");
      store =
        kind === "database"
          ? immich.database
          : await immich.key(["systemConfig.read", "systemConfig.update"]);
    });
    afterAll(() => immich?.stop());

    const served = async () => valuesIn(await immich.ask<unknown>("GET", "/system-config"));
    const embeddings = async () =>
      (await immich.query<{ count: number }>("SELECT count(*)::int AS count FROM smart_search"))[0]!
        .count;
    const declare = (release: string): Declared => {
      const version = immichVersionOf(release);
      const { value } = resolveModels("legacy-2gb", {}, { immichVersion: version });
      return {
        settings: { ...settingsOf(value!, version), "machineLearning.urls": [immich.mlUrl] },
        immichVersion: release,
        store,
        embeddings: "clear",
        onDestroy: "keepModel",
      };
    };

    test("nothing drifts, the search stays, the next up changes nothing, and destroy restores", async () => {
      const before = await served();
      const first = await applySettings(declare(older));
      if (kind === "database") await immich.restart();
      await immich.upload(2);
      await immich.until("the photos' embeddings", async () => (await embeddings()) === 2);

      await immich.upgrade(to!);
      const { settings } = declare(newer);
      expect(changesOf(settings, await served(), immichVersionOf(newer))).toEqual([]);
      expect(await embeddings()).toBe(2);

      const second = await applySettings(declare(newer), first.state);
      expect(second.state.changed).toEqual([]);
      expect(await embeddings()).toBe(2);

      await restoreSettings(declare(newer), second.state);
      if (kind === "database") await immich.restart();
      const after = await served();
      for (const [key, value] of Object.entries(before)) {
        if (key in after && !key.endsWith("clip.modelName")) expect(after[key], key).toEqual(value);
      }
      expect(await embeddings()).toBe(2);
    });
  },
);
