import { local } from "@pulumi/command";
import type * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import type { Settings } from "../config/load";
import { DockerClient } from "../util/docker";
import { addressIn, type EngineAddress } from "../util/dockerClient";
import type { Run } from "../util/run";
import { sanitize } from "../util/sanitize";
import { storedOutputs, type Stored } from "./stackState";

/*
 * Hosts that are no longer in the stack file and do not answer. Were they left out, the engine would try to
 * remove what runs there, and end the run of all other hosts. So they stay declared as the state has them.
 */

/** A host of the state that is not in the stack file. */
export interface GoneHost extends EngineAddress {
  readonly name: string;
  /** What the state has of it, by URN. */
  readonly resources: Stored;
  /** Whether its engine does not answer. */
  readonly isOff: boolean;
}

/** What a host may have, in the order in which it is made: type as in the URN, and the end of its name. */
const partsOfHost: readonly (readonly [type: string, suffix: string])[] = [
  ["command:local:Command", "-pulled"],
  ["docker:index/remoteImage:RemoteImage", "-image"],
  ["immich-ml:index:LegacyImage", "-image"],
  ["immich-ml:index:LegacyImage$docker:index/remoteImage:RemoteImage", "-image"],
  ["immich-ml:index:DistributedImage", "-distributed"],
  ["immich-ml:index:DistributedImage$docker:index/volume:Volume", "-distributed-registry"],
  ["immich-ml:index:DistributedImage$docker:index/service:Service", "-distributed-registry"],
  ["immich-ml:index:DistributedImage$command:local:Command", "-distributed-push"],
  ["immich-ml:index:ModelCache", "-cache"],
  ["immich-ml:index:ModelCache$docker:index/volume:Volume", "-cache"],
  ["immich-ml:index:ModelCache$command:local:Command", "-cache-models"],
  ["immich-ml:index:MachineLearning", ""],
  ["immich-ml:index:MachineLearning$docker:index/container:Container", ""],
  ["immich-ml:index:MachineLearning$command:local:Command", "-check"],
  ["immich-ml:index:MachineLearningService", ""],
  ["immich-ml:index:MachineLearningService$docker:index/network:Network", "-network"],
  ["immich-ml:index:MachineLearningService$docker:index/service:Service", ""],
  ["immich-ml:index:MachineLearningService$command:local:Command", "-check"],
];

const services = ["immich-ml:index:MachineLearning", "immich-ml:index:MachineLearningService"];
const command = "command:local:Command";

/** Every host of the state whose engine is known. */
export function hostsOf(stored: Stored): Omit<GoneHost, "isOff">[] {
  const urns = Object.keys(stored);
  return urns
    .filter((urn) => services.includes(typeIn(urn)))
    .map(nameIn)
    .flatMap((name) => {
      const own = new Set(partsOfHost.map(([type, suffix]) => `${type}::${name}${suffix}`));
      const mine = urns.filter((urn) => own.has(`${typeIn(urn)}::${nameIn(urn)}`));
      const resources = Object.fromEntries(mine.map((urn) => [urn, stored[urn]!]));
      const check = storedOutputs(resources, command, `${name}-check`);
      const address = addressIn((check as { environment?: unknown } | undefined)?.environment);
      return address ? [{ ...address, name, resources }] : [];
    });
}

/**
 * The hosts that are no longer in the stack file. Those that are off have to be kept; a warning for each says how to
 * forget it.
 *
 * @throws pulumi.RunError where a host of the stack file was moved away from an engine that does not answer
 */
export async function findGoneHosts(
  settings: Settings,
  stored: Stored,
  run: Run,
): Promise<readonly GoneHost[]> {
  const declared = new Map(settings.hosts.map(({ name, dockerHost }) => [name, dockerHost]));
  const left = hostsOf(stored).filter(({ name, dockerHost }) => declared.get(name) !== dockerHost);
  const answers = await Promise.all(left.map((host) => new DockerClient(host, run).info()));
  const messages = answers.map((answer) => (answer.ok ? "" : sanitize(answer.message, 2000)));
  const moved = left.flatMap(({ name }, index) =>
    messages[index] && declared.has(name)
      ? [
          `  ${name}: moves to ${declared.get(name)}, but what runs at its old address cannot be removed: ${messages[index]}; if that never answers again: ${forget(name)}`,
        ]
      : [],
  );
  if (moved.length > 0) {
    throw new pulumi.RunError(`a host is moved; nothing was changed:\n${moved.join("\n")}`);
  }
  for (const [index, { name }] of left.entries()) {
    const message = messages[index];
    if (!message) continue;
    void pulumi.log.warn(
      `${name}: is no longer in the stack file, but what runs there cannot be removed: ${message}; it stays in the state until the first up after it answers. If it never answers again: ${forget(name)}`,
    );
  }
  return left.map((host, index) => ({ ...host, isOff: messages[index] !== "" }));
}

function forget(name: string): string {
  return `./immich-ml forget ${name} (or npm run forget -- ${name})`;
}

/** Declares what the state has of a host, so that nothing of it changes and nothing asks its engine. */
export function keepGoneHost({ name, resources }: GoneHost, provider: docker.Provider): void {
  const components = new Map<string, pulumi.ComponentResource>();
  const before: pulumi.Resource[] = [];
  for (const [chain, suffix] of partsOfHost) {
    const found = Object.entries(resources).find(
      ([urn]) => typeIn(urn) === chain && nameIn(urn) === `${name}${suffix}`,
    );
    if (!found) continue;
    const types = chain.split("$");
    const type = types.at(-1)!;
    const parent = components.get(types.length > 1 ? types[0]! : "");
    if (type.startsWith("immich-ml:")) {
      components.set(chain, new Kept(type, `${name}${suffix}`, found[1].outputs));
      continue;
    }
    const opts: pulumi.CustomResourceOptions = {
      ...(parent && { parent }),
      dependsOn: [...before],
      ignoreChanges: ["*"],
      ...(type !== command && { provider }),
      // The state does not tell; a cache that may hold models stays.
      ...(type.endsWith(":Volume") && { retainOnDelete: isRetained(resources, name) }),
    };
    const declared =
      type === command
        ? new local.Command(`${name}${suffix}`, {}, opts)
        : new KeptResource(type, `${name}${suffix}`, opts);
    before.push(declared);
  }
}

/** A component with the outputs that it has in the state. */
class Kept extends pulumi.ComponentResource {
  constructor(type: string, name: string, outputs: unknown) {
    super(type, name);
    this.registerOutputs(outputs ?? {});
  }
}

/** Without inputs: `ignoreChanges` takes those of the state. */
class KeptResource extends pulumi.CustomResource {
  constructor(type: string, name: string, opts: pulumi.CustomResourceOptions) {
    super(type, name, {}, opts);
  }
}

function isRetained(resources: Stored, name: string): boolean {
  const cache = storedOutputs(resources, "immich-ml:index:ModelCache", `${name}-cache`);
  return (cache as { retained?: unknown } | undefined)?.retained !== false;
}

/** `a$b` of `urn:pulumi:stack::project::a$b::name`. */
function typeIn(urn: string): string {
  return urn.split("::")[2] ?? "";
}

function nameIn(urn: string): string {
  return urn.split("::").at(-1)!;
}
