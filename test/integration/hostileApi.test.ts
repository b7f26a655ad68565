import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";

import { readApi, writeApi } from "../../immich/apiStore";
import { probeApi } from "../../immich/databaseProbe";
import { getFromApi } from "../../immich/immichApi";
import { startQueue } from "../../immich/jobs";
import { applySettings } from "../../immich/reconcile";
import type { ApiStoreArgs } from "../../immich/store";
import {
  anyJson,
  anyText,
  canarySecret,
  clearFailure,
  expectClear,
  hostile,
  spoiled,
} from "../support/hostile";
import { wholeConfiguration } from "../support/immichApi";

/** What the server says, whatever it is asked. */
interface Said {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string;
  /** Whether the connection is cut in the middle of the body. */
  readonly isCut: boolean;
}

const fine: Record<string, unknown> = {
  "/api/server/features": { configFile: false },
  "/api/server/version": { major: 2, minor: 7, patch: 5 },
  "/api/system-config": wholeConfiguration(),
  "/api/jobs": { smartSearch: { jobCounts: { active: 0, waiting: 0 } } },
};

let server: Server;
let store: ApiStoreArgs;
let said: Partial<Record<string, Said>> = {};

beforeAll(async () => {
  // The pauses before a request is made again are verified elsewhere and only cost time here.
  const wait = setTimeout;
  vi.stubGlobal("setTimeout", (work: () => void, time?: number, ...rest: []) =>
    wait(work, time === 500 || time === 2_000 ? 2 : time, ...rest),
  );
  server = createServer((request, response) => {
    request.resume();
    const path = request.url ?? "";
    const answer = said[path];
    if (!answer) {
      response.end(JSON.stringify(fine[path] ?? { jobCounts: {} }));
      return;
    }
    response.on("error", () => undefined);
    response.writeHead(answer.status, answer.headers);
    if (answer.isCut) response.write(answer.body, () => request.socket.destroy());
    else response.end(answer.body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  store = { kind: "api", url: `http://127.0.0.1:${port}`, apiKey: canarySecret };
});
afterAll(async () => {
  vi.unstubAllGlobals();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const version = { major: 2, minor: 7, patch: 5 };
const clip = "machineLearning.clip.modelName";

/** Everything the program asks of Immich's API. */
async function useApi(): Promise<void> {
  const probe = await probeApi(store);
  if (!probe.ok) expectClear(probe.message);
  const settings = { [clip]: "RN50__openai", "machineLearning.urls": ["http://a:3003"] };
  const declared = {
    settings,
    immichVersion: "v2.7.5",
    store,
    embeddings: "clear",
    onDestroy: "restoreModel",
  } as const;
  await clearFailure(async () => {
    for (const note of (await applySettings(declared)).notes) expectClear(note);
  });
  await clearFailure(() => readApi(store));
  const changes = [{ key: clip, value: '"RN50__openai"', expected: ["1", null] }];
  const options = { version, embeddings: "clear", dropEmptyRow: false } as const;
  await clearFailure(() => writeApi(store, changes, options));
  const timeout = { force: false, timeout: 0, interval: 0.001 };
  await clearFailure(async () => {
    expectClear(await startQueue(store, "smartSearch", timeout, expectClear));
  });
}

describe("answers of what stands at Immich's address", () => {
  const bodies = (path: string) =>
    fc.oneof(
      spoiled(fine[path]).map((value) => JSON.stringify(value)),
      fc.nat(400).map((length) => JSON.stringify(fine[path]).slice(0, length)),
      anyJson.map((value) => JSON.stringify(value)),
      fc.record({ message: anyJson, errors: anyJson }).map((value) => JSON.stringify(value)),
      fc.constantFrom(
        "<!DOCTYPE html><title>Log in</title>",
        JSON.stringify({ message: `the key ${canarySecret} is wrong`, errors: [{ path: [{}] }] }),
        canarySecret,
        "[".repeat(100_000),
        `{"a":`.repeat(50_000),
        "\ufeff{}",
      ),
      anyText,
    );
  const answers = fc.constantFrom(...Object.keys(fine)).chain((path) =>
    fc.record({
      path: fc.constant(path),
      answer: fc.record({
        status: fc.constantFrom(
          200,
          200,
          200,
          200,
          201,
          204,
          400,
          401,
          403,
          404,
          418,
          429,
          500,
          503,
        ),
        headers: fc.constantFrom<Record<string, string>>(
          { "content-type": "application/json" },
          { "content-type": "text/html" },
          { "content-encoding": "gzip" },
        ),
        body: bodies(path),
        isCut: fc.constantFrom(false, false, false, false, true),
      }),
    }),
  );
  hostile(
    "any answer is used or refused with one clear message that repeats no key",
    fc.array(answers, { minLength: 1, maxLength: 2 }),
    async (chosen) => {
      said = Object.fromEntries(chosen.map(({ path, answer }) => [path, answer]));
      await useApi();
    },
    { share: 0.5 },
  );

  hostile(
    "a redirect is not followed with the key, wherever it leads",
    fc.tuple(fc.constantFrom(301, 302, 307, 308), fc.webUrl()),
    async ([status, location]) => {
      const answer = { status, headers: { location }, body: "", isCut: false };
      said = { "/api/system-config": answer };
      expect(await clearFailure(() => getFromApi(store, "/system-config"))).toBeDefined();
    },
    { share: 0.1 },
  );

  it("an answer without end is given up before it fills the memory", async () => {
    const answer = { status: 200, headers: {}, body: " ".repeat(17 * 1024 * 1024), isCut: false };
    said = { "/api/system-config": answer };
    expect(await clearFailure(() => readApi(store))).toMatch(/more than 16 MiB/);
  });

  hostile(
    "any address and key are used or refused by the setting's name",
    fc.tuple(
      fc.oneof(
        anyText,
        fc.webUrl(),
        anyText.map((text) => `http://${text}`),
        anyText.map((text) => `http://127.0.0.1:1/${text}`),
      ),
      fc.oneof(
        fc.constant(canarySecret),
        anyText.map((text) => canarySecret + text),
      ),
    ),
    async ([url, apiKey]) => {
      // No name of the outside world shall be asked for.
      if (!/^https?:\/\/(127\.0\.0\.1|\[|[^a-z0-9])/i.test(url) && URL.canParse(url)) return;
      const failure = await clearFailure(() => getFromApi({ url, apiKey }, "/jobs"));
      expect(failure).toMatch(/^Immich at |immich-ml:immich/);
    },
    { share: 0.5 },
  );

  it("a user and password in the address are not repeated", async () => {
    const url = `http://me:${canarySecret}@127.0.0.1:1`;
    const failure = await clearFailure(() => getFromApi({ url, apiKey: "key" }, "/jobs"));
    expect(failure).toContain("immich.api.url must be without a user or password");
  });
});
