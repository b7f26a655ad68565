import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import { connectToDatabase } from "../immich/databaseConnection";
import { probeDatabase } from "../immich/databaseProbe";
import { applySettings, type Declared } from "../immich/reconcile";
import type { Settings } from "../immich/settings";
import type { DatabaseStoreArgs } from "../immich/store";
import { createImmichDatabase } from "../demo/immichDatabase";
import { startPostgres } from "../demo/postgres";
import { createFunctions } from "../test/support/databaseFunctions";
import { benchmark, type Figures, timed } from "./support/benchmark";

/**
 * Time of the model preset in a real database: a change, a run without a change, and a read, each with
 * its own connection as in a run of the engine. The floor is a connection with one `SELECT 1`, measured
 * in turn.
 */
const rounds = 40;
const small: Settings = {
  "machineLearning.clip.enabled": true,
  "machineLearning.clip.modelName": "ViT-B-32__openai",
  "machineLearning.facialRecognition.modelName": "buffalo_s",
  "machineLearning.ocr.enabled": false,
  "job.smartSearch.concurrency": 1,
};
const large: Settings = { ...small, "machineLearning.facialRecognition.modelName": "buffalo_l" };

async function measure(figures: Figures): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-bench-"));
  const server = await startPostgres({ folder });
  try {
    await createImmichDatabase(server, { name: "immich" });
    await createFunctions(server, "immich");
    const store: DatabaseStoreArgs = {
      kind: "database",
      host: server.host,
      port: server.port,
      database: "immich",
      user: server.user,
      password: server.password,
      sslMode: "disable",
    };
    const declare = (settings: Settings): Declared => ({
      settings,
      immichVersion: "v2.7.5",
      embeddings: "clear",
      onDestroy: "restoreModel",
      store,
    });
    const floor = async () => {
      const client = await connectToDatabase(store);
      await client.query("SELECT 1");
      await client.end();
    };

    const connection: number[] = [];
    const apply: number[] = [];
    const noOp: number[] = [];
    const read: number[] = [];
    let { state } = await applySettings(declare(small));
    const applied = async (settings: Settings, times: number[]) => {
      const { milliseconds, answer } = await timed(() => applySettings(declare(settings), state));
      ({ state } = answer);
      times.push(milliseconds);
    };
    for (let round = 0; round < rounds; round += 1) {
      const next = round % 2 === 0 ? large : small;
      connection.push((await timed(floor)).milliseconds);
      await applied(next, apply);
      await applied(next, noOp);
      read.push((await timed(() => probeDatabase(store))).milliseconds);
    }
    figures.add("preset.connection", connection, "ms");
    figures.add("preset.apply", apply, "ms", { atMost: 100 });
    figures.add("preset.noOp", noOp, "ms", { atMost: 100 });
    figures.add("preset.read", read, "ms", { atMost: 100 });
  } finally {
    await server.remove();
  }
}

benchmark("preset", measure);
