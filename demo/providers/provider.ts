import type { Log } from "../progress";

export type Inputs = Record<string, unknown>;

/** A resource that the program declares. */
export interface Wanted<ResourceInputs = Inputs> {
  type: string;
  name: string;
  inputs: ResourceInputs;
  /** The inputs of the resource's provider; empty for the default provider. */
  provider: Inputs;
}

/** A resource that was created. */
export interface Made {
  id: string;
  outputs: Inputs;
}

/** Creates and removes real resources of one type, in place of a Pulumi provider. */
export interface FakeProvider<ResourceInputs = Inputs> {
  make(wanted: Wanted<ResourceInputs>, log: Log): Promise<Made>;
  remove(made: Made & Wanted<ResourceInputs>, log: Log): Promise<void>;
}

/** Fake providers by type token. */
export type FakeProviders = Readonly<Record<string, FakeProvider>>;

/** Refuses inputs that the fake provider would ignore, so that no test passes without them. */
export function onlyInputs(wanted: Wanted<object>, known: readonly string[]): void {
  const unknown = Object.keys(wanted.inputs).filter((input) => !known.includes(input));
  if (unknown.length === 0) return;
  throw new Error(
    `${wanted.name}: without a Pulumi engine this demo cannot set ${unknown.join(", ")} ` +
      `of ${wanted.type}`,
  );
}
