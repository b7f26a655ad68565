import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, describe, expect, it } from "vitest";

import { formatProblem } from "../../config/errors";
import { readSettings } from "../../config/read";

const context = { project: "immich-ml", stack: "test", secrets: {} };

function read(more: object, version = "v2.7.5") {
  const immich = { version, network: "immich_default" };
  const { value, problems, notes } = readSettings(
    { immich, hosts: [{ name: "attic", ...more }] },
    context,
  );
  const [host] = value?.hosts ?? [];
  return { host, lines: problems.map((problem) => formatProblem(problem)), notes };
}

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

function envFile(...variables: string[]): string {
  const folder = mkdtempSync(join(tmpdir(), "immich-ml-test-env-"));
  folders.push(folder);
  const file = join(folder, ".env");
  writeFileSync(file, variables.join("\n"));
  return file;
}

describe("uncheckedEnvironment", () => {
  it("is passed on as it stands, with a note that nothing checks it", () => {
    const { host, lines, notes } = read({ uncheckedEnvironment: { MY_SWITCH: true, OTHER: 1 } });
    expect(lines).toEqual([]);
    expect(host!.uncheckedEnvironment).toEqual({ MY_SWITCH: "true", OTHER: "1" });
    expect(notes).toEqual([
      "attic: MY_SWITCH, OTHER (uncheckedEnvironment) is passed on as it is; nothing checks it",
    ]);
  });

  it.each([
    [{ "A-B": 1 }, {}, /A-B: is not a valid name of a variable/],
    [{ workers: 1 }, {}, /workers: is a variable this program knows; put it into environment/],
    [{ MACHINE_LEARNING_WORKERS: 1 }, {}, /put it into environment/],
    [{ HSA_USE_SVM: 1 }, { HSA_USE_SVM: 0 }, /HSA_USE_SVM: is also set in environment/],
    [{ MY_PASSWORD: "hidden" }, {}, /MY_PASSWORD: may be a secret.*an env file/],
    [{ MY_MIRROR: "http://me:hidden@mirror" }, {}, /MY_MIRROR: may be a secret/],
  ])("%j is refused", (uncheckedEnvironment, environment, message) => {
    const { lines } = read({ uncheckedEnvironment, environment });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^immich-ml:hosts\[0\]\.uncheckedEnvironment\./);
    expect(lines[0]).toMatch(message);
    expect(lines[0]).not.toContain("hidden");
  });
});

describe("the variables of an env file", () => {
  it("are checked like those of environment, and say where they stand", () => {
    const file = envFile("DB_PASSWORD=hidden", "MACHINE_LEARNING_WORKERS=many", "TZ=UTC");
    expect(read({ envFiles: [file] }).lines).toEqual([
      'immich-ml:hosts[0].envFiles: MACHINE_LEARNING_WORKERS: "many" is not a whole number of 1 or more',
    ]);
    const { lines } = read({ envFiles: [file], environment: { workers: 2 } });
    expect(lines).toEqual([]);
  });
});

describe("the control socket of gunicorn 25", () => {
  const arguments_ = (more: object, version?: string) =>
    read(more, version).host!.environment["GUNICORN_CMD_ARGS"];
  const image = "ghcr.io/immich-app/immich-machine-learning:v2.6.0@sha256:" + "0".repeat(64);

  it.each([
    ["v2.5.6", {}, undefined],
    ["v2.6.0", {}, "--no-control-socket"],
    ["v2.7.5", {}, "--no-control-socket"],
    ["v2.7.5", { accelerator: "openvino" }, "--no-control-socket"],
    ["v2.7.5", { image }, "--no-control-socket"],
    ["v2.7.5", { image: "my/own:1" }, undefined],
    ["v2.7.5", { gpu: "GTX 750 Ti" }, undefined],
    ["v3.0.0", {}, undefined],
  ])("is switched off with %s and %j: %s", (version, more, expected) => {
    expect(arguments_(more, version)).toBe(expected);
  });

  it("stays off with arguments of the user's, from wherever, in our image, too", () => {
    const own = { GUNICORN_CMD_ARGS: "--log-level debug" };
    const both = "--log-level debug --no-control-socket";
    expect(arguments_({ environment: own })).toBe(both);
    expect(arguments_({ gpu: "GTX 750 Ti", environment: own })).toBe(both);
    expect(arguments_({ envFiles: [envFile("GUNICORN_CMD_ARGS=--log-level debug")] })).toBe(both);
    expect(arguments_({ environment: { GUNICORN_CMD_ARGS: "--control-socket x" } })).toBe(
      "--control-socket x",
    );
  });
});

describe("a SOCKS proxy", () => {
  const proxy = "socks5h://proxy.lan:1080";

  it.each([
    [{ environment: { HTTPS_PROXY: proxy } }, "environment.HTTPS_PROXY"],
    [{ environment: { httpsProxy: proxy } }, "environment.httpsProxy"],
    [{ environment: { ALL_PROXY: proxy }, gpu: "5.0" }, "environment.ALL_PROXY"],
    [{ envFiles: [envFile(`HTTP_PROXY=${proxy}`)] }, "envFiles"],
  ])("is said to be unsupported by the image: %j", (more, key) => {
    const { lines } = read(more);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(`hosts[0].${key}: must be an http:// proxy`);
  });

  it("is left to an image of the user's own", () => {
    const { lines } = read({ image: "my/own:1", environment: { HTTPS_PROXY: proxy } });
    expect(lines).toEqual([]);
  });
});

it("says that Docker's choice of cards wins over NVIDIA_VISIBLE_DEVICES", () => {
  const { notes } = read({ gpu: "5.0", environment: { NVIDIA_VISIBLE_DEVICES: "1" } });
  expect(notes).toEqual([
    "attic: NVIDIA_VISIBLE_DEVICES has no effect: gpus decides which cards the container gets",
  ]);
});
