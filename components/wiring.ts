import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

import * as docker from "@pulumi/docker";
import * as postgresql from "@pulumi/postgresql";
import * as pulumi from "@pulumi/pulumi";

import {
  DistributedImage,
  LegacyImage,
  MachineLearning,
  type MachineLearningArgs,
  MachineLearningService,
  type ModelCacheArgs,
  type ModelPresetArgs,
} from ".";
import type { HostSettings, Settings } from "../config/load";

/*
 * From settings to what Pulumi and the components ask for: providers, images, the way into Immich.
 */

/**
 * One Docker provider per endpoint, whichever hosts share it: every explicit provider is a process of
 * its own beside the engine.
 */
export function dockerProviders(settings: Settings): ReadonlyMap<string, docker.Provider> {
  const providers = new Map<string, docker.Provider>();
  const names = new Set<string>();
  for (const { dockerHost, tls } of settings.hosts) {
    if (providers.has(dockerHost)) continue;
    const short = `docker-${endpointName(dockerHost)}`;
    const digest = createHash("sha256").update(dockerHost).digest("hex").slice(0, 6);
    const name = names.has(short) ? `${short}-${digest}` : short;
    names.add(name);
    // The preflight asks whether the daemon is there; the provider would end the whole run over one.
    const unchecked = { disableDockerDaemonCheck: true };
    // The folder, not what is in it: no key comes into the state.
    const address = { host: dockerHost, ...(tls !== undefined && { certPath: tls }) };
    providers.set(dockerHost, new docker.Provider(name, { ...address, ...unchecked }));
  }
  return providers;
}

/**
 * How a host's resources are registered. Those of a host that is off keep what they were given last,
 * so that nothing has to be asked of its engine and the other hosts are not kept waiting.
 */
export function hostOptions(
  host: HostSettings,
  providers: ReadonlyMap<string, docker.Provider>,
  unreachableHosts: ReadonlySet<string>,
): pulumi.ComponentResourceOptions & { provider: docker.Provider } {
  return {
    provider: providers.get(host.dockerHost)!,
    ...(unreachableHosts.has(host.name) && { transforms: [ignoreAllChanges] }),
  };
}

const ignoreAllChanges: pulumi.ResourceTransform = ({ custom, props, opts }) =>
  custom ? { props, opts: { ...opts, ignoreChanges: ["*"] } } : undefined;

/**
 * The image a host runs: a legacy image built there, or any other pulled. By its id for a container; for
 * a swarm, whose other nodes know no such id, by the digest that a registry knows it by.
 */
export function machineLearningImage(
  host: HostSettings,
  settings: Settings,
  opts: pulumi.CustomResourceOptions,
): pulumi.Output<string> {
  const { imageId, digest } = imageOnEngine(host, settings, opts);
  const { swarm, containerName: service } = host;
  if (!swarm) return imageId;
  if (!swarm.registry) return digest;
  const distributed = new DistributedImage(
    `${host.name}-distributed`,
    {
      image: imageId,
      repository: `${swarm.registry}/${service}`,
      ownRegistry: swarm.ownRegistry && {
        name: `${service}-registry`,
        ...swarm.ownRegistry,
        publishMode: swarm.endpointMode === "vip" ? "ingress" : "host",
      },
      dockerHost: host.dockerHost,
      tls: host.tls,
    },
    opts,
  );
  return distributed.reference;
}

interface EngineImage {
  readonly imageId: pulumi.Output<string>;
  /** The reference by digest it was pulled by; empty where it never was. */
  readonly digest: pulumi.Output<string>;
}

function imageOnEngine(
  host: HostSettings,
  settings: Settings,
  opts: pulumi.CustomResourceOptions,
): EngineImage {
  const name = `${host.name}-image`;
  const source = host.image!;
  if (source.kind !== "legacy") {
    const args = { name: source.reference, keepLocally: true };
    const { imageId, repoDigest } = new docker.RemoteImage(name, args, opts);
    return { imageId, digest: repoDigest.apply((digest) => pulled(host, digest)) };
  }
  const { caCertificate, ...build } = settings.build;
  const { imageId } = new LegacyImage(
    name,
    {
      ...build,
      ...(caCertificate && { caCertificate: readFileSync(caCertificate, "utf8") }),
      gpuFamily: source.gpuFamily,
      immichVersion: settings.immich.version,
      dockerHost: host.dockerHost,
    },
    opts,
  );
  return { imageId, digest: pulumi.output("") };
}

function pulled(host: HostSettings, digest: string | undefined): string {
  if (digest?.includes("@sha256:") || !host.swarm || host.swarm.registry) return digest ?? "";
  throw new pulumi.RunError(
    `${host.name}: the image was never pulled from a registry, so the swarm's other nodes cannot have it; give swarm.registry, and it is pushed there`,
  );
}

/** What runs on a host: a container, or a service of the swarm that is managed there. */
export function machineLearning(
  host: HostSettings,
  args: Pick<
    MachineLearningArgs,
    "image" | "cacheVolume" | "optionalMounts" | "immichVersion" | "models" | "labels"
  >,
  opts: pulumi.ComponentResourceOptions & { provider: docker.Provider },
): MachineLearning | MachineLearningService {
  const { name, swarm, containerName, publish, restart, network, ...server } = host;
  if (!swarm) return new MachineLearning(name, { ...host, ...args }, opts);
  return new MachineLearningService(
    name,
    {
      ...server,
      ...swarm,
      ...args,
      serviceName: containerName,
      restart: restart === "unless-stopped" ? "always" : restart,
      publishedPort: publish?.port,
      // What the engine of a host that is off was asked last is kept all the same.
      networkId: network && (opts.transforms ? network : networkId(network, opts)),
    },
    opts,
  );
}

function networkId(name: string, { provider }: { readonly provider: docker.Provider }) {
  return docker.getNetworkOutput({ name }, { provider }).id;
}

/** How what runs on a host is called there. */
export function namesOf(service: MachineLearning | MachineLearningService) {
  return service instanceof MachineLearning
    ? { containerId: service.containerId, containerName: service.containerName }
    : { serviceName: service.serviceName };
}

/** What a host computes with: a GPU family's image, Immich's own, or one of the stack file. */
export function runtimeOf({ image }: HostSettings): string {
  if (image?.kind === "legacy") return image.gpuFamily;
  return image?.kind === "official" ? "official" : "custom";
}

/** The models that are copied into a host's cache, where its stack file names a folder of them. */
export function seededModels(
  host: HostSettings,
  image: pulumi.Input<string>,
): ModelCacheArgs["models"] {
  const { cacheModels: folder, dockerHost, tls } = host;
  return folder === undefined ? undefined : { folder, image, dockerHost, tls };
}

/** Where Immich keeps its configuration: its API, or its database at the address that was found. */
export function configurationStore(
  settings: Settings,
  database: DatabaseAddress | undefined,
): ModelPresetArgs["store"] {
  const { immich, secrets } = settings;
  if (immich.api)
    return { kind: "api", url: immich.api.url, apiKey: pulumi.secret(secrets.immichApiKey!) };
  if (!database) {
    // Only with preflight: warn or off; without an address there is nothing to go on with.
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
 * With several hosts Immich has to know which of them live, or each search waits for the ones that
 * are off (immich#16269); with one its own setting stays as it is.
 */
export function availabilityChecks(settings: Settings): ModelPresetArgs["availabilityChecks"] {
  return settings.hosts.length > 1 ? { enabled: true } : undefined;
}

/** The jobs to start after a change of models, where that was asked for. */
export function reindexing(settings: Settings): ModelPresetArgs["reindex"] {
  const { immich, secrets, reindex, redetectFacesLosingNames } = settings;
  if (!reindex || !immich.api) return undefined;
  const apiKey = pulumi.secret(secrets.immichApiKey!);
  return { url: immich.api.url, apiKey, facesLosingNames: redetectFacesLosingNames };
}

export interface DatabaseAddress {
  readonly host: string;
  readonly port: number;
}

/** The connection that makes the schema and the functions in Immich's database. */
export function databaseProvider(
  settings: Settings,
  address: DatabaseAddress,
): postgresql.Provider {
  const { name, user, sslMode } = settings.immich.database!;
  return new postgresql.Provider("immich-database", {
    host: address.host,
    port: address.port,
    database: name,
    username: user,
    password: pulumi.secret(settings.secrets.databasePassword!),
    // The provider's own default asks for TLS, which Immich's PostgreSQL does not speak.
    sslmode: sslMode,
    // Without a superuser the provider must not ask for what only one may see.
    superuser: false,
    connectTimeout: 15,
  });
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
