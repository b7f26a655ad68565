import { afterEach, beforeEach, expect, test, vi } from "vitest";

import type { ImmichApi } from "../../immich/immichApi";
import { startQueue } from "../../immich/jobs";
import { provider } from "../../immich/reindex";
import { startFakeImmich, type FakeImmich } from "../support/immichApi";

let immich: FakeImmich;
let api: ImmichApi;
let said: string[];
const tell = (line: string) => void said.push(line);
const quick = { force: false, timeout: 5, interval: 0.01 };

beforeEach(async () => {
  immich = await startFakeImmich();
  api = { url: immich.url, apiKey: immich.apiKey };
  said = [];
});
afterEach(() => immich.close());

test("starts Smart Search and reports how many photos are left until none is", async () => {
  immich.waiting = { smartSearch: 12 };
  expect(await startQueue(api, "smartSearch", quick, tell)).toBe("Smart Search is done.");
  expect(immich.jobs).toEqual([
    { name: "smartSearch", command: { command: "start", force: false } },
  ]);
  expect(said).toEqual(["Smart Search: 8 photos left", "Smart Search: 3 photos left"]);
});

test("a long job goes on in Immich, nobody has to wait for it", async () => {
  immich.waiting = { smartSearch: 100_000 };
  expect(await startQueue(api, "smartSearch", { ...quick, timeout: 0 }, tell)).toMatch(
    /^Smart Search goes on in Immich with 99996 photos left/,
  );
});

test("a job that runs already is all that was wanted", async () => {
  const body = '{"message":"Job is already running","statusCode":400}';
  immich.faults.set("PUT /api/jobs/smartSearch", { status: 400, body });
  expect(await startQueue(api, "smartSearch", quick, tell)).toBe("Smart Search is done.");
});

test("a key without the permission is told which one", async () => {
  immich.permissions = ["systemConfig.read", "systemConfig.update"];
  await expect(startQueue(api, "smartSearch", quick, tell)).rejects.toThrow(
    "Missing required permission: job.create",
  );
});

const inputs = () => ({ api, clipChangedAt: "", faceChangedAt: "", force: false, timeout: 0 });

test("nothing is started when no model changed", async () => {
  const { outs } = await provider.create(inputs());
  expect(outs?.outcome).toBe("not needed: no model changed");
  expect(immich.jobs).toEqual([]);
});

test("a changed CLIP model starts Smart Search once, and faces are left alone", async () => {
  vi.spyOn(console, "log").mockImplementation(() => undefined);
  const first = { ...inputs(), clipChangedAt: "2026-01-01" };
  const created = (await provider.create(first)).outs!;
  expect(immich.jobs.map(({ name }) => name)).toEqual(["smartSearch"]);

  expect((await provider.diff!("reindex", created, first)).changes).toBe(false);
  await provider.update!("reindex", created, { ...first, timeout: 1 });
  expect(immich.jobs).toHaveLength(1);

  const next = { ...first, clipChangedAt: "2026-02-02" };
  expect((await provider.diff!("reindex", created, next)).changes).toBe(true);
  await provider.update!("reindex", created, next);
  expect(immich.jobs.map(({ name }) => name)).toEqual(["smartSearch", "smartSearch"]);
});

test("faces are detected again only when that was asked for, for all photos", async () => {
  await provider.create({ ...inputs(), faceChangedAt: "2026-01-01" });
  expect(immich.jobs).toEqual([
    { name: "faceDetection", command: { command: "start", force: true } },
  ]);
});
