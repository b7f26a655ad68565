/** A CLIP model that Immich's server knows by name. */
export interface ClipModel {
  /** Name as Immich stores it, without `immich-app/`. */
  readonly name: string;
  /** Length of an embedding, i.e. the width of the column `smart_search.embedding`. */
  readonly embeddingDimension: number;
  /**
   * Memory of both encoders in MiB, or undefined where Immich never published a figure. It is the
   * peak resident memory on a CPU in fp32, not memory of a GPU: an order of magnitude.
   */
  readonly memory: number | undefined;
  /** Time for one request on a CPU in milliseconds, as published. */
  readonly executionTime: number | undefined;
  /** Recall in English in percent, as published. */
  readonly recall: number | undefined;
  /**
   * First Immich release that surely knows the name. A server that does not know it does not start,
   * so where the release is not certain this is the later one; "1.94.0" stands for that or older.
   */
  readonly since: string;
  /** Whether the text encoder was trained on other languages than English. */
  readonly multilingual: boolean;
}

/**
 * Every CLIP model of Immich v3.1.0.
 *
 * Names and dimensions: CLIP_MODEL_INFO of v3.1.0. Memory, time and recall: the English table of
 * Immich's searching documentation of v3.1.0 (immich-app/immich#17036). First release: pull requests
 * immich-app/immich#5710 (1.92), #11468 (1.112), and SigLIP2 with #17036 (March 2025).
 */
export const clipModels: readonly ClipModel[] = [
  model("LABSE-Vit-L-14", 768, undefined, undefined, undefined, "1.94.0", true),
  model("RN101__openai", 512, 1111, 3.21, 69.3, "1.94.0", false),
  model("RN101__yfcc15m", 512, 1111, 3.22, 55.21, "1.94.0", false),
  model("RN50__cc12m", 1024, 914, 2.37, 64.59, "1.94.0", false),
  model("RN50__openai", 1024, 913, 2.39, 69.02, "1.94.0", false),
  model("RN50__yfcc15m", 1024, 908, 2.34, 53.63, "1.94.0", false),
  model("RN50x16__openai", 768, 2221, 15.87, 72.59, "1.94.0", false),
  model("RN50x4__openai", 640, 1416, 5.85, 70.8, "1.94.0", false),
  model("RN50x64__openai", 1024, 5079, 48.79, 73.34, "1.94.0", false),
  model("ViT-B-16-SigLIP-256__webli", 768, 1102, 7.11, 81.9, "1.112.0", false),
  model("ViT-B-16-SigLIP-384__webli", 768, 1128, 13.53, 83.19, "1.112.0", false),
  model("ViT-B-16-SigLIP-512__webli", 768, 1828, 26.17, 83.28, "1.112.0", false),
  model("ViT-B-16-SigLIP-i18n-256__webli", 768, 3029, 6.87, 79.78, "1.112.0", true),
  model("ViT-B-16-SigLIP2__webli", 768, 3038, 5.81, 84.86, "1.131.0", true),
  model("ViT-B-16-SigLIP__webli", 768, 1081, 5.77, 81.9, "1.112.0", false),
  model("ViT-B-16-plus-240__laion400m_e31", 640, 1263, 6.94, 78.06, "1.94.0", false),
  model("ViT-B-16-plus-240__laion400m_e32", 640, 1246, 6.95, 78.06, "1.94.0", false),
  model("ViT-B-16__laion400m_e31", 512, 991, 5.04, 76.35, "1.94.0", false),
  model("ViT-B-16__laion400m_e32", 512, 975, 4.98, 76.43, "1.94.0", false),
  model("ViT-B-16__openai", 512, 985, 5.03, 70.01, "1.94.0", false),
  model("ViT-B-32-SigLIP2-256__webli", 768, 3061, 3.31, 82.28, "1.131.0", true),
  model("ViT-B-32__laion2b-s34b-b79k", 512, 1001, 2.29, 77.62, "1.94.0", false),
  model("ViT-B-32__laion2b_e16", 512, 1004, 2.38, 77.47, "1.94.0", false),
  model("ViT-B-32__laion400m_e31", 512, 999, 2.28, 73.83, "1.94.0", false),
  model("ViT-B-32__laion400m_e32", 512, 1003, 2.35, 73.62, "1.94.0", false),
  model("ViT-B-32__openai", 512, 1004, 2.26, 69.9, "1.94.0", false),
  model("ViT-H-14-378-quickgelu__dfn5b", 1024, 5049, 108.4, 85.78, "1.94.0", false),
  model("ViT-H-14-quickgelu__dfn5b", 1024, 4701, 38.74, 85.09, "1.94.0", false),
  model("ViT-H-14__laion2b-s32b-b79k", 1024, 4676, 39.06, 82.36, "1.94.0", false),
  model("ViT-L-14-336__openai", 768, 2616, 43.45, 72.76, "1.94.0", false),
  model("ViT-L-14-quickgelu__dfn2b", 768, 2212, 20.49, 82.54, "1.94.0", false),
  model("ViT-L-14__laion2b-s32b-b82k", 768, 2233, 20.56, 80.82, "1.94.0", false),
  model("ViT-L-14__laion400m_e31", 768, 2183, 19.87, 78.64, "1.94.0", false),
  model("ViT-L-14__laion400m_e32", 768, 2218, 19.73, 78.6, "1.94.0", false),
  model("ViT-L-14__openai", 768, 2212, 19.91, 72.99, "1.94.0", false),
  model("ViT-L-16-SigLIP-256__webli", 1024, 3160, 23.84, 83.51, "1.112.0", false),
  model("ViT-L-16-SigLIP-384__webli", 1024, 3396, 47.6, 84.17, "1.112.0", false),
  model("ViT-L-16-SigLIP2-256__webli", 1024, 2830, 23.77, 85.03, "1.131.0", true),
  model("ViT-L-16-SigLIP2-384__webli", 1024, 3057, 51.7, 85.47, "1.131.0", true),
  model("ViT-L-16-SigLIP2-512__webli", 1024, 3358, 92.59, 85.75, "1.131.0", true),
  model("ViT-SO400M-14-SigLIP-384__webli", 1152, 4417, 72.19, 84.61, "1.112.0", false),
  model("ViT-SO400M-14-SigLIP2-378__webli", 1152, 3940, 72.25, 85.96, "1.131.0", true),
  model("ViT-SO400M-14-SigLIP2__webli", 1152, 3622, 27.63, 85.53, "1.131.0", true),
  model("ViT-SO400M-16-SigLIP2-256__webli", 1152, 3611, 27.84, 85.62, "1.131.0", true),
  model("ViT-SO400M-16-SigLIP2-384__webli", 1152, 3854, 56.57, 85.99, "1.131.0", true),
  model("ViT-SO400M-16-SigLIP2-512__webli", 1152, 4050, 107.67, 85.93, "1.131.0", true),
  model("ViT-g-14__laion2b-s12b-b42k", 1024, undefined, undefined, undefined, "1.94.0", false),
  model("ViT-gopt-16-SigLIP2-256__webli", 1536, 6475, 64.51, 85.48, "1.131.0", true),
  model("ViT-gopt-16-SigLIP2-384__webli", 1536, 6585, 146.84, 85.96, "1.131.0", true),
  model("XLM-Roberta-Base-ViT-B-32__laion5b_s13b_b90k", 512, 3030, 3.2, 76.91, "1.131.0", true),
  model(
    "XLM-Roberta-Large-ViT-H-14__frozen_laion5b_s13b_b90k",
    1024,
    4014,
    39.14,
    82.43,
    "1.94.0",
    true,
  ),
  model("XLM-Roberta-Large-Vit-B-16Plus", 640, undefined, undefined, undefined, "1.94.0", true),
  model("XLM-Roberta-Large-Vit-B-32", 512, undefined, undefined, undefined, "1.94.0", true),
  model("XLM-Roberta-Large-Vit-L-14", 768, undefined, undefined, undefined, "1.94.0", true),
  model("nllb-clip-base-siglip__mrl", 768, 4696, 16.95, 80.65, "1.112.0", true),
  model("nllb-clip-base-siglip__v1", 768, 4675, 15.17, 80.16, "1.94.0", true),
  model("nllb-clip-large-siglip__mrl", 1152, 4248, 75.44, 83.23, "1.112.0", true),
  model("nllb-clip-large-siglip__v1", 1152, 4226, 75.05, 83.24, "1.94.0", true),
];

/** The model of a server without any saved setting, in every release since 1.94. */
export const defaultClipModel = "ViT-B-32__openai";

/**
 * The name under which Immich looks up a stored one: without everything up to the last slash, and with
 * `_` for `:` (v3.1.0), so `immich-app/ViT-B-32__openai` and `ViT-B-32::openai` are one model.
 */
export function canonicalClipName(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1).replaceAll(":", "_");
}

/** Whether a server starts with that model: it must know the name. */
export function isClipModel(name: string): boolean {
  return findClipModel(name) !== undefined;
}

/** The model behind a name in any spelling that Immich understands. */
export function findClipModel(name: string): ClipModel | undefined {
  const canonical = canonicalClipName(name);
  return clipModels.find((candidate) => candidate.name === canonical);
}

function model(
  name: string,
  embeddingDimension: number,
  memory: number | undefined,
  executionTime: number | undefined,
  recall: number | undefined,
  since: string,
  multilingual: boolean,
): ClipModel {
  return { name, embeddingDimension, memory, executionTime, recall, since, multilingual };
}
