import Module from "node:module";
import path from "node:path";
import type { dynamic } from "@pulumi/pulumi";
import { repositoryFolder } from "../folders";
import type { Inputs, FakeProvider, FakeProviders } from "./provider";

/** A dynamic resource may add a name of its own to it: `pulumi-nodejs:dynamic/immich-ml:…`. */
export const dynamicType = "pulumi-nodejs:dynamic";

/** Calls the provider that a dynamic resource carries in its inputs, as the engine's plugin does. */
const dynamicResource: FakeProvider = {
  async make(wanted) {
    const provider = providerOf(wanted.inputs);
    const checked = await provider.check?.({}, wanted.inputs);
    const failures = checked?.failures ?? [];
    if (failures.length > 0)
      throw new Error(failures.map(({ property, reason }) => `${property}: ${reason}`).join("\n"));
    const inputs = { ...wanted.inputs, ...(checked?.inputs as Inputs | undefined) };
    const created = await provider.create(inputs);
    return { id: created.id, outputs: (created.outs ?? {}) as Inputs };
  },
  async remove(made) {
    const { __provider } = made.inputs;
    await providerOf(made.inputs).delete?.(made.id, { ...made.outputs, __provider });
  },
};

export const dynamicProviders: FakeProviders = { [dynamicType]: dynamicResource };

function providerOf(inputs: Inputs): dynamic.ResourceProvider {
  const file = path.join(repositoryFolder, "dynamic-provider.js");
  const module = new Module(file) as Module & { _compile(code: string, file: string): void };
  module.filename = file;
  module.paths = [path.join(repositoryFolder, "node_modules")];
  module._compile(inputs["__provider"] as string, file);
  return (module.exports as { handler(): dynamic.ResourceProvider }).handler();
}
