import * as pulumi from "@pulumi/pulumi";

import { isClipModel } from "../catalog/clipModels";
import { clipModelKey } from "../catalog/systemConfigKeys";
import { parseImmichVersion } from "../catalog/immichVersion";
import {
  applySettings,
  restoreSettings,
  readSettings,
  type Declared,
  type Memory,
} from "./reconcile";
import { errorIn, sameSetting, type Settings } from "./settings";
import type { StoreArgs } from "./store";

/** Where the configuration is kept, with outputs of other resources where they are wanted. */
export type StoreInputs = InputsOf<StoreArgs>;
type InputsOf<Fields> = Fields extends unknown
  ? { [Name in keyof Fields]: pulumi.Input<Fields[Name]> }
  : never;

/** The arguments of {@link SystemConfig}. */
export interface SystemConfigArgs {
  /** Keys of Immich's configuration (dotted paths) with their values; no others are touched. */
  settings: pulumi.Input<Record<string, pulumi.Input<Settings[string]>>>;
  /** The server's full release, e.g. v2.7.5. */
  immichVersion: pulumi.Input<string>;
  /** Where the configuration is kept. Mark the password or key as a secret. */
  store: StoreInputs;
  /** What happens to the embeddings of another CLIP model. */
  embeddings: pulumi.Input<"clear" | "keep">;
  /** Lets CLIP models through that the catalog does not know; by the API only. @default false */
  allowUnknownModels?: pulumi.Input<boolean>;
}

/**
 * The machine-learning keys of Immich's system configuration.
 *
 * A change by hand shows on refresh as a difference of exactly that key. An absent key stands for the
 * default of that release, so Immich dropping a value that equals its default is none. Deleting gives
 * every key back what it was before (nothing, or its previous value), but for those that somebody has
 * changed since.
 */
export class SystemConfig extends pulumi.dynamic.Resource {
  declare readonly settings: pulumi.Output<Settings>;
  /** When an effective value was altered last, "" when never. */
  declare readonly changedAt: pulumi.Output<string>;
  /** When the CLIP model was altered last, "" when never. */
  declare readonly clipChangedAt: pulumi.Output<string>;
  /** When the face model was altered last, "" when never. */
  declare readonly faceChangedAt: pulumi.Output<string>;
  /** The keys whose effective value the last change altered. */
  declare readonly changed: pulumi.Output<string[]>;

  constructor(name: string, args: SystemConfigArgs, opts?: pulumi.CustomResourceOptions) {
    super(
      provider,
      name,
      {
        ...args,
        previous: undefined,
        rowWasAbsent: undefined,
        changed: undefined,
        changedAt: undefined,
        clipChangedAt: undefined,
        faceChangedAt: undefined,
      },
      opts,
      "immich-ml",
      "SystemConfig",
    );
  }
}

type Inputs = Declared & { readonly allowUnknownModels?: boolean };
type ReadResult = Required<pulumi.dynamic.ReadResult<State>>;
type State = Inputs & Memory & { readonly __provider?: string };

/**
 * The engine keeps the source of this object and of everything it uses in the state, and runs that
 * copy until the next update; so it captures plain functions and data only, and no secret.
 *
 * @internal
 */
export const provider: pulumi.dynamic.ResourceProvider<Inputs, State> = {
  check: (_olds, news) => Promise.resolve({ inputs: news, failures: errorsIn(news) }),

  diff: (_id, olds, news) => {
    const { replaces, changes } = differences(olds, news);
    return Promise.resolve({ changes, replaces, deleteBeforeReplace: true });
  },

  create: async (inputs) => {
    const { memory, notes } = await applySettings(inputs);
    tell(notes);
    return { id: "system-config", outs: { ...inputs, ...memory } };
  },

  read: async (id: string, props?: State): Promise<ReadResult> => {
    if (props === undefined) throw new Error("Immich's configuration cannot be imported");
    const { settings, notes } = await readSettings(props);
    tell(notes);
    // With the inputs beside, the preview names each key that differs, with both values.
    return { id, props: { ...props, settings }, inputs: { ...inputsOf(props), settings } as State };
  },

  update: async (_id, olds, news) => {
    const { memory, notes } = await applySettings(news, olds);
    tell(notes);
    return { outs: { ...news, ...memory } };
  },

  delete: async (_id, props) => {
    try {
      const { notes } = await restoreSettings(props, props);
      tell(notes);
    } catch (error) {
      throw new Error(
        `Immich's previous settings could not be restored: ${(error as Error).message}. ` +
          "When that is put right, run it again; to give the previous values up instead, remove the resource " +
          "from the state: pulumi state delete --force (its URN is shown by pulumi stack --show-urns)",
      );
    }
  },
};

function errorsIn(news: Inputs): pulumi.dynamic.CheckFailure[] {
  const version = parseImmichVersion(news.immichVersion);
  if (version === undefined) {
    if (isUnknown(news.immichVersion)) return [];
    const reason = `"${news.immichVersion}" must be a full release of Immich such as v2.7.5`;
    return [{ property: "immichVersion", reason }];
  }
  const failures: pulumi.dynamic.CheckFailure[] = [];
  const settings = isUnknown(news.settings) ? {} : news.settings;
  for (const [key, value] of Object.entries(settings)) {
    if (isUnknown(value) || (Array.isArray(value) && value.some(isUnknown))) continue;
    const error = errorIn(key, value, version);
    if (error !== undefined) {
      failures.push({
        property: `settings["${key}"]`,
        reason: `${JSON.stringify(value)} ${error}`,
      });
    }
  }
  const model = settings[clipModelKey];
  const byApi = news.store.kind === "api";
  if (
    typeof model === "string" &&
    !isUnknown(model) &&
    !isClipModel(model) &&
    !(byApi && news.allowUnknownModels === true)
  ) {
    const reason =
      `"${model}" is no CLIP model this program knows; a server that does not know the CLIP model in its ` +
      "database does not start (allowUnknownModels lets new ones through by the API only)";
    failures.push({ property: `settings["${clipModelKey}"]`, reason });
  }
  if (byApi && news.embeddings === "keep") {
    const reason = '"keep" is not possible through the API: Immich itself clears them';
    failures.push({ property: "embeddings", reason });
  }
  return failures;
}

function differences(olds: State, news: Inputs): { changes: boolean; replaces: string[] } {
  const keys = new Set([...Object.keys(olds.settings), ...Object.keys(news.settings)]);
  const settings = [...keys].some(
    (key) => !sameSetting(key, olds.settings[key], news.settings[key]),
  );
  const rest = (state: Inputs) => {
    const { immichVersion, store, embeddings, allowUnknownModels } = state;
    return JSON.stringify([
      immichVersion,
      Object.entries(store).sort(),
      embeddings,
      allowUnknownModels,
    ]);
  };
  // The copy of this code in the state is only replaced by an update.
  const code = olds.__provider !== (news as State).__provider;
  const otherDatabase =
    olds.store.kind === "database" &&
    news.store.kind === "database" &&
    olds.store.database !== news.store.database;
  return {
    changes: settings || code || rest(olds) !== rest(news),
    replaces: otherDatabase ? ["store"] : [],
  };
}

function inputsOf(props: State): Inputs {
  const { settings, immichVersion, store, embeddings, allowUnknownModels } = props;
  return {
    settings,
    immichVersion,
    store,
    embeddings,
    ...(allowUnknownModels === undefined ? {} : { allowUnknownModels }),
  };
}

/** How the engine writes a value that is not known during a preview. */
function isUnknown(value: unknown): boolean {
  return value === pulumi.runtime.unknownValue;
}

/** The engine shows what a provider prints. */
function tell(notes: readonly string[]): void {
  for (const note of notes) console.log(note);
}
