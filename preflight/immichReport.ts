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
import { type Diagnostic, error, warning } from "./diagnostics";

/** What was found out about Immich itself. */
export interface ImmichReport {
  readonly diagnostics: readonly Diagnostic[];
  /** Where its database is reached; undefined when it is not used or was not found. */
  readonly database?: DatabaseLocation | undefined;
  /** Undefined when it was not asked, or did not answer. */
  readonly info?: DatabaseInfo | ApiInfo | undefined;
}

/** Asks Immich's API or database, where the stack has a preset for it. Changes nothing. */
export async function inspectImmich(settings: Settings, run: Run): Promise<ImmichReport> {
  if (!settings.models) return { diagnostics: [] };
  const { api, database } = settings.immich;
  const { secrets } = settings;
  const isAsked = settings.preflight !== "off";
  if (api) {
    if (!isAsked) return { diagnostics: [] };
    return judge(await probeApi({ url: api.url, apiKey: secrets.immichApiKey! }), settings);
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
  const probe = await probeDatabase({
    ...located.value,
    database: name,
    user,
    password: secrets.databasePassword!,
    sslMode,
  });
  return { ...judge(probe, settings), database: located.value };
}

/** The machine learning must be of the server's version. */
function judge(probe: ProbeFailure | DatabaseInfo | ApiInfo, settings: Settings): ImmichReport {
  if (!probe.ok) return { diagnostics: [error(probe.message)] };
  const running = probe.immichVersion && parseImmichVersion(probe.immichVersion);
  if (!running || compareImmichVersions(running, settings.version) === 0) {
    return { diagnostics: [], info: probe };
  }
  const message = `Immich runs ${formatImmichVersion(running)}, but immich.version is ${settings.immich.version}: server and machine learning should be of one version`;
  return { diagnostics: [warning(message)], info: probe };
}
