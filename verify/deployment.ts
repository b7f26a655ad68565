import { type AcceleratorName, isAcceleratorName } from "../catalog/accelerators";
import { run } from "../util/run";
import type { ModelCheck } from "./check";

/** A container or a service that a stack says it runs, as far as the stack's outputs tell. */
export interface DeployedHost {
  readonly host: string;
  readonly url: string;
  /** Nothing for a service of a swarm. */
  readonly containerName?: string;
  /** Nothing for a container of its own. */
  readonly serviceName?: string;
  readonly dockerHost: string;
  /** Folder of the certificates for an engine at `tcp://`. */
  readonly tls?: string | undefined;
  readonly accelerator: AcceleratorName;
  readonly runtime: string;
  /** What computed when it was last verified. */
  readonly executionProvider: string | undefined;
  /** What computed the models Immich is told to use; nothing where it is told none. */
  readonly models?: readonly ModelCheck[] | undefined;
}

export interface Deployment {
  readonly hosts: readonly DeployedHost[];
  /** What the stack declares of Immich's configuration, by dotted key; nothing without a preset. */
  readonly systemConfig: Readonly<Record<string, unknown>> | undefined;
}

/**
 * Reads a stack's outputs.
 *
 * @param stack its name; nothing for the selected one
 * @throws when there is no Pulumi engine or no such stack, with what to do
 */
export async function readDeployment(stack: string | undefined): Promise<Deployment> {
  const chosen = stack === undefined ? [] : ["--stack", stack];
  const ended = await run("pulumi", ["stack", "output", "--json", "--show-secrets", ...chosen]);
  if (ended.code === 127) {
    throw new Error(
      "there is no pulumi on the PATH; name a container instead: --container NAME --accelerator NAME",
    );
  }
  if (ended.code !== 0) throw new Error(`pulumi stack output: ${ended.stderr.trim()}`);
  return parseDeployment(ended.stdout);
}

/** Reads what `pulumi stack output --json` printed. */
export function parseDeployment(text: string): Deployment {
  const outputs = JSON.parse(text) as {
    machineLearning?: DeployedHost[];
    systemConfig?: Record<string, unknown>;
  };
  const hosts = outputs.machineLearning ?? [];
  if (hosts.length === 0) throw new Error("this stack runs nothing yet: pulumi up");
  return { hosts, systemConfig: outputs.systemConfig };
}

/** The container named on the command line, for one that no stack runs. */
export function namedContainer(options: {
  readonly container: string;
  readonly accelerator: string;
  readonly dockerHost: string;
}): DeployedHost {
  if (!isAcceleratorName(options.accelerator)) {
    throw new Error(`--accelerator ${options.accelerator} is no accelerator`);
  }
  return {
    host: options.container,
    url: "",
    containerName: options.container,
    dockerHost: options.dockerHost,
    accelerator: options.accelerator,
    runtime: "",
    executionProvider: undefined,
  };
}
