import path from "node:path";

import { type AcceleratorName, acceleratorNames, isAcceleratorName } from "../catalog/accelerators";
import { readSaved } from "../util/readSaved";
import { run } from "../util/run";
import { sanitize } from "../util/sanitize";
import { engineContext } from "../util/stackFolder";
import { type ModelCheck, parseStored } from "./check";

/** A container or a service that a stack runs, from the stack's outputs. */
export interface DeployedHost {
  readonly host: string;
  readonly url: string;
  /** Absent for a service of a swarm. */
  readonly containerName?: string;
  /** Absent for a container. */
  readonly serviceName?: string;
  readonly dockerHost: string;
  /** Folder of the certificates for an engine at `tcp://`. */
  readonly tls?: string | undefined;
  readonly accelerator: AcceleratorName;
  readonly runtime: string;
  /** What computed in the last check. */
  readonly executionProvider: string | undefined;
  /** The models Immich uses in the last check; absent where the stack declares none. */
  readonly models?: readonly ModelCheck[] | undefined;
}

export interface Deployment {
  readonly hosts: readonly DeployedHost[];
  /** Immich's settings that the stack declares, by dotted key; undefined without a preset. */
  readonly systemConfig: Readonly<Record<string, unknown>> | undefined;
}

/**
 * Runs a command of the Pulumi engine and returns its output.
 *
 * @param stack its name; undefined for the selected one
 * @throws when there is no engine, or with the first line of the engine's message; all of it is the cause
 */
export function askEngine(stack: string | undefined, ...words: string[]): Promise<string> {
  return readSaved(() => askOnce(stack, words));
}

async function askOnce(stack: string | undefined, words: readonly string[]): Promise<string> {
  const chosen = stack === undefined ? [] : ["--stack", stack];
  const { folder, environment } = engineContext(path.join(__dirname, ".."));
  const there = folder === undefined ? [] : ["--cwd", folder];
  const parameters = [...words, "--non-interactive", ...there, ...chosen];
  const ended = await run("pulumi", parameters, { environment });
  if (ended.code === 127) {
    throw new Error(
      "there is no pulumi on the PATH (npm run check -- --container NAME does without)",
    );
  }
  if (ended.code !== 0) {
    throw new Error(`pulumi ${words[0]}: ${sanitize(ended.stderr.trim().split("\n")[0]!)}`, {
      cause: ended.stderr,
    });
  }
  return ended.stdout;
}

/**
 * Reads a stack's outputs.
 *
 * @param stack its name; undefined for the selected one
 * @throws when there is no Pulumi engine or no such stack, with what to do
 */
export async function readDeployment(stack: string | undefined): Promise<Deployment> {
  return parseDeployment(await askEngine(stack, "stack", "output", "--json", "--show-secrets"));
}

/** Reads what `pulumi config --json` printed; the result looks up a value by its key in our namespace. */
export function parseConfig(text: string): (key: string) => unknown {
  const config = JSON.parse(text) as Record<string, ConfigValue | undefined>;
  return (key) => {
    const { value, objectValue } = config[`immich-ml:${key}`] ?? {};
    if (objectValue !== undefined || value === undefined) return objectValue;
    return /^\s*[[{]/.test(value) ? (JSON.parse(value) as unknown) : value;
  };
}

interface ConfigValue {
  readonly value?: string;
  readonly objectValue?: unknown;
}

/** Reads what `pulumi stack output --json` printed. */
export function parseDeployment(text: string): Deployment {
  const outputs = parseStored(text) as {
    machineLearning?: DeployedHost[];
    systemConfig?: Record<string, unknown>;
  };
  const hosts = outputs.machineLearning ?? [];
  if (hosts.length === 0) throw new Error("this stack runs nothing yet: pulumi up");
  return { hosts, systemConfig: outputs.systemConfig };
}

/**
 * A container that is named on the command line and that no stack runs.
 *
 * @throws when there is no such accelerator.
 */
export function namedContainer(options: {
  readonly container: string;
  readonly accelerator: string;
  readonly dockerHost: string;
}): DeployedHost {
  if (!isAcceleratorName(options.accelerator)) {
    throw new Error(
      `--accelerator ${options.accelerator} must be one of: ${acceleratorNames.join(", ")}`,
    );
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
