import recorded from "./state.json";

/*
 * state.json is what the engine stored of the stack in world.ts when release 0.1.0 made it: inputs and
 * outputs of every resource, by its address behind the stack's name. What is another one in every
 * world (ids, ports, names, times, encrypted values) is marked there, and long texts stand once.
 */

const ofThisWorld = "«of this world»";

/** A resource in an exported state, as far as it is looked at here. */
interface Resource {
  readonly urn: string;
  readonly inputs?: unknown;
  readonly outputs?: unknown;
  /** Addresses of resources it was made after. */
  readonly dependencies?: readonly string[];
}

export interface Deployment {
  readonly resources: Resource[];
}

/** The addresses of all resources but the stack itself, without the stack's name. */
export function addressesOf(deployment: Deployment): string[] {
  return deployment.resources.map(addressOf).filter(isNoStack).sort();
}

export const addressesOfFirstRelease: readonly string[] = Object.keys(recorded.resources).sort();

/** Today's addresses of resources that had another one in release 0.1.0. */
export const renamed: Readonly<Record<string, string>> = {
  "immich-ml:index:MachineLearning$command:local:Command::attic-check":
    "immich-ml:index:MachineLearning$command:local:Command::attic-proof",
};

/** The same state as release 0.1.0 would have stored it of the same world. */
export function asOfFirstRelease(deployment: Deployment): Deployment {
  const formers: Record<string, { inputs?: unknown; outputs?: unknown }> = recorded.resources;
  const resources = withFormerAddresses(deployment.resources);
  return {
    ...deployment,
    resources: resources.flatMap((resource) => {
      if (!isNoStack(addressOf(resource))) return [resource];
      const former = formers[addressOf(resource)];
      if (!former) return [];
      return [
        {
          ...resource,
          dependencies: (resource.dependencies ?? []).filter(
            (urn) => formers[addressOf({ urn })] !== undefined,
          ),
          ...(former.inputs !== undefined && { inputs: filled(former.inputs, resource.inputs) }),
          ...(former.outputs !== undefined && {
            outputs: filled(former.outputs, resource.outputs),
          }),
        },
      ];
    }),
  };
}

/** Resources name each other by their addresses, so those are replaced wherever they stand. */
function withFormerAddresses(resources: Resource[]): Resource[] {
  const text = Object.entries(renamed).reduce(
    (state, [today, former]) => state.replaceAll(`${today}"`, `${former}"`),
    JSON.stringify(resources),
  );
  return JSON.parse(text) as Resource[];
}

function addressOf({ urn }: Resource): string {
  return urn.replace(/^urn:pulumi:[^:]+::immich-ml::/, "");
}

function isNoStack(address: string): boolean {
  return !address.startsWith("pulumi:pulumi:Stack::");
}

function filled(former: unknown, today: unknown): unknown {
  if (former === ofThisWorld) return today;
  if (typeof former === "string") {
    const [, index] = /^«text (\d+)»$/.exec(former) ?? [];
    return index === undefined ? former : recorded.texts[Number(index)];
  }
  if (typeof former !== "object" || former === null) return former;
  const values = (today ?? {}) as Record<string, unknown>;
  if (Array.isArray(former)) {
    return former.map((item: unknown, index) => filled(item, values[index]));
  }
  return Object.fromEntries(
    Object.entries(former).map(([name, value]) => [name, filled(value, values[name])]),
  );
}
