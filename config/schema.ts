import { isIP } from "node:net";

import { z } from "zod";

import { parseImmichVersion } from "../catalog/immichVersion";

/**
 * The shape of a stack file. What is said here about one value, its `allowed` text, is what a
 * person reads when the value is wrong; what several values mean together is in resolve.ts.
 */
const text = (allowed: string, pattern: RegExp = /^\S(.*\S)?$/) =>
  bounded().regex(pattern).meta({ allowed });

/** No longer than a path may be on Linux, and without what no name, path or address may hold. */
const bounded = () =>
  z
    .string()
    .max(4096, { abort: true })

    .regex(/^[^\u0000-\u001f\u007f]*$/);

const whole = (minimum: number, maximum: number, unit: string) =>
  z
    .int()
    .min(minimum)
    .max(maximum)
    .meta({ allowed: `a whole number from ${minimum} to ${maximum} (${unit})` });

const oneOf = <const Names extends readonly [string, ...string[]]>(...names: Names) =>
  z.enum(names).meta({ allowed: `one of ${names.join(", ")}` });

const cores = z.number().positive().max(1024).meta({ allowed: "a number above 0 (cores)" });

const yesOrNo = z.boolean().meta({ allowed: "true or false" });

const endpoint = text(
  "a Docker endpoint: unix:///path, ssh://user@host or tcp://host:port",
  /^(unix:\/\/\/|ssh:\/\/|tcp:\/\/)[^\s]+$/,
).refine((value) => value.startsWith("unix:") || isRemoteEndpoint(value));

/** The user and the host become words of an ssh command, and ssh may hand them to a shell. */
function isRemoteEndpoint(value: string): boolean {
  if (!URL.canParse(value)) return false;
  const { username, hostname } = new URL(value);
  return (
    /^(\w[\w.-]*|\[[0-9A-Fa-f:.]+\])$/.test(hostname) && /^(\w([\w.+\\-]|%40)*)?$/.test(username)
  );
}

const tlsFolder = text("the path of a folder with ca.pem, cert.pem and key.pem");
const dockerName = text(
  "letters, digits, '_', './load' and '-', beginning with a letter or digit",
  /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/,
);
const url = text("a URL that begins with http:// or https://", /^https?:\/\/[^\s/]\S*$/).refine(
  (value) => URL.canParse(value),
);
const urlWithoutUser = url
  .refine((value) => !/^https?:\/\/[^/]*@/.test(value))
  .meta({ allowed: "a URL that begins with http:// or https://, without a user or password" });
const imageReference = text(
  "an image reference such as name:tag or name@sha256:…",
  /^[a-z0-9][a-z0-9._/:-]*(:\w[\w.-]{0,127})?(@sha256:[0-9a-f]{64})?$/,
);

const environmentValue = z
  .union([bounded(), z.number(), z.boolean()])
  .meta({ allowed: "text, a number, or true or false" });

const envFile = z
  .union([
    bounded().min(1),
    z.strictObject({ path: bounded().min(1), required: z.boolean().default(true) }),
  ])
  .meta({ allowed: "a path, or { path, required }" });

/** Which NVIDIA cards of the host the container is given. */
const gpus = z
  .strictObject({
    count: z
      .union([z.int().min(1).max(16), z.literal("all")])
      .meta({ allowed: 'a whole number from 1 to 16, or "all"' })
      .optional(),
    ids: z
      .array(z.union([bounded(), z.int()]))
      .min(1)
      .meta({ allowed: "a list of card numbers or UUIDs as nvidia-smi -L prints them" })
      .optional(),
    cdi: z
      .array(text("a CDI device name such as nvidia.com/gpu=0", /^[^\s=/]+\/[^\s=/]+=[^\s=]+$/))
      .min(1)
      .meta({ allowed: "a list of CDI device names such as nvidia.com/gpu=0" })
      .optional(),
  })
  .meta({ allowed: "one of count, ids, cdi" });

/** What a service on a Docker Swarm is told that a container is not. */
export const swarmSchema = z
  .strictObject({
    replicas: whole(1, 1000, "tasks").default(2),
    nodeLabels: z
      .record(z.string().regex(/^[\w][\w.-]*$/), text("a label's value", /^[\w][\w.-]*$/))
      .meta({ allowed: "an object of node labels, such as { gpu: maxwell }" })
      .default({}),
    genericResources: z
      .record(z.string().regex(/^[\w][\w.-]*$/), whole(1, 1000, "for each task"))
      .meta({ allowed: "an object of the nodes' generic resources, such as { NVIDIA-GPU: 1 }" })
      .default({}),
    reservations: z
      .strictObject({
        memory: whole(16, 16_777_216, "MiB").optional(),
        cpus: cores.optional(),
      })
      .meta({ allowed: "an object: { memory, cpus }" })
      .default({}),
    updateOrder: oneOf("start-first", "stop-first").default("start-first"),
    endpointMode: oneOf("vip", "dnsrr").default("vip"),
    registry: z
      .union([
        z.string().regex(/^[a-z0-9][a-z0-9.-]*(:\d{1,5})?(\/[a-z0-9._-]+)*$/),
        z.strictObject({
          port: z.int().min(1).max(65_535).default(5000),
          image: imageReference.optional(),
        }),
      ])
      .meta({
        allowed:
          "a registry such as registry.lan:5000/immich, or { port, image } for one that is run on the swarm",
      })
      .optional(),
  })
  .meta({
    allowed:
      "an object: { replicas, nodeLabels, genericResources, reservations, updateOrder, endpointMode, registry }",
  });

export const hostSchema = z
  .strictObject({
    name: text(
      "lower-case letters, digits and '-', at most 40, beginning with a letter",
      /^[a-z][a-z0-9-]{0,39}$/,
    ),
    dockerHost: endpoint.default("unix:///var/run/docker.sock"),
    placement: oneOf("container", "swarm").default("container"),
    swarm: swarmSchema.optional(),
    tls: tlsFolder.optional(),
    accelerator: text("the name of an accelerator").optional(),
    gpu: z
      .union([bounded().min(1), z.number()])
      .meta({ allowed: "a card's name, a compute capability such as 5.0, or auto" })
      .optional(),
    videoMemory: whole(256, 1_048_576, "MiB").optional(),
    runtime: text('a GPU family, or "official"').optional(),
    image: imageReference.optional(),
    gpus: gpus.optional(),
    containerName: dockerName.optional(),
    cacheVolume: dockerName.optional(),
    keepCache: yesOrNo.default(true),
    cacheModels: text("the path of a folder with a file SHA256SUMS").optional(),
    restart: oneOf("no", "on-failure", "always", "unless-stopped").default("always"),
    envFiles: z.array(envFile).meta({ allowed: "a list of paths" }).default([]),
    environment: z
      .record(z.string().max(128), environmentValue)
      .meta({ allowed: "an object of settings, such as { workers: 1 }" })
      .default({}),
    network: dockerName.optional(),
    networkAlias: dockerName.optional(),
    publish: z
      .strictObject({
        address: text(
          "an address of the host itself, IPv4 or IPv6; Immich's ML has no authentication",
        ).refine((value) => isIP(value) !== 0),
        port: whole(1, 65_535, "port").default(3003),
      })
      .meta({ allowed: "an object: { address, port }" })
      .optional(),
    // Written into Immich's configuration, where every administrator reads it.
    url: urlWithoutUser.optional(),
    limits: z
      .strictObject({
        memory: whole(256, 16_777_216, "MiB").optional(),
        cpus: cores.optional(),
      })
      .meta({ allowed: "an object: { memory, cpus }" })
      .default({}),
    hardening: z
      .strictObject({
        noNewPrivileges: yesOrNo.optional(),
        dropCapabilities: yesOrNo.optional(),
        readOnlyRoot: yesOrNo.optional(),
        limitLog: yesOrNo.optional(),
        limitProcesses: yesOrNo.optional(),
      })
      .meta({
        allowed:
          "an object: { noNewPrivileges, dropCapabilities, readOnlyRoot, limitLog, limitProcesses }",
      })
      .default({}),
    check: oneOf("enforce", "warn", "off").default("enforce"),
    modelDownload: whole(0, 86_400, "seconds").default(120),
    healthTimeout: whole(10, 86_400, "seconds").default(600),
  })
  .meta({ allowed: "an object with at least a name" });

const databaseSchema = z
  .strictObject({
    container: dockerName.optional(),
    host: text("a host name or address").optional(),
    port: whole(1, 65_535, "port").default(5432),
    name: text("the database's name").default("immich"),
    user: text("a database user").default("postgres"),
    // Of release 0.1.0. Accepted for one more release, and ignored.
    role: z
      .union([z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,62}$/), z.literal(false)])
      .meta({ allowed: "left out: no role is made any more" })
      .optional(),
    sslMode: oneOf("disable", "require", "verify-ca", "verify-full").default("disable"),
  })
  .meta({ allowed: "an object with container or host" });

export const immichSchema = z
  .strictObject({
    version: z
      .string()
      .refine((value) => parseImmichVersion(value) !== undefined)
      .meta({
        allowed:
          "the server's full version such as v2.7.5 (moving tags such as release change unseen)",
      }),
    network: dockerName.optional(),
    dockerHost: endpoint.default("unix:///var/run/docker.sock"),
    tls: tlsFolder.optional(),
    serverContainer: dockerName.optional(),
    database: databaseSchema.optional(),
    api: z.strictObject({ url: urlWithoutUser }).meta({ allowed: "an object: { url }" }).optional(),
  })
  .meta({ allowed: "an object with at least the server's version" });

export const buildSchema = z
  .strictObject({
    pythonImage: imageReference.optional(),
    immichImage: imageReference.optional(),
    imageMirror: text(
      "a registry that mirrors the originals, such as mirror.example:5000",
    ).optional(),
    // It stays readable in the image's history.
    packageIndex: urlWithoutUser.optional(),
    aptMirror: url.optional(),
    caCertificate: text("the path of a PEM file").optional(),
    httpProxy: url.optional(),
    httpsProxy: url.optional(),
    noProxy: text("host names separated by commas").optional(),
  })
  .meta({ allowed: "an object; see the README's table of settings" });

/** The whole stack file: one entry per configuration key of the program. */
export const stackSchema = z.strictObject({
  hosts: z
    .array(hostSchema)
    .min(1)
    .meta({ allowed: "a list of at least one host, each with a name" }),
  immich: immichSchema,
  build: buildSchema.default({}),
  preset: text('the name of a model preset, or "none"').default("none"),
  models: z.record(z.string(), z.unknown()).meta({ allowed: "an object" }).default({}),
  allowUnknownModels: yesOrNo.default(false),
  embeddings: oneOf("clear", "keep").default("clear"),
  reindex: yesOrNo.default(false),
  redetectFacesLosingNames: yesOrNo.default(false),
  preflight: oneOf("enforce", "warn", "off").default("enforce"),
});

export type StackFile = z.infer<typeof stackSchema>;
export type SwarmEntry = z.infer<typeof swarmSchema>;
export type HostEntry = z.infer<typeof hostSchema>;
export type ImmichEntry = z.infer<typeof immichSchema>;
export type BuildEntry = z.infer<typeof buildSchema>;
