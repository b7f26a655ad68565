import * as pulumi from "@pulumi/pulumi";

import type { SavedState } from "../immich/reconcile";
import { storedOutputs, storedResources, type Stored } from "./stackState";

/*
 * Takes over stacks of release 0.1.0, whose settings were a dynamic resource. The engine keeps the code
 * of a dynamic resource in the state, and that code would restore the old models and clear embeddings
 * once the resource is gone from the program.
 */

const type = "pulumi-nodejs:dynamic/immich-ml:SystemConfig";
const id = "system-config";

/**
 * What release 0.1.0 saved in this stack's state; undefined where it saved nothing.
 *
 * @param name of the {@link ModelPreset}
 * @param stored what the state holds, where that is known already
 */
export async function stateOfFirstRelease(
  name: string,
  stored?: Stored,
): Promise<SavedState | undefined> {
  const found = storedOutputs(stored ?? (await storedResources()), type, `${name}-settings`);
  const outputs = found as FirstOutputs | undefined;
  if (outputs?.former === undefined) return undefined;
  const { former, rowWasAbsent, changed, changedAt, store } = outputs;
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

interface FirstOutputs {
  readonly former?: SavedState["previous"];
  readonly rowWasAbsent: boolean;
  readonly changed: string[];
  readonly changedAt: string;
  readonly store: { readonly kind: string; readonly database?: string };
}

/** The SDK's own class is abstract. */
class FirstSettings extends pulumi.CustomResource {}
