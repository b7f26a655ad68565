import type { KnownErrorName } from "./knownErrors";

const lessVideoMemory =
  "停掉占用显卡的其他程序，或改用更小的预设（«legacy-2gb»）、«requestThreads: 1»、批大小 1、«modelTtl: 10»";
const toolkit =
  "安装 NVIDIA Container Toolkit，执行 «nvidia-ctk runtime configure --runtime=docker» 并重启 Docker";

/** The rows of catalog/knownErrors.ts in Chinese: why, and what to do. */
export const knownErrorsChinese: Readonly<
  Record<KnownErrorName, { readonly cause: string; readonly cure: string }>
> = {
  "nvidia-smi-hangs": {
    cause: "驱动卡死",
    cure: "先在宿主机内核日志（dmesg）里查 «Xid»，再重启宿主机",
  },
  "gpu-out-of-reach": {
    cause:
      "容器日志里会出现这一行，因为容器失去了显卡：可能是 systemctl daemon-reload、驱动更新或待机造成的。设为 «restart: always» 或 «unless-stopped» 时，健康检查会让 Docker 重新启动容器，每 15 分钟最多一次",
    cure: "更新过驱动就重启宿主机，否则重启容器；要避免 daemon-reload 再次造成这个问题，可在宿主机每次开机时运行 «nvidia-ctk system create-dev-char-symlinks --create-all»，或用 «gpus: { cdi: […] }» 分配显卡",
  },
  "gpu-cut-off": {
    cause:
      "原来正常的容器失去了显卡：宿主机上的 systemctl daemon-reload（自动更新会执行它）收回了设备权限（NVIDIA/nvidia-container-toolkit#48）",
    cure: "重启容器；要避免再次发生，可在宿主机每次开机时运行 «nvidia-ctk system create-dev-char-symlinks --create-all»，或用 «gpus: { cdi: […] }» 分配显卡",
  },
  "driver-mismatch": {
    cause: "驱动已更新，旧的内核模块还在运行，两者版本不一致",
    cure: "重启宿主机（或卸载并重新加载 nvidia 模块），再重启容器",
  },
  "gpu-lost": {
    cause: "显卡在总线上没有响应：供电、过热、插槽松动或硬件故障",
    cure: "重启宿主机，在内核日志（dmesg）里查 «Xid»，检查供电和散热",
  },
  "nvml-permissions": {
    cause: "用户或容器没有权限打开显卡的设备节点",
    cure: "检查宿主机上 «/dev/nvidia*» 的权限（通常为 666）；在 LXC 容器中还要检查 «lxc.cgroup2.devices.allow»",
  },
  "wsl-gpu": {
    cause: "WSL 没有把 GPU 提供给这个发行版，或它的版本与 Windows 上的驱动不匹配",
    cure: "在 Windows 上安装最新的 NVIDIA 驱动（不要装在 WSL 里）并更新 Docker Desktop，再在 Windows 里执行 «wsl --update» 和 «wsl --shutdown»",
  },
  "driver-slow": {
    cause: "驱动唤醒显卡太慢，或已卡死",
    cure: "让显卡保持唤醒：在宿主机上执行 «systemctl enable --now nvidia-persistenced»（或每次开机执行 «nvidia-smi -pm 1»）；如再出现，在内核日志（dmesg）里查 «Xid» 并重启宿主机",
  },
  "toolkit-rights": {
    cause: "在非特权 LXC 容器里，或没有 root 权限时，NVIDIA Container Toolkit 无权准备容器",
    cure: "改用 CDI 分配显卡：在那里执行 «nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml»，再设 «gpus: { cdi: [nvidia.com/gpu=all] }»；LXC 容器还需要 «features: nesting=1»",
  },
  "driver-not-running": {
    cause: "没有安装 NVIDIA 驱动，或内核模块没有运行",
    cure: "先让宿主机上的 nvidia-smi 正常工作：安装驱动，为当前内核编译模块（dkms、内核头文件），启用 Secure Boot 时给模块签名",
  },
  "no-devices": {
    cause:
      "显卡就在机器里，驱动也在运行，但不支持这张卡：NVIDIA 的开源内核模块只支持 Turing 及更新的显卡，590 起的驱动也不再支持更老的显卡",
    cure: "安装支持该卡的专有驱动（Kepler 最高 470，Maxwell、Pascal、Volta 最高 580）并重启宿主机；虚拟机请检查直通",
  },
  "no-nvidia-smi": { cause: "容器启动时没有分配显卡", cure: `${toolkit}，然后重新创建容器` },
  "nvidia-smi-crashes": {
    cause: "驱动库与驱动不匹配，例如 Docker Desktop 或 WSL 比驱动旧",
    cure: "更新过驱动就重启宿主机；在 Windows 上更新 Docker Desktop 和 WSL（先 «wsl --update»，再 «wsl --shutdown»）",
  },
  "rocm-no-code": {
    cause: "这个 ROCm 不带该 AMD GPU 的机器码",
    cure: "把 «HSA_OVERRIDE_GFX_VERSION» 设为 ROCm 支持的相近型号，例如 gfx1031 到 gfx1036 用 10.3.0；没有相近型号就用 «accelerator: cpu»",
  },
  "rocm-memory": { cause: "AMD GPU 的显存不足", cure: lessVideoMemory },
  "rocm-no-gpu": {
    cause: "容器访问不到 AMD GPU",
    cure: "在宿主机上确认有 «/dev/kfd» 和 «/dev/dri/renderD128»（内核驱动 amdgpu），并且容器在它们的用户组里（通常是 render）",
  },
  "rocm-hang": {
    cause: "AMD GPU 上的计算失败（包括其他任何 «HIP failure»）",
    cure: "改正或去掉 «HSA_OVERRIDE_GFX_VERSION»，集成显卡把 «HSA_USE_SVM» 设为 0，然后重启容器；再次出现就用 «accelerator: cpu»",
  },
  miopen: {
    cause: "MIOpen 或 MIGraphX 无法为这个 AMD GPU 编译模型",
    cure: "把 «HSA_OVERRIDE_GFX_VERSION» 设为 ROCm 支持的型号，或升级 Immich；否则用 «accelerator: cpu»",
  },
  "no-kernel-image": {
    cause: "这个 ONNX Runtime 不带该显卡计算能力的机器码",
    cure: "由主机的 «gpu» 决定镜像（不写 «imageVariant»，改正 «gpu»）：程序会构建合适的镜像",
  },
  "driver-too-old": {
    cause: "容器里没有 NVIDIA 驱动，或驱动比这个 CUDA 要求的旧",
    cure: `在宿主机上检查 nvidia-smi，升级驱动或选择更旧的 «imageVariant»；容器里没有驱动时：${toolkit}`,
  },
  "ptx-too-new": {
    cause: "驱动比编译这段代码的 CUDA 旧",
    cure: "升级宿主机的 NVIDIA 驱动，或选择更旧的 «imageVariant»",
  },
  "named-symbol": {
    cause:
      "容器里的驱动文件与驱动本身不匹配（Docker Desktop 或 WSL 比 NVIDIA 驱动旧），或这个 ONNX Runtime 不是为该显卡编译的",
    cure: "升级 Docker Desktop、WSL（«wsl --update»）和 NVIDIA Container Toolkit 并重启容器；Linux 上由主机的 «gpu» 决定镜像",
  },
  "compat-libraries": {
    cause: "镜像自带 libcuda（compat 或 stubs），顶替了宿主机的驱动库，而它只能用于数据中心显卡",
    cure: "升级宿主机的 NVIDIA 驱动，或选择更旧的 «imageVariant»；自制镜像请把 «/usr/local/cuda/compat» 和 stubs 移出库路径",
  },
  "vgpu-licence": {
    cause: "虚拟 GPU 没有许可证，驱动拒绝计算",
    cure: "给虚拟机配置许可证令牌并重启 nvidia-gridd；«nvidia-smi -q» 会显示 License Status",
  },
  "driver-incomplete": {
    cause: "容器里缺少驱动的库",
    cure: "在宿主机上安装完整的驱动（Debian：libnvidia-ptxjitcompiler1、libcuda1），再重新启动容器",
  },
  mps: {
    cause: "显卡由 NVIDIA MPS 分配给多个程序共享，而 MPS 服务没有响应或名额已满",
    cure: "在宿主机上停掉 MPS：«echo quit | nvidia-cuda-mps-control»，再重启容器",
  },
  "video-memory": { cause: "显存不足", cure: lessVideoMemory },
  "cudnn-not-initialized": {
    cause: "cuDNN 或 cuBLAS 初始化失败：多半是空闲显存太少，否则是驱动太旧",
    cure: `${lessVideoMemory}；如果显存本来就空着，请升级驱动`,
  },
  "cudnn-libraries": {
    cause: "缺少 cuDNN 的库，或混用了多个版本",
    cure: "使用本程序的镜像或 Immich 的 -cuda 镜像；自制镜像只装一个 cuDNN，并去掉 «LD_LIBRARY_PATH»",
  },
  "cudnn-arch": {
    cause: "这个 cuDNN 已不支持该显卡（9.11 起不再支持 Maxwell、Pascal 和 Volta）",
    cure: "改用带旧版 cuDNN 的镜像：不写 «imageVariant»，由主机的 «gpu» 决定",
  },
  "gpu-busy": {
    cause: "另一个程序独占了显卡（计算模式为 «Exclusive_Process» 或 «Prohibited»）",
    cure: "在宿主机上执行 «nvidia-smi --compute-mode=DEFAULT»，或停掉那个程序",
  },
  "invalid-device": {
    cause: "«deviceIds» 写了容器里没有的显卡：容器内从 0 开始编号",
    cure: "改正 «deviceIds»，或改正决定显卡数量的 «gpus»",
  },
  "no-cuda-device": {
    cause: "容器里没有可用的 GPU",
    cure: `在宿主机和容器里检查 nvidia-smi；${toolkit}；如果容器原来正常，说明它失去了显卡：重启它即可`,
  },
  ecc: {
    cause: "显卡的显存有故障",
    cure: "重启宿主机，再观察 «nvidia-smi -q -d ECC»；计数继续增加的卡需要更换",
  },
  "launch-timeout": {
    cause: "显卡同时用于显示输出时，驱动会中止耗时过长的计算",
    cure: "把显示器接到另一张卡上，或不在宿主机上运行桌面环境",
  },
  "card-fault": {
    cause: "显卡上的计算失败：镜像不适合该卡，或显卡有故障、过热、超频",
    cure: "重启容器，在宿主机内核日志（dmesg）里查 «Xid»；由主机的 «gpu» 决定镜像，并取消超频",
  },
  "fabric-manager": {
    cause: "驱动尚未就绪：带 NVSwitch 的显卡要等 Fabric Manager，其他显卡要等开机后的首次启动",
    cure: "带 NVSwitch 的：在宿主机上执行 «systemctl enable --now nvidia-fabricmanager»（版本与驱动相同）；其他的：运行 nvidia-smi 后重启容器",
  },
  "cuda-unknown": {
    cause: "驱动初始化失败：常见原因是缺少 «/dev/nvidia-uvm»，或待机后它的模块已失效",
    cure: "在宿主机上执行 «nvidia-modprobe -u -c=0»（待机后先 «rmmod nvidia_uvm»）或重启宿主机，再重启容器；LXC 容器也需要 «/dev/nvidia-uvm»",
  },
  "cuda-other": {
    cause: "其他任何 «CUDA failure»：CUDA 报告显卡或驱动出错",
    cure: "在宿主机上检查 nvidia-smi，在内核日志（dmesg）里查 «Xid»，再重启容器",
  },
  "library-version": {
    cause:
      "有一个库比另一个库所需的版本旧：外来的库排在前面（«LD_LIBRARY_PATH»、挂载的文件），或自建镜像混用了多个系统",
    cure: "去掉 «LD_LIBRARY_PATH» 和挂载的库，使用同一版本的镜像",
  },
  "executable-stack": {
    cause: "宿主机内核、SELinux 或 C 库不允许这个 ONNX Runtime 要求的可执行栈",
    cure: "使用更新的 Immich 版本，其 ONNX Runtime 不再需要；在此之前设 «environment: { GLIBC_TUNABLES: glibc.rtld.execstack=2 }»",
  },
  "library-permission": {
    cause:
      "宿主机不允许容器加载镜像里的库：SELinux、AppArmor，或 Docker 的数据所在磁盘以 noexec 挂载",
    cure: "在宿主机内核日志（dmesg）里查 DENIED，用 findmnt 查 noexec；否则删除镜像重新拉取",
  },
  "provider-library": {
    cause: "镜像里缺少 provider 的库，或容器里缺少驱动的库",
    cure: "确认镜像适合该加速器，并在容器里检查：«docker exec <container> nvidia-smi»",
  },
  "no-cuda-provider": {
    cause: "状态都显示健康，显卡却一直闲着：镜像里的 CUDA 库或容器里的 NVIDIA 驱动无法加载",
    cure: "在宿主机上检查 nvidia-smi，并确认镜像用于 CUDA",
  },
  armnn: {
    cause: "ARM NN 访问不到 Mali GPU：容器里缺少驱动或固件",
    cure: "在宿主机上确认有 «/dev/mali0» 和 libmali.so（厂商内核；panfrost 两者都没有）；否则用 «accelerator: cpu»",
  },
  "rknn-model": {
    cause: "RKNN 模型文件损坏，或是为另一种芯片生成的，或需要更新的内核驱动",
    cure: "从缓存中删除该模型，它会重新下载；并升级宿主机内核（rknpu 驱动 0.9.8 或更新）",
  },
  "rknn-memory": { cause: "NPU 的内存已用尽", cure: "«rknnThreads: 1»，或改用更小的模型" },
  rknn: {
    cause: "访问不到 NPU",
    cure: "在宿主机上确认 rknpu 内核驱动在运行（厂商内核：«cat /sys/kernel/debug/rknpu/version»），并且有 «/dev/dri»；否则用 «accelerator: cpu»",
  },
  "intel-memory": {
    cause: "GPU 与宿主机共用的内存已满",
    cure: "改用更小的模型、«requestThreads: 1»、批大小 1；给宿主机或虚拟机增加内存也有帮助",
  },
  "intel-no-gpu": {
    cause: "OpenVINO 找不到可用的 Intel GPU",
    cure: "在宿主机上确认有 «/dev/dri/renderD128»（驱动 i915 或 xe），并且容器在它的用户组里（通常是 render）；第 6 代酷睿之前的 GPU 请用 «accelerator: cpu»",
  },
  opencl: {
    cause: "GPU 的 OpenCL 或 Level Zero 驱动出错（包括其他任何 «ZE_RESULT_ERROR»）",
    cure: "升级到最新的 Immich（镜像带有更新的驱动），并设 «openvinoPrecision: FP32»；再次出现就用 «accelerator: cpu»",
  },
  "device-permission": {
    cause: "容器没有权限打开设备",
    cure: "检查宿主机上设备节点的用户组，并确认容器的用户在该组里",
  },
  "too-many-files": { cause: "服务能打开的文件数已到上限", cure: "«ulimits: { nofile: 65536 }»" },
  "cache-full": {
    cause: "模型缓存所在的磁盘已满",
    cure: "腾出空间，或把缓存移到别处；缓存本身没有损坏",
  },
  "disk-fault": {
    cause: "磁盘或网络共享出错",
    cure: "查看宿主机内核日志（dmesg），检查磁盘（«smartctl -a»）或网络共享",
  },
  "cache-locks": {
    cause: "缓存所在的文件系统（例如网络共享）不支持文件锁或链接",
    cure: "把缓存放到本地磁盘（«cache»）",
  },
  "ocr-font": {
    cause:
      "某些 Immich 版本的文字识别会从 modelscope.cn 下载字体到镜像内部，而那里不可写，或该网站无法访问",
    cure: "使用更新的 Immich 版本；在此之前以 root 运行容器（不设 «user»，«hardening: { readOnlyRoot: false }»），或在 «models» 中设 «ocr: off»",
  },
  "home-unwritable": { cause: "容器的用户没有可写的主目录", cure: "«environment: { HOME: /tmp }»" },
  "privileged-port": {
    cause: "容器的用户，或没有 root 权限的 Docker，不能监听 1024 以下的端口",
    cure: "换一个更高的端口：«environment: { port: 3003 }»、«publish: { port: 3003 }»",
  },
  "cache-shared": {
    cause: "多个服务同时写同一个缓存，或缓存放在网络共享上",
    cure: "给每个服务配置各自的缓存（«cache»），放在本地磁盘上，然后重启这些服务",
  },
  "cache-owner": {
    cause: "«/cache» 属于其他用户，容器的用户无权访问",
    cure: "把所有者改为该用户（root 用 «chown -R 0:0»）；容器以 root 运行时也可设 «hardening: { dropCapabilities: false }»",
  },
  "cache-read-only": {
    cause: "模型缓存是只读的",
    cure: "先让缓存可写一次，以便下载和转换；如果是内核把磁盘改成了只读，说明磁盘有故障：见 dmesg",
  },
  "converter-refuses": {
    cause: "模型用到了该显卡的 ONNX Runtime 无法计算的算子，也无法转换",
    cure: "换一个模型，例如预设里的模型",
  },
  "converted-unreadable": {
    cause: "缓存里的模型不完整",
    cure: "从缓存中删除该模型的文件夹：它会重新下载并转换",
  },
  "ir-version": {
    cause: "模型比这个 ONNX Runtime 能读的版本新（Immich 自 2025 年 3 月起发布的模型）",
    cure: "不写 «imageVariant»：本程序的镜像会把这样的文件转换一次，存放在缓存中原文件旁边",
  },
  "opset-too-new": {
    cause: "导出模型所用的 opset 比这个 ONNX Runtime 支持的新（例如 1.15 遇上 opset 19）",
    cure: "不写 «imageVariant»：本程序的镜像会把这样的文件转换一次；自制镜像需要更新的 ONNX Runtime",
  },
  "model-damaged": {
    cause: "模型文件损坏或不完整",
    cure: "从缓存中删除该模型的文件夹：它会重新下载",
  },
  "model-mismatch": {
    cause: "模型文件与这个 Immich 版本不符，或被改动过",
    cure: "从缓存中删除该模型的文件夹，它会重新下载；不要设 «imageVariant»，也不要用自己的模型",
  },
  "plain-http": {
    cause: "镜像仓库、镜像站或代理不支持 TLS",
    cure: '代理和镜像站的地址写成 http://；镜像仓库则在宿主机的 «/etc/docker/daemon.json» 里设 «"insecure-registries"»，或给它配置证书',
  },
  proxy: {
    cause: "代理没有响应，或需要密码",
    cure: "改正 «build.httpProxy» 和 «build.httpsProxy»（运行中的服务用 «environment»，拉取镜像用 Docker 自己的设置）",
  },
  certificate: {
    cause: "网络会拦截 TLS 并换掉证书，或镜像站的证书由未知机构签发",
    cure: "在 «build.caCertificate» 里给出该机构的证书（对镜像构建和镜像里的服务有效）；Docker 自己拉取镜像时，要由宿主机信任该机构；另外请检查宿主机时钟",
  },
  "wrong-clock": { cause: "宿主机时钟不准", cure: "校准时钟（«timedatectl set-ntp true»）后重试" },
  "hub-rate-limit": {
    cause: "Hugging Face 暂时不再接受来自这个地址的请求",
    cure: "等一小时，或在 env 文件（«envFiles»）里设置 HF_TOKEN，或用 «cacheModels» 拷贝模型",
  },
  "model-unknown": {
    cause:
      "Hugging Face 或 «huggingFaceEndpoint» 指定的镜像站没有这个模型，或只对持有令牌的用户提供",
    cure: "改正 Immich 设置或预设里的模型名，或换一个镜像站；令牌写在 env 文件（«envFiles»）的 HF_TOKEN 里",
  },
  "hub-offline": {
    cause: "«HF_HUB_OFFLINE»（或 «offline»）禁止下载，而缓存里没有这个模型",
    cure: "模型就位之前不要设它，或用 «cacheModels» 把模型复制进去",
  },
  "hub-xet": {
    cause: "通过 Hugging Face 的分块存储（Xet）下载失败，多因代理、过滤或镜像站",
    cure: "«environment: { HF_HUB_DISABLE_XET: '1' }»；否则用 «cacheModels» 把模型复制进去",
  },
  "model-download": {
    cause: "容器访问不到 Hugging Face",
    cure: "设置 «environment: { huggingFaceEndpoint: https://… }»（镜像站）或代理，或用 «cacheModels» 拷贝模型",
  },
  "model-missing": {
    cause: "缓存里缺少模型的文件",
    cure: "从缓存中删除该模型的文件夹，它会重新下载；没有外网时用 «cacheModels» 拷贝",
  },
  "model-name": {
    cause: "这个 Immich 版本里没有该任务的同名模型",
    cure: "在 Immich 设置或预设中更正模型名；文字识别要求服务器和容器都是 v2.2.0 或更新",
  },
  "no-ipv6": {
    cause: "宿主机没有 IPv6，而服务默认监听 IPv6",
    cure: "«environment: { host: 0.0.0.0 }»",
  },
  "ipv6-route": {
    cause: "宿主机有 IPv6 地址却无法通过 IPv6 上网，而 Docker 优先使用它",
    cure: "修好 IPv6，或在宿主机上关闭它（«sysctl -w net.ipv6.conf.all.disable_ipv6=1»），再重启 Docker",
  },
  "foreign-address": {
    cause: "这个地址不是这台机器的，或不是这个容器的",
    cure: "改正 «publish»（宿主机上 «ip address» 列出的地址），或去掉 «environment: { host: … }»",
  },
  "port-in-use": {
    cause: "端口被另一个程序或容器占用",
    cure: "停掉它，或换一个端口（«publish»、«environment: { port: … }»）",
  },
  emulated: {
    cause: "镜像属于另一种 CPU 架构，而模拟它的 QEMU 出错",
    cure: "本程序自建的镜像只支持 amd64；arm64 上用官方镜像（加速器 «cpu»、«armnn»、«rknn»）",
  },
  "old-cpu": {
    cause: "（退出码 132）宿主机的 CPU 缺少这个镜像需要的指令（例如 SSE4.2 或 AVX）",
    cure: "更新本程序：它较新的镜像需要的这类指令更少；虚拟机请把 CPU 类型设为 host；再老的 CPU 则无法运行",
  },
  "static-tls": {
    cause: "某个库加载太晚，没有预留的内存位置（例如 ARM 开发板上的 OpenMP）；并不是内存不足",
    cure: "使用更新的 Immich 版本；自建镜像可设 «environment: { LD_PRELOAD: /usr/lib/aarch64-linux-gnu/libgomp.so.1 }»",
  },
  "host-memory": {
    cause: "（退出码 137）容器或宿主机内存不足",
    cure: "调大 «limits.memory»，或改用更小的预设、«workers: 1»；内存小的宿主机可加 swap",
  },
  "worker-timeout": {
    cause: "请求超过了服务允许的时间：加速器较慢、还在编译，或网络较慢、还在下载模型",
    cure: "调大 «workerTimeout»（秒，默认 300）",
  },
  "thread-limit": {
    cause: "进程和线程数达到上限：容器的（4096）、LXC 容器的，或 Docker 自身的",
    cure: "«hardening: { limitProcesses: false }»；在 LXC 容器中调高其配置里的 «lxc.cgroup2.pids.max»，在宿主机上调高 docker.service 的 TasksMax",
  },
  "too-many-threads": {
    cause: "早于 20.10.10 的 Docker 不允许新镜像创建线程时使用的系统调用，或已达到进程数上限",
    cure: "把 Docker 升级到 20.10.10 或更新；否则设 «hardening: { limitProcesses: false }»",
  },
  "bad-variable": {
    cause: "容器的某个环境变量的值不被 Immich 服务接受",
    cure: "改正上面几行提到的变量（«environment» 或 env 文件）",
  },
  "package-missing": {
    cause: "镜像缺少这个 Immich 版本需要的 Python 包",
    cure: "重新构建镜像（先用 docker rmi 删除镜像，再 pulumi up）；自制镜像请装上该包",
  },
  "cores-offline": {
    cause: "ARM 开发板关闭了部分 CPU 核心时，ONNX Runtime 会崩溃（microsoft/onnxruntime#24221）",
    cure: "打开所有核心：Jetson 用电源模式（«nvpmodel -m 0»），其他板子向 «/sys/devices/system/cpu/cpu*/online» 写 1；再重启容器",
  },
  "worker-crash": {
    cause: "（退出码 139）服务崩溃：这个镜像无法在该 GPU 或其驱动上运行",
    cure: "由主机的 «gpu» 决定镜像，检查驱动（nvidia-smi）；用 «accelerator: cpu» 可判断是不是 GPU 的原因",
  },
  "control-socket": {
    cause:
      "日志到这一行为止，容器不健康：Immich v2.6.0 到 v2.7.5 的 Gunicorn 25 卡在 control socket 上（immich-app/immich#27173）",
    cure: "«environment: { GUNICORN_CMD_ARGS: --no-control-socket }»",
  },
  "gunicorn-option": {
    cause: "«GUNICORN_CMD_ARGS» 里有这个版本的 Gunicorn 不认识的选项",
    cure: "去掉或更正；v2.6.0 起才认识 «--no-control-socket»",
  },
  "worker-boot": {
    cause: "服务在启动时退出",
    cure: "查看 «docker logs <container>» 里的第一个错误：多半是变量（«environment»）或镜像（«image»）有误",
  },
  "locked-out": {
    cause: "这一行反复出现：加载失败两次后，Immich 的服务不再尝试该模型，重启后才会重试",
    cure: "先按容器日志里的第一个错误处理，再重启容器",
  },
  "thread-affinity": {
    cause: "LXC 容器或容器可用的 CPU 核心比它看到的少；这条消息本身无害",
    cure: "服务器有响应就不必处理；把 «modelIntraOpThreads» 设为核心数就不再出现",
  },
  "unreadable-picture": {
    cause: "Immich 发来的图片已损坏或格式不明",
    cure: "服务器正常，会继续处理下一张；在 Immich 里重新生成这张图的缩略图，或删除它",
  },
  cdi: {
    cause: "Docker 没有启用 CDI，或没有该显卡的描述文件",
    cure: 'Docker 25 或更新，在 «/etc/docker/daemon.json» 里设 «"features": { "cdi": true }»（28.3 起默认启用），再在宿主机上执行 «nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml»',
  },
  "cdi-outdated": {
    cause: "CDI 里的显卡描述属于另一个驱动版本或另一次开机",
    cure: "每次更新驱动后在宿主机上重新生成：«nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml»（toolkit 1.18 起可用 «systemctl enable --now nvidia-cdi-refresh» 自动完成）",
  },
  "device-driver": {
    cause: "Docker 还不能把 NVIDIA 显卡分配给容器",
    cure: `${toolkit}；snap 版或 rootless 的 Docker 需要单独配置`,
  },
  "cgroups-used-up": {
    cause: "内核的 cgroup 已用完，磁盘并没有满",
    cure: "重启 Docker 或宿主机；旧内核会逐渐漏掉 cgroup",
  },
  "cgroup-delegation": {
    cause: "没有 root 权限的 Docker 或 Podman 不能限制容器",
    cure: "让 systemd 委派（为 user@.service 设置 Delegate=cpu cpuset io memory pids），或去掉 «limits»",
  },
  "systemd-bus": {
    cause: "宿主机的 systemd 没有响应 Docker",
    cure: "«systemctl daemon-reexec»，或重启宿主机",
  },
  "jetson-runtime": {
    cause: "在 Jetson 这类开发板上，工具包只能通过它的运行时分配 GPU",
    cure: "«gpus: { runtime: nvidia }»",
  },
  "lxc-cgroups": {
    cause: "LXC 容器中的 NVIDIA Container Toolkit 无权更改设备权限",
    cure: "在 LXC 容器里 «/etc/nvidia-container-runtime/config.toml» 的 «[nvidia-container-cli]» 下写 «no-cgroups = true»，再重启 Docker；LXC 容器本身也要有显卡的设备节点",
  },
  "process-pipe": {
    cause: "runc 无法启动进程：LXC 容器或宿主机的内存、进程数或用户命名空间不够",
    cure: "在 LXC 容器中：加大内存、调高 «lxc.cgroup2.pids.max»、设 «features: nesting=1,keyctl=1»；CentOS 7 一类的系统执行 «sysctl -w user.max_user_namespaces=15000»；再重启 Docker",
  },
  seccomp: {
    cause: "runc 或它的 libseccomp 库比 Docker 的系统调用白名单旧，或内核（某些 NAS）没有 seccomp",
    cure: "把 Docker、containerd.io、runc 和 libseccomp2 一起更新，再重启 Docker",
  },
  "sysctl-write": {
    cause: "在 LXC 容器里，或没有 root 权限时，引擎无权设置内核参数",
    cure: "Podman：在 /etc/containers/containers.conf 的 «[containers]» 下设 «default_sysctls = []»；LXC 容器需要 «features: nesting=1» 和 65536 个用户号",
  },
  rlimits: {
    cause: "LXC 容器里的引擎或无 root 的引擎不能把上限设得比自己的高",
    cure: "从 «ulimits» 中去掉，或改小；引擎自己的上限用 docker.service 的 LimitNOFILE 或 LimitMEMLOCK 调高，LXC 容器的用 «lxc.prlimit»（type 7 是 nofile）",
  },
  "lxc-sysctl": {
    cause:
      "Docker 运行在 LXC 容器里，而宿主机的 AppArmor 规则与 runc 1.2.8、1.3.3 及更新版本不兼容（opencontainers/runc#4968）",
    cure: "升级宿主机的 Proxmox（LXC 6.0.5-2 或更新）或 Incus；在此之前可在 LXC 容器里使用 containerd.io 1.7.28-1",
  },
  "lxc-overlay": {
    cause: "LXC 容器位于 ZFS 上，或数据在网络共享上，Docker 无法使用 overlay2",
    cure: "把 LXC 容器的 «/var/lib/docker» 放到 ext4 上（单独的卷），或使用 Docker 的 fuse-overlayfs 驱动",
  },
  "lxc-nesting": {
    cause: "这个 LXC 容器里不允许再运行容器",
    cure: "在宿主机上，在该 LXC 容器的配置里设 «features: nesting=1,keyctl=1»，并在 LXC 容器里安装 apparmor，然后重启它",
  },
  "driver-in-image": {
    cause: "镜像自带 NVIDIA 驱动的文件，占了宿主机驱动文件的位置",
    cure: "自制镜像请删除 libcuda.so.1 和 libnvidia-*.so.1：这个镜像是从带显卡的容器保存出来的",
  },
  "unknown-gpu": {
    cause: "«gpus.ids» 里的显卡不在这台宿主机上",
    cure: "填写宿主机上 «nvidia-smi -L» 列出的序号或 UUID",
  },
  ldconfig: {
    cause: "NVIDIA Container Toolkit 查找 ldconfig 的位置与这个系统不符",
    cure: '在宿主机的 «/etc/nvidia-container-runtime/config.toml» 里设 «ldconfig = "@/sbin/ldconfig"»（Ubuntu 为 «"@/sbin/ldconfig.real"»）',
  },
  "nvidia-cli": {
    cause: "其他任何 «nvidia-container-cli» 报错：NVIDIA Container Toolkit 无法把显卡交给容器",
    cure: "先让宿主机上的 nvidia-smi 和 «nvidia-container-cli info» 正常工作，并升级 toolkit",
  },
  "nvidia-nodes": {
    cause:
      "缺少显卡的设备节点：«/dev/nvidia-uvm» 和 «/dev/nvidia-modeset» 在首次使用时才由驱动创建",
    cure: "在宿主机上每次开机执行 «nvidia-modprobe -u -c=0»（nvidia-modeset 用 «-m»）；LXC 容器需要直通全部 «/dev/nvidia*»",
  },
  "device-missing": {
    cause: "宿主机上没有这个设备节点",
    cure: "加载它的内核驱动（/dev/kfd 用 amdgpu，/dev/dri 用 i915 或 xe，/dev/mali0 用厂商内核；/dev/dxg 只有 WSL 有），或把它直通给虚拟机或 LXC 容器；否则换一个 «accelerator»",
  },
  "mount-kind": {
    cause: "挂载的一端是文件夹，另一端是文件：文件不存在时 Docker 会建一个空文件夹",
    cure: "在宿主机上删除这个空文件夹（rmdir），把文件放到那里，例如开发板的 «libmali.so»；«cache.path» 必须是文件夹",
  },
  "volume-rights": {
    cause: "卷下面的存储（例如 NFS 共享）不允许更改所有者",
    cure: "为共享设置 no_root_squash，或把缓存放在宿主机的磁盘上",
  },
  "volume-driver": {
    cause: "这个卷属于另一个驱动、缺少插件，或仍被某个容器使用",
    cure: "用 docker volume inspect 和 docker ps --all --filter volume=<volume> 查看；改正 «cache.volume»",
  },
  "selinux-label": {
    cause: "SELinux 不能给这个文件夹打标签，例如网络共享",
    cure: "把缓存放在本地磁盘的文件夹或卷里",
  },
  "mount-missing": {
    cause: "容器要挂载的文件夹或文件在宿主机上不存在",
    cure: "创建它，或改正 stack 文件里的路径；snap 版 Docker 只能看到 /home 下的文件夹",
  },
  "host-read-only": {
    cause: "宿主机的文件系统是只读的：磁盘有故障，或 Docker 不能更改这个文件夹",
    cure: "磁盘故障可用 «dmesg» 查看；否则换一个文件夹",
  },
  "name-taken": {
    cause: "名称已被另一个容器占用，例如 docker compose 的容器",
    cure: "在主机上设置 «takeOver: <container>»，再次执行 up：新容器完成一次计算之前，旧容器照常服务，之后作为备份保留",
  },
  "network-alias": {
    cause: "Docker 自带的 «bridge» 网络没有名称解析",
    cure: "把 «network» 设为 Immich 自己的网络，例如 «immich_default»",
  },
  "shared-network": {
    cause: "本容器共享其网络的那个容器（«network: container:…»）没有运行",
    cure: "先启动它，再 «pulumi up»",
  },
  "addresses-used-up": {
    cause: "Docker 已没有可分配给新网络的地址段",
    cure: '用 docker network prune 删除不用的网络；否则在 «/etc/docker/daemon.json» 里设 «"default-address-pools"»',
  },
  "kernel-module": {
    cause: "正在运行的内核缺少 Docker 网络需要的模块，例如更新后没有重启",
    cure: "重启宿主机；在 LXC 容器或 VPS 里，到宿主机上加载 veth、ip_tables 和 br_netfilter",
  },
  "no-ipv6-port": {
    cause: "宿主机没有 IPv6，端口却发布在 IPv6 上",
    cure: "把 «publish.address» 改为 IPv4 地址，或启用 IPv6",
  },
  firewall: {
    cause: "Docker 的防火墙规则已丢失，例如宿主机的防火墙重启过",
    cure: "重启 Docker：«systemctl restart docker»",
  },
  "too-few-cores": {
    cause: "宿主机的 CPU 核心比 «limits» 要求的少",
    cure: "改正 «limits.cpus» 或 «limits.cpuset»；«nproc» 显示核心数",
  },
  "limit-refused": {
    cause: "«limits» 要的内存比 Docker 允许的最小值还少",
    cure: "改正 «limits.memory»",
  },
  "exec-denied": {
    cause: "宿主机的 AppArmor（例如 snap 版 Docker）或以 noexec 挂载的存储禁止运行该程序",
    cure: "用 Docker 官方软件包代替 snap，或设置 «hardening: { noNewPrivileges: false }»",
  },
  "kernel-limits": {
    cause: "宿主机的内核（很多 NAS 如此）或 rootless Docker 不支持这个限制",
    cure: "从 «limits» 中去掉报错里提到的项",
  },
  "unknown-account": {
    cause: "镜像里没有这个名称的用户或用户组",
    cure: "改用数字（«user»、«groups»）：在宿主机上执行 «id -u <name>» 或 «getent group <name>»",
  },
  "user-ids": {
    cause: "LXC 容器或 rootless Docker 的用户分到的 UID/GID 不够这个镜像使用",
    cure: "需要 65536 个：在 LXC 容器配置的 «lxc.idmap» 里，或在该用户的 «/etc/subuid» 和 «/etc/subgid» 里设置",
  },
  "cgroup-mount": {
    cause: "旧版 Docker 找不到新系统的 cgroup",
    cure: "升级 Docker（20.10.10 或更新），再重启宿主机",
  },
  "device-rules": {
    cause: "rootless Podman 不能传入 USB 设备，而 OpenVINO 可能用到它",
    cure: "指定渲染节点，就不再需要 USB：«renderNode: /dev/dri/renderD128»",
  },
  "network-missing": {
    cause: "网络已不存在，例如执行过 docker compose down",
    cure: "对 Immich 执行 «docker compose up -d»，再 «pulumi up»",
  },
  "registry-ill": {
    cause: "镜像仓库或镜像站自身有故障",
    cure: "稍后重试，或设置 «build.imageMirror»",
  },
  "rate-limit": {
    cause: "镜像仓库限制了来自你这个地址的拉取次数",
    cure: "«docker login»，或等几个小时，或设置 «build.imageMirror»",
  },
  "image-reference": {
    cause: "«image» 或镜像站写的不是镜像名称",
    cure: "改正 «image» 或 «build.imageMirror»：小写字母，不带协议",
  },
  "docker-store": {
    cause: "Docker 自己的镜像存储已损坏，或仍被占用",
    cure: "重启 Docker，删除镜像（«docker image rm»）后重试；磁盘故障可用 «dmesg» 查看",
  },
  "docker-restarts": {
    cause: "Docker 在此期间重启了",
    cure: "重试",
  },
  "engine-restart": {
    cause: "Docker、containerd 或 runc 没有响应，例如正在更新或内存不足",
    cure: "重启它们：«systemctl restart containerd docker»，或重启宿主机；缺少的重新安装（docker-ce、containerd.io）；如再出现，查看 «free -m» 和 «journalctl -u docker -u containerd»",
  },
  credentials: {
    cause: "docker 客户端要访问的密码库不存在或已锁定",
    cure: '从运行本程序的用户的 ~/.docker/config.json 中删除 "credsStore"，或重新 docker login',
  },
  "image-unknown": {
    cause: "镜像仓库或镜像站没有这个镜像，或没有适合这种 CPU 的版本，或需要登录",
    cure: "改正版本或 «build.imageMirror»；需要时 «docker login»，旧的登录被拒绝时 docker logout",
  },
  "wrong-architecture": {
    cause: "镜像用于另一种 CPU 架构",
    cure: "本程序的镜像只支持 amd64；arm64 请用官方镜像（加速器 «cpu»、«armnn»、«rknn»）",
  },
  "no-python": {
    cause: "镜像里没有容器要运行的程序",
    cure: "改正 «image»：它必须是 Immich 机器学习的镜像",
  },
  "certificate-text": {
    cause: "«build.caCertificate» 指定的文件不是 PEM 文本",
    cure: "转换它：«openssl x509 -inform der -in ca.der -out ca.pem»",
  },
  "pip-hashes": {
    cause: "软件源提供的文件与 PyPI 不同，或下载中断",
    cure: "重试；再次出现就换一个 «build.packageIndex»",
  },
  "pip-plain-http": {
    cause: "pip 不接受来自其他主机的明文 http 软件源",
    cure: "把 «build.packageIndex» 改为 https:// 地址",
  },
  "pip-missing": {
    cause: "软件源没有这个包，或地址不是 simple 索引",
    cure: "改正 «build.packageIndex»（通常以 /simple 结尾）或去掉它；镜像站的内容必须完整",
  },
  "build-disk-full": {
    cause: "Docker 数据所在的磁盘已满：构建一个镜像最多需要 10 GB",
    cure: "用 «docker system df» 查看，用 «docker builder prune» 和 «docker image prune» 清理",
  },
  "damaged-download": {
    cause: "镜像的某一层下载损坏，或无法解包",
    cure: "重试；再次出现请检查宿主机的内存和磁盘",
  },
  "log-driver": {
    cause: "宿主机没有这个日志驱动、它的服务没有响应，或不认识某个选项",
    cure: "改正 «log»；docker info 会列出日志驱动",
  },
  "package-network": {
    cause: "访问 Docker Hub、PyPI、Debian 或 Hugging Face 很慢、受限或不通",
    cure: '重试：已完成的部分会保留。否则设置 «build.imageMirror»、«build.packageIndex»、«build.aptMirror»、代理（«build.httpsProxy»），或修好 Docker 的 DNS（«/etc/docker/daemon.json» 里的 «"dns"»）',
  },
  "apt-signature": {
    cause:
      "apt 无法校验 Debian 的签名：磁盘已满，或 Docker 及其 libseccomp2 对这个 Debian 来说太旧",
    cure: "磁盘：«docker system df» 和 «docker builder prune»；更新 Docker 和 libseccomp2",
  },
  apt: {
    cause: "Debian 镜像站不完整，或地址有误",
    cure: "改正 «build.aptMirror»（以 /debian 结尾，旁边要有 debian-security），或去掉它",
  },
  "image-check": {
    cause: "构建出的镜像缺少这个 Immich 版本需要的内容",
    cure: "换一个本程序支持的 Immich 版本，并反馈这一行：锁文件需要更新",
  },
  "no-buildx": {
    cause: "docker 客户端缺少 buildx 插件",
    cure: "安装它：«apt install docker-buildx-plugin»（Docker 的软件源）或 docker-buildx（Debian、Arch 的软件源）",
  },
  "no-buildkit": {
    cause: "Docker 引擎没有使用 BuildKit",
    cure: '把 Docker 升级到 20.10.10 或更新，并从 «/etc/docker/daemon.json» 中去掉 «"buildkit": false»',
  },
  "no-dockerfile": {
    cause: "Docker 看不到这个文件夹：snap 版只能读 /home 下且不以点开头的文件",
    cure: "安装 Docker 官方软件包，或把本程序的文件夹移到 /home 下",
  },
  "storage-driver": {
    cause: "Docker 无法解开镜像：存储驱动与文件系统不匹配，或数据已损坏",
    cure: "docker info 会显示 Storage Driver；把 /var/lib/docker 放到 ext4 或 xfs（overlay2），执行 «docker builder prune» 后重试",
  },
  "pip-other": {
    cause: "pip 的其他任何 «ERROR:»：无法安装锁文件中的包",
    cure: "重试；再次出现请反馈上面几行",
  },
};
