import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import fc from "fast-check";
import { afterAll, describe, expect, it, onTestFinished } from "vitest";

import { formatProblem } from "../../config/errors";
import { readSettings } from "../../config/read";
import { withDetectedGpus } from "../../config/resolve";
import type { Context, Settings } from "../../config/settings";

const context: Context = {
  project: "immich-ml",
  stack: "test",
  secrets: { databasePassword: "secret" },
};

const attic = {
  name: "attic",
  gpu: "GeForce GTX 750 Ti",
  containerName: "immich_machine_learning",
};
const good = {
  immich: {
    version: "v2.7.5",
    network: "immich_default",
    database: { container: "immich_postgres" },
  },
  preset: "legacy-2gb",
  hosts: [attic],
};

function read(file: Record<string, unknown>, around: Partial<Context> = {}) {
  const { value: settings, problems, notes } = readSettings(file, { ...context, ...around });
  return { settings, notes, lines: problems.map((problem) => formatProblem(problem)) };
}

function settingsOf(file: Record<string, unknown>, around?: Partial<Context>): Settings {
  const { settings, lines } = read(file, around);
  expect(lines).toEqual([]);
  return settings!;
}

describe("an engine behind TLS", () => {
  const folder = mkdtempSync(join(tmpdir(), "immich-ml-test-tls-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  for (const file of ["ca.pem", "cert.pem", "key.pem"]) {
    writeFileSync(join(folder, file), "-----BEGIN SOMETHING-----\n");
  }
  const box = (more: object) => ({
    ...good,
    hosts: [{ name: "box", dockerHost: "tcp://box:2376", network: "x", tls: folder, ...more }],
  });

  it("is reached with the certificates of a folder", () => {
    expect(settingsOf(box({})).hosts[0]).toMatchObject({ tls: folder });
  });

  it.each([
    [
      "a folder that is not there",
      { tls: "/nowhere" },
      /ca\.pem and cert\.pem and key\.pem cannot/,
    ],
    ["ssh", { dockerHost: "ssh://me@box" }, /is for dockerHost tcp:\/\/host:port, not ssh:/],
    ["a socket", { dockerHost: "unix:///x" }, /is for dockerHost tcp:\/\/host:port, not unix:/],
    ["an image built there", { gpu: "GTX 750 Ti" }, /cannot be used with an image that is built/],
  ])("is refused with %s", (_what, more, message) => {
    const { lines } = read(box(more));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^immich-ml:hosts\[0\]\.tls/);
    expect(lines[0]).toMatch(message);
  });

  it("is one and the same for all hosts on it, and for Immich's own engine", () => {
    const hosts = [...box({}).hosts, { ...box({}).hosts[0], name: "twin", tls: undefined }];
    expect(read({ ...good, hosts }).lines).toEqual([
      expect.stringMatching(/^immich-ml:hosts\[1\]\.tls.*must be that of host box/),
    ]);
    const immich = { ...good.immich, tls: folder };
    expect(read({ ...good, immich }).lines).toEqual([
      expect.stringMatching(/^immich-ml:immich\.tls.*not unix:/),
    ]);
  });
});

describe("what a stack file means", () => {
  it("gives a GTX 750 Ti the legacy image, all else by default", () => {
    const [host] = settingsOf(good).hosts;
    expect(host).toMatchObject({
      accelerator: "cuda",
      gpu: { computeCapability: "5.0", videoMemory: 2048 },
      image: { kind: "legacy", gpuFamily: "kepler-maxwell" },
      dockerHost: "unix:///var/run/docker.sock",
      cache: { kind: "volume", volume: "immich-ml-attic-cache", keep: true },
      networkAlias: "immich-machine-learning",
      url: "http://immich-machine-learning:3003",
      restart: "always",
    });
  });

  it("takes a compute capability that YAML has turned into a number", () => {
    const [host] = settingsOf({ ...good, hosts: [{ ...attic, gpu: 5 }] }).hosts;
    expect(host!.gpu!.computeCapability).toBe("5.0");
  });

  it.each([
    [1060, "6.1", 3072],
    [960, "5.2", 2048],
    ["GTX 960 4GB", "5.2", 4096],
  ])("takes %j for the card", (gpu, computeCapability, videoMemory) => {
    const [host] = settingsOf({ ...good, preset: "none", hosts: [{ ...attic, gpu }] }).hosts;
    expect(host!.gpu).toMatchObject({ computeCapability, videoMemory });
  });

  it("gives a card the official image still serves the official image of the server's version", () => {
    const [host] = settingsOf({ ...good, hosts: [{ ...attic, gpu: "8.6" }] }).hosts;
    expect(host!.image).toEqual({
      kind: "official",
      reference: "ghcr.io/immich-app/immich-machine-learning:v2.7.5-cuda",
    });
  });

  it("gives a GTX 1060 an image of ours, unasked, from the first Immich whose lock is not known", () => {
    const imageUnder = (version: string) =>
      settingsOf({
        ...good,
        immich: { ...good.immich, version },
        hosts: [{ ...attic, gpu: "GeForce GTX 1060" }],
      }).hosts[0]!.image;
    expect(imageUnder("v3.1.0")).toMatchObject({ kind: "official" });
    expect(imageUnder("v3.2.0")).toEqual({ kind: "legacy", gpuFamily: "pascal-volta" });
  });

  it.each([
    ["GeForce GT 430", "2.1"],
    ["GeForce GTX 680", "3.0"],
    ["GeForce GT 710", "3.5"],
    ["Tesla K40", "3.5"],
  ])("refuses %s, for which no wheel has code, with the reason", (gpu, capability) => {
    const { lines } = read({ ...good, preset: "none", hosts: [{ ...attic, gpu }] });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain("hosts[0].gpu");
    expect(lines[0]).toContain(gpu);
    expect(lines[0]).toContain(
      `no ONNX Runtime wheel has machine code for compute capability ${capability}`,
    );
    expect(lines[0]).toContain("use accelerator cpu");
  });

  it("runs on the CPU when no card is named", () => {
    const [host] = settingsOf({ ...good, hosts: [{ name: "plain" }] }).hosts;
    expect(host).toMatchObject({
      accelerator: "cpu",
      image: {
        kind: "official",
        reference: expect.stringMatching(
          /^ghcr.io\/immich-app\/immich-machine-learning:v2.7.5@sha256:/,
        ) as string,
      },
    });
  });

  it("takes the GPU that was detected on a host whose gpu is auto", () => {
    const settings = settingsOf({ ...good, hosts: [{ ...attic, gpu: "auto" }] });
    expect(settings.hosts[0]!.image).toBeUndefined();
    const detected = { attic: { computeCapability: "5.2", videoMemory: 3072 } };
    const complete = withDetectedGpus(settings, detected);
    expect(complete.problems).toEqual([]);
    expect(complete.value!.hosts[0]).toMatchObject({
      gpu: detected.attic,
      image: { kind: "legacy", gpuFamily: "maxwell" },
    });
    expect(settings.hosts[0]!.gpu).toBeUndefined();
  });

  it("refuses models that do not fit a detected GPU", () => {
    const settings = settingsOf({ ...good, preset: "large", hosts: [{ ...attic, gpu: "auto" }] });
    const detected = { attic: { computeCapability: "6.1", videoMemory: 3072 } };
    const { problems } = withDetectedGpus(settings, detected);
    expect(problems).toMatchObject([{ key: "preset", value: "large" }]);
  });

  it("names the second host by its own name, so that both can be reached on one network", () => {
    const { hosts } = settingsOf({ ...good, hosts: [attic, { name: "cellar" }] });
    expect(hosts.map((host) => host.url)).toEqual([
      "http://immich-machine-learning:3003",
      "http://cellar:3003",
    ]);
  });

  it("hands Immich the published address of a host elsewhere", () => {
    const dockerHost = "ssh://me@gpu-box";
    const cellar = { name: "cellar", dockerHost, publish: { address: "192.168.1.20" } };
    const ipv6 = { name: "roof", dockerHost, publish: { address: "fd00::2", port: 3004 } };
    const { hosts } = settingsOf({ ...good, hosts: [cellar, ipv6] });
    expect(hosts.map((host) => host.url)).toEqual([
      "http://192.168.1.20:3003",
      "http://[fd00::2]:3004",
    ]);
  });

  it("hands on what the env files say, a later file winning", () => {
    const folder = mkdtempSync(join(tmpdir(), "immich-ml-test-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, "a.env"), "DB_PASSWORD=hunter2\nTZ=Europe/Berlin\n");
    writeFileSync(join(folder, "b.env"), "TZ=Asia/Shanghai\n");
    const envFiles = [
      join(folder, "a.env"),
      { path: join(folder, "b.env"), required: true },
      { path: join(folder, "none.env"), required: false },
    ];
    const [host] = settingsOf({ ...good, hosts: [{ ...attic, envFiles }] }).hosts;
    expect(host!.environmentFile).toEqual({ DB_PASSWORD: "hunter2", TZ: "Asia/Shanghai" });
  });

  it("hands Immich the name on the network both share, and the port that was chosen", () => {
    const published = { ...attic, publish: { address: "127.0.0.1" } };
    expect(settingsOf({ ...good, hosts: [published] }).hosts[0]!.url).toBe(
      "http://immich-machine-learning:3003",
    );
    const moved = { ...attic, environment: { port: 4000 } };
    expect(settingsOf({ ...good, hosts: [moved] }).hosts[0]!.url).toBe(
      "http://immich-machine-learning:4000",
    );
  });

  it("sets models of one's own that start from a preset", () => {
    const models = { extends: "legacy-2gb", clip: "RN50__openai" };
    expect(settingsOf({ ...good, preset: "none", models }).models).toMatchObject({
      clip: { modelName: "RN50__openai" },
      ocr: false,
    });
  });

  it("leaves Immich's configuration alone without a preset, and then needs no way into it", () => {
    const settings = settingsOf({
      immich: { version: "v2.7.5", network: "immich_default" },
      hosts: [attic],
    });
    expect(settings.models).toBeUndefined();
  });
});

describe("keys with another name now", () => {
  it.each([
    ["proof", "check", "warn"],
    ["runtime", "imageVariant", "maxwell"],
  ])("%s still means %s, with a note", (old, now, value) => {
    const file = (key: string) => ({
      ...good,
      hosts: [{ ...attic, gpu: "GTX 960", [key]: value }],
    });
    const { settings, lines, notes } = read(file(old));
    expect(lines).toEqual([]);
    expect(settings!.hosts).toEqual(settingsOf(file(now)).hosts);
    expect(notes).toEqual([
      `hosts[0].${old} is now called ${now}; the old name works in this release only`,
    ]);
  });

  it("is an error beside the new one", () => {
    const hosts = [{ ...attic, proof: "warn", check: "off" }];
    expect(read({ ...good, hosts }).lines).toEqual([
      'immich-ml:hosts[0].proof: "warn": is now called check, which is also set; remove proof',
    ]);
  });

  it("checks the value under the new name", () => {
    const hosts = [{ ...attic, proof: "perhaps" }];
    expect(read({ ...good, hosts }).lines).toEqual([
      expect.stringMatching(/^immich-ml:hosts\[0\]\.check: "perhaps": must be one of enforce/),
    ]);
  });
});

describe("errors in a stack file", () => {
  const host = (fields: Record<string, unknown>) => ({ ...good, hosts: [{ ...attic, ...fields }] });
  it.each([
    [
      "an unknown accelerator",
      host({ accelerator: "cudda" }),
      ["hosts[0].accelerator", "cudda", 'did you mean "cuda"'],
    ],
    [
      "an accelerator with two letters exchanged",
      host({ accelerator: "cdua" }),
      ["hosts[0].accelerator", 'did you mean "cuda"'],
    ],
    ["an unknown card", host({ gpu: "GTX 751 Ti" }), ["hosts[0].gpu", "GTX 751 Ti", "750 Ti"]],
    ["a card no runtime serves", host({ gpu: "3.0" }), ["hosts[0].gpu", "3.0"]],
    [
      "an unknown image variant",
      host({ imageVariant: "maxwel" }),
      ["hosts[0].imageVariant", 'did you mean "maxwell"'],
    ],
    [
      "an image variant that has no code for the GPU",
      host({ imageVariant: "pascal-volta" }),
      ["hosts[0].imageVariant", "5.0"],
    ],
    [
      "an unknown preset",
      { ...good, preset: "legacy-2bg" },
      ["preset", "legacy-2bg", "legacy-2gb"],
    ],
    [
      "an unknown model",
      { ...good, models: { clip: "ViT-B-32__opnai" } },
      ["models", "ViT-B-32__openai"],
    ],
    ["the seed's OCR model", { ...good, models: { ocr: "DuOCR" } }, ["DuOCR"]],
    [
      "a negative limit",
      host({ limits: { memory: -1 } }),
      ["hosts[0].limits.memory", "-1", "whole number"],
    ],
    [
      "a fractional limit",
      host({ environment: { workers: 1.5 } }),
      ["hosts[0].environment.workers", "1.5", "whole number"],
    ],
    [
      "a negative variable",
      host({ environment: { workers: -2 } }),
      ["hosts[0].environment.workers", "-2"],
    ],
    [
      "a variable that release does not have",
      {
        hosts: [{ name: "a", environment: { openvinoPrecision: "FP16" } }],
        immich: { ...good.immich, version: "v1.120.0" },
        preset: "none",
      },
      ["hosts[0].environment.openvinoPrecision"],
    ],
    [
      "a misspelt variable",
      host({ environment: { MACHINE_LEARNING_MODEL_TLL: 1 } }),
      ["MACHINE_LEARNING_MODEL_TTL"],
    ],
    [
      "a misspelt setting",
      host({ contanerName: "x" }),
      ["hosts[0].contanerName", 'did you mean "containerName"'],
    ],
    [
      "a moving tag for a version",
      { ...good, immich: { ...good.immich, version: "release" } },
      ["immich.version", "release", "v2.7.5"],
    ],
    [
      "a duplicate host",
      {
        ...good,
        hosts: [attic, { name: "attic", containerName: "b", cacheVolume: "b", networkAlias: "b" }],
      },
      ["hosts[1].name", "attic", "hosts[0].name"],
    ],
    [
      "a duplicate container name",
      { ...good, hosts: [attic, { ...attic, name: "cellar" }] },
      ["hosts[1].containerName", "immich_machine_learning", "hosts[0]"],
    ],
    [
      "a shell where an endpoint belongs",
      host({ dockerHost: "ssh://a; rm -rf /" }),
      ["hosts[0].dockerHost"],
    ],
    [
      "an env file that is not there",
      host({ envFiles: ["/nowhere/.env"] }),
      ["hosts[0].envFiles[0]", "/nowhere/.env"],
    ],
    [
      "both ways into Immich",
      { ...good, immich: { ...good.immich, api: { url: "http://x:2283/api" } } },
      ["immich", "not both"],
    ],
    [
      "no way into Immich",
      { ...good, immich: { version: "v2.7.5", network: "x" } },
      ["immich", "database"],
    ],
    [
      "devices on the CPU",
      { ...good, hosts: [{ name: "a", devices: { count: 1 } }] },
      ["hosts[0].devices"],
    ],
    [
      "a host elsewhere without a port",
      host({ dockerHost: "ssh://me@gpu-box" }),
      ["hosts[0]", "publish"],
    ],
    [
      "two hosts under one name on a network",
      { ...good, hosts: [attic, { name: "b", networkAlias: "immich-machine-learning" }] },
      ["hosts[1].networkAlias"],
    ],
    [
      "an image beside an image variant",
      host({ image: "me/ml:V1", imageVariant: "maxwell" }),
      ["hosts[0].imageVariant", "image"],
    ],
    [
      "a certificate that is not there",
      { ...good, build: { caCertificate: "/nowhere.pem" } },
      ["build.caCertificate", "/nowhere.pem"],
    ],
    [
      "a password in the package index",
      { ...good, build: { packageIndex: "https://me:hidden@x/simple" } },
      ["build.packageIndex", "without a user"],
    ],
    ...(
      [
        ["ssh-agent", host({ dockerHost: "ssh://pi:hidden@box", network: "immich" })],
        ["ssh-copy-id", { ...good, immich: { ...good.immich, dockerHost: "ssh://pi:hidden@box" } }],
        ["without a user", host({ url: "http://me:hidden@x:3003" })],
        ["envFiles", host({ environment: { huggingFaceEndpoint: "https://me:hidden@x" } })],
        ["env file", host({ environment: { HTTPS_PROXY: "http://me:hidden@x" } })],
        ["password", { ...good, build: { aptMirror: "http://me:hidden@x" } }],
        ["docker login", { ...good, build: { imageMirror: "me:hidden@x:5000" } }],
      ] as [string, Record<string, unknown>][]
    ).map(([cure, file]): [string, Record<string, unknown>, string[]] => [
      `an address with a password (${cure})`,
      file,
      [cure],
    ]),
    [
      "an address that is none",
      host({ publish: { address: "999.1.1.1" } }),
      ["hosts[0].publish.address"],
    ],
    [
      "a wildcard address Immich cannot use",
      {
        ...good,
        immich: { ...good.immich, network: undefined },
        hosts: [{ name: "a", publish: { address: "0.0.0.0" } }],
      },
      ["hosts[0].url"],
    ],
    [
      "a list instead of an object",
      host({ limits: "2g" }),
      ["hosts[0].limits", "{ memory, cpus, swap, cpuset }"],
    ],
    ["a missing immich", { ...good, immich: undefined }, ["immich-ml:immich", "server's version"]],
    ["jobs that nobody can start", { ...good, reindex: true }, ["reindex", "immich.api"]],
    ["no hosts", { ...good, hosts: [] }, ["hosts", "at least one"]],
    [
      "a port on every interface left open by a wildcard name",
      host({ publish: { address: "all" } }),
      ["publish.address", "all"],
    ],
  ])("%s is one line that names the key and what is allowed", (_name, file, parts) => {
    const { lines, settings } = read(file);
    expect(settings).toBeUndefined();
    expect(lines).toHaveLength(1);
    for (const part of parts) expect(lines[0]).toContain(part);
    expect(lines[0]).toMatch(/^immich-ml:/);
    expect(lines[0]).not.toContain("hidden");
  });

  it("names the command that sets a missing password", () => {
    const { lines } = read(good, { secrets: {} });
    expect(lines).toEqual([
      "immich-ml:databasePassword: is missing: the password of Immich's database; set it with: pulumi config set --secret immich-ml:databasePassword",
    ]);
  });

  it("are all reported at once, those of shape and those of meaning", () => {
    const { lines } = read({
      immich: { version: "v2.7.5", network: "x", databse: {} },
      preset: "legacy-2bg",
      hosts: [
        attic,
        { name: "cellar", accelerator: "cudda", limits: { memory: -5 } },
        { name: "roof", restart: "never", publish: { address: "all" } },
      ],
    });
    expect(lines).toHaveLength(6);
  });

  it("never crash the reader: any value at any place gives lines, not an exception", () => {
    const junk = fc.anything({ withNullPrototype: false });
    fc.assert(
      fc.property(junk, junk, junk, (hosts, immich, models) => {
        read({ ...good, hosts, immich, models });
        read({ ...good, hosts: [{ ...attic, environment: hosts, gpu: immich, publish: models }] });
      }),
      { numRuns: 300 },
    );
  });
});
