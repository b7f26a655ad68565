import { z } from "zod";

import { environmentOf } from "../immich/serverVersion";
import { areOnlyMissing, lines, reasonOf } from "../util/docker";
import type { CommandResult } from "../util/run";

/*
 * The containers of an engine, as `docker container inspect` prints them, read leniently.
 */

const labels = z.record(z.string(), z.string()).nullish().catch({});
const list = z.array(z.string()).nullish().catch([]);

/** 0 where it is not limited. */
const amount = z.number().catch(0);

const hostConfig = z.object({
  NetworkMode: z.string().catch(""),
  Runtime: z.string().catch(""),
  DeviceRequests: z
    .array(z.object({ DeviceIDs: list }))
    .nullish()
    .catch([]),
  Memory: amount,
  NanoCpus: amount,
  CpusetCpus: z.string().catch(""),
  GroupAdd: list,
  ExtraHosts: list,
  Dns: list,
});

const container = z
  .object({
    Id: z.string(),
    Name: z.string(),
    Image: z.string().catch(""),
    State: z.object({
      Running: z.boolean().catch(false),
      Health: z.object({ Status: z.string() }).nullish().catch(undefined),
    }),
    Config: z.object({
      Image: z.string().catch(""),
      Env: list,
      Cmd: list,
      Labels: labels,
      User: z.string().catch(""),
    }),
    HostConfig: hostConfig.catch(hostConfig.parse({})),
    Mounts: z
      .array(
        z.object({
          Type: z.string(),
          Name: z.string().optional(),
          Source: z.string().catch(""),
          Destination: z.string(),
        }),
      )
      .nullish()
      .catch([]),
    NetworkSettings: z
      .object({
        Networks: z
          .record(
            z.string(),
            z.object({
              Aliases: list,
              IPAddress: z.string().catch(""),
              Gateway: z.string().catch(""),
            }),
          )
          .nullish()
          .catch({}),
        Ports: z
          .record(
            z.string(),
            z.array(z.object({ HostIp: z.string(), HostPort: z.string() })).nullish(),
          )
          .nullish()
          .catch({}),
      })
      .catch({ Networks: {}, Ports: {} }),
  })
  .transform(({ Id, Name, Image, State, Config, HostConfig, Mounts, NetworkSettings }) => ({
    id: Id,
    name: Name.replace(/^\//, ""),
    /** As it was asked for: name and tag. */
    image: Config.Image,
    imageId: Image,
    running: State.Running,
    /** Undefined without a health check. */
    health: State.Health?.Status,
    environment: environmentOf(Config.Env ?? []),
    command: Config.Cmd ?? [],
    labels: Config.Labels ?? {},
    networkMode: HostConfig.NetworkMode,
    /** As `docker run` was told; empty or 0 where it was not. */
    given: {
      user: Config.User,
      groups: HostConfig.GroupAdd ?? [],
      runtime: HostConfig.Runtime,
      /** The NVIDIA cards it asked for by number or UUID. */
      gpus: (HostConfig.DeviceRequests ?? []).flatMap(({ DeviceIDs }) => DeviceIDs ?? []),
      asksForGpus: (HostConfig.DeviceRequests ?? []).length > 0,
      /** Bytes. */
      memory: HostConfig.Memory,
      cpus: HostConfig.NanoCpus / 1e9,
      cpuset: HostConfig.CpusetCpus,
      extraHosts: HostConfig.ExtraHosts ?? [],
      dns: HostConfig.Dns ?? [],
    },
    mounts: (Mounts ?? []).map(({ Type, Name: volume, Source, Destination }) => ({
      target: Destination,
      path: Source,
      /** Undefined for a folder of the host. */
      volume: Type === "volume" ? volume : undefined,
    })),
    /** Its address on each network, and that of the host there. */
    addresses: Object.values(NetworkSettings.Networks ?? {}).flatMap(
      ({ IPAddress }) => IPAddress || [],
    ),
    gateways: Object.values(NetworkSettings.Networks ?? {}).flatMap(({ Gateway }) => Gateway || []),
    /** The container whose network it shares; undefined where it has its own. */
    sharedWith: undefined as string | undefined,
    /** The names it has on each network. */
    networks: Object.fromEntries(
      Object.entries(NetworkSettings.Networks ?? {}).map(([name, { Aliases }]) => [
        name,
        Aliases ?? [],
      ]),
    ),
    /** The host's address and port by the port inside. */
    published: Object.fromEntries(
      Object.entries(NetworkSettings.Ports ?? {}).flatMap(([inside, bindings]) =>
        bindings?.[0]
          ? [
              [
                inside.split("/")[0]!,
                { address: bindings[0].HostIp || "0.0.0.0", port: Number(bindings[0].HostPort) },
              ] as const,
            ]
          : [],
      ),
    ),
  }));

export type Container = z.infer<typeof container>;

/**
 * Reads all containers of an engine. One that ends while it is asked for is left out.
 *
 * @param ask runs the docker client
 * @throws with the client's reason
 */
export async function readContainers(
  ask: (...words: string[]) => Promise<CommandResult>,
): Promise<Container[]> {
  const listed = await ask("container", "ls", "--all", "--no-trunc", "--quiet");
  if (listed.code !== 0) throw new Error(`docker container: ${reasonOf(listed)}`);
  const ids = lines(listed.stdout);
  if (ids.length === 0) return [];
  const inspected = await ask("container", "inspect", ...ids);
  if (inspected.code !== 0 && !areOnlyMissing(inspected)) {
    throw new Error(`docker container: ${reasonOf(inspected)}`);
  }
  return parseContainers(inspected.stdout);
}

/**
 * Reads `docker container inspect NAME…`. One that is no container is left out.
 *
 * @throws when the answer is no list
 */
export function parseContainers(text: string): Container[] {
  const all = z
    .array(z.unknown())
    .parse(JSON.parse(text))
    .flatMap((each) => container.safeParse(each).data ?? []);
  return all.map((each) => onSharedNetwork(each, all));
}

/** With `network_mode: service:vpn` a container has the networks, names and ports of another. */
function onSharedNetwork(each: Container, all: readonly Container[]): Container {
  const other = /^container:(.+)$/.exec(each.networkMode)?.[1];
  const owner = other && all.find(({ id, name }) => id === other || name === other);
  if (!owner) return each;
  const { networks, addresses, gateways, networkMode, published } = owner;
  return {
    ...each,
    ...{ networks, addresses, gateways, networkMode, published },
    sharedWith: owner.name,
  };
}
