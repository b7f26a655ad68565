import { acceleratorNames } from "../../catalog/accelerators";
import { gpuFamilyNames } from "../../catalog/gpuFamilies";
import { presets } from "../../catalog/presets";
import { findSystemConfigKey } from "../../catalog/systemConfigKeys";

/*
 * What docs/settings.md says of each setting, beside what config/schema.ts says itself. The Chinese is in
 * chinese.ts. Backticks mark code.
 */

export interface SettingRow {
  readonly meaning: string;
  /** What may be written. @default what the schema tells */
  readonly values?: string;
  /** What holds without the setting. @default the schema's, "required", or "none" */
  readonly standard?: string;
  /** @default "0.1.0" */
  readonly since?: string;
}

export interface SettingGroup {
  readonly heading: string;
  readonly intro?: string;
  /** By the path in the stack file, without `hosts` and the host's place. */
  readonly rows: Readonly<Record<string, SettingRow>>;
}

export const codes = (names: readonly string[], separator = ", ") =>
  names.map((name) => `\`${name}\``).join(separator);

/** The limits of a number in Immich's configuration. */
export function range(key: string): string {
  const { minimum, maximum } = findSystemConfigKey(key)!;
  return maximum === undefined ? `≥ ${minimum}` : `${minimum}–${maximum}`;
}

export const presetValues = [...Object.keys(presets), "none"];
export const imageVariantValues = [...gpuFamilyNames, "official"];

const since = "0.2.0";

export const stackGroups: readonly SettingGroup[] = [
  {
    heading: "Immich",
    rows: {
      "immich.version": {
        values: "`v2.7.5`, `auto`",
        meaning:
          "the server's full version. With `auto` each preview asks the server through `serverContainer` or `api`. The machine-learning side follows it",
      },
      "immich.network": {
        meaning:
          "Docker network to join under the name `immich-machine-learning`, where Immich looks by default",
      },
      "immich.serverContainer": {
        meaning:
          "container to restart when a setting changes in the database; the server reads it only at its start. Containers of the same image in its compose project restart with it",
        standard: "none: the output says that a restart is needed",
      },
      "immich.dockerHost": { meaning: "Docker engine of Immich's own containers" },
      "immich.tls": { meaning: "certificates for it, as in a host's `tls`" },
    },
  },
  {
    heading: "The way to Immich's settings",
    intro:
      "A stack with a preset needs either `immich.database` or `immich.api`; the [two ways](install.md#database-or-api) differ. Store secrets with `pulumi config set --secret immich-ml:databasePassword`.",
    rows: {
      "immich.database.container": {
        meaning: "container of PostgreSQL; the program looks up its address",
        standard: "`container` or `host` is required",
      },
      "immich.database.host": {
        values: "host name or address",
        meaning: "where PostgreSQL listens, in place of `container`",
      },
      "immich.database.port": { meaning: "port of PostgreSQL" },
      "immich.database.name": {
        values: "text",
        meaning: "name of the database, `DB_DATABASE_NAME` in Immich's `.env`",
      },
      "immich.database.user": { values: "text", meaning: "owner of the database, `DB_USERNAME`" },
      "immich.database.sslMode": { meaning: "encryption of the connection" },
      "immich.database.role": {
        values: "–",
        meaning: "has no effect any more; leave it out. The next release refuses it",
      },
      databasePassword: {
        values: "secret",
        meaning:
          "`DB_PASSWORD` of Immich's `.env`. Only `postgres`, the password of Immich's published compose file, may be plain text; as a secret it would hide that word in all of Pulumi's output",
        standard: "required for `immich.database`",
      },
      "immich.api.url": {
        meaning:
          "address of Immich's API, in place of `database`: the better way if you have an administrator's key",
        standard: "required for `immich.api`",
      },
      "immich.api.caCertificate": {
        since,
        values: "path of a PEM file",
        meaning: "your own certificate authority, or the server's own certificate",
      },
      immichApiKey: {
        values: "secret",
        meaning: "an administrator's API key",
        standard: "required for `immich.api`",
      },
    },
  },
  {
    heading: "Models",
    rows: {
      preset: {
        values: codes(presetValues),
        meaning:
          "the models and how many jobs run at once ([presets](presets.md)); `none` leaves Immich's configuration alone",
      },
      "models.extends": {
        values: "a preset",
        meaning: "preset to start from where `preset` is `none`",
      },
      "models.clip": {
        values: "name, `off`, `{ modelName }`",
        meaning: "CLIP model, for search",
        standard: "the preset's",
      },
      "models.facialRecognition": {
        values: "name, `off`, or an object",
        meaning: `model for faces; the object has \`modelName\`, \`minScore\` (${range("machineLearning.facialRecognition.minScore")}), \`maxDistance\` (${range("machineLearning.facialRecognition.maxDistance")}), \`minFaces\` (${range("machineLearning.facialRecognition.minFaces")})`,
        standard: "the preset's",
      },
      "models.ocr": {
        values: "name, `off`, or an object",
        meaning: `model for text in photos; the object has \`modelName\`, \`minDetectionScore\` (${range("machineLearning.ocr.minDetectionScore")}), \`minRecognitionScore\` (${range("machineLearning.ocr.minRecognitionScore")}), \`maxResolution\` (${range("machineLearning.ocr.maxResolution")})`,
        standard: "the preset's",
      },
      "models.duplicateDetection": {
        values: "`off`, `{ maxDistance }`",
        meaning: `detection of duplicates; \`maxDistance\` ${range("machineLearning.duplicateDetection.maxDistance")}`,
        standard: "Immich's",
      },
      "models.concurrency.smartSearch": {
        values: range("job.smartSearch.concurrency"),
        meaning: "Smart Search jobs at once",
        standard: "the preset's",
      },
      "models.concurrency.faceDetection": {
        values: range("job.faceDetection.concurrency"),
        meaning: "Face Detection jobs at once",
        standard: "the preset's",
      },
      "models.concurrency.ocr": {
        values: range("job.ocr.concurrency"),
        meaning: "OCR jobs at once",
        standard: "the preset's",
      },
      allowUnknownModels: {
        meaning: "accepts models that this program does not know (CLIP: only through the API)",
      },
    },
  },
  {
    heading: "What a change does",
    rows: {
      preflight: {
        meaning: "what happens when the check before any change finds something missing",
      },
      embeddings: {
        meaning:
          "what happens to the embeddings of the former CLIP model, which are wrong under the new one",
      },
      reindex: {
        meaning:
          "starts Immich's Smart Search job after the CLIP model changed (needs `immich.api`)",
      },
      redetectFacesLosingNames: {
        meaning:
          "with `reindex`: detects faces again when the face model changes in the same run. Immich then forgets every person's name",
      },
      onDestroy: {
        since,
        meaning:
          "what `pulumi destroy` does with the CLIP model: `keepModel` leaves it, so that search goes on; `restoreModel` restores the former one, and Immich drops every embedding. Both restore all other settings",
      },
    },
  },
  {
    heading: "Building the image",
    intro:
      "An address here never holds a user or password, except in a proxy. See also [mirrors](mirrors.md).",
    rows: {
      "build.pythonImage": {
        meaning: "Python base image of built images",
        standard: "Docker Hub's, by digest",
      },
      "build.immichImage": {
        meaning: "image that Immich's code comes from",
        standard: "Immich's own, by digest",
      },
      "build.imageMirror": {
        values: "`mirror.lan:5000`, `{ ghcr.io: mirror.lan:5000 }`",
        meaning:
          "mirror of all image registries, or one for each (`docker.io`, `ghcr.io`); without `https://`",
      },
      "build.packageIndex": { meaning: "mirror of PyPI" },
      "build.aptMirror": { meaning: "mirror of Debian's packages" },
      "build.caCertificate": {
        values: "path of a PEM file",
        meaning: "certificate authority that the build and the running server trust, too",
      },
      "build.httpProxy": {
        meaning:
          "proxy for the build; the image keeps none of it. Encrypt one with a password: `pulumi config set --secret --path immich-ml:build.httpProxy`",
      },
      "build.httpsProxy": { meaning: "the same for `https://`" },
      "build.noProxy": {
        values: "host names, separated by commas",
        meaning: "hosts that the build reaches without the proxy",
      },
    },
  },
];

export const hostGroups: readonly SettingGroup[] = [
  {
    heading: "Machine and card",
    rows: {
      name: {
        values: "lower-case letters, digits, `-`",
        meaning: "name of the host, and of its resources in Pulumi",
      },
      dockerHost: {
        values: "`unix:///…`, `ssh://you@host`, `tcp://host:2376`",
        meaning: "its Docker engine. `ssh://` takes a key, never a password",
      },
      tls: {
        meaning:
          "for `tcp://`: folder with `ca.pem`, `cert.pem` and `key.pem`, like docker's `DOCKER_CERT_PATH`. The state holds only the path. Hosts that build their image (`kepler-maxwell`, `maxwell`, `pascal-volta`) cannot use it, because the Docker provider builds without certificates: use `ssh://`",
        standard: "none: nothing is encrypted, with a warning",
      },
      gpu: {
        values: "`GTX 970`, `5.0`, `auto`",
        meaning:
          "the card's name as `nvidia-smi -L`, `lspci` or a shop writes it, its compute capability, or `auto`",
        standard: "none: `accelerator: cpu`",
      },
      accelerator: {
        values: codes(acceleratorNames),
        meaning: "what computes",
        standard: "`cuda` with a `gpu`, else `cpu`",
      },
      videoMemory: {
        meaning: "video memory of a card that the catalog does not know",
        standard: "the card's",
      },
      "gpus.count": {
        values: "`1`–`16`, `all`",
        meaning:
          "how many GPUs the container gets. Each of several GPUs gets a worker (`environment.workers` and `deviceIds`, unless you set them) and keeps its models loaded (`modelTtl` 0: after an idle time-out Immich's workers would all use one GPU). The check tries each",
        standard: "one GPU, whichever it is",
      },
      "gpus.ids": {
        values: "list of numbers or UUIDs",
        meaning:
          "which ones, in place of `count`. Inside the container `deviceIds` counts from 0, whatever the numbers on the host",
      },
      "gpus.cdi": {
        values: "list such as `[nvidia.com/gpu=0]`",
        meaning: "devices of the Container Device Interface, in place of `count`",
      },
      "gpus.runtime": {
        since,
        meaning:
          "alone or with `count` or `ids`: passes the GPUs by Docker's runtime of that name, for a NAS that does not know `--gpus`",
      },
      renderNode: {
        since,
        values: "`/dev/dri/renderD129`",
        meaning: "one render node in place of all of `/dev/dri`; no USB devices then",
        standard: "all",
      },
      placement: {
        meaning: "a container, or a service on the Docker Swarm that `dockerHost` manages",
      },
    },
  },
  {
    heading: "Image, models and hand-over",
    rows: {
      imageVariant: {
        values: codes(imageVariantValues),
        meaning: "which image runs. The former name `runtime` works in this release only",
        standard: "what fits the card and Immich's version",
      },
      image: {
        meaning: "any other image, by digest, in place of `imageVariant`",
      },
      containerName: {
        meaning: "name of the container on the Docker engine",
        standard: "`immich-ml-<name>`",
      },
      takeOver: {
        since,
        meaning:
          "name of the container that serves now, such as docker compose's. It runs until the new one has computed. Then it stops and stays as `<name>-before-immich-ml`. It comes back when the new one fails its check, and with `destroy`. Mount the same models: `cache`",
      },
      "cache.volume": {
        meaning: "volume with the models. The former name `cacheVolume` works in this release only",
        standard: "`immich-ml-<name>-cache`",
      },
      "cache.keep": {
        meaning:
          "`false` removes the volume with the stack. The former name `keepCache` works in this release only",
        standard: "`true`",
      },
      "cache.path": {
        since,
        values: "`/mnt/user/appdata/immich-ml`",
        meaning:
          "folder of the host with the models, in place of a volume. Docker makes it if it is absent; nothing ever removes it",
      },
      cacheModels: {
        values: "path of a folder",
        meaning:
          "for a host without internet: models laid out like Immich's cache, with a file `SHA256SUMS` that lists every file; no links. The program verifies them, copies what differs into the cache and verifies it there",
        standard: "none: the server downloads them",
      },
    },
  },
  {
    heading: "The server's environment",
    rows: {
      environment: {
        values: "`{ name: value }`",
        meaning:
          "settings of the ML server, such as `workers`, `requestThreads`, `modelTtl`, `maxBatchSizeFacialRecognition` and `huggingFaceEndpoint`, by these names or the variables' own; checked against Immich's version. With several workers, or on a swarm, `maxBatchSizeFacialRecognition` is 1 unless you set it: Immich would rewrite the face model in the cache under the other workers. Variables of the runtimes below Immich (`CUDA_DEVICE_ORDER`, `HSA_USE_SVM`, `HF_HUB_DOWNLOAD_TIMEOUT`, `OMP_NUM_THREADS`, `GUNICORN_CMD_ARGS`, …) stand here under their own names",
        standard: "Immich's",
      },
      envFiles: {
        values: "list of paths or `{ path, required: false }`",
        meaning:
          "files to read as docker compose reads `env_file`, checked like `environment`. An address with a password belongs here",
        standard: "none",
      },
      uncheckedEnvironment: {
        since,
        values: "`{ NAME: value }`",
        meaning:
          "any other variables; the container gets them as they are, and a note says that nothing checks them",
        standard: "none",
      },
    },
  },
  {
    heading: "Network",
    rows: {
      network: {
        values: "name, `host`, `container:<name>`",
        meaning:
          "like `immich.network`, for this host. `host` and `container:<name>` share the network of the host or of another container (a Tailscale sidecar, say) and need `url`. `bridge` is refused, since containers have no names there",
        standard: "`immich.network` on Immich's own engine; on a swarm a new overlay network",
      },
      networkAlias: {
        meaning: "its name there. A running host keeps its name, wherever it stands in the list",
        standard: "`immich-machine-learning` for the first host, `name` for the others",
      },
      networks: {
        since,
        values: "list of names",
        meaning: "further networks to join under the same name",
      },
      "publish.address": {
        values: "IPv4 or IPv6 address of the host",
        meaning:
          "opens a port on this address. It is the only way to open one, since Immich's machine learning has no authentication",
        standard: "no port",
      },
      "publish.port": { meaning: "the port" },
      url: {
        meaning:
          "where Immich reaches the host; `localhost` only where Immich's server is in the same network of the host or container. A path needs Immich v3.0.0 and ends with `/`",
        standard: "its name on the network; else the published address and port",
      },
      extraHosts: {
        since,
        values: "`{ immich.lan: 192.168.1.5 }`, `host-gateway`",
        meaning: "addresses by host name",
        standard: "the engine's",
      },
      dns: {
        since,
        values: "list of addresses",
        meaning: "name servers",
        standard: "the engine's",
      },
    },
  },
  {
    heading: "The container",
    intro:
      "A service on a swarm takes only `restart` (`no`, `on-failure`, `always`), `limits.memory`, `limits.cpus`, `labels`, and of `hardening` `dropCapabilities`, `limitLog` and `readOnlyRoot`.",
    rows: {
      restart: {
        values: codes(["no", "on-failure", "on-failure:5", "always", "unless-stopped"]),
        meaning: "when Docker starts it again; `on-failure:5` tries five times",
      },
      "limits.memory": { meaning: "main memory" },
      "limits.swap": {
        since,
        meaning: "swap beside `memory`; 0 for none",
        standard: "as much as `memory`",
      },
      "limits.cpus": { values: "number above 0", meaning: "cores" },
      "limits.cpuset": { since, values: "`0-3,6`", meaning: "which cores" },
      user: {
        since,
        values: '`1000`, `"1000:1000"`',
        meaning: "user of the server, and group; must be able to write into `cache`",
        standard: "`root`",
      },
      groups: {
        since,
        values: "list of numbers or names",
        meaning:
          "added groups. Give a group that the image does not know by its number (`getent group render`)",
        standard: "the accelerator's",
      },
      labels: {
        since,
        values: "`{ name: value }`",
        meaning: "labels of your own, for update tools or reverse proxies",
        standard: "none",
      },
      healthcheck: {
        since,
        values: "an object, or `off`",
        meaning:
          "`interval`, `timeout`, `startPeriod` (seconds), `retries`. With an `image` of your own also `test` (a command line, or a list), or `off`",
        standard:
          "the image's own, every 10 s; with NVIDIA cards once a minute also whether a new process reaches the card ([why](how-it-works.md#a-lost-card))",
      },
      "log.driver": { since, meaning: "Docker's log driver", standard: "three files of 10 MB" },
      "log.options": {
        since,
        values: "`{ max-size: 10m }`",
        meaning: "its options, by Docker's names",
      },
      ulimits: {
        since,
        values: "`{ nofile: 4096 }`, `{ nofile: { soft, hard } }`",
        meaning: "limits of its processes",
        standard: "the engine's",
      },
      shmSize: { since, meaning: "size of `/dev/shm`", standard: "the engine's" },
      "hardening.noNewPrivileges": { meaning: "no process gains rights", standard: "`true`" },
      "hardening.dropCapabilities": { meaning: "no capabilities of root", standard: "`true`" },
      "hardening.limitLog": { meaning: "three log files of 10 MB", standard: "`true`" },
      "hardening.limitProcesses": {
        since,
        meaning: "4096 processes, threads included",
        standard: "`true`",
      },
      "hardening.readOnlyRoot": { meaning: "read-only root file system", standard: "`false`" },
    },
  },
  {
    heading: "The check after a change",
    rows: {
      check: {
        meaning:
          "what a failed check of the accelerator does. The former name `proof` works in this release only",
      },
      healthTimeout: {
        meaning:
          "how long the container has to become healthy before the check (no wait with `check: off`)",
      },
      modelDownload: {
        meaning:
          "how long the check waits for models that the server must download first; with `0` it checks only models in the cache. It names models that are still missing and does not fail because of them",
      },
    },
  },
  {
    heading: "On a swarm",
    intro: "With `placement: swarm` ([Docker Swarm](swarm.md)).",
    rows: {
      "swarm.replicas": { meaning: "tasks" },
      "swarm.nodeLabels": {
        values: "`{ gpu: maxwell }`",
        meaning: "labels that a node must have",
        standard: "none",
      },
      "swarm.genericResources": {
        values: "`{ NVIDIA-GPU: 1 }`",
        meaning: "generic resources that a task takes",
        standard: "none",
      },
      "swarm.reservations.memory": { meaning: "memory reserved for a task" },
      "swarm.reservations.cpus": { values: "number above 0", meaning: "cores reserved for a task" },
      "swarm.updateOrder": {
        meaning: "whether an update starts the new task before it stops the old one",
      },
      "swarm.endpointMode": { meaning: "one virtual address, or one address for each task" },
      "swarm.registry": {
        values: "`registry.lan:5000/immich`, `{ port, image }`",
        meaning: "where the built image goes: your registry, or the one that the program runs",
        standard: "one on port 5000, where an image is built",
      },
    },
  },
];
