import { z } from "zod";

import { dockerClientEnvironment, type EngineAddress } from "../util/dockerClient";
import { type ContainerInfo, parseContainer, parseContainers } from "../util/dockerContainer";
import { sanitize } from "../util/sanitize";
import type { CommandResult, Run } from "../util/run";

/** What a Docker engine says of itself. */
export interface DockerInfo {
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
export interface NodeInfo {
  readonly hostname: string;
  /** Whether it is up and takes tasks. */
  readonly takesTasks: boolean;
  readonly isManager: boolean;
  readonly labels: Readonly<Record<string, string>>;
  /** How much it offers of each kind of generic resource. */
  readonly genericResources: Readonly<Record<string, number>>;
}

export interface NetworkInfo {
  readonly driver: string;
  /** Whether containers outside the swarm can join it. */
  readonly attachable: boolean;
}

export type Answer<Info> =
  | { readonly ok: true; readonly facts: Info }
  /** `unreachable`: nothing answered behind ssh, as when that machine is switched off. */
  | { readonly ok: false; readonly message: string; readonly unreachable: boolean };

/** The docker client's commands, for one engine. */
export class Engine {
  constructor(
    private readonly address: EngineAddress,
    private readonly run: Run,
  ) {}

  async facts(): Promise<Answer<DockerInfo>> {
    const info = await this.docker("info", "--format", "{{json .}}");
    // Old clients exit with 0 though the engine did not answer, and say so inside the answer.
    const facts = info.code === 0 ? parseEngineInfo(info.stdout) : undefined;
    if (facts) return { ok: true, facts };
    return { ok: false, ...explainFailure(info, this.address) };
  }

  /** Nothing when there is no such container. */
  async container(name: string): Promise<ContainerInfo | undefined> {
    const result = await this.docker("container", "inspect", name);
    return result.code === 0 ? parseContainer(result.stdout) : undefined;
  }

  /** The nodes of the swarm this engine manages. */
  async nodes(): Promise<readonly NodeInfo[]> {
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
  async network(name: string): Promise<NetworkInfo | undefined> {
    const result = await this.docker("network", "inspect", name);
    if (result.code !== 0) return undefined;
    const [network] = (parseJson(result.stdout) ?? []) as readonly {
      readonly Driver: string;
      readonly Attachable?: boolean;
    }[];
    return network && { driver: network.Driver, attachable: network.Attachable === true };
  }

  /** Those of the names that there are, in one question. */
  async containers(names: readonly string[]): Promise<readonly ContainerInfo[]> {
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
export function parseEngineInfo(text: string): DockerInfo | undefined {
  const { data: info } = dockerInfo.safeParse(parseJson(text));
  if (!info?.ServerVersion) return undefined;
  return {
    version: info.ServerVersion,
    architecture: architectureOf(info.Architecture),
    runtimes: Object.keys(info.Runtimes),
    hasCdi: info.CDISpecDirs.length > 0,
    cdiDevices: info.DiscoveredDevices.map((device) => device.ID),
    root: info.DockerRootDir,
    operatingSystem: info.OperatingSystem,
    defaultRuntime: info.DefaultRuntime,
    swarm:
      info.Swarm.LocalNodeState !== "active"
        ? "none"
        : info.Swarm.ControlAvailable
          ? "manager"
          : "worker",
  };
}

/**
 * What is read of the engine's own words; the client names them so. What is absent, null or of
 * another kind counts as not told.
 */
const dockerInfo = z.object({
  ServerVersion: z.string().catch(""),
  Architecture: z.string().catch(""),
  Runtimes: z.record(z.string(), z.unknown()).catch({}),
  CDISpecDirs: z.array(z.string()).catch([]),
  DiscoveredDevices: z.array(z.object({ ID: z.string() })).catch([]),
  DockerRootDir: z.string().catch("/var/lib/docker"),
  OperatingSystem: z.string().catch(""),
  DefaultRuntime: z.string().catch("runc"),
  Swarm: z
    .object({ LocalNodeState: z.string().catch(""), ControlAvailable: z.boolean().catch(false) })
    .catch({ LocalNodeState: "", ControlAvailable: false }),
  ServerErrors: z.array(z.string()).catch([]),
});

const architectures = new Map([
  ["x86_64", "amd64"],
  ["aarch64", "arm64"],
]);

/** Reads `docker node inspect ID…`; a node that is not described as one is left out. */
export function parseNodes(text: string): NodeInfo[] {
  const nodes = z.array(z.unknown()).catch([]).parse(parseJson(text));
  return nodes.flatMap((node) => {
    const { data } = inspectedNode.safeParse(node);
    if (!data) return [];
    const { Spec, Status, Description } = data;
    const genericResources: Record<string, number> = {};
    for (const resource of Description.Resources.GenericResources) {
      const { DiscreteResourceSpec: discrete, NamedResourceSpec: named } = resource;
      // A named one, such as a card's UUID, counts for one of its kind.
      const kind = discrete?.Kind ?? named?.Kind ?? "";
      genericResources[kind] = (genericResources[kind] ?? 0) + (discrete?.Value ?? 1);
    }
    return {
      hostname: Description.Hostname,
      takesTasks: Status.State === "ready" && Spec.Availability === "active",
      isManager: Spec.Role === "manager",
      labels: Spec.Labels,
      genericResources,
    };
  });
}

const inspectedNode = z.object({
  Spec: z.object({
    Role: z.string(),
    Availability: z.string(),
    Labels: z.record(z.string(), z.string()).catch({}),
  }),
  Status: z.object({ State: z.string() }),
  Description: z.object({
    Hostname: z.string(),
    Resources: z
      .object({
        GenericResources: z
          .array(
            z.object({
              DiscreteResourceSpec: z.object({ Kind: z.string(), Value: z.number() }).optional(),
              NamedResourceSpec: z.object({ Kind: z.string() }).optional(),
            }),
          )
          .catch([]),
      })
      .catch({ GenericResources: [] }),
  }),
});

/** `uname -m` says x86_64 where images say amd64. */
export function architectureOf(machine: string): string {
  return architectures.get(machine) ?? machine;
}

/** Characters of what an engine, ssh or a driver said that a message repeats. */
export const maxQuoteLength = 300;

/** One sentence for a person: why the engine did not answer and what to do. */
function explainFailure(
  result: CommandResult,
  { dockerHost: endpoint, tls }: EngineAddress,
): { readonly message: string; readonly unreachable: boolean } {
  const errors = result.stderr.trim() || lastServerError(result.stdout);
  // Over ssh the client wraps what ssh said into a long sentence of its own.
  const last = errors.split("stderr=").at(-1)!.trim().split("\n").at(-1)!;
  const said = sanitize(last, maxQuoteLength);
  const error = (message: string) => ({ message, unreachable: false });
  if (result.code === 127) {
    return error(
      "the docker command-line client is not installed on this machine: https://docs.docker.com/engine/install",
    );
  }
  // For any other kind of address the provider itself ends the whole run when nothing answers.
  const isRemote = endpoint.startsWith("ssh://");
  if (result.code === 124) {
    return { message: `Docker at ${endpoint} does not answer`, unreachable: isRemote };
  }
  if (/permission denied/i.test(said)) {
    return error(
      `Docker at ${endpoint} may not be used by this user: add the user to the group docker, or run as root (${said})`,
    );
  }
  if (/HTTP request to an HTTPS server/i.test(said)) {
    return error(
      `Docker at ${endpoint} speaks TLS only: set tls to the folder with ca.pem, cert.pem and key.pem`,
    );
  }
  if (tls !== undefined && /x509|certificate|tls:/i.test(said)) {
    return error(
      `Docker at ${endpoint} and the certificates in ${tls} do not fit together: ca.pem must be of the authority that signed the engine's certificate, cert.pem and key.pem must be signed by the one the engine trusts (${said})`,
    );
  }
  if (/host key verification failed/i.test(said)) {
    return error(
      `the ssh key of ${endpoint} is not known: connect once by hand with ssh and accept it`,
    );
  }
  return {
    message: `Docker at ${endpoint} does not answer: start it, or correct dockerHost (${said})`,
    unreachable: isRemote,
  };
}

function lastServerError(text: string): string {
  return dockerInfo.safeParse(parseJson(text)).data?.ServerErrors.at(-1) ?? "no reason given";
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
