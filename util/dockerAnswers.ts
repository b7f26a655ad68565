import { z } from "zod";

/*
 * What the docker client answers, read leniently: a field that is absent, null or of another kind
 * counts as not given. The schemas have Docker's own field names.
 */

const labels = z.record(z.string(), z.string()).catch({});

const dockerInfo = z
  .object({
    // Empty where the client did not reach the engine.
    ServerVersion: z.string().min(1),
    Architecture: z.string().catch(""),
    Runtimes: z.record(z.string(), z.unknown()).catch({}),
    Driver: z.string().catch(""),
    BuildahVersion: z.string().catch(""),
    CDISpecDirs: z.array(z.string()).catch([]),
    DiscoveredDevices: z.array(z.object({ ID: z.string() })).catch([]),
    DockerRootDir: z.string().catch("/var/lib/docker"),
    OperatingSystem: z.string().catch(""),
    SecurityOptions: z.array(z.string()).catch([]),
    CgroupDriver: z.string().catch(""),
    DefaultRuntime: z.string().catch("runc"),
    ProductLicense: z.string().catch(""),
    OSType: z.string().catch("linux"),
    NCPU: z.number().positive().optional().catch(undefined),
    MemTotal: z.number().positive().optional().catch(undefined),
    CpuCfsQuota: z.boolean().catch(true),
    CPUSet: z.boolean().catch(true),
    MemoryLimit: z.boolean().catch(true),
    SwapLimit: z.boolean().catch(true),
    Plugins: z.object({ Log: z.array(z.string()).catch([]) }).catch({ Log: [] }),
    Swarm: z
      .object({ LocalNodeState: z.string().catch(""), ControlAvailable: z.boolean().catch(false) })
      .catch({ LocalNodeState: "", ControlAvailable: false }),
  })
  .transform((info) => ({
    /** Such as `20.10.24`. */
    version: info.ServerVersion,
    /** As in image references: `amd64`, `arm64`; others as the engine names them. */
    architecture: architectureOf(info.Architecture),
    /** The runtimes that containers can be started with; the NVIDIA toolkit adds `nvidia`. */
    runtimes: Object.keys(info.Runtimes),
    /** Whether the engine looks for devices of the Container Device Interface. */
    hasCdi: info.CDISpecDirs.length > 0,
    /** The CDI devices it found; empty before Docker 28.2, which does not list them. */
    cdiDevices: info.DiscoveredDevices.map(({ ID }) => ID),
    /** Folder of images and volumes on the host. */
    root: info.DockerRootDir,
    /** Such as `Docker Desktop`. */
    operatingSystem: info.OperatingSystem,
    /** Whether it is Podman that answers Docker's questions. */
    isPodman: isPodman(info),
    /** Whether it runs as an ordinary user. */
    isRootless: info.SecurityOptions.some((option) => option.startsWith("name=rootless")),
    /** Whether it comes from the snap store and sees only some of the machine's files. */
    isSnap: info.DockerRootDir.startsWith("/var/snap/"),
    /** Whether the users in containers are others on the host. */
    mapsUsers: info.SecurityOptions.some((option) => /^name=(rootless|userns)/.test(option)),
    /** Whether SELinux confines its containers. */
    hasSelinux: info.SecurityOptions.some((option) => /^name=selinux/.test(option)),
    /** How it stores images, such as `overlay2`. */
    storageDriver: info.Driver,
    /** Who limits the containers: `systemd` or `cgroupfs`. */
    cgroupDriver: info.CgroupDriver,
    /** The runtime of containers that ask for none. */
    defaultRuntime: info.DefaultRuntime,
    /** What its containers run: `linux` or `windows`. */
    containerSystem: info.OSType,
    /** Undefined where it does not tell. */
    cores: info.NCPU,
    /** MiB of main memory; undefined where it does not tell. */
    memory: info.MemTotal === undefined ? undefined : Math.floor(info.MemTotal / 1024 / 1024),
    /** What its kernel can limit; that of many NAS systems lacks some. */
    canLimit: {
      cpus: info.CpuCfsQuota,
      cpuset: info.CPUSet,
      memory: info.MemoryLimit,
      swap: info.SwapLimit,
    },
    /** Its log drivers; empty where it does not tell. */
    logDrivers: info.Plugins.Log,
    /** Its role in a Docker Swarm; only a manager answers for services. */
    swarm: swarmRole(info.Swarm.LocalNodeState, info.Swarm.ControlAvailable),
  }));

/** Podman has Docker's answer with a licence of its own; Docker may run containers with crun, too. */
function isPodman(info: {
  readonly ServerVersion: string;
  readonly BuildahVersion: string;
  readonly DockerRootDir: string;
  readonly ProductLicense: string;
}): boolean {
  return (
    info.BuildahVersion !== "" ||
    // Docker went from 1.13 to 17.
    /^[2-9]\./.test(info.ServerVersion) ||
    /\/containers\/storage$/.test(info.DockerRootDir) ||
    info.ProductLicense === "Apache-2.0"
  );
}

/** A Docker engine. */
export type DockerInfo = z.infer<typeof dockerInfo>;

const architectures = new Map([
  ["x86_64", "amd64"],
  ["aarch64", "arm64"],
]);

/** `uname -m` says x86_64 where images say amd64. */
export function architectureOf(machine: string): string {
  return architectures.get(machine) ?? machine;
}

function swarmRole(state: string, isManager: boolean): "none" | "worker" | "manager" {
  if (state !== "active") return "none";
  return isManager ? "manager" : "worker";
}

const aliases = z.array(z.string()).catch([]);

const portBinding = z.object({ HostIp: z.string(), HostPort: z.string().regex(/^\d{1,5}$/) });

const networkSettings = z.object({
  Networks: z
    .record(
      z.string(),
      z
        .object({ IPAddress: z.string().catch(""), Aliases: aliases })
        .catch({ IPAddress: "", Aliases: [] }),
    )
    .catch({}),
  Ports: z.record(z.string(), z.array(portBinding).catch([])).catch({}),
});

const noState = { Status: "", ExitCode: 0, StartedAt: "", FinishedAt: "", Health: undefined };

const containerState = z.object({
  Running: z.boolean().catch(false),
  Status: z.string().catch(""),
  ExitCode: z.number().catch(0),
  StartedAt: z.string().catch(""),
  FinishedAt: z.string().catch(""),
  Health: z.object({ Status: z.string() }).optional().catch(undefined),
});

const container = z
  .object({
    Id: z.string(),
    Name: z.string().catch(""),
    State: containerState.catch({ Running: false, ...noState }),
    Config: z
      .object({ Image: z.string().catch(""), Labels: labels })
      .catch({ Image: "", Labels: {} }),
    Mounts: z
      .array(
        z.object({
          Source: z.string(),
          Name: z.string().optional().catch(undefined),
          Destination: z.string().optional().catch(undefined),
        }),
      )
      .optional()
      .catch(undefined),
    NetworkSettings: networkSettings.catch({ Networks: {}, Ports: {} }),
  })
  .transform(({ Name, State, Config, Mounts, NetworkSettings: { Networks, Ports } }) => ({
    name: Name.replace(/^\//, ""),
    running: State.Running,
    state: {
      /** Such as `running`, `exited` or `restarting`. */
      status: State.Status,
      exitCode: State.ExitCode,
      /** Times as Docker writes them, to the nanosecond. */
      startedAt: State.StartedAt,
      finishedAt: State.FinishedAt,
      /** `healthy`, `unhealthy` or `starting`; undefined without a health check. */
      health: State.Health?.Status,
    },
    /** As it was asked for: a name and tag, or an id. */
    image: Config.Image,
    labels: Config.Labels,
    /** The paths of the host that it sees. */
    mounts: Mounts?.map(({ Source }) => Source),
    /** What is mounted at `/cache`: a volume, or a folder of the host. */
    cache: Mounts?.flatMap(({ Destination, Name: volume, Source: source }) =>
      Destination === "/cache" ? [{ volume, source }] : [],
    )[0],
    /** Its further names by the networks' names. */
    aliasesIn: Object.fromEntries(
      Object.entries(Networks).map(([name, { Aliases }]) => [name, Aliases] as const),
    ),
    /** Its addresses by the networks' names. */
    addresses: Object.fromEntries(
      Object.entries(Networks).flatMap(([name, { IPAddress }]) =>
        IPAddress ? [[name, IPAddress] as const] : [],
      ),
    ),
    /** The names it answers to in its networks, beside its own. */
    aliases: Object.values(Networks).flatMap(({ Aliases }) => Aliases),
    /** Ports published on the engine's host, by the port inside, such as `5432`. */
    published: Object.fromEntries(
      Object.entries(Ports).flatMap(([port, [first]]) =>
        first
          ? [
              [
                port.split("/")[0]!,
                { address: first.HostIp, port: Number(first.HostPort) },
              ] as const,
            ]
          : [],
      ),
    ),
  }));

export type ContainerInfo = z.infer<typeof container>;

const network = z
  .object({ Driver: z.string(), Attachable: z.boolean().catch(false), Labels: labels })
  .transform(({ Driver, Attachable, Labels }) => ({
    driver: Driver,
    labels: Labels,
    /** Whether containers outside the swarm can join it. */
    attachable: Attachable,
  }));

export type NetworkInfo = z.infer<typeof network>;

const taskNetworks = z.array(z.object({ Aliases: aliases })).catch([]);

const service = z
  .object({
    Spec: z
      .object({
        Labels: labels,
        TaskTemplate: z.object({ Networks: taskNetworks }).catch({ Networks: [] }),
      })
      .catch({ Labels: {}, TaskTemplate: { Networks: [] } }),
  })
  .transform(({ Spec }): { labels: Record<string, string>; aliases: readonly string[] } => ({
    labels: Spec.Labels,
    /** The names it answers to in its networks, beside its own. */
    aliases: Spec.TaskTemplate.Networks.flatMap(({ Aliases }) => Aliases),
  }));

export type ServiceInfo = z.infer<typeof service>;

const genericResource = z.object({
  DiscreteResourceSpec: z.object({ Kind: z.string(), Value: z.number() }).optional(),
  NamedResourceSpec: z.object({ Kind: z.string() }).optional(),
});

const node = z
  .object({
    Spec: z.object({ Role: z.string(), Availability: z.string(), Labels: labels }),
    Status: z.object({ State: z.string() }),
    Description: z.object({
      Hostname: z.string(),
      Resources: z
        .object({ GenericResources: z.array(genericResource).catch([]) })
        .catch({ GenericResources: [] }),
    }),
  })
  .transform(({ Spec, Status, Description }) => {
    /** How much it offers of each kind. */
    const genericResources: Record<string, number> = {};
    for (const resource of Description.Resources.GenericResources) {
      const { DiscreteResourceSpec: discrete, NamedResourceSpec: named } = resource;
      // A named one, such as a GPU's UUID, counts for one of its kind.
      const kind = discrete?.Kind ?? named?.Kind ?? "";
      genericResources[kind] = (genericResources[kind] ?? 0) + (discrete?.Value ?? 1);
    }
    return {
      hostname: Description.Hostname,
      /** Whether it is up and takes tasks. */
      takesTasks: Status.State === "ready" && Spec.Availability === "active",
      isManager: Spec.Role === "manager",
      labels: Spec.Labels,
      genericResources,
    };
  });

/** A node of a swarm. */
export type NodeInfo = z.infer<typeof node>;

// A node that never joined has no description, and takes no tasks either.
const nodes = z
  .array(node.or(z.unknown().transform(() => undefined)))
  .transform((found) => found.filter((each) => each !== undefined));

/** Reads `docker info --format '{{json .}}'`; undefined when the engine did not answer. */
export const parseDockerInfo = parser(dockerInfo);

/** What an old client prints in place of an engine's answer. */
export const parseServerErrors = parser(
  z.object({ ServerErrors: z.array(z.string()) }).transform(({ ServerErrors }) => ServerErrors),
);

/** They read `docker KIND inspect NAME…`; undefined when that is no list of such objects. */
export const parseContainers = parser(z.array(container));
export const parseNetworks = parser(z.array(network));
export const parseVolumes = parser(z.array(z.object({ Name: z.string() })));
export const parseServices = parser(z.array(service));
export const parseNodes = parser(nodes);

function parser<Schema extends z.ZodType>(schema: Schema) {
  return (text: string): z.infer<Schema> | undefined => {
    try {
      return schema.safeParse(JSON.parse(text)).data;
    } catch {
      return undefined;
    }
  };
}
