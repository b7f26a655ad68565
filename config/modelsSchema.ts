import { z } from "zod";

import { allowedSetting, findSystemConfigKey, isAllowedSetting } from "../catalog/systemConfigKeys";
import type { ModelOverrides } from "../immich/modelSelection";
import { text, yesOrNo } from "./values";

/** A number that Immich's configuration holds, within Immich's own limits. */
function setting(key: string) {
  const entry = findSystemConfigKey(key)!;
  return z
    .number()
    .refine((value) => isAllowedSetting(entry, value))
    .meta({ allowed: allowedSetting(entry) })
    .optional();
}

/** YAML readers give `off` as text or as false. */
const offAsObject = (value: unknown) =>
  value === false || value === "off" ? { enabled: false } : value;

const nameAsObject = (value: unknown) =>
  typeof value === "string" && value !== "off" ? { modelName: value } : offAsObject(value);

function offAsFalse<Fields extends { enabled?: boolean | undefined }>({
  enabled,
  ...rest
}: Fields) {
  return enabled === false ? (false as const) : rest;
}

function part(title: string, settings: Record<string, ReturnType<typeof setting>> = {}) {
  const modelName = text(`the name of a ${title}`).optional();
  return z
    .preprocess(
      nameAsObject,
      z
        .strictObject({ enabled: yesOrNo.optional(), modelName, ...settings })
        .meta({ allowed: `the name of a ${title}, off, or an object with modelName` }),
    )
    .transform(offAsFalse)
    .optional();
}

/** What Immich's three kinds of machine learning shall use, in place of the preset or on top of it. */
export const modelsSchema = z.strictObject({
  extends: text("the name of a model preset").optional(),
  clip: part("CLIP model"),
  facialRecognition: part("face model", {
    minScore: setting("machineLearning.facialRecognition.minScore"),
    maxDistance: setting("machineLearning.facialRecognition.maxDistance"),
    minFaces: setting("machineLearning.facialRecognition.minFaces"),
  }),
  ocr: part("OCR model", {
    minDetectionScore: setting("machineLearning.ocr.minDetectionScore"),
    minRecognitionScore: setting("machineLearning.ocr.minRecognitionScore"),
    maxResolution: setting("machineLearning.ocr.maxResolution"),
  }),
  duplicateDetection: z
    .preprocess(
      offAsObject,
      z
        .strictObject({
          enabled: yesOrNo.optional(),
          maxDistance: setting("machineLearning.duplicateDetection.maxDistance"),
        })
        .meta({ allowed: "off, or an object with maxDistance" }),
    )
    .transform(offAsFalse)
    .optional(),
  concurrency: z
    .strictObject({
      smartSearch: setting("job.smartSearch.concurrency"),
      faceDetection: setting("job.faceDetection.concurrency"),
      ocr: setting("job.ocr.concurrency"),
    })
    .optional(),
}) satisfies z.ZodType<ModelOverrides>;
