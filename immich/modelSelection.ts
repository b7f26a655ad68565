import { clipModels, findClipModel } from "../catalog/clipModels";
import { faceModels } from "../catalog/faceModels";
import { atLeast, formatImmichVersion, type ImmichVersion } from "../catalog/immichVersion";
import { nearestModels } from "../catalog/modelNames";
import { misspelledOcrNames, ocrModels, ocrSince } from "../catalog/ocrModels";
import {
  presets,
  presetsBySize,
  reservedVideoMemory,
  type Preset,
  type PresetModel,
} from "../catalog/presets";
import { nearestNames } from "../util/nearestNames";
import type { Problem, Resolved } from "../util/problem";

/** What Immich's three kinds of machine learning shall use. What is left out is left as it is. */
export interface ModelSelection {
  /** Smart search; `false` switches it off. */
  readonly clip?: false | { readonly modelName?: string };
  /** Face detection and recognition; `false` switches both off. */
  readonly facialRecognition?:
    | false
    | {
        readonly modelName?: string;
        readonly minScore?: number;
        readonly maxDistance?: number;
        readonly minFaces?: number;
      };
  /** Text recognition (Immich 2.2.0 and newer); `false` switches it off. */
  readonly ocr?:
    | false
    | {
        readonly modelName?: string;
        readonly minDetectionScore?: number;
        readonly minRecognitionScore?: number;
        readonly maxResolution?: number;
      };
  /** Duplicate detection, which compares CLIP embeddings; left out: as it is. */
  readonly duplicateDetection?: false | { readonly maxDistance?: number };
  /** Jobs Immich works on at the same time, per queue. */
  readonly concurrency?: {
    readonly smartSearch?: number;
    readonly faceDetection?: number;
    readonly ocr?: number;
  };
}

/** What a stack file selects: parts of a preset replaced, or models without a preset. */
export interface ModelOverrides extends ModelSelection {
  /** The preset to start from, where `preset` names none. */
  readonly extends?: string;
}

/** What a selection needs. */
export interface ModelRequirements {
  /** An estimate of the GPU memory in MiB; undefined where the need of a model is not known. */
  readonly videoMemory: number | undefined;
  /** Length of a CLIP embedding; undefined with smart search off or an unknown model. */
  readonly embeddingDimension: number | undefined;
  /** The oldest Immich release that knows every model of the selection. */
  readonly immichVersion: string;
}

/** Where the selection is to be used. */
export interface SelectionContext {
  /** The server's release. */
  readonly immichVersion: ImmichVersion;
  /** Memory of the smallest GPU in MiB. @default not known, and not checked */
  readonly videoMemory?: number | undefined;
  /** Whether models that the catalog does not know are accepted. @default false */
  readonly allowUnknownModels?: boolean | undefined;
  /** Where Immich's configuration is written; SQL never writes an unknown CLIP name. @default "database" */
  readonly store?: "database" | "api" | undefined;
}

/**
 * Turns a preset's name and the stack file's overrides into models that exist in that Immich release
 * and fit the GPU, or into the complete list of what is wrong.
 *
 * @param presetName one of `presets`; undefined or "none" starts from nothing, or from `overrides.extends`
 * @returns no value where there are problems; their keys are `preset` or begin with `models`
 */
export function resolveModels(
  presetName: string | undefined,
  overrides: ModelOverrides,
  context: SelectionContext,
): Resolved<ModelSelection | undefined> {
  const named = presetName === "none" ? undefined : presetName;
  const preset = findPreset(named, overrides.extends);
  const base = preset.value && selectionOf(preset.value);
  // A preset's OCR is off where the server has none.
  const hasOcr = atLeast(context.immichVersion, ocrSince);
  const selection = merge({ ...base, ...(base && !hasOcr && { ocr: false }) }, overrides);
  const unknown = [
    ...preset.problems,
    ...modelParts.flatMap((part) => modelProblems(part, selection[part.name], context)),
  ];
  const problems = unknown.length > 0 ? unknown : memoryProblems(selection, context, named);
  return problems.length > 0
    ? { value: undefined, problems, notes: [] }
    : { value: selection, problems, notes: notesOn(selection, context) };
}

/** What a selection's models need. */
export function requirementsOf(selection: ModelSelection): ModelRequirements {
  const chosen = modelParts.flatMap((part) => {
    const name = modelOf(selection[part.name]);
    return name === undefined ? [] : [part.find(name)];
  });
  const memories = chosen.map((model) => model?.memory);
  return {
    videoMemory: memories.every((memory) => memory !== undefined)
      ? memories.reduce((sum, memory) => sum + memory, reservedVideoMemory)
      : undefined,
    embeddingDimension: findClipModel(modelOf(selection.clip) ?? "")?.embeddingDimension,
    immichVersion: chosen
      .map((model) => model?.since ?? oldestRelease)
      .reduce((left, right) => (byRelease(left, right) < 0 ? right : left), oldestRelease),
  };
}

/**
 * The preset for a GPU, which setup writes and the report suggests; undefined where none fits.
 *
 * @param memory MiB
 */
export function presetFor(
  memory: number,
  language: keyof typeof presetsBySize,
  immichVersion: ImmichVersion,
): string | undefined {
  return presetsBySize[language]
    .filter((name) => presetFits(presets[name]!, { immichVersion }, memory))
    .at(-1);
}

/** What a preset's models need together with another CLIP model, in MiB. */
export function memoryWith(preset: string, clip: string): number {
  const selection = { ...selectionOf(presets[preset]!), clip: { modelName: clip } };
  return requirementsOf(selection).videoMemory ?? Infinity;
}

interface KnownModel {
  readonly name: string;
  readonly since: string;
  readonly memory: number | undefined;
}

interface ModelPart {
  readonly name: "clip" | "facialRecognition" | "ocr";
  readonly title: string;
  readonly models: readonly KnownModel[];
  readonly find: (name: string) => KnownModel | undefined;
}

const oldestRelease = "1.94.0";

const modelParts: readonly ModelPart[] = [
  { name: "clip", title: "CLIP model", models: clipModels, find: findClipModel },
  {
    name: "facialRecognition",
    title: "face model",
    models: faceModels,
    find: (name) => faceModels.find((model) => model.name === name),
  },
  {
    name: "ocr",
    title: "OCR model",
    models: ocrModels,
    find: (name) => ocrModels.find((model) => model.name === name),
  },
];

function findPreset(
  named: string | undefined,
  extended: string | undefined,
): { readonly value: Preset | undefined; readonly problems: readonly Problem[] } {
  const contradiction =
    named !== undefined && extended !== undefined && extended !== named
      ? [
          {
            key: "models.extends",
            value: extended,
            expected: `leave it out: immich-ml:preset is ${named} already`,
          },
        ]
      : [];
  const name = named ?? extended;
  if (name === undefined) return { value: undefined, problems: [] };
  if (Object.hasOwn(presets, name)) return { value: presets[name], problems: contradiction };
  const known = Object.keys(presets);
  const unknown = {
    key: named === undefined ? "models.extends" : "preset",
    value: name,
    expected: `must be one of ${known.join(", ")}`,
    suggestion: nearestNames(name, known)[0],
  };
  return { value: undefined, problems: [...contradiction, unknown] };
}

function selectionOf({ clip, facialRecognition, ocr, concurrency }: Preset): ModelSelection {
  const part = (model: PresetModel) => (model === false ? false : { modelName: model });
  return {
    clip: part(clip),
    facialRecognition: part(facialRecognition),
    ocr: part(ocr),
    concurrency,
  };
}

function merge(
  base: ModelSelection = {},
  { extends: _, ...overrides }: ModelOverrides,
): ModelSelection {
  const part = <Part extends object>(
    before: false | Part | undefined,
    now: false | Part | undefined,
  ) => (now ? { ...before, ...now } : (now ?? before));
  return {
    ...base,
    ...overrides,
    clip: part(base.clip, overrides.clip),
    facialRecognition: part(base.facialRecognition, overrides.facialRecognition),
    ocr: part(base.ocr, overrides.ocr),
    concurrency: { ...base.concurrency, ...overrides.concurrency },
  };
}

function modelProblems(
  part: ModelPart,
  value: ModelSelection["clip"],
  context: SelectionContext,
): Problem[] {
  if (!value) return [];
  const { immichVersion } = context;
  const release = formatImmichVersion(immichVersion);
  const problem = { key: `models.${part.name}`, value: value.modelName };
  if (part.name === "ocr" && !atLeast(immichVersion, ocrSince)) {
    const expected = `must be off or left out: OCR came with Immich v${ocrSince}, this server is ${release}`;
    return [{ ...problem, expected }];
  }
  if (value.modelName === undefined) return [];
  const model = part.find(value.modelName);
  if (!model) return unknownModel(part, value.modelName, context);
  if (atLeast(immichVersion, model.since)) return [];
  const expected = `came with Immich v${model.since}, this server is ${release}; ${release} knows ${listed(part, context)}`;
  return [{ ...problem, expected }];
}

function unknownModel(part: ModelPart, name: string, context: SelectionContext): Problem[] {
  const problem = { key: `models.${part.name}`, value: name };
  if (part.name === "ocr" && Object.hasOwn(misspelledOcrNames, name)) {
    return [{ ...problem, expected: misspelledOcrNames[name]! }];
  }
  if (context.allowUnknownModels) {
    if (part.name !== "clip" || context.store === "api") return [];
    const expected =
      "is not a CLIP model that this program knows, and a server that does not know the CLIP model in its " +
      "database does not start; unknown CLIP models are accepted through Immich's API only " +
      "(immich-ml:immich.api), which checks the name";
    return [{ ...problem, expected }];
  }
  const near = nearestModels(
    name,
    availableModels(part, context).map((model) => model.name),
  );
  const expected =
    `is not a ${part.title} of Immich ${formatImmichVersion(context.immichVersion)}` +
    `${near.length > 1 ? ` (near: ${near.join(", ")})` : ""}; known: ${listed(part, context)}` +
    "; immich-ml:allowUnknownModels accepts newer ones";
  return [{ ...problem, expected, suggestion: near[0] }];
}

function memoryProblems(
  selection: ModelSelection,
  context: SelectionContext,
  preset: string | undefined,
): Problem[] {
  const { videoMemory: memory } = context;
  const { videoMemory: needed } = requirementsOf(selection);
  if (memory === undefined || needed === undefined || needed <= memory) return [];
  const models = modelParts.flatMap((part) => {
    const name = modelOf(selection[part.name]);
    return name === undefined ? [] : [`${name} ${part.find(name)?.memory ?? 0}`];
  });
  const fittingPresets = Object.keys(presets).filter((name) =>
    presetFits(presets[name]!, context, memory),
  );
  const clipMemory = findClipModel(modelOf(selection.clip) ?? "")?.memory ?? 0;
  const fittingClip = byRecall(
    clipModels
      .filter((model) => model.memory !== undefined && model.memory <= memory - needed + clipMemory)
      .filter((model) => atLeast(context.immichVersion, model.since)),
  ).slice(0, 5);
  const expected = [
    `needs about ${needed} MiB of GPU memory ` +
      `(${models.join(", ")}, driver and libraries ${reservedVideoMemory}), the smallest GPU has ${memory} MiB`,
    fittingPresets.length > 0 ? `presets that fit: ${fittingPresets.join(", ")}` : "no preset fits",
    ...(fittingClip.length > 0
      ? [`CLIP models that would fit here: ${fittingClip.map(({ name }) => name).join(", ")}`]
      : []),
  ].join("; ");
  return [{ key: preset === undefined ? "models" : "preset", value: preset, expected }];
}

function presetFits(preset: Preset, context: SelectionContext, memory: number): boolean {
  const { videoMemory = Infinity, immichVersion } = requirementsOf(selectionOf(preset));
  return videoMemory <= memory && atLeast(context.immichVersion, immichVersion);
}

function notesOn(selection: ModelSelection, { videoMemory }: SelectionContext): string[] {
  if (videoMemory === undefined) return [];
  return modelParts.flatMap((part) => {
    const name = modelOf(selection[part.name]);
    if (name === undefined || part.find(name)?.memory !== undefined) return [];
    return [
      `${part.title} ${name}: nobody published how much GPU memory it needs, so whether it fits into ${videoMemory} MiB is not known`,
    ];
  });
}

function availableModels({ models }: ModelPart, { immichVersion }: SelectionContext) {
  return models.filter((model) => atLeast(immichVersion, model.since));
}

/** All names where that is short, otherwise those that fit the GPU, best recall first. */
function listed(part: ModelPart, context: SelectionContext): string {
  const models = availableModels(part, context);
  if (models.length <= 12) return models.map((model) => model.name).join(", ");
  const { videoMemory } = context;
  const fitting = models.filter(
    ({ memory }) =>
      videoMemory === undefined ||
      (memory !== undefined && memory + reservedVideoMemory <= videoMemory),
  );
  const best = byRecall(fitting).slice(0, 8);
  const where = videoMemory === undefined ? "" : ` that fit into ${videoMemory} MiB`;
  return `${models.length} models, among those${where}: ${best.map((model) => model.name).join(", ")}`;
}

function byRecall<Model extends KnownModel>(models: readonly Model[]): Model[] {
  const recall = ({ name }: Model) => findClipModel(name)?.recall ?? 0;
  return [...models].sort((left, right) => recall(right) - recall(left));
}

/** The model a part names, if it is neither off nor left as it is. */
function modelOf(part: ModelSelection["clip"]): string | undefined {
  return part ? part.modelName : undefined;
}

function byRelease(left: string, right: string): number {
  return left.localeCompare(right, "en", { numeric: true });
}
