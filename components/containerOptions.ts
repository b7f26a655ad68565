import { createHash } from "node:crypto";

import type * as docker from "@pulumi/docker";
import type * as pulumi from "@pulumi/pulumi";

import { accelerators, type AcceleratorName } from "../catalog/accelerators";
import { fileLogDrivers } from "../catalog/logDrivers";
import { isNamespace } from "../catalog/networks";
import {
  acceleratorMounts,
  healthcheck,
  healthTest,
  limitedLog,
  type ServerArgs,
  startMinutes,
} from "./server";

/** How Docker asks whether the server works. */
export interface HealthcheckArgs {
  /** A command line for the container's shell, or a program and its arguments. @default the image's */
  test?: string | string[] | undefined;
  /** Seconds. @default 10 */
  interval?: number | undefined;
  /** Seconds. @default 10; 20 with NVIDIA cards */
  timeout?: number | undefined;
  /** Failures in a row that make it unhealthy. @default 3 */
  retries?: number | undefined;
  /** Seconds in which failures do not count. @default 120; 1800 where models are preloaded */
  startPeriod?: number | undefined;
}

/** What `docker run` has an option for; a service of a swarm takes none of it. */
export interface ContainerOptions {
  /** User, or `user:group`, by number or by a name in the image. @default the image's, which is root */
  user?: string | undefined;

  /** Groups beside the accelerator's, by number or by a name in the image. @default none */
  groups?: string[] | undefined;

  /** Networks to join beside `network`, under the same name. @default none */
  networks?: string[] | undefined;

  /** `false` for none. @default the image's own check with the intervals of {@link HealthcheckArgs} */
  healthcheck?: HealthcheckArgs | false | undefined;

  /**
   * The render node to compute on, such as `/dev/dri/renderD129`, in place of all of `/dev/dri`; then
   * no USB devices are passed on.
   *
   * @default all of them
   */
  renderNode?: string | undefined;

  /** MiB of swap beside `limits.memory`. @default as much as `limits.memory` */
  swap?: number | undefined;

  /** The CPU cores it may use, such as `0-3,6`. @default all */
  cpuset?: string | undefined;

  /** Where the log goes. @default three files of 10 MB */
  log?: { driver: string; options?: Record<string, string> | undefined } | undefined;

  /** Addresses by host name, for the container's `/etc/hosts`. @default none */
  extraHosts?: Record<string, string> | undefined;

  /** Addresses of name servers. @default the engine's */
  dns?: string[] | undefined;

  /** Limits by name, such as `{ nofile: { soft: 1024, hard: 4096 } }`. @default the engine's */
  ulimits?: Record<string, { soft: number; hard: number }> | undefined;

  /** MiB of `/dev/shm`. @default 64 */
  shmSize?: number | undefined;
}

type Args = ServerArgs & ContainerOptions;

/** The options as the Docker provider takes them; those left out are absent. */
export function containerOptions(args: Args): Partial<docker.ContainerArgs> {
  const { user, cpuset, extraHosts, dns, ulimits, shmSize } = args;
  return {
    ...(user !== undefined && { user }),
    ...(cpuset !== undefined && { cpuSet: cpuset }),
    ...(extraHosts && {
      hosts: Object.entries(extraHosts).map(([host, ip]) => ({ host, ip })),
    }),
    ...(dns && { dns }),
    ...(ulimits && {
      ulimits: Object.entries(ulimits).map(([name, limits]) => ({ name, ...limits })),
    }),
    ...(shmSize !== undefined && { shmSize }),
    ...logOptions(args),
  };
}

/**
 * A label of the options that the provider takes for Docker's own choice once they are left out: the container
 * of another value is replaced. None where none of them is given.
 */
export function optionsLabel(args: Args): Record<string, string> {
  const { command, user, cpuset, shmSize, swap, log, hardening } = args;
  const isUnlimited = hardening?.limitLog === false || undefined;
  const given = { command, user, cpuset, shmSize, swap, log, isUnlimited };
  const text = JSON.stringify(given);
  if (text === "{}") return {};
  return { "org.immich-ml.options": createHash("sha256").update(text).digest("hex").slice(0, 16) };
}

function logOptions({ log, hardening }: Args): Partial<docker.ContainerArgs> {
  const isLimited = hardening?.limitLog ?? true;
  if (!log) return isLimited ? { logDriver: limitedLog.driver, logOpts: limitedLog.options } : {};
  const limits = isLimited && fileLogDrivers.includes(log.driver) ? limitedLog.options : {};
  const logOpts = { ...limits, ...log.options };
  return { logDriver: log.driver, ...(Object.keys(logOpts).length > 0 && { logOpts }) };
}

/** Device nodes, mounts, rules and groups of the accelerator, or of one render node of it. */
export function acceleratorAccess(args: Args & { optionalMounts?: string[] | undefined }) {
  const { renderNode, groups = [], optionalMounts } = args;
  const accelerator = accelerators[args.accelerator ?? "cpu"];
  const paths = renderNode
    ? [renderNode, ...accelerator.devices.filter((path) => path !== "/dev/dri")]
    : accelerator.devices;
  const isWanted = ({ source }: { source: string }) => !renderNode || source !== "/dev/bus/usb";
  return {
    mounts: acceleratorMounts(args.accelerator, optionalMounts).filter(isWanted),
    devices: paths.map((path) => ({ hostPath: path, containerPath: path, permissions: "rwm" })),
    deviceCgroupRules: renderNode ? [] : [...accelerator.deviceCgroupRules],
    groupAdds: [...new Set([...accelerator.groups, ...groups])],
  };
}

/** Whether mounts depend on what the host has. */
export function hasOptionalMounts(
  accelerator: AcceleratorName | undefined,
  renderNode: string | undefined,
): boolean {
  return accelerators[accelerator ?? "cpu"].mounts.some(
    ({ optional, hostPath }) => optional && !(renderNode && hostPath === "/dev/bus/usb"),
  );
}

/** Networks, or the namespace of the host or of another container. */
export function networkOptions(
  network: pulumi.Input<string> | undefined,
  others: readonly string[] = [],
  alias: pulumi.Input<string>,
): Partial<docker.ContainerArgs> {
  if (network === undefined) return {};
  if (typeof network === "string" && isNamespace(network)) return { networkMode: network };
  return {
    networksAdvanced: [network, ...others].map((name) => ({ name, aliases: [alias] })),
  };
}

export function healthcheckOf(args: Args, variables: Record<string, string>, restart: string) {
  const { healthcheck: given } = args;
  if (given === false) return { tests: ["NONE"] };
  const { test, interval, timeout, retries, startPeriod } = given ?? {};
  const declared = {
    ...healthcheck,
    ...(test === undefined ? healthTest(args, restart) : { tests: commandOf(test) }),
  };
  return {
    tests: declared.tests,
    interval: interval === undefined ? declared.interval : durationOf(interval),
    timeout: timeout === undefined ? declared.timeout : durationOf(timeout),
    retries: retries ?? healthcheck.retries,
    startPeriod: durationOf(startPeriod ?? 60 * startMinutes(variables)),
  };
}

function commandOf(test: string | string[]): string[] {
  // As compose files have it.
  if (["CMD", "CMD-SHELL"].includes(test[0]!)) return test as string[];
  return typeof test === "string" ? ["CMD-SHELL", test] : ["CMD", ...test];
}

/** As the provider reads it back: `1h0m0s`, `2m0s`, `10s`. */
function durationOf(seconds: number): string {
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  const rest = `${seconds % 60}s`;
  if (hours > 0) return `${hours}h${minutes}m${rest}`;
  return minutes > 0 ? `${minutes}m${rest}` : rest;
}

/** `on-failure:5` as the provider takes it. */
export function restartOptions(restart: string): Partial<docker.ContainerArgs> {
  const [policy, attempts] = restart.split(":");
  return { restart: policy!, ...(attempts !== undefined && { maxRetryCount: Number(attempts) }) };
}
