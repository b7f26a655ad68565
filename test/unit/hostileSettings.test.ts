import * as pulumi from "@pulumi/pulumi";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { renderEnvironment } from "../../catalog/renderEnvironment";
import { findGpu, nearestGpus } from "../../catalog/gpuNames";
import { imageBuild } from "../../components/imageBuild";
import { resolveModels } from "../../immich/modelSelection";
import { loadSettings } from "../../config/load";
import { validate } from "../../config/validate";
import { parseEnvFile } from "../../config/envFile";
import { formatProblem } from "../../config/errors";
import { readSettings } from "../../config/read";
import { modelsSchema } from "../../config/modelsSchema";
import { stackSchema } from "../../config/schema";
import type { Settings } from "../../config/settings";
import {
  type Place,
  anyJson,
  anyText,
  canarySecret,
  clearFailure,
  expectClear,
  hostile,
  notoriousTexts,
  placesIn,
  replaced,
  spoiled,
} from "../support/hostile";

const version = { major: 2, minor: 7, patch: 5 };
const context = {
  project: "immich-ml",
  stack: "test",
  secrets: { databasePassword: canarySecret, immichApiKey: canarySecret },
};

/** A stack file in which every setting that stands by itself is given. */
const stackFile: Record<string, unknown> = {
  immich: {
    version: "v2.7.5",
    network: "immich_default",
    dockerHost: "unix:///var/run/docker.sock",
    serverContainer: "immich_server",
    database: {
      host: "127.0.0.1",
      port: 5432,
      name: "immich",
      user: "postgres",
      role: "immich_ml",
      sslMode: "disable",
    },
  },
  build: {
    pythonImage: "python:3.10",
    immichImage: "immich:v2.7.5",
    imageMirror: "mirror.example:5000",
    packageIndex: "https://index.example/simple",
    aptMirror: "https://debian.example",
    httpProxy: "http://proxy.example:3128",
    httpsProxy: "http://proxy.example:3128",
    noProxy: "localhost",
  },
  preset: "legacy-2gb",
  models: {
    clip: { modelName: "ViT-B-32__openai" },
    facialRecognition: { modelName: "buffalo_s", minScore: 0.7 },
    ocr: "off",
    duplicateDetection: { maxDistance: 0.01 },
    concurrency: { smartSearch: 1 },
  },
  allowUnknownModels: false,
  embeddings: "clear",
  reindex: false,
  redetectFacesLosingNames: false,
  preflight: "enforce",
  hosts: [
    {
      name: "attic",
      dockerHost: "ssh://me@gpu-box",
      gpu: "GeForce GTX 750 Ti",
      accelerator: "cuda",
      imageVariant: "kepler-maxwell",
      videoMemory: 2048,
      gpus: { ids: ["0"] },
      containerName: "immich_machine_learning",
      cache: { volume: "model-cache", keep: true },
      envFiles: [{ path: "/nowhere/.env", required: false }],
      environment: { workers: 1, MACHINE_LEARNING_MODEL_TTL: "10" },
      network: "immich_default",
      networkAlias: "ml",
      publish: { address: "192.168.1.2", port: 3003 },
      url: "http://gpu-box:3003",
      restart: "always",
      limits: { memory: 2048, cpus: 2 },
      hardening: { noNewPrivileges: true },
      check: "enforce",
      healthTimeout: 600,
    },
    { name: "cellar", publish: { address: "127.0.0.1", port: 3004 } },
  ],
};

/** What cannot stand in it. */
const otherStackFile: Record<string, unknown> = {
  ...stackFile,
  immich: { version: "v2.7.5", api: { url: "http://immich:2283/api" } },
  hosts: [
    {
      name: "rack",
      accelerator: "cpu",
      image: "ml:v2.7.5",
      dockerHost: "tcp://manager:2376",
      placement: "swarm",
      swarm: { nodeLabels: { gpu: "maxwell" }, registry: "registry.lan:5000/immich" },
      environment: { huggingFaceEndpoint: "https://models.example", HTTP_PROXY: "http://proxy" },
    },
  ],
};

/** What of accepted settings goes into addresses, names, command lines and variables of processes. */
function textsOf(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => [name, ...textsOf(inner)]);
}

function expectUsable(settings: Settings): void {
  for (const text of textsOf(settings)) expect(text).not.toMatch(/[\u0000-\u001f\u007f]/);
  const { models } = settings;
  expect(models).toBeDefined();
  for (const host of settings.hosts) {
    expect(URL.canParse(host.url)).toBe(true);
    expect(host.containerName).toMatch(/^[a-zA-Z0-9]/);
    if (host.image?.kind === "legacy") {
      const { gpuFamily } = host.image;
      imageBuild({ ...settings.build, gpuFamily, immichVersion: "v2.7.5", contextPath: "image" });
    }
  }
}

describe("stack files", () => {
  it.each([stackFile, otherStackFile])(
    "a stack file that is spoiled here is sound before",
    (file) => {
      const { problems } = readSettings(file, context);
      expect(problems.map((problem) => formatProblem(problem))).toEqual([]);
    },
  );

  hostile(
    "a spoiled stack file is either used or refused line by line, each with the setting's name",
    spoiled(stackFile),
    (file) => {
      // The whole of it is an object: the engine hands it over key by key.
      if (typeof file !== "object" || file === null || Array.isArray(file)) return;
      const { value: settings, problems } = readSettings(file as Record<string, unknown>, context);
      for (const problem of problems) {
        expect(problem.key).not.toBe("");
        expectClear(formatProblem(problem));
      }
      if (problems.length > 0) expect(settings).toBeUndefined();
      else if (settings!.models) expectUsable(settings!);
    },
  );

  const hostField = fc.constantFrom(...Object.keys(stackSchema.shape.hosts.element.shape));
  hostile(
    "each setting of a host takes any value without a crash",
    fc.tuple(hostField, anyJson),
    ([field, value]) => {
      const [attic] = stackFile["hosts"] as Record<string, unknown>[];
      const file = { ...stackFile, hosts: [{ ...attic, [field]: value }] };
      for (const problem of readSettings(file, context).problems) {
        expectClear(formatProblem(problem));
      }
    },
  );

  hostile(
    "the check of a value gives that value or says what is wrong, never both",
    anyJson,
    (value) => {
      const { value: checked, problems } = validate(stackSchema, value);
      expect(checked === undefined).toBe(problems.length > 0);
      for (const problem of problems) expectClear(formatProblem(problem));
    },
  );

  void pulumi.runtime.setMocks(
    { newResource: () => ({ id: "", state: {} }), call: () => ({}) },
    "immich-ml",
    "test",
  );
  const anyKey = fc.oneof(
    fc.constantFrom(...Object.keys(stackFile), "databasePassword", "immichApiKey"),
    anyText,
  );
  hostile(
    "loading refuses an unknown key by its name and gives no secret away",
    fc.tuple(
      anyKey,
      fc.oneof(
        anyText,
        anyJson.map((value) => JSON.stringify(value)),
      ),
    ),
    async ([key, text]) => {
      const config = Object.entries(stackFile).map(([name, value]) => [
        `immich-ml:${name}`,
        typeof value === "string" ? value : JSON.stringify(value),
      ]);
      pulumi.runtime.setAllConfig({
        ...(Object.fromEntries(config) as Record<string, string>),
        "immich-ml:databasePassword": canarySecret,
        [`immich-ml:${key}`]: text,
      });
      const failure = await clearFailure(() => loadSettings(() => Promise.resolve({})));
      const isKnown = key in stackFile || ["databasePassword", "immichApiKey"].includes(key);
      const isOwn = Object.hasOwn(stackFile, key) || isKnown;
      if (!isOwn || !isKnown) expect(failure).toContain("there is no such setting");
    },
  );

  hostile(
    "a password in an address is not repeated when the setting is refused",
    fc.tuple(
      fc.constantFrom("packageIndex", "aptMirror", "httpProxy", "httpsProxy", "imageMirror"),
      fc.constantFrom("http", "https", "ftp", "HTTP", " http"),
      fc.constantFrom("", "/a b", "\n", "/\u202e", " "),
    ),
    ([field, scheme, rest]) => {
      const address = `${scheme}://me:${canarySecret}@proxy.example${rest}`;
      const file = { ...stackFile, build: { [field]: address } };
      for (const problem of readSettings(file, context).problems) {
        expectClear(formatProblem(problem));
      }
      const immich = { ...(stackFile["immich"] as object), api: { url: address } };
      for (const problem of readSettings({ ...stackFile, immich }, context).problems) {
        expectClear(formatProblem(problem));
      }
    },
    { share: 0.3 },
  );

  // Names, paths and words that lead nowhere; and proxies, which components/ makes secrets.
  const mayHoldOne =
    /\.(tls|caCertificate|name|user|path|imageVariant|modelName|ids\.0)$|^build\.https?Proxy$/;
  const textPlaces = [stackFile, otherStackFile].flatMap((file) =>
    placesIn(file).flatMap((place) =>
      typeof at(file, place) === "string" ? [{ file, place }] : [],
    ),
  );
  hostile(
    "an address with a password is refused by every setting that leads somewhere",
    fc.tuple(
      fc.constantFrom(...textPlaces),
      fc.constantFrom("ssh", "tcp", "http", "https").map((scheme) => `${scheme}://`),
      fc.constantFrom("", "box", "[::1]:22", "box:5000/a", "box,b", "b@box", "box/a b"),
      fc.boolean(),
    ),
    ([{ file, place }, scheme, box, hasScheme]) => {
      const address = `${hasScheme ? scheme : ""}user:${canarySecret}@${box}`;
      const changed = replaced(file, place, address) as Record<string, unknown>;
      const { problems, notes } = readSettings(changed, context);
      for (const problem of problems) expectClear(formatProblem(problem));
      for (const note of notes) expectClear(note);
      if (problems.length === 0) expect(place.join(".")).toMatch(mayHoldOne);
    },
    { share: 4 },
  );

  hostile(
    "a value under a name that sounds secret is not repeated when it is refused",
    fc.constantFrom("DB_PASSWORD", "apiKey", "immichApiKey", "HF_TOKEN", "client_secret"),
    (name) => {
      const value = { [name]: [canarySecret] };
      const file = {
        ...stackFile,
        hosts: [{ name: "attic", environment: value }],
        build: value,
        models: { clip: value },
        immich: { ...(stackFile["immich"] as object), database: value },
      };
      for (const problem of readSettings(file, context).problems) {
        expectClear(formatProblem(problem));
      }
    },
    { share: 0.1 },
  );

  it.each(["constructor", "to-string", "valueof"])("a host may be called %s", (name) => {
    const { value: settings, problems } = readSettings(
      { ...stackFile, hosts: [{ name, gpu: "auto", network: "immich_default" }] },
      context,
    );
    expect(problems).toEqual([]);
    expect(settings!.hosts[0]!.gpu).toBeUndefined();
    expect(settings!.hosts[0]!.image).toBeUndefined();
  });

  it.each(["constructor", "toString", "__proto__"])("there is no preset %s", (preset) => {
    const { problems } = readSettings({ ...stackFile, preset }, context);
    expect(problems.map(({ key }) => key)).toContain("preset");
  });

  it.each([
    ["hosts[0].dockerHost", { hosts: [{ ...hostOf(0), dockerHost: "ssh://%zz@box" }] }],
    ["hosts[0].dockerHost", { hosts: [{ ...hostOf(0), dockerHost: "unix:///a\u0000b" }] }],
    ["immich.database.user", { immich: immichWith({ user: "postgres\u0000database" }) }],
    ["immich.database.name", { immich: immichWith({ name: "immich\u0000user" }) }],
    ["immich.api.url", { immich: { version: "v2.7.5", api: { url: "http://[immich" } } }],
    ["immich.api.url", { immich: { version: "v2.7.5", api: { url: "http://me:pw@immich" } } }],
    ["hosts[0].url", { hosts: [{ ...hostOf(0), url: "http://a b" }] }],
  ])("%s that nothing could be reached by is refused", (key, change) => {
    const { problems } = readSettings({ ...stackFile, ...change }, context);
    expect(problems.map((problem) => problem.key)).toContain(key);
  });
});

function at(file: unknown, place: Place): unknown {
  return place.reduce((value, name) => (value as Record<Place[0], unknown>)?.[name], file);
}

function hostOf(index: number): object {
  return (stackFile["hosts"] as object[])[index]!;
}

function immichWith(database: object): object {
  return { version: "v2.7.5", database: { host: "127.0.0.1", ...database } };
}

describe("names of cards and models", () => {
  hostile("any card's name is found, or near ones are named", anyText, (name) => {
    const card = findGpu(name);
    if (card) expect(card.computeCapability).toMatch(/^\d+\.\d$/);
    expect(nearestGpus(name).length).toBeLessThanOrEqual(3);
  });

  hostile(
    "any preset and any models are resolved or refused by name",
    fc.tuple(
      fc.option(anyText, { nil: undefined }),
      fc.oneof(anyJson, spoiled(stackFile["models"])),
    ),
    ([preset, overrides]) => {
      const shape = validate(modelsSchema, overrides, "models");
      const resolved =
        shape.value &&
        resolveModels(preset, shape.value, { immichVersion: version, videoMemory: 2048 });
      for (const problem of [...shape.problems, ...(resolved?.problems ?? [])]) {
        expect(problem.key).toMatch(/^(preset|models)/);
        expectClear(formatProblem(problem));
      }
      const clip = resolved?.value?.clip;
      if (clip)
        expect(clip.modelName === undefined || typeof clip.modelName === "string").toBe(true);
    },
  );

  hostile(
    "a model's name that is let through unknown is passed on as it stands or refused",
    anyText,
    (name) => {
      const shape = validate(modelsSchema, { facialRecognition: name }, "models");
      for (const problem of shape.problems) expectClear(formatProblem(problem));
      if (!shape.value) return;
      const context = { immichVersion: version, allowUnknownModels: true };
      const resolved = resolveModels("none", shape.value, context);
      for (const problem of resolved.problems) expectClear(formatProblem(problem));
      if (resolved.value?.facialRecognition) {
        expect(resolved.value.facialRecognition.modelName).toBe(name);
      }
    },
  );

  hostile(
    "the container's settings of any name and value are rendered or refused by name",
    fc.dictionary(anyText, fc.oneof(anyText, fc.double(), fc.boolean())),
    (settings) => {
      const rendered = renderEnvironment(settings, version, "cuda");
      for (const [name, value] of Object.entries(rendered.variables)) {
        expect(name).toMatch(/^[A-Z][A-Z0-9_]*$/);
        expect(value).not.toContain("\u0000");
      }
    },
  );
});

describe(".env files", () => {
  const line = fc.oneof(
    fc
      .tuple(fc.constantFrom("A", "export B", "__proto__", "DB_PASSWORD"), anyText)
      .map(([name, value]) => `${name}=${value}`),
    fc.constantFrom("A=${B", "B=${A:-${A}}", "C='", 'D="', "E=$$", "F=${A:?no}", "toString", "#"),
    anyText,
  );
  const files = fc.array(line, { maxLength: 12 }).map((lines) => lines.join("\n"));

  hostile("any file is read, and what cannot be read is named by its line", files, (text) => {
    const { variables, problems } = parseEnvFile(text, {});
    for (const [name, value] of variables) {
      expect(name).toMatch(/^[A-Za-z0-9_.[\]-]+$/);
      expect(typeof value).toBe("string");
      expect(value).not.toContain("\u0000");
    }
    const count = text.split(/\r\n?|\n/).length;
    for (const { line: number, message } of problems) {
      expect(number).toBeGreaterThan(0);
      expect(number).toBeLessThanOrEqual(count);
      expectClear(message);
    }
  });

  hostile(
    "what stands between single quotes comes out as it went in",
    anyText.filter((text) => !/['\\\r\u0000]/.test(text)),
    (text) => {
      const { variables, problems } = parseEnvFile(`A='${text}'\nB=2`);
      expect(problems).toEqual([]);
      expect(variables.get("A")).toBe(text);
      expect(variables.get("B")).toBe("2");
    },
  );

  hostile(
    "a message holds nothing of a value",
    fc.constantFrom(
      `PASSWORD="${canarySecret}`,
      `PASSWORD='${canarySecret}' more`,
      `PASSWORD=\${${canarySecret}`,
      `PASSWORD=\${A ${canarySecret}}`,
      `PASS WORD=${canarySecret}`,
      `PASSWORD=${canarySecret}\u0000`,
    ),
    (text) => {
      const { problems } = parseEnvFile(text);
      expect(problems).toHaveLength(1);
      expectClear(problems[0]!.message);
    },
    { share: 0.1 },
  );

  it("names that every object has are looked up in the environment alone", () => {
    const { variables } = parseEnvFile("A=${toString}x\nB=${constructor:-y}\nhasOwnProperty", {});
    expect([...variables]).toEqual([
      ["A", "x"],
      ["B", "y"],
    ]);
  });

  it("values that double line by line end at what Linux takes, not at the end of the memory", () => {
    const doubling = [
      "A0=0123456789",
      ...Array.from({ length: 60 }, (_, index) => `A${index + 1}=$A${index}$A${index}`),
    ];
    const { problems } = parseEnvFile(doubling.join("\n"));
    expect(problems[0]!.message).toMatch(/^A\d+: is longer than 128 KiB/);
  });

  it.each([
    ["defaults within defaults", "A=" + "${B:-".repeat(20_000)],
    ["closed ones", "A=" + "${B:-".repeat(5_000) + "}".repeat(5_000)],
    ["blanks", `A=${" ".repeat(200_000)}x`],
    ["open quotes", 'A="\\'.repeat(50_000)],
    ["dollars", `A=${"$".repeat(100_000)}`],
    ["names", `${"a".repeat(200_000)}!`],
  ])("%s without end are read in bounded time", (_name, text) => {
    const started = performance.now();
    for (const { message } of parseEnvFile(text).problems) expectClear(message);
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});

describe("bounded time", () => {
  const repeated = [
    "a",
    " ",
    "/",
    ":",
    ".",
    "-",
    "@",
    "a:",
    "a.",
    "\t",
    "0",
    "$",
    "[",
    "{",
  ].flatMap((piece) => [`${piece.repeat(100_000)}!`, `http://a${piece.repeat(100_000)}\n`]);
  it.each(
    [...new Set([...repeated, ...notoriousTexts.filter((text) => text.length > 500)])].map(
      (text) => [text.slice(0, 12), text],
    ),
  )("no setting spends long on a long text of %j", (_name, text) => {
    const started = performance.now();
    for (const [key, schema] of Object.entries(stackSchema.shape)) validate(schema, text, key);
    const fields = Object.keys(stackSchema.shape.hosts.element.shape);
    const host = Object.fromEntries(fields.map((field) => [field, text]));
    const build = Object.fromEntries(
      Object.keys(stackFile["build"] as object).map((field) => [field, text]),
    );
    const file = { ...stackFile, hosts: [host], build, preset: text };
    for (const problem of readSettings(file, context).problems) {
      expectClear(formatProblem(problem));
    }
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});
