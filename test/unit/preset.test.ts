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

const saved = {
  changed: ["machineLearning.ocr.enabled"],
  changedAt: "2026-01-02T03:04:05.000Z",
  clipChangedAt: "2026-01-02T03:04:05.000Z",
  faceChangedAt: "2026-02-03T04:05:06.000Z",
};
const applied = { restart: "immich_server is back after 8 s.", reindexed: "Smart Search is done." };

beforeAll(async () => {
  await pulumi.runtime.setMocks({
    newResource: (args) => {
      const { type, name, inputs } = args as Registered;
      registered.push({ type, name, inputs });
      const stdout = JSON.stringify(name.endsWith("-settings") ? saved : applied);
      return { id: `${name}-id`, state: { ...inputs, stdout } };
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
const secretMark = "4dabf18193072939515e22adb298388d";
const secret = (value: unknown) => ({ [secretMark]: "1b47061264138c4ac30d75fd1eb44270", value });
const inputsOf = (name: string) =>
  registered.find(({ name: other, type }) => other === name && type === "command:local:Command")
    ?.inputs;
/** A command's variables; the mocks show the whole of them as secret where one is. */
function environmentOf(name: string): Record<string, string> {
  const { environment } = inputsOf(name) as { environment: Record<string, string> };
  const isSecret = secretMark in environment;
  return isSecret
    ? (environment as unknown as { value: Record<string, string> }).value
    : environment;
}

describe("database store", () => {
  test("registers a schema, two functions and the settings, by these names", async () => {
    await outputsOf(databaseArgs);
    expect(registered.map(({ type, name }) => `${name} ${type}`).sort()).toEqual([
      "preset immich-ml:index:ModelPreset",
      "preset-read-settings postgresql:index/function:Function",
      "preset-schema postgresql:index/schema:Schema",
      "preset-settings command:local:Command",
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

  test("the command's variables name each key and the way to the database, the password as a secret", async () => {
    await outputsOf(databaseArgs);
    expect(inputsOf("preset-settings")).toEqual({
      interpreter: [
        "node",
        "--require",
        expect.stringMatching(/loadTypeScript\.cjs$/) as string,
        expect.stringMatching(/immich\/settingsProgram\.ts$/) as string,
      ],
      create: "create",
      update: "update",
      delete: "delete",
      logging: "stderr",
      environment: secret({
        "machineLearning.clip.enabled": "true",
        "machineLearning.clip.modelName": '"ViT-B-32__openai"',
        "machineLearning.ocr.enabled": "false",
        "job.smartSearch.concurrency": "1",
        "machineLearning.urls": '["http://attic:3003","http://cellar:3003"]',
        "immich.version": "v2.7.5",
        "immich.embeddings": "clear",
        "store.kind": "database",
        "store.host": "172.18.0.5",
        "store.port": "5432",
        "store.database": "immich",
        "store.user": "postgres",
        "store.password": "admin-password",
        "store.sslMode": "disable",
      }),
    });
  });

  test("a container's name is given, not its address, which may move", async () => {
    const container = { name: "immich_postgres", dockerHost: "ssh://attic", network: "immich" };
    await outputsOf({
      ...databaseArgs,
      store: { kind: "database", container, password: "admin-password" },
    });
    const environment = environmentOf("preset-settings");
    expect(environment).toMatchObject({
      "store.container": "immich_postgres",
      "store.dockerHost": "ssh://attic",
      "store.network": "immich",
      "store.port": "5432",
    });
    expect(environment).not.toHaveProperty("store.host");
  });

  test("what is stored otherwise is an input of its own, with both values and the time", async () => {
    const currentSettings = {
      "machineLearning.clip.enabled": true,
      "machineLearning.clip.modelName": "RN50__openai",
      "machineLearning.ocr.enabled": false,
      "job.smartSearch.concurrency": 1,
    };
    await outputsOf({ ...databaseArgs, currentSettings });
    expect(environmentOf("preset-settings")["immich.observed"]).toMatch(
      /^machineLearning\.clip\.modelName: "RN50__openai" => "ViT-B-32__openai" \(20\d\d-.*Z\)$/,
    );
    await outputsOf({
      ...databaseArgs,
      currentSettings: {
        ...currentSettings,
        "machineLearning.clip.modelName": "immich-app/ViT-B-32__openai",
      },
    });
    expect(environmentOf("preset-settings")).not.toHaveProperty(["immich.observed"]);
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
    const server = {
      "server.name": "immich_server",
      "server.dockerHost": "ssh://root@attic",
      "server.timeout": "300",
    };
    expect(environmentOf("preset-settings")).toMatchObject(server);
    expect(environmentOf("preset-apply")).toEqual({
      ...server,
      "changed.at": saved.changedAt,
      "changed.clipAt": saved.clipChangedAt,
      "changed.faceAt": saved.faceChangedAt,
      "store.kind": "database",
      "store.host": "172.18.0.5",
      "store.port": "5432",
      "store.database": "immich",
      "store.user": "postgres",
      "store.password": "admin-password",
      "store.sslMode": "disable",
    });
    expect(inputsOf("preset-apply")?.["interpreter"]).toContainEqual(
      expect.stringMatching(/immich\/applyProgram\.ts$/),
    );
    expect(restart).toBe("immich_server is back after 8 s.");
  });

  test("what release 0.1.0 saved goes to the command, and its own resource is only read", async () => {
    const firstRelease = {
      previous: { "machineLearning.ocr.enabled": { missingFrom: 2, written: "false" } },
      rowWasAbsent: false,
      ...saved,
    };
    await outputsOf({ ...databaseArgs, firstRelease });
    expect(environmentOf("preset-settings")["immich.firstRelease"]).toBe(
      JSON.stringify(firstRelease),
    );
    expect(registered).toContainEqual({
      type: "pulumi-nodejs:dynamic/immich-ml:SystemConfig",
      name: "preset-settings",
      inputs: { __provider: "exports.handler = () => ({})" },
    });
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

  test("is not done unasked", async () => {
    const [, , , reindexed] = await outputsOf({
      ...databaseArgs,
      serverContainer: { name: "immich_server" },
    });
    expect(environmentOf("preset-apply")).not.toHaveProperty(["reindex.url"]);
    expect(reindexed).toBeUndefined();
    await outputsOf(databaseArgs);
    expect(inputsOf("preset-apply")).toBeUndefined();
  });

  test("does what is missing after the API or a restart cleared the embeddings", async () => {
    const [, , , reindexed] = await outputsOf({
      ...databaseArgs,
      reindex,
      serverContainer: { name: "immich_server" },
    });
    expect(environmentOf("preset-apply")).toMatchObject({
      "changed.clipAt": saved.clipChangedAt,
      "reindex.url": reindex.url,
      "reindex.apiKey": "key",
      "reindex.force": "false",
    });
    expect(inputsOf("preset-apply")?.["environment"]).toHaveProperty(secretMark);
    expect(reindexed).toBe("Smart Search is done.");
  });

  test("does all photos where embeddings were kept or the server was not restarted", async () => {
    await outputsOf({ ...databaseArgs, reindex });
    expect(environmentOf("preset-apply")["reindex.force"]).toBe("true");
    await outputsOf({
      ...databaseArgs,
      reindex,
      embeddings: "keep",
      serverContainer: { name: "immich_server" },
    });
    expect(environmentOf("preset-apply")["reindex.force"]).toBe("true");
  });

  test("touches faces only with the word that names what is lost", async () => {
    const models = { facialRecognition: { modelName: "buffalo_s" } };
    const planned = ["reindex.facesPlannedAt"];
    const wish = { ...databaseArgs, models, reindex: { ...reindex, facesLosingNames: true } };
    await outputsOf({ ...wish, currentSettings: {} });
    expect(environmentOf("preset-apply")).toHaveProperty(planned);
    expect(warnings).toEqual([expect.stringContaining("NAMES OF ALL PEOPLE")]);
    const others = [
      { ...wish, currentSettings: { "machineLearning.facialRecognition.modelName": "buffalo_s" } },
      // What Immich uses now is not known.
      wish,
      { ...wish, currentSettings: {}, reindex },
    ];
    for (const args of others) {
      await outputsOf(args);
      expect(environmentOf("preset-apply")).not.toHaveProperty(planned);
    }
    expect(warnings.at(-1)).toContain(
      "The face model changes from buffalo_l to buffalo_s: faces that Immich already has stay as the former model saw them",
    );
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

  test("a CLIP model that this program does not know passes by the API only, where that is allowed", () => {
    const models = { clip: { modelName: "ViT-X" } };
    const store = { kind: "api", url: "http://immich_server:2283", apiKey: "key" } as const;
    for (const args of [
      { ...databaseArgs, models },
      { ...databaseArgs, models, allowUnknownModels: true },
      { ...databaseArgs, models, store },
    ]) {
      expect(() => new ModelPreset("preset", args)).toThrow(
        'machineLearning.clip.modelName: "ViT-X" is not a CLIP model that this program knows',
      );
    }
    new ModelPreset("preset", { ...databaseArgs, models, store, allowUnknownModels: true });
  });

  test("a change of the CLIP model is announced with what it does to the search", async () => {
    await outputsOf({ ...databaseArgs, currentClipModel: "ViT-B-16__openai" });
    expect(warnings).toEqual([
      expect.stringContaining(
        "changes from ViT-B-16__openai to ViT-B-32__openai: the former model's embeddings",
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
