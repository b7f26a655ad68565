import { range } from "./english";

/* docs/zh-CN/settings.md 的中文文字，与 english.ts 一一对应。 */

export interface ChineseRow {
  readonly meaning: string;
  /** @default the English one, where it is code only */
  readonly values?: string;
  /** @default the English one, where it is code only */
  readonly standard?: string;
}

/** By the English heading. */
export const chineseHeadings: Readonly<Record<string, { heading: string; intro?: string }>> = {
  Immich: { heading: "Immich" },
  "The way to Immich's settings": {
    heading: "如何写入 Immich 的设置",
    intro:
      "使用预设时，需要 `immich.database` 或 `immich.api` 之一，二者的区别见[数据库还是 API](install.md#数据库还是-api)。机密用 `pulumi config set --secret immich-ml:databasePassword` 保存。",
  },
  Models: { heading: "模型" },
  "What a change does": { heading: "变更时的行为" },
  "Building the image": {
    heading: "构建镜像",
    intro: "除代理外，这里的地址不得含用户名或密码。另见[镜像源](mirrors.md)。",
  },
  "Machine and card": { heading: "机器和显卡" },
  "Image, models and hand-over": { heading: "镜像、模型和接管" },
  "The server's environment": { heading: "服务的环境变量" },
  Network: { heading: "网络" },
  "The container": {
    heading: "容器",
    intro:
      "swarm 上的服务只支持其中的 `restart`（`no`、`on-failure`、`always`）、`limits.memory`、`limits.cpus`、`labels`，以及 `hardening` 中的 `dropCapabilities`、`limitLog` 和 `readOnlyRoot`。",
  },
  "The check after a change": { heading: "变更后的校验" },
  "On a swarm": {
    heading: "在 swarm 上",
    intro: "需要 `placement: swarm`（见 [Docker Swarm](swarm.md)）。",
  },
};

const asPreset = "预设的值";
const asEngine = "引擎的设置";
const pemFile = "PEM 文件的路径";

export const chineseStackRows: Readonly<Record<string, ChineseRow>> = {
  "immich.version": {
    meaning:
      "服务端的完整版本号。写 `auto` 时，每次预览都通过 `serverContainer` 或 `api` 查询服务端的版本。机器学习一侧与服务端版本保持一致",
  },
  "immich.network": {
    meaning:
      "要加入的 Docker 网络，在其中的名称为 `immich-machine-learning`，也就是 Immich 默认访问的地址",
  },
  "immich.serverContainer": {
    meaning:
      "数据库中的设置有变更时要重启的容器，因为服务端只在启动时读取设置。同一 compose 项目中使用相同镜像的容器会一并重启",
    standard: "无：输出中会提示需要重启",
  },
  "immich.dockerHost": { meaning: "Immich 自己的容器所在的 Docker 引擎" },
  "immich.tls": { meaning: "该引擎的证书，同主机的 `tls`" },
  "immich.database.container": {
    meaning: "PostgreSQL 的容器，程序会自动查出它的地址",
    standard: "`container` 和 `host` 必填其一",
  },
  "immich.database.host": {
    values: "主机名或地址",
    meaning: "PostgreSQL 的地址，代替 `container`",
  },
  "immich.database.port": { meaning: "PostgreSQL 的端口" },
  "immich.database.name": {
    values: "文本",
    meaning: "数据库名称，即 Immich 的 `.env` 中的 `DB_DATABASE_NAME`",
  },
  "immich.database.user": { values: "文本", meaning: "数据库的所有者，即 `DB_USERNAME`" },
  "immich.database.sslMode": { meaning: "连接是否加密" },
  "immich.database.role": { meaning: "已不再起作用，请删去；下一个版本会拒绝它" },
  databasePassword: {
    values: "机密",
    meaning:
      "Immich 的 `.env` 中的 `DB_PASSWORD`。只有 Immich 公开的 compose 文件中的密码 `postgres` 可以写成明文；如果设为机密，Pulumi 会在全部输出中隐去这个词",
    standard: "使用 `immich.database` 时必填",
  },
  "immich.api.url": {
    meaning: "Immich 的 API 地址，代替 `database`；有管理员密钥时推荐这种方式",
    standard: "使用 `immich.api` 时必填",
  },
  "immich.api.caCertificate": { values: pemFile, meaning: "自建 CA 的证书，或服务端自己的证书" },
  immichApiKey: {
    values: "机密",
    meaning: "管理员的 API 密钥",
    standard: "使用 `immich.api` 时必填",
  },
  preset: {
    meaning: "使用哪些模型、同时运行多少任务（见[预设](presets.md)）；`none` 不改动 Immich 的配置",
  },
  "models.extends": { values: "预设的名称", meaning: "`preset` 为 `none` 时，从哪个预设开始修改" },
  "models.clip": {
    values: "名称、`off`、`{ modelName }`",
    meaning: "搜索用的 CLIP 模型",
    standard: asPreset,
  },
  "models.facialRecognition": {
    values: "名称、`off` 或对象",
    meaning: `人脸模型；对象含 \`modelName\`、\`minScore\`（${range("machineLearning.facialRecognition.minScore")}）、\`maxDistance\`（${range("machineLearning.facialRecognition.maxDistance")}）、\`minFaces\`（${range("machineLearning.facialRecognition.minFaces")}）`,
    standard: asPreset,
  },
  "models.ocr": {
    values: "名称、`off` 或对象",
    meaning: `识别照片中文字的模型；对象含 \`modelName\`、\`minDetectionScore\`（${range("machineLearning.ocr.minDetectionScore")}）、\`minRecognitionScore\`（${range("machineLearning.ocr.minRecognitionScore")}）、\`maxResolution\`（${range("machineLearning.ocr.maxResolution")}）`,
    standard: asPreset,
  },
  "models.duplicateDetection": {
    values: "`off`、`{ maxDistance }`",
    meaning: `重复照片检测；\`maxDistance\` 为 ${range("machineLearning.duplicateDetection.maxDistance")}`,
    standard: "Immich 的设置",
  },
  "models.concurrency.smartSearch": {
    meaning: "同时运行的智能搜索（Smart Search）任务数",
    standard: asPreset,
  },
  "models.concurrency.faceDetection": { meaning: "同时运行的人脸检测任务数", standard: asPreset },
  "models.concurrency.ocr": { meaning: "同时运行的 OCR 任务数", standard: asPreset },
  allowUnknownModels: { meaning: "接受本程序不认识的模型（CLIP 模型仅限通过 API 设置）" },
  preflight: { meaning: "变更前的检查发现条件不满足时怎么办" },
  embeddings: { meaning: "如何处理原 CLIP 模型的 embedding（在新模型下无效）：清除或保留" },
  reindex: {
    meaning: "更换 CLIP 模型后启动 Immich 的智能搜索（Smart Search）任务（需要 `immich.api`）",
  },
  redetectFacesLosingNames: {
    meaning:
      "与 `reindex` 一起使用：在更换人脸模型的同一次运行中重新检测人脸。Immich 会因此丢失所有人物的名字",
  },
  onDestroy: {
    meaning:
      "`pulumi destroy` 如何处理 CLIP 模型：`keepModel` 保留现有模型，搜索不受影响；`restoreModel` 恢复原来的模型，Immich 会清空全部 embedding。其他设置在两种情况下都会恢复",
  },
  "build.pythonImage": {
    meaning: "构建镜像时使用的 Python 基础镜像",
    standard: "Docker Hub 的镜像，按 digest 固定",
  },
  "build.immichImage": {
    meaning: "Immich 代码的来源镜像",
    standard: "Immich 自己的镜像，按 digest 固定",
  },
  "build.imageMirror": {
    values: "`mirror.lan:5000`、`{ ghcr.io: mirror.lan:5000 }`",
    meaning: "所有镜像仓库的镜像站，或按仓库（`docker.io`、`ghcr.io`）分别指定；不带 `https://`",
  },
  "build.packageIndex": { meaning: "PyPI 的镜像源" },
  "build.aptMirror": { meaning: "Debian 软件包的镜像源" },
  "build.caCertificate": {
    values: pemFile,
    meaning: "额外信任的 CA 证书，对构建和运行中的服务都有效",
  },
  "build.httpProxy": {
    meaning:
      "构建时使用的代理，不会留在镜像中。含密码的代理请加密：`pulumi config set --secret --path immich-ml:build.httpProxy`",
  },
  "build.httpsProxy": { meaning: "同上，用于 `https://`" },
  "build.noProxy": { values: "主机名，用逗号分隔", meaning: "构建时不经过代理访问的主机" },
};

export const chineseHostRows: Readonly<Record<string, ChineseRow>> = {
  name: { values: "小写字母、数字、`-`", meaning: "主机名称，也是它在 Pulumi 中各资源的名称" },
  dockerHost: {
    values: "`unix:///…`、`ssh://you@host`、`tcp://host:2376`",
    meaning: "它的 Docker 引擎。`ssh://` 使用密钥，不接受密码",
  },
  tls: {
    meaning:
      "用于 `tcp://`：含 `ca.pem`、`cert.pem`、`key.pem` 的文件夹，同 docker 的 `DOCKER_CERT_PATH`。状态里只存路径。需要构建镜像的主机（`kepler-maxwell`、`maxwell`、`pascal-volta`）不能用，因为 Docker provider 构建时不带证书：请改用 `ssh://`",
    standard: "无：不加密，并给出警告",
  },
  gpu: {
    values: "`GTX 970`、`5.0`、`auto`",
    meaning:
      "显卡名称（可用 `nvidia-smi -L`、`lspci` 或商家的写法）、计算能力（Compute Capability）或 `auto`",
    standard: "无：即 `accelerator: cpu`",
  },
  accelerator: { meaning: "用什么计算", standard: "有 `gpu` 时为 `cuda`，否则为 `cpu`" },
  videoMemory: { meaning: "本程序的显卡表中没有的显卡，其显存大小", standard: "该显卡的显存" },
  "gpus.count": {
    values: "`1`–`16`、`all`",
    meaning:
      "容器使用几块 GPU。有多块时每块一个 worker（未设置的 `environment.workers` 和 `deviceIds` 会自动设置），模型常驻显存（`modelTtl` 为 0：否则空闲超时后，Immich 的所有 worker 会挤到同一块 GPU 上）。校验会逐块进行",
    standard: "一块 GPU，不限哪块",
  },
  "gpus.ids": {
    values: "编号或 UUID 的列表",
    meaning: "使用哪几块，代替 `count`。`deviceIds` 是容器内的编号，从 0 开始，与主机上的编号无关",
  },
  "gpus.cdi": {
    values: "列表，例如 `[nvidia.com/gpu=0]`",
    meaning: "Container Device Interface 的设备，代替 `count`",
  },
  "gpus.runtime": {
    meaning:
      "单独写，或与 `count`、`ids` 一起写：改由 Docker 的同名 runtime 分配显卡，适合不支持 `--gpus` 的 NAS",
  },
  renderNode: {
    meaning: "只用一个渲染节点，代替整个 `/dev/dri`；此时不传入 USB 设备",
    standard: "全部",
  },
  placement: {
    meaning: "以容器方式运行，还是以服务方式运行在 `dockerHost` 所管理的 Docker Swarm 上",
  },
  imageVariant: {
    meaning: "使用哪种镜像。旧名 `runtime` 仅在本版本中可用",
    standard: "与显卡和 Immich 版本匹配的那个",
  },
  image: { meaning: "按 digest 指定的任意镜像，代替 `imageVariant`" },
  containerName: { meaning: "容器在 Docker 引擎上的名称" },
  takeOver: {
    meaning:
      "当前提供服务的容器名称，例如 docker compose 的容器。它会一直运行到新容器完成一次计算，随后停止，并改名为 `<name>-before-immich-ml` 保留。新容器未通过校验或执行 `destroy` 时，它会恢复运行。请用 `cache` 挂载同一份模型",
  },
  "cache.volume": { meaning: "存放模型的卷。旧名 `cacheVolume` 仅在本版本中可用" },
  "cache.keep": {
    meaning: "设为 `false` 时，卷随 stack 一起删除。旧名 `keepCache` 仅在本版本中可用",
  },
  "cache.path": {
    meaning: "用主机上的一个文件夹存放模型，代替卷。文件夹不存在时由 Docker 创建，程序从不删除它",
  },
  cacheModels: {
    values: "文件夹的路径",
    meaning:
      "用于没有外网的主机：存放模型的文件夹，目录结构与 Immich 的缓存相同，内含列出每个文件的 `SHA256SUMS`，不得有链接。程序先校验，再把有差异的文件复制到缓存，并在那里校验",
    standard: "无：由服务自行下载",
  },
  environment: {
    values: "`{ 名称: 值 }`",
    meaning:
      "机器学习服务的设置，例如 `workers`、`requestThreads`、`modelTtl`、`maxBatchSizeFacialRecognition`、`huggingFaceEndpoint`，可用这些名称或环境变量原名；按 Immich 的版本检查。有多个 worker 或运行在 swarm 上时，`maxBatchSizeFacialRecognition` 默认为 1（除非另行设置）：否则 Immich 会在其他 worker 使用时改写缓存中的人脸模型。Immich 底层运行库的变量（`CUDA_DEVICE_ORDER`、`HSA_USE_SVM`、`HF_HUB_DOWNLOAD_TIMEOUT`、`OMP_NUM_THREADS`、`GUNICORN_CMD_ARGS` 等）也写在这里，用变量原名",
    standard: "Immich 的默认值",
  },
  envFiles: {
    values: "路径或 `{ path, required: false }` 的列表",
    meaning:
      "要读取的文件，读法与 docker compose 的 `env_file` 相同，检查同 `environment`。含密码的地址请放在这里",
    standard: "无",
  },
  uncheckedEnvironment: {
    values: "`{ 名称: 值 }`",
    meaning: "其他任意变量：原样传入容器；程序会提示不对它们做任何检查",
    standard: "无",
  },
  network: {
    values: "名称、`host`、`container:<name>`",
    meaning:
      "同 `immich.network`，只针对这台主机。`host` 和 `container:<name>` 共用主机或另一个容器（例如 Tailscale sidecar）的网络，必须写 `url`。`bridge` 会被拒绝，因为容器在其中没有名称",
    standard: "与 Immich 在同一引擎上时为 `immich.network`；在 swarm 上新建 overlay 网络",
  },
  networkAlias: {
    meaning: "在网络中的名称。已在运行的主机无论排在第几位都保留原名",
    standard: "第一台主机为 `immich-machine-learning`，其余为各自的 `name`",
  },
  networks: { values: "名称的列表", meaning: "还要以同一名称加入的其他网络" },
  "publish.address": {
    values: "主机的 IPv4 或 IPv6 地址",
    meaning: "在这个地址上开放端口。这是开放端口的唯一方式，因为 Immich 的机器学习服务没有身份验证",
    standard: "不开放端口",
  },
  "publish.port": { meaning: "端口号" },
  url: {
    meaning:
      "Immich 访问该主机的地址；只有 Immich 的服务器与它共用主机或容器的网络时，才能写 `localhost`。带路径需要 Immich v3.0.0 及以上，并以 `/` 结尾",
    standard: "同一网络上用名称，否则用发布的地址和端口",
  },
  extraHosts: {
    values: "`{ immich.lan: 192.168.1.5 }`、`host-gateway`",
    meaning: "主机名对应的地址",
    standard: asEngine,
  },
  dns: { values: "地址的列表", meaning: "DNS 服务器", standard: asEngine },
  restart: { meaning: "Docker 何时重新启动容器；`on-failure:5` 最多尝试五次" },
  "limits.memory": { meaning: "内存上限" },
  "limits.swap": {
    meaning: "`memory` 之外的 swap，0 表示不用 swap",
    standard: "与 `memory` 一样大",
  },
  "limits.cpus": { values: "大于 0 的数", meaning: "CPU 核数上限" },
  "limits.cpuset": { meaning: "使用哪些核" },
  user: {
    values: '`1000`、`"1000:1000"`',
    meaning: "服务使用的用户和组；必须能写入 `cache`",
    standard: "`root`",
  },
  groups: {
    values: "编号或名称的列表",
    meaning: "附加组。镜像中没有的组请写编号（`getent group render`）",
    standard: "加速器需要的组",
  },
  labels: {
    values: "`{ 名称: 值 }`",
    meaning: "自己的标签，供更新工具或反向代理使用",
    standard: "无",
  },
  healthcheck: {
    values: "对象或 `off`",
    meaning:
      "`interval`、`timeout`、`startPeriod`（秒）、`retries`。使用自己的 `image` 时还可写 `test`（命令行或列表）或 `off`",
    standard:
      "镜像自带的检查，每 10 秒一次；使用 NVIDIA 显卡时每分钟还检查新进程能否访问显卡（[原因](../how-it-works.md#a-lost-card)）",
  },
  "log.driver": { meaning: "Docker 的日志驱动", standard: "三个 10 MB 的文件" },
  "log.options": { meaning: "日志驱动的选项，用 Docker 的名称" },
  ulimits: {
    values: "`{ nofile: 4096 }`、`{ nofile: { soft, hard } }`",
    meaning: "进程的各项限制",
    standard: asEngine,
  },
  shmSize: { meaning: "`/dev/shm` 的大小", standard: asEngine },
  "hardening.noNewPrivileges": { meaning: "进程不能获得新权限" },
  "hardening.dropCapabilities": { meaning: "去掉 root 的全部 capability" },
  "hardening.limitLog": { meaning: "日志限制为三个 10 MB 的文件" },
  "hardening.limitProcesses": { meaning: "最多 4096 个进程，含线程" },
  "hardening.readOnlyRoot": { meaning: "根文件系统只读" },
  check: { meaning: "加速器校验未通过时怎么办。旧名 `proof` 仅在本版本中可用" },
  healthTimeout: { meaning: "校验之前等待容器变为健康的最长时间（`check: off` 时不等待）" },
  modelDownload: {
    meaning:
      "服务需要先下载模型时，校验最多等待多久；设为 `0` 时只校验缓存里已有的模型。到时仍缺少的模型会被列出，但不算失败",
  },
  "swarm.replicas": { meaning: "任务数" },
  "swarm.nodeLabels": { meaning: "节点必须带有的标签", standard: "无" },
  "swarm.genericResources": { meaning: "每个任务占用的通用资源", standard: "无" },
  "swarm.reservations.memory": { meaning: "为每个任务保留的内存" },
  "swarm.reservations.cpus": { values: "大于 0 的数", meaning: "为每个任务保留的核数" },
  "swarm.updateOrder": { meaning: "更新时先启动新任务，还是先停止旧任务" },
  "swarm.endpointMode": { meaning: "一个虚拟地址，还是每个任务一个地址" },
  "swarm.registry": {
    values: "`registry.lan:5000/immich`、`{ port, image }`",
    meaning: "构建出的镜像推送到哪里：你的镜像仓库，或由程序运行的仓库",
    standard: "需要构建镜像时，在 5000 端口运行一个",
  },
};
