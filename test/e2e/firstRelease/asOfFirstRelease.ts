import recorded from "./state.json";

/*
 * state.json is what the engine stored of the stack in world.ts when release 0.1.0 made it: inputs and
 * outputs of every resource, by its address behind the stack's name. What is another one in every
 * world (ids, ports, names, times, encrypted values) is marked there, and long texts stand once.
 */

const ofThisWorld = "«of this world»";

/** A resource in an exported state, as far as it matters here. */
interface Resource {
  readonly urn: string;
  readonly type: string;
  readonly custom: boolean;
  readonly id?: string;
  readonly parent?: string;
  readonly provider?: string;
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

/** The order in which release 0.1.0 made what has gone since. */
const madeAfter: Readonly<Record<string, readonly string[]>> = {
  "preset-settings-keys": ["preset-schema"],
  "preset-check-store": ["preset-schema"],
  "preset-role": [],
  "preset-public-functions": [
    ...["preset-settings-keys", "preset-check-store", "preset-read-settings"],
    "preset-write-settings",
  ],
  "preset-role-schema": ["preset-role", "preset-schema"],
  "preset-role-functions": ["preset-public-functions", "preset-role"],
  "preset-settings": ["preset-role-schema", "preset-role-functions"],
};

/** Names of release 0.1.0 by today's. */
const formerNames: Readonly<Record<string, string>> = { "attic-check": "attic-proof" };

/**
 * The same state as release 0.1.0 would have stored it of the same world.
 *
 * @param gone what only that release knew: values of this world by address, for inputs and outputs
 */
export function asOfFirstRelease(
  deployment: Deployment,
  gone: Readonly<Record<string, unknown>>,
): Deployment {
  const formers: Record<string, { inputs?: unknown; outputs?: unknown }> = recorded.resources;
  const kept = deployment.resources.flatMap((resource) => {
    if (!isNoStack(addressOf(resource))) return [resource];
    const urn = formerUrn(resource.urn);
    const former = formers[addressOf({ urn })];
    if (!former) return [];
    return [
      {
        ...resource,
        urn,
        retainOnDelete: false,
        dependencies: (resource.dependencies ?? [])
          .map(formerUrn)
          .filter((dependency) => formers[addressOf({ urn: dependency })] !== undefined),
        ...(former.inputs !== undefined && { inputs: filled(former.inputs, resource.inputs) }),
        ...(former.outputs !== undefined && { outputs: filled(former.outputs, resource.outputs) }),
      },
    ];
  });
  const preset = kept.find(({ urn }) => urn.endsWith("ModelPreset::preset"))!;
  const schema = kept.find(({ urn }) => urn.endsWith("Schema::preset-schema"))!;
  const prefix = preset.urn.slice(0, -addressOf(preset).length);
  const dynamic: Resource = {
    urn: `${prefix}pulumi:providers:pulumi-nodejs::default`,
    type: "pulumi:providers:pulumi-nodejs",
    custom: true,
    id: "9ad0fb0f-5b34-4e5e-8d5b-2f0a4b1c7d11",
    inputs: {},
    outputs: {},
  };
  const goneNames = Object.keys(madeAfter);
  const goneAddresses = Object.keys(formers).filter((address) =>
    goneNames.includes(nameOf(address)),
  );
  goneAddresses.sort((a, b) => goneNames.indexOf(nameOf(a)) - goneNames.indexOf(nameOf(b)));
  const urnOf = (name: string) =>
    prefix + Object.keys(formers).find((address) => nameOf(address) === name)!;
  const added = goneAddresses.map((address): Resource => {
    const former = formers[address]!;
    const type = address.split("::")[0]!.split("$").at(-1)!;
    const outputs = filled(former.outputs, gone[address]) as { id?: string };
    const isDynamic = type.startsWith("pulumi-nodejs:");
    return {
      urn: prefix + address,
      type,
      custom: true,
      id: outputs.id ?? "system-config",
      parent: preset.urn,
      provider: isDynamic ? `${dynamic.urn}::${dynamic.id}` : schema.provider!,
      inputs: filled(former.inputs, gone[address]),
      outputs,
      dependencies: madeAfter[nameOf(address)]!.map(urnOf),
    };
  });
  return { ...deployment, resources: [...kept, dynamic, ...added] };
}

/** SQL that makes the functions, the role and its rights in the database as that release did. */
export function databaseOfFirstRelease(rolePassword: string): string[] {
  const functions = Object.entries(recorded.resources).flatMap(([address, resource]) => {
    if (!address.includes("function:Function::")) return [];
    const { name, args, returns, language, securityDefiner, body } = filled(
      (resource as { inputs: unknown }).inputs,
      {},
    ) as {
      readonly args: readonly { readonly name: string; readonly type: string }[];
      readonly securityDefiner: boolean;
    } & Readonly<Record<"name" | "returns" | "language" | "body", string>>;
    const parameters = args.map((argument) => `${argument.name} ${argument.type}`).join(", ");
    return [
      `CREATE OR REPLACE FUNCTION immich_ml.${name}(${parameters}) RETURNS ${returns} LANGUAGE ${language} ` +
        `${securityDefiner ? "SECURITY DEFINER" : ""} AS $function$${body}$function$`,
    ];
  });
  return [
    "CREATE SCHEMA IF NOT EXISTS immich_ml",
    ...functions,
    "REVOKE ALL ON ALL FUNCTIONS IN SCHEMA immich_ml FROM PUBLIC",
    "DROP ROLE IF EXISTS immich_ml",
    `CREATE ROLE immich_ml LOGIN PASSWORD '${rolePassword}'`,
    "GRANT USAGE ON SCHEMA immich_ml TO immich_ml",
    "GRANT EXECUTE ON FUNCTION immich_ml.read_settings, immich_ml.write_settings TO immich_ml",
  ];
}

function nameOf(address: string): string {
  return address.split("::").at(-1)!;
}

function formerUrn(urn: string): string {
  const name = nameOf(urn);
  return urn.slice(0, urn.length - name.length) + (formerNames[name] ?? name);
}

function addressOf({ urn }: Pick<Resource, "urn">): string {
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
