/**
 * What docker compose calls things, and what they are called here. Compose's names that mean the same
 * here (`user`, `labels`, `dns`, …) are not listed.
 */
const spellings: Readonly<Record<string, string>> = {
  blkio_config: "there is no such setting; limits has memory, swap, cpus and cpuset",
  build: "imageVariant chooses an image that is built; image names any other",
  cap_add: "hardening: { dropCapabilities: false } keeps root's capabilities",
  cap_drop: "hardening.dropCapabilities drops all of them, which is the default",
  command: "the image's own command runs; an image with another one is given by image",
  container_name: "containerName",
  cpu_count: "limits.cpus",
  cpus: "limits.cpus",
  cpuset: "limits.cpuset",
  cpu_shares: "limits.cpus",
  depends_on: "leave it out: the machine learning waits for nothing",
  deploy: "gpus: { count: 1 } or { ids: [0] } for devices, limits for resources",
  device_cgroup_rules: "accelerator brings them",
  devices: "accelerator brings its devices; renderNode chooses one of several render nodes",
  dns_search: "there is no such setting; dns names name servers",
  entrypoint: "the image's own runs; an image with another one is given by image",
  env_file: "envFiles: [.env]",
  expose: "leave it out: containers on one network reach each other's ports",
  external_links: "network",
  extra_hosts: "extraHosts: { name: address }",
  group_add: "groups: [992]",
  hostname: "networkAlias",
  init: "leave it out: the images bring tini",
  ipc: "there is no such setting; shmSize sizes /dev/shm",
  links: "network",
  log_driver: "log: { driver: local }",
  log_opt: "log: { driver: local, options: { … } }",
  logging: "log: { driver: local, options: { … } }",
  mem_limit: "limits: { memory: 4096 } (MiB)",
  mem_reservation: "limits: { memory: 4096 } (MiB)",
  memswap_limit: "limits: { memory: 4096, swap: 1024 } (MiB; swap is what comes on top)",
  network_mode: "network: host, or network: container:<name>",
  oom_kill_disable: "there is no such setting; limits.memory decides",
  pids_limit: "hardening.limitProcesses limits them to 4096, which is the default",
  platform: "leave it out: Docker takes the engine's platform",
  ports: "publish: { address: 192.168.1.20, port: 3003 }",
  privileged: "leave it out: the accelerator's devices are passed one by one; see hardening",
  profiles: "leave it out",
  pull_policy: "leave it out: an image is pulled when its digest changes",
  read_only: "hardening: { readOnlyRoot: true }",
  scale: "swarm: { replicas: 2 } with placement: swarm, or one entry of hosts for each",
  secrets: "envFiles for variables that are secret",
  security_opt: "hardening",
  service: "leave it out",
  shm_size: "shmSize: 128 (MiB)",
  stop_grace_period: "leave it out",
  sysctls: "there is no such setting",
  tmpfs: "hardening: { readOnlyRoot: true } keeps /tmp in memory",
  tty: "leave it out",
  volumes: "cache: { volume: model-cache }, or cache: { path: /folder/of/the/host }",
  working_dir: "leave it out",
};

/** What stands for a key of docker compose's in an entry of `hosts`; undefined for any other. */
export function composeSpelling(name: string): string | undefined {
  const known = Object.hasOwn(spellings, name) ? spellings[name] : undefined;
  return known && `is docker compose's name; here it is: ${known}`;
}

/** The same for a key of a whole compose file. */
export function composeSection(name: string): string | undefined {
  if (!["services", "volumes", "networks", "version", "name", "x-common"].includes(name)) {
    return undefined;
  }
  return "is a section of a compose file; this is a Pulumi stack file, whose machines stand under hosts";
}
