import type { Say } from "../progress";

export type Inputs = Record<string, unknown>;

/** A resource that a program asks for. */
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

/** Creates one type of resource for real, and removes it. */
export interface FakeProvider<ResourceInputs = Inputs> {
  make(wanted: Wanted<ResourceInputs>, say: Say): Promise<Made>;
  remove(made: Made & Wanted<ResourceInputs>, say: Say): Promise<void>;
}

/** FakeProviders by type token. */
export type FakeProviders = Readonly<Record<string, FakeProvider>>;

/** Refuses inputs a fakeProvider would have to ignore: a silent difference shows nothing. */
export function onlyInputs(wanted: Wanted<object>, known: readonly string[]): void {
  const unknown = Object.keys(wanted.inputs).filter((input) => !known.includes(input));
  if (unknown.length === 0) return;
  throw new Error(
    `${wanted.name}: without a Pulumi engine this demo cannot set ${unknown.join(", ")} ` +
      `of ${wanted.type}`,
  );
}
