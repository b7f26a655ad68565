import { dockerClientEnvironment, type EngineAddress } from "../catalogue/dockerClient";
import type { CommandResult, Run } from "./command";

/** What a Docker engine says of itself. */
export interface EngineFacts {
  /** Such as `20.10.24`. */
  readonly version: string;
  /** As images are called: `amd64`, `arm64`; others as the engine calls them. */
  readonly architecture: string;
  /** The runtimes containers can be started with; the NVIDIA toolkit adds `nvidia`. */
  readonly runtimes: readonly string[];
  /** Whether the engine looks for devices of the Container Device Interface. */
  readonly hasCdi: boolean;
  /** The CDI devices it found, where it tells (Docker 28.2 and newer). */
  readonly cdiDevices: readonly string[];
  /** Where images and volumes are kept on the host. */
  readonly root: string;
  /** For people, such as `Docker Desktop`. */
  readonly operatingSystem: string;
  /** The runtime of containers that ask for none. */
  readonly defaultRuntime: string;
  /** Its part in a Docker Swarm: none, a worker's, or a manager's, who alone is asked for services. */
  readonly swarm: "none" | "worker" | "manager";
}

/** A node of a swarm. */
export interface NodeFacts {
  readonly hostname: string;
  /** Whether it is up and takes tasks. */
  readonly takesTasks: boolean;
  readonly isManager: boolean;
  readonly labels: Readonly<Record<string, string>>;
  /** How much it offers of each kind of generic resource. */
  readonly genericResources: Readonly<Record<string, number>>;
}

export interface NetworkFacts {
  readonly driver: string;
  /** Whether containers outside the swarm can join it. */
  readonly attachable: boolean;
}

/** What is known of a container on an engine. */
export interface ContainerFacts {
  readonly id: string;
  readonly name: string;
  readonly running: boolean;
  readonly labels: Readonly<Record<string, string>>;
  /** Addresses in the networks it is in, by the network's name. */
  readonly addresses: Readonly<Record<string, string>>;
  /** Ports published on the engine's host, by the port inside, such as `5432`. */
  readonly published: Readonly<Record<string, { readonly address: string; readonly port: number }>>;
}

export type Answer<Facts> =
  | { readonly ok: true; readonly facts: Facts }
  /** `isOff`: nothing answered behind ssh, as when that machine is switched off. */
  | { readonly ok: false; readonly message: string; readonly isOff: boolean };

/** The docker client's commands, for one engine. */
export class Engine {
  constructor(
    private readonly address: EngineAddress,
    private readonly run: Run,
  ) {}

  async facts(): Promise<Answer<EngineFacts>> {
    const info = await this.docker("info", "--format", "{{json .}}");
    // Old clients exit with 0 though the engine did not answer, and say so inside the answer.
    const facts = info.code === 0 ? parseEngineInfo(info.stdout) : undefined;
    if (facts) return { ok: true, facts };
    return { ok: false, ...explainFailure(info, this.address) };
  }

  /** Nothing when there is no such container. */
  async container(name: string): Promise<ContainerFacts | undefined> {
    const result = await this.docker("container", "inspect", name);
    return result.code === 0 ? parseContainer(result.stdout) : undefined;
  }

  /** The nodes of the swarm this engine manages. */
  async nodes(): Promise<readonly NodeFacts[]> {
    const ids = lines((await this.docker("node", "ls", "--quiet")).stdout);
    if (ids.length === 0) return [];
    const result = await this.docker("node", "inspect", ...ids);
    return result.code === 0 ? parseNodes(result.stdout) : [];
  }

  /** A service's labels; nothing when there is no such service. */
  async serviceLabels(name: string): Promise<Readonly<Record<string, string>> | undefined> {
    const result = await this.docker("service", "inspect", name);
    if (result.code !== 0) return undefined;
    const [service] = (parseJson(result.stdout) ?? []) as readonly {
      readonly Spec?: { readonly Labels?: Record<string, string> | null };
    }[];
    return service && (service.Spec?.Labels ?? {});
  }

  /** Nothing when there is no such network. */
  async network(name: string): Promise<NetworkFacts | undefined> {
    const result = await this.docker("network", "inspect", name);
    if (result.code !== 0) return undefined;
    const [network] = (parseJson(result.stdout) ?? []) as readonly {
      readonly Driver: string;
      readonly Attachable?: boolean;
    }[];
    return network && { driver: network.Driver, attachable: network.Attachable === true };
  }

  /** Those of the names that there are, in one question. */
  async containers(names: readonly string[]): Promise<readonly ContainerFacts[]> {
    // It fails when one is missing, and tells of the others all the same.
    return parseContainers((await this.docker("container", "inspect", ...names)).stdout);
  }

  async networks(): Promise<readonly string[]> {
    const result = await this.docker("network", "ls", "--format", "{{.Name}}");
    return lines(result.stdout);
  }

  private docker(...parameters: string[]): Promise<CommandResult> {
    return this.run("docker", parameters, { environment: dockerClientEnvironment(this.address) });
  }
}

/** Reads `docker info --format '{{json .}}'`; nothing when the engine did not answer. */
export function parseEngineInfo(text: string): EngineFacts | undefined {
  const info = parseJson(text) as DockerInfo | undefined;
  if (!info?.ServerVersion) return undefined;
  return {
    version: info.ServerVersion,
    architecture: architectureOf(info.Architecture ?? ""),
    runtimes: Object.keys(info.Runtimes ?? {}),
    hasCdi: (info.CDISpecDirs ?? []).length > 0,
    cdiDevices: (info.DiscoveredDevices ?? []).map((device) => device.ID),
    root: info.DockerRootDir ?? "/var/lib/docker",
    operatingSystem: info.OperatingSystem ?? "",
    defaultRuntime: info.DefaultRuntime ?? "runc",
    swarm:
      info.Swarm?.LocalNodeState !== "active"
        ? "none"
        : info.Swarm.ControlAvailable
          ? "manager"
          : "worker",
  };
}

/** What is read of the engine's own words; the client names them so. */
interface DockerInfo {
  readonly ServerVersion?: string;
  readonly Architecture?: string;
  readonly Runtimes?: Record<string, unknown> | null;
  readonly CDISpecDirs?: readonly string[] | null;
  readonly DiscoveredDevices?: readonly { readonly ID: string }[] | null;
  readonly DockerRootDir?: string;
  readonly OperatingSystem?: string;
  readonly DefaultRuntime?: string;
  readonly Swarm?: { readonly LocalNodeState?: string; readonly ControlAvailable?: boolean };
  readonly ServerErrors?: readonly string[];
}

/** Reads `docker container inspect NAME`. */
export function parseContainer(text: string): ContainerFacts | undefined {
  return parseContainers(text)[0];
}

/** Reads `docker container inspect NAME…`. */
export function parseContainers(text: string): ContainerFacts[] {
  return ((parseJson(text) as readonly Inspected[] | undefined) ?? []).map(factsOf);
}

function factsOf(container: Inspected): ContainerFacts {
  const networks = Object.entries(container.NetworkSettings?.Networks ?? {});
  const ports = Object.entries(container.NetworkSettings?.Ports ?? {});
  return {
    id: container.Id,
    name: container.Name?.replace(/^\//, "") ?? "",
    running: container.State?.Running === true,
    labels: container.Config?.Labels ?? {},
    addresses: Object.fromEntries(
      networks.flatMap(([name, { IPAddress }]) => (IPAddress ? [[name, IPAddress]] : [])),
    ),
    published: Object.fromEntries(
      ports.flatMap(([port, bindings]) =>
        (bindings ?? [])
          .slice(0, 1)
          .map(({ HostIp, HostPort }) => [
            port.replace(/\/.*/, ""),
            { address: HostIp, port: Number(HostPort) },
          ]),
      ),
    ),
  };
}

interface Inspected {
  readonly Id: string;
  readonly Name?: string;
  readonly State?: { readonly Running?: boolean };
  readonly Config?: { readonly Labels?: Record<string, string> | null };
  readonly NetworkSettings?: {
    readonly Networks?: Record<string, { readonly IPAddress?: string }> | null;
    readonly Ports?: Record<
      string,
      readonly { readonly HostIp: string; readonly HostPort: string }[] | null
    > | null;
  };
}

/** Reads `docker node inspect ID…`. */
export function parseNodes(text: string): NodeFacts[] {
  const nodes = (parseJson(text) ?? []) as readonly InspectedNode[];
  return nodes.map(({ Spec, Status, Description }) => {
    const genericResources: Record<string, number> = {};
    for (const resource of Description.Resources?.GenericResources ?? []) {
      const { DiscreteResourceSpec: discrete, NamedResourceSpec: named } = resource;
      // A named one, such as a card's UUID, counts for one of its kind.
      const kind = discrete?.Kind ?? named?.Kind ?? "";
      genericResources[kind] = (genericResources[kind] ?? 0) + (discrete?.Value ?? 1);
    }
    return {
      hostname: Description.Hostname,
      takesTasks: Status.State === "ready" && Spec.Availability === "active",
      isManager: Spec.Role === "manager",
      labels: Spec.Labels ?? {},
      genericResources,
    };
  });
}

interface InspectedNode {
  readonly Spec: {
    readonly Role: string;
    readonly Availability: string;
    readonly Labels?: Record<string, string> | null;
  };
  readonly Status: { readonly State: string };
  readonly Description: {
    readonly Hostname: string;
    readonly Resources?: {
      readonly GenericResources?:
        | readonly {
            readonly DiscreteResourceSpec?: { readonly Kind: string; readonly Value: number };
            readonly NamedResourceSpec?: { readonly Kind: string };
          }[]
        | null;
    };
  };
}

/** `uname -m` says x86_64 where images say amd64. */
export function architectureOf(machine: string): string {
  return { x86_64: "amd64", aarch64: "arm64" }[machine] ?? machine;
}

/** One sentence for a person: why the engine did not answer and what to do. */
function explainFailure(
  result: CommandResult,
  { dockerHost: endpoint, tls }: EngineAddress,
): { readonly message: string; readonly isOff: boolean } {
  const errors = result.stderr.trim() || lastServerError(result.stdout);
  // Over ssh the client wraps what ssh said into a long sentence of its own.
  const said = errors.split("stderr=").at(-1)!.trim().split("\n").at(-1)!;
  const mistake = (message: string) => ({ message, isOff: false });
  if (result.code === 127) {
    return mistake(
      "the docker command-line client is not installed on this machine: https://docs.docker.com/engine/install",
    );
  }
  // For any other kind of address the provider itself ends the whole run when nothing answers.
  const isRemote = endpoint.startsWith("ssh://");
  if (result.code === 124) {
    return { message: `Docker at ${endpoint} does not answer`, isOff: isRemote };
  }
  if (/permission denied/i.test(said)) {
    return mistake(
      `Docker at ${endpoint} may not be used by this user: add the user to the group docker, or run as root (${said})`,
    );
  }
  if (/HTTP request to an HTTPS server/i.test(said)) {
    return mistake(
      `Docker at ${endpoint} speaks TLS only: set tls to the folder with ca.pem, cert.pem and key.pem`,
    );
  }
  if (tls !== undefined && /x509|certificate|tls:/i.test(said)) {
    return mistake(
      `Docker at ${endpoint} and the certificates in ${tls} do not fit together: ca.pem must be of the authority that signed the engine's certificate, cert.pem and key.pem must be signed by the one the engine trusts (${said})`,
    );
  }
  if (/host key verification failed/i.test(said)) {
    return mistake(
      `the ssh key of ${endpoint} is not known: connect once by hand with ssh and accept it`,
    );
  }
  return {
    message: `Docker at ${endpoint} does not answer: start it, or correct dockerHost (${said})`,
    isOff: isRemote,
  };
}

function lastServerError(text: string): string {
  return (parseJson(text) as DockerInfo | undefined)?.ServerErrors?.at(-1) ?? "no reason given";
}

export function lines(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
