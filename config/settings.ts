import type { AcceleratorName } from "../catalog/accelerators";
import type { GpuFamilyName } from "../catalog/gpuFamilies";
import type { ImmichVersion } from "../catalog/immichVersion";
import type { ModelSelection } from "../immich/modelSelection";
import type { BuildEntry, HostEntry, ImmichEntry, StackFile, SwarmEntry } from "./schema";

/*
 * What a stack file means, once it is checked and everything it leaves out is filled in.
 */

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
  /** Whether `destroy` restores the former CLIP model with the other settings, which empties the search. */
  readonly onDestroy: "keepModel" | "restoreModel";
  readonly allowUnknownModels: boolean;
  readonly reindex: boolean;
  readonly redetectFacesLosingNames: boolean;
  readonly preflight: "enforce" | "warn" | "off";
  readonly secrets: Secrets;
  /** What these settings follow from. */
  readonly source: CheckedStack;
}

export interface HostSettings extends Pick<
  HostEntry,
  | "name"
  | "dockerHost"
  | "tls"
  | "cacheModels"
  | "restart"
  | "takeOver"
  | "publish"
  | "limits"
  | "hardening"
  | "environment"
  | "uncheckedEnvironment"
  | "check"
  | "modelDownload"
  | "user"
  | "groups"
  | "networks"
  | "labels"
  | "healthcheck"
  | "renderNode"
  | "log"
  | "extraHosts"
  | "dns"
  | "ulimits"
  | "shmSize"
  | "healthTimeout"
> {
  readonly accelerator: AcceleratorName;
  /** The GPU that was declared or detected; undefined where neither is known. */
  readonly gpu: DetectedGpu | undefined;
  /** Undefined only while the GPU of a host with `gpu: auto` is not known. */
  readonly image: ImageSource | undefined;
  readonly gpus: GpuChoice | undefined;
  readonly containerName: string;
  readonly cache: CacheSettings;
  readonly network: string | undefined;
  readonly networkAlias: string;
  /** Where Immich reaches the service. */
  readonly url: string;
  /** How it runs as a service of a Docker Swarm; undefined for a container of its own. */
  readonly swarm: SwarmSettings | undefined;
  /** The variables of the host's env files, under their own names. */
  readonly environmentFile: Readonly<Record<string, string>>;
}

/** A GPU as a host reports it, or as the catalog knows it. */
export interface DetectedGpu {
  readonly name?: string | undefined;
  /** NVIDIA's compute capability, e.g. `5.0`; unknown where only the memory was given. */
  readonly computeCapability: string | undefined;
  /** MiB. */
  readonly videoMemory?: number | undefined;
}

/** The GPUs of the hosts whose `gpu` is `auto`, by host name. */
export type DetectedGpus = Readonly<Record<string, DetectedGpu>>;

/** Where a host's container image comes from. */
export type ImageSource =
  | { readonly kind: "legacy"; readonly gpuFamily: GpuFamilyName }
  /** Immich's own. */
  | { readonly kind: "official"; readonly reference: string }
  /** The stack file's. */
  | { readonly kind: "given"; readonly reference: string };

/** Where the ML server keeps its models. */
export type CacheSettings =
  /** `keep`: whether the volume outlives the stack. */
  | { readonly kind: "volume"; readonly volume: string; readonly keep: boolean }
  /** A folder of the host, which nothing here ever removes. */
  | { readonly kind: "folder"; readonly path: string };

/** Which NVIDIA GPUs the container gets; exactly one of the fields. */
export interface GpuChoice {
  /** How many; -1 for all. */
  readonly count?: number;
  /** Numbers or UUIDs. */
  readonly ids?: string[];
  /** Names of the Container Device Interface. */
  readonly cdi?: string[];
  /** Given by Docker's runtime of that name rather than asked of the engine. */
  readonly runtime?: "nvidia";
}

/** How a host's machine learning runs as a service of a Docker Swarm. */
export interface SwarmSettings extends Omit<SwarmEntry, "registry"> {
  /**
   * Where the image is pushed to and every node pulls it from, such as
   * `registry.lan:5000/immich`; undefined where the nodes pull it from its own registry.
   */
  readonly registry: string | undefined;
  /** The registry that this program runs on the swarm, where none was given and one is needed. */
  readonly ownRegistry: { readonly port: number; readonly image: string } | undefined;
}

export interface Secrets {
  readonly databasePassword?: string | undefined;
  readonly immichApiKey?: string | undefined;
}

/** Whose stack file it is, and the stack's secrets. */
export interface Context {
  readonly project: string;
  readonly stack: string;
  readonly secrets: Secrets;
}

/** The valid parts of a stack file; the others have been reported already. */
export type StackParts = Partial<Omit<StackFile, "hosts">> & {
  readonly hosts?: readonly (HostEntry | undefined)[];
  /** The server's release, also where something else about Immich is wrong. */
  readonly version?: ImmichVersion | undefined;
};

/** A stack file after its shape was checked and the files it names were read. */
export interface CheckedStack extends Context {
  readonly parts: StackParts;
  /** The variables of the env files, by the host's place in the list. */
  readonly environmentFiles: readonly Readonly<Record<string, string>>[];
  /** What its user should know of the file itself. */
  readonly notes: readonly string[];
}
