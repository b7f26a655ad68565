import * as pulumi from "@pulumi/pulumi";
import { beforeAll, beforeEach, describe, expect, test, vi } from "vitest";

import { ModelPreset, type ModelPresetArgs } from "../../components/modelPreset";
import { changesOf } from "../../immich/settings";

interface Registered {
  readonly type: string;
  readonly name: string;
  readonly inputs: Record<string, unknown>;
}

let registered: Registered[] = [];
const warnings: string[] = [];

beforeAll(async () => {
  await pulumi.runtime.setMocks({
    newResource: (args) => {
      const { type, name, inputs } = args as Registered;
      registered.push({ type, name, inputs });
      const computed = type.includes("SystemConfig")
        ? {
            changed: ["machineLearning.ocr.enabled"],
            changedAt: "2026-01-02T03:04:05.000Z",
            clipChangedAt: "2026-01-02T03:04:05.000Z",
            faceChangedAt: "2026-02-03T04:05:06.000Z",
          }
        : type.startsWith("command")
          ? { stdout: "Restarting\nimmich_server is back after 8 s.\n" }
          : {};
      return { id: `${name}-id`, state: { ...inputs, ...computed } };
    },
    call: () => ({}),
  });
});

beforeEach(() => {
  registered = [];
  warnings.length = 0;
  vi.spyOn(pulumi.log, "warn").mockImplementation((message) => {
    warnings.push(message);
    return Promise.resolve();
  });
});

const databaseArgs: ModelPresetArgs = {
  immichVersion: "v2.7.5",
  models: { clip: { modelName: "ViT-B-32__openai" }, ocr: false, concurrency: { smartSearch: 1 } },
  urls: ["http://attic:3003", pulumi.output("http://cellar:3003")],
  store: { kind: "database", host: "172.18.0.5", password: "admin-password" },
};

/** The component's outputs; what they depend on has been registered then. */
function outputsOf(args: ModelPresetArgs): Promise<unknown[]> {
  registered = [];
  const preset = new ModelPreset("preset", args);
  return new Promise((resolve) => {
    const { settings, changed, restart, reindexed } = preset;
    pulumi.all([settings, changed, restart, reindexed]).apply(resolve);
  });
}

/** How the mocks are shown a secret. */
const secret = (value: unknown) => ({
  "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
  value,
});
const inputsOf = (name: string) => registered.find((resource) => resource.name === name)?.inputs;

describe("database store", () => {
  test("registers a schema, four functions, a role, grants and the settings, by these names", async () => {
    await outputsOf(databaseArgs);
    expect(registered.map(({ type, name }) => `${name} ${type}`).sort()).toEqual([
      "preset immich-ml:index:ModelPreset",
      "preset-check-store postgresql:index/function:Function",
      "preset-public-functions postgresql:index/grant:Grant",
      "preset-read-settings postgresql:index/function:Function",
      "preset-role postgresql:index/role:Role",
      "preset-role-functions postgresql:index/grant:Grant",
      "preset-role-schema postgresql:index/grant:Grant",
      "preset-schema postgresql:index/schema:Schema",
      "preset-settings pulumi-nodejs:dynamic/immich-ml:SystemConfig",
      "preset-settings-keys postgresql:index/function:Function",
      "preset-write-settings postgresql:index/function:Function",
    ]);
  });

  test("settings are exactly the declared keys, with the servers' addresses", async () => {
    const [settings] = await outputsOf(databaseArgs);
    expect(settings).toEqual({
      "machineLearning.clip.enabled": true,
      "machineLearning.clip.modelName": "ViT-B-32__openai",
      "machineLearning.ocr.enabled": false,
      "job.smartSearch.concurrency": 1,
      "machineLearning.urls": ["http://attic:3003", "http://cellar:3003"],
    });
  });

  test("one address as text before release 1.122", async () => {
    const [settings] = await outputsOf({ ...databaseArgs, immichVersion: "v1.121.0", models: {} });
    expect(settings).toEqual({ "machineLearning.url": "http://attic:3003" });
  });

  test("the settings connect as the role, never as Immich's own user", async () => {
    await outputsOf(databaseArgs);
    const { value: password } = inputsOf("preset-role")?.["password"] as { value: string };
    expect(password).toMatch(/^[0-9a-f]{64}$/);
    expect(inputsOf("preset-settings")).toEqual({
      settings: {
        "machineLearning.clip.enabled": true,
        "machineLearning.clip.modelName": "ViT-B-32__openai",
        "machineLearning.ocr.enabled": false,
        "job.smartSearch.concurrency": 1,
        "machineLearning.urls": ["http://attic:3003", "http://cellar:3003"],
      },
      immichVersion: "v2.7.5",
      store: secret({
        kind: "database",
        host: "172.18.0.5",
        port: 5432,
        database: "immich",
        user: "immich_ml",
        password,
        sslMode: "disable",
      }),
      embeddings: "clear",
      allowUnknownModels: false,
      __provider: expect.any(String) as string,
    });
  });

  test("the role's password follows from the admin's and is a secret", async () => {
    await outputsOf(databaseArgs);
    const first = inputsOf("preset-role")?.["password"];
    expect(first).toEqual(secret(expect.stringMatching(/^[0-9a-f]{64}$/)));
    await outputsOf(databaseArgs);
    expect(inputsOf("preset-role")?.["password"]).toEqual(first);
    await outputsOf({ ...databaseArgs, store: { kind: "database", host: "h", password: "other" } });
    expect(inputsOf("preset-role")?.["password"]).not.toEqual(first);
  });

  test("the role may use the schema and call the two functions, and nothing else", async () => {
    await outputsOf(databaseArgs);
    expect(inputsOf("preset-role-schema")).toEqual({
      role: "immich_ml",
      database: "immich",
      schema: "immich_ml",
      objectType: "schema",
      privileges: ["USAGE"],
    });
    expect(inputsOf("preset-role-functions")).toEqual({
      role: "immich_ml",
      database: "immich",
      schema: "immich_ml",
      objectType: "function",
      objects: ["read_settings", "write_settings"],
      privileges: ["EXECUTE"],
    });
    expect(inputsOf("preset-public-functions")).toMatchObject({
      role: "public",
      objects: ["settings_keys", "check_store", "read_settings", "write_settings"],
      privileges: [],
    });
    const definers = registered.filter(({ inputs }) => inputs["securityDefiner"] === true);
    expect(definers.map(({ name }) => name).sort()).toEqual([
      "preset-read-settings",
      "preset-write-settings",
    ]);
  });

  test("each function fixes its search_path before anything else", async () => {
    await outputsOf(databaseArgs);
    for (const { name, inputs } of registered.filter(
      ({ inputs }) => inputs["language"] === "plpgsql",
    )) {
      expect(inputs["body"], name).toMatch(
        /\nBEGIN\n {2}PERFORM pg_catalog\.set_config\('search_path', 'pg_catalog, pg_temp', true\);\n/,
      );
    }
  });

  test("without a role, Immich's own user calls the functions", async () => {
    await outputsOf({
      ...databaseArgs,
      store: { kind: "database", host: "h", user: "immich", password: "p", role: false },
    });
    expect(registered.map(({ name }) => name)).not.toContain("preset-role");
    expect(inputsOf("preset-settings")?.["store"]).toMatchObject(
      secret({ user: "immich", password: "p" }),
    );
  });

  test("another database has another role, since roles are common to all databases of a server", async () => {
    await outputsOf({
      ...databaseArgs,
      store: { kind: "database", host: "h", database: "photos", password: "p" },
    });
    expect(inputsOf("preset-role")).toMatchObject({ name: "photos_ml" });
  });

  test("without a server container, the output says that a restart is needed", async () => {
    const [, , restart] = await outputsOf(databaseArgs);
    expect(restart).toBe(
      "needed when the Immich server was started before 2026-01-02T03:04:05.000Z: docker restart immich_server",
    );
  });

  test("a named server container is restarted after a change, and after restoring", async () => {
    const [, , restart] = await outputsOf({
      ...databaseArgs,
      serverContainer: { name: "immich_server", dockerHost: "ssh://root@attic" },
    });
    const environment = {
      SERVER_CONTAINER: "immich_server",
      DOCKER_HOST: "ssh://root@attic",
      TIMEOUT: "300",
    };
    const after = inputsOf("preset-restart");
    expect(after).toMatchObject({
      environment: { ...environment, CHANGED_AT: "2026-01-02T03:04:05.000Z", WHEN_MISSING: "fail" },
    });
    expect(after?.["create"]).toContain('docker restart "${SERVER_CONTAINER}"');
    expect(after?.["update"]).toBe(after?.["create"]);
    expect(after).not.toHaveProperty("delete");
    expect(inputsOf("preset-restart-on-destroy")).toMatchObject({
      create: "true",
      delete: after?.["create"],
      environment: { ...environment, CHANGED_AT: "destroy", WHEN_MISSING: "ignore" },
    });
    expect(restart).toBe("immich_server is back after 8 s.");
  });
});

describe("API store", () => {
  const apiArgs: ModelPresetArgs = {
    ...databaseArgs,
    store: { kind: "api", url: "http://immich_server:2283", apiKey: "key" },
    serverContainer: { name: "immich_server" },
  };

  test("registers only the settings and restarts nothing", async () => {
    const [, , restart] = await outputsOf(apiArgs);
    expect(registered.map(({ name }) => name).sort()).toEqual(["preset", "preset-settings"]);
    expect(restart).toContain("not needed");
  });

  test("refuses to keep embeddings, which Immich would clear", () => {
    expect(() => new ModelPreset("preset", { ...apiArgs, embeddings: "keep" })).toThrow(
      'embeddings: "keep" needs the database store',
    );
    expect(registered.filter(({ name }) => name !== "preset")).toEqual([]);
  });
});

describe("indexing the photos again", () => {
  const reindex = { url: "http://immich_server:2283", apiKey: "key" };
  const changes = { clipChangedAt: "2026-01-02T03:04:05.000Z", faceChangedAt: "" };
  const inputs = () => {
    const { __provider, ...rest } = inputsOf("preset-reindex") ?? {};
    expect(__provider).toEqual(expect.any(String));
    return rest;
  };

  test("is not done unasked", async () => {
    await outputsOf({ ...databaseArgs, serverContainer: { name: "immich_server" } });
    expect(inputsOf("preset-reindex")).toBeUndefined();
  });

  test("does what is missing after the API or a restart cleared the embeddings", async () => {
    await outputsOf({ ...databaseArgs, reindex, serverContainer: { name: "immich_server" } });
    expect(inputs()).toEqual({
      api: secret({ url: reindex.url, apiKey: "key" }),
      ...changes,
      force: false,
      timeout: 60,
    });
  });

  test("does all photos where embeddings were kept or the server was not restarted", async () => {
    await outputsOf({ ...databaseArgs, reindex });
    expect(inputs()).toMatchObject({ force: true });
    await outputsOf({
      ...databaseArgs,
      reindex,
      embeddings: "keep",
      serverContainer: { name: "immich_server" },
    });
    expect(inputs()).toMatchObject({ force: true });
  });

  test("touches faces only with the word that says what is lost", async () => {
    await outputsOf({ ...databaseArgs, reindex: { ...reindex, facesLosingNames: true } });
    expect(inputs()).toMatchObject({ faceChangedAt: "2026-02-03T04:05:06.000Z" });
  });
});

describe("errors and warnings", () => {
  test("every wrong value is named before anything is registered", () => {
    const models = { facialRecognition: { minScore: 7 }, concurrency: { ocr: 0 } };
    expect(() => new ModelPreset("preset", { ...databaseArgs, models })).toThrow(
      "machineLearning.facialRecognition.minScore: 7 must be a number from 0.1 to 1\n" +
        "job.ocr.concurrency: 0 must be a whole number of at least 1",
    );
    expect(() => new ModelPreset("preset", { ...databaseArgs, immichVersion: "release" })).toThrow(
      'immichVersion: "release" must be a full release of Immich such as v2.7.5',
    );
  });

  test("a change of the CLIP model is announced with what it does to the search", async () => {
    await outputsOf({ ...databaseArgs, currentClipModel: "ViT-B-16__openai" });
    expect(warnings).toEqual([
      expect.stringContaining(
        "changes from ViT-B-16__openai to ViT-B-32__openai: the embeddings of the old",
      ),
    ]);
  });

  test("the same CLIP model is not announced", async () => {
    await outputsOf({ ...databaseArgs, currentClipModel: "ViT-B-32__openai" });
    expect(warnings).toEqual([]);
  });
});

describe("what a preset changes", () => {
  const version = { major: 2, minor: 7, patch: 5 };

  test("is one line a key with both values, Immich's default where nothing is stored", () => {
    const declared = {
      "machineLearning.clip.modelName": "ViT-B-32__openai",
      "machineLearning.facialRecognition.modelName": "buffalo_s",
      "job.ocr.concurrency": 1,
    };
    const stored = { "machineLearning.clip.modelName": "RN50__openai" };
    expect(changesOf(declared, stored, version)).toEqual([
      'machineLearning.clip.modelName: "RN50__openai" => "ViT-B-32__openai"',
      `machineLearning.facialRecognition.modelName: "buffalo_l" (Immich's default) => "buffalo_s"`,
    ]);
  });

  test("is nothing when another spelling of the same CLIP model is stored", () => {
    const key = "machineLearning.clip.modelName";
    const stored = { [key]: "immich-app/ViT-B-32__openai" };
    expect(changesOf({ [key]: "ViT-B-32__openai" }, stored, version)).toEqual([]);
  });
});
