import { parseArgs, type ParseArgsConfig } from "node:util";

import type { DeployedHost } from "../verify/deployment";
import { sanitizeLines } from "../util/sanitize";

type Options = NonNullable<ParseArgsConfig["options"]>;

const commonOptions = {
  stack: { type: "string" },
  help: { type: "boolean", default: false },
} as const;

interface Config<Own extends Options> {
  readonly options: Own & typeof commonOptions;
  readonly allowPositionals: boolean;
}

type Values<Own extends Options> = ReturnType<typeof parseArgs<Config<Own>>>["values"];

/** For a command that reaches an engine without a stack; rootless Docker is named by `DOCKER_HOST`. */
export const dockerHostOption = {
  type: "string",
  default: process.env["DOCKER_HOST"] || "unix:///var/run/docker.sock",
} as const;

/**
 * Reads the command line, runs a command and ends the process with its exit code; with 2 and the error's
 * message when it throws.
 *
 * @param command.options beside `--stack` and `--help`
 * @param command.allowPositionals whether names of hosts may follow
 */
export function runCommand<Own extends Options>(
  command: { usage: string; options: Own; allowPositionals: boolean },
  work: (values: Values<Own>, positionals: readonly string[]) => Promise<number>,
): void {
  const main = async () => {
    const { usage, allowPositionals } = command;
    const options = { ...command.options, ...commonOptions };
    const { values, positionals } = parseArgs<Config<Own>>({ options, allowPositionals });
    if ((values as { help: boolean }).help) {
      console.log(usage);
      return 0;
    }
    return work(values, positionals);
  };
  main().then(
    (code) => process.exit(code),
    (error: unknown) => {
      console.error(sanitizeLines((error as Error).message));
      process.exit(2);
    },
  );
}

/**
 * The hosts of those names, or all of them without any name.
 *
 * @throws when a name is unknown, with the known ones.
 */
export function chooseHosts(
  hosts: readonly DeployedHost[],
  names: readonly string[],
): readonly DeployedHost[] {
  const unknown = names.filter((name) => !hosts.some(({ host }) => host === name));
  if (unknown.length > 0) {
    const known = hosts.map(({ host }) => host).join(", ") || "none";
    throw new Error(`there is no host ${unknown.join(", ")}; there are: ${known}`);
  }
  return hosts.filter(({ host }) => names.length === 0 || names.includes(host));
}
