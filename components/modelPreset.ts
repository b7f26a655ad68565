import * as pulumi from "@pulumi/pulumi";

import { isClipModel } from "../catalog/clipModels";
import { clipModelKey, faceModelKey, type SettingValue } from "../catalog/systemConfigKeys";
import type { Applied } from "../immich/applyProgram";
import { savedState } from "../immich/commandProgram";
import { clipChangeWarning, destroyHint, faceChangeWarning } from "../immich/embeddings";
import type { ModelSelection } from "../immich/modelSelection";
import type { SavedState } from "../immich/reconcile";
import {
  changesOf,
  defaultOf,
  immichVersionOf,
  errorIn,
  settingsOf,
  urlsKeyOf,
  type AvailabilityChecks,
  type Settings,
} from "../immich/settings";
import {
  type ApiStore,
  applyCommand,
  type DatabaseStore,
  type DeclaredSettings,
  ownFunctions,
  type ReindexArgs,
  type ServerArgs,
  settingsCommand,
} from "./presetCommands";

export type { ApiStore, DatabaseStore };

export interface ModelPresetArgs {
  /** The server's full release, such as `v2.7.5`. */
  immichVersion: string;

  /** The models, their scores and the job concurrency, as `resolveModels` gives them. */
  models: ModelSelection;

  /** Addresses of the ML servers, in the order in which Immich tries them. @default left as they are */
  urls?: pulumi.Input<string>[];

  /** How Immich checks whether the ML servers are up (1.143 and newer). @default left as it is */
  availabilityChecks?: AvailabilityChecks | undefined;

  /** Where Immich's configuration is kept. The API is the better way where a key is at hand. */
  store: DatabaseStore | ApiStore;

  /**
   * What happens to the embeddings of another CLIP model: they are not comparable with new ones.
   * By the API Immich itself clears them.
   *
   * @default "clear"
   */
  embeddings?: "clear" | "keep";

  /**
   * What becomes of the CLIP model when the preset is removed. Restored, Immich drops the embeddings
   * of the preset's model, and search finds nothing until Smart Search has run.
   *
   * @default "keepModel"
   */
  onDestroy?: "keepModel" | "restoreModel";

  /** Lets a CLIP model through that this program does not know; by the API only. @default false */
  allowUnknownModels?: boolean;

  /** The CLIP model in use now, so that a change is announced. @default unknown */
  currentClipModel?: string | undefined;

  /**
   * What Immich has stored under these keys now: each difference is announced, and this run repairs it.
   * @default unknown, then only a changed declaration is applied
   */
  currentSettings?: Readonly<Record<string, unknown>> | undefined;

  /**
   * Defaults that the server takes from its own variables, such as IMMICH_MACHINE_LEARNING_URL: what
   * equals them Immich does not store.
   *
   * @default those of the release
   */
  serverDefaults?: Readonly<Record<string, SettingValue>> | undefined;

  /** What release 0.1.0 saved in this stack, see {@link stateOfFirstRelease}. @default nothing */
  firstRelease?: SavedState | undefined;

  /**
   * Has Immich index the photos again by its API after the CLIP model changed, and logs the progress.
   * The key needs `job.create` and `job.read`. @default the photos' owner starts it
   */
  reindex?: ReindexArgs | undefined;

  /**
   * The container of the Immich server. It is restarted after a change in the database, which the
   * server would not see otherwise. @default none: the output `restart` says what to do
   */
  serverContainer?: ServerArgs | undefined;
}

/**
 * Sets the models that Immich uses for machine learning, and restores the previous settings when it is
 * removed.
 *
 * @example
 * new ModelPreset("preset", {
 *   immichVersion: "v2.7.5",
 *   models: { clip: { modelName: "ViT-B-32__openai" }, ocr: false },
 *   store: { kind: "database", host: "127.0.0.1", password: config.requireSecret("databasePassword") },
 * }, { providers: [postgresqlProvider] });
 */
export class ModelPreset extends pulumi.ComponentResource {
  /** What is set in Immich's configuration, by key. */
  public readonly settings: pulumi.Output<Settings>;
  /** The keys whose effective value the last change altered. */
  public readonly changed: pulumi.Output<string[]>;
  /** The outcome of indexing the photos again, where that was asked for. */
  public readonly reindexed: pulumi.Output<string> | undefined;
  /** Whether the Immich server was or must be restarted, in one sentence. */
  public readonly restart: pulumi.Output<string>;
  /** What becomes of models and search when the preset is removed, in one sentence. */
  public readonly onDestroy: pulumi.Output<string>;

  /**
   * @param name the names of the children begin with it
   * @param args see {@link ModelPresetArgs}; an error throws before anything is registered
   * @param opts `providers` must hold the postgresql provider of Immich's database when the store is one
   */
  constructor(name: string, args: ModelPresetArgs, opts?: pulumi.ComponentResourceOptions) {
    // No inputs of the component itself: they would be in the state, the password in clear.
    super("immich-ml:index:ModelPreset", name, {}, opts);

    const declared = declaredSettings(args);
    announce(args, declared, this);

    const functions = args.store.kind === "database" ? ownFunctions(name, args.store, this) : [];
    const observed = driftOf(args, declared);
    const command = { ...args, declared, observed };
    const settings = settingsCommand(name, command, { parent: this, dependsOn: functions });
    const saved = settings.stdout.apply((text) => savedState<SavedState>(text));
    // Only for a change that this run has announced: unknown is no change.
    const losesNames = redetectsFaces(args) && faceChange(args, declared) !== undefined;
    const facesPlannedAt = losesNames ? new Date().toISOString() : undefined;
    const apply = applyCommand(name, { ...args, facesPlannedAt }, saved, this);

    this.settings = pulumi.output(declared);
    this.changed = saved.apply((state) => [...(state?.changed ?? [])]);
    this.restart = restartHint(args, saved, apply);
    this.onDestroy = saved.apply((state) => destroyHint(state, args.onDestroy ?? "keepModel"));
    this.reindexed =
      args.reindex && apply?.stdout.apply((text) => savedState<Applied>(text)?.reindexed ?? "");
    this.registerOutputs({
      settings: this.settings,
      changed: this.changed,
      restart: this.restart,
      reindexed: this.reindexed,
      onDestroy: this.onDestroy,
    });
  }
}

/** The keys to set. Names every error, since each would otherwise be found one run later. */
function declaredSettings(args: ModelPresetArgs): DeclaredSettings {
  const version = immichVersionOf(args.immichVersion);
  const settings = settingsOf(args.models, version, args.availabilityChecks);
  const errors = Object.entries(settings).flatMap(([key, value]) => {
    const error = errorIn(key, value, version);
    return error === undefined ? [] : [`${key}: ${JSON.stringify(value)} ${error}`];
  });
  const byApi = args.store.kind === "api";
  const model = settings[clipModelKey];
  if (typeof model === "string" && !isClipModel(model) && !(byApi && args.allowUnknownModels)) {
    errors.push(
      `${clipModelKey}: "${model}" is not a CLIP model that this program knows; a server that does not know the ` +
        "CLIP model in its database does not start (allowUnknownModels lets new ones through by the API only)",
    );
  }
  if (byApi && args.embeddings === "keep") {
    errors.push(
      'embeddings: "keep" needs the database store, because by the API Immich clears them',
    );
  }
  if (args.store.kind === "database" && (args.store.host ?? args.store.container) === undefined) {
    errors.push("store: must have host or container");
  }
  const urls = args.urls ?? [];
  const key = urlsKeyOf(version);
  for (const url of urls.filter((each) => typeof each === "string")) {
    const error = errorIn(key, key === onlyUrlKey ? url : [url], version);
    if (error !== undefined) errors.push(`${key} ${error}`);
  }
  if (errors.length > 0) throw new Error(errors.join("\n"));
  if (urls.length === 0) return settings;
  return { ...settings, [key]: key === onlyUrlKey ? urls[0]! : urlList(urls) };
}

/** Before release 1.122. */
const onlyUrlKey = "machineLearning.url";

/** Plain where it can be, so that drift of it is seen. */
function urlList(urls: pulumi.Input<string>[]): pulumi.Input<string[]> {
  const plain = urls.filter((url) => typeof url === "string");
  return plain.length === urls.length ? plain : pulumi.all(urls);
}

/** Logs what changes, and what a change of the CLIP model does to the photos' search. */
function announce(args: ModelPresetArgs, declared: DeclaredSettings, preset: ModelPreset): void {
  const { currentSettings, store } = args;
  if (currentSettings) {
    pulumi.output(declared).apply((settings) => {
      const version = immichVersionOf(args.immichVersion);
      const changes = changesOf(settings, currentSettings, version, args.serverDefaults);
      if (changes.length === 0) return;
      const list = changes.map((change) => `  ${change}`).join("\n");
      void pulumi.log.info(`Immich's configuration changes:\n${list}`, preset);
    });
  }
  const model = declared[clipModelKey];
  const warning = clipChangeWarning(
    args.currentClipModel,
    typeof model === "string" ? model : undefined,
    { store: store.kind, embeddings: args.embeddings ?? "clear" },
  );
  const faces = faceChange(args, declared);
  const unused =
    urlsKeyOf(immichVersionOf(args.immichVersion)) === onlyUrlKey ? (args.urls ?? []).slice(1) : [];
  const warnings = [
    warning,
    faces && faceChangeWarning(faces.before, faces.after, redetectsFaces(args)),
    unused.length > 0
      ? `Immich ${args.immichVersion} takes one machine-learning address: it gets that of the first host, the other ${unused.length} are not used (several need v1.122.0)`
      : undefined,
  ];
  for (const text of warnings) if (text !== undefined) void pulumi.log.warn(text, preset);
}

/** The face models now and then, where they are known and differ. */
function faceChange(
  { currentSettings, immichVersion }: ModelPresetArgs,
  declared: DeclaredSettings,
): { readonly before: string; readonly after: string } | undefined {
  const after = declared[faceModelKey];
  if (!currentSettings || typeof after !== "string") return undefined;
  const before =
    currentSettings[faceModelKey] ?? defaultOf(faceModelKey, immichVersionOf(immichVersion));
  return typeof before === "string" && before !== after ? { before, after } : undefined;
}

function redetectsFaces({ reindex }: ModelPresetArgs): boolean {
  return reindex?.facesLosingNames === true;
}

function restartHint(
  args: ModelPresetArgs,
  saved: pulumi.Output<SavedState | undefined>,
  apply: ReturnType<typeof applyCommand>,
): pulumi.Output<string> {
  if (args.store.kind === "api")
    return pulumi.output("not needed: Immich notices a change through its API at once");
  if (args.serverContainer && apply) {
    return apply.stdout.apply((text) => savedState<Applied>(text)?.restart ?? "");
  }
  return saved.apply((state) =>
    state === undefined || state.changedAt === ""
      ? "not needed: no change has an effect"
      : `needed when the Immich server was started before ${state.changedAt}: docker restart immich_server`,
  );
}

/**
 * The keys that Immich has stored otherwise, with the time, so that the same drift counts again after
 * it was repaired. Undefined without drift, or where nothing is known.
 */
function driftOf(args: ModelPresetArgs, declared: DeclaredSettings): string | undefined {
  if (!args.currentSettings) return undefined;
  const known = Object.fromEntries(
    Object.entries(declared).filter(([, value]) => !pulumi.Output.isInstance(value)),
  );
  const version = immichVersionOf(args.immichVersion);
  const changes = changesOf(known, args.currentSettings, version, args.serverDefaults);
  if (changes.length === 0) return undefined;
  return `${changes.join("; ")} (${new Date().toISOString()})`;
}
