import type { Say } from "../narration";

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
export interface Maker<ResourceInputs = Inputs> {
  make(wanted: Wanted<ResourceInputs>, say: Say): Promise<Made>;
  remove(made: Made & Wanted<ResourceInputs>, say: Say): Promise<void>;
}

/** Makers by type token. */
export type Makers = Readonly<Record<string, Maker>>;

/** Refuses inputs a maker would have to ignore: a silent difference proves nothing. */
export function onlyInputs(wanted: Wanted<object>, known: readonly string[]): void {
  const unknown = Object.keys(wanted.inputs).filter((input) => !known.includes(input));
  if (unknown.length === 0) return;
  throw new Error(
    `${wanted.name}: without a Pulumi engine this rehearsal cannot set ${unknown.join(", ")} ` +
      `of ${wanted.type}`,
  );
}
