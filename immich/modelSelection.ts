import { clipModels, findClipModel } from "../catalog/clipModels";
import { faceModels } from "../catalog/faceModels";
import { atLeast, formatImmichVersion, type ImmichVersion } from "../catalog/immichVersion";
import { nearestNames } from "../util/nearestNames";
import { misspelledOcrNames, ocrModels, ocrSince } from "../catalog/ocrModels";
import { presets, reservedVideoMemory, type Preset, type PresetModel } from "../catalog/presets";
import { findSystemConfigKey } from "../catalog/systemConfigKeys";

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

/** What a selection needs. */
export interface ModelRequirements {
  /** Memory of the GPU in MiB, or undefined where a model's need is not known. An estimate. */
  readonly videoMemory: number | undefined;
  /** Length of a CLIP embedding, or undefined with smart search off or an unknown model. */
  readonly embeddingDimension: number | undefined;
  /** Oldest Immich release that knows every model of the selection. */
  readonly immichVersion: string;
}

/** Where the selection is to be used. */
export interface SelectionContext {
  /** The server's release. */
  readonly immichVersion: ImmichVersion;
  /** Memory of the smallest GPU in MiB; left out (a CPU, an unknown card): no check. */
  readonly videoMemory?: number | undefined;
  /** Lets models through that this catalog does not know. @default false */
  readonly allowUnknownModels?: boolean | undefined;
  /** How the setting will be written: an unknown CLIP name is never written by SQL. @default "database" */
  readonly store?: "database" | "api" | undefined;
}

/** One error in a preset or its overrides. */
export interface ModelProblem {
  /** `preset` or a path below `models`, as in the stack file. */
  readonly key: string;
  readonly value?: unknown;
  /** What is allowed, or what to do. */
  readonly expected: string;
  /** The nearest known name. */
  readonly suggestion?: string | undefined;
}

export type ResolvedModels =
  | {
      readonly selection: ModelSelection;
      readonly requirements: ModelRequirements;
      /** What is worth saying before it is done, without being an error. */
      readonly warnings: readonly string[];
      readonly problems: readonly [];
    }
  | { readonly selection?: undefined; readonly problems: readonly ModelProblem[] };

/**
 * Turns a preset's name and the stack file's overrides into models that exist in that Immich release
 * and fit the GPU, or into the complete list of what is wrong.
 *
 * @param presetName one of `presets`; undefined (or "none") declares only what the overrides name. These may
 *   name a preset too, as `extends`, where none is given.
 * @param overrides the object `immich-ml:models`, unchecked: `clip`, `facialRecognition` and `ocr`
 *   (a model's name, `off`, or an object with `modelName` and scores), `duplicateDetection` and
 *   `concurrency`.
 */
export function resolveModels(
  presetName: string | undefined,
  overrides: unknown,
  context: SelectionContext,
): ResolvedModels {
  const problems: ModelProblem[] = [];
  const given = asObject(overrides ?? {}, "models", problems);
  reportUnknownNames(given, "models", partNames, problems);

  const draft = startFrom(presetName, given["extends"], context, problems);
  for (const part of modelParts) {
    const value = given[part.name];
    if (value !== undefined) draft[part.name] = mergePart(part, draft[part.name], value, problems);
  }
  mergeDuplicateDetection(draft, given["duplicateDetection"], problems);
  mergeConcurrency(draft, given["concurrency"], problems);

  for (const part of modelParts) checkModel(part, draft[part.name], context, problems);
  if (problems.length > 0) return { problems };

  const selection = draft as ModelSelection;
  const requirements = requirementsOf(selection);
  checkMemory(selection, requirements, context, presetName, problems);
  if (problems.length > 0) return { problems };
  return { selection, requirements, warnings: warningsFor(selection, context), problems: [] };
}

/** What a selection's models need: see {@link ModelRequirements}. */
export function requirementsOf(selection: ModelSelection): ModelRequirements {
  const chosen = modelParts.flatMap((part) => {
    const name = modelOf(selection[part.name]);
    return name === undefined ? [] : [part.find(name)];
  });
  const memories = chosen.map((model) => model?.memory);
  const clip = findClipModel(modelOf(selection.clip) ?? "");
  return {
    videoMemory: memories.every((memory) => memory !== undefined)
      ? memories.reduce<number>((sum, memory) => sum + memory, reservedVideoMemory)
      : undefined,
    embeddingDimension: clip?.embeddingDimension,
    immichVersion:
      chosen
        .map((model) => model?.since ?? oldestRelease)
        .sort(byRelease)
        .at(-1) ?? oldestRelease,
  };
}

interface KnownModel {
  readonly name: string;
  readonly since: string;
  readonly memory: number | undefined;
}

type PartName = "clip" | "facialRecognition" | "ocr";
type PartValue = undefined | false | ({ modelName?: string } & Record<string, unknown>);

interface ModelPart {
  readonly name: PartName;
  readonly title: string;
  readonly models: readonly KnownModel[];
  readonly find: (name: string) => KnownModel | undefined;
  /** Settings of the part beside the model's name; they are keys of Immich's configuration. */
  readonly settings: readonly string[];
}

const oldestRelease = "1.94.0";

const modelParts: readonly ModelPart[] = [
  {
    name: "clip",
    title: "CLIP model",
    models: clipModels,
    find: findClipModel,
    settings: [],
  },
  {
    name: "facialRecognition",
    title: "face model",
    models: faceModels,
    find: (name) => faceModels.find((model) => model.name === name),
    settings: ["minScore", "maxDistance", "minFaces"],
  },
  {
    name: "ocr",
    title: "OCR model",
    models: ocrModels,
    find: (name) => ocrModels.find((model) => model.name === name),
    settings: ["minDetectionScore", "minRecognitionScore", "maxResolution"],
  },
];

const queueNames = ["smartSearch", "faceDetection", "ocr"] as const;
const partNames = [
  "extends",
  ...modelParts.map((part) => part.name),
  "duplicateDetection",
  "concurrency",
];

interface Draft {
  clip?: PartValue;
  facialRecognition?: PartValue;
  ocr?: PartValue;
  duplicateDetection?: false | { maxDistance?: unknown };
  concurrency: Record<string, unknown>;
}

function startFrom(
  presetName: string | undefined,
  extended: unknown,
  context: SelectionContext,
  problems: ModelProblem[],
): Draft {
  const named = presetName === "none" ? undefined : presetName;
  const key = named === undefined ? "models.extends" : "preset";
  if (named !== undefined && extended !== undefined && extended !== named) {
    problems.push({
      key: "models.extends",
      value: extended,
      expected: `leave it out: immich-ml:preset is ${named} already`,
    });
  }
  const asked = named ?? extended;
  const preset =
    typeof asked === "string" && Object.hasOwn(presets, asked) ? presets[asked] : undefined;
  if (asked !== undefined && preset === undefined) {
    problems.push({
      key,
      value: asked,
      expected: `must be one of ${Object.keys(presets).join(", ")}`,
      suggestion:
        typeof asked === "string" ? nearestNames(asked, Object.keys(presets))[0] : undefined,
    });
  }
  if (preset === undefined) return { concurrency: {} };
  const part = (model: PresetModel): PartValue => (model === false ? false : { modelName: model });
  return {
    clip: part(preset.clip),
    facialRecognition: part(preset.facialRecognition),
    ocr: atLeast(context.immichVersion, ocrSince) ? part(preset.ocr) : false,
    concurrency: { ...preset.concurrency },
  };
}

function mergePart(
  part: ModelPart,
  before: PartValue,
  value: unknown,
  problems: ModelProblem[],
): PartValue {
  const key = `models.${part.name}`;
  if (unreachable(value)) return false;
  const base = before === false ? undefined : before;
  if (typeof value === "string") return { ...base, modelName: value };
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    problems.push({
      key,
      value,
      expected: `must be the name of a ${part.title}, off, or an object with modelName`,
    });
    return undefined;
  }
  const fields = value as Record<string, unknown>;
  reportUnknownNames(fields, key, ["enabled", "modelName", ...part.settings], problems);
  if (fields["enabled"] === false) return false;
  if (fields["enabled"] !== undefined && fields["enabled"] !== true) {
    problems.push({
      key: `${key}.enabled`,
      value: fields["enabled"],
      expected: "must be true or false",
    });
  }
  if (fields["modelName"] !== undefined && typeof fields["modelName"] !== "string") {
    problems.push({
      key: `${key}.modelName`,
      value: fields["modelName"],
      expected: `must be the name of a ${part.title}`,
    });
    return undefined;
  }
  const settings = part.settings.filter((name) => fields[name] !== undefined);
  for (const name of settings) {
    checkNumber(`${key}.${name}`, fields[name], `machineLearning.${part.name}.${name}`, problems);
  }
  const named = [...(fields["modelName"] === undefined ? [] : ["modelName"]), ...settings];
  return { ...base, ...Object.fromEntries(named.map((name) => [name, fields[name]])) };
}

function mergeDuplicateDetection(draft: Draft, value: unknown, problems: ModelProblem[]): void {
  if (value === undefined) return;
  if (unreachable(value)) {
    draft.duplicateDetection = false;
    return;
  }
  const key = "models.duplicateDetection";
  const fields = asObject(value, key, problems);
  reportUnknownNames(fields, key, ["enabled", "maxDistance"], problems);
  if (fields["enabled"] === false) {
    draft.duplicateDetection = false;
    return;
  }
  if (fields["maxDistance"] === undefined) {
    draft.duplicateDetection = {};
    return;
  }
  checkNumber(
    `${key}.maxDistance`,
    fields["maxDistance"],
    "machineLearning.duplicateDetection.maxDistance",
    problems,
  );
  draft.duplicateDetection = { maxDistance: fields["maxDistance"] };
}

function mergeConcurrency(draft: Draft, value: unknown, problems: ModelProblem[]): void {
  if (value === undefined) return;
  const key = "models.concurrency";
  const fields = asObject(value, key, problems);
  reportUnknownNames(fields, key, queueNames, problems);
  for (const queue of queueNames) {
    if (fields[queue] === undefined) continue;
    checkNumber(`${key}.${queue}`, fields[queue], `job.${queue}.concurrency`, problems);
    draft.concurrency[queue] = fields[queue];
  }
}

function checkModel(
  part: ModelPart,
  value: PartValue,
  context: SelectionContext,
  problems: ModelProblem[],
): void {
  if (value === undefined || value === false) return;
  const key = `models.${part.name}`;
  const release = formatImmichVersion(context.immichVersion);
  if (part.name === "ocr" && !atLeast(context.immichVersion, ocrSince)) {
    problems.push({
      key,
      value: value.modelName,
      expected: `must be off or left out: OCR came with Immich v${ocrSince}, this server is ${release}`,
    });
    return;
  }
  if (value.modelName === undefined) return;
  const available = part.models.filter((model) => atLeast(context.immichVersion, model.since));
  const model = part.find(value.modelName);
  if (model === undefined) {
    reportUnknownModel(part, value.modelName, available, context, problems);
  } else if (!atLeast(context.immichVersion, model.since)) {
    problems.push({
      key,
      value: value.modelName,
      expected:
        `came with Immich v${model.since}, this server is ${release}; ` +
        `${release} knows ${listed(available, context)}`,
    });
  }
}

function reportUnknownModel(
  part: ModelPart,
  name: string,
  available: readonly KnownModel[],
  context: SelectionContext,
  problems: ModelProblem[],
): void {
  const key = `models.${part.name}`;
  const mistaken =
    part.name === "ocr" && Object.hasOwn(misspelledOcrNames, name)
      ? misspelledOcrNames[name]
      : undefined;
  if (mistaken !== undefined) {
    problems.push({ key, value: name, expected: mistaken });
    return;
  }
  if (context.allowUnknownModels) {
    if (part.name !== "clip" || context.store === "api") return;
    problems.push({
      key,
      value: name,
      expected:
        "is not a CLIP model this program knows, and a server that does not know the CLIP model in its " +
        "database does not start; unknown CLIP models are let through by Immich's API only " +
        "(immich-ml:immich.api), which checks the name",
    });
    return;
  }
  const near = nearestNames(
    name,
    available.map((model) => model.name),
  );
  problems.push({
    key,
    value: name,
    expected:
      `is not a ${part.title} of Immich ${formatImmichVersion(context.immichVersion)}` +
      `${near.length > 1 ? ` (near: ${near.join(", ")})` : ""}; known: ${listed(available, context)}` +
      "; immich-ml:allowUnknownModels lets newer ones through",
    suggestion: near[0],
  });
}

function checkMemory(
  selection: ModelSelection,
  requirements: ModelRequirements,
  context: SelectionContext,
  presetName: string | undefined,
  problems: ModelProblem[],
): void {
  const memory = context.videoMemory;
  if (memory === undefined || requirements.videoMemory === undefined) return;
  if (requirements.videoMemory <= memory) return;
  const models = modelParts.flatMap((part) => {
    const name = modelOf(selection[part.name]);
    return name === undefined ? [] : [`${name} ${part.find(name)?.memory ?? 0}`];
  });
  const fittingPresets = Object.entries(presets)
    .filter(([, preset]) => presetFits(preset, context, memory))
    .map(([name]) => name);
  const clipMemory = findClipModel(modelOf(selection.clip) ?? "")?.memory ?? 0;
  const clipRoom = memory - (requirements.videoMemory - clipMemory);
  const fittingClip = clipModels
    .filter((model) => model.memory !== undefined && model.memory <= clipRoom)
    .filter((model) => atLeast(context.immichVersion, model.since))
    .sort((left, right) => (right.recall ?? 0) - (left.recall ?? 0))
    .slice(0, 5)
    .map((model) => model.name);
  problems.push({
    key: presetName === undefined || presetName === "none" ? "models" : "preset",
    value: presetName,
    expected:
      `needs about ${requirements.videoMemory} MiB of GPU memory ` +
      `(${models.join(", ")}, driver and libraries ${reservedVideoMemory}), the smallest GPU has ${memory} MiB; ` +
      (fittingPresets.length > 0
        ? `presets that fit: ${fittingPresets.join(", ")}`
        : "no preset fits") +
      (fittingClip.length > 0
        ? `; CLIP models that would fit here: ${fittingClip.join(", ")}`
        : ""),
  });
}

function presetFits(preset: Preset, context: SelectionContext, memory: number): boolean {
  const models = modelParts.flatMap((part) => {
    const name = preset[part.name];
    return name === false ? [] : [part.find(name)];
  });
  const need = models.reduce((sum, model) => sum + (model?.memory ?? 0), reservedVideoMemory);
  return (
    need <= memory && models.every((model) => model && atLeast(context.immichVersion, model.since))
  );
}

function warningsFor(selection: ModelSelection, context: SelectionContext): string[] {
  if (context.videoMemory === undefined) return [];
  return modelParts.flatMap((part) => {
    const name = modelOf(selection[part.name]);
    if (name === undefined || part.find(name)?.memory !== undefined) return [];
    return [
      `${part.title} ${name}: its need of GPU memory is not known, so nothing says ` +
        `whether it fits into ${context.videoMemory} MiB`,
    ];
  });
}

/** All names where that is short, otherwise those that fit the GPU, best known recall first. */
function listed(models: readonly KnownModel[], context: SelectionContext): string {
  if (models.length <= 12) return models.map((model) => model.name).join(", ");
  const memory = context.videoMemory;
  const fitting = models.filter(
    (model) =>
      memory === undefined ||
      (model.memory !== undefined && model.memory + reservedVideoMemory <= memory),
  );
  const best = [...fitting]
    .sort((left, right) => recall(right.name) - recall(left.name))
    .slice(0, 8);
  const where = memory === undefined ? "" : ` that fit into ${memory} MiB`;
  return `${models.length} models, among those${where}: ${best.map((model) => model.name).join(", ")}`;
}

function recall(name: string): number {
  return findClipModel(name)?.recall ?? 0;
}

function checkNumber(
  key: string,
  value: unknown,
  configKey: string,
  problems: ModelProblem[],
): void {
  const entry = findSystemConfigKey(configKey);
  if (entry === undefined) throw new Error(`not a key of Immich's configuration: ${configKey}`);
  const whole = entry.type === "integer";
  const { minimum = -Infinity, maximum = Infinity } = entry;
  const fine =
    typeof value === "number" &&
    Number.isFinite(value) &&
    (!whole || Number.isSafeInteger(value)) &&
    value >= minimum &&
    value <= maximum;
  if (fine) return;
  const range = maximum === Infinity ? `of at least ${minimum}` : `from ${minimum} to ${maximum}`;
  problems.push({
    key,
    value,
    expected: `must be a ${whole ? "whole number" : "number"} ${range}`,
  });
}

function asObject(value: unknown, key: string, problems: ModelProblem[]): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  problems.push({ key, value, expected: "must be an object" });
  return {};
}

function reportUnknownNames(
  fields: Record<string, unknown>,
  key: string,
  known: readonly string[],
  problems: ModelProblem[],
): void {
  for (const name of Object.keys(fields)) {
    if (known.includes(name)) continue;
    problems.push({
      key: `${key}.${name}`,
      expected: `there is no such setting; known here: ${known.join(", ")}`,
      suggestion: nearestNames(name, known)[0],
    });
  }
}

/** The model a part names, if it is neither off nor left as it is. */
function modelOf(part: undefined | false | { readonly modelName?: string }): string | undefined {
  return part ? part.modelName : undefined;
}

/** YAML readers give `off` as text or as false. */
function unreachable(value: unknown): boolean {
  return value === false || value === "off";
}

function byRelease(left: string, right: string): number {
  return left.localeCompare(right, "en", { numeric: true });
}
