import { isIP } from "node:net";

import { z } from "zod";

import { logDriverNames } from "../catalog/logDrivers";
import { dockerName, oneOf, text, whole } from "./values";

/*
 * What a host's entry may say of its container as `docker run` does; a swarm's services have none of it.
 */

const seconds = (minimum: number) => whole(minimum, 86_400, "seconds").optional();

const name = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/);

/** A user or group by number or by name; YAML reads a number alone as such. */
const account = z
  .union([
    z.int().min(0).max(4_294_967_294),
    z.string().regex(/^[a-z_][a-z0-9_-]{0,31}$|^\d{1,10}$/),
  ])
  .meta({ allowed: "a group by number or name" })
  .transform(String);

const userAndGroup = /^([a-z_][a-z0-9_-]{0,31}|\d{1,10})(:([a-z_][a-z0-9_-]{0,31}|\d{1,10}))?$/;

const scalar = z.union([z.string().max(4096), z.number(), z.boolean()]).transform(String);

const addressOf = z
  .string()
  .refine((value) => isIP(value) !== 0)
  .meta({ allowed: "addresses of name servers" });

const hostAddress = z
  .union([addressOf, z.literal("host-gateway")])
  .meta({ allowed: "an address such as 192.168.1.5, or host-gateway" });

const limit = z
  .union([
    z
      .int()
      .min(-1)
      .transform((value) => ({ soft: value, hard: value })),
    z
      .strictObject({ soft: z.int().min(-1), hard: z.int().min(-1) })
      .refine(({ soft, hard }) => hard === -1 || (soft !== -1 && soft <= hard)),
  ])
  .meta({ allowed: "a whole number (-1 for no limit), or { soft, hard } with soft at most hard" });

/** Those that Docker knows. */
const limitNames = [
  "core",
  "cpu",
  "data",
  "fsize",
  "locks",
  "memlock",
  "msgqueue",
  "nice",
  "nofile",
  "nproc",
  "rss",
  "rtprio",
  "rttime",
  "sigpending",
  "stack",
] as const;

export const containerSettings = {
  user: z
    .union([z.int().min(0).max(4_294_967_294), z.string().regex(userAndGroup)])
    .meta({ allowed: 'a user, or a user and group, such as 1000 or "1000:1000"' })
    .transform(String)
    .optional(),
  groups: z
    .array(account)
    .meta({ allowed: "a list of groups by number or name, such as [992]" })
    .optional(),
  networks: z
    .array(dockerName)
    .meta({
      allowed:
        "a list of further networks' names; a container has a name there (networkAlias), and no fixed address",
    })
    .optional(),
  labels: z
    .record(z.string().regex(/^[^\s=]+$/), scalar)
    .meta({ allowed: "an object of labels, such as { com.example.update: false }" })
    .default({}),
  healthcheck: z
    .union([
      z.literal(false),
      z.literal("off").transform(() => false as const),
      z.strictObject({
        test: z
          .union([z.string().min(1).max(4096), z.array(z.string().max(4096)).min(1)])
          .refine((test) => test[0] !== "NONE")
          .meta({
            allowed:
              "a command line, or a list of a program and its arguments; healthcheck: off switches it off",
          })
          .optional(),
        interval: seconds(1),
        timeout: seconds(1),
        retries: whole(1, 1000, "failures").optional(),
        startPeriod: seconds(0),
      }),
    ])
    .meta({
      allowed: "off, or { test, interval, timeout, retries, startPeriod } with times in seconds",
    })
    .optional(),
  renderNode: text(
    "a render node such as /dev/dri/renderD129",
    /^\/dev\/dri\/renderD\d{1,4}$/,
  ).optional(),
  log: z
    .strictObject({
      driver: oneOf(...logDriverNames),
      options: z
        .record(name, scalar)
        .meta({ allowed: "an object of the driver's options, such as { max-size: 10m }" })
        .optional(),
    })
    .meta({ allowed: "an object with driver, and options" })
    .optional(),
  extraHosts: z
    .record(name, hostAddress)
    .meta({ allowed: "an object of addresses by host name, such as { immich.lan: 192.168.1.5 }" })
    .optional(),
  dns: z
    .array(addressOf)
    .min(1)
    .meta({ allowed: "a list of addresses of name servers" })
    .optional(),
  ulimits: z
    .partialRecord(z.enum(limitNames), limit)
    .meta({
      allowed: "an object of limits, such as { nofile: 4096 } or { nofile: { soft, hard } }",
    })
    .optional(),
  shmSize: whole(1, 1_048_576, "MiB").optional(),
};

export const restartPolicy = text(
  "one of no, on-failure, on-failure:5 (at most so many times), always, unless-stopped",
  /^(no|on-failure(:[1-9]\d{0,3})?|always|unless-stopped)$/,
);

export const cpuset = text(
  "CPU cores such as 0-3,6",
  /^\d{1,4}(-\d{1,4})?(,\d{1,4}(-\d{1,4})?)*$/,
).refine((cores) =>
  cores.split(",").every((range) => {
    const [first, last = first] = range.split("-").map(Number);
    return first! <= last!;
  }),
);

/** Of a host: a network with names, or another's. */
export const networkName = text(
  "a network's name, host, or container:<name>; networks lists further ones",
  /^(container:)?[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/,
);
