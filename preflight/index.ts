import * as pulumi from "@pulumi/pulumi";

import { accelerators } from "../catalog/accelerators";
import {
  compareImmichVersions,
  formatImmichVersion,
  parseImmichVersion,
} from "../catalog/immichVersion";
import { sanitize } from "../util/sanitize";
import { addressOfDatabase, type DatabaseLocation } from "../immich/databaseAddress";
import {
  type ApiInfo,
  type DatabaseInfo,
  probeApi,
  probeDatabase,
  type ProbeFailure,
} from "../immich/databaseProbe";
import type { DetectedGpu, DetectedGpus, HostSettings, Settings } from "../config/load";
import { memoize, run, type Run } from "../util/run";
import { Engine, type DockerInfo } from "./docker";
import { type HostInfo, probeHost } from "./hostProbe";
import {
  checkContainerName,
  checkHost,
  checkNetwork,
  selectedGpus,
  type Diagnostic,
} from "./hostChecks";
import { checkSwarm } from "./swarmChecks";

const maxDiagnosticLength = 2000;

/** What was learnt of the world outside, for those who need it. */
export interface World {
  /** Where Immich's database is reached from here; nothing when it is not used or was not found. */
  readonly database: DatabaseLocation | undefined;
  /** The CLIP model Immich uses now; nothing when it was not asked. */
  readonly currentClipModel: string | undefined;
  /** What Immich has stored under the machine-learning keys; nothing when it was not asked. */
  readonly currentSettings: Readonly<Record<string, unknown>> | undefined;
  /** False where the database has the functions of a release after 0.1.0. */
  readonly mayBeFirstRelease: boolean;
  /** By host name: the accelerator's optional mounts the host has. */
  readonly optionalMounts: Readonly<Record<string, string[]>>;
  /** Names of the hosts that do not answer while others do. */
  readonly unreachableHosts: ReadonlySet<string>;
}

/**
 * Looks at every host and at Immich before anything is changed, all at the same time, and reports
 * everything that is missing at once. Changes nothing.
 *
 * @throws pulumi.RunError that lists what is missing, unless `preflight` is `warn` or `off`
 */
export async function preflight(settings: Settings, anyRunner: Run = run): Promise<World> {
  const runner = memoize(anyRunner);
  const [hosts, immich] = await Promise.all([
    settings.preflight === "off"
      ? []
      : Promise.all(settings.hosts.map((host) => inspectHost(host, settings, runner))),
    inspectImmich(settings, runner),
  ]);
  // Names, labels and errors in them are what hosts and servers said.
  const diagnostics = [...hosts.flatMap((host) => host.diagnostics), ...immich.diagnostics].map(
    (diagnostic) => ({ ...diagnostic, message: sanitize(diagnostic.message, maxDiagnosticLength) }),
  );
  report(
    settings,
    hosts.some((host) => !host.unreachable)
      ? diagnostics.map(downgraded(diagnostics))
      : diagnostics,
  );
  return {
    database: immich.address,
    currentClipModel: immich.facts?.clipModel,
    currentSettings: immich.facts?.settings,
    mayBeFirstRelease: !(
      immich.facts &&
      "hasCurrentFunctions" in immich.facts &&
      immich.facts.hasCurrentFunctions
    ),
    optionalMounts: Object.fromEntries(hosts.map((host) => [host.name, host.optionalMounts])),
    unreachableHosts: new Set(hosts.filter((host) => host.unreachable).map((host) => host.name)),
  };
}

/** That a host is off does not stop the others, unless something else does. */
function downgraded(all: readonly Diagnostic[]): (diagnostic: Diagnostic) => Diagnostic {
  const isAnythingElseWrong = all.some(({ severity }) => severity === "error");
  return (diagnostic) =>
    diagnostic.severity !== "off" || isAnythingElseWrong
      ? diagnostic
      : {
          severity: "warning",
          message: `${diagnostic.message}; its resources stay as they are until it answers (one that is not set up yet cannot be created)`,
        };
}

/**
 * Finds out which cards the hosts with `gpu: auto` have.
 *
 * @param settings with those hosts' images still undecided
 * @throws pulumi.RunError when a host does not tell
 */
export async function detectGpus(settings: Settings, runner: Run = run): Promise<DetectedGpus> {
  const undecided = settings.hosts.filter((host) => host.image === undefined);
  const problems: string[] = [];
  const cards: Record<string, DetectedGpu> = {};
  await Promise.all(
    undecided.map(async (host) => {
      const answer = await detectGpu(host, runner);
      if (typeof answer === "string")
        problems.push(sanitize(`${host.name}: ${answer}`, maxDiagnosticLength));
      else cards[host.name] = answer;
    }),
  );
  if (problems.length > 0) {
    throw new pulumi.RunError(
      `gpu: auto found no card; nothing was changed:\n${problems.map((line) => `  ${line}`).join("\n")}`,
    );
  }
  return cards;
}

interface Inspection {
  readonly name: string;
  readonly diagnostics: readonly Diagnostic[];
  readonly optionalMounts: string[];
  readonly unreachable: boolean;
}

async function inspectHost(
  host: HostSettings,
  settings: Settings,
  runner: Run,
): Promise<Inspection> {
  const engine = new Engine(host, runner);
  const answer = await engine.facts();
  const named = (diagnostics: readonly Diagnostic[]) =>
    diagnostics.map((diagnostic) => ({
      ...diagnostic,
      message: `${host.name}: ${diagnostic.message}`,
    }));
  if (!answer.ok) {
    const { message, unreachable } = answer;
    const diagnostics = named([{ severity: unreachable ? "off" : "error", message }]);
    return { name: host.name, diagnostics, optionalMounts: [], unreachable };
  }
  if (host.swarm) {
    const diagnostics = named(await inspectSwarm(host, answer.facts, engine, settings, runner));
    return { name: host.name, diagnostics, optionalMounts: [], unreachable: false };
  }
  const onTheSameEngine = settings.hosts
    .filter(({ dockerHost }) => dockerHost === host.dockerHost)
    .map(({ containerName }) => containerName);
  const [machine, containers, networks] = await Promise.all([
    probeHost(host.dockerHost, answer.facts.root, runner),
    engine.containers(onTheSameEngine),
    engine.networks(),
  ]);
  return {
    name: host.name,
    diagnostics: named([
      ...checkHost(host, answer.facts, machine),
      ...checkContainerName(
        host,
        containers.find(({ name }) => name === host.containerName),
        settings,
      ),
      ...checkNetwork(host, networks),
    ]),
    optionalMounts: presentOptionalMounts(host, machine),
    unreachable: false,
  };
}

async function inspectSwarm(
  host: HostSettings,
  facts: DockerInfo,
  engine: Engine,
  settings: Settings,
  runner: Run,
): Promise<Diagnostic[]> {
  if (facts.swarm !== "manager") return checkSwarm(host, facts, { nodes: [] }, settings);
  const network = host.network ?? host.containerName;
  const [nodes, networkInfo, serviceLabels] = await Promise.all([
    engine.nodes(),
    engine.network(network),
    engine.serviceLabels(host.containerName),
  ]);
  const diagnostics = checkSwarm(
    host,
    facts,
    { nodes, network: networkInfo, serviceLabels },
    settings,
  );
  // Of a swarm of several nodes only the machine behind the endpoint could be looked at.
  if (nodes.length > 1) return diagnostics;
  const machine = await probeHost(host.dockerHost, facts.root, runner);
  return [...diagnostics, ...checkHost(host, facts, machine)];
}

function presentOptionalMounts(host: HostSettings, machine: HostInfo | undefined): string[] {
  return accelerators[host.accelerator].mounts
    .filter((mount) => mount.optional && machine?.paths.includes(mount.hostPath))
    .map((mount) => mount.hostPath);
}

interface ImmichInspection {
  readonly diagnostics: readonly Diagnostic[];
  readonly address?: DatabaseLocation;
  readonly facts?: DatabaseInfo | ApiInfo;
}

/** The database's address is needed even where nothing is to be checked. */
async function inspectImmich(settings: Settings, runner: Run): Promise<ImmichInspection> {
  if (!settings.models) return { diagnostics: [] };
  const { api, database } = settings.immich;
  if (api) {
    if (settings.preflight === "off") return { diagnostics: [] };
    const probe = await probeApi({ url: api.url, apiKey: settings.secrets.immichApiKey! });
    return judge(probe, settings);
  }
  if (!database) return { diagnostics: [] };
  const located = database.container
    ? await locateDatabase(database.container, settings, runner)
    : { host: database.host!, port: database.port };
  if (typeof located === "string") {
    return { diagnostics: [{ severity: "error", message: located }] };
  }
  if (settings.preflight === "off") return { diagnostics: [], address: located };
  const probe = await probeDatabase({
    ...located,
    database: database.name,
    user: database.user,
    password: settings.secrets.databasePassword!,
    sslMode: database.sslMode,
  });
  return { ...judge(probe, settings), address: located };
}

/** The ML side must follow the server's version, so a difference is told. */
function judge(probe: ProbeFailure | DatabaseInfo | ApiInfo, settings: Settings): ImmichInspection {
  if (!probe.ok) return { diagnostics: [{ severity: "error", message: probe.message }] };
  const running = probe.immichVersion && parseImmichVersion(probe.immichVersion);
  const diagnostics: Diagnostic[] = [];
  if (running && compareImmichVersions(running, settings.version) !== 0) {
    diagnostics.push({
      severity: "warning",
      message: `Immich runs ${formatImmichVersion(running)}, but immich.version is ${settings.immich.version}: server and machine learning should be of one version`,
    });
  }
  return { diagnostics, facts: probe };
}

async function locateDatabase(
  name: string,
  settings: Settings,
  runner: Run,
): Promise<DatabaseLocation | string> {
  const { dockerHost, network, database } = settings.immich;
  const engine = new Engine(settings.immich, runner);
  const answer = await engine.facts();
  if (!answer.ok) return `Immich's database: ${answer.message}`;
  return addressOfDatabase(await engine.container(name), {
    name,
    port: database!.port,
    network,
    dockerHost,
    isVirtualMachine: answer.facts.operatingSystem === "Docker Desktop",
  });
}

async function detectGpu(host: HostSettings, runner: Run): Promise<DetectedGpu | string> {
  const answer = await new Engine(host, runner).facts();
  if (!answer.ok) return answer.message;
  const machine = await probeHost(host.dockerHost, answer.facts.root, runner);
  if (!machine) return `nvidia-smi cannot be asked at ${host.dockerHost}; name the card in gpu`;
  if (machine.nvidia.kind === "absent") return "there is no nvidia-smi; install NVIDIA's driver";
  if (machine.nvidia.kind === "failed") return `nvidia-smi: ${machine.nvidia.message}`;
  const chosen = selectedGpus(host.gpus, machine.nvidia.cards);
  const [oldest] = [...chosen].sort(
    (a, b) => Number(a.computeCapability ?? 0) - Number(b.computeCapability ?? 0),
  );
  if (!oldest) return "gpus chooses none of the host's cards";
  if (oldest.computeCapability === undefined) {
    return `this driver does not tell the compute capability of ${oldest.name}, and it is no card this program knows; give it in gpu, such as 5.0`;
  }
  return {
    name: oldest.name,
    computeCapability: oldest.computeCapability,
    videoMemory: oldest.videoMemory,
  };
}

function report(settings: Settings, diagnostics: readonly Diagnostic[]): void {
  const errors = diagnostics.filter((diagnostic) => diagnostic.severity !== "warning");
  const isRefused = settings.preflight !== "warn" && errors.length > 0;
  for (const { severity, message } of diagnostics) {
    if (severity === "warning" || !isRefused) void pulumi.log.warn(message);
  }
  if (!isRefused) return;
  const list = errors.map(({ message }) => `  ${message}`).join("\n");
  throw new pulumi.RunError(
    `the hosts are not ready; nothing was changed (preflight: warn goes on all the same):\n${list}`,
  );
}
