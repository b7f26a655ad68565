import { z } from "zod";

import { environmentOf } from "../immich/serverVersion";

/*
 * The containers of an engine, as `docker container inspect` prints them, read leniently.
 */

const labels = z.record(z.string(), z.string()).nullish().catch({});
const list = z.array(z.string()).nullish().catch([]);

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
    }),
    HostConfig: z.object({ NetworkMode: z.string().catch("") }).catch({ NetworkMode: "" }),
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
          .record(z.string(), z.object({ Aliases: list }))
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
    mounts: (Mounts ?? []).map(({ Type, Name: volume, Source, Destination }) => ({
      target: Destination,
      path: Source,
      /** Undefined for a folder of the host. */
      volume: Type === "volume" ? volume : undefined,
    })),
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
 * Reads `docker container inspect NAME…`. One that is no container is left out.
 *
 * @throws when the answer is no list
 */
export function parseContainers(text: string): Container[] {
  return z
    .array(z.unknown())
    .parse(JSON.parse(text))
    .flatMap((each) => container.safeParse(each).data ?? []);
}
