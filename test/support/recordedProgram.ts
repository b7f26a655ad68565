import { readFileSync } from "node:fs";

import * as pulumi from "@pulumi/pulumi";
import { parse } from "yaml";

/** One resource as the program declared it. */
export interface RecordedResource {
  readonly type: string;
  readonly name: string;
  readonly inputs: Record<string, unknown>;
}

/** The result of a program on Pulumi's mocks. */
export interface Recording {
  readonly resources: RecordedResource[];
  /** The URN of every resource. */
  readonly urns: string[];
  readonly outputs: Record<string, unknown>;
}

/** The configuration in a stack file. */
export function stackConfiguration(path: string): Record<string, unknown> {
  return (parse(readFileSync(path, "utf8")) as { config: Record<string, unknown> }).config;
}

/**
 * Runs index.ts on Pulumi's mocks.
 *
 * @returns its resources in the order of their types and names, their URNs and the outputs
 */
export async function recordProgram(
  stack: string,
  config: Readonly<Record<string, unknown>>,
): Promise<Recording> {
  const resources: RecordedResource[] = [];
  await pulumi.runtime.setMocks(
    {
      newResource: ({ type, name, inputs }) => {
        resources.push({ type, name, inputs: inputs as Record<string, unknown> });
        return { id: `${name}-id`, state: stateOf(type, name, inputs as Record<string, unknown>) };
      },
      call: ({ inputs }) => inputs as Record<string, unknown>,
    },
    "immich-ml",
    stack,
    false,
    "organization",
  );
  pulumi.runtime.setAllConfig(
    Object.fromEntries(
      Object.entries(config).map(([key, value]) => [
        key,
        typeof value === "string" ? value : JSON.stringify(value),
      ]),
    ),
  );
  const { default: program } = await import("../../index.js");
  const outputs = await resolved(pulumi.output(await program()));
  const order = (resource: RecordedResource) => `${resource.type} ${resource.name}`;
  resources.sort((left, right) => (order(left) < order(right) ? -1 : 1));
  const monitor = pulumi.runtime.getMonitor() as unknown as {
    getRegisteredResources(): Map<string, unknown>;
  };
  return { resources, urns: [...monitor.getRegisteredResources().keys()].sort(), outputs };
}

/** Inputs and outputs, as the providers would return them. */
function stateOf(type: string, name: string, inputs: Record<string, unknown>) {
  if (type === "docker:index/remoteImage:RemoteImage") {
    return { ...inputs, imageId: `sha256:${name}` };
  }
  if (type === "command:local:Command") {
    const provider = "CUDAExecutionProvider";
    const checked = (inputs["environment"] as Record<string, string>)["IMMICH_ML_MODELS"] ?? "";
    const models = checked.split(",").map((model) => ({ model, parts: [], notVerified: "mocked" }));
    const check = { ok: true, provider, devices: [], models };
    return { ...inputs, stdout: JSON.stringify(check), stderr: "" };
  }
  return inputs;
}

function resolved<T>(output: pulumi.Output<T>): Promise<T> {
  return new Promise((resolve) => output.apply(resolve));
}
