import { describe, expect, it } from "vitest";

import { readSettings } from "../../config/read";
import { databaseFiles, serverDatabase } from "../../immich/serverDatabase";
import { versionOfImage } from "../../immich/serverVersion";
import { defaultAnswers } from "../../setup/ask";
import { parseContainers } from "../../setup/containers";
import { findImmich, type Manager } from "../../setup/findImmich";
import { remarksOn } from "../../setup/look";
import { makePlan, type Situation } from "../../setup/plan";

/*
 * Immich as people's compose files, app stores and Docker's own command line start it, and what setup makes of it.
 */

interface Options {
  readonly name: string;
  readonly image?: string;
  readonly service?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly env?: readonly string[];
  readonly running?: boolean;
  /** By network: the address there. */
  readonly networks?: Readonly<Record<string, string>>;
  readonly mode?: string;
  readonly mounts?: readonly object[];
  readonly open?: readonly [inside: number, address: string, port: number];
  readonly user?: string;
  readonly host?: object;
  readonly files?: string;
  readonly folder?: string;
}

function container(options: Options): object {
  const { name, image = "busybox", service, labels, env = [], networks = {}, open, host } = options;
  const project = service && {
    "com.docker.compose.project": "immich",
    "com.docker.compose.service": service,
    "com.docker.compose.project.config_files": options.files ?? "/opt/immich/docker-compose.yml",
    "com.docker.compose.project.working_dir": options.folder ?? "/opt/immich",
  };
  return {
    Id: `id-of-${name}`,
    Name: `/${name}`,
    Image: `sha256:${name}`,
    State: { Running: options.running ?? true },
    Config: { Image: image, Env: env, User: options.user ?? "", Labels: { ...project, ...labels } },
    HostConfig: { NetworkMode: options.mode ?? Object.keys(networks)[0] ?? "none", ...host },
    Mounts: options.mounts ?? [],
    NetworkSettings: {
      Networks: Object.fromEntries(
        Object.entries(networks).map(([network, IPAddress]) => [
          network,
          { Aliases: service ? [name, service] : null, IPAddress },
        ]),
      ),
      Ports: open ? { [`${open[0]}/tcp`]: [{ HostIp: open[1], HostPort: String(open[2]) }] } : {},
    },
  };
}

const own = { immich_default: "" };
type Change = Partial<Options>;

const server = (change: Change = {}) =>
  container({
    name: "immich_server",
    image: "ghcr.io/immich-app/immich-server:v2.7.5",
    service: "immich-server",
    networks: own,
    ...change,
  });
const learning = (change: Change = {}) =>
  container({
    name: "immich_machine_learning",
    image: "ghcr.io/immich-app/immich-machine-learning:v2.7.5-cuda",
    service: "immich-machine-learning",
    networks: own,
    mounts: [{ Type: "volume", Name: "models", Source: "/v", Destination: "/cache" }],
    ...change,
  });
const database = (change: Change = {}) =>
  container({
    name: "immich_postgres",
    image: "ghcr.io/immich-app/postgres:14-vectorchord0.4.3",
    service: "database",
    networks: own,
    ...change,
  });

function search(list: readonly object[]) {
  const found = findImmich(parseContainers(JSON.stringify(list)));
  if (!found.ok) throw new Error(found.message);
  return found.value;
}

const gpu = (index: number, name: string, videoMemory: number) => ({
  index,
  uuid: `GPU-${index}`,
  name,
  driver: "535.183.01",
  videoMemory,
  computeCapability: "6.1",
});
const cards = [gpu(0, "NVIDIA GeForce GTX 1060 6GB", 6144)];

/** What setup writes, which the program itself takes. */
function planned(list: readonly object[], change: Partial<Situation> = {}) {
  const situation: Situation = {
    immich: search(list),
    version: "v2.7.5",
    dockerHost: "unix:///var/run/docker.sock",
    machine: "attic",
    gpus: cards,
    gpuProblem: undefined,
    imageEnvironment: {},
    models: { clip: "ViT-B-32__openai", photos: 10 },
    ...change,
  };
  const { config, notes } = makePlan(situation, defaultAnswers(situation));
  const { problems } = readSettings(
    { ...config, immich: { ...(config["immich"] as object), version: situation.version } },
    { project: "immich-ml", stack: "home", secrets: { databasePassword: "x" } },
  );
  expect(problems).toEqual([]);
  return {
    host: (config["hosts"] as Record<string, unknown>[])[0]!,
    immich: config["immich"] as Record<string, unknown>,
    notes: notes.join("\n"),
  };
}

/** Without a preset, nothing tells Immich another address. */
const unmanaged = { gpus: [] };
const urlOf = (url: string) => ({ env: [`IMMICH_MACHINE_LEARNING_URL=${url}`] });

describe("the address that Immich asks stays, where no preset tells it another", () => {
  const underOwnName = [server(urlOf("http://immich_machine_learning:3003")), learning()];

  it("the old container's name", () => {
    expect(planned(underOwnName, unmanaged).host).toMatchObject({
      takeOver: "immich_machine_learning",
      networkAlias: "immich_machine_learning",
    });
    expect(planned([...underOwnName, database()]).host).not.toHaveProperty("networkAlias");
  });

  it("the name of its service, with its own port", () => {
    const old = learning({
      name: "ix-ml-1",
      service: "machine-learning",
      env: ["IMMICH_PORT=32002"],
    });
    const { host } = planned([server(urlOf("http://machine-learning:32002")), old], unmanaged);
    expect(host).toMatchObject({
      networkAlias: "machine-learning",
      environment: { port: "32002" },
    });
  });

  it("a port of the host, though the container is of another compose project", () => {
    const old = learning({ networks: { remote_default: "" }, open: [3003, "0.0.0.0", 3003] });
    const { host } = planned([server(urlOf("http://192.168.1.20:3003")), old], unmanaged);
    expect(host).toMatchObject({
      takeOver: "immich_machine_learning",
      publish: { address: "192.168.1.20", port: 3003 },
    });
  });

  it("a port of its own on the host's network", () => {
    const shared = { networks: { host: "" }, mode: "host" };
    const old = learning({ ...shared, env: ["IMMICH_PORT=3013"] });
    const { host } = planned(
      [server({ ...shared, ...urlOf("http://127.0.0.1:3013") }), old],
      unmanaged,
    );
    expect(host["publish"]).toEqual({ address: "127.0.0.1", port: 3013 });
  });

  it("and where it leads elsewhere, a note says so", () => {
    const list = [server(urlOf("http://192.168.1.50:3003"))];
    expect(planned(list, unmanaged).notes).toMatch(
      /asks http:\/\/192\.168\.1\.50:3003 .*new address/,
    );
    const fixed = learning({ networks: { immich_default: "172.22.0.5" } });
    const byAddress = planned([server(urlOf("http://172.22.0.5:3003")), fixed], unmanaged);
    expect(byAddress.notes).toMatch(/asks http:\/\/172\.22\.0\.5:3003 .*new address/);
    const urls = ["http://immich-machine-learning:3003", "http://192.168.1.50:3003"];
    const { notes } = planned([server(), learning(), database()], {
      models: { clip: "ViT-B-32__openai", photos: 10, urls },
    });
    expect(notes).toMatch(/asks http:\/\/192\.168\.1\.50:3003 .*this host alone/);
    expect(planned([server(), learning(), database()]).notes).toBe("");
  });
});

describe("networks", () => {
  it("one that is shared with a sidecar is the sidecar's", () => {
    const sidecar = container({ name: "ts-immich", service: "ts-immich", networks: own });
    const behind = server({ networks: {}, mode: "container:id-of-ts-immich" });
    const { host, immich } = planned([sidecar, behind, learning(), database()]);
    expect(immich).toMatchObject({
      network: "immich_default",
      database: { container: "immich_postgres" },
    });
    expect(host["takeOver"]).toBe("immich_machine_learning");
    expect(host).not.toHaveProperty("publish");
  });

  it("where all share one, the new container shares it, too", () => {
    const holder = container({ name: "holder", service: "holder", networks: own });
    const shared = { networks: {}, mode: "container:id-of-holder" };
    const env = ["DB_HOSTNAME=localhost", "IMMICH_MACHINE_LEARNING_URL=http://localhost:3003"];
    const { host, immich } = planned([
      holder,
      server({ ...shared, env }),
      learning(shared),
      database(shared),
    ]);
    expect(host).toMatchObject({
      takeOver: "immich_machine_learning",
      network: "container:holder",
      url: "http://localhost:3003",
    });
    expect(immich["database"]).toEqual({ container: "holder" });
  });

  it("the one of the database goes before a reverse proxy's", () => {
    const { immich } = planned([server({ networks: { proxy: "", ...own } }), database()]);
    expect(immich["network"]).toBe("immich_default");
  });

  it("the database is found by its address, and by Docker's name for the host", () => {
    const env = ["DB_HOSTNAME=172.22.0.4"];
    const fixed = database({ networks: { immich_default: "172.22.0.4" } });
    expect(search([server({ env }), fixed]).databaseContainer?.name).toBe("immich_postgres");
    const published = database({ networks: { other: "" }, open: [5432, "0.0.0.0", 5433] });
    const byHost = server({ env: ["DB_HOSTNAME=host.docker.internal", "DB_PORT=5433"] });
    expect(search([byHost, published]).databaseContainer?.name).toBe("immich_postgres");
  });

  it("a server on Docker's bridge is not given the host's loopback", () => {
    const bridged = server({
      networks: { bridge: "172.17.0.2" },
      env: ["DB_HOSTNAME=192.168.1.10"],
    });
    const { host } = planned([bridged, database({ networks: {}, open: [5432, "0.0.0.0", 5432] })]);
    expect(host["publish"]).toEqual({ address: "192.168.1.10", port: 3003 });
  });
});

describe("of several containers", () => {
  it("the server that answers requests, not the one with the jobs or one left behind", () => {
    const jobs = server({
      name: "worker",
      service: "jobs",
      env: ["IMMICH_WORKERS_INCLUDE=microservices"],
    });
    expect(search([jobs, server()]).server.name).toBe("immich_server");
    const without = server({
      name: "worker",
      service: "jobs",
      env: ["IMMICH_WORKERS_EXCLUDE=api"],
    });
    expect(search([without, server()]).server.name).toBe("immich_server");
    expect(search([server({ name: "old", running: false }), server()]).server.name).toBe(
      "immich_server",
    );
  });

  it("the machine learning that runs and that Immich asks; the others are named", () => {
    const stopped = learning({ name: "cpu", running: false });
    const other = learning({ name: "gpu", service: "ml-gpu" });
    expect(planned([server(), stopped, other, database()]).host["takeOver"]).toBe("gpu");
    const both = planned([server(), other, learning(), database()]);
    expect(both.host["takeOver"]).toBe("immich_machine_learning");
    expect(both.notes).toMatch(/^gpu runs, too/m);
  });

  it("a container of Swarm or Kubernetes is refused, since its name changes", () => {
    const refused = (label: string) => () => search([server({ labels: { [label]: "x" } })]);
    expect(refused("com.docker.swarm.task.id")).toThrow(/Swarm.*immich\.api/);
    expect(refused("io.kubernetes.pod.name")).toThrow(/Kubernetes.*immich\.api/);
  });
});

describe("what the old container was given", () => {
  const kept = (change: Change, more: Partial<Situation> = {}) =>
    planned([server(), learning(change), database()], more);

  it("user, groups, limits, addresses and name servers stay", () => {
    const host = {
      GroupAdd: ["992"],
      Memory: 4 * 1024 ** 3,
      NanoCpus: 2e9,
      CpusetCpus: "0-3",
      ExtraHosts: ["hf.lan:192.168.1.5", "six.lan:[fd00::5]"],
      Dns: ["192.168.1.1"],
    };
    expect(kept({ user: "1000:1000", host }).host).toMatchObject({
      user: "1000:1000",
      groups: [992],
      limits: { memory: 4096, cpus: 2, cpuset: "0-3" },
      extraHosts: { "hf.lan": "192.168.1.5", "six.lan": "fd00::5" },
      dns: ["192.168.1.1"],
    });
    expect(Object.keys(kept({ user: "root" }).host)).toEqual(["name", "gpu", "takeOver", "cache"]);
  });

  it("NVIDIA's runtime and the chosen card stay", () => {
    const runtime = { Runtime: "nvidia", DeviceRequests: null };
    expect(kept({ host: runtime }).host["gpus"]).toEqual({ runtime: "nvidia" });
    const gpus = [
      gpu(0, "NVIDIA GeForce GTX 1070", 8192),
      gpu(1, "NVIDIA GeForce GTX 1060 6GB", 6144),
    ];
    const one = { DeviceRequests: [{ Driver: "nvidia", DeviceIDs: ["1"] }] };
    expect(kept({ host: one }, { gpus }).host).toMatchObject({
      gpu: "GeForce GTX 1060 6GB",
      gpus: { ids: [1] },
    });
    expect(kept({}, { gpus }).host["gpus"]).toEqual({ ids: [0] });
  });

  it("variables of the runtimes below Immich stay, but none that something else decides", () => {
    const env = [
      "HF_HUB_DOWNLOAD_TIMEOUT=60",
      "OMP_NUM_THREADS=4",
      "https_proxy=http://192.168.1.9:3128",
    ];
    const decided = [
      "NVIDIA_VISIBLE_DEVICES=all",
      "PATH=/opt",
      "LD_PRELOAD=x.so",
      "HSA_USE_SVM=0",
      "DB_PASSWORD=geheim",
    ];
    const { host } = kept({ env: [...env, ...decided] });
    expect(host["environment"]).toEqual({
      HF_HUB_DOWNLOAD_TIMEOUT: "60",
      OMP_NUM_THREADS: "4",
      https_proxy: "http://192.168.1.9:3128",
    });
    const secret = kept({ env: ["https_proxy=http://me:geheim@192.168.1.9:3128"] });
    expect(JSON.stringify(secret)).not.toContain("geheim");
    expect(secret.notes).toContain("https_proxy");
  });

  it("labels and another accelerator are named", () => {
    const labels = { "com.centurylinklabs.watchtower.enable": "false" };
    expect(kept({ labels }).notes).toContain("com.centurylinklabs.watchtower.enable");
    expect(kept({ labels }, { imageLabels: labels }).notes).toBe("");
    const image = "ghcr.io/immich-app/immich-machine-learning:v2.7.5-openvino";
    expect(kept({ image }).notes).toContain("accelerator: openvino");
    expect(kept({ image }, { gpus: [] }).host["accelerator"]).toBe("openvino");
  });

  it("Docker's own folder of a volume is that volume", () => {
    const mounts = [
      { Type: "bind", Source: "/var/lib/docker/volumes/m/_data", Destination: "/cache" },
    ];
    expect(kept({ mounts }).host["cache"]).toEqual({ volume: "m" });
  });
});

it.each<[string, Manager]>([
  ["/var/lib/casaos/apps/immich/docker-compose.yml", "app platform"],
  ["/etc/komodo/stacks/immich/compose.yaml", "app platform"],
  ["/data/coolify/services/abc/docker-compose.yml", "app platform"],
  ["/home/umbrel/umbrel/app-data/immich/docker-compose.yml", "app platform"],
  ["/opt/runtipi/apps/immich/docker-compose.yml", "app platform"],
  ["/opt/stacks/immich/compose.yaml", "compose"],
])("who manages %s: %s", (files, manager) => {
  expect(search([server({ files })]).manager).toBe(manager);
});

it("compose of version 1 noted a file by its name alone", () => {
  const v1 = server({ files: "docker-compose.yml", folder: "/home/me/immich" });
  expect(search([v1]).composeFiles).toEqual(["/home/me/immich/docker-compose.yml"]);
});

it("what Immich's start script reads from files is read from them", () => {
  const environment = {
    DB_USERNAME_FILE: "/run/secrets/user",
    DB_URL_FILE: "/run/secrets/url",
    DB_PASSWORD_FILE: "/p",
  };
  expect(databaseFiles(environment)).toEqual({
    DB_USERNAME: "/run/secrets/user",
    DB_URL: "/run/secrets/url",
  });
});

it.each([
  ["postgres://u:p@db.lan/immich?sslmode=no-verify", "require"],
  ["postgres://u:p@db.lan/immich?ssl=true", "verify-full"],
  ["postgres://u:p@db.lan/immich?sslmode=require&uselibpqcompat=true", "require"],
  ["postgres://u:p@db.lan/immich", "disable"],
])("%s is encrypted as %s", (url, expected) => {
  expect(serverDatabase({ DB_URL: url }).sslMode).toBe(expected);
});

it.each([
  ["DB_HOSTNAME", "/run/postgresql"],
  ["DB_URL", "socket:/run/postgresql?db=immich"],
])("a socket is refused by the variable's name: %s=%s", (name, value) => {
  expect(() => serverDatabase({ [name]: value })).toThrow(
    new RegExp(`^${name} of the server names a socket`),
  );
});

it.each([
  "ghcr.io/martabal/immich:cuda",
  "vcxpz/immich:latest",
  "ghcr.io/imagegenius/immich:latest",
])("%s holds everything but the database", (image) => {
  expect(search([server({ image, service: "photos" })]).isAllInOne).toBe(true);
});

it("other makers count their own builds behind Immich's release", () => {
  const labels = { "org.opencontainers.image.version": "v2.7.5-ig481" };
  expect(versionOfImage({ image: "x", labels, environment: {} })).toBe("v2.7.5");
});

it("Podman is known by more than its name, and Docker beside crun is Docker", () => {
  const podman = { ServerVersion: "5.4.2", BuildahVersion: "1.39.3", DockerRootDir: "/srv/podman" };
  expect(() => remarksOn(podman)).toThrow(/Podman/);
  const docker = {
    ServerVersion: "27.5.1",
    DockerRootDir: "/var/lib/docker",
    Runtimes: { crun: {} },
  };
  expect(remarksOn(docker)).toEqual([]);
  expect(remarksOn({ ...docker, OperatingSystem: "OrbStack" }).join("")).toMatch(/Mac/);
});
