import * as pulumi from "@pulumi/pulumi";
import { beforeAll, describe, expect, it } from "vitest";

import { ModelCache, type ModelCacheArgs } from "../../components/modelCache";

let inputs: unknown;

beforeAll(async () => {
  await pulumi.runtime.setMocks({
    newResource: (args) => {
      if (args.type === "docker:index/volume:Volume") inputs = args.inputs;
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
  const volumeName = await new Promise((resolve) => cache.volumeName.apply(resolve));
  return { volumeName, options, inputs };
}

describe("ModelCache", () => {
  it("makes the seed's volume and keeps it when the stack goes", async () => {
    const { volumeName, options, inputs } = await create();
    expect(volumeName).toBe("model-cache");
    expect(inputs).toEqual({ name: "model-cache", driver: "local", labels: [] });
    expect(options).toMatchObject({ retainOnDelete: true, ignoreChanges: ["labels"] });
  });

  it("lets the volume go when told so", async () => {
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
});
