/** What a key of Immich's configuration may hold. */
export type SettingValue = boolean | number | string | readonly string[];

export type SettingType = "boolean" | "integer" | "number" | "string" | "strings";

/** One key of Immich's system configuration that belongs to machine learning. */
export interface SystemConfigKey {
  /** Dotted path, e.g. `machineLearning.clip.modelName`. */
  readonly key: string;
  readonly type: SettingType;
  /** Smallest and largest allowed number. */
  readonly minimum?: number;
  readonly maximum?: number;
  /** First release with the key; "1.94.0" stands for that or older. */
  readonly since: string;
  /** First release without the key. */
  readonly until?: string;
  /**
   * What an absent key stands for, by the first release where that holds, oldest first. Immich stores
   * no value that equals its default, so an absent key is this value and never drift by itself.
   */
  readonly defaults: readonly { readonly since: string; readonly value: SettingValue }[];
}

const score = { minimum: 0.1, maximum: 1 } as const;
const count = { type: "integer", minimum: 1 } as const;

/**
 * The keys this project may read and write, and no others.
 *
 * Defaults and limits: server/src/config.ts and the configuration DTOs of v1.94.0, v1.106.0, v1.143,
 * v2.2.0 and v3.1.0. `enabled` and `urls` of machineLearning follow IMMICH_MACHINE_LEARNING_ENABLED
 * and IMMICH_MACHINE_LEARNING_URL of the server where these are set; the defaults here are without.
 */
export const systemConfigKeys: readonly SystemConfigKey[] = [
  flag("machineLearning.enabled", "1.94.0", true),
  {
    key: "machineLearning.url",
    type: "string",
    since: "1.94.0",
    until: "1.122.0",
    defaults: [{ since: "1.94.0", value: "http://immich-machine-learning:3003" }],
  },
  {
    key: "machineLearning.urls",
    type: "strings",
    since: "1.122.0",
    defaults: [{ since: "1.122.0", value: ["http://immich-machine-learning:3003"] }],
  },
  flag("machineLearning.availabilityChecks.enabled", "1.143.0", true),
  {
    key: "machineLearning.availabilityChecks.timeout",
    ...count,
    since: "1.143.0",
    defaults: [{ since: "1.143.0", value: 2000 }],
  },
  {
    key: "machineLearning.availabilityChecks.interval",
    ...count,
    since: "1.143.0",
    defaults: [{ since: "1.143.0", value: 30_000 }],
  },
  flag("machineLearning.clip.enabled", "1.94.0", true),
  name("machineLearning.clip.modelName", "1.94.0", "ViT-B-32__openai"),
  flag("machineLearning.duplicateDetection.enabled", "1.106.0", true),
  {
    key: "machineLearning.duplicateDetection.maxDistance",
    type: "number",
    minimum: 0.001,
    maximum: 0.1,
    since: "1.106.0",
    defaults: [
      { since: "1.106.0", value: 0.0155 },
      { since: "1.107.0", value: 0.01 },
    ],
  },
  flag("machineLearning.facialRecognition.enabled", "1.94.0", true),
  name("machineLearning.facialRecognition.modelName", "1.94.0", "buffalo_l"),
  {
    key: "machineLearning.facialRecognition.minScore",
    type: "number",
    ...score,
    since: "1.94.0",
    defaults: [{ since: "1.94.0", value: 0.7 }],
  },
  {
    key: "machineLearning.facialRecognition.maxDistance",
    type: "number",
    minimum: 0.1,
    maximum: 2,
    since: "1.94.0",
    defaults: [
      { since: "1.94.0", value: 0.6 },
      { since: "1.98.0", value: 0.5 },
    ],
  },
  {
    key: "machineLearning.facialRecognition.minFaces",
    ...count,
    since: "1.94.0",
    defaults: [{ since: "1.94.0", value: 3 }],
  },
  flag("machineLearning.ocr.enabled", "2.2.0", true),
  name("machineLearning.ocr.modelName", "2.2.0", "PP-OCRv5_mobile"),
  {
    key: "machineLearning.ocr.minDetectionScore",
    type: "number",
    ...score,
    since: "2.2.0",
    defaults: [{ since: "2.2.0", value: 0.5 }],
  },
  {
    key: "machineLearning.ocr.minRecognitionScore",
    type: "number",
    ...score,
    since: "2.2.0",
    defaults: [{ since: "2.2.0", value: 0.8 }],
  },
  {
    key: "machineLearning.ocr.maxResolution",
    ...count,
    since: "2.2.0",
    defaults: [{ since: "2.2.0", value: 736 }],
  },
  concurrency("job.smartSearch.concurrency", "1.94.0", 2),
  concurrency("job.faceDetection.concurrency", "1.94.0", 2),
  concurrency("job.ocr.concurrency", "2.2.0", 1),
];

/** The key of the CLIP model: the one whose change makes stored embeddings wrong. */
export const clipModelKey = "machineLearning.clip.modelName";

/** The key of the face model: after a change of it, faces are to be detected again. */
export const faceModelKey = "machineLearning.facialRecognition.modelName";

/** The entry of a dotted key, if it is one of ours. */
export function findSystemConfigKey(key: string): SystemConfigKey | undefined {
  return systemConfigKeys.find((entry) => entry.key === key);
}

function flag(key: string, since: string, value: boolean): SystemConfigKey {
  return { key, type: "boolean", since, defaults: [{ since, value }] };
}

function name(key: string, since: string, value: string): SystemConfigKey {
  return { key, type: "string", since, defaults: [{ since, value }] };
}

function concurrency(key: string, since: string, value: number): SystemConfigKey {
  return { key, type: "integer", minimum: 1, since, defaults: [{ since, value }] };
}
