import { existsSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";

/*
 * Where the stacks lie: in a folder of their own, which `setup` makes, or in this checkout.
 */

/** The folder of stack file, state and passphrase: `IMMICH_ML_HOME`, or ~/.immich-ml. */
export function homeFolder(environment: NodeJS.ProcessEnv = process.env): string {
  return environment["IMMICH_ML_HOME"] || path.join(homedir(), ".immich-ml");
}

/** The stack that `setup` makes; `PULUMI_STACK` names another. */
export const homeStack = "home";

/** The file with the passphrase of the stacks in that folder. */
export function passphraseFile(home: string): string {
  return path.join(home, "passphrase");
}

/** What leads the Pulumi engine to the stacks. */
export interface EngineContext {
  /** The folder of Pulumi.yaml; undefined for the one the command runs in. */
  readonly folder: string | undefined;
  /** The engine asks for a passphrase only where none of this says it. */
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * Without a stack in the home folder it is the checkout, with the passphrase file that
 * docs/pulumi.md advises.
 *
 * @param checkout this repository's folder
 */
export function engineContext(
  checkout: string,
  environment: NodeJS.ProcessEnv = process.env,
): EngineContext {
  const home = homeFolder(environment);
  const isHome = existsSync(path.join(home, "Pulumi.yaml"));
  const file = isHome ? passphraseFile(home) : path.join(checkout, ".pulumi-passphrase");
  const isGiven = ["PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"].some(
    (name) => environment[name] !== undefined,
  );
  return {
    folder: isHome ? home : undefined,
    environment: {
      ...(!isGiven && existsSync(file) && { PULUMI_CONFIG_PASSPHRASE_FILE: file }),
      ...(isHome && !environment["PULUMI_STACK"] && { PULUMI_STACK: homeStack }),
    },
  };
}
