import * as pulumi from "@pulumi/pulumi";

import { readSaved } from "../util/readSaved";

/** A resource as this stack's state has it. */
export interface StoredResource {
  readonly type: string;
  readonly outputs?: unknown;
}

/** What a stack's state holds, by URN. */
export type Stored = Readonly<Record<string, StoredResource>>;

/**
 * What this stack's state holds; empty in a stack that is not deployed yet. The engine decrypts the state for
 * it, 0.15 s of CPU: ask once in a run.
 */
export async function storedResources(): Promise<Stored> {
  const stackName = [pulumi.getOrganization(), pulumi.getProject(), pulumi.getStack()].join("/");
  const token = "pulumi:pulumi:readStackResourceOutputs";
  // The engine may be saving its first step just now.
  const answer = (await readSaved(() => pulumi.runtime.invoke(token, { stackName }))) as
    { outputs?: Record<string, StoredResource> } | undefined;
  return answer?.outputs ?? {};
}

/** The outputs of one of these resources, by its type and name; undefined where it is not among them. */
export function storedOutputs(resources: Stored, type: string, name: string): unknown {
  return Object.entries(resources).find(
    ([urn, resource]) => resource.type === type && urn.endsWith(`::${name}`),
  )?.[1].outputs;
}

/** Names of the hosts whose container or service is in this stack's state. */
export function hostsIn(resources: Stored): ReadonlySet<string> {
  const types = ["docker:index/container:Container", "docker:index/service:Service"];
  return new Set(
    Object.entries(resources)
      .filter(([, { type }]) => types.includes(type))
      .map(([urn]) => urn.split("::").at(-1)!),
  );
}
