import { z } from "zod";

/** What Docker reports of a container. */
export interface ContainerInfo {
  readonly id: string;
  readonly name: string;
  readonly running: boolean;
  readonly labels: Readonly<Record<string, string>>;
  /** Its address in each of its networks, by the network's name. */
  readonly addresses: Readonly<Record<string, string>>;
  /** Ports published on the engine's host, by the port inside, such as `5432`. */
  readonly published: Readonly<Record<string, { readonly address: string; readonly port: number }>>;
}

/** Reads `docker container inspect NAME`. */
export function parseContainer(text: string): ContainerInfo | undefined {
  return parseContainers(text)[0];
}

/** Reads `docker container inspect NAME…`. */
export function parseContainers(text: string): ContainerInfo[] {
  return (inspected.safeParse(parseJson(text)).data ?? []).map(factsOf);
}

function factsOf(container: z.infer<typeof inspected>[number]): ContainerInfo {
  const { Networks, Ports } = container.NetworkSettings;
  return {
    id: container.Id,
    name: container.Name.replace(/^\//, ""),
    running: container.State.Running,
    labels: container.Config.Labels,
    addresses: Object.fromEntries(
      Object.entries(Networks).flatMap(([name, { IPAddress }]) =>
        IPAddress ? [[name, IPAddress]] : [],
      ),
    ),
    published: Object.fromEntries(
      Object.entries(Ports).flatMap(([port, bindings]) =>
        bindings
          .slice(0, 1)
          .map(({ HostIp, HostPort }) => [
            port.replace(/\/.*/s, ""),
            { address: HostIp, port: Number(HostPort) },
          ]),
      ),
    ),
  };
}

/** What is absent, null or of another type counts as not reported. */
const inspected = z.array(
  z.object({
    Id: z.string(),
    Name: z.string().catch(""),
    State: z.object({ Running: z.boolean().catch(false) }).catch({ Running: false }),
    Config: z.object({ Labels: z.record(z.string(), z.string()).catch({}) }).catch({ Labels: {} }),
    NetworkSettings: z
      .object({
        Networks: z
          .record(
            z.string(),
            z.object({ IPAddress: z.string().catch("") }).catch({ IPAddress: "" }),
          )
          .catch({}),
        Ports: z
          .record(
            z.string(),
            z
              .array(z.object({ HostIp: z.string(), HostPort: z.string().regex(/^\d{1,5}$/) }))
              .catch([]),
          )
          .catch({}),
      })
      .catch({ Networks: {}, Ports: {} }),
  }),
);

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
