import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import * as pulumi from "@pulumi/pulumi";
import { beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";

import { ModelCache, type ModelCacheArgs } from "../../components/modelCache";

let inputs: unknown;
let copy: unknown;

beforeAll(async () => {
  await pulumi.runtime.setMocks({
    newResource: (args) => {
      if (args.type === "docker:index/volume:Volume") inputs = args.inputs;
      if (args.type === "command:local:Command") copy = args.inputs;
      return { id: args.name, state: args.inputs as object };
    },
    call: () => ({}),
  });
});

async function create(args?: ModelCacheArgs) {
  let options: pulumi.CustomResourceOptions = {};
  const cache = new ModelCache("attic-cache", args, {
    transformations: [
      ({ type, opts }) => {
        if (type === "docker:index/volume:Volume") options = opts;
        return undefined;
      },
    ],
  });
  const volumeName = await new Promise((resolve) => cache.volumeName!.apply(resolve));
  expect(await new Promise((resolve) => cache.volume!.id.apply(resolve))).toBe("attic-cache");
  return { volumeName, options, inputs };
}

describe("ModelCache", () => {
  it("makes the seed's volume and keeps it on destroy", async () => {
    const { volumeName, options, inputs } = await create();
    expect(volumeName).toBe("model-cache");
    expect(inputs).toEqual({ name: "model-cache", driver: "local", labels: [] });
    expect(options).toMatchObject({ retainOnDelete: true, ignoreChanges: ["labels"] });
  });

  it("makes nothing for a folder of the host, and copies models into it", async () => {
    const folder = mkdtempSync(join(tmpdir(), "immich-ml-test-models-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, "SHA256SUMS"), "abc  ./model.onnx\n");
    const path = "/mnt/user/appdata/immich-ml";
    copy = undefined;
    inputs = undefined;
    const cache = new ModelCache("attic-cache", { path, models: { folder, image: "sha256:abc" } });
    await vi.waitFor(() => expect(copy).toBeDefined());
    expect(copy).toMatchObject({
      environment: { FOLDER: folder, VOLUME: path },
      triggers: ["abc  ./model.onnx\n", path],
    });
    expect(inputs).toBeUndefined();
    expect(cache).toMatchObject({ volume: undefined, volumeName: undefined, path, retained: true });
    for (const beside of [{ volumeName: "b" }, { retain: false }]) {
      expect(() => new ModelCache("attic-cache", { path, ...beside })).toThrow(
        "attic-cache: path cannot be used with volumeName or retain: false",
      );
    }
  });

  it("deletes the volume on destroy where retain is false", async () => {
    const { options } = await create({ retain: false });
    expect(options.retainOnDelete).toBe(false);
  });

  it("puts labels on in the order of their names", async () => {
    const { inputs } = await create({ volumeName: "models", labels: { b: "2", a: "1" } });
    expect(inputs).toEqual({
      name: "models",
      driver: "local",
      labels: [
        { label: "a", value: "1" },
        { label: "b", value: "2" },
      ],
    });
  });

  it("copies models into the volume by the address of its engine", async () => {
    const folder = mkdtempSync(join(tmpdir(), "immich-ml-test-models-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, "SHA256SUMS"), "abc  ./model.onnx\n");
    copy = undefined;
    await create({ models: { folder, image: "sha256:abc", dockerHost: "ssh://me@gpu-box" } });
    // Registered once the volume has its name, after the component's outputs.
    await vi.waitFor(() => expect(copy).toBeDefined());
    expect(copy).toEqual({
      create: `exec sh ${join(process.cwd(), "components/placeModels.sh")}`,
      environment: {
        FOLDER: folder,
        VOLUME: "model-cache",
        IMAGE: "sha256:abc",
        DOCKER_HOST: "ssh://me@gpu-box",
      },
      triggers: ["abc  ./model.onnx\n", "attic-cache"],
      addPreviousOutputInEnv: false,
    });
  });
});
