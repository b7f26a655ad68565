import { dockerClientEnvironment, type EngineAddress, isDockerName } from "./dockerClient";
import { explainFailure } from "./engineFailures";
import { lines } from "./lines";
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

export { lines };

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
    // Old clients end with 0 though the engine did not answer.
    const value = result.code === 0 ? parseDockerInfo(result.stdout) : undefined;
    if (value) return { ok: true, value };
    // Of old clients the output holds the reason.
    const printed = result.stderr.trim() || (parseServerErrors(result.stdout)?.at(-1) ?? "");
    return { ok: false, ...explainFailure(result.code, printed, this.address) };
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

/** Whether a question for several objects failed only because some were removed in the meantime. */
export function areOnlyMissing({ stderr }: CommandResult): boolean {
  const said = lines(stderr);
  return said.length > 0 && said.every((line) => noSuchObject.test(line));
}

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
