import { describe, expect, it } from "vitest";

import { readSettings } from "../../config/read";

function read(host: object, version = "v2.7.5", file: object = { preset: "legacy-2gb" }) {
  return readSettings(
    {
      immich: { version, network: "immich_default", database: { container: "immich_postgres" } },
      hosts: [{ name: "attic", gpu: "GTX 750 Ti", ...host }],
      ...file,
    },
    { project: "immich-ml", stack: "home", secrets: { databasePassword: "x" } },
  );
}

/** The environment settings of a host under the preset legacy-2gb. */
function environmentOf(...given: Parameters<typeof read>) {
  const { value, problems } = read(...given);
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

  it("but not what several GPUs of one container need otherwise", () => {
    const environment = environmentOf({ gpus: { count: 2 } });
    expect(environment).toMatchObject({ ...sparing, deviceIds: "0,1", workers: 2, modelTtl: 0 });
    const chosen = environmentOf({ gpus: { count: "all" }, environment: { deviceIds: "0,1" } });
    expect(chosen).toEqual(environment);
    expect(environmentOf({ gpus: { count: 1 } })).toMatchObject(sparing);
    const { problems } = read({ gpus: { count: 2 }, environment: { modelTtl: 300 } });
    expect(problems.map(({ key }) => key)).toEqual(["hosts[0].environment.modelTtl"]);
  });

  it("nothing on the CPU, and nothing without a legacy preset", () => {
    const cpu = { accelerator: "cpu", gpu: undefined };
    expect(environmentOf(cpu)).not.toHaveProperty("modelTtl");
    expect(environmentOf({}, "v2.7.5", { preset: "none" })).not.toHaveProperty("modelTtl");
  });
});
