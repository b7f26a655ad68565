import { readFileSync } from "node:fs";
import { join } from "node:path";

import {
  acceleratorNames,
  accelerators,
  isAcceleratorName,
  type AcceleratorName,
} from "../catalog/accelerators";
import { tlsFiles, type EngineAddress } from "../util/dockerClient";
import { assignGpus } from "../catalog/deviceIds";
import { renderEnvironment, servicePort } from "../catalog/environment";
import {
  gpuFamilyFor,
  gpuFamilies,
  immichVersionProblem,
  parseComputeCapability,
  type GpuFamilyName,
} from "../catalog/gpuFamilies";
import { findGpu, nearestGpus } from "../catalog/gpus";
import { mirrored } from "../catalog/imageMirror";
import { officialImage } from "../catalog/immichReleases";
import { atLeast, type ImmichVersion } from "../catalog/immichVersion";
import { nearestNames } from "../util/nearestNames";
import { apiKeyAllowed, isApiKey } from "../immich/immichApi";
import { resolveModels, type ModelSelection } from "../immich/modelSelection";
import { parseEnvFile } from "./envFile";
import type { Problem } from "./errors";
import type { BuildEntry, HostEntry, ImmichEntry, StackFile } from "./schema";
import { resolveSwarm, type SwarmSettings, swarmProblems } from "./swarm";

/** A card as it was found on a host, or as the catalog knows it. */
export interface DetectedGpu {
  readonly name?: string | undefined;
  /** NVIDIA's compute capability, e.g. `5.0`; not known where only the memory was given. */
  readonly computeCapability: string | undefined;
  /** MiB. */
  readonly videoMemory?: number | undefined;
}

/** The cards found on the hosts whose `gpu` is `auto`, by host name. */
export type DetectedGpus = Readonly<Record<string, DetectedGpu>>;

/** Where a host's container image comes from. */
export type ImageSource =
  | { readonly kind: "legacy"; readonly gpuFamily: GpuFamilyName }
  /** Immich's own. */
  | { readonly kind: "official"; readonly reference: string }
  /** The stack file's. */
  | { readonly kind: "given"; readonly reference: string };

export interface HostSettings extends Pick<
  HostEntry,
  | "name"
  | "dockerHost"
  | "tls"
  | "keepCache"
  | "cacheModels"
  | "restart"
  | "publish"
  | "limits"
  | "hardening"
  | "environment"
  | "check"
  | "modelDownload"
  | "healthTimeout"
> {
  readonly accelerator: AcceleratorName;
  readonly card: DetectedGpu | undefined;
  /** Undefined only while the card of a host with `gpu: auto` is not yet known. */
  readonly image: ImageSource | undefined;
  readonly gpus: GpuChoice | undefined;
  readonly containerName: string;
  readonly cacheVolume: string;
  readonly network: string | undefined;
  readonly networkAlias: string;
  /** Where Immich reaches the service. */
  readonly url: string;
  /** How it runs as a service of a Docker Swarm; undefined for a container of its own. */
  readonly swarm: SwarmSettings | undefined;
  /** What the host's env files say, under the variables' own names. */
  readonly environmentFile: Readonly<Record<string, string>>;
}

/** Which NVIDIA cards the container is given; exactly one of the fields. */
export interface GpuChoice {
  /** How many; -1 for all. */
  readonly count?: number;
  /** Numbers or UUIDs. */
  readonly ids?: string[];
  readonly cdi?: string[];
}

export interface Settings {
  readonly project: string;
  readonly stack: string;
  readonly hosts: readonly HostSettings[];
  readonly immich: ImmichEntry;
  readonly version: ImmichVersion;
  readonly build: BuildEntry;
  /** Undefined when the stack leaves Immich's own configuration alone (`preset: none`). */
  readonly models: ModelSelection | undefined;
  readonly embeddings: "clear" | "keep";
  readonly allowUnknownModels: boolean;
  readonly reindex: boolean;
  readonly redetectFacesLosingNames: boolean;
  readonly preflight: "enforce" | "warn" | "off";
  readonly secrets: Secrets;
  /** What the user should know though nothing is wrong. */
  readonly notes: readonly string[];
}

export interface Secrets {
  readonly databasePassword?: string | undefined;
  readonly immichApiKey?: string | undefined;
}

export interface Context {
  readonly project: string;
  readonly stack: string;
  readonly cards: DetectedGpus;
  readonly secrets: Secrets;
}

/** The parts of a stack file whose shape is right; the others have been reported already. */
export type StackParts = Partial<Omit<StackFile, "hosts">> & {
  readonly hosts?: readonly (HostEntry | undefined)[];
  /** The server's release, also where something else about Immich is wrong. */
  readonly version?: ImmichVersion | undefined;
};

export interface Resolved {
  readonly settings?: Settings;
  readonly problems: readonly Problem[];
}

/** Immich's default for `machineLearning.urls` names this host. */
export const immichDefaultAlias = "immich-machine-learning";

/** What a stack file means as a whole. Reports every contradiction it finds in the parts given. */
export function resolve(parts: StackParts, context: Context): Resolved {
  const problems: Problem[] = [];
  const notes: string[] = [];
  const { version } = parts;
  const hosts = (parts.hosts ?? []).map(
    (host, index) => host && resolveHost(host, index, { parts, version, context, problems, notes }),
  );
  problems.push(...duplicates(hosts));
  if (parts.immich) problems.push(...storeProblems(parts, context.secrets));
  if (parts.immich) problems.push(...tlsProblems(parts.immich, "immich"));
  if (parts.build?.caCertificate) problems.push(...certificateProblems(parts.build.caCertificate));
  problems.push(...reindexProblems(parts));
  const models = selectModels(parts, version, hosts, problems, notes);
  if (parts.immich?.database?.role !== undefined) {
    notes.push(
      "immich.database.role is no longer used and will be refused by the next release: remove it",
    );
  }

  const { immich, build } = parts;
  const complete = hosts.length > 0 && !hosts.includes(undefined);
  if (problems.length > 0 || !complete || !version || !immich || !build) {
    return { problems };
  }
  const settings: Settings = {
    project: context.project,
    stack: context.stack,
    hosts: hosts.filter((host) => host !== undefined),
    immich,
    version,
    build,
    models,
    embeddings: parts.embeddings ?? "clear",
    allowUnknownModels: parts.allowUnknownModels ?? false,
    reindex: parts.reindex ?? false,
    redetectFacesLosingNames: parts.redetectFacesLosingNames ?? false,
    preflight: parts.preflight ?? "enforce",
    secrets: context.secrets,
    notes,
  };
  return { settings, problems };
}

interface HostInput {
  readonly parts: StackParts;
  readonly version: ImmichVersion | undefined;
  readonly context: Context;
  readonly problems: Problem[];
  readonly notes: string[];
}

function resolveHost(host: HostEntry, index: number, input: HostInput): HostSettings {
  const { parts, version, context, problems } = input;
  const key = `hosts[${index}]`;
  const accelerator = chooseAccelerator(host, key, version, problems);
  const card = identifyGpu(host, key, context.cards, problems);
  const image = chooseImage(host, key, accelerator, card, parts, version, problems);
  const environment = checkEnvironment(host, key, accelerator, input);
  if (host.cacheModels && readIfPresent(join(host.cacheModels, "SHA256SUMS")) === undefined) {
    problems.push({
      key: `${key}.cacheModels`,
      value: host.cacheModels,
      expected:
        "must be a folder with a file SHA256SUMS; make it there with: find . -type f ! -name SHA256SUMS -exec sha256sum {} + > SHA256SUMS",
    });
  }
  problems.push(...tlsProblems(host, key));
  if (host.tls !== undefined && image?.kind === "legacy") {
    const expected = `does not go with an image that is built on the host (runtime ${image.gpuFamily}): the Docker provider's builder connects without certificates. Use dockerHost: ssh://…, or image: one that is already there`;
    problems.push({ key: `${key}.tls`, value: host.tls, expected });
  }
  const environmentFile = readEnvFiles(host, key, problems);
  if (host.gpus && Object.keys(host.gpus).length !== 1) {
    const expected = "must be one of count, ids, cdi";
    problems.push({ key: `${key}.gpus`, value: host.gpus, expected });
  }
  if (host.gpus && accelerator !== "cuda") {
    const expected = "is for accelerator cuda only";
    problems.push({ key: `${key}.gpus`, value: host.gpus, expected });
  }
  const isOnSwarm = host.placement === "swarm";
  const swarm = isOnSwarm ? resolveSwarm(host, image, parts.build?.imageMirror) : undefined;
  problems.push(...swarmProblems(host, key, accelerator));
  // Immich's own network exists on Immich's own engine; a swarm's services join overlay networks only.
  const besideImmich = host.dockerHost === parts.immich?.dockerHost && !isOnSwarm;
  const network = host.network ?? (besideImmich ? parts.immich?.network : undefined);
  if (parts.immich && network === undefined && !host.publish && !isOnSwarm) {
    problems.push({
      key: `${key}`,
      expected:
        "needs publish, or network (immich.network on Immich's own engine), otherwise Immich's server cannot reach it",
    });
  }

  if (accelerator === "cpu" && host.gpu !== undefined) {
    input.notes.push(`${host.name}: gpu is not used, since accelerator is cpu`);
  }
  if (isOnSwarm && network === undefined && !host.publish && host.url === undefined) {
    const made = `immich-ml-${host.name}`;
    input.notes.push(
      `${host.name}: Immich's server reaches the service once it has joined the network ${made}, which is made: docker network connect ${made} <its container>, or in its compose file`,
    );
  }
  const isEverywhere = host.publish && ["0.0.0.0", "::"].includes(host.publish.address);
  if (network === undefined && isEverywhere && host.url === undefined) {
    const expected = `is missing: an address Immich reaches the host by, since ${host.publish!.address} is none`;
    problems.push({ key: `${key}.url`, expected });
  }

  const shared = shareOut(host, key, { ...environmentFile, ...environment }, accelerator, input);

  const networkAlias = host.networkAlias ?? (index === 0 ? immichDefaultAlias : host.name);
  return {
    ...host,
    environment: { ...host.environment, ...shared },
    accelerator,
    card,
    image,
    gpus: host.gpus && gpuChoice(host.gpus),
    containerName: host.containerName ?? `immich-ml-${host.name}`,
    cacheVolume: host.cacheVolume ?? `immich-ml-${host.name}-cache`,
    network,
    networkAlias,
    swarm,
    url:
      host.url ??
      defaultUrl(network ? undefined : host.publish, networkAlias, {
        ...environmentFile,
        ...environment,
      }),
    environmentFile,
  };
}

function gpuChoice({ count, ids, cdi }: NonNullable<HostEntry["gpus"]>): GpuChoice {
  if (ids) return { ids: ids.map(String) };
  if (cdi) return { cdi };
  return { count: count === "all" ? -1 : (count ?? 1) };
}

/** Settings of the server that give each of a container's cards a worker. */
function shareOut(
  host: HostEntry,
  key: string,
  variables: Readonly<Record<string, string>>,
  accelerator: AcceleratorName,
  { version, problems, notes }: HostInput,
): HostEntry["environment"] {
  if (accelerator !== "cuda" || !version) return {};
  const shared = assignGpus(variables, gpuCount(host.gpus), version);
  for (const { setting, message } of shared.problems) {
    problems.push({ key: `${key}.${setting}`, expected: message });
  }
  for (const note of shared.notes) notes.push(`${host.name}: ${note}`);
  return shared.added;
}

/** How many cards the container is given; nothing where that depends on the host. */
function gpuCount(gpus: HostEntry["gpus"]): number | undefined {
  const { count = 1, ids, cdi } = gpus ?? {};
  if (cdi?.some((device) => device.endsWith("=all"))) return undefined;
  return (ids ?? cdi)?.length ?? (count === "all" ? undefined : count);
}

/** By its name on a network it shares with Immich, otherwise by the published port. */
function defaultUrl(
  publish: HostEntry["publish"],
  networkAlias: string,
  variables: Readonly<Record<string, string>>,
): string {
  if (!publish) return `http://${networkAlias}:${servicePort(variables)}`;
  const { address, port } = publish;
  return `http://${address.includes(":") ? `[${address}]` : address}:${port}`;
}

function chooseAccelerator(
  host: HostEntry,
  key: string,
  version: ImmichVersion | undefined,
  problems: Problem[],
): AcceleratorName {
  const name = host.accelerator ?? (host.gpu === undefined ? "cpu" : "cuda");
  if (!isAcceleratorName(name)) {
    problems.push({
      key: `${key}.accelerator`,
      value: name,
      expected: `must be one of ${acceleratorNames.join(", ")}`,
      suggestion: nearestNames(name, acceleratorNames)[0],
    });
    return "cpu";
  }
  const { minimumImmichVersion } = accelerators[name];
  if (version && !atLeast(version, minimumImmichVersion)) {
    problems.push({
      key: `${key}.accelerator`,
      value: name,
      expected: `needs Immich v${minimumImmichVersion} or newer`,
    });
  }
  return name;
}

/** Unquoted, `5.0` in YAML is the number 5. */
function asText(gpu: string | number): string {
  return typeof gpu === "number" && Number.isInteger(gpu) ? `${gpu}.0` : String(gpu);
}

function identifyGpu(
  host: HostEntry,
  key: string,
  cards: DetectedGpus,
  problems: Problem[],
): DetectedGpu | undefined {
  const { videoMemory } = host;
  if (host.gpu === undefined) {
    return videoMemory === undefined ? undefined : { computeCapability: undefined, videoMemory };
  }
  const gpu = asText(host.gpu).trim();
  if (gpu === "auto") {
    const found = Object.hasOwn(cards, host.name) ? cards[host.name] : undefined;
    return found && { ...found, videoMemory: videoMemory ?? found.videoMemory };
  }
  if (/^\d{1,2}\.\d$/.test(gpu)) {
    return { computeCapability: gpu, videoMemory: host.videoMemory };
  }
  const known = findGpu(gpu);
  if (known) {
    return {
      name: known.name,
      computeCapability: known.computeCapability,
      videoMemory: host.videoMemory ?? known.videoMemory,
    };
  }
  problems.push({
    key: `${key}.gpu`,
    value: host.gpu,
    expected:
      "is no card this program knows; give its compute capability instead (https://developer.nvidia.com/cuda-gpus), such as 5.0, or auto",
    suggestion: nearestGpus(gpu)[0],
  });
  return undefined;
}

function chooseImage(
  host: HostEntry,
  key: string,
  accelerator: AcceleratorName,
  card: DetectedGpu | undefined,
  parts: StackParts,
  version: ImmichVersion | undefined,
  problems: Problem[],
): ImageSource | undefined {
  if (host.image && host.runtime) {
    const expected = "must not stand beside image: either of them decides what runs";
    problems.push({ key: `${key}.runtime`, value: host.runtime, expected });
  }
  if (host.image) return { kind: "given", reference: host.image };
  if (!version || !parts.immich) return undefined;
  const official: ImageSource = {
    kind: "official",
    reference: mirrored(
      officialImage(version, accelerators[accelerator].imageSuffix),
      parts.build?.imageMirror,
    ),
  };

  if (host.runtime === "official") return official;
  if (host.runtime !== undefined) {
    const names = Object.keys(gpuFamilies);
    if (!isGpuFamily(host.runtime)) {
      problems.push({
        key: `${key}.runtime`,
        value: host.runtime,
        expected: `must be official or one of ${names.join(", ")}`,
        suggestion: nearestNames(host.runtime, [...names, "official"])[0],
      });
      return undefined;
    }
    if (accelerator !== "cuda" && accelerator !== "cpu") {
      problems.push({
        key: `${key}.runtime`,
        value: host.runtime,
        expected: `is an image for NVIDIA cards; accelerator ${accelerator} runs the official image`,
      });
      return undefined;
    }
    return checkGpuFamily(host.runtime, host, key, card, version, problems);
  }

  if (accelerator !== "cuda") return official;
  if (host.gpu === undefined) {
    problems.push({
      key: `${key}.gpu`,
      expected: "is missing: a card's name, a compute capability such as 5.0, or auto",
    });
    return undefined;
  }
  if (!card?.computeCapability) return undefined;
  const fitting = gpuFamilyFor(card.computeCapability, version);
  if (fitting.kind === "official") return official;
  if (fitting.kind === "gpuFamily") {
    return checkGpuFamily(fitting.gpuFamily.name, host, key, card, version, problems);
  }
  problems.push({ key: `${key}.gpu`, value: host.gpu, expected: fitting.reason });
  return undefined;
}

function checkGpuFamily(
  runtime: GpuFamilyName,
  host: HostEntry,
  key: string,
  card: DetectedGpu | undefined,
  version: ImmichVersion,
  problems: Problem[],
): ImageSource {
  // A wheel runs on the oldest card it has code for and on every newer one.
  const oldest = parseComputeCapability(gpuFamilies[runtime].computeCapabilities[0]!)!;
  const ofCard = card?.computeCapability && parseComputeCapability(card.computeCapability);
  if (ofCard && ofCard < oldest) {
    problems.push({
      key: `${key}.runtime`,
      value: runtime,
      expected: `has no code for compute capability ${card.computeCapability} (${asText(host.gpu!)}); leave runtime out and the right one is chosen`,
    });
  }
  const unbuildable = immichVersionProblem(version);
  if (unbuildable) {
    problems.push({ key: "immich.version", expected: `${unbuildable} (for host ${host.name})` });
  }
  return { kind: "legacy", gpuFamily: runtime };
}

function isGpuFamily(name: string): name is GpuFamilyName {
  return Object.hasOwn(gpuFamilies, name);
}

function checkEnvironment(
  host: HostEntry,
  key: string,
  accelerator: AcceleratorName,
  { version, problems, notes }: HostInput,
): Record<string, string> {
  if (!version) return {};
  const rendered = renderEnvironment(host.environment, version, accelerator);
  for (const { name, message } of rendered.problems) {
    problems.push({ key: `${key}.environment.${name}`, expected: message });
  }
  for (const note of rendered.notes) notes.push(`${host.name}: ${note}`);
  return rendered.variables;
}

/** Later files win over earlier ones, as in docker compose. */
function readEnvFiles(host: HostEntry, key: string, problems: Problem[]): Record<string, string> {
  const variables = new Map<string, string>();
  host.envFiles.forEach((entry, index) => {
    const { path, required } = typeof entry === "string" ? { path: entry, required: true } : entry;
    const where = { key: `${key}.envFiles[${index}]`, value: path };
    const text = readIfPresent(path);
    if (text === undefined) {
      if (required) problems.push({ ...where, expected: "cannot be read" });
      return;
    }
    const file = parseEnvFile(text, process.env);
    for (const { line, message } of file.problems) {
      problems.push({ ...where, expected: `line ${line}: ${message}` });
    }
    for (const [name, value] of file.variables) variables.set(name, value);
  });
  return Object.fromEntries(variables);
}

function readIfPresent(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function duplicates(hosts: readonly (HostSettings | undefined)[]): Problem[] {
  const problems: Problem[] = [];
  const seen = new Map<string, string>();
  const claim = (what: string, key: string, value: unknown) => {
    const first = seen.get(what);
    if (first) problems.push({ key, value, expected: `is already that of ${first}` });
    else seen.set(what, key);
  };
  hosts.forEach((host, index) => {
    if (!host) return;
    const key = `hosts[${index}]`;
    claim(`name ${host.name}`, `${key}.name`, host.name);
    const { dockerHost, containerName, cacheVolume, network, networkAlias, tls } = host;
    const sameEngine = hosts.find((other) => other?.dockerHost === dockerHost)!;
    if (sameEngine.tls !== tls) {
      const expected = `must be that of host ${sameEngine.name}, since both are on ${dockerHost}`;
      problems.push({ key: `${key}.tls`, value: tls, expected });
    }
    claim(`${dockerHost} container ${containerName}`, `${key}.containerName`, containerName);
    claim(`${dockerHost} volume ${cacheVolume}`, `${key}.cacheVolume`, cacheVolume);
    if (network) {
      claim(`${dockerHost} ${network} ${networkAlias}`, `${key}.networkAlias`, networkAlias);
    }
    if (host.publish) {
      const { address, port } = host.publish;
      claim(`${host.dockerHost} ${address}:${port}`, `${key}.publish`, host.publish);
    }
    const ownRegistry = host.swarm?.ownRegistry;
    if (ownRegistry) {
      const { port } = ownRegistry;
      claim(`${dockerHost} registry ${port}`, `${key}.swarm.registry.port`, port);
    }
  });
  return problems;
}

/** A preset needs a way into Immich, and that way its secret. */
function storeProblems(parts: StackParts, secrets: Secrets): Problem[] {
  const { immich, preset = "none" } = parts;
  if (!immich || !wantsModels(parts)) return [];
  if (immich.database && immich.api) {
    return [{ key: "immich", expected: "must have either database or api, not both" }];
  }
  if (immich.api && parts.embeddings === "keep") {
    const expected =
      'must be clear: by its API Immich clears them itself; "keep" needs immich.database';
    return [{ key: "embeddings", value: "keep", expected }];
  }
  if (immich.api) {
    if (!secrets.immichApiKey) return [missingSecret("immichApiKey", "Immich's API key")];
    return isApiKey(secrets.immichApiKey)
      ? []
      : [{ key: "immichApiKey", expected: `must be ${apiKeyAllowed}` }];
  }
  if (!immich.database) {
    return [
      {
        key: "immich",
        expected: `needs database (container, or host) or api (url), so that ${preset === "none" ? "models" : `preset ${preset}`} can be set`,
      },
    ];
  }
  const problems: Problem[] = [];
  const { container, host } = immich.database;
  if ((container === undefined) === (host === undefined)) {
    problems.push({ key: "immich.database", expected: "must have either container or host" });
  }
  if (!secrets.databasePassword) {
    problems.push(missingSecret("databasePassword", "the password of Immich's database"));
  } else if (secrets.databasePassword.includes("\0")) {
    problems.push({ key: "databasePassword", expected: "must not hold a NUL character" });
  }
  return problems;
}

/** What the docker client would refuse, said before it is asked. */
function tlsProblems({ dockerHost, tls }: EngineAddress, key: string): Problem[] {
  if (tls === undefined) return [];
  const problem = (expected: string) => [{ key: `${key}.tls`, value: tls, expected }];
  if (!dockerHost.startsWith("tcp://")) {
    return problem(
      `is for dockerHost tcp://host:port, not ${dockerHost}, which needs no certificates`,
    );
  }
  const unusable = tlsFiles.filter(
    (file) => !readIfPresent(join(tls, file))?.includes("-----BEGIN "),
  );
  return unusable.length === 0
    ? []
    : problem(
        `must be a folder with ca.pem, cert.pem and key.pem in PEM form; ${unusable.join(" and ")} cannot be read there`,
      );
}

/** What LegacyImage would refuse, said before anything is registered. */
function certificateProblems(path: string): Problem[] {
  const pem = readIfPresent(path);
  const expected =
    pem === undefined
      ? "cannot be read"
      : pem.includes("-----BEGIN CERTIFICATE-----") && pem.length < 128 * 1024
        ? undefined
        : "must be a PEM file of at most 128 KiB: the one certificate that is missing, not a bundle";
  return expected === undefined ? [] : [{ key: "build.caCertificate", value: path, expected }];
}

/** Whether anything is to be set in Immich: a preset, or models of one's own. */
function wantsModels({ preset = "none", models = {} }: StackParts): boolean {
  return preset !== "none" || Object.keys(models).length > 0;
}

function reindexProblems(parts: StackParts): Problem[] {
  const { immich, reindex, redetectFacesLosingNames } = parts;
  if (reindex && !wantsModels(parts)) {
    return [{ key: "reindex", value: true, expected: "needs a preset, or models" }];
  }
  if (redetectFacesLosingNames && !reindex) {
    return [{ key: "redetectFacesLosingNames", value: true, expected: "needs reindex: true" }];
  }
  if (reindex && immich && !immich.api) {
    const expected =
      "needs immich.api (url) and the secret immichApiKey: jobs start by the API only";
    return [{ key: "reindex", value: true, expected }];
  }
  return [];
}

function missingSecret(key: string, what: string): Problem {
  return {
    key,
    expected: `is missing: ${what}; set it with: pulumi config set --secret immich-ml:${key}`,
  };
}

function selectModels(
  parts: StackParts,
  version: ImmichVersion | undefined,
  hosts: readonly (HostSettings | undefined)[],
  problems: Problem[],
  notes: string[],
): ModelSelection | undefined {
  const { preset } = parts;
  if (preset === undefined || !version || !wantsModels(parts)) return undefined;
  // Immich may send any job to any host, so the smallest card decides.
  const memories = hosts.flatMap((host) =>
    host?.accelerator === "cuda" && host.card?.videoMemory ? [host.card.videoMemory] : [],
  );
  const resolved = resolveModels(preset, parts.models, {
    immichVersion: version,
    videoMemory: memories.length > 0 ? Math.min(...memories) : undefined,
    allowUnknownModels: parts.allowUnknownModels ?? false,
    store: parts.immich?.api ? "api" : "database",
  });
  problems.push(...resolved.problems);
  if (resolved.selection) notes.push(...resolved.warnings);
  return resolved.selection;
}
