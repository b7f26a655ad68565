/** One part of a preset: a model by name, or `false` to switch the part off. */
export type PresetModel = string | false;

/** A named choice of models and job concurrency. Everything not named stays at Immich's default. */
export interface Preset {
  readonly description: string;
  readonly clip: PresetModel;
  readonly facialRecognition: PresetModel;
  readonly ocr: PresetModel;
  /** Jobs Immich works on at the same time, per queue. */
  readonly concurrency: {
    readonly smartSearch: number;
    readonly faceDetection: number;
    readonly ocr: number;
  };
  /** What a host's `environment` is where it says nothing itself, by the settings' names. */
  readonly environment?: Readonly<Record<string, number>>;
}

const oneAtATime = { smartSearch: 1, faceDetection: 1, ocr: 1 } as const;

/** One process that computes one request at a time, and frees the memory ten seconds after the last one. */
const sparing = {
  workers: 1,
  requestThreads: 1,
  maxBatchSizeFacialRecognition: 1,
  modelTtl: 10,
} as const;

const asImmich = { smartSearch: 2, faceDetection: 2, ocr: 1 } as const;

/**
 * The presets. What each needs (memory of the GPU, embedding dimension, Immich release) follows from
 * its models, so it is not repeated here: see `requirementsOf` in immich/modelSelection.ts.
 */
export const presets: Readonly<Record<string, Preset>> = {
  "legacy-2gb": {
    description: "GTX 750 Ti, GTX 960 and others with 2 GB: the smallest models, OCR off",
    clip: "ViT-B-32__openai",
    facialRecognition: "buffalo_s",
    ocr: false,
    concurrency: oneAtATime,
    environment: sparing,
  },
  "legacy-4gb": {
    description:
      "GTX 970, GTX 1050 Ti and others with 4 GB: good search in English, one job at a time",
    clip: "ViT-B-16-SigLIP__webli",
    facialRecognition: "buffalo_l",
    ocr: "PP-OCRv5_mobile",
    concurrency: oneAtATime,
    environment: { ...sparing, maxBatchSizeOcr: 1 },
  },
  "legacy-4gb-multilingual": {
    description: "4 GB: very good search in many languages, the smallest face model, OCR off",
    clip: "ViT-B-16-SigLIP2__webli",
    facialRecognition: "buffalo_s",
    ocr: false,
    concurrency: oneAtATime,
    environment: sparing,
  },
  balanced: {
    description: "6 GB: very good search in many languages at little computing time",
    clip: "ViT-B-16-SigLIP2__webli",
    facialRecognition: "buffalo_l",
    ocr: "PP-OCRv5_mobile",
    concurrency: asImmich,
  },
  multilingual: {
    description: "6 GB: search in some 200 languages",
    clip: "nllb-clip-large-siglip__v1",
    facialRecognition: "buffalo_l",
    ocr: "PP-OCRv5_mobile",
    concurrency: asImmich,
  },
  large: {
    description: "8 GB and more: the best published recall, the larger OCR model",
    clip: "ViT-SO400M-16-SigLIP2-384__webli",
    facialRecognition: "buffalo_l",
    ocr: "PP-OCRv5_server",
    concurrency: asImmich,
  },
};

/** The presets to choose from by a GPU's memory, smallest first: the last one that fits serves best. */
export const presetsBySize = {
  english: ["legacy-2gb", "legacy-4gb", "balanced", "large"],
  multilingual: ["legacy-4gb-multilingual", "balanced", "large"],
} as const;

/**
 * Memory in MiB that a GPU needs besides the models: driver context and the libraries' work space.
 * Reasoned (several hundred MB on Maxwell), not measured.
 */
export const reservedVideoMemory = 512;
