import { afterEach, beforeEach, expect, test } from "vitest";

import type { ImmichApi } from "../../immich/immichApi";
import { startQueue } from "../../immich/jobs";
import { runProgram } from "../support/commandProgram";
import { startFakeImmich, type FakeImmich } from "../support/immichApi";

let immich: FakeImmich;
let api: ImmichApi;
let logged: string[];
const log = (line: string) => void logged.push(line);
const quick = { force: false, timeout: 5, interval: 0.01, settling: 0.01 };
const done = "Smart Search is done: every photo has an embedding of the new model.";
const missing = { name: "smartSearch", command: { command: "start", force: false } };

beforeEach(async () => {
  immich = await startFakeImmich();
  api = { url: immich.url, apiKey: immich.apiKey };
  logged = [];
});
afterEach(() => immich.close());

test("starts Smart Search, reports how many photos are left until none is, and looks again", async () => {
  immich.onStart = () => (immich.waiting = immich.jobs.length === 1 ? { smartSearch: 12 } : {});
  expect(await startQueue(api, "smartSearch", quick, log)).toBe(done);
  expect(immich.jobs).toEqual([missing, missing]);
  expect(logged).toEqual(["Smart Search: 8 photos left", "Smart Search: 3 photos left"]);
});

test("a long job goes on in Immich, nobody has to wait for it", async () => {
  immich.onStart = () => (immich.waiting = { smartSearch: 100_000 });
  expect(await startQueue(api, "smartSearch", { ...quick, timeout: 0 }, log)).toMatch(
    /^Smart Search is still running in Immich, with 99996 photos left/,
  );
});

test("photos whose embeddings Immich clears only after its answer are found by the second look", async () => {
  const embedded: number[] = [];
  immich.onStart = () => void embedded.push(immich.jobs.length === 1 ? 0 : 12);
  expect(await startQueue(api, "smartSearch", quick, log)).toBe(done);
  expect(embedded).toEqual([0, 12]);
});

test("an earlier run is waited for: it knows nothing of the new model", async () => {
  immich.waiting = { smartSearch: 12 };
  expect(await startQueue(api, "smartSearch", quick, log)).toBe(done);
  expect(logged[0]).toMatch(/^Smart Search: waiting for an earlier run with \d+ photos left$/);
  expect(immich.jobs).toEqual([missing, missing]);
});

test("an earlier run that does not end is an error, not a success", async () => {
  immich.waiting = { smartSearch: 100_000 };
  await expect(startQueue(api, "smartSearch", { ...quick, timeout: 0 }, log)).rejects.toThrow(
    "Smart Search was not started: an earlier run has 99996 photos left",
  );
  expect(immich.jobs).toEqual([]);
});

test("a paused queue is not done: its jobs are counted, and the user is told to resume it", async () => {
  immich.paused.add("smartSearch");
  immich.onStart = () => (immich.waiting = { smartSearch: 12 });
  expect(await startQueue(api, "smartSearch", quick, log)).toMatch(
    /^Smart Search is paused in Immich, so 12 jobs wait .*resume it/,
  );
});

test("jobs that fail, as without machine learning, are photos without an embedding", async () => {
  immich.failed = { smartSearch: 3 };
  immich.onStart = () => (immich.failed["smartSearch"]! += 12);
  expect(await startQueue(api, "smartSearch", quick, log)).toMatch(
    /^Smart Search is not done: 12 photos have no embedding of the new model/,
  );
});

test("a key without the permission: the error names it", async () => {
  immich.permissions = ["systemConfig.read", "systemConfig.update"];
  await expect(startQueue(api, "smartSearch", quick, log)).rejects.toThrow(
    "Missing required permission: job.create",
  );
});

/** Runs the program of the command as Pulumi does, on what the last run left. */
async function apply(
  changed: { clipAt?: string; faceAt?: string; facesPlannedAt?: string },
  before = "",
) {
  const result = await runProgram("applyProgram.ts", before === "" ? "create" : "update", {
    "changed.at": "",
    "changed.clipAt": changed.clipAt ?? "",
    "changed.faceAt": changed.faceAt ?? "",
    "reindex.url": api.url,
    "reindex.apiKey": api.apiKey,
    "reindex.force": "false",
    ...(changed.facesPlannedAt && { "reindex.facesPlannedAt": changed.facesPlannedAt }),
    ...(before !== "" && { PULUMI_COMMAND_STDOUT: before }),
  });
  expect(result.errors).not.toContain("Error");
  expect(result.code).toBe(0);
  return result.output;
}
const startedQueues = () => immich.jobs.map(({ name }) => name);

test("nothing is started when no model changed", async () => {
  expect(JSON.parse(await apply({}))).toMatchObject({
    reindexed: "not needed: no model changed",
  });
  expect(immich.jobs).toEqual([]);
});

test("a changed CLIP model starts Smart Search once, and faces are left alone", async () => {
  const first = await apply({ clipAt: "2026-01-01", faceAt: "2026-01-01" });
  expect(startedQueues()).toEqual(["smartSearch", "smartSearch"]);
  expect((JSON.parse(first) as { reindexed: string }).reindexed).toBe(
    `${done} The face model changed. Face Detection was not started, because it deletes the names of all people. Faces that Immich already has stay as the former model saw them. ` +
      "To detect all faces again without the names: Administration, Job Queues, Face Detection, Reset.",
  );

  const again = await apply({ clipAt: "2026-01-01", faceAt: "2026-01-01" }, first);
  expect(startedQueues()).toHaveLength(2);
  expect(JSON.parse(again)).toEqual(JSON.parse(first));

  await apply({ clipAt: "2026-02-02" }, again);
  expect(startedQueues()).toHaveLength(4);
});

const allFaces = { name: "faceDetection", command: { command: "start", force: true } };

test("faces are detected again for the change that this run has announced, once", async () => {
  const change = { faceAt: "2026-01-01T00:00:05Z", facesPlannedAt: "2026-01-01T00:00:00Z" };
  const first = await apply(change);
  expect(immich.jobs).toEqual([allFaces]);
  await apply(change, first);
  expect(immich.jobs).toEqual([allFaces]);
});

test("people keep their names when the wish comes long after the change, or is switched off and on", async () => {
  const faceAt = "2026-01-01T00:00:05Z";
  await apply({ faceAt });
  await apply({ faceAt, facesPlannedAt: "2026-03-03T00:00:00Z" });
  const first = await apply({ faceAt, facesPlannedAt: "2026-01-01T00:00:00Z" });
  await apply({ faceAt }, first);
  expect(immich.jobs).toEqual([allFaces]);
});

test("a start that fails is repeated by the next run", async () => {
  immich.permissions = [];
  const variables = {
    "changed.at": "",
    "changed.clipAt": "2026-01-01",
    "reindex.url": api.url,
    "reindex.apiKey": api.apiKey,
  };
  const failed = await runProgram("applyProgram.ts", "create", variables);
  expect(failed).toMatchObject({ code: 1, output: "" });
  expect(failed.errors).toContain("Missing required permission: job.create");
  immich.permissions = ["job.create", "job.read"];
  expect((await runProgram("applyProgram.ts", "create", variables)).code).toBe(0);
  expect(startedQueues()).toEqual(["smartSearch", "smartSearch"]);
});
