import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { local } from "@pulumi/command";
import * as postgresql from "@pulumi/postgresql";
import * as pulumi from "@pulumi/pulumi";

import { dockerClientEnvironment } from "../util/dockerClient";
import { clipModelKey } from "../catalog/systemConfigKeys";
import { databaseFunctions, schemaName } from "../immich/databaseFunctions";
import { clipChangeWarning } from "../immich/embeddings";
import type { ModelSelection } from "../immich/modelSelection";
import {
  changesOf,
  immichVersionOf,
  errorIn,
  settingsOf,
  urlsKeyOf,
  type AvailabilityChecks,
  type Settings,
} from "../immich/settings";
import type { SslMode } from "../immich/store";
import { Reindex } from "../immich/reindex";
import { SystemConfig, type StoreInputs } from "../immich/systemConfig";

/** Immich's database, as its own user reaches it. */
export interface DatabaseStore {
  kind: "database";
  /** Name or address of the host. */
  host: pulumi.Input<string>;
  /** @default 5432 */
  port?: pulumi.Input<number>;
  /** @default "immich" */
  database?: pulumi.Input<string>;
  /** The user who owns Immich's tables. @default "postgres" */
  user?: pulumi.Input<string>;
  /** That user's password. */
  password: pulumi.Input<string>;
  /** @default "disable", as in Immich's compose file, where the database speaks no TLS */
  sslMode?: pulumi.Input<SslMode>;
  /**
   * Name of the role that may do nothing but call the two functions; its password follows from
   * `password`. `false`: no role is made and `user` calls them, for a user without CREATEROLE.
   *
   * @default the database's name followed by `_ml`
   */
  role?: pulumi.Input<string> | false;
}

/** Immich's API. */
export interface ApiStore {
  kind: "api";
  /** The server's address, such as `http://immich_server:2283`. */
  url: pulumi.Input<string>;
  /** Key of an administrator with `systemConfig.read` and `systemConfig.update`. */
  apiKey: pulumi.Input<string>;
}

export interface ModelPresetArgs {
  /** The server's full release, such as `v2.7.5`. */
  immichVersion: string;

  /** The models, their scores and the job concurrency, as `resolveModels` gives them. */
  models: ModelSelection;

  /** Addresses of the ML servers, in the order in which Immich tries them. @default left as they are */
  urls?: pulumi.Input<string>[];

  /** How Immich asks the ML servers whether they live (1.143 and newer). @default left as it is */
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

  /** Lets a CLIP model through that this program does not know; by the API only. @default false */
  allowUnknownModels?: boolean;

  /** The CLIP model in use now, where it is known, so that a change is announced. @default unknown */
  currentClipModel?: string | undefined;

  /** What is stored under these keys now, where that is known, so that each change is announced. */
  currentSettings?: Readonly<Record<string, unknown>> | undefined;

  /**
   * Has Immich index the photos again by its API after the CLIP model changed, and reports how far
   * it is. The key needs `job.create` and `job.read`. @default the photos' owner starts it
   */
  reindex?:
    | {
        url: pulumi.Input<string>;
        apiKey: pulumi.Input<string>;
        /**
         * Whether faces are detected again after the face model changed. Immich then deletes every
         * face first, and with them the names of all people. @default false
         */
        facesLosingNames?: boolean;
      }
    | undefined;

  /**
   * The container of the Immich server. It is restarted after a change in the database, which the
   * server would not see otherwise. @default none: the output `restart` says what to do
   */
  serverContainer?:
    | {
        name: pulumi.Input<string>;
        /** @default the local engine */
        dockerHost?: pulumi.Input<string>;
        /** For an engine at `tcp://`: the folder with ca.pem, cert.pem and key.pem. */
        tls?: pulumi.Input<string> | undefined;
        /** How long it may take to come up again, in seconds. @default 300 */
        timeout?: number;
      }
    | undefined;
}

/**
 * Makes Immich's configuration say which models the machine-learning side shall use, and gives the
 * previous values back when it is removed.
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
  /** What became of indexing the photos again, where that was asked for. */
  public readonly reindexed: pulumi.Output<string> | undefined;
  /** Whether the Immich server has been or must be restarted, for a person to read. */
  public readonly restart: pulumi.Output<string>;

  /**
   * @param name the names of the children begin with it
   * @param args see {@link ModelPresetArgs}; an error throws before anything is registered
   * @param opts `providers` must hold the postgresql provider of Immich's database when the store is one
   */
  constructor(name: string, args: ModelPresetArgs, opts?: pulumi.ComponentResourceOptions) {
    // No inputs of the component itself: they would stand in the state, the password in clear.
    super("immich-ml:index:ModelPreset", name, {}, opts);

    const settings = declaredSettings(args);
    const embeddings = args.embeddings ?? "clear";
    announce(args, settings, embeddings, this);

    const access =
      args.store.kind === "database"
        ? databaseAccess(name, args.store, this)
        : { store: apiAccess(args.store), dependsOn: [] };
    const afterwards = restartOnDestroy(name, args, this);

    const systemConfig = new SystemConfig(
      `${name}-settings`,
      {
        settings,
        immichVersion: args.immichVersion,
        store: access.store,
        embeddings,
        allowUnknownModels: args.allowUnknownModels ?? false,
      },
      { parent: this, dependsOn: [...access.dependsOn, ...afterwards] },
    );
    const restarted = restartAfterChange(name, args, systemConfig, this);

    const reindex = reindexAfterChange(name, args, systemConfig, restarted, this);

    this.settings = systemConfig.settings;
    this.changed = systemConfig.changed;
    this.restart = restartHint(args, systemConfig, restarted);
    this.reindexed = reindex?.outcome;
    this.registerOutputs({
      settings: this.settings,
      changed: this.changed,
      restart: this.restart,
      reindexed: this.reindexed,
    });
  }
}

/** The keys to set. Every error is named, since each would otherwise be found one run later. */
function declaredSettings(args: ModelPresetArgs): Record<string, pulumi.Input<Settings[string]>> {
  const version = immichVersionOf(args.immichVersion);
  const settings = settingsOf(args.models, version, args.availabilityChecks);
  const errors = Object.entries(settings).flatMap(([key, value]) => {
    const error = errorIn(key, value, version);
    return error === undefined ? [] : [`${key}: ${JSON.stringify(value)} ${error}`];
  });
  if (args.store.kind === "api" && args.embeddings === "keep") {
    errors.push('embeddings: "keep" needs the database store, by the API Immich clears them');
  }
  if (errors.length > 0) throw new Error(errors.join("\n"));

  const urls = args.urls ?? [];
  if (urls.length === 0) return settings;
  const key = urlsKeyOf(version);
  return { ...settings, [key]: key === "machineLearning.urls" ? pulumi.all(urls) : urls[0]! };
}

/** Says what a change of the CLIP model will do to the photos' search, in a preview as well. */
function announce(
  args: ModelPresetArgs,
  settings: Record<string, pulumi.Input<Settings[string]>>,
  embeddings: "clear" | "keep",
  preset: ModelPreset,
): void {
  const { currentSettings } = args;
  if (currentSettings) {
    pulumi.output(settings).apply((declared) => {
      const version = immichVersionOf(args.immichVersion);
      const changes = changesOf(declared, currentSettings, version);
      if (changes.length === 0) return;
      const list = changes.map((change) => `  ${change}`).join("\n");
      void pulumi.log.info(`Immich's configuration changes:\n${list}`, preset);
    });
  }
  const model = settings[clipModelKey];
  const warning = clipChangeWarning(
    args.currentClipModel,
    typeof model === "string" ? model : undefined,
    { store: args.store.kind, embeddings },
  );
  if (warning !== undefined) void pulumi.log.warn(warning, preset);
}

function apiAccess(store: ApiStore): StoreInputs {
  return { kind: "api", url: store.url, apiKey: pulumi.secret(store.apiKey) };
}

/** The schema, its functions and the role that may only call these. */
function databaseAccess(
  name: string,
  args: DatabaseStore,
  parent: ModelPreset,
): { store: StoreInputs; dependsOn: pulumi.Resource[] } {
  const database = args.database ?? "immich";
  const schema = new postgresql.Schema(
    `${name}-schema`,
    { name: schemaName, database },
    { parent },
  );
  // The provider takes over an existing schema, but no function. So one function goes first: where
  // another stack keeps its own here, this one ends with a single error and nothing is changed.
  const functions: postgresql.Function[] = [];
  for (const definition of databaseFunctions) {
    const { name: functionName, args: parameters, ...rest } = definition;
    functions.push(
      new postgresql.Function(
        `${name}-${functionName.replaceAll("_", "-")}`,
        {
          name: functionName,
          args: parameters.map((parameter) => ({ ...parameter })),
          database,
          schema: schema.name,
          ...rest,
        },
        { parent, dependsOn: functions.slice(0, 1) },
      ),
    );
  }
  // PostgreSQL lets everybody call a new function.
  const closed = new postgresql.Grant(
    `${name}-public-functions`,
    {
      role: "public",
      database,
      schema: schema.name,
      objectType: "function",
      objects: databaseFunctions.map((definition) => definition.name),
      privileges: [],
    },
    { parent, dependsOn: functions },
  );
  const user = args.user ?? "postgres";
  const password = pulumi.secret(args.password);
  const address = {
    kind: "database" as const,
    host: args.host,
    port: args.port ?? 5432,
    database,
    sslMode: args.sslMode ?? "disable",
  };
  if (args.role === false) {
    return { store: { ...address, user, password }, dependsOn: [...functions, closed] };
  }

  const roleName = args.role ?? pulumi.interpolate`${database}_ml`;
  const rolePassword = pulumi
    .all([password, roleName])
    .apply(([secret, role]) => createHmac("sha256", secret).update(role).digest("hex"));
  const role = new postgresql.Role(
    `${name}-role`,
    { name: roleName, login: true, password: rolePassword },
    { parent },
  );
  const schemaGrant = new postgresql.Grant(
    `${name}-role-schema`,
    {
      role: role.name,
      database,
      schema: schema.name,
      objectType: "schema",
      privileges: ["USAGE"],
    },
    { parent },
  );
  const functionGrant = new postgresql.Grant(
    `${name}-role-functions`,
    {
      role: role.name,
      database,
      schema: schema.name,
      objectType: "function",
      objects: databaseFunctions
        .filter((definition) => definition.securityDefiner)
        .map((definition) => definition.name),
      privileges: ["EXECUTE"],
    },
    // Two changes of one function's rights at once fail ("tuple concurrently updated").
    { parent, dependsOn: closed },
  );
  return {
    store: { ...address, user: role.name, password: rolePassword },
    dependsOn: [...functions, schemaGrant, functionGrant],
  };
}

const restartScript = readFileSync(join(__dirname, "..", "immich", "restartServer.sh"), "utf8");

/** Through the API a server sees a change at once; in its database only when it starts. */
function restartAfterChange(
  name: string,
  args: ModelPresetArgs,
  systemConfig: SystemConfig,
  parent: ModelPreset,
): local.Command | undefined {
  if (args.store.kind === "api" || args.serverContainer === undefined) return undefined;
  return new local.Command(
    `${name}-restart`,
    {
      create: restartScript,
      update: restartScript,
      environment: restartEnvironment(args.serverContainer, systemConfig.changedAt, "fail"),
    },
    { parent },
  );
}

/** Made before the settings, so that it is removed after them and the server sees them restored. */
function restartOnDestroy(
  name: string,
  args: ModelPresetArgs,
  parent: ModelPreset,
): pulumi.Resource[] {
  if (args.store.kind === "api" || args.serverContainer === undefined) return [];
  return [
    new local.Command(
      `${name}-restart-on-destroy`,
      {
        create: "true",
        update: "true",
        delete: restartScript,
        environment: restartEnvironment(args.serverContainer, "destroy", "ignore"),
      },
      { parent },
    ),
  ];
}

function reindexAfterChange(
  name: string,
  args: ModelPresetArgs,
  systemConfig: SystemConfig,
  restarted: local.Command | undefined,
  parent: ModelPreset,
): Reindex | undefined {
  if (args.reindex === undefined) return undefined;
  const { url, apiKey, facesLosingNames } = args.reindex;
  // What was kept is not missing, and a server that was not restarted knows the old model until
  // a queue is started with force (seen with v3.1.0).
  const force =
    args.store.kind === "database" && (args.embeddings === "keep" || restarted === undefined);
  return new Reindex(
    `${name}-reindex`,
    {
      api: { url, apiKey: pulumi.secret(apiKey) },
      clipChangedAt: systemConfig.clipChangedAt,
      force,
      faceChangedAt: facesLosingNames ? systemConfig.faceChangedAt : "",
    },
    { parent, dependsOn: restarted === undefined ? [] : [restarted] },
  );
}

function restartEnvironment(
  container: NonNullable<ModelPresetArgs["serverContainer"]>,
  changedAt: pulumi.Input<string>,
  whenMissing: "fail" | "ignore",
): Record<string, pulumi.Input<string>> {
  const { dockerHost, tls } = container;
  return {
    SERVER_CONTAINER: container.name,
    ...(dockerHost === undefined ? {} : dockerClientEnvironment({ dockerHost, tls })),
    CHANGED_AT: changedAt,
    WHEN_MISSING: whenMissing,
    TIMEOUT: String(container.timeout ?? 300),
  };
}

function restartHint(
  args: ModelPresetArgs,
  systemConfig: SystemConfig,
  restarted: local.Command | undefined,
): pulumi.Output<string> {
  if (args.store.kind === "api")
    return pulumi.output("not needed: Immich sees a change by its API at once");
  if (restarted !== undefined) {
    return restarted.stdout.apply((output) => output.trim().split("\n").at(-1) ?? "");
  }
  return systemConfig.changedAt.apply((changedAt) =>
    changedAt === ""
      ? "not needed: nothing has another effect than before"
      : `needed when the Immich server was started before ${changedAt}: docker restart immich_server`,
  );
}
