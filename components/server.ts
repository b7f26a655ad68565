import { createHash } from "node:crypto";

import * as pulumi from "@pulumi/pulumi";

import { type AcceleratorName, accelerators } from "../catalog/accelerators";
import { type EnvironmentValue, isSecretVariable, renderEnvironment } from "../catalog/environment";
import { parseImmichVersion } from "../catalog/immichVersion";
import type { ModelSelection } from "../immich/modelSelection";
import type { CheckMode } from "../verify/check";

/*
 * What Immich's machine-learning server is given whichever way it runs: as a container of its own
 * (machineLearning.ts) or as the tasks of a service (machineLearningService.ts).
 */

export interface ResourceLimits {
  /** Main memory in MiB. @default no limit */
  memory?: pulumi.Input<number> | undefined;
  /** CPU cores, such as `1.5`. @default no limit */
  cpus?: pulumi.Input<number> | undefined;
}

/** What is withheld from the container; each is restored by its name. */
export interface Hardening {
  /** Forbids gaining privileges by set-user-id programs; no service can be told so. @default true */
  noNewPrivileges?: boolean | undefined;
  /** Drops all of root's capabilities. @default true */
  dropCapabilities?: boolean | undefined;
  /** Makes the image's file system unwritable; `/tmp` is kept in memory. @default false */
  readOnlyRoot?: boolean | undefined;
  /** Limits the log to three files of 10 MB. @default true */
  limitLog?: boolean | undefined;
  /**
   * Limits processes and threads to 4096, far above what the server has; no service can be told so.
   *
   * @default true
   */
  limitProcesses?: boolean | undefined;
}

export interface ServerArgs {
  /** Immich's version, such as `v2.7.5`. It decides which environment settings there are. */
  immichVersion: string;

  /** What the models are computed on. @default "cpu" */
  accelerator?: AcceleratorName | undefined;

  /** Name of the volume mounted at `/cache`. */
  cacheVolume: pulumi.Input<string>;

  /**
   * Settings of the ML server, by the names of `catalog/environment.ts` (`modelTtl`) or the
   * variables' own names. All are checked against the Immich version.
   */
  environment?: Record<string, EnvironmentValue> | undefined;

  /**
   * Variables as read from `.env` files, under their own names; `environment` overrides them. All
   * but the known harmless ones are kept secret.
   */
  environmentFile?: Record<string, pulumi.Input<string>> | undefined;

  /** The name the server answers to in its network. @default "immich-machine-learning" */
  networkAlias?: pulumi.Input<string> | undefined;

  limits?: ResourceLimits | undefined;

  hardening?: Hardening | undefined;

  /** Labels of the container, by name. */
  labels?: pulumi.Input<Record<string, pulumi.Input<string>>> | undefined;

  /** Whether a failed check of the accelerator fails the deployment. @default "enforce" */
  check?: CheckMode | undefined;

  /** The models Immich is told to use, which the check tries too. @default none */
  models?: ModelSelection | undefined;

  /**
   * Seconds the check waits for models that the server has to download first; 0 for only those that
   * are in the cache. Models that are missing after that are named, and do not fail the check.
   *
   * @default 120
   */
  modelDownload?: pulumi.Input<number> | undefined;

  /** Seconds the container has to become healthy. @default 600 */
  healthTimeout?: pulumi.Input<number> | undefined;

  /** The engine's address for the docker client that runs the check. @default the client's own */
  dockerHost?: pulumi.Input<string> | undefined;

  /** For an engine at `tcp://`: the folder with ca.pem, cert.pem and key.pem. @default none */
  tls?: pulumi.Input<string> | undefined;
}

/** The server's variables as its settings say them, and what is wrong with the settings. */
export function checkedEnvironment(args: ServerArgs): {
  readonly variables: Record<string, string>;
  readonly problems: string[];
} {
  const version = parseImmichVersion(args.immichVersion);
  if (!version) {
    const problem = `[immichVersion] ${args.immichVersion} is not a version such as v2.7.5`;
    return { variables: {}, problems: [problem] };
  }
  const rendered = renderEnvironment(args.environment ?? {}, version, args.accelerator ?? "cpu");
  return {
    variables: rendered.variables,
    problems: rendered.problems.map(({ name, message }) => `[environment] ${name}: ${message}`),
  };
}

/**
 * Every variable of the server by its name, in the order of the names: the files', overridden by what
 * the accelerator needs, overridden by the settings'. Each secret one is a secret of its own.
 */
export function serverEnvironment(
  args: ServerArgs,
  variables: Record<string, string>,
): [name: string, value: pulumi.Input<string>][] {
  const { environment } = accelerators[args.accelerator ?? "cpu"];
  return Object.entries({ ...args.environmentFile, ...environment, ...variables })
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([variable, value]) => [
      variable,
      isSecretVariable(variable) ? pulumi.secret(value) : value,
    ]);
}

/** The image's own health check; only its intervals are ours. */
export const healthcheck = {
  tests: ["CMD", "python3", "healthcheck.py"] as string[],
  interval: "10s",
  timeout: "10s",
  retries: 3,
};

/**
 * Minutes during which failed checks do not count. The server answers only after it has loaded, and
 * where they are missing downloaded, the models it is told to preload.
 */
export function startMinutes(variables: Record<string, string>): number {
  return Object.keys(variables).some((variable) => variable.includes("_PRELOAD_")) ? 30 : 2;
}

/** Three log files of 10 MB. */
export const limitedLog = { driver: "json-file", options: { "max-size": "10m", "max-file": "3" } };

export function labelList(labels: ServerArgs["labels"]) {
  return pulumi.output(labels ?? {}).apply((byName) =>
    Object.entries(byName)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([label, value]) => ({ label, value })),
  );
}

/** The accelerator's mounts of host files, less the optional ones that this host does not have. */
export function acceleratorMounts(
  accelerator: AcceleratorName | undefined,
  optionalMounts: readonly string[] = [],
) {
  return accelerators[accelerator ?? "cpu"].mounts
    .filter((mount) => !mount.optional || optionalMounts.includes(mount.hostPath))
    .map((mount) => ({
      type: "bind",
      source: mount.hostPath,
      target: mount.containerPath,
      readOnly: mount.readOnly,
    }));
}

/** A short word that changes with the text. */
export function fingerprint(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
