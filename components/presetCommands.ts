import { isAbsolute } from "node:path";

import { local } from "@pulumi/command";
import * as postgresql from "@pulumi/postgresql";
import * as pulumi from "@pulumi/pulumi";

import { databaseFunctions, markedFunction, schemaName } from "../immich/databaseFunctions";
import { toEnvironment } from "../immich/environment";
import type { SettingValue } from "../catalog/systemConfigKeys";
import type { SavedState } from "../immich/reconcile";
import type { Settings } from "../immich/settings";
import type { SslMode } from "../immich/store";
import { firstSettingsAlias, releaseFirstSettings } from "./firstRelease";
import { programFile } from "./programFile";

/*
 * The children of ModelPreset: the functions in Immich's database, the command that sets the settings,
 * and the one that makes them take effect.
 */

/** Immich's database, as its own user reaches it. */
export interface DatabaseStore {
  kind: "database";
  /** Name or address of the host. Left out: `container` is looked up. */
  host?: pulumi.Input<string>;
  /** The container that runs the database. Its address may move, so it is looked up when needed. */
  container?: {
    name: string;
    /** The Docker engine it runs on. @default "unix:///var/run/docker.sock" */
    dockerHost?: string | undefined;
    /** For an engine at `tcp://`: the folder with ca.pem, cert.pem and key.pem. */
    tls?: string | undefined;
    /** The network whose address is preferred. @default any */
    network?: string | undefined;
  };
  /** @default 5432 */
  port?: pulumi.Input<number>;
  /** @default "immich" */
  database?: pulumi.Input<string>;
  /** The user who owns Immich's tables. @default "postgres" */
  user?: pulumi.Input<string>;
  /** That user's password. */
  password: pulumi.Input<string>;
  /** @default "disable", as in Immich's compose file, where the database does not use TLS */
  sslMode?: pulumi.Input<SslMode>;
}

/** Immich's API. */
export interface ApiStore {
  kind: "api";
  /** The server's address, such as `http://immich_server:2283`. */
  url: pulumi.Input<string>;
  /** Key of an administrator with `systemConfig.read` and `systemConfig.update`. */
  apiKey: pulumi.Input<string>;
  /** Path of a PEM file with an authority, or a certificate, to trust beside the known ones. @default none */
  caCertificate?: string | undefined;
}

/** Immich's API, for indexing the photos again. */
export interface ReindexArgs {
  url: pulumi.Input<string>;
  apiKey: pulumi.Input<string>;
  /** As in {@link ApiStore}. @default none */
  caCertificate?: string | undefined;
  /**
   * Whether faces are detected again after the face model changed. Immich first deletes every face,
   * and with it the names of all people. @default false
   */
  facesLosingNames?: boolean;
}

/** The container of the Immich server. */
export interface ServerArgs {
  name: pulumi.Input<string>;
  /** @default the local engine */
  dockerHost?: pulumi.Input<string>;
  /** For an engine at `tcp://`: the folder with ca.pem, cert.pem and key.pem. */
  tls?: pulumi.Input<string> | undefined;
  /** Seconds until it must be up again. @default 300 */
  timeout?: number;
}

/** What both commands are made of. */
export interface PresetCommandArgs {
  readonly immichVersion: string;
  readonly store: DatabaseStore | ApiStore;
  readonly embeddings?: "clear" | "keep";
  readonly onDestroy?: "keepModel" | "restoreModel";
  readonly serverDefaults?: Readonly<Record<string, SettingValue>> | undefined;
  readonly firstRelease?: SavedState | undefined;
  readonly reindex?: ReindexArgs | undefined;
  readonly serverContainer?: ServerArgs | undefined;
}

export type DeclaredSettings = Record<string, pulumi.Input<Settings[string]>>;

/**
 * The schema and its functions. The settings' command drops them: the provider stores an address that
 * may have moved by then.
 */
export function ownFunctions(
  name: string,
  args: DatabaseStore,
  parent: pulumi.Resource,
): pulumi.Resource[] {
  const database = args.database ?? "immich";
  const opts = { parent, retainOnDelete: true };
  const schema = new postgresql.Schema(`${name}-schema`, { name: schemaName, database }, opts);
  // The provider takes over an existing schema, but no function: where another stack keeps its own here,
  // the first function fails and nothing is changed.
  const functions: postgresql.Function[] = [];
  const stack = `${pulumi.getProject()}/${pulumi.getStack()}`;
  const marked = databaseFunctions.map((each) => markedFunction(each, stack));
  for (const { name: functionName, args: parameters, ...rest } of marked) {
    functions.push(
      new postgresql.Function(
        functionResource(name, functionName),
        {
          name: functionName,
          args: parameters.map((parameter) => ({ ...parameter })),
          database,
          schema: schema.name,
          ...rest,
        },
        { ...opts, dependsOn: functions.slice(0, 1) },
      ),
    );
  }
  return functions;
}

/** The resource of a function, such as `preset-read-settings`. */
export function functionResource(preset: string, functionName: string): string {
  return `${preset}-${functionName.replaceAll("_", "-")}`;
}

export function settingsCommand(
  name: string,
  args: PresetCommandArgs & {
    readonly declared: DeclaredSettings;
    /** What Immich has stored otherwise, and when it was seen; undefined without drift. */
    readonly observed: string | undefined;
  },
  opts: { readonly parent: pulumi.Resource; readonly dependsOn: pulumi.Resource[] },
): local.Command {
  const { declared, observed, firstRelease, store } = args;
  if (firstRelease) releaseFirstSettings(name, opts.parent);
  return new local.Command(
    `${name}-settings`,
    {
      ...actionsOf("immich/settingsProgram.ts"),
      environment: {
        ...Object.fromEntries(
          Object.entries(declared).map(([key, value]) => [key, pulumi.jsonStringify(value)]),
        ),
        ...toEnvironment("immich", {
          version: args.immichVersion,
          embeddings: args.embeddings ?? "clear",
          // The default is left out: stacks of older releases have no such variable.
          onDestroy: args.onDestroy === "restoreModel" ? args.onDestroy : undefined,
          defaults: args.serverDefaults && JSON.stringify(args.serverDefaults),
          observed,
          firstRelease: firstRelease && JSON.stringify(firstRelease),
        }),
        ...toEnvironment("store", storeFields(store)),
        ...(store.kind === "database" && serverEnvironment(args)),
      },
    },
    {
      ...opts,
      // Both are of one run: later runs keep what is in the state.
      ignoreChanges: [
        ...(observed === undefined ? ['environment["immich.observed"]'] : []),
        ...(firstRelease === undefined ? ['environment["immich.firstRelease"]'] : []),
      ],
      aliases: firstRelease ? [] : [firstSettingsAlias],
    },
  );
}

function storeFields(
  store: DatabaseStore | ApiStore,
): Record<string, pulumi.Input<string> | undefined> {
  if (store.kind === "api") {
    const { kind, url, apiKey, caCertificate } = store;
    return { kind, url, apiKey: pulumi.secret(apiKey), caCertificate };
  }
  const { kind, host, container, port, database, user, password, sslMode } = store;
  const place =
    host === undefined
      ? {
          container: container?.name,
          dockerHost: container?.dockerHost ?? "unix:///var/run/docker.sock",
          tls: container?.tls,
          network: container?.network,
        }
      : { host };
  return {
    kind,
    ...place,
    port: pulumi.output(port ?? 5432).apply(String),
    database: database ?? "immich",
    user: user ?? "postgres",
    password: pulumi.secret(password),
    sslMode: sslMode ?? "disable",
  };
}

function serverEnvironment({ serverContainer }: PresetCommandArgs) {
  if (!serverContainer) return {};
  const { timeout = 300, ...server } = serverContainer;
  return toEnvironment<pulumi.Input<string>>("server", { ...server, timeout: String(timeout) });
}

/** Restarts Immich and indexes the photos again. Apart from the settings: when it fails, they are saved. */
export function applyCommand(
  name: string,
  args: PresetCommandArgs & {
    /** When this run announced that faces are detected again (ISO 8601); undefined where it did not. */
    readonly facesPlannedAt: string | undefined;
  },
  saved: pulumi.Output<SavedState | undefined>,
  parent: pulumi.Resource,
): local.Command | undefined {
  const { store, embeddings, serverContainer, reindex, facesPlannedAt } = args;
  // By its API Immich sees a change at once; in its database only when it starts.
  const restarts = store.kind === "database" && serverContainer !== undefined;
  if (!restarts && !reindex) return undefined;
  // What was kept is not missing, and a server that was not restarted knows the old model until a queue
  // is started with force (seen with v3.1.0).
  const force = store.kind === "database" && (embeddings === "keep" || !restarts);
  return new local.Command(
    `${name}-apply`,
    {
      ...actionsOf("immich/applyProgram.ts"),
      environment: {
        ...toEnvironment("changed", {
          at: saved.apply((state) => state?.changedAt ?? ""),
          clipAt: saved.apply((state) => state?.clipChangedAt ?? ""),
          faceAt: saved.apply((state) => state?.faceChangedAt ?? ""),
        }),
        ...(restarts && serverEnvironment(args)),
        // Embeddings of the former model are cleared while no server can make more of them.
        ...(restarts &&
          (embeddings ?? "clear") === "clear" &&
          toEnvironment("store", storeFields(store))),
        ...(reindex &&
          toEnvironment<pulumi.Input<string>>("reindex", {
            url: reindex.url,
            caCertificate: reindex.caCertificate,
            apiKey: pulumi.secret(reindex.apiKey),
            force: String(force),
            facesPlannedAt,
          })),
      },
    },
    {
      parent,
      // Of one run: later runs keep what is in the state.
      ignoreChanges: facesPlannedAt === undefined ? ['environment["reindex.facesPlannedAt"]'] : [],
      aliases: [{ name: `${name}-restart-on-destroy` }],
    },
  );
}

/** Runs a program of immich/ without a shell, which would drop variables with dots in their names. */
function actionsOf(program: string) {
  const loader = programFile("loadTypeScript.cjs");
  return {
    // Node.js takes a path without a dot for the name of a package.
    interpreter: [
      ...["node", "--require", isAbsolute(loader) ? loader : `./${loader}`],
      programFile(program),
    ],
    create: "create",
    update: "update",
    delete: "delete",
    logging: local.Logging.Stderr,
  };
}
