import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { askEngine } from "../verify/deployment";

/*
 * A stack's state as `pulumi stack export` writes it, with encrypted secrets. Pure but for reading and writing.
 */

export interface StoredResource {
  readonly urn: string;
  readonly type: string;
  readonly id?: string;
  readonly parent?: string;
  readonly provider?: string;
  readonly dependencies?: readonly string[];
  readonly propertyDependencies?: Readonly<Record<string, readonly string[]>>;
  readonly deletedWith?: string;
  readonly outputs?: Readonly<Record<string, unknown>>;
}

export interface PendingOperation {
  /** `creating`, `updating`, `deleting` and such. */
  readonly type: string;
  readonly resource: StoredResource;
}

export interface State {
  readonly version: number;
  readonly deployment: {
    readonly resources?: readonly StoredResource[];
    readonly pending_operations?: readonly PendingOperation[];
  };
}

export async function readState(stack: string | undefined): Promise<State> {
  return JSON.parse(await askEngine(stack, "stack", "export")) as State;
}

/** @throws with the engine's message, such as that another run has the stack locked */
export async function writeState(stack: string | undefined, state: State): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "immich-ml-state-"));
  const file = join(folder, "state.json");
  try {
    await writeFile(file, JSON.stringify(state), { mode: 0o600 });
    await askEngine(stack, "stack", "import", "--file", file);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** `attic` of `urn:…::attic`. */
export function nameOf({ urn }: StoredResource): string {
  return urn.split("::").at(-1)!;
}

const serviceTypes = ["immich-ml:index:MachineLearning", "immich-ml:index:MachineLearningService"];

/** What belongs to a host at the top of the program, as components/wiring.ts names it: type and name. */
const partsOfHost: readonly (readonly [types: readonly string[], suffix: string])[] = [
  [serviceTypes, ""],
  [["immich-ml:index:LegacyImage", "docker:index/remoteImage:RemoteImage"], "-image"],
  [["immich-ml:index:ModelCache"], "-cache"],
  [["immich-ml:index:DistributedImage"], "-distributed"],
  [["command:local:Command"], "-pulled"],
];

export function hostsOf({ deployment: { resources = [] } }: State): string[] {
  return resources.filter(({ type }) => serviceTypes.includes(type)).map(nameOf);
}

/** The state without the resources of some hosts, and those resources. */
export function withoutHosts(
  state: State,
  hosts: readonly string[],
): { readonly state: State; readonly gone: readonly StoredResource[] } {
  const { resources = [], pending_operations = [] } = state.deployment;
  const stackUrn = resources.find(({ type }) => type === "pulumi:pulumi:Stack")?.urn;
  const isPart = (resource: StoredResource) =>
    (resource.parent === undefined || resource.parent === stackUrn) &&
    partsOfHost.some(
      ([types, suffix]) =>
        types.includes(resource.type) &&
        hosts.some((host) => nameOf(resource) === `${host}${suffix}`),
    );
  const goneUrns = new Set<string>();
  // Parents stand before their children.
  for (const resource of resources) {
    if (isPart(resource) || goneUrns.has(resource.parent ?? "")) goneUrns.add(resource.urn);
  }
  const stays = ({ urn }: StoredResource) => !goneUrns.has(urn);
  const remaining = resources.filter(stays);
  // A provider's reference is its address and its id. One that nobody uses any more is not asked either.
  const used = new Set(remaining.map(({ provider }) => provider));
  const kept = remaining.filter(
    ({ type, urn, id }) => type !== "pulumi:providers:docker" || used.has(`${urn}::${id}`),
  );
  const keptUrns = new Set(kept.map(({ urn }) => urn));
  const isKept = (urn: string) => keptUrns.has(urn);
  return {
    gone: resources.filter((resource) => !stays(resource)),
    state: {
      ...state,
      deployment: {
        ...state.deployment,
        resources: kept.map((resource) => ({
          ...resource,
          ...(resource.dependencies && { dependencies: resource.dependencies.filter(isKept) }),
          ...(resource.propertyDependencies && {
            propertyDependencies: Object.fromEntries(
              Object.entries(resource.propertyDependencies).map(([property, urns]) => [
                property,
                urns.filter(isKept),
              ]),
            ),
          }),
        })),
        pending_operations: pending_operations.filter(
          ({ resource }) =>
            stays(resource) && !goneUrns.has(resource.parent ?? "") && !isPart(resource),
        ),
      },
    },
  };
}
