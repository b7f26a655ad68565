import {
  compareImmichVersions,
  formatImmichVersion,
  parseImmichVersion,
} from "../catalog/immichVersion";
import type { Settings } from "../config/load";
import {
  type ApiInfo,
  type DatabaseInfo,
  probeApi,
  probeDatabase,
  type ProbeFailure,
} from "../immich/databaseProbe";
import type { Run } from "../util/run";
import { type DatabaseLocation, locateDatabase } from "../immich/databaseAddress";
import { readServerVariables, type ServerVariables } from "../immich/serverVariables";
import type { SettingValue } from "../catalog/systemConfigKeys";
import { type Diagnostic, error, warning } from "./diagnostics";

/** What was found out about Immich itself. */
export interface ImmichReport {
  readonly diagnostics: readonly Diagnostic[];
  /** Where its database is reached; undefined when it is not used or was not found. */
  readonly database?: DatabaseLocation | undefined;
  /** Undefined when it was not asked, or did not answer. */
  readonly info?: DatabaseInfo | ApiInfo | undefined;
  /** Defaults that the server takes from its own variables; undefined for none. */
  readonly serverDefaults?: Readonly<Record<string, SettingValue>> | undefined;
}

/** Asks Immich's API or database, where the stack has a preset for it. Changes nothing. */
export async function inspectImmich(settings: Settings, run: Run): Promise<ImmichReport> {
  if (!settings.models) return { diagnostics: [] };
  const { api, database } = settings.immich;
  const { secrets } = settings;
  const isAsked = settings.preflight !== "off";
  if (api) {
    if (!isAsked) return { diagnostics: [] };
    const access = { ...api, apiKey: secrets.immichApiKey!, reindex: settings.reindex };
    return judge(await probeApi(access), settings, undefined);
  }
  if (!database) return { diagnostics: [] };
  const { container, host, port, sslMode, name, user } = database;
  const { dockerHost, tls, network } = settings.immich;
  const engine = { dockerHost, tls, network };
  // Its address is needed even where nothing is to be checked.
  const located = container
    ? await locateDatabase({ ...engine, name: container, port }, run)
    : ({ ok: true, value: { host: host!, port } } as const);
  if (!located.ok) return { diagnostics: [error(located.message)] };
  if (!isAsked) return { diagnostics: [], database: located.value };
  const access = { database: name, user, password: secrets.databasePassword!, sslMode };
  const server = settings.immich.serverContainer;
  const [probe, variables] = await Promise.all([
    probeDatabase({ ...located.value, ...access }),
    readServerVariables({ server, database: container }, engine, run),
  ]);
  const found = variables.ok ? variables.value : undefined;
  const report = judge(probe, settings, found);
  const unknown = variables.ok
    ? []
    : [
        warning(
          `${variables.message}; with IMMICH_CONFIG_FILE set there, Immich would ignore the preset`,
        ),
      ];
  return {
    ...report,
    diagnostics: [...report.diagnostics, ...unknown],
    database: located.value,
    serverDefaults: found && Object.keys(found.defaults).length > 0 ? found.defaults : undefined,
  };
}

/** Whether the preset would take effect; the machine learning must be of the server's version. */
function judge(
  probe: ProbeFailure | DatabaseInfo | ApiInfo,
  settings: Settings,
  server: ServerVariables | undefined,
): ImmichReport {
  if (!probe.ok) return { diagnostics: [error(probe.message)] };
  const ignored = ignoredBecause(probe.settings, server).map(error);
  const running = probe.immichVersion && parseImmichVersion(probe.immichVersion);
  if (!running || compareImmichVersions(running, settings.version) === 0) {
    return { diagnostics: ignored, info: probe };
  }
  const message = `Immich runs ${formatImmichVersion(running)}, but immich.version is ${settings.immich.version}: server and machine learning should have the same version`;
  return { diagnostics: [...ignored, warning(message)], info: probe };
}

/** Why Immich would not use what the preset sets, though it would clear the embeddings for it. */
function ignoredBecause(
  stored: Readonly<Record<string, unknown>>,
  server: ServerVariables | undefined,
): string[] {
  if (server?.configFile !== undefined) {
    return [
      `${server.container} reads its configuration from ${server.configFile} (IMMICH_CONFIG_FILE), so Immich would ignore the preset: ` +
        "put the settings there and set immich-ml:preset to none, or remove the variable from the server",
    ];
  }
  const key = "machineLearning.enabled";
  const isOn = stored[key] ?? server?.defaults[key] ?? true;
  if (isOn !== false) return [];
  const origin =
    stored[key] === false
      ? "switch it on (Administration, Settings, Machine Learning Settings)"
      : "remove IMMICH_MACHINE_LEARNING_ENABLED from the server";
  return [
    `machine learning is switched off in Immich (machineLearning.enabled: false), so the preset would be set and never used: ${origin}, or set immich-ml:preset to none`,
  ];
}
