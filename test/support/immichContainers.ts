/*
 * `docker container inspect` of Immich as people run it, shortened to what is read.
 */

interface Options {
  readonly name: string;
  readonly image: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly networks?: Readonly<Record<string, readonly string[]>>;
  readonly mounts?: readonly object[];
  readonly running?: boolean;
  readonly health?: string;
  readonly ports?: Readonly<Record<string, readonly { HostIp: string; HostPort: string }[] | null>>;
  readonly networkMode?: string;
  readonly command?: readonly string[];
}

export function inspected(options: Options): object {
  const { name, image, environment = {}, labels = {}, networks = {}, mounts = [] } = options;
  return {
    Id: `id-of-${name}`,
    Name: `/${name}`,
    Image: `sha256:${name}`,
    State: {
      Status: options.running === false ? "exited" : "running",
      Running: options.running ?? true,
      ...(options.health && { Health: { Status: options.health, FailingStreak: 0 } }),
    },
    Config: {
      Image: image,
      Env: Object.entries(environment).map(([key, value]) => `${key}=${value}`),
      Cmd: options.command ?? null,
      Labels: labels,
    },
    HostConfig: { NetworkMode: options.networkMode ?? Object.keys(networks)[0] ?? "bridge" },
    Mounts: mounts,
    NetworkSettings: {
      Networks: Object.fromEntries(
        Object.entries(networks).map(([network, aliases]) => [network, { Aliases: aliases }]),
      ),
      Ports: options.ports ?? {},
    },
  };
}

export const databasePassword = `p'a"s $w\\o rd`;

/** Immich's own docker-compose.yml of v2.7.5 with the CUDA image, started by compose v2. */
export function composeImmich(
  change: {
    readonly server?: Partial<Options>;
    readonly machineLearning?: Partial<Options>;
    readonly project?: string;
  } = {},
): object[] {
  const { project = "immich" } = change;
  const labels = (service: string) => ({
    "com.docker.compose.project": project,
    "com.docker.compose.service": service,
    "com.docker.compose.project.config_files": `/srv/${project}/docker-compose.yml`,
  });
  const network = (service: string) => ({
    [`${project}_default`]: [service, `${project}_${service}`],
  });
  return [
    inspected({
      name: `${project}_server`,
      image: "ghcr.io/immich-app/immich-server:release",
      labels: { ...labels("immich-server"), "org.opencontainers.image.version": "v2.7.5" },
      environment: {
        DB_HOSTNAME: "database",
        DB_PASSWORD: databasePassword,
        DB_USERNAME: "postgres",
        DB_DATABASE_NAME: "immich",
        IMMICH_SOURCE_REF: "v2.7.5",
      },
      networks: network("immich-server"),
      health: "healthy",
      ...change.server,
    }),
    inspected({
      name: `${project}_machine_learning`,
      image: "ghcr.io/immich-app/immich-machine-learning:release-cuda",
      labels: labels("immich-machine-learning"),
      environment: {
        MACHINE_LEARNING_CACHE_FOLDER: "/cache",
        MACHINE_LEARNING_MODEL_TTL: "600",
        DEVICE: "cuda",
        DB_PASSWORD: databasePassword,
      },
      networks: network("immich-machine-learning"),
      mounts: [
        {
          Type: "volume",
          Name: `${project}_model-cache`,
          Source: "/var/lib/x",
          Destination: "/cache",
        },
      ],
      health: "unhealthy",
      ...change.machineLearning,
    }),
    inspected({
      name: `${project}_postgres`,
      image: "ghcr.io/immich-app/postgres:14-vectorchord0.4.3-pgvectors0.2.0",
      labels: labels("database"),
      networks: network("database"),
    }),
    inspected({
      name: `${project}_redis`,
      image: "docker.io/valkey/valkey:9",
      labels: labels("redis"),
      networks: network("redis"),
    }),
  ];
}
