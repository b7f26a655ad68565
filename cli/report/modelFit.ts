import { canonicalClipName, type ClipModel, clipModels } from "../../catalog/clipModels";
import { newestReleaseRead } from "../../catalog/environment";
import { atLeast, parseImmichVersion } from "../../catalog/immichVersion";
import { clipModelKey } from "../../catalog/systemConfigKeys";
import { presets } from "../../catalog/presets";
import { type ModelSelection, presetFor, requirementsOf } from "../../immich/modelSelection";

/** Where a stack's release is not known. */
const newestRelease = parseImmichVersion(newestReleaseRead)!;

/** A CLIP model compared with the stack's GPUs. */
export interface FittingModel extends ClipModel {
  /**
   * MiB that the smallest GPU must have: for this model, the stack's face and OCR models and the
   * driver; undefined where Immich publishes no figure.
   */
  readonly needs: number | undefined;
  /** Undefined where the need or the GPU is unknown. */
  readonly fits: boolean | undefined;
  /** Whether the stack's release of Immich has it; undefined where the release is unknown. */
  readonly isKnown: boolean | undefined;
  readonly isChosen: boolean;
}

export interface ModelOverview {
  /** The best recall first; models without a published figure last. */
  readonly models: readonly FittingModel[];
  readonly chosen: FittingModel | undefined;
  /** That of the preset for this GPU, where the release has it. */
  readonly best: FittingModel | undefined;
  /** The other models whose memory is included. */
  readonly besides: readonly string[];
}

/**
 * @param settings Immich's settings that the stack declares, by dotted key
 * @param videoMemory MiB of the smallest GPU
 */
export function overviewOf(
  settings: Readonly<Record<string, unknown>>,
  videoMemory: number | undefined,
  immichVersion: string | undefined,
): ModelOverview {
  const part = (name: string) => {
    const model = settings[`machineLearning.${name}.modelName`];
    const isDisabled = settings[`machineLearning.${name}.enabled`] === false;
    return isDisabled || typeof model !== "string" ? undefined : model;
  };
  const [face, ocr, clip] = [part("facialRecognition"), part("ocr"), settings[clipModelKey]];
  const others: ModelSelection = {
    ...(face !== undefined && { facialRecognition: { modelName: face } }),
    ...(ocr !== undefined && { ocr: { modelName: ocr } }),
  };
  const chosenName = typeof clip === "string" ? canonicalClipName(clip) : undefined;
  const version = parseImmichVersion(immichVersion ?? "");
  const preset =
    videoMemory === undefined
      ? undefined
      : presetFor(videoMemory, "english", version ?? newestRelease);
  const suggested = preset === undefined ? undefined : presets[preset]?.clip;
  const models = clipModels
    .map((model): FittingModel => {
      const needs = requirementsOf({ ...others, clip: { modelName: model.name } }).videoMemory;
      return {
        ...model,
        needs,
        fits: needs === undefined || videoMemory === undefined ? undefined : needs <= videoMemory,
        isKnown: version && atLeast(version, model.since),
        isChosen: model.name === chosenName,
      };
    })
    .sort((left, right) => (right.recall ?? 0) - (left.recall ?? 0));
  return {
    models,
    chosen: models.find(({ isChosen }) => isChosen),
    best: models.find(({ name, isKnown }) => name === suggested && isKnown !== false),
    besides: [face, ocr].filter((name) => name !== undefined),
  };
}
