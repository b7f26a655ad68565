import { acceleratorsOfImage, type AcceleratorName } from "../catalog/accelerators";
import { canonicalClipName, findClipModel } from "../catalog/clipModels";
import { findGpu } from "../catalog/gpuNames";
import { parseImmichVersion } from "../catalog/immichVersion";
import { presets } from "../catalog/presets";
import { memoryWith, presetFor } from "../immich/modelSelection";
import type { NvidiaGpu } from "../preflight/nvidia";
import type { FoundImmich } from "./findImmich";
import { planAddress } from "./planAddress";
import { labelNote, planContainer } from "./planContainer";
import { planEnvironment } from "./planEnvironment";

/*
 * What the stack file shall say, from what was found and what was answered. Pure.
 */

/** All that setup found out. */
export interface Situation {
  readonly immich: FoundImmich;
  /** Such as v2.7.5. */
  readonly version: string;
  /** The engine's address, as in DOCKER_HOST. */
  readonly dockerHost: string;
  /** The engine's own name. */
  readonly machine: string;
  readonly gpus: readonly NvidiaGpu[];
  /** Why there is no NVIDIA card to be seen. */
  readonly gpuProblem: string | undefined;
  /** The variables that the old container's image sets itself. */
  readonly imageEnvironment: Readonly<Record<string, string>>;
  /** The labels that it sets itself. @default none */
  readonly imageLabels?: Readonly<Record<string, string>>;
  /** What Immich's database says; undefined where it does not answer. */
  readonly models:
    | {
        readonly clip: string;
        readonly photos: number;
        /** Where Immich looks for machine learning; undefined where it keeps to its variables. */
        readonly urls?: readonly string[];
      }
    | undefined;
}

export interface Answers {
  /** Whether people search in other languages than English. */
  readonly isMultilingual: boolean;
  readonly mirrors: Mirrors;
  readonly takesOver: boolean;
  /** Whether the CLIP model may change, which costs a new index of all photos. */
  readonly changesClip: boolean;
}

/** The mirrors of a filtered network, by their names in a stack file. */
export type Mirrors = Partial<
  Record<"imageMirror" | "packageIndex" | "aptMirror" | "huggingFaceEndpoint", string>
>;

export const mirrorNames = [
  "imageMirror",
  "packageIndex",
  "aptMirror",
  "huggingFaceEndpoint",
] as const;

/** A stack file's values, and what its owner should know. */
export interface Plan {
  readonly config: Readonly<Record<string, unknown>>;
  readonly notes: readonly string[];
}

/** The card the container gets: the old container's, or the one with the most memory. */
export function chosenGpu({
  gpus,
  immich,
}: Pick<Situation, "gpus" | "immich">): NvidiaGpu | undefined {
  const [former, ...more] = immich.machineLearning?.given.gpus ?? [];
  const its = gpus.find(({ index, uuid }) => former === String(index) || former === uuid);
  if (its && more.length === 0) return its;
  return [...gpus].sort((left, right) => (right.videoMemory ?? 0) - (left.videoMemory ?? 0))[0];
}

/** What computes: a card, or what the image that runs now is made for. */
export function acceleratorOf({ immich, gpus }: Situation): AcceleratorName {
  if (gpus.length > 0) return "cuda";
  const image = immich.machineLearning?.image ?? "";
  return acceleratorsOfImage(image).find((name) => name !== "cuda") ?? "cpu";
}

/** The preset for a card, and the CLIP model that Immich would use with it. */
export interface PresetChoice {
  readonly preset: string;
  readonly clip: string;
  /** The model in use stays. */
  readonly keepsClip: boolean;
  /** Whether the model in use fits beside the preset's others. */
  readonly currentFits: boolean;
  /** Whether no model for other languages than English fits. */
  readonly isEnglishOnly: boolean;
}

/**
 * @param memory MiB of the card
 * @param current the CLIP model in use
 * @param version the server's release
 */
export function choosePreset(
  memory: number,
  current: string,
  version: string,
  { isMultilingual, changesClip }: Pick<Answers, "isMultilingual" | "changesClip">,
): PresetChoice | undefined {
  const release = parseImmichVersion(version)!;
  const multilingual = isMultilingual ? presetFor(memory, "multilingual", release) : undefined;
  const preset = multilingual ?? presetFor(memory, "english", release);
  if (preset === undefined) return undefined;
  const own = presets[preset]!.clip || current;
  const currentFits = memoryWith(preset, current) <= memory;
  const isSame = canonicalClipName(current) === own;
  const keepsClip = isSame || (currentFits && !changesClip);
  return {
    preset,
    clip: keepsClip ? current : own,
    keepsClip,
    currentFits,
    isEnglishOnly: isMultilingual && multilingual === undefined,
  };
}

/** Whether a change of the CLIP model is worth a question. */
export function wantsOtherClip(choice: PresetChoice, current: string, isMultilingual: boolean) {
  const isEnglish = findClipModel(current)?.multilingual === false;
  return !choice.currentFits || (isMultilingual && isEnglish && !choice.isEnglishOnly);
}

export function makePlan(situation: Situation, answers: Answers): Plan {
  const { immich, dockerHost } = situation;
  const accelerator = acceleratorOf(situation);
  const gpu = accelerator === "cuda" ? chosenGpu(situation) : undefined;
  const models = planModels(situation, answers, gpu);
  const taken = planEnvironment(situation, answers, accelerator, models.preset);
  const address = planAddress(
    immich,
    situation.models?.urls,
    answers.takesOver ? immich.machineLearning : undefined,
    { isManaged: models.preset !== undefined, port: Number(taken.environment["port"] ?? 3003) },
  );
  const old = answers.takesOver ? immich.machineLearning : undefined;
  const engine = dockerHost === "unix:///var/run/docker.sock" ? {} : { dockerHost };
  const { imageMirror, packageIndex, aptMirror } = answers.mirrors;
  const build = defined({ imageMirror, packageIndex, aptMirror });
  return {
    config: defined({
      immich: defined({
        version: "auto",
        ...engine,
        network: immich.network,
        serverContainer: immich.server.name,
        database: models.preset === undefined ? undefined : planDatabase(immich),
      }),
      build: Object.keys(build).length > 0 ? build : undefined,
      preset: models.preset,
      models: models.clip === undefined ? undefined : { clip: models.clip },
      hosts: [
        defined({
          name: hostName(situation.machine),
          ...engine,
          ...planGpu(situation, gpu),
          accelerator: gpu || accelerator === "cpu" ? undefined : accelerator,
          takeOver: old?.name,
          cache: old && cacheOf(old),
          ...address.settings,
          ...planContainer(old),
          environment: Object.keys(taken.environment).length > 0 ? taken.environment : undefined,
        }),
      ],
    }),
    notes: [
      ...models.notes,
      ...taken.notes,
      ...address.notes,
      ...("publish" in address.settings ? [] : closedPort(old)),
      ...otherNotes(situation, accelerator),
      ...labelNote(old, situation.imageLabels),
    ],
  };
}

/** What else the owner should know of the old containers. */
function otherNotes({ immich, gpus }: Situation, accelerator: AcceleratorName): string[] {
  const { machineLearning: old, otherMachineLearning: others } = immich;
  const former = old && acceleratorsOfImage(old.image)[0];
  return [
    ...(others.length > 0
      ? [
          `${others.join(", ")} runs, too, and is left alone: stop it, or give it an entry of its own under hosts.`,
        ]
      : []),
    ...(former !== undefined && former !== accelerator && gpus.length > 0
      ? [
          `The image of ${old?.name} is for ${former}; here ${accelerator} computes, since there is an NVIDIA card. accelerator: ${former}, without gpu, keeps the former.`,
        ]
      : []),
  ];
}

/** Without what is undefined. */
function defined<Value extends object>(value: Value): Value {
  return Object.fromEntries(
    Object.entries(value).filter(([, each]) => each !== undefined),
  ) as Value;
}

function planModels(
  { immich, models, version }: Situation,
  answers: Answers,
  gpu: NvidiaGpu | undefined,
): { preset?: string; clip?: string; notes: string[] } {
  const unmanaged = (note: string) => ({ notes: [note] });
  if (!gpu) {
    return unmanaged("Immich's models stay as they are: without a card, main memory is the limit.");
  }
  if (immich.hasConfigFile) {
    return unmanaged(
      "Immich reads its settings from IMMICH_CONFIG_FILE, so set the models there (docs/presets.md says which fit).",
    );
  }
  if (!models) {
    return unmanaged(
      "Immich's database does not answer, so the models stay as they are; whether they fit the card is not known.",
    );
  }
  const choice = gpu.videoMemory && choosePreset(gpu.videoMemory, models.clip, version, answers);
  if (!choice) {
    return unmanaged(
      `No preset fits ${gpu.name}, so the models stay as they are (docs/presets.md).`,
    );
  }
  const isWanted = choice.keepsClip || answers.changesClip;
  if (!isWanted) {
    return unmanaged(
      `${models.clip} stays, though it needs more memory than ${gpu.name} has: expect errors when it is loaded.`,
    );
  }
  return {
    preset: choice.preset,
    ...(choice.keepsClip && presets[choice.preset]!.clip !== canonicalClipName(models.clip)
      ? { clip: models.clip }
      : {}),
    notes: [
      ...(choice.keepsClip
        ? []
        : [
            `The CLIP model becomes ${choice.clip}: Immich has to index ${models.photos} photos again (Administration, Job Queues, Smart Search, All).`,
          ]),
      ...(choice.isEnglishOnly
        ? [
            `None of Immich's multilingual models fits into ${gpu.videoMemory} MiB (the smallest needs 2,830 MiB, and the other models need room, too), so search stays English. You can use this card for faces, and a second host with accelerator: cpu for search (docs/several-machines.md).`,
          ]
        : []),
    ],
  };
}

function planDatabase({ database, databaseContainer }: FoundImmich) {
  const { host, port, name, user, sslMode } = database;
  return defined({
    ...(databaseContainer ? { container: databaseContainer.name } : { host }),
    port: port === 5432 || databaseContainer ? undefined : port,
    name: name === "immich" ? undefined : name,
    user: user === "postgres" ? undefined : user,
    sslMode: sslMode === "disable" ? undefined : sslMode,
  });
}

function planGpu({ gpus, immich }: Situation, gpu: NvidiaGpu | undefined) {
  if (!gpu) return {};
  const given = immich.machineLearning?.given;
  // A NAS may know NVIDIA's runtime and no other way.
  const runtime = given?.runtime === "nvidia" && !given.asksForGpus ? "nvidia" : undefined;
  const ids = gpus.length > 1 ? [gpu.index] : undefined;
  const named = findGpu(gpu.name);
  // One name was sold with several chips: the driver knows which.
  const isAsNamed = [undefined, named?.computeCapability].includes(gpu.computeCapability);
  const known = isAsNamed ? named : undefined;
  const memory = gpu.videoMemory;
  // One name is sold with several sizes.
  const differs = known && memory && Math.abs(memory - known.videoMemory) > known.videoMemory / 10;
  return defined({
    gpu: known ? gpu.name.replace(/^NVIDIA /, "") : (gpu.computeCapability ?? "auto"),
    videoMemory: memory && (differs || !known) ? memory : undefined,
    gpus: (runtime ?? ids) ? defined({ runtime, ids }) : undefined,
  });
}

/** Where the old container keeps its models, which the new one uses on. */
function cacheOf({ mounts, environment }: NonNullable<FoundImmich["machineLearning"]>) {
  const folder = environment["MACHINE_LEARNING_CACHE_FOLDER"] ?? "/cache";
  const mount =
    mounts.find(({ target }) => target === folder) ??
    mounts.find(({ target }) => target === "/cache");
  if (!mount) return undefined;
  const [, inDocker] = /\/volumes\/([^/]+)\/_data$/.exec(mount.path) ?? [];
  if (inDocker !== undefined) return { volume: inDocker };
  return mount.volume === undefined ? { path: mount.path } : { volume: mount.volume };
}

/** A port that others use; Immich itself needs none. */
function closedPort(old: FoundImmich["machineLearning"]): string[] {
  const [open] = Object.values(old?.published ?? {});
  if (!open) return [];
  return [
    `Port ${open.port} of the old container is not opened again, because whoever reaches it can use the card; publish opens one (docs/settings.md).`,
  ];
}

/** A host's name: the machine's, as a stack file may spell it. */
function hostName(machine: string): string {
  const name = machine
    .toLowerCase()
    .replace(/\..*$/, "")
    .replace(/[^a-z0-9-]+/g, "-")
    .replace(/^[^a-z]+/, "")
    .slice(0, 40);
  return name || "host";
}
