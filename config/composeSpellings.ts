/**
 * What docker compose calls things, and what they are called here. Compose's names that mean the same
 * here (`user`, `labels`, `dns`, …) are not listed.
 */
const spellings: Readonly<Record<string, string>> = {
  annotations: "labels",
  attach: "leave it out",
  blkio_config: "there is no such setting; limits has memory, swap, cpus and cpuset",
  build: "imageVariant chooses an image that is built; image names any other",
  cap_add: "hardening: { dropCapabilities: false } keeps root's capabilities",
  cap_drop: "hardening.dropCapabilities drops all of them, which is the default",
  cgroup: "there is no such setting",
  cgroup_parent: "there is no such setting",
  command: "the image's own command runs; for another one, name an image of your own in image",
  configs: "envFiles for variables; the server reads no other files",
  container_name: "containerName",
  cpu_count: "limits.cpus",
  cpu_percent: "limits.cpus",
  cpu_period: "limits.cpus",
  cpu_quota: "limits.cpus",
  cpu_rt_period: "limits.cpus",
  cpu_rt_runtime: "limits.cpus",
  cpus: "limits.cpus",
  cpuset: "limits.cpuset",
  cpu_shares: "limits.cpus",
  depends_on: "leave it out: machine learning waits for no other service",
  deploy: "gpus: { count: 1 } or { ids: [0] } for devices, limits for resources",
  device_cgroup_rules: "accelerator adds them",
  devices:
    "accelerator adds its devices; renderNode chooses one of several render nodes, and gpus: { cdi: [nvidia.com/gpu=all] } names CDI devices",
  dns_opt: "there is no such setting; dns names name servers",
  dns_search: "there is no such setting; dns names name servers",
  entrypoint: "the image's own runs; for another one, name an image of your own in image",
  env_file: "envFiles: [.env]",
  domainname: "networkAlias",
  expose: "leave it out: containers on one network reach each other's ports",
  extends: "accelerator adds what hwaccel.ml.yml says of it",
  external_links: "network",
  extra_hosts: "extraHosts: { name: address }",
  group_add: "groups: [992]",
  "healthcheck.disable": "healthcheck: off, for an image of your own",
  "healthcheck.start_interval": "there is no such setting; interval is the only one",
  "healthcheck.start_period": "startPeriod: 60 (seconds)",
  hostname: "networkAlias",
  "gpus.capabilities": "leave it out",
  "gpus.device_ids": "ids: [0]",
  "gpus.driver": "leave it out",
  init: "leave it out: the images bring tini",
  ipc: "there is no such setting; shmSize sizes /dev/shm",
  label_file: "labels",
  links: "network",
  log_driver: "log: { driver: local }",
  log_opt: "log: { driver: local, options: { … } }",
  logging: "log: { driver: local, options: { … } }",
  mac_address: "there is no such setting",
  mem_limit: "limits: { memory: 4096 } (MiB)",
  mem_reservation: "limits: { memory: 4096 } (MiB)",
  mem_swappiness: "limits: { memory: 4096, swap: 0 } allows no swap",
  memswap_limit: "limits: { memory: 4096, swap: 1024 } (MiB; swap is what comes on top)",
  network_mode: "network: host, or network: container:<name>",
  oom_kill_disable: "there is no such setting; limits.memory decides",
  oom_score_adj: "there is no such setting; limits.memory decides",
  pid: "there is no such setting",
  pids_limit: "hardening.limitProcesses limits them to 4096, which is the default",
  platform: "leave it out: Docker takes the engine's platform",
  ports: "publish: { address: 192.168.1.20, port: 3003 }",
  privileged: "leave it out: the accelerator's devices are passed one by one; see hardening",
  profiles: "leave it out",
  pull_policy: "leave it out: an image is pulled when its digest changes",
  read_only: "hardening: { readOnlyRoot: true }",
  restart_policy: "restart: on-failure:5",
  scale: "swarm: { replicas: 2 } with placement: swarm, or one entry of hosts for each",
  secrets: "envFiles for variables that are secret",
  security_opt: "hardening",
  service: "leave it out",
  shm_size: "shmSize: 128 (MiB)",
  stdin_open: "leave it out",
  stop_grace_period: "leave it out",
  stop_signal: "leave it out",
  storage_opt: "there is no such setting",
  sysctls: "there is no such setting",
  tmpfs: "hardening: { readOnlyRoot: true } keeps /tmp in memory",
  tty: "leave it out",
  userns_mode: "there is no such setting; user and groups name the process's",
  uts: "there is no such setting",
  volumes: "cache: { volume: model-cache }, or cache: { path: /folder/of/the/host }",
  volumes_from: "cache: { volume: model-cache }, or cache: { path: /folder/of/the/host }",
  "cache.external": "leave it out: a volume that exists is used as it is",
  "cache.name": "cache: { volume: model-cache }",
  "cache.readOnly": "leave it out: the server writes there",
  "cache.read_only": "leave it out: the server writes there",
  "cache.source": "cache: { volume: model-cache }, or cache: { path: /folder/of/the/host }",
  "cache.target": "leave it out: it is /cache",
  "cache.type": "leave it out: path is a folder of the host, volume a volume",
  credential_spec: "there is no such setting",
  develop: "leave it out",
  ipv4_address:
    "there is no such setting: a container has a name (networkAlias), and no fixed address",
  ipv6_address:
    "there is no such setting: a container has a name (networkAlias), and no fixed address",
  isolation: "leave it out",
  "limits.pids": "hardening.limitProcesses limits them to 4096, which is the default",
  "limits.shm": "shmSize: 128 (MiB)",
  "limits.shm_size": "shmSize: 128 (MiB)",
  post_start: "leave it out",
  pre_stop: "leave it out",
  provider: "leave it out",
  "publish.app_protocol": "leave it out",
  "publish.host_ip": "publish: { address: 192.168.1.20 }",
  "publish.mode": "leave it out",
  "publish.protocol": "leave it out: it is tcp",
  "publish.published": "publish: { port: 3003 }",
  "publish.target": "leave it out: environment.port is the server's own",
  use_api_socket: "leave it out",
  working_dir: "leave it out",
};

/** What stands for a key of docker compose's in an entry of `hosts`, such as `gpus.driver`; undefined for any other. */
export function composeSpelling(name: string): string | undefined {
  const known = Object.hasOwn(spellings, name) ? spellings[name] : undefined;
  return known && `is docker compose's name; here it is: ${known}`;
}

/** What people write under `immich`, and where it stands. */
const secretPlaces: Readonly<Record<string, string>> = {
  "api.apiKey": "immichApiKey",
  "api.key": "immichApiKey",
  apiKey: "immichApiKey",
  "database.password": "databasePassword",
  databasePassword: "databasePassword",
};

/** Where a secret stands that is given under `immich`; undefined for any other key. */
export function secretPlace(name: string): string | undefined {
  const secret = Object.hasOwn(secretPlaces, name) ? secretPlaces[name] : undefined;
  return secret && `is a secret: pulumi config set --secret immich-ml:${secret}`;
}

/** The same for a key of a whole compose file. */
export function composeSection(name: string): string | undefined {
  const sections = [
    "services",
    "volumes",
    "networks",
    "version",
    "name",
    "include",
    "configs",
    "secrets",
  ];
  if (!sections.includes(name) && !name.startsWith("x-")) return undefined;
  return "is a section of a compose file; this is a Pulumi stack file, which lists the machines under hosts";
}
