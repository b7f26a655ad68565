import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, request as requestHttp } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";

import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { readApi, writeApi } from "../../immich/apiStore";
import { probeApi } from "../../immich/databaseProbe";
import type { ApiStoreArgs, SettingChange, WriteOptions } from "../../immich/store";
import { startFakeImmich, wholeConfiguration, type FakeImmich } from "../support/immichApi";

const options: WriteOptions = {
  version: { major: 2, minor: 7, patch: 5 },
  embeddings: "clear",
  dropEmptyRow: false,
};
const clipModel = "machineLearning.clip.modelName";
const faceModel = "machineLearning.facialRecognition.modelName";
const set = (key: string, value: unknown): SettingChange => ({ key, value: JSON.stringify(value) });
const putting = "PUT /api/system-config";
const getting = "GET /api/system-config";

let immich: FakeImmich;
let store: ApiStoreArgs;

beforeEach(async () => {
  immich = await startFakeImmich();
  store = { kind: "api", url: immich.url, apiKey: immich.apiKey };
});
afterEach(() => immich.close());

const puts = () => immich.requests.filter((request) => request.startsWith("PUT")).length;
const failure = (work: Promise<unknown>) =>
  work.then(
    () => "no failure",
    (error: Error) => error.message,
  );

describe("what goes well", () => {
  test("sends the whole configuration back with only our keys changed", async () => {
    const result = await writeApi(
      store,
      [set(faceModel, "buffalo_s"), set(clipModel, "RN50__openai")],
      options,
    );
    const expected = wholeConfiguration() as {
      machineLearning: { clip: object; facialRecognition: object };
    };
    Object.assign(expected.machineLearning.clip, { modelName: "RN50__openai" });
    Object.assign(expected.machineLearning.facialRecognition, { modelName: "buffalo_s" });
    expect(immich.configuration).toEqual(expected);
    expect(result.before).toEqual({
      [faceModel]: { value: '"buffalo_l"' },
      [clipModel]: { value: '"ViT-B-32__openai"' },
    });
  });

  test("reads only our keys", async () => {
    const values = await readApi(store);
    expect(values[clipModel]).toBe("ViT-B-32__openai");
    expect(JSON.stringify(values)).not.toContain("secret");
    expect(Object.keys(values).every((key) => /^(machineLearning|job)\./.test(key))).toBe(true);
    expect(Object.keys(values)).not.toContain("job.thumbnailGeneration.concurrency");
  });

  test("sends nothing when nothing would change, since each save makes Immich start over", async () => {
    await writeApi(
      store,
      [set(faceModel, "buffalo_l"), set(clipModel, "immich-app/ViT-B-32__openai")],
      options,
    );
    expect(puts()).toBe(0);
  });

  test("takes the address with /api and a slash at the end as well", async () => {
    const values = await readApi({ ...store, url: `${immich.url}/api/` });
    expect(values[faceModel]).toBe("buffalo_l");
  });

  test("leaves a key that somebody has changed since", async () => {
    const change = { key: faceModel, value: '"buffalo_m"', expected: ['"buffalo_s"'] };
    const { skipped } = await writeApi(store, [change], options);
    expect(skipped).toEqual({ [faceModel]: '"buffalo_l"' });
    expect(puts()).toBe(0);
  });

  test("gives a key that was absent in the database its default", async () => {
    await writeApi(store, [set(faceModel, "buffalo_s")], options);
    await writeApi(store, [{ key: faceModel, remove: 1, expected: ['"buffalo_s"'] }], options);
    expect((await readApi(store))[faceModel]).toBe("buffalo_l");
  });
});

describe("what Immich refuses", () => {
  test("a wrong key", async () => {
    const message = await failure(readApi({ ...store, apiKey: "wrong-key" }));
    expect(message).toContain("refuses the API key (Invalid API key): immich-ml:immichApiKey");
    expect(message).not.toContain("wrong-key");
  });

  test("a key without permission to change, before anything is changed", async () => {
    immich.permissions = ["systemConfig.read"];
    expect(await failure(writeApi(store, [set(faceModel, "buffalo_s")], options))).toContain(
      "Missing required permission: systemConfig.update",
    );
    expect(puts()).toBe(1);
  });

  test("a configuration file in force", async () => {
    immich.configFile = true;
    expect(await failure(writeApi(store, [set(faceModel, "buffalo_s")], options))).toContain(
      "takes its configuration from a file (IMMICH_CONFIG_FILE)",
    );
    expect(puts()).toBe(0);
    expect(await probeApi(store)).toEqual({
      ok: false,
      message: expect.stringContaining("IMMICH_CONFIG_FILE") as string,
    });
  });

  test("a CLIP model the server does not know: Immich's own words are passed on", async () => {
    const message = await failure(writeApi(store, [set(clipModel, "ViT-X")], options));
    expect(message).toContain("HTTP 400 (Unknown CLIP model: ViT-X");
    expect(immich.configuration).toEqual(wholeConfiguration());
  });

  test("a key the running release does not have", async () => {
    immich.version = { major: 2, minor: 1, patch: 0 };
    expect(
      await failure(writeApi(store, [set("machineLearning.ocr.enabled", false)], options)),
    ).toContain(
      "is v2.1.0: machineLearning.ocr.enabled does not exist in Immich v2.1.0; nothing was changed",
    );
    expect(puts()).toBe(0);
  });
});

describe("while Immich saves", () => {
  test("its configuration is not read, or Immich might miss the change", async () => {
    let during: string[] = [];
    immich.onSave = async () => {
      const before = immich.requests.length;
      await new Promise((resolve) => setTimeout(resolve, 60));
      during = immich.requests.slice(before);
    };
    await writeApi(store, [set(faceModel, "buffalo_s")], options);
    expect(during).toEqual([]);
    expect((await readApi(store))[faceModel]).toBe("buffalo_s");
  });

  test("fault: somebody else reads, and Immich misses the change; it is made again until Immich sees it", async () => {
    const former = (await readApi(store))[faceModel];
    immich.missedSaves = 1;
    await writeApi(store, [set(faceModel, "buffalo_s")], options);
    expect(immich.noticed.map((saved) => saved[faceModel])).toEqual([former, "buffalo_s"]);
    expect(puts()).toBe(3);
    expect((await readApi(store))[faceModel]).toBe("buffalo_s");
  });

  test("fault: Immich misses it again; it is said, and the next run goes on", async () => {
    immich.missedSaves = 3;
    const message = await failure(writeApi(store, [set(faceModel, "buffalo_s")], options));
    expect(message).toContain("another client saved at the same moment; run the program again");
  });
});

describe("the probe", () => {
  test.each([
    [["systemConfig.read"], false, "systemConfig.update"],
    [["systemConfig.read", "systemConfig.update"], true, "job.read, job.create"],
    [["job.create"], true, "systemConfig.read, systemConfig.update, job.read"],
  ])("a key with %j lacks, reindex %s: %s", async (permissions, reindex, missing) => {
    immich.permissions = permissions;
    expect(await probeApi({ ...store, reindex })).toMatchObject({
      ok: false,
      message: expect.stringContaining(
        `immich-ml:immichApiKey lacks the permission ${missing} at `,
      ) as string,
    });
    expect(puts()).toBe(0);
  });

  test("a key that may do all, and a release that does not know the question, pass", async () => {
    immich.permissions = ["all", "systemConfig.read", "systemConfig.update"];
    expect(await probeApi({ ...store, reindex: true })).toMatchObject({ ok: true });
    immich.faults.set("GET /api/api-keys/me", { status: 404, body: "{}" });
    expect(await probeApi(store)).toMatchObject({ ok: true });
  });

  test("a server in maintenance mode says so", async () => {
    immich.maintenance = true;
    expect(await failure(readApi(store))).toContain(
      "is in maintenance mode and answers no other request: end it",
    );
  });

  test("a redirect names where it points", async () => {
    const server = createServer((_request, response) =>
      response.writeHead(301, { location: "https://photos.lan/api/x?token=1" }).end(),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    expect(await failure(readApi({ ...store, url }))).toBe(
      `Immich at ${url} redirects to https://photos.lan: set immich-ml:immich.api.url to that server`,
    );
    await new Promise((resolve) => server.close(resolve));
  });

  test("a certificate of one's own: what to set, and with it set it answers", async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-certificate-"));
    const [key, cert] = ["key.pem", "cert.pem"].map((file) => path.join(folder, file)) as [
      string,
      string,
    ];
    execFileSync("openssl", [
      ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"],
      ...["-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert],
    ]);
    const server = createSecureServer(
      { key: await readFile(key), cert: await readFile(cert) },
      (request, response) => {
        const options = { method: request.method, headers: request.headers };
        const onward = requestHttp(`${immich.url}${request.url}`, options, (answer) => {
          response.writeHead(answer.statusCode!, answer.headers);
          answer.pipe(response);
        });
        request.pipe(onward);
      },
    );
    await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
    const { port } = server.address() as AddressInfo;
    const encrypted = { ...store, url: `https://localhost:${port}` };
    expect(await failure(readApi(encrypted))).toContain(
      "has a certificate that no known authority has signed (DEPTH_ZERO_SELF_SIGNED_CERT): set immich-ml:immich.api.caCertificate",
    );
    const trusted = { ...encrypted, caCertificate: cert };
    expect(await probeApi(trusted)).toMatchObject({ ok: true });
    await writeApi(trusted, [set(faceModel, "buffalo_s")], options);
    expect((await readApi(trusted))[faceModel]).toBe("buffalo_s");
    expect(await failure(readApi({ ...trusted, url: `https://127.0.0.1:${port}` }))).toContain(
      "has a certificate for another name",
    );
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await rm(folder, { recursive: true });
  });
});

describe("what goes wrong on the way", () => {
  test("HTTP 500 on reading is tried again, on saving it is not", async () => {
    immich.faults.set(getting, { status: 500, body: "{}", times: 2 });
    await writeApi(store, [set(faceModel, "buffalo_s")], options);
    const ofConfiguration = immich.requests.filter((request) => request.endsWith("/system-config"));
    expect(ofConfiguration.slice(0, 3)).toEqual([getting, getting, getting]);
    expect(puts()).toBe(1);

    immich.faults.set(putting, { status: 500, body: '{"message":"Internal server error"}' });
    const before = puts();
    expect(await failure(writeApi(store, [set(faceModel, "buffalo_m")], options))).toContain(
      "HTTP 500 (Internal server error)",
    );
    expect(puts()).toBe(before + 1);
  });

  test("a save whose answer is lost is looked up instead of made again", async () => {
    for (const cut of ["within", "after"] as const) {
      immich.faults.set(putting, { cut, times: 1 });
      const model = cut === "within" ? "buffalo_s" : "buffalo_m";
      const before = puts();
      await writeApi(store, [set(faceModel, model)], options);
      expect(puts()).toBe(before + 1);
      expect((await readApi(store))[faceModel]).toBe(model);
    }
  });

  test("a save that never arrived is reported, not made again", async () => {
    immich.faults.set(putting, { cut: "before" });
    expect(await failure(writeApi(store, [set(faceModel, "buffalo_s")], options))).toContain(
      "broke off",
    );
    expect(puts()).toBe(1);
    expect(immich.configuration).toEqual(wholeConfiguration());
  });

  test("a page of HTML, half an answer and no server each say what is wrong", async () => {
    immich.faults.set(getting, { status: 200, body: "<!doctype html><title>Login</title>" });
    expect(await failure(readApi(store))).toContain(
      "with a web page: is this the address of the Immich",
    );
    immich.faults.set(getting, { cut: "within" });
    expect(await failure(readApi(store))).toContain("broke off in the middle of its answer");
    immich.faults.set(getting, { status: 200, body: '{"machineLearning": {"cl' });
    expect(await failure(readApi(store))).toContain("incomplete JSON");
    await immich.close();
    expect(await failure(readApi(store))).toMatch(
      /does not answer \(ECONNREFUSED\): is it running\?/,
    );
    expect(await failure(readApi({ ...store, url: "http://immich.invalid:2283" }))).toContain(
      "has a name that cannot be resolved here",
    );
    immich = await startFakeImmich();
  });

  test("no message ever repeats the configuration or the key", async () => {
    const secrets = /fake-(oauth|smtp)-secret|fake-api-key/;
    immich.faults.set(putting, { status: 400, body: JSON.stringify(wholeConfiguration()) });
    expect(await failure(writeApi(store, [set(faceModel, "buffalo_s")], options))).not.toMatch(
      secrets,
    );
    immich.faults.set(getting, {
      status: 502,
      body: JSON.stringify({ message: { a: wholeConfiguration() } }),
    });
    expect(await failure(readApi(store))).not.toMatch(secrets);
  });
});

test("the probe says which release answers and which CLIP model is in use", async () => {
  expect(await probeApi(store)).toEqual({
    ok: true,
    immichVersion: "v2.7.5",
    clipModel: "ViT-B-32__openai",
    settings: expect.objectContaining({
      "machineLearning.clip.modelName": "ViT-B-32__openai",
    }) as object,
  });
});
