import { describe, expect, it } from "vitest";

import { assignGpus, protectSharedCache } from "../../catalog/deviceIds";
import { parseImmichVersion } from "../../catalog/immichVersion";
import { readSettings } from "../../config/read";

const version = parseImmichVersion("v2.7.5")!;
const assign = (variables: Record<string, string>, gpus?: number) =>
  assignGpus(variables, gpus, version);
const ids = (text: string) => ({ MACHINE_LEARNING_DEVICE_IDS: text });
const workers = (text: string) => ({ MACHINE_LEARNING_WORKERS: text });
const ttl = (text: string) => ({ MACHINE_LEARNING_MODEL_TTL: text });

describe("the GPUs of one container", () => {
  it("one GPU needs no setting", () => {
    expect(assign({}, 1)).toEqual({ value: {}, problems: [], notes: [] });
    expect(assign(ids("0"), 1)).toEqual({ value: {}, problems: [], notes: [] });
  });

  it("each of several GPUs gets a worker", () => {
    expect(assign({}, 2).value).toEqual({ deviceIds: "0,1", workers: 2, modelTtl: 0 });
    expect(assign({}, 3).value).toEqual({ deviceIds: "0,1,2", workers: 3, modelTtl: 0 });
  });

  it("what is set stays, and only what is missing is added", () => {
    expect(assign({ ...workers("4"), ...ttl("0") }, 2).value).toEqual({ deviceIds: "0,1" });
    expect(assign({ ...ids("1,0"), ...ttl("0") }, 2).value).toEqual({ workers: 2 });
    expect(assign({ ...ids("0,1"), ...workers("2") }, 2).value).toEqual({ modelTtl: 0 });
    expect(assign({ ...ids("0,1"), ...workers("2"), ...ttl("0") }, 2).value).toEqual({});
  });

  it("the workers of several GPUs never end, with a note; those of one may", () => {
    expect(assign({}, 2).notes).toEqual([expect.stringContaining("environment.modelTtl is 0")]);
    const neverLooks = { ...ttl("300"), MACHINE_LEARNING_MODEL_TTL_POLL_S: "0" };
    expect(assign(neverLooks, 2)).toMatchObject({ problems: [], notes: [] });
    expect(assign(neverLooks, 2).value).not.toHaveProperty("modelTtl");
    expect(assign(ttl("300"), 1)).toEqual({ value: {}, problems: [], notes: [] });
    expect(assign({ ...ids("0,0"), ...ttl("300") }, 1).problems).toEqual([]);
  });

  it("a note names how many GPUs are left out on purpose", () => {
    expect(assign(ids("1"), 2)).toEqual({
      value: {},
      problems: [],
      notes: ["environment.deviceIds uses 1 of the container's 2 GPUs"],
    });
  });

  it("of an unknown number of GPUs the first is used, with a note", () => {
    expect(assign({}, undefined)).toMatchObject({
      value: {},
      notes: [expect.stringContaining("only the first GPU is used")],
    });
    expect(assign(ids("0,1"), undefined)).toMatchObject({
      value: { workers: 2, modelTtl: 0 },
      problems: [],
    });
  });

  it.each([
    [
      "a number of the host instead of the container's",
      ids("1"),
      1,
      "environment.deviceIds",
      /^names GPU 1, but the container has one GPU, number 0, whatever/,
    ],
    [
      "a GPU too many",
      ids("0,1,2"),
      2,
      "environment.deviceIds",
      /^names GPU 2, but the container has 2 GPUs, numbers 0 to 1, whatever/,
    ],
    [
      "fewer workers than GPUs",
      workers("1"),
      2,
      "environment.workers",
      /^is 1, but 2 GPUs need 2 workers/,
    ],
    [
      "fewer workers than chosen GPUs",
      { ...ids("0,2"), ...workers("1") },
      3,
      "environment.workers",
      /^is 1, but 2 GPUs need 2 workers/,
    ],
    [
      "a time-out, after which every worker would use one GPU",
      ttl("300"),
      2,
      "environment.modelTtl",
      /^is 300, but must be 0 with several GPUs/,
    ],
  ])("%s is refused", (_what, variables, gpus, setting, message) => {
    const { value, problems } = assign(variables, gpus);
    expect(value).toEqual({});
    expect(problems).toEqual([
      { key: setting, expected: expect.stringMatching(message) as string },
    ]);
  });

  it("an Immich that uses one GPU only is refused several", () => {
    const old = parseImmichVersion("v1.117.0")!;
    expect(assignGpus({}, 2, old).problems).toMatchObject([{ key: "gpus" }]);
    expect(assignGpus({}, 1, old).problems).toEqual([]);
  });
});

describe("the GPUs of a stack file's host", () => {
  const read = (host: object) =>
    readSettings(
      {
        immich: { version: "v2.7.5", network: "immich_default" },
        hosts: [{ name: "attic", gpu: "Tesla K80", ...host }],
      },
      { project: "immich-ml", stack: "test", secrets: {} },
    );
  const environment = (host: object) => {
    const { value: settings, problems } = read(host);
    expect(problems).toEqual([]);
    return settings!.hosts[0]!.environment;
  };

  const twoGpus = { workers: 2, modelTtl: 0, maxBatchSizeFacialRecognition: 1 };

  it.each([
    [{ count: 2 }],
    [{ ids: [2, 5] }],
    [{ ids: ["GPU-8e5e22a2", "GPU-1f00aa10"] }],
    [{ cdi: ["nvidia.com/gpu=2", "nvidia.com/gpu=5"] }],
  ])("%j are numbered 0 and 1 in the container, with two workers", (gpus) => {
    expect(environment({ gpus })).toEqual({ ...twoGpus, deviceIds: "0,1" });
  });

  it.each([[undefined], [{ count: 1 }], [{ ids: [3] }], [{ count: "all" }]])(
    "%j adds nothing",
    (gpus) => {
      expect(environment(gpus ? { gpus } : {})).toEqual({});
    },
  );

  it("of all GPUs by their CDI name, those that are named get workers", () => {
    expect(
      environment({ gpus: { cdi: ["nvidia.com/gpu=all"] }, environment: { deviceIds: "0,1" } }),
    ).toEqual({ ...twoGpus, deviceIds: "0,1" });
  });

  it("a contradiction is an error of the stack file, with its key", () => {
    expect(
      read({ gpus: { ids: [1] }, environment: { deviceIds: "1" } }).problems.map(({ key }) => key),
    ).toEqual(["hosts[0].environment.deviceIds"]);
  });
});

describe("several servers on one cache", () => {
  const protect = (variables: Record<string, string>, isShared = false, release = version) =>
    protectSharedCache(variables, isShared, release);
  const batch = (text: string) => ({ MACHINE_LEARNING_MAX_BATCH_SIZE__FACIAL_RECOGNITION: text });

  it("get one face at a time, so that none rewrites the recogniser under another", () => {
    const one = { value: { maxBatchSizeFacialRecognition: 1 }, problems: [], notes: [] };
    expect(protect(workers("2"))).toEqual(one);
    expect(protect({}, true)).toEqual(one);
    expect(protect({ ...workers("2"), ...batch("1") })).toEqual({ ...one, value: {} });
  });

  it("one server is left alone, and a release that has no such limit", () => {
    expect(protect({}).value).toEqual({});
    expect(protect(workers("1")).value).toEqual({});
    expect(protect(workers("2"), false, parseImmichVersion("v1.118.0")).value).toEqual({});
  });

  it("a larger batch in the stack file stays, with a note", () => {
    expect(protect({ ...workers("2"), ...batch("8") })).toEqual({
      value: {},
      problems: [],
      notes: [expect.stringContaining("1 prevents it")],
    });
  });
});
