import { afterEach, beforeEach, expect, test } from "vitest";

import type { ImmichApi } from "../../immich/immichApi";
import { startQueue } from "../../immich/jobs";
import { runProgram } from "../support/commandProgram";
import { startFakeImmich, type FakeImmich } from "../support/immichApi";

let immich: FakeImmich;
let api: ImmichApi;
let logged: string[];
const log = (line: string) => void logged.push(line);
const quick = { force: false, timeout: 5, interval: 0.01 };

beforeEach(async () => {
  immich = await startFakeImmich();
  api = { url: immich.url, apiKey: immich.apiKey };
  logged = [];
});
afterEach(() => immich.close());

test("starts Smart Search and reports how many photos are left until none is", async () => {
  immich.waiting = { smartSearch: 12 };
  expect(await startQueue(api, "smartSearch", quick, log)).toBe("Smart Search is done.");
  expect(immich.jobs).toEqual([
    { name: "smartSearch", command: { command: "start", force: false } },
  ]);
  expect(logged).toEqual(["Smart Search: 8 photos left", "Smart Search: 3 photos left"]);
});

test("a long job goes on in Immich, nobody has to wait for it", async () => {
  immich.waiting = { smartSearch: 100_000 };
  expect(await startQueue(api, "smartSearch", { ...quick, timeout: 0 }, log)).toMatch(
    /^Smart Search goes on in Immich with 99996 photos left/,
  );
});

test("a job that runs already is all that was wanted", async () => {
  const body = '{"message":"Job is already running","statusCode":400}';
  immich.faults.set("PUT /api/jobs/smartSearch", { status: 400, body });
  expect(await startQueue(api, "smartSearch", quick, log)).toBe("Smart Search is done.");
});

test("a key without the permission: the error names it", async () => {
  immich.permissions = ["systemConfig.read", "systemConfig.update"];
  await expect(startQueue(api, "smartSearch", quick, log)).rejects.toThrow(
    "Missing required permission: job.create",
  );
});

/** Runs the program of the command as Pulumi does, on what the last run left. */
async function apply(changed: { clipAt?: string; faceAt?: string }, faces = false, before = "") {
  const result = await runProgram("applyProgram.ts", before === "" ? "create" : "update", {
    "changed.at": "",
    "changed.clipAt": changed.clipAt ?? "",
    "changed.faceAt": changed.faceAt ?? "",
    "reindex.url": api.url,
    "reindex.apiKey": api.apiKey,
    "reindex.force": "false",
    "reindex.faces": String(faces),
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
  expect(startedQueues()).toEqual(["smartSearch"]);
  expect(JSON.parse(first)).toMatchObject({ reindexed: "Smart Search is done." });

  const again = await apply({ clipAt: "2026-01-01", faceAt: "2026-01-01" }, false, first);
  expect(startedQueues()).toHaveLength(1);
  expect(JSON.parse(again)).toEqual(JSON.parse(first));

  await apply({ clipAt: "2026-02-02" }, false, again);
  expect(startedQueues()).toEqual(["smartSearch", "smartSearch"]);
});

test("faces are detected again only when that was asked for, for all photos", async () => {
  await apply({ faceAt: "2026-01-01" }, true);
  expect(immich.jobs).toEqual([
    { name: "faceDetection", command: { command: "start", force: true } },
  ]);
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
  expect(startedQueues()).toEqual(["smartSearch"]);
});
