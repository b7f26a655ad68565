import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { environmentSettings } from "../../catalog/environment";
import { atLeast, parseImmichVersion } from "../../catalog/immichVersion";
import { acceleratorNames } from "../../catalog/accelerators";
import {
  checkEnvironmentFile,
  isSecretVariable,
  renderEnvironment,
  servicePort,
} from "../../catalog/renderEnvironment";
import { foreignVariables, runtimeVariables } from "../../catalog/runtimeVariables";
import immichVariables from "./immichVariables.json";

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
      "MACHINE_LEARNING_MAX_BATCH_SIZE__TEXT_RECOGNITION since v2.2.0 before v3.0.0",
    );
  });

  it.each([
    ["v1.125.0", "preloadClip", "MACHINE_LEARNING_PRELOAD__CLIP"],
    ["v2.7.5", "preloadClip", "MACHINE_LEARNING_PRELOAD__CLIP"],
    ["v2.7.5", "preloadFacialRecognition", "MACHINE_LEARNING_PRELOAD__FACIAL_RECOGNITION"],
    ["v2.7.5", "MACHINE_LEARNING_PRELOAD__CLIP", "MACHINE_LEARNING_PRELOAD__CLIP"],
  ])("renders in Immich %s what that still reads, %s", (release, name, variable) => {
    const { variables } = renderEnvironment({ [name]: "buffalo_l" }, version(release), "cuda");
    expect(variables).toEqual({ [variable]: "buffalo_l" });
  });

  it("takes the former name of the batch size of OCR as long as Immich does", () => {
    const former = "MACHINE_LEARNING_MAX_BATCH_SIZE__TEXT_RECOGNITION";
    const render = (release: string) =>
      renderEnvironment({ [former]: 2 }, version(release), "cuda");
    expect(render("v2.7.5").variables).toEqual({ [former]: "2" });
    expect(render("v3.0.0").problems[0]?.message).toContain(`${former} since v2.2.0 before v3.0.0`);
    const both = renderEnvironment({ maxBatchSizeOcr: 1, [former]: 2 }, current, "cuda");
    expect(both.problems[0]?.message).toContain("given twice");
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
      for (const { until } of names) {
        // Without a gap: a release may read the former name beside the new one.
        const next = names.find(
          ({ since }) => since && until && atLeast(version(until), since) && since !== until,
        );
        const follows = next ?? names.find(({ since }) => since === until);
        expect(until === undefined || follows !== undefined).toBe(true);
      }
    }
  });

  /** What Immich's own files of a release read: test/support/immichVariables.py. */
  const releases = immichVariables.flatMap(({ since, variables }, index) => {
    const next = immichVariables[index + 1]?.since;
    const newest = next === undefined ? "3.1.0" : undefined;
    return [since, ...(newest ? [newest] : [])].map((release) => ({ release, variables }));
  });

  it.each(releases)("is that of Immich v$release", ({ release, variables }) => {
    // Of the image's build, or for it.
    const notSettings = ["DEVICE", "IMMICH_SOURCE_REF"];
    const immichs = new Set(immichVariables.flatMap((each) => each.variables));
    const known = environmentSettings
      .flatMap(({ names }) => names)
      .filter(({ variable }) => immichs.has(variable))
      .filter(({ since, until }) => {
        const isSince = since === undefined || atLeast(version(release), since);
        return isSince && !(until !== undefined && atLeast(version(release), until));
      })
      .map(({ variable }) => variable);
    const expected = variables.filter((name) => !notSettings.includes(name));
    expect(known.filter((name) => !notSettings.includes(name)).sort()).toEqual(expected);
  });

  it("says of the others that no release of Immich reads them, or where they come from", () => {
    const immichs = new Set(immichVariables.flatMap((each) => each.variables));
    for (const { names, ignoredReason, source } of environmentSettings) {
      const isRead = names.some(({ variable }) => immichs.has(variable));
      expect(isRead || ignoredReason !== undefined || source !== undefined).toBe(true);
    }
  });
});

describe("variables of the runtimes below Immich", () => {
  it.each([
    ["rocm", { HSA_USE_SVM: 0 }],
    ["cuda", { CUDA_DEVICE_ORDER: "PCI_BUS_ID", CUDA_VISIBLE_DEVICES: "0,GPU-8e5e22a2" }],
    ["cuda", { LD_LIBRARY_PATH: "/usr/lib/wsl/lib:/usr/lib", NVIDIA_DRIVER_CAPABILITIES: "all" }],
    ["cpu", { HF_HUB_DOWNLOAD_TIMEOUT: 60, OMP_NUM_THREADS: 4, GUNICORN_CMD_ARGS: "--preload" }],
    ["cpu", { TZ: "Europe/Berlin", https_proxy: "http://proxy:3128", no_proxy: "localhost" }],
    ["rocm", { ROCR_VISIBLE_DEVICES: "GPU-1", HIP_VISIBLE_DEVICES: 0 }],
  ] as const)("are taken under their own names with %s: %j", (accelerator, settings) => {
    const { variables, problems, notes } = renderEnvironment(settings, current, accelerator);
    expect(problems).toEqual([]);
    expect(notes).toEqual([]);
    const expected = Object.entries(settings).map(([name, value]) => [name, String(value)]);
    expect(variables).toEqual(Object.fromEntries(expected));
  });

  it("are passed on with a note where only their kind is known", () => {
    const { variables, notes } = renderEnvironment({ MIOPEN_FIND_MODE: "FAST" }, current, "rocm");
    expect(variables).toEqual({ MIOPEN_FIND_MODE: "FAST" });
    expect(notes).toEqual([
      "MIOPEN_FIND_MODE (AMD's neural-network library) is passed on as it is; nothing checks it",
    ]);
  });

  it("are said to have no effect with another accelerator", () => {
    const { notes } = renderEnvironment({ HSA_USE_SVM: 0 }, current, "cuda");
    expect(notes).toEqual(["HSA_USE_SVM=0 has no effect: only rocm reads it"]);
  });

  it.each([
    [{ HSA_USE_SVM: "off" }, '"off" is not 0 or 1'],
    [{ CUDA_DEVICE_ORDER: "PCI" }, '"PCI" is not FASTEST_FIRST or PCI_BUS_ID'],
    [{ https_proxy: "me:secret@proxy" }, "the value is not an address that begins with http://"],
    [{ CUDA_VISIBLE_DEVICE: 0 }, "did you mean CUDA_VISIBLE_DEVICES?"],
    [{ PUID: 1000 }, "only images of linuxserver.io read it; set the host's user"],
    [{ DOCKER_MODS: "x" }, "only images of linuxserver.io read it"],
    [{ RENDER_GID: 105 }, "set the host's groups"],
    [{ MACHINE_LEARNING_ACCELERATION: "rocm" }, "the host's accelerator decides"],
    [{ NVIDIA_DRIVER_CAPABILITIES: "video,utility" }, "all, or compute with others"],
    [{ DB_PASSWORD: "x" }, "Immich's server reads it, not its machine learning; leave it out"],
    [{ IMMICH_VERSION: "release" }, "docker compose reads it; here immich.version decides"],
    [{ MY_OWN_SWITCH: 1 }, "any other variable belongs under uncheckedEnvironment"],
  ])("are refused: %j", (settings, message) => {
    const { problems, variables } = renderEnvironment(settings, current, "cuda");
    expect(problems).toHaveLength(1);
    expect(problems[0]!.message).toContain(message);
    expect(problems[0]!.message).not.toContain("secret");
    expect(variables).toEqual({});
  });

  it("have a purpose, accelerators that exist, and no name of Immich's", () => {
    const immichs = environmentSettings.flatMap(({ names }) => names.map((name) => name.variable));
    for (const [name, { purpose, pattern, allowed, onlyFor = [] }] of Object.entries(
      runtimeVariables,
    )) {
      expect(purpose, name).not.toBe("");
      expect((pattern === undefined) === (allowed === undefined), name).toBe(true);
      expect(onlyFor.every((each) => acceleratorNames.includes(each))).toBe(true);
      expect(immichs).not.toContain(name);
      expect(
        foreignVariables.some((foreign) => foreign.pattern.test(name)),
        name,
      ).toBe(false);
    }
  });
});

describe("an env file", () => {
  const check = (variables: Record<string, string>, release = "v2.7.5") =>
    checkEnvironmentFile(variables, version(release), "cuda");

  it("may hold the variables of all of Immich", () => {
    const file = { DB_PASSWORD: "p", UPLOAD_LOCATION: "./library", IMMICH_VERSION: "release" };
    expect(check({ ...file, TZ: "UTC", HTTP_PROXY: "", MACHINE_LEARNING_WORKERS: "2" })).toEqual({
      problems: [],
      notes: [],
    });
  });

  it.each([
    [{ MACHINE_LEARNING_WORKERS: "many" }, "MACHINE_LEARNING_WORKERS", "is not a whole number"],
    [{ MACHINE_LEARNING_WORKERS: "" }, "MACHINE_LEARNING_WORKERS", "is not a whole number"],
    [{ IMMICH_PORT: "http" }, "IMMICH_PORT", "is not a whole number from 1 to 65535"],
    [{ HSA_USE_SVM: "off" }, "HSA_USE_SVM", "is not 0 or 1"],
    [
      { MACHINE_LEARNING_OPENVINO_PRECISION: "FP8" },
      "MACHINE_LEARNING_OPENVINO_PRECISION",
      "is not one of FP16, FP32",
    ],
  ])("is checked like environment: %j", (file, name, message) => {
    const { problems } = check(file);
    expect(problems).toEqual([{ name, message: expect.stringContaining(message) as string }]);
  });

  it("is checked against the release", () => {
    const file = { MACHINE_LEARNING_PRELOAD__CLIP: "ViT-B-32__openai" };
    expect(check(file).problems).toEqual([]);
    expect(check(file, "v3.0.0").problems[0]!.message).toBe(
      "Immich v3.0.0 does not read it; there is MACHINE_LEARNING_PRELOAD__CLIP since v1.98.0 before v3.0.0 (now preloadClipTextual and preloadClipVisual)",
    );
  });

  it("may have a log level that only Immich's server knows, and a misspelt name is told", () => {
    const { problems, notes } = check({ IMMICH_LOG_LEVEL: "fatal", MACHINE_LEARNING_WORKER: "2" });
    expect(problems).toEqual([]);
    expect(notes).toEqual([
      expect.stringMatching(/^IMMICH_LOG_LEVEL is not one of .* so the server takes its standard/),
      "MACHINE_LEARNING_WORKER is not a variable of the ML server that this program knows; did you mean MACHINE_LEARNING_WORKERS?",
    ]);
  });

  it("makes another port only by the name that the release reads", () => {
    const file = { MACHINE_LEARNING_PORT: "3004", IMMICH_PORT: "3005" };
    expect(servicePort(file, current)).toBe(3005);
    expect(servicePort(file, version("v1.105.1"))).toBe(3004);
    expect(servicePort({ MACHINE_LEARNING_PORT: "3004" }, current)).toBe(3003);
  });
});

describe("isSecretVariable", () => {
  it.each(["DB_PASSWORD", "HF_TOKEN", "HTTPS_PROXY", "SOMETHING_ELSE"])(
    "keeps %s secret",
    (name) => {
      expect(isSecretVariable(name)).toBe(true);
    },
  );

  it.each(["MACHINE_LEARNING_WORKERS", "IMMICH_LOG_LEVEL", "TZ", "CUDA_DEVICE_ORDER"])(
    "shows %s",
    (name) => {
      expect(isSecretVariable(name)).toBe(false);
    },
  );
});
