import { readFileSync } from "node:fs";
import { join } from "node:path";

import * as pulumi from "@pulumi/pulumi";

import { type AcceleratorName, accelerators } from "../catalog/accelerators";
import { entriesByName } from "../util/entriesByName";
import type { Problem } from "../util/problem";
import { hasCredentials } from "../util/sanitize";
import {
  type EnvironmentValue,
  holdsCredential,
  isSecretVariable,
  renderEnvironment,
  servicePort,
} from "../catalog/renderEnvironment";
import { atLeast, parseImmichVersion } from "../catalog/immichVersion";
import { formatProblem } from "../config/errors";
import type { ModelSelection } from "../immich/modelSelection";
import type { CheckMode } from "../verify/check";

/*
 * What a container (machineLearning.ts) and the tasks of a service (machineLearningService.ts) have
 * in common.
 */

/** How the docker client reaches the provider's engine. */
export interface DockerClientArgs {
  /** Its address, as in the provider's `host`. @default the client's own */
  dockerHost?: pulumi.Input<string> | undefined;

  /** For an address `tcp://…`: the folder with ca.pem, cert.pem and key.pem. @default none */
  tls?: pulumi.Input<string> | undefined;
}

/** A folder of the host in place of a volume; for containers only. */
export interface CacheArgs {
  /** Absolute path. Docker makes a folder that is absent, as root's. */
  cacheFolder?: pulumi.Input<string> | undefined;
}

export interface ResourceLimits {
  /** Main memory in MiB. @default no limit */
  memory?: pulumi.Input<number> | undefined;
  /** CPU cores, such as `1.5`. @default no limit */
  cpus?: pulumi.Input<number> | undefined;
}

/** What the container must not do; each can be allowed by its name. */
export interface Hardening {
  /** Forbids gaining privileges by set-user-id programs; not for services. @default true */
  noNewPrivileges?: boolean | undefined;
  /** Drops all of root's capabilities. @default true */
  dropCapabilities?: boolean | undefined;
  /** Makes the image's file system read-only; `/tmp` is kept in memory. @default false */
  readOnlyRoot?: boolean | undefined;
  /** Limits the log to three files of 10 MB. @default true */
  limitLog?: boolean | undefined;
  /** Limits processes and threads to 4096, far above what the server has; not for services. @default true */
  limitProcesses?: boolean | undefined;
}

export interface ServerArgs extends DockerClientArgs {
  /** Immich's version, such as `v2.7.5`. It decides which environment settings there are. */
  immichVersion: string;

  /** What the models are computed on: a name of `catalog/accelerators.ts`. @default "cpu" */
  accelerator?: AcceleratorName | undefined;

  /**
   * The container's command. {@link gracefulCommand} is that of Immich's own images whose requests under
   * way are answered when it is stopped.
   *
   * @default the image's own
   */
  command?: string[] | undefined;

  /** Name of the volume mounted at `/cache`, in place of `cacheFolder`. */
  cacheVolume?: pulumi.Input<string> | undefined;

  /**
   * Settings of the ML server, by the names of `catalog/environment.ts` (`modelTtl`) or the
   * variables' own names. All are checked against the Immich version.
   *
   * @default the server's own defaults
   */
  environment?: Record<string, EnvironmentValue> | undefined;

  /**
   * Variables read from `.env` files, under their own names; `environment` overrides them. All but
   * the known harmless ones are kept secret.
   *
   * @default none
   */
  environmentFile?: Record<string, pulumi.Input<string>> | undefined;

  /**
   * Variables that nothing checks, under their own names. They win over all others.
   *
   * @default none
   */
  uncheckedEnvironment?: Record<string, string> | undefined;

  /** The server's name in its network. @default "immich-machine-learning" */
  networkAlias?: pulumi.Input<string> | undefined;

  /** The most that a container or task may use. @default no limit */
  limits?: ResourceLimits | undefined;

  /** @default see each field */
  hardening?: Hardening | undefined;

  /** Labels of the container, by name. @default none */
  labels?: pulumi.Input<Record<string, pulumi.Input<string>>> | undefined;

  /** Whether a failed check of the accelerator fails the deployment. @default "enforce" */
  check?: CheckMode | undefined;

  /** The models Immich is configured to use, which the check runs, too. @default one that is in the cache */
  models?: ModelSelection | undefined;

  /**
   * Seconds the check waits for models that the server has to download first; 0 for only those that
   * are in the cache. The check names models that are still missing, and does not fail.
   *
   * @default 120
   */
  modelDownload?: pulumi.Input<number> | undefined;

  /** Seconds the container has to become healthy. @default 600 */
  healthTimeout?: pulumi.Input<number> | undefined;
}

/**
 * Renders `environment`.
 *
 * @param problems what is wrong with other arguments
 * @returns the server's variables
 * @throws a line for each problem: the component, the argument, its value, what is allowed
 */
export function checkedEnvironment(
  name: string,
  args: ServerArgs,
  problems: readonly Problem[],
): Record<string, string> {
  const { immichVersion, environment = {}, accelerator = "cpu" } = args;
  const version = parseImmichVersion(immichVersion);
  const rendered = version && renderEnvironment(environment, version, accelerator);
  const allProblems: Problem[] = [
    ...cacheProblems(args),
    ...(rendered?.problems ?? []).map((problem) => ({
      key: `environment.${problem.name}`,
      expected: problem.message,
    })),
    ...problems,
  ];
  if (!version) {
    const expected = "must be a version such as v2.7.5";
    allProblems.push({ key: "immichVersion", value: immichVersion, expected });
  }
  if (!rendered || allProblems.length > 0) {
    throw new Error(allProblems.map((problem) => formatProblem(problem, name)).join("\n"));
  }
  return rendered.variables;
}

function cacheProblems({ cacheVolume, cacheFolder }: CacheArgs & ServerArgs): Problem[] {
  if ((cacheVolume === undefined) !== (cacheFolder === undefined)) return [];
  return [{ key: "cacheVolume", expected: "or cacheFolder must be given, one of them" }];
}

/**
 * The server's variables, sorted by name: those of the files, overridden by what the accelerator
 * needs, overridden by the settings'. Each secret one is a secret of its own.
 */
export function serverEnvironment(
  args: ServerArgs,
  variables: Record<string, string>,
): [name: string, value: pulumi.Input<string>][] {
  const { environment } = accelerators[args.accelerator ?? "cpu"];
  const declared = { ...environment, ...variables, ...args.uncheckedEnvironment };
  return entriesByName({ ...args.environmentFile, ...declared }).map(([variable, value]) => {
    const isAddress = typeof value === "string" && hasCredentials(value);
    // What is declared stands in the stack file in clear.
    const isSecret = Object.hasOwn(declared, variable) ? holdsCredential : isSecretVariable;
    return [variable, isAddress || isSecret(variable) ? pulumi.secret(value) : value];
  });
}

/** The port the server listens on. */
export function portOf(args: ServerArgs, variables: Record<string, string>): pulumi.Output<number> {
  return pulumi
    .output(args.environmentFile ?? {})
    .apply((fromFile) =>
      servicePort({ ...fromFile, ...variables }, parseImmichVersion(args.immichVersion)!),
    );
}

/**
 * Starts the server of Immich's own image as the images built here do; undefined for a release that starts
 * in another way.
 */
export function gracefulCommand(immichVersion: string): string[] | undefined {
  const version = parseImmichVersion(immichVersion);
  if (!version || !atLeast(version, "1.131.0")) return undefined;
  return ["python", "-c", readFileSync(join(__dirname, "../image/serve.py"), "utf8")];
}

/** Seconds to answer the requests under way; image/serve.py stops 5 s before. */
export const stopSeconds = 30;

/** Docker's health check with intervals of ours. */
export const healthcheck = { interval: "10s", timeout: "10s", retries: 3 };

/** Seconds between two questions to the driver of NVIDIA's cards. */
const secondsBetweenQuestions = 50;

/**
 * The image's own health check; with NVIDIA cards it also asks whether a new process reaches them, and ends the
 * server where Docker then starts it with its cards again.
 *
 * @param restart the container's restart policy
 */
export function healthTest({ accelerator }: ServerArgs, restart: string) {
  if (accelerator !== "cuda") return { tests: ["CMD", "python3", "healthcheck.py"] };
  const program = readFileSync(join(__dirname, "../verify/gpuHealthcheck.py"), "utf8");
  const isRestarted = ["always", "unless-stopped"].includes(restart);
  const parameters = [String(secondsBetweenQuestions), ...(isRestarted ? ["restart"] : [])];
  // Some drivers need a while to wake their cards.
  return { tests: ["CMD", "python3", "-c", program, ...parameters], timeout: "20s" };
}

/**
 * Minutes during which failed health checks do not count. The server answers only after it has
 * loaded, and perhaps downloaded, the models it has to preload.
 */
export function startMinutes(variables: Record<string, string>): number {
  return Object.keys(variables).some((variable) => variable.includes("_PRELOAD_")) ? 30 : 2;
}

/** Three log files of 10 MB. */
export const limitedLog = { driver: "json-file", options: { "max-size": "10m", "max-file": "3" } };

/** Labels as the Docker provider takes them, sorted by name. */
export function labelList(labels: ServerArgs["labels"]) {
  return pulumi
    .output(labels ?? {})
    .apply((byName) => entriesByName(byName).map(([label, value]) => ({ label, value })));
}

/** The accelerator's mounts of host files, without the optional ones that this host lacks. */
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
