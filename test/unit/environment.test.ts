import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { environmentSettings } from "../../catalog/environment";
import { parseImmichVersion } from "../../catalog/immichVersion";
import { isSecretVariable, renderEnvironment } from "../../catalog/renderEnvironment";

const version = (text: string) => parseImmichVersion(text)!;
const current = version("v2.7.5");

describe("renderEnvironment", () => {
  it("renders the seed's machine, and says what has no effect there", () => {
    const rendered = renderEnvironment(
      { workers: 1, maxJobsPerWorker: 1, modelTtl: 10, annFp16Turbo: false, device: "cuda" },
      current,
      "cuda",
    );
    expect(rendered.problems).toEqual([]);
    expect(rendered.variables).toEqual({
      DEVICE: "cuda",
      MACHINE_LEARNING_ANN_FP16_TURBO: "false",
      MACHINE_LEARNING_MAX_JOBS_PER_WORKER: "1",
      MACHINE_LEARNING_MODEL_TTL: "10",
      MACHINE_LEARNING_WORKERS: "1",
    });
    expect(rendered.notes).toEqual([
      expect.stringMatching(
        /^MACHINE_LEARNING_MAX_JOBS_PER_WORKER=1 has no effect: .*requestThreads/,
      ),
      "MACHINE_LEARNING_ANN_FP16_TURBO=false has no effect: only armnn reads it",
      expect.stringMatching(/^DEVICE=cuda has no effect: it is an argument of the image's build/),
    ]);
  });

  it("takes the variables' own names as well, in the order of the names", () => {
    const { variables } = renderEnvironment(
      { MACHINE_LEARNING_WORKERS: "2", HF_ENDPOINT: "https://mirror.example", logLevel: "debug" },
      current,
      "cpu",
    );
    expect(Object.entries(variables)).toEqual([
      ["HF_ENDPOINT", "https://mirror.example"],
      ["IMMICH_LOG_LEVEL", "debug"],
      ["MACHINE_LEARNING_WORKERS", "2"],
    ]);
  });

  it("finds nothing useless in what an accelerator reads itself", () => {
    expect(renderEnvironment({ annFp16Turbo: true }, current, "armnn").notes).toEqual([]);
    expect(renderEnvironment({ device: "rocm" }, version("v3.0.0"), "rocm").notes).toEqual([]);
  });

  it.each([
    ["v2.2.0", "MACHINE_LEARNING_MAX_BATCH_SIZE__TEXT_RECOGNITION"],
    ["v2.5.6", "MACHINE_LEARNING_MAX_BATCH_SIZE__TEXT_RECOGNITION"],
    ["v2.6.0", "MACHINE_LEARNING_MAX_BATCH_SIZE__OCR"],
    ["v3.1.0", "MACHINE_LEARNING_MAX_BATCH_SIZE__OCR"],
  ])("calls the batch size of OCR in Immich %s %s", (release, variable) => {
    const { variables } = renderEnvironment({ maxBatchSizeOcr: 2 }, version(release), "cuda");
    expect(variables).toEqual({ [variable]: "2" });
  });

  it("keeps OCR alive in v2.5 when only the faces' batch size is set", () => {
    const { variables, notes } = renderEnvironment(
      { maxBatchSizeFacialRecognition: 1 },
      version("v2.5.5"),
      "cuda",
    );
    expect(variables).toEqual({
      MACHINE_LEARNING_MAX_BATCH_SIZE__FACIAL_RECOGNITION: "1",
      MACHINE_LEARNING_MAX_BATCH_SIZE__TEXT_RECOGNITION: "6",
    });
    expect(notes).toEqual([expect.stringContaining("immich#26524")]);
  });

  it("leaves the faces' batch size alone where Immich has no such fault", () => {
    const { variables } = renderEnvironment({ maxBatchSizeFacialRecognition: 1 }, current, "cuda");
    expect(Object.keys(variables)).toEqual(["MACHINE_LEARNING_MAX_BATCH_SIZE__FACIAL_RECOGNITION"]);
  });

  it.each([
    [{ workers: 0 }, "workers", "0 is not a whole number of 1 or more"],
    [{ workers: -1 }, "workers", "-1 is not a whole number of 1 or more"],
    [{ modelTtl: 1.5 }, "modelTtl", "1.5 is not a whole number of 0 or more"],
    [{ requestThreads: "many" }, "requestThreads", '"many" is not a whole number of 0 or more'],
    [{ port: 70000 }, "port", "70000 is not a whole number from 1 to 65535"],
    [{ modelArena: "perhaps" }, "modelArena", '"perhaps" is not true or false'],
    [
      { logLevel: "loud" },
      "logLevel",
      '"loud" is not one of critical, error, warning, warn, info, log, debug, verbose',
    ],
    [
      { deviceIds: "0,b" },
      "deviceIds",
      '"0,b" is not GPU numbers as the container counts them, separated by commas',
    ],
    [
      { huggingFaceEndpoint: "mirror.example" },
      "huggingFaceEndpoint",
      '"mirror.example" is not an http:// or https:// address',
    ],
    [{ timeZone: "" }, "timeZone", '"" is not an address without blanks'],
  ])("refuses %o and says what is allowed", (settings, name, message) => {
    const { problems, variables } = renderEnvironment(settings, current, "cuda");
    expect(problems).toEqual([{ name, message }]);
    expect(variables).toEqual({});
  });

  it.each([
    ["wokers", "workers"],
    ["modelTTL", "modelTtl"],
    ["MACHINE_LEARNING_WORKER", "MACHINE_LEARNING_WORKERS"],
    ["machine_learning_model_ttl", "MACHINE_LEARNING_MODEL_TTL"],
  ])("offers for the unknown name %s the nearest, %s", (name, nearest) => {
    const { problems } = renderEnvironment({ [name]: 1 }, current, "cuda");
    expect(problems.map((problem) => problem.name)).toEqual([name]);
    expect(problems[0]?.message).toContain(`did you mean ${nearest}?`);
  });

  it("lists the known names where none is near", () => {
    const { problems } = renderEnvironment({ zzzzzzzzzzzz: 1 }, current, "cuda");
    expect(problems[0]?.message).toContain("known are cacheFolder, modelTtl,");
  });

  it("refuses a variable its Immich version does not read, and names the right ones", () => {
    const { problems } = renderEnvironment(
      { preloadOcrDetection: "PP-OCRv5_mobile" },
      version("v2.2.0"),
      "cuda",
    );
    expect(problems[0]?.message).toBe(
      "Immich v2.2.0 does not read it; there is MACHINE_LEARNING_PRELOAD__OCR__DETECTION since v2.3.0 (as preloadOcrDetection the right one is chosen)",
    );
    const byName = renderEnvironment(
      { MACHINE_LEARNING_MAX_BATCH_SIZE__OCR: 1 },
      version("v2.5.5"),
      "cuda",
    );
    expect(byName.problems[0]?.message).toContain(
      "MACHINE_LEARNING_MAX_BATCH_SIZE__TEXT_RECOGNITION since v2.2.0 before v2.6.0",
    );
  });

  it("refuses one variable under two names", () => {
    const { problems } = renderEnvironment(
      { workers: 1, MACHINE_LEARNING_WORKERS: 2 },
      current,
      "cuda",
    );
    expect(problems).toEqual([
      {
        name: "MACHINE_LEARNING_WORKERS",
        message: "given twice: workers and MACHINE_LEARNING_WORKERS",
      },
    ]);
  });

  it("passes unknown variables on to a release newer than any it knows, with a note", () => {
    const name = "MACHINE_LEARNING_MODEL_REVISION";
    expect(renderEnvironment({ [name]: "main" }, version("v3.1.9"), "cpu").problems).toHaveLength(
      1,
    );
    const { variables, notes, problems } = renderEnvironment(
      { [name]: "main" },
      version("v3.2.0"),
      "cpu",
    );
    expect(problems).toEqual([]);
    expect(variables).toEqual({ [name]: "main" });
    expect(notes).toEqual([expect.stringContaining("passed on unchecked")]);
  });

  it("never renders a value outside its limits, whatever number is given", () => {
    const numbers = environmentSettings.filter((row) => row.type.kind === "integer");
    fc.assert(
      fc.property(
        fc.constantFrom(...numbers),
        fc.oneof(fc.integer(), fc.double()),
        (row, value) => {
          const { variables, problems } = renderEnvironment(
            { [row.setting]: value },
            current,
            "cuda",
          );
          const { minimum, maximum = Infinity } = row.type as { minimum: number; maximum?: number };
          const isReadNow = !row.names.every((name) => name.until !== undefined);
          const isAllowed = Number.isInteger(value) && value >= minimum && value <= maximum;
          const accepted = problems.length === 0 && Object.keys(variables).length > 0;
          expect(accepted).toBe(isReadNow && isAllowed && Number.isSafeInteger(value));
        },
      ),
    );
  });
});

describe("the table of settings", () => {
  it("has every name and every variable once", () => {
    const settings = environmentSettings.map((row) => row.setting);
    const variables = environmentSettings.flatMap((row) => row.names.map((name) => name.variable));
    expect(new Set(settings).size).toBe(settings.length);
    expect(new Set(variables).size).toBe(variables.length);
  });

  it("reads a setting under one name in each release", () => {
    for (const { names } of environmentSettings.filter((row) => row.names.length > 1)) {
      for (const name of names) {
        const other = names.find((candidate) => candidate.since === name.until);
        expect(name.until === undefined || other !== undefined).toBe(true);
      }
    }
  });
});

describe("isSecretVariable", () => {
  it.each(["DB_PASSWORD", "HF_TOKEN", "HTTPS_PROXY", "SOMETHING_ELSE"])(
    "keeps %s secret",
    (name) => {
      expect(isSecretVariable(name)).toBe(true);
    },
  );

  it.each(["MACHINE_LEARNING_WORKERS", "IMMICH_LOG_LEVEL", "TZ"])("shows %s", (name) => {
    expect(isSecretVariable(name)).toBe(false);
  });
});
