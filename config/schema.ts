import { isIP } from "node:net";

import { z } from "zod";

import { imageRegistries } from "../catalog/imageMirror";
import { parseImmichVersion } from "../catalog/immichVersion";
import { containerSettings, cpuset, networkName, restartPolicy } from "./containerSchema";
import { modelsSchema } from "./modelsSchema";
import {
  bounded,
  cores,
  dockerName,
  endpoint,
  hostFolder,
  imageReference,
  oneOf,
  text,
  tlsFolder,
  url,
  urlWithoutUser,
  volumeName,
  whole,
  yesOrNo,
} from "./values";

/*
 * The shape of a stack file; resolve.ts judges what several values mean together.
 */

const environmentValue = z
  .union([bounded(), z.number(), z.boolean()])
  .meta({ allowed: "text, a number, or true or false" });

const envFile = z
  .union([
    bounded().min(1),
    z.strictObject({ path: bounded().min(1), required: z.boolean().default(true) }),
  ])
  .meta({ allowed: "a path, or { path, required }" });

const gpuIds =
  "a list of GPU numbers or UUIDs as nvidia-smi -L prints them, such as [0, 1]; count: all gives every card";

/** Which NVIDIA GPUs of the host the container gets. */
const gpus = z
  .strictObject({
    count: z
      .union([z.int().min(1).max(16), z.literal("all")])
      .meta({ allowed: 'a whole number from 1 to 16, or "all"' })
      .optional(),
    ids: z
      .array(
        z
          .union([
            z.int().min(0).max(63),
            z.string().regex(/^(\d{1,2}|(GPU|MIG)-[\w/-]{1,80})(:\d+)*$/),
          ])
          .meta({ allowed: gpuIds }),
      )
      .min(1)
      .meta({ allowed: gpuIds })
      .optional(),
    cdi: z
      .array(text("a CDI device name such as nvidia.com/gpu=0", /^[^\s=/]+\/[^\s=/]+=[^\s=]+$/))
      .min(1)
      .meta({ allowed: "a list of CDI device names such as nvidia.com/gpu=0" })
      .optional(),
    runtime: oneOf("nvidia").optional(),
  })
  .meta({ allowed: "one of count, ids, cdi, such as { count: all }" });

/** Where the ML server keeps its models: a volume, or a folder of the host. */
const cache = z
  .strictObject({
    volume: volumeName.optional(),
    keep: yesOrNo.optional(),
    path: hostFolder.optional(),
  })
  .meta({ allowed: "{ path: /a/folder/of/the/host }, or { volume: name, keep: true or false }" })
  .default({});

/** What only a service on a Docker Swarm has. */
export const swarmSchema = z.strictObject({
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
        "a registry such as registry.lan:5000/immich, or { port, image } for one that runs on the swarm",
    })
    .optional(),
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
      .meta({ allowed: "a GPU's name, a compute capability such as 5.0, or auto" })
      .optional(),
    videoMemory: whole(256, 1_048_576, "MiB").optional(),
    imageVariant: text('a GPU family, or "official"').optional(),
    image: imageReference.optional(),
    gpus: gpus.optional(),
    containerName: dockerName.optional(),
    takeOver: dockerName.optional(),
    cache,
    cacheModels: text("the path of a folder with a file SHA256SUMS").optional(),
    restart: restartPolicy.default("always"),
    ...containerSettings,
    envFiles: z.array(envFile).meta({ allowed: "a list of paths" }).default([]),
    environment: z
      .record(z.string().max(128), environmentValue)
      .meta({ allowed: "an object of settings, such as { workers: 1 }" })
      .default({}),
    uncheckedEnvironment: z
      .record(z.string().max(128), environmentValue.transform(String))
      .meta({ allowed: "an object of variables, such as { NAME: value }" })
      .default({}),
    network: networkName.optional(),
    networkAlias: dockerName.optional(),
    publish: z
      .strictObject({
        address: text(
          "an address of the host itself, IPv4 or IPv6; Immich's ML has no authentication",
        ).refine((value) => isIP(value) !== 0),
        port: whole(1, 65_535, "port").default(3003),
      })
      .optional(),
    // Written into Immich's configuration, where every administrator reads it.
    url: urlWithoutUser.optional(),
    limits: z
      .strictObject({
        memory: whole(256, 16_777_216, "MiB").optional(),
        cpus: cores.optional(),
        swap: whole(0, 16_777_216, "MiB beside memory").optional(),
        cpuset: cpuset.optional(),
      })
      .default({}),
    hardening: z
      .strictObject({
        noNewPrivileges: yesOrNo.optional(),
        dropCapabilities: yesOrNo.optional(),
        readOnlyRoot: yesOrNo.optional(),
        limitLog: yesOrNo.optional(),
        limitProcesses: yesOrNo.optional(),
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
    host: text("a host name or address, without port, path and user; port stands apart")
      .refine((value) => isIP(value) !== 0 || /^\w([\w.-]*\w)?\.?$/.test(value))
      .optional(),
    port: whole(1, 65_535, "port").default(5432),
    name: text("the database's name").default("immich"),
    user: text("a database user").default("postgres"),
    // Of release 0.1.0. Accepted for one more release, and ignored.
    role: z
      .union([z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,62}$/), z.literal(false)])
      .meta({ allowed: "left out: the program creates no role any more" })
      .optional(),
    sslMode: oneOf("disable", "require", "verify-ca", "verify-full").default("disable"),
  })
  .meta({ allowed: "an object with container or host" });

/** For {@link immichSchema}'s version: the running server is asked. */
export const autoVersion = "auto";

export const immichSchema = z
  .strictObject({
    version: z
      .string()
      .refine((value) => value === autoVersion || parseImmichVersion(value) !== undefined)
      .meta({
        allowed:
          "the server's full version such as v2.7.5, or auto for what the server runs (a moving tag such as release changes unnoticed)",
      }),
    network: dockerName.optional(),
    dockerHost: endpoint.default("unix:///var/run/docker.sock"),
    tls: tlsFolder.optional(),
    serverContainer: dockerName.optional(),
    database: databaseSchema.optional(),
    api: z
      .strictObject({
        url: urlWithoutUser,
        caCertificate: text("the path of a PEM file").optional(),
      })
      .optional(),
  })
  .meta({ allowed: "an object with at least the server's version" });

/** Part of an image's reference, so it has no scheme; without a dot or port Docker takes it for a user of Docker Hub. */
const mirrorAddress = z
  .string()
  .max(255)
  .regex(/^(localhost|[a-zA-Z0-9-]+(?=[.:])[a-zA-Z0-9.-]*)(:\d{1,5})?(\/[a-z0-9._-]+)*\/?$/)
  .meta({ allowed: "a registry such as mirror.example:5000, without https://" });

const mirrorOfEach = z.strictObject(
  Object.fromEntries(imageRegistries.map((registry) => [registry, mirrorAddress.optional()])),
);

export const buildSchema = z.strictObject({
  pythonImage: imageReference.optional(),
  immichImage: imageReference.optional(),
  imageMirror: z
    .union([mirrorAddress, mirrorOfEach])
    .meta({
      allowed:
        "a registry that mirrors the originals, such as mirror.example:5000 (without https://; docker login takes a password), or one for each registry (docker.io, ghcr.io), such as { ghcr.io: mirror.example:5000 }",
    })
    .optional(),
  packageIndex: urlWithoutUser.optional(),
  aptMirror: urlWithoutUser.optional(),
  caCertificate: text("the path of a PEM file").optional(),
  httpProxy: url.optional(),
  httpsProxy: url.optional(),
  noProxy: text("host names separated by commas", /^[^\s@]([^@]*[^\s@])?$/).optional(),
});

/** The whole stack file: one entry per configuration key of the program. */
export const stackSchema = z.strictObject({
  hosts: z
    .array(hostSchema)
    .min(1)
    .meta({ allowed: "a list of at least one host, each with a name" }),
  immich: immichSchema,
  build: buildSchema.default({}),
  preset: text('the name of a model preset, or "none"').default("none"),
  models: modelsSchema.default({}),
  allowUnknownModels: yesOrNo.default(false),
  embeddings: oneOf("clear", "keep").default("clear"),
  onDestroy: oneOf("keepModel", "restoreModel").default("keepModel"),
  reindex: yesOrNo.default(false),
  redetectFacesLosingNames: yesOrNo.default(false),
  preflight: oneOf("enforce", "warn", "off").default("enforce"),
});

export type StackFile = z.infer<typeof stackSchema>;
export type SwarmEntry = z.infer<typeof swarmSchema>;
export type HostEntry = z.infer<typeof hostSchema>;
export type ImmichEntry = z.infer<typeof immichSchema>;
export type BuildEntry = z.infer<typeof buildSchema>;
