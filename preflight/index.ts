import * as pulumi from "@pulumi/pulumi";

import type { DetectedGpu, DetectedGpus, Settings } from "../config/load";
import { memoize, run, type Run } from "../util/run";
import type { SettingValue } from "../catalog/systemConfigKeys";
import { sanitize } from "../util/sanitize";
import type { DatabaseLocation } from "../immich/databaseAddress";
import type { DatabaseInfo } from "../immich/databaseProbe";
import { type Diagnostic, warning } from "./diagnostics";
import type { HostDrift } from "./containerDrift";
import { detectGpu } from "./gpuDetection";
import { type HostReport, inspectHost } from "./hostReport";
import { type ImmichReport, inspectImmich } from "./immichReport";

/** Messages quote names, labels and errors of hosts and servers. */
const maxMessageLength = 2000;

/** What the preflight found out, for those who need it. */
export interface PreflightResult {
  /** Where Immich's database is reached from here; undefined when it is not used or was not found. */
  readonly database: DatabaseLocation | undefined;
  /** The CLIP model Immich uses now; undefined when Immich was not asked. */
  readonly currentClipModel: string | undefined;
  /** What Immich has stored under the machine-learning keys; undefined when it was not asked. */
  readonly currentSettings: Readonly<Record<string, unknown>> | undefined;
  /** Defaults that Immich's server takes from its own variables; undefined for none, or where not known. */
  readonly serverDefaults: Readonly<Record<string, SettingValue>> | undefined;
  /** The functions of ours in Immich's database, each with the stack that made it; empty where it was not asked. */
  readonly databaseFunctions: Readonly<Record<string, string | null>>;
  /** False where the database has the functions of a release after 0.1.0. */
  readonly mayBeFirstRelease: boolean;
  /** By host: paths of the accelerator's optional mounts that exist; undefined when not known. */
  readonly optionalMounts: Readonly<Record<string, string[] | undefined>>;
  /** By host: what its engine lacks of what a stack declares; undefined when it was not asked. */
  readonly drift: Readonly<Record<string, HostDrift | undefined>>;
  /** By host: the names its container or service answers to; undefined where there is none or it is not known. */
  readonly aliases: Readonly<Record<string, readonly string[] | undefined>>;
  /** Names of the hosts whose kernel knows no IPv6. */
  readonly hostsWithoutIpv6?: ReadonlySet<string> | undefined;
  /** Names of the hosts that do not answer while others do. */
  readonly unreachableHosts: ReadonlySet<string>;
}

/**
 * Asks every host and Immich before anything is changed, all at the same time, and reports all that
 * is wrong at once. Changes nothing.
 *
 * @param hostsSetUp asks for the hosts that the stack has already set up; they may be switched off
 * @throws pulumi.RunError that lists the errors, unless `preflight` is `warn` or `off`
 */
export async function preflight(
  settings: Settings,
  anyRun: Run = run,
  hostsSetUp?: () => Promise<ReadonlySet<string>>,
): Promise<PreflightResult> {
  const ask = memoize(anyRun);
  const asked = settings.preflight === "off" ? [] : settings.hosts;
  const [reports, immich] = await Promise.all([
    Promise.all(asked.map((host) => inspectHost(host, settings, ask))),
    inspectImmich(settings, ask),
  ]);
  const isDoubtful = reports.some(({ unresolved }) => unresolved);
  const setUp = isDoubtful ? await hostsSetUp?.() : undefined;
  // A name that nobody knows is a mistake, unless a machine had it before.
  const hosts = reports.map((host) =>
    host.unresolved && setUp?.has(host.name) === false ? { ...host, unreachable: false } : host,
  );
  report(settings, [...diagnosticsOf(hosts, immich.diagnostics), ...immich.diagnostics]);
  const unreachable = hosts.filter((host) => host.unreachable);
  const withoutIpv6 = hosts.filter(({ hasIpv6 }) => hasIpv6 === false);
  return {
    database: immich.database,
    currentClipModel: immich.info?.clipModel,
    currentSettings: immich.info?.settings,
    serverDefaults: immich.serverDefaults,
    databaseFunctions: isDatabase(immich.info) ? immich.info.functions : {},
    mayBeFirstRelease: !(isDatabase(immich.info) && immich.info.hasCurrentFunctions),
    optionalMounts: Object.fromEntries(hosts.map((host) => [host.name, host.optionalMounts])),
    drift: Object.fromEntries(hosts.map((host) => [host.name, host.drift])),
    aliases: Object.fromEntries(hosts.map((host) => [host.name, host.aliases])),
    ...(withoutIpv6.length > 0 && {
      hostsWithoutIpv6: new Set(withoutIpv6.map(({ name }) => name)),
    }),
    unreachableHosts: new Set(unreachable.map(({ name }) => name)),
  };
}

/**
 * Detects the GPUs of the hosts with `gpu: auto`.
 *
 * @param settings in which those hosts have no image yet
 * @throws pulumi.RunError that lists the hosts whose GPU cannot be detected
 */
export async function detectGpus(settings: Settings, anyRun: Run = run): Promise<DetectedGpus> {
  const ask = memoize(anyRun);
  const undecided = settings.hosts.filter(({ image }) => image === undefined);
  const answers = await Promise.all(undecided.map((host) => detectGpu(host, ask)));
  const detected: Record<string, DetectedGpu> = {};
  const failures: string[] = [];
  for (const [index, { name }] of undecided.entries()) {
    const answer = answers[index]!;
    if (answer.ok) detected[name] = answer.value;
    else failures.push(`${name}: ${answer.message}`);
  }
  refuse("gpu: auto detected no card; nothing was changed", failures);
  return detected;
}

function isDatabase(info: ImmichReport["info"]): info is DatabaseInfo {
  return info !== undefined && "functions" in info;
}

/** An unreachable host does not stop the others, unless something else does. */
function diagnosticsOf(
  hosts: readonly HostReport[],
  others: readonly Diagnostic[],
): readonly Diagnostic[] {
  const reachable = hosts.filter((host) => !host.unreachable);
  const decisive = [...reachable.flatMap(({ diagnostics }) => diagnostics), ...others];
  const isStopped = decisive.some(({ severity }) => severity === "error");
  const areErrors = reachable.length === 0 || isStopped;
  return hosts.flatMap(({ diagnostics, unreachable }) =>
    !unreachable || areErrors
      ? diagnostics
      : diagnostics.map(({ message }) =>
          warning(
            `${message}; its resources stay as they are until it answers (a host that is not set up yet cannot be created now)`,
          ),
        ),
  );
}

function report(settings: Settings, diagnostics: readonly Diagnostic[]): void {
  const isError = ({ severity }: Diagnostic) =>
    severity === "error" && settings.preflight !== "warn";
  const errors = diagnostics.filter(isError);
  for (const diagnostic of diagnostics) {
    if (isError(diagnostic)) continue;
    const log = diagnostic.severity === "note" ? pulumi.log.info : pulumi.log.warn;
    void log(sanitize(diagnostic.message, maxMessageLength));
  }
  refuse(
    "the hosts are not ready; nothing was changed (to go on all the same, set preflight: warn)",
    errors.map(({ message }) => message),
  );
}

function refuse(title: string, messages: readonly string[]): void {
  if (messages.length === 0) return;
  const list = messages.map((message) => `  ${sanitize(message, maxMessageLength)}`);
  throw new pulumi.RunError(`${title}:\n${list.join("\n")}`);
}
