import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { performance } from "node:perf_hooks";

import { connectToDatabase } from "../immich/databaseConnection";
import { applySettings, readSettings, type Declared } from "../immich/reconcile";
import type { Settings } from "../immich/settings";
import type { DatabaseStoreArgs } from "../immich/store";
import { createImmichDatabase } from "../rehearsal/immichDatabase";
import { startPostgres } from "../rehearsal/postgres";
import { createFunctions } from "../test/support/databaseFunctions";

/**
 * How long the model preset takes in a real database: a change, a change that changes nothing, and a
 * read, each with its own connection as in a run of the engine. The floor is a connection and one
 * `SELECT 1`, measured in turn with the others.
 */
const rounds = 40;
const role = { user: "immich_ml", password: "role-password" };
const small: Settings = {
  "machineLearning.clip.enabled": true,
  "machineLearning.clip.modelName": "ViT-B-32__openai",
  "machineLearning.facialRecognition.modelName": "buffalo_s",
  "machineLearning.ocr.enabled": false,
  "job.smartSearch.concurrency": 1,
};
const large: Settings = { ...small, "machineLearning.facialRecognition.modelName": "buffalo_l" };

async function main(): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-bench-"));
  const server = await startPostgres({ folder });
  try {
    await createImmichDatabase(server, { name: "immich" });
    await createFunctions(server, "immich", role);
    const store: DatabaseStoreArgs = {
      kind: "database",
      host: server.host,
      port: server.port,
      database: "immich",
      ...role,
      sslMode: "disable",
    };
    const declare = (settings: Settings): Declared => ({
      settings,
      immichVersion: "v2.7.5",
      embeddings: "clear",
      store,
    });
    const floor = async () => {
      const client = await connectToDatabase(store);
      await client.query("SELECT 1");
      await client.end();
    };

    const times = { floor: [], apply: [], "no-op": [], read: [] } as Record<string, number[]>;
    let { memory } = await applySettings(declare(small));
    for (let round = 0; round < rounds; round += 1) {
      const next = round % 2 === 0 ? large : small;
      await timed(times, "floor", floor);
      ({ memory } = await timed(times, "apply", () => applySettings(declare(next), memory)));
      ({ memory } = await timed(times, "no-op", () => applySettings(declare(next), memory)));
      await timed(times, "read", () => readSettings(declare(next)));
    }
    report("preset.connection", times["floor"]!, undefined);
    report("preset.apply", times["apply"]!, 100);
    report("preset.noOp", times["no-op"]!, 100);
    report("preset.read", times["read"]!, 100);
  } finally {
    await server.remove();
  }
}

async function timed<Result>(
  times: Record<string, number[]>,
  name: string,
  work: () => Promise<Result>,
): Promise<Result> {
  const start = performance.now();
  const result = await work();
  times[name]!.push(performance.now() - start);
  return result;
}

/** One line a figure; a missed goal ends the program with 1. */
function report(name: string, times: readonly number[], goal: number | undefined): void {
  const sorted = [...times].sort((left, right) => left - right);
  const median = sorted[Math.floor(sorted.length / 2)]!;
  const spread = `(minimum ${sorted[0]!.toFixed(1)}, maximum ${sorted.at(-1)!.toFixed(1)}, ${sorted.length} runs)`;
  if (goal === undefined) {
    console.log(`${name}  ${median.toFixed(1)} ms  ${spread}`);
    return;
  }
  const met = median <= goal;
  if (!met) process.exitCode = 1;
  console.log(
    `${name}  ${median.toFixed(1)} ms  goal <= ${goal} ms  ${met ? "met" : "missed"}  ${spread}`,
  );
}

void main();
