/** What a key of Immich's configuration may hold. */
export type SettingValue = boolean | number | string | readonly string[];

/** The values a key may have. Limits are inclusive. */
export interface SettingType {
  readonly type: "boolean" | "integer" | "number" | "string" | "strings";
  /** @default no limit */
  readonly minimum?: number;
  /** @default no limit */
  readonly maximum?: number;
}

/** One key of Immich's system configuration that belongs to machine learning. */
export interface SystemConfigKey extends SettingType {
  /** Dotted path, e.g. `machineLearning.clip.modelName`. */
  readonly key: string;
  /** First release with the key; "1.94.0" stands for that or older. */
  readonly since: string;
  /** First release without the key. @default none */
  readonly until?: string;
  /**
   * What an absent key stands for, by the first release where that holds, oldest first. Immich stores
   * no value that equals its default, so an absent key is this value and never drift by itself.
   */
  readonly defaults: readonly { readonly since: string; readonly value: SettingValue }[];
}

const boolean: SettingType = { type: "boolean" };
const string: SettingType = { type: "string" };
const count: SettingType = { type: "integer", minimum: 1 };
const number = (minimum: number, maximum: number): SettingType => ({
  type: "number",
  minimum,
  maximum,
});

/**
 * The keys this program may read and write, and no others.
 *
 * Defaults and limits: server/src/config.ts and the configuration DTOs of v1.94.0, v1.106.0, v1.143,
 * v2.2.0 and v3.1.0. `enabled` and `urls` of machineLearning follow IMMICH_MACHINE_LEARNING_ENABLED
 * and IMMICH_MACHINE_LEARNING_URL of the server where these are set; the defaults here are without.
 */
export const systemConfigKeys: readonly SystemConfigKey[] = [
  row("machineLearning.enabled", boolean, "1.94.0", true),
  {
    ...row("machineLearning.url", string, "1.94.0", "http://immich-machine-learning:3003"),
    until: "1.122.0",
  },
  row("machineLearning.urls", { type: "strings" }, "1.122.0", [
    "http://immich-machine-learning:3003",
  ]),
  row("machineLearning.availabilityChecks.enabled", boolean, "1.143.0", true),
  row("machineLearning.availabilityChecks.timeout", count, "1.143.0", 2000),
  row("machineLearning.availabilityChecks.interval", count, "1.143.0", 30_000),
  row("machineLearning.clip.enabled", boolean, "1.94.0", true),
  row("machineLearning.clip.modelName", string, "1.94.0", "ViT-B-32__openai"),
  row("machineLearning.duplicateDetection.enabled", boolean, "1.106.0", true),
  {
    ...row("machineLearning.duplicateDetection.maxDistance", number(0.001, 0.1), "1.106.0", 0.0155),
    defaults: [
      { since: "1.106.0", value: 0.0155 },
      { since: "1.107.0", value: 0.01 },
    ],
  },
  row("machineLearning.facialRecognition.enabled", boolean, "1.94.0", true),
  row("machineLearning.facialRecognition.modelName", string, "1.94.0", "buffalo_l"),
  row("machineLearning.facialRecognition.minScore", number(0.1, 1), "1.94.0", 0.7),
  {
    ...row("machineLearning.facialRecognition.maxDistance", number(0.1, 2), "1.94.0", 0.6),
    defaults: [
      { since: "1.94.0", value: 0.6 },
      { since: "1.98.0", value: 0.5 },
    ],
  },
  row("machineLearning.facialRecognition.minFaces", count, "1.94.0", 3),
  row("machineLearning.ocr.enabled", boolean, "2.2.0", true),
  row("machineLearning.ocr.modelName", string, "2.2.0", "PP-OCRv5_mobile"),
  row("machineLearning.ocr.minDetectionScore", number(0.1, 1), "2.2.0", 0.5),
  row("machineLearning.ocr.minRecognitionScore", number(0.1, 1), "2.2.0", 0.8),
  row("machineLearning.ocr.maxResolution", count, "2.2.0", 736),
  row("job.smartSearch.concurrency", count, "1.94.0", 2),
  row("job.faceDetection.concurrency", count, "1.94.0", 2),
  row("job.ocr.concurrency", count, "2.2.0", 1),
];

/** The key of the CLIP model: the one whose change makes stored embeddings wrong. */
export const clipModelKey = "machineLearning.clip.modelName";

/** The key of the face model: when it changes, faces must be detected again. */
export const faceModelKey = "machineLearning.facialRecognition.modelName";

/** The entry of a dotted key, if it is one of ours. */
export function findSystemConfigKey(key: string): SystemConfigKey | undefined {
  return systemConfigKeys.find((entry) => entry.key === key);
}

/** Whether Immich accepts a value under a key of this type. */
export function isAllowedSetting(setting: SettingType, value: unknown): boolean {
  const { type, minimum = -Infinity, maximum = Infinity } = setting;
  const isText = (text: unknown) => typeof text === "string" && text !== "";
  const isInRange = (number: number) => number >= minimum && number <= maximum;
  switch (type) {
    case "boolean":
      return typeof value === "boolean";
    case "integer":
      return Number.isSafeInteger(value) && isInRange(value as number);
    case "number":
      return typeof value === "number" && isInRange(value);
    case "string":
      return isText(value);
    case "strings":
      return Array.isArray(value) && value.length > 0 && value.every(isText);
  }
}

/** The values Immich accepts under a key of this type, in words: `a number from 0.1 to 1`. */
export function allowedSetting({ type, minimum, maximum }: SettingType): string {
  const from = minimum === undefined ? "" : ` of at least ${minimum}`;
  const range = maximum === undefined ? from : ` from ${minimum} to ${maximum}`;
  switch (type) {
    case "boolean":
      return "true or false";
    case "integer":
      return `a whole number${range}`;
    case "number":
      return `a number${range}`;
    case "string":
      return "text";
    case "strings":
      return "a list of at least one text";
  }
}

function row(key: string, type: SettingType, since: string, value: SettingValue): SystemConfigKey {
  return { key, ...type, since, defaults: [{ since, value }] };
}
