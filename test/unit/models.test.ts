import { readFileSync } from "node:fs";
import { join } from "node:path";

import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { clipModels, findClipModel, isClipModel } from "../../catalog/clipModels";
import { faceModels } from "../../catalog/faceModels";
import { ocrModels } from "../../catalog/ocrModels";
import { presets } from "../../catalog/presets";
import { defaultOf, errorIn, settingsOf } from "../../immich/settings";
import { requirementsOf, resolveModels, type SelectionContext } from "../../immich/modelSelection";
import { validateParts } from "../../config/validate";
import { clipChangeWarning } from "../../immich/embeddings";

const version = { major: 2, minor: 7, patch: 5 };
const twoGigabytes: SelectionContext = { immichVersion: version, videoMemory: 2048 };

/** As a stack file is read: the shape of `models` first, then what it means. */
const resolved = (preset: string | undefined, overrides: unknown, context = twoGigabytes) => {
  const { value, problems } = validateParts({ models: overrides });
  const models = resolveModels(preset, value.models ?? {}, context);
  const ofShape = problems.filter(({ key }) => key.startsWith("models"));
  return { ...models, problems: [...ofShape, ...models.problems] };
};
const selected = (preset: string | undefined, overrides: unknown, context = twoGigabytes) => {
  const { value, problems, notes } = resolved(preset, overrides, context);
  if (value === undefined || problems.length > 0) throw new Error(JSON.stringify(problems));
  return { selection: value, requirements: requirementsOf(value), notes };
};
const problemsOf = (preset: string | undefined, overrides: unknown, context = twoGigabytes) =>
  resolved(preset, overrides, context).problems;

describe("presets", () => {
  test("legacy-2gb is the seed's choice, with OCR off", () => {
    const { selection } = selected("legacy-2gb", {});
    expect(settingsOf(selection, version)).toEqual({
      "machineLearning.clip.enabled": true,
      "machineLearning.clip.modelName": "ViT-B-32__openai",
      "machineLearning.facialRecognition.enabled": true,
      "machineLearning.facialRecognition.modelName": "buffalo_s",
      "machineLearning.ocr.enabled": false,
      "job.smartSearch.concurrency": 1,
      "job.faceDetection.concurrency": 1,
      "job.ocr.concurrency": 1,
    });
  });

  test("every preset names models of the catalog and fits the memory its description promises", () => {
    for (const [name, preset] of Object.entries(presets)) {
      const promised = Number(/(\d+) GB/.exec(preset.description)?.[1]) * 1024;
      const context = { immichVersion: { major: 3, minor: 1, patch: 0 }, videoMemory: promised };
      const { requirements } = selected(name, {}, context);
      expect(requirements.videoMemory, name).toBeLessThanOrEqual(promised);
      expect(requirements.embeddingDimension, name).toBeGreaterThan(0);
    }
  });

  test("every value a preset can lead to is one Immich accepts, in every release", () => {
    for (const release of ["1.94.0", "1.106.0", "1.122.0", "1.143.0", "2.2.0", "2.7.5", "3.1.0"]) {
      const [major = 0, minor = 0, patch = 0] = release.split(".").map(Number);
      const immichVersion = { major, minor, patch };
      for (const name of Object.keys(presets)) {
        const { value: selection } = resolveModels(name, {}, { immichVersion });
        if (selection === undefined) continue;
        for (const [key, value] of Object.entries(settingsOf(selection, immichVersion))) {
          expect(errorIn(key, value, immichVersion), `${release} ${key}`).toBeUndefined();
          expect(defaultOf(key, immichVersion), `${release} ${key}`).toBeDefined();
        }
      }
    }
  });

  test("before OCR existed, a preset with OCR means no OCR setting at all", () => {
    const immichVersion = { major: 2, minor: 1, patch: 0 };
    const { selection } = selected("legacy-4gb", {}, { immichVersion });
    expect(Object.keys(settingsOf(selection, immichVersion)).join()).not.toContain("ocr");
  });
});

describe("overrides", () => {
  test("change one part and leave the others", () => {
    const { selection } = selected("legacy-2gb", {
      clip: "ViT-B-16__openai",
      facialRecognition: { minScore: 0.5 },
      concurrency: { smartSearch: 2 },
    });
    expect(selection).toEqual({
      clip: { modelName: "ViT-B-16__openai" },
      facialRecognition: { modelName: "buffalo_s", minScore: 0.5 },
      ocr: false,
      concurrency: { smartSearch: 2, faceDetection: 1, ocr: 1 },
    });
  });

  test("extends names the preset where none is given", () => {
    expect(selected(undefined, { extends: "legacy-2gb" }).selection).toEqual(
      selected("legacy-2gb", {}).selection,
    );
  });

  test("without a preset, only what is named is declared", () => {
    const { selection } = selected("none", { ocr: "off", facialRecognition: { minFaces: 5 } });
    expect(settingsOf(selection, version)).toEqual({
      "machineLearning.facialRecognition.enabled": true,
      "machineLearning.facialRecognition.minFaces": 5,
      "machineLearning.ocr.enabled": false,
    });
  });

  test.each([false, "off", { enabled: false }])("%j switches a part off", (off) => {
    const { selection } = selected("legacy-2gb", { clip: off, duplicateDetection: off });
    expect(selection.clip).toBe(false);
    expect(selection.duplicateDetection).toBe(false);
  });

  test("several errors are reported together, each with its key and what is allowed", () => {
    const problems = problemsOf("legacy-2bg", {
      clip: "ViT-B-32_openai",
      facialRecognition: { modelName: "buffalo_x", minScore: 3, minFaces: 1.5 },
      concurrency: { ocr: 0, smart: 1 },
      duplicateDetection: { maxDistance: 1 },
      OCR: "off",
    });
    expect(problems.map(({ key, suggestion }) => [key, suggestion])).toEqual([
      ["models.facialRecognition.minScore", undefined],
      ["models.facialRecognition.minFaces", undefined],
      ["models.duplicateDetection.maxDistance", undefined],
      ["models.concurrency.ocr", undefined],
      ["models.concurrency.smart", undefined],
      ["models.OCR", "ocr"],
      ["preset", "legacy-2gb"],
      ["models.clip", "ViT-B-32__openai"],
      ["models.facialRecognition", "buffalo_s"],
    ]);
    expect(problems.find(({ key }) => key.endsWith("minScore"))?.expected).toBe(
      "must be a number from 0.1 to 1",
    );
    expect(problems.find(({ key }) => key.endsWith("concurrency.ocr"))?.expected).toBe(
      "must be a whole number of at least 1",
    );
  });

  test.each([
    ["clip", "ViT-B-32", "ViT-B-32__openai"],
    ["clip", "ViT-B/32", "ViT-B-32__openai"],
    ["clip", "clip-ViT-B-32", "ViT-B-32__openai"],
    ["clip", "openai/clip-vit-base-patch32", "ViT-B-32__openai"],
    ["clip", "VIT-B-32__OPENAI", "ViT-B-32__openai"],
    ["clip", "ViT-L/14@336px", "ViT-L-14-336__openai"],
    ["clip", "ViT-B-16-SigLIP2", "ViT-B-16-SigLIP2__webli"],
    ["clip", "siglip2", "ViT-B-16-SigLIP2__webli"],
    ["clip", "nllb-clip-large-siglip", "nllb-clip-large-siglip__v1"],
    ["clip", "XLM-Roberta-Base-ViT-B-32", "XLM-Roberta-Base-ViT-B-32__laion5b_s13b_b90k"],
    ["facialRecognition", "buffalo_l-RK3588", "buffalo_l"],
    ["facialRecognition", "insightface/buffalo_l", "buffalo_l"],
    ["facialRecognition", "buffalo-l", "buffalo_l"],
    ["ocr", "PP-OCRv5", "PP-OCRv5_mobile"],
    ["ocr", "latin__PP-OCRv5_mobile", "LATIN__PP-OCRv5_mobile"],
  ])("%s: %s suggests %s", (part, modelName, suggestion) => {
    const { problems } = resolved(
      "none",
      { [part]: modelName },
      { immichVersion: { major: 3, minor: 1, patch: 0 } },
    );
    expect(problems).toMatchObject([{ key: `models.${part}`, suggestion }]);
  });

  test("whatever stands there, a list of problems comes back, never an exception", () => {
    fc.assert(
      fc.property(
        fc.option(fc.string(), { nil: undefined }),
        fc.anything(),
        (preset, overrides) => {
          expect(resolved(preset, overrides).problems).toBeInstanceOf(Array);
        },
      ),
    );
    fc.assert(
      fc.property(
        fc.record({
          clip: fc.anything(),
          facialRecognition: fc.anything(),
          concurrency: fc.anything(),
        }),
        (overrides) => {
          expect(resolved("legacy-2gb", overrides).problems).toBeInstanceOf(Array);
        },
      ),
    );
  });
});

describe("refusals", () => {
  test("DuOCR gets its own explanation", () => {
    const [problem] = problemsOf("legacy-2gb", { ocr: "DuOCR" });
    expect(problem?.expected).toContain("no Immich release has such a model");
    expect(problem?.expected).toContain("PP-OCRv5_mobile");
  });

  test("a preset too large for the card names the presets and CLIP models that would fit", () => {
    const [problem] = problemsOf("large", {}, { ...twoGigabytes, videoMemory: 4096 });
    expect(problem?.key).toBe("preset");
    expect(problem?.expected).toContain("needs about 5966 MiB of GPU memory");
    expect(problem?.expected).toContain("the smallest GPU has 4096 MiB");
    expect(problem?.expected).toContain("presets that fit: legacy-2gb, legacy-4gb");
    expect(problem?.expected).toContain(
      "CLIP models that would fit here: ViT-B-16-SigLIP-512__webli",
    );
  });

  test("without a known card there is no check of memory", () => {
    expect(problemsOf("large", {}, { immichVersion: version })).toEqual([]);
  });

  test("a model newer than the server names both releases", () => {
    const context = { immichVersion: { major: 1, minor: 120, patch: 0 } };
    const [problem] = problemsOf("balanced", { ocr: "off" }, context);
    expect(problem?.expected).toContain("came with Immich v1.131.0, this server is v1.120.0");
    const [language] = problemsOf(
      "legacy-2gb",
      { ocr: "LATIN__PP-OCRv5_mobile" },
      { immichVersion: { major: 2, minor: 2, patch: 0 } },
    );
    expect(language?.expected).toContain("came with Immich v2.3.0");
  });

  test("OCR is refused where the server has none", () => {
    const context = { immichVersion: { major: 2, minor: 1, patch: 0 } };
    expect(problemsOf("legacy-2gb", { ocr: "PP-OCRv5_mobile" }, context)[0]?.expected).toContain(
      "OCR came with Immich v2.2.0, this server is v2.1.0",
    );
  });

  test("unknown models are accepted on request, an unknown CLIP model through the API only", () => {
    const context = { immichVersion: version, allowUnknownModels: true } as const;
    expect(
      problemsOf("legacy-2gb", { facialRecognition: "new_face", ocr: "new_ocr" }, context),
    ).toEqual([]);
    expect(problemsOf("legacy-2gb", { clip: "ViT-New" }, context)[0]?.expected).toContain(
      "does not start",
    );
    expect(problemsOf("legacy-2gb", { clip: "ViT-New" }, { ...context, store: "api" })).toEqual([]);
  });

  test("a model of unknown need is accepted with a note", () => {
    const { notes } = selected("legacy-2gb", { clip: "LABSE-Vit-L-14" });
    expect(notes).toEqual([expect.stringContaining("LABSE-Vit-L-14")]);
  });
});

describe("catalog", () => {
  test("has every model of the published list, with its dimension and figures", () => {
    const file = join(__dirname, "clipModels.csv");
    const [, ...lines] = readFileSync(file, "utf8").trim().split("\n");
    const number = (text: string | undefined) => (text ? Number(text) : undefined);
    expect(
      clipModels.map(({ name, embeddingDimension, memory, executionTime, recall }) => [
        name,
        embeddingDimension,
        memory,
        executionTime,
        recall,
      ]),
    ).toEqual(
      lines.map((line) => {
        const [name, dimension, ...figures] = line.trim().split(",");
        return [name, Number(dimension), ...figures.map(number)];
      }),
    );
  });

  test("names each model once", () => {
    for (const models of [clipModels, faceModels, ocrModels]) {
      expect(new Set(models.map((model) => model.name)).size).toBe(models.length);
    }
  });

  test("finds a CLIP model in every spelling Immich understands", () => {
    for (const spelling of [
      "ViT-B-32__openai",
      "immich-app/ViT-B-32__openai",
      "ViT-B-32::openai",
    ]) {
      expect(findClipModel(spelling)?.embeddingDimension).toBe(512);
      expect(isClipModel(spelling)).toBe(true);
    }
    expect(isClipModel(" ViT-B-32__openai")).toBe(false);
  });

  test("defaults follow the release", () => {
    const distance = "machineLearning.facialRecognition.maxDistance";
    expect(defaultOf(distance, { major: 1, minor: 97, patch: 0 })).toBe(0.6);
    expect(defaultOf(distance, { major: 1, minor: 98, patch: 0 })).toBe(0.5);
    expect(defaultOf("oauth.clientSecret", version)).toBeUndefined();
  });

  test("the need of a selection is the sum of its parts", () => {
    expect(requirementsOf({ clip: { modelName: "ViT-B-32__openai" }, ocr: false })).toEqual({
      videoMemory: 1516,
      embeddingDimension: 512,
      immichVersion: "1.94.0",
    });
    expect(requirementsOf({ ocr: { modelName: "LATIN__PP-OCRv5_mobile" } }).immichVersion).toBe(
      "2.3.0",
    );
  });
});

describe("what a change of the CLIP model does, in words", () => {
  const how = { store: "database", embeddings: "clear" } as const;
  test("same dimension: cleared", () => {
    expect(clipChangeWarning("ViT-B-16__openai", "ViT-B-32__openai", how)).toMatch(
      /from ViT-B-16__openai to ViT-B-32__openai: the former model's embeddings are deleted.*Smart Search/,
    );
  });
  test("same dimension and kept: wrong results", () => {
    expect(
      clipChangeWarning("ViT-B-16__openai", "ViT-B-32__openai", { ...how, embeddings: "keep" }),
    ).toContain("wrong results");
  });
  test("another dimension: the column is rebuilt at the next start, by the API at once", () => {
    expect(clipChangeWarning("RN50__openai", "ViT-B-32__openai", how)).toMatch(
      /dimension \(1024 to 512\).*at its next start/,
    );
    expect(
      clipChangeWarning("RN50__openai", "ViT-B-32__openai", { ...how, store: "api" }),
    ).toContain("at once");
  });
  test("nothing for the same model in another spelling, or for an unknown past", () => {
    expect(clipChangeWarning("immich-app/RN50__openai", "RN50__openai", how)).toBeUndefined();
    expect(clipChangeWarning(undefined, "RN50__openai", how)).toBeUndefined();
  });
});
