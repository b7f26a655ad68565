import * as pulumi from "@pulumi/pulumi";

import type { SavedState } from "../immich/reconcile";

/*
 * Takes over stacks of release 0.1.0, whose settings were a dynamic resource. The engine keeps the code
 * of a dynamic resource in the state, and that code would restore the old models and clear embeddings
 * once the resource is gone from the program.
 */

const type = "pulumi-nodejs:dynamic/immich-ml:SystemConfig";
const id = "system-config";

/**
 * What release 0.1.0 saved in this stack's state; undefined where it saved nothing. The engine decrypts
 * the state for it, 0.15 s of CPU: ask only where the state may be that old.
 *
 * @param name of the {@link ModelPreset}
 */
export async function stateOfFirstRelease(name: string): Promise<SavedState | undefined> {
  const stack = [pulumi.getOrganization(), pulumi.getProject(), pulumi.getStack()].join("/");
  const resources = await resourcesOf(stack);
  const [, found] =
    Object.entries(resources).find(
      ([urn, resource]) => resource.type === type && urn.endsWith(`::${name}-settings`),
    ) ?? [];
  if (found?.outputs?.former === undefined) return undefined;
  const { former, rowWasAbsent, changed, changedAt, store } = found.outputs;
  return {
    previous: former,
    rowWasAbsent,
    changed,
    changedAt,
    // Indexed again by that release.
    clipChangedAt: "",
    faceChangedAt: "",
    ...(store.kind === "database" && { database: store.database }),
  };
}

/** Names of the hosts whose container or service is in this stack's state. */
export async function hostsInState(): Promise<ReadonlySet<string>> {
  const stack = [pulumi.getOrganization(), pulumi.getProject(), pulumi.getStack()].join("/");
  const types = ["docker:index/container:Container", "docker:index/service:Service"];
  return new Set(
    Object.entries(await resourcesOf(stack))
      .filter(([, { type }]) => types.includes(type))
      .map(([urn]) => urn.split("::").at(-1)!),
  );
}

/** Registers that resource as one that Pulumi only reads: from then on it deletes nothing. */
export function releaseFirstSettings(name: string, parent: pulumi.Resource): void {
  const inertProvider = "exports.handler = () => ({})";
  new FirstSettings(type, `${name}-settings`, { __provider: inertProvider }, { parent, id });
}

/**
 * Makes the engine stop with an error, rather than delete the old resource, where the program did not
 * know of it.
 */
export const firstSettingsAlias: pulumi.Alias = { type };

interface StoredResource {
  readonly type: string;
  readonly outputs?: {
    readonly former?: SavedState["previous"];
    readonly rowWasAbsent: boolean;
    readonly changed: string[];
    readonly changedAt: string;
    readonly store: { readonly kind: string; readonly database?: string };
  };
}

/** The SDK's own class is abstract. */
class FirstSettings extends pulumi.CustomResource {}

/** By URN; empty in a stack that is not deployed yet. */
export async function resourcesOf(stackName: string): Promise<Record<string, StoredResource>> {
  const token = "pulumi:pulumi:readStackResourceOutputs";
  const answer = (await pulumi.runtime.invoke(token, { stackName })) as
    { outputs?: Record<string, StoredResource> } | undefined;
  return answer?.outputs ?? {};
}
