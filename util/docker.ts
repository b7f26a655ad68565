import { dockerClientEnvironment, type EngineAddress, isDockerName } from "./dockerClient";
import type { CommandResult, Run } from "./run";
import { sanitize } from "./sanitize";
import {
  type ContainerInfo,
  type DockerInfo,
  type NetworkInfo,
  type NodeInfo,
  parseContainers,
  parseDockerInfo,
  parseNetworks,
  parseNodes,
  parseServerErrors,
  parseServices,
  parseVolumes,
  type ServiceInfo,
} from "./dockerAnswers";

/** The answer to a question, or why there is none. An object that does not exist is an answer. */
export type Answer<Value> =
  | { readonly ok: true; readonly value: Value }
  /** `unreachable`: nothing answers, as when that machine is switched off. */
  | {
      readonly ok: false;
      readonly message: string;
      readonly unreachable?: boolean;
      /** No machine is known by that name: it is off, or the name is mistyped. */
      readonly unresolved?: boolean;
    };

export function unanswered(message: string): Answer<never> {
  return { ok: false, message };
}

/** Seconds that one question may take. */
export const timeout = 20;

/** Characters of a program's own message that ours quote. */
const maxQuoteLength = 300;

/** A container as the engine lists it. */
export interface ListedContainer {
  readonly id: string;
  readonly names: readonly string[];
  readonly networks: readonly string[];
  /** The host of a stack whose container it is: `project/stack/host`; else empty. */
  readonly host: string;
}

/** Asks one Docker engine by the docker command-line client. Changes nothing. */
export class DockerClient {
  constructor(
    private readonly address: EngineAddress,
    private readonly run: Run,
  ) {}

  async info(): Promise<Answer<DockerInfo>> {
    const result = await this.docker("info", "--format", "{{json .}}");
    // Old clients end with 0 though the engine did not answer; the reason is in the output.
    const value = result.code === 0 ? parseDockerInfo(result.stdout) : undefined;
    return value ? { ok: true, value } : { ok: false, ...explainFailure(result, this.address) };
  }

  /** Those of the containers that exist, in one question. */
  containers(names: readonly string[]): Promise<Answer<readonly ContainerInfo[]>> {
    return this.inspect("container", names, parseContainers);
  }

  async container(name: string): Promise<Answer<ContainerInfo | undefined>> {
    return first(await this.containers([name]));
  }

  async network(name: string): Promise<Answer<NetworkInfo | undefined>> {
    return first(await this.inspect("network", [name], parseNetworks));
  }

  async service(name: string): Promise<Answer<ServiceInfo | undefined>> {
    return first(await this.inspect("service", [name], parseServices));
  }

  /** Every container, running or not. */
  async allContainers(): Promise<Answer<readonly ListedContainer[]>> {
    const format = '{{.ID}}\t{{.Names}}\t{{.Networks}}\t{{.Label "org.immich-ml.host"}}';
    const result = await this.docker("container", "ls", "--all", "--no-trunc", "--format", format);
    if (result.code !== 0) return this.noAnswer("container", "listed", result);
    const rows = lines(result.stdout).map((line) => line.split("\t"));
    const value = rows.flatMap(([id = "", names = "", networks = "", host = ""]) =>
      isDockerName(id)
        ? [{ id, names: names.split(","), networks: networks.split(","), host }]
        : [],
    );
    return { ok: true, value };
  }

  /** Those of the volumes that exist, by name. */
  async volumes(names: readonly string[]): Promise<Answer<readonly string[]>> {
    const found = await this.inspect("volume", names, parseVolumes);
    return found.ok ? { ok: true, value: found.value.map(({ Name }) => Name) } : found;
  }

  /** The names of all networks. */
  networks(): Promise<Answer<readonly string[]>> {
    return this.list("network", "--format", "{{.Name}}");
  }

  /** The nodes of the swarm that this engine manages. */
  async nodes(): Promise<Answer<readonly NodeInfo[]>> {
    const ids = await this.list("node", "--quiet");
    return ids.ok ? this.inspect("node", ids.value, parseNodes) : ids;
  }

  /** Every engine has networks and every swarm has nodes, so an empty list is no answer. */
  private async list(kind: string, ...options: string[]): Promise<Answer<readonly string[]>> {
    const result = await this.docker(kind, "ls", ...options);
    const value = lines(result.stdout);
    return result.code === 0 && value.length > 0
      ? { ok: true, value }
      : this.noAnswer(kind, "listed", result);
  }

  private async inspect<Info>(
    kind: string,
    names: readonly string[],
    parse: (text: string) => Info[] | undefined,
  ): Promise<Answer<readonly Info[]>> {
    // The client refuses an empty list.
    if (names.length === 0) return { ok: true, value: [] };
    const result = await this.docker(kind, "inspect", ...names);
    const value = parse(result.stdout);
    // It fails when one object is missing, and answers for the others all the same.
    const missing = lines(result.stderr).filter((line) => noSuchObject.test(line));
    const isComplete =
      value && (result.code === 0 || value.length + missing.length >= names.length);
    return isComplete ? { ok: true, value } : this.noAnswer(kind, "inspected", result);
  }

  private noAnswer(kind: string, done: string, result: CommandResult): Answer<never> {
    const { dockerHost } = this.address;
    return unanswered(`the ${kind}s at ${dockerHost} could not be ${done}: ${reasonOf(result)}`);
  }

  private docker(...parameters: string[]): Promise<CommandResult> {
    return this.run("docker", parameters, {
      environment: dockerClientEnvironment(this.address),
      timeout,
    });
  }
}

const noSuchObject =
  /no such (container|network|object|service|volume)|\b(container|network|service) \S+ not found$/i;

function first<Info>(answer: Answer<readonly Info[]>): Answer<Info | undefined> {
  return answer.ok ? { ok: true, value: answer.value[0] } : answer;
}

/** Why a command gave no answer, as its last line of standard error says. */
export function reasonOf({ code, stderr }: CommandResult): string {
  if (code === 124) return `no answer within ${timeout} s`;
  // The client ends with where its help is.
  const line = lines(stderr)
    .filter((each) => !/^(Run|See) 'docker/.test(each))
    .at(-1);
  if (line !== undefined) return sanitize(line, maxQuoteLength);
  return code === 0 ? "the answer is not readable" : `exit code ${code}`;
}

/** Failures with a known cure, by what the client prints. */
const knownFailures: readonly {
  readonly pattern: RegExp;
  readonly needsTls?: true;
  /** Set where the machine may just be off. */
  readonly unresolved?: true;
  readonly message: (address: EngineAddress, quote: string) => string;
}[] = [
  {
    pattern:
      /permission denied \([^)]*(publickey|password|keyboard)|too many authentication failures/i,
    message: ({ dockerHost }, quote) =>
      `ssh may not log in at ${dockerHost}: it needs a key that the machine knows (ssh-copy-id) and, for a key with a passphrase, an agent (eval $(ssh-agent); ssh-add); ssh without a question must work (${quote})`,
  },
  {
    pattern: /no matching (host key type|key exchange method|cipher|mac) found/i,
    message: ({ dockerHost }, quote) =>
      `ssh here and the ssh server of ${dockerHost} share no algorithm: update that system, or allow its old one for this host in ~/.ssh/config (HostKeyAlgorithms +ssh-rsa, PubkeyAcceptedAlgorithms +ssh-rsa) (${quote})`,
  },
  {
    pattern: /exec: "ssh": executable file not found/i,
    message: ({ dockerHost }) => `${dockerHost} needs ssh, which is not installed on this machine`,
  },
  {
    pattern:
      /docker: (command )?not found|dial-stdio.* is not a docker command|docker: No such file/i,
    message: ({ dockerHost }, quote) =>
      `ssh reaches the machine of ${dockerHost}, but finds no docker (18.09 or newer) there: install it, or where ssh has another PATH, as on a Synology, run there sudo ln -s /usr/local/bin/docker /usr/bin/docker (${quote})`,
  },
  {
    pattern:
      /a terminal is required|password (has|is) expired|account (is|has) (currently )?(not available|expired|locked)/i,
    message: ({ dockerHost }, quote) =>
      `ssh may not run commands at ${dockerHost} with that user: ssh without a question must work (${quote})`,
  },
  {
    pattern: /client version \S+ is too old|client is too old/i,
    message: ({ dockerHost }, quote) =>
      `the docker command-line client of this machine is too old for Docker at ${dockerHost}: upgrade the client (https://docs.docker.com/engine/install), and unset DOCKER_API_VERSION if it is set (${quote})`,
  },
  {
    pattern: /client version \S+ is too new|client is newer than server/i,
    message: ({ dockerHost }, quote) =>
      `Docker at ${dockerHost} is too old for this machine's docker command-line client: upgrade Docker there (${quote})`,
  },
  {
    pattern:
      /could not resolve hostname|no such host|name or service not known|name resolution|nodename nor servname/i,
    unresolved: true,
    message: ({ dockerHost }, quote) =>
      `the host name in ${dockerHost} cannot be resolved: correct dockerHost, or give the machine's address (${quote})`,
  },
  {
    pattern: /permission denied/i,
    message: ({ dockerHost }, quote) =>
      `this user may not use Docker at ${dockerHost}: add the user to the group docker, or run as root (${quote})`,
  },
  {
    pattern: /HTTP request to an HTTPS server/i,
    message: ({ dockerHost }) =>
      `Docker at ${dockerHost} accepts only TLS: set tls to the folder with ca.pem, cert.pem and key.pem`,
  },
  {
    pattern: /HTTP response to HTTPS client/i,
    message: ({ dockerHost }) =>
      `Docker at ${dockerHost} does not use TLS: leave tls out, or switch TLS on there (https://docs.docker.com/engine/security/protect-access)`,
  },
  {
    pattern: /x509|certificate|tls:/i,
    needsTls: true,
    message: ({ dockerHost, tls }, quote) =>
      `Docker at ${dockerHost} and the certificates in ${tls} do not fit together: ca.pem must be of the authority that signed the engine's certificate, cert.pem and key.pem must be signed by the one the engine trusts (${quote})`,
  },
  {
    pattern: /host key verification failed/i,
    message: ({ dockerHost }) =>
      `the ssh key of ${dockerHost} is not known: connect once by hand with ssh and accept it`,
  },
];

/** Why an engine did not answer and what to do. */
function explainFailure(
  result: CommandResult,
  address: EngineAddress,
): { readonly message: string; readonly unreachable: boolean; readonly unresolved?: boolean } {
  const { dockerHost, tls } = address;
  if (result.code === 127) {
    const message =
      "the docker command-line client is not installed on this machine: https://docs.docker.com/engine/install";
    return { message, unreachable: false };
  }
  if (result.code === 124)
    return { message: `Docker at ${dockerHost} does not answer`, unreachable: true };
  const stderr = result.stderr.trim() || (parseServerErrors(result.stdout)?.at(-1) ?? "");
  // Over ssh the client wraps ssh's own message into a long sentence.
  const last = lines(stderr.split("stderr=").at(-1)!).at(-1) ?? "no reason given";
  const quote = sanitize(last, maxQuoteLength);
  const known = knownFailures.find(
    ({ pattern, needsTls }) => pattern.test(quote) && !(needsTls && tls === undefined),
  );
  if (known?.unresolved) {
    return { message: known.message(address, quote), unreachable: true, unresolved: true };
  }
  if (known) return { message: known.message(address, quote), unreachable: false };
  const message = `Docker at ${dockerHost} does not answer: start it, or correct dockerHost (${quote})`;
  return { message, unreachable: true };
}

export function lines(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
}
