import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

import { local } from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as postgresql from "@pulumi/postgresql";
import * as pulumi from "@pulumi/pulumi";

import type { HostSettings, Settings } from "../config/load";
import type { ModelSelection } from "../immich/modelSelection";
import type { DatabaseLocation } from "../immich/databaseAddress";
import type { PreflightResult } from "../preflight";
import { dockerClientEnvironment } from "../util/dockerClient";
import { stateOfFirstRelease } from "./firstRelease";
import type { Stored } from "./stackState";
import { DistributedImage } from "./distributedImage";
import type { GoneHost } from "./goneHosts";
import { LegacyImage, type LegacyImageArgs } from "./legacyImage";
import { MachineLearning } from "./machineLearning";
import { MachineLearningService } from "./machineLearningService";
import type { ModelCache, ModelCacheArgs } from "./modelCache";
import type { ModelPresetArgs } from "./modelPreset";
import type { Repair } from "./repair";
import { runScript } from "./programFile";
import { gracefulCommand } from "./server";

/*
 * From settings to the arguments of providers and components, in the order of index.ts.
 */

/**
 * The provider connects to any address but `ssh://` as soon as it is configured, without a limit, and ends the
 * whole run where nothing answers. While an engine is off its provider has this address, which has no host.
 */
const addressOfOff = "ssh://host-is-off.invalid";

/**
 * One Docker provider per engine: each explicit provider is a process of its own.
 *
 * @param gone hosts that are no longer in the stack file. One that answers again is removed by its provider,
 *   whose address in the state may still be that of a host that is off
 */
export function dockerProviders(
  settings: Settings,
  unreachableHosts: ReadonlySet<string>,
  gone: readonly GoneHost[] = [],
): ReadonlyMap<string, docker.Provider> {
  const offOnes = [
    ...settings.hosts.filter(({ name }) => unreachableHosts.has(name)),
    ...gone.filter(({ isOff }) => isOff),
  ];
  const off = new Set(
    offOnes.map(({ dockerHost }) => dockerHost).filter((address) => !/^ssh:/.test(address)),
  );
  const providers = new Map<string, docker.Provider>();
  const names = new Set<string>();
  for (const { dockerHost, tls } of [...settings.hosts, ...gone]) {
    if (providers.has(dockerHost)) continue;
    const short = `docker-${endpointName(dockerHost)}`;
    const digest = createHash("sha256").update(dockerHost).digest("hex").slice(0, 6);
    const name = names.has(short) ? `${short}-${digest}` : short;
    names.add(name);
    const args: docker.ProviderArgs = {
      host: off.has(dockerHost) ? addressOfOff : dockerHost,
      // The preflight looks for the daemon; the provider would end the whole run without one.
      disableDockerDaemonCheck: true,
      // A path: no key comes into the state.
      ...(tls !== undefined && !off.has(dockerHost) && { certPath: tls }),
    };
    providers.set(dockerHost, new docker.Provider(name, args));
  }
  return providers;
}

/** `unix:///var/run/docker.sock` is `local`, `ssh://me@gpu-box:22` is `gpu-box-22`. */
function endpointName(endpoint: string): string {
  if (endpoint === "unix:///var/run/docker.sock") return "local";
  return endpoint
    .replace(/^[a-z]+:\/\//, "")
    .replace(/^[^@/]*@/, "")
    .replace(/[^A-Za-z0-9]+/g, "-")
    .replace(/^-|-$/g, "");
}

type HostOptions = pulumi.ComponentResourceOptions & { readonly provider: docker.Provider };

/** Unreachable hosts keep their last inputs, so nothing waits for their engines. */
export function hostOptions(
  host: HostSettings,
  engines: ReadonlyMap<string, docker.Provider>,
  unreachableHosts: ReadonlySet<string>,
): HostOptions {
  return {
    provider: engines.get(host.dockerHost)!,
    ...(unreachableHosts.has(host.name) && { transforms: [ignoreAllChanges] }),
  };
}

const ignoreAllChanges: pulumi.ResourceTransform = ({ custom, props, opts }) =>
  custom ? { props, opts: { ...opts, ignoreChanges: ["*"] } } : undefined;

/**
 * The image a host runs, built there for an old GPU or pulled: by its id for a container; by digest
 * for a swarm, whose other nodes do not know that id.
 */
export function machineLearningImage(
  host: HostSettings,
  settings: Settings,
  opts: HostOptions,
): pulumi.Output<string> {
  const { name, swarm, containerName, dockerHost, tls } = host;
  const source = host.image!;
  const image =
    source.kind === "legacy"
      ? new LegacyImage(
          `${name}-image`,
          { ...buildArgs(settings), gpuFamily: source.gpuFamily },
          opts,
        )
      : pulledImage(host, source.reference, opts);
  if (!swarm) return image.imageId;
  if (!swarm.registry && image instanceof docker.RemoteImage) {
    return image.repoDigest.apply((digest) => pulledDigest(host, digest));
  }
  const distributed = new DistributedImage(
    `${name}-distributed`,
    {
      image: image.imageId,
      repository: `${swarm.registry}/${containerName}`,
      ownRegistry: swarm.ownRegistry && {
        name: registryName(containerName),
        labels: labelsOf(settings),
        ...swarm.ownRegistry,
        publishMode: swarm.endpointMode === "vip" ? "ingress" : "host",
      },
      dockerHost,
      tls,
    },
    opts,
  );
  return distributed.reference;
}

/**
 * The provider would remove the image without asking who else uses it, and fail where somebody does. So it keeps
 * the image, and a command removes it afterwards.
 */
function pulledImage(
  { name, dockerHost, tls }: HostSettings,
  reference: string,
  opts: HostOptions,
): docker.RemoteImage {
  const removal = new local.Command(
    `${name}-pulled`,
    {
      create: `${runScript("components/pulledImage.sh")} before`,
      delete: `${runScript("components/pulledImage.sh")} after`,
      environment: { IMAGE: reference, ...dockerClientEnvironment({ dockerHost, tls }) },
      // The former image's command runs its delete when the new one is in use.
      triggers: [reference],
      logging: local.Logging.Stderr,
    },
    // It runs here: the provider is the image's.
    { transforms: opts.transforms ?? [] },
  );
  return new docker.RemoteImage(
    `${name}-image`,
    { name: reference, keepLocally: true },
    { ...opts, dependsOn: [removal] },
  );
}

function buildArgs({ build, immich }: Settings): Omit<LegacyImageArgs, "gpuFamily"> {
  const { caCertificate: path, ...args } = build;
  const caCertificate = path === undefined ? {} : { caCertificate: readFileSync(path, "utf8") };
  return { ...args, ...caCertificate, immichVersion: immich.version };
}

function pulledDigest({ name }: HostSettings, digest: string): string {
  if (digest.includes("@sha256:")) return digest;
  throw new pulumi.RunError(
    `${name}: the image was never pulled from a registry, so the swarm's other nodes cannot pull it; set swarm.registry, and it is pushed there`,
  );
}

/** The host's cache, with the models of `cacheModels`. */
export function cacheArgs(
  host: HostSettings,
  settings: Settings,
  image: pulumi.Input<string>,
  repair?: Repair,
): ModelCacheArgs {
  const { cache, cacheModels: folder, dockerHost, tls } = host;
  return {
    ...(cache.kind === "folder"
      ? { path: cache.path }
      : { volumeName: cache.volume, retain: cache.keep, madeAgain: repair?.volume }),
    models: folder === undefined ? undefined : { folder, image, dockerHost, tls },
    labels: labelsOf(settings),
  };
}

type Service = MachineLearning | MachineLearningService;

/** What runs on a host: a container, or a service of the swarm it manages. */
export function machineLearning(
  host: HostSettings,
  settings: Settings,
  parts: {
    readonly image: pulumi.Output<string>;
    readonly cache: ModelCache;
    readonly found: PreflightResult;
    readonly repair?: Repair | undefined;
  },
  hostOpts: HostOptions,
): Service {
  const { name, swarm, containerName, publish, restart, network } = host;
  const { optionalMounts, hostsWithoutIpv6 } = parts.found;
  const args = {
    ...host,
    environment: {
      // Immich's own is [::], where a kernel without IPv6 cannot listen.
      ...(hostsWithoutIpv6?.has(name) && !isHostGiven(host) && { host: "0.0.0.0" }),
      ...host.environment,
    },
    image: parts.image,
    ...(parts.cache.path === undefined
      ? { cacheVolume: parts.cache.volumeName }
      : { cacheFolder: parts.cache.path }),
    immichVersion: settings.immich.version,
    // The images built here have it; one that is given may be anything.
    command: host.image?.kind === "official" ? gracefulCommand(settings.immich.version) : undefined,
    models: settings.models,
    swap: host.limits.swap,
    cpuset: host.limits.cpuset,
    labels: { ...host.labels, ...labelsOf(settings) },
  };
  // The models are copied into the cache before the service starts.
  const opts = { ...hostOpts, dependsOn: [parts.cache] };
  if (!swarm) {
    return new MachineLearning(
      name,
      { ...args, optionalMounts: optionalMounts[name], repair: parts.repair },
      opts,
    );
  }
  return new MachineLearningService(
    name,
    {
      ...args,
      ...swarm,
      serviceName: containerName,
      // What else there is was refused.
      restart: restart as "no" | "on-failure" | "always",
      publishedPort: publish?.port,
      // An unreachable engine is not asked for the id; it keeps the one it has.
      networkId: network && (opts.transforms ? network : networkId(network, hostOpts)),
    },
    opts,
  );
}

function isHostGiven({ environment, environmentFile }: HostSettings): boolean {
  const names = ["host", "IMMICH_HOST", "MACHINE_LEARNING_HOST"];
  return names.some((name) => name in environment || name in environmentFile);
}

function networkId(name: string, { provider }: HostOptions): pulumi.Output<string> {
  return docker.getNetworkOutput({ name }, { provider }).id;
}

function labelsOf({ project, stack }: Settings): Record<string, string> {
  return { "org.immich-ml.project": project, "org.immich-ml.stack": stack };
}

/** Of the registry that this program runs for a service. */
export function registryName(serviceName: string): string {
  return `${serviceName}-registry`;
}

/** A host's entry in the stack's outputs, which `npm run check` and `npm run status` read. */
export function hostOutputs({
  host,
  image,
  service,
}: {
  readonly host: HostSettings;
  readonly image: pulumi.Output<string>;
  readonly service: Service;
}) {
  return {
    host: host.name,
    url: host.url,
    image,
    ...(service instanceof MachineLearning
      ? { containerId: service.containerId, containerName: service.containerName }
      : { serviceName: service.serviceName }),
    dockerHost: host.dockerHost,
    ...(host.tls && { tls: host.tls }),
    accelerator: host.accelerator,
    imageVariant: imageVariantOf(host),
    executionProvider: service.executionProvider,
    models: service.models,
  };
}

/** The GPU family of an image that is built, or whose image it is. */
function imageVariantOf({ image }: HostSettings): string {
  if (image?.kind === "legacy") return image.gpuFamily;
  return image?.kind === "official" ? "official" : "custom";
}

export const presetName = "preset";

/** What Immich's configuration shall be. */
export async function presetArgs(
  models: ModelSelection,
  settings: Settings,
  found: PreflightResult,
  stored: Stored,
): Promise<ModelPresetArgs> {
  const { hosts, immich } = settings;
  return {
    models,
    urls: hosts.map(({ url }) => url),
    availabilityChecks: availabilityChecks(settings),
    store: configurationStore(settings, found.database),
    immichVersion: immich.version,
    embeddings: settings.embeddings,
    onDestroy: settings.onDestroy,
    reindex: reindexing(settings),
    currentClipModel: found.currentClipModel,
    currentSettings: found.currentSettings,
    serverDefaults: found.serverDefaults,
    firstRelease: found.mayBeFirstRelease
      ? await stateOfFirstRelease(presetName, stored)
      : undefined,
    allowUnknownModels: settings.allowUnknownModels,
    serverContainer: immich.serverContainer
      ? { name: immich.serverContainer, dockerHost: immich.dockerHost, tls: immich.tls }
      : undefined,
  };
}

/** Where Immich keeps its configuration: its API, or its database at the address that was found. */
function configurationStore(
  settings: Settings,
  database: DatabaseLocation | undefined,
): ModelPresetArgs["store"] {
  const { immich, secrets } = settings;
  if (immich.api)
    return { kind: "api", ...immich.api, apiKey: pulumi.secret(secrets.immichApiKey!) };
  if (!database) {
    // Possible with preflight: warn or off only.
    throw new pulumi.RunError(
      "Immich's database was not found, so the preset cannot be set: correct immich.database, or set preset to none",
    );
  }
  const { name, user, sslMode, container } = immich.database!;
  const { dockerHost, tls, network } = immich;
  return {
    ...(container
      ? { container: { name: container, dockerHost, tls, network }, port: immich.database!.port }
      : database),
    kind: "database",
    database: name,
    user,
    sslMode,
    password: pulumi.secret(secrets.databasePassword!),
  };
}

/**
 * With several hosts Immich must check which are up, or each search waits for those that are down
 * (immich#16269). With one host Immich's own setting stays.
 */
function availabilityChecks(settings: Settings): ModelPresetArgs["availabilityChecks"] {
  return settings.hosts.length > 1 ? { enabled: true } : undefined;
}

/** The jobs to start after a change of models. */
function reindexing(settings: Settings): ModelPresetArgs["reindex"] {
  const { immich, secrets, reindex, redetectFacesLosingNames } = settings;
  if (!reindex || !immich.api) return undefined;
  const apiKey = pulumi.secret(secrets.immichApiKey!);
  return { ...immich.api, apiKey, facesLosingNames: redetectFacesLosingNames };
}

/** The connection that makes the schema and its functions in Immich's database; none for the API. */
export function databaseProviders(
  settings: Settings,
  address: DatabaseLocation | undefined,
): postgresql.Provider[] {
  if (!address) return [];
  const { name, user, sslMode } = settings.immich.database!;
  const provider = new postgresql.Provider("immich-database", {
    host: address.host,
    port: address.port,
    database: name,
    username: user,
    password: pulumi.secret(settings.secrets.databasePassword!),
    // The provider's default is TLS, which Immich's PostgreSQL does not speak.
    sslmode: sslMode,
    // Reads nothing that only a superuser may see.
    superuser: false,
    connectTimeout: 15,
  });
  return [provider];
}
