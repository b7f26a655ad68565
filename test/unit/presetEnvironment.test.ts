import { describe, expect, it } from "vitest";

import { readSettings } from "../../config/read";

/** The environment settings of a host under the preset legacy-2gb. */
function environmentOf(host: object, version = "v2.7.5", file: object = { preset: "legacy-2gb" }) {
  const { value, problems } = readSettings(
    {
      immich: { version, network: "immich_default", database: { container: "immich_postgres" } },
      hosts: [{ name: "attic", gpu: "GTX 750 Ti", ...host }],
      ...file,
    },
    { project: "immich-ml", stack: "home", secrets: { databasePassword: "x" } },
  );
  expect(problems).toEqual([]);
  return value!.hosts[0]!.environment;
}

describe("a legacy preset sets what its memory allows", () => {
  const sparing = { workers: 1, requestThreads: 1, maxBatchSizeFacialRecognition: 1, modelTtl: 10 };

  it("on a host that says nothing itself, also by models.extends", () => {
    expect(environmentOf({})).toMatchObject(sparing);
    const file = { models: { extends: "legacy-2gb", ocr: "off" } };
    expect(environmentOf({}, "v2.7.5", file)).toMatchObject(sparing);
  });

  it("but not over what the host says, under whatever name", () => {
    const environment = environmentOf({
      environment: { modelTtl: 300, MACHINE_LEARNING_REQUEST_THREADS: 4 },
    });
    expect(environment).toMatchObject({ workers: 1, modelTtl: 300 });
    expect(environment).not.toHaveProperty("requestThreads");
  });

  it("nothing on the CPU, and nothing without a legacy preset", () => {
    const cpu = { accelerator: "cpu", gpu: undefined };
    expect(environmentOf(cpu)).not.toHaveProperty("modelTtl");
    expect(environmentOf({}, "v2.7.5", { preset: "none" })).not.toHaveProperty("modelTtl");
  });
});
