/*
 * Errors that people meet, by the words of the program that prints them: ONNX Runtime, the drivers,
 * Docker, pip. The first row whose pattern is found counts, so a special case stands above a general one.
 *
 * `npm run docs:generate` makes verify/knownErrors.tsv (which the check searches) and
 * docs/troubleshooting.md of it; catalog/knownErrorsChinese.ts holds the Chinese texts. Every row has the
 * real text of such an error in test/unit/knownErrors.samples.ts.
 */

/**
 * Where an error is looked for: the check's own small network, a model, a container's log, Docker when it
 * starts a container, the build of an image, nvidia-smi.
 */
export type Place = "network" | "model" | "log" | "start" | "build" | "nvidia-smi";

/** The tables of docs/troubleshooting.md, in its order. */
export const sections = ["nvidia", "others", "models", "container", "start", "build"] as const;

export interface KnownError {
  readonly section: (typeof sections)[number];
  readonly seen: readonly Place[];
  /**
   * An extended regular expression that JavaScript, Python and awk read alike: no backslash, no interval.
   * It is compared with the text in small letters, in which everything but printable ASCII has become
   * one blank.
   */
  readonly pattern: string;
  /** What the documentation shows of the error. «…» encloses what is quoted or a setting, here and below. */
  readonly shown: string;
  readonly cause: string;
  readonly cure: string;
}

const inContainer: readonly Place[] = ["network", "model", "log"];
const anywhere: readonly Place[] = ["model", "log", "start", "build"];

const lessVideoMemory =
  "stop what else uses the card, or choose a smaller preset («legacy-2gb»), «requestThreads: 1», batch" +
  " sizes of 1 and «modelTtl: 10»";
const toolkit =
  "install the NVIDIA Container Toolkit, then: nvidia-ctk runtime configure --runtime=docker, and restart Docker";

const rows = {
  // --- NVIDIA's driver, as nvidia-smi and the start of a container show it ---------------------------
  "nvidia-smi-hangs": {
    section: "nvidia",
    seen: ["network", "model", "nvidia-smi"],
    pattern: "nvidia-smi has not answered",
    shown: "«nvidia-smi has not answered»",
    cause: "the driver hangs",
    cure: "look for «Xid» in the host's kernel log (dmesg), then restart the host",
  },
  "gpu-out-of-reach": {
    section: "nvidia",
    seen: ["log"],
    pattern: "immich-ml: no new process reaches the card",
    shown: "«immich-ml: no new process reaches the card» in the container's log",
    cause:
      "the container has lost its card: a systemctl daemon-reload, an update of the driver or a suspend took it away. With «restart: always» or «unless-stopped» the health check makes Docker restart the container, at most every 15 minutes",
    cure:
      "restart the host after a driver update, otherwise the container. To survive daemon-reload, run" +
      " nvidia-ctk system create-dev-char-symlinks --create-all on the host at each boot, or pass the card with «gpus: { cdi: […] }»",
  },
  "gpu-cut-off": {
    section: "nvidia",
    seen: ["network", "model", "log", "nvidia-smi"],
    pattern: "failed to initialize nvml: unknown error",
    shown: "«Failed to initialize NVML: Unknown Error» in a container that worked before",
    cause:
      "the container has lost its card: a systemctl daemon-reload on the host removed its access to the device; unattended upgrades do that (NVIDIA/nvidia-container-toolkit#48)",
    cure:
      "restart the container; to prevent it, run nvidia-ctk system create-dev-char-symlinks" +
      " --create-all on the host at each boot, or pass the card with «gpus: { cdi: […] }»",
  },
  "driver-mismatch": {
    section: "nvidia",
    seen: ["network", "model", "log", "start", "nvidia-smi"],
    pattern:
      "driver/library version mismatch|unsupported display driver|systemdrivermismatch|cuda (failure|error) 803[^0-9]",
    shown: "«Driver/library version mismatch», «CUDA failure 803»",
    cause:
      "the driver was updated while its old kernel module still runs, so their versions differ",
    cure: "restart the host (or unload and load the nvidia modules), then the container",
  },
  "gpu-lost": {
    section: "nvidia",
    seen: ["network", "model", "log", "start", "nvidia-smi"],
    pattern:
      "gpu is lost|unable to determine the device handle|fallen off the bus|nvml: gpu is lost|requires (a )?reset|detection error: nvml error: unknown|, .unknown error",
    shown: "«Unable to determine the device handle for GPU … GPU is lost»",
    cause: "the card no longer answers on its bus: power, heat, a loose slot or a defect",
    cure: "restart the host, look for «Xid» in its kernel log (dmesg), check the card's power and cooling",
  },
  "nvml-permissions": {
    section: "nvidia",
    seen: ["start", "nvidia-smi", "log"],
    pattern:
      "nvml.*insufficient permissions|do not have suff[a-z]+ permissions|not running as root|nvidia-smi: permission denied",
    shown: "«Failed to initialize NVML: Insufficient Permissions»",
    cause: "the user or the container is not allowed to open the card's device nodes",
    cure:
      "check the rights of /dev/nvidia* on the host (666 is usual), and in an LXC guest its" +
      " lxc.cgroup2.devices.allow lines",
  },
  "wsl-gpu": {
    section: "nvidia",
    seen: ["start", "nvidia-smi", "log"],
    pattern: "wsl environment detected but no adapters|blocked by the operating system",
    shown:
      "«nvidia-container-cli: … WSL environment detected but no adapters were found», «GPU access blocked by the operating system»",
    cause:
      "WSL shows this distribution no GPU, or its version does not match the driver on Windows",
    cure: "install NVIDIA's newest driver on Windows (never inside WSL) and update Docker Desktop, then in Windows: wsl --update and wsl --shutdown",
  },
  "driver-slow": {
    section: "nvidia",
    seen: ["start"],
    pattern: "driver (rpc )?error: timed out|rpc error: timed out",
    shown: "«nvidia-container-cli: initialization error: driver rpc error: timed out»",
    cause: "the driver takes too long to wake the card, or hangs",
    cure: "keep the card awake: systemctl enable --now nvidia-persistenced on the host (or nvidia-smi -pm 1 at each boot); if it happens again, look for «Xid» in its kernel log (dmesg) and restart it",
  },
  "toolkit-rights": {
    section: "nvidia",
    seen: ["start"],
    pattern:
      "privilege change failed|overflowuid|mount operation failed: [^ ]+: operation not permitted",
    shown: "«nvidia-container-cli: … privilege change failed: operation not permitted»",
    cause:
      "in an unprivileged LXC guest, or without root, the NVIDIA Container Toolkit may not prepare the container",
    cure: "pass the card by CDI instead: nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml there, then «gpus: { cdi: [nvidia.com/gpu=all] }»; an LXC guest also needs features: nesting=1",
  },
  "driver-not-running": {
    section: "nvidia",
    seen: ["start", "nvidia-smi", "log"],
    pattern:
      "couldn't communicate with the nvidia driver|driver not loaded|load library failed: libnvidia-ml|nvidia-container-cli: initialization error|nvml library (doesn't exist|not found)|libnvidia-ml.so[^ ]* (shared )?(library )?(not found|couldn't be found)|nvidia-smi couldn't find libnvidia-ml|failed to initialize nvml|failed to initialise nvml|module nvidia not found|could not insert .nvidia|key was rejected by service",
    shown:
      "«NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver», «nvml error: driver not loaded»",
    cause: "the NVIDIA driver is not installed, or its kernel module does not run",
    cure:
      "make nvidia-smi work on the host first: install the driver, build its module for the running kernel" +
      " (dkms, kernel headers) and sign it where Secure Boot is on",
  },
  "no-devices": {
    section: "nvidia",
    seen: ["nvidia-smi", "start"],
    pattern: "no devices (were )?found",
    shown: "«No devices were found» from nvidia-smi, though the card is in the machine",
    cause:
      "the driver runs but does not support the card: neither NVIDIA's open kernel modules nor drivers from 590 on support cards before Turing",
    cure:
      "install the proprietary modules of a driver for the card (at most 470 for Kepler, 580 for Maxwell," +
      " Pascal and Volta), then restart the host; in a virtual machine check the pass-through",
  },
  "no-nvidia-smi": {
    section: "nvidia",
    seen: ["nvidia-smi"],
    pattern: "nvidia-smi[^ ]* (executable file )?not found|nvidia-smi.*no such file",
    shown: '«exec: "nvidia-smi": executable file not found in $PATH»',
    cause: "the container started without a card",
    cure: `${toolkit}, then recreate the container`,
  },
  "nvidia-smi-crashes": {
    section: "nvidia",
    seen: ["nvidia-smi"],
    pattern: "segmentation fault|core dumped|bus error|exec format error",
    shown: "«Segmentation fault» from nvidia-smi",
    cause:
      "the driver's libraries do not match the driver, as where Docker Desktop or WSL is older than it",
    cure: "restart the host after a driver update; on Windows update Docker Desktop and WSL (wsl --update, then wsl --shutdown)",
  },

  // --- CUDA --------------------------------------------------------------------------------------------
  "rocm-no-code": {
    section: "others",
    seen: inContainer,
    pattern:
      "hip (failure|error):? (98|209)[^0-9]|hip error: invalid device function|hiperrornobinaryforgpu|hiperrorinvaliddevicefunction|sharedobjectinitfailed|hip (failure|error):? 30[123][^0-9]|cannot find co in the bundle|missing co for these isas|tensilelibrary|tensile[^:]*[.]co|unable to find code object|unsupported gpu arch",
    shown: "«HIP failure 98: invalid device function», «hipErrorNoBinaryForGpu»",
    cause: "this ROCm has no machine code for the AMD GPU",
    cure:
      "set «HSA_OVERRIDE_GFX_VERSION» to a related GPU that ROCm supports, such as 10.3.0 for gfx1031 to" +
      " gfx1036; where there is none, «accelerator: cpu»",
  },
  "rocm-memory": {
    section: "others",
    seen: inContainer,
    pattern:
      "hip (failure|error):? 2[^0-9]|hiperroroutofmemory|hiperrormemoryallocation|hip out of memory|hipmalloc[^a-z]*out of memory|miopenstatusallocfailed|rocblas_status_memory_error|hip error: out of memory",
    shown: "«HIP failure 2: out of memory»",
    cause: "the AMD GPU's memory is full",
    cure: lessVideoMemory,
  },
  "rocm-no-gpu": {
    section: "others",
    seen: inContainer,
    pattern:
      "no rocm-capable device|hip (failure|error):? 10[01][^0-9]|hiperrornodevice|hiperrorinvaliddevice|no hip gpus|tensile host: no devices|rock module is not loaded|unable to open /dev/kfd|hsa_status_error_out_of_resources|/dev/kfd",
    shown: "«HIP failure 100: no ROCm-capable device is detected», «Unable to open /dev/kfd»",
    cause: "the container has no access to an AMD GPU",
    cure:
      "check on the host that /dev/kfd and /dev/dri/renderD128 exist (kernel driver amdgpu) and that the" +
      " container is in their group (usually render)",
  },
  "rocm-hang": {
    section: "others",
    seen: inContainer,
    pattern:
      "memory access fault by gpu|hw exception by gpu|gpu hang|hsa_status_error|hip (failure|error):? (700|719)[^0-9]|hip (failure|error)|hiperror[a-z]",
    shown:
      "«Memory access fault by GPU», «HW Exception by GPU … GPU Hang», any other «HIP failure»",
    cause: "a computation on the AMD GPU failed",
    cure:
      "correct «HSA_OVERRIDE_GFX_VERSION» or leave it out, set «HSA_USE_SVM» to 0 on an integrated GPU," +
      " and restart the container; if it happens again, «accelerator: cpu»",
  },
  miopen: {
    section: "others",
    seen: inContainer,
    pattern:
      "miopen(status| failure| error|[^a-z]*error)|rocblas_status|hiprtc|code object build failed|mgxkernel_|failed to call function|/migraphx/src|migraphx::|migraphx_onnx|migraphx error|unknown hip compiler|failed to create migraphxexecutionprovider",
    shown: "«MIOPEN failure 7: miopenStatusUnknownError», «migraphx»: «Failed to call function»",
    cause: "MIOpen or MIGraphX cannot compile the model for this AMD GPU",
    cure:
      "set «HSA_OVERRIDE_GFX_VERSION» to a GPU that ROCm supports, or use a newer release of Immich;" +
      " otherwise «accelerator: cpu»",
  },
  "no-kernel-image": {
    section: "nvidia",
    seen: inContainer,
    pattern:
      "no kernel image|nokernelimage|device kernel image is invalid|invalidkernelimage|cuda (failure|error):? (98|200|209)[^0-9]|invalid device function|invaliddevicefunction",
    shown:
      "«cudaErrorNoKernelImageForDevice», «CUDA failure 209: no kernel image is available» (for instance in a Resize node)",
    cause: "this ONNX Runtime has no machine code for the card's compute capability",
    cure: "let the host's «gpu» choose the image (leave «imageVariant» out, correct «gpu»): the program builds the one that fits the card",
  },
  "driver-too-old": {
    section: "nvidia",
    seen: ["network", "model", "log", "start"],
    pattern:
      "cuda (failure|error):? (35|36)[^0-9]|driver version is insufficient|insufficientdriver|incompatible_cuda_driver|unsatisfied condition|please update your driver",
    shown:
      "«CUDA failure 35: CUDA driver version is insufficient», «unsatisfied condition: cuda>=12.6»",
    cause: "the NVIDIA driver is missing in the container or older than this CUDA needs",
    cure:
      "check nvidia-smi on the host, then install a newer driver, or choose an older «imageVariant»;" +
      ` without a driver in the container: ${toolkit}`,
  },
  "ptx-too-new": {
    section: "nvidia",
    seen: inContainer,
    pattern:
      "cuda (failure|error):? (218|222)[^0-9]|unsupported toolchain|unsupportedptxversion|ptx jit compilation failed|invalidptx",
    shown: "«CUDA failure 222: the provided PTX was compiled with an unsupported toolchain»",
    cause: "the driver is older than the CUDA that this code was compiled with",
    cure: "install a newer NVIDIA driver on the host, or choose an older «imageVariant»",
  },
  "named-symbol": {
    section: "nvidia",
    seen: inContainer,
    pattern:
      "cuda (failure|error):? 500[^0-9]|named symbol not found|errorsymbolnotfound|cuda_error_not_found",
    shown: "«CUDA failure 500: named symbol not found»",
    cause:
      "the driver's libraries in the container do not match the driver (Docker Desktop or WSL older than the" +
      " NVIDIA driver), or this ONNX Runtime was not compiled for the card",
    cure:
      "update Docker Desktop, WSL (wsl --update) and the NVIDIA Container Toolkit, then restart the container;" +
      " on Linux let the host's «gpu» choose the image",
  },
  "compat-libraries": {
    section: "nvidia",
    seen: inContainer,
    pattern:
      "cuda (failure|error):? 804[^0-9]|forward compatibility was attempted|compatnotsupportedondevice|stub library|cuda (failure|error):? 34[^0-9]",
    shown: "«CUDA failure 804: forward compatibility was attempted on non supported HW»",
    cause:
      "the image brings a libcuda of its own (compat or stubs), which works on data-centre cards only, in place of the host's",
    cure: "install a newer NVIDIA driver on the host, or choose an older «imageVariant»; in an image of your own, remove /usr/local/cuda/compat and stubs from the library path",
  },
  "vgpu-licence": {
    section: "nvidia",
    seen: inContainer,
    pattern: "cuda (failure|error):? 102[^0-9]|valid grid license|devicenotlicensed",
    shown: "«CUDA failure 102: device doesn't have valid Grid license»",
    cause: "the virtual GPU has no licence, and its driver refuses to compute",
    cure: "give the guest its licence token and restart nvidia-gridd; nvidia-smi -q shows the License Status",
  },
  "driver-incomplete": {
    section: "nvidia",
    seen: inContainer,
    pattern:
      "cuda (failure|error):? 221[^0-9]|jit compiler library not found|jitcompilernotfound|libnvidia-ptxjitcompiler",
    shown: "«CUDA failure 221: PTX JIT compiler library not found»",
    cause: "a library of the driver is missing in the container",
    cure: "install the whole driver on the host (Debian: libnvidia-ptxjitcompiler1, libcuda1), then start the container anew",
  },
  mps: {
    section: "nvidia",
    seen: inContainer,
    pattern: "cuda (failure|error):? 80[5-9][^0-9]|mps (client|server)|cudaerrormps",
    shown: "«CUDA failure 805: MPS client failed to connect …»",
    cause: "NVIDIA's MPS shares the card out, and its server does not answer or is full",
    cure: "stop MPS on the host: echo quit | nvidia-cuda-mps-control; then restart the container",
  },
  "video-memory": {
    section: "nvidia",
    seen: inContainer,
    pattern:
      "cublas_status_alloc_failed|cudnn_status_alloc_failed|(device|host)_allocation_failed|cublas failure:? 3[^0-9]|the resource allocation failed|cuda (failure|error):? 2[^0-9]|cudaerrormemoryallocation|cuda_error_out_of_memory|failed to allocate memory for requested buffer|out of memory[^?]",
    shown:
      "«CUDA failure 2: out of memory», «CUBLAS_STATUS_ALLOC_FAILED», «CUDNN_STATUS_ALLOC_FAILED»",
    cause: "the video memory is full",
    cure: lessVideoMemory,
  },
  "cudnn-not-initialized": {
    section: "nvidia",
    seen: inContainer,
    pattern:
      "(cudnn|cublas|curand|cufft)_status_(not_initialized|internal_error)|cudnn failure:? (1|4|1001|4000)[^0-9]|cublas failure:? (1|14)[^0-9]|the library was not initialized|cublas_status_internal|an internal operation failed|cudnn error executing",
    shown:
      "«CUDNN_STATUS_NOT_INITIALIZED», «CUBLAS_STATUS_NOT_INITIALIZED», «…_STATUS_INTERNAL_ERROR»",
    cause:
      "cuDNN or cuBLAS failed to initialize: usually too little video memory is free, otherwise the driver is too old",
    cure: `${lessVideoMemory}; on an empty card install a newer driver`,
  },
  "cudnn-libraries": {
    section: "nvidia",
    seen: inContainer,
    pattern:
      "(sublibrary|_)?version_mismatch|prerequisite_missing|sublibrary_unavailable|incompatible_cudart|sublibrary_loading_failed|(could not|unable to|failed to) load (any of |dynamic )?(library )?.*libcudnn|libcudnn[^ ]*: cannot open",
    shown: "«CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH», «Could not load library libcudnn…»",
    cause: "cuDNN's libraries are missing or have different versions",
    cure: "use an image of this program or Immich's -cuda one; in an image of your own install one cuDNN and leave «LD_LIBRARY_PATH» out",
  },
  "cudnn-arch": {
    section: "nvidia",
    seen: inContainer,
    pattern:
      "(cudnn|cublas)_status_arch_mismatch|cudnn_status_not_supported|cudnn_status_bad_param|cudnn_fe failure|cudnn_backend_api_failed|no valid engine|heuristic_query_failed|cudnn_status_execution_failed|cublas_status_not_supported|cublas failure:? 8[^0-9]|architecture mismatch",
    shown: "«CUDNN_STATUS_ARCH_MISMATCH», «CUDNN_STATUS_EXECUTION_FAILED»",
    cause: "this cuDNN no longer supports the card (9.11 dropped Maxwell, Pascal and Volta)",
    cure: "choose an image with an older one: leave «imageVariant» out, and the host's «gpu» chooses",
  },
  "gpu-busy": {
    section: "nvidia",
    seen: inContainer,
    pattern: "cuda (failure|error):? 46[^0-9]|busy or unavailable|devicesunavailable",
    shown: "«CUDA failure 46: CUDA-capable device(s) is/are busy or unavailable»",
    cause:
      "another program uses the card exclusively (compute mode «Exclusive_Process» or «Prohibited»)",
    cure: "nvidia-smi --compute-mode=DEFAULT on the host, or stop the other program",
  },
  "invalid-device": {
    section: "nvidia",
    seen: inContainer,
    pattern:
      "cuda (failure|error):? (10|101)[^0-9]|invalid device ordinal|cudaerrorinvaliddevice[^f]|invalid device_id|device_id .*invalid",
    shown: "«CUDA failure 101: invalid device ordinal»",
    cause:
      "«deviceIds» names a card that the container does not have: it counts its own cards from 0",
    cure: "correct «deviceIds», or «gpus», which says how many cards the container gets",
  },
  "no-cuda-device": {
    section: "nvidia",
    seen: inContainer,
    pattern:
      "cuda (failure|error):? (100|38)[^0-9]|no cuda-capable device|errornodevice|cuda_error_no_device",
    shown: "«CUDA failure 100: no CUDA-capable device is detected»",
    cause: "the container has no usable GPU",
    cure: `check nvidia-smi on the host and in the container; ${toolkit}; a container that worked before has lost its card: restart it`,
  },
  ecc: {
    section: "nvidia",
    seen: ["network", "model", "log", "nvidia-smi"],
    pattern:
      "cuda (failure|error):? (214|220|226)[^0-9]|uncorrectable ecc|uncorrectable nvlink|eccuncorrectable",
    shown: "«CUDA failure 214: uncorrectable ECC error encountered»",
    cause: "the card's memory is faulty",
    cure: "restart the host, then watch nvidia-smi -q -d ECC; if the count rises, replace the card",
  },
  "launch-timeout": {
    section: "nvidia",
    seen: inContainer,
    pattern: "cuda (failure|error):? (702|6)[^0-9]|launch timed out|launchtimeout",
    shown: "«CUDA failure 702: the launch timed out and was terminated»",
    cause: "the driver aborts long computations on a card that also drives a display",
    cure: "let another card drive the display, or run the host without a desktop",
  },
  "card-fault": {
    section: "nvidia",
    seen: inContainer,
    pattern:
      "cuda (failure|error):? (4|77|700|70[3-9]|71[0-9])[^0-9]|illegal memory access|illegaladdress|unspecified launch failure|launchfailure|misaligned address|illegal instruction was encountered|illegalinstruction|hardware stack error|device-side assert|cublas_status_(execution_failed|mapping_error)|cudnn_status_mapping_error|cublas failure:? (11|13)[^0-9]|the gpu program failed to execute",
    shown:
      "«CUDA failure 700: an illegal memory access was encountered», «CUDA failure 719: unspecified launch failure»",
    cause:
      "a computation on the card failed: the image is not meant for the card, or the card is faulty, too hot or overclocked",
    cure:
      "restart the container and look for «Xid» in the host's kernel log (dmesg); let the host's «gpu»" +
      " choose the image, and undo any overclocking",
  },
  "fabric-manager": {
    section: "nvidia",
    seen: inContainer,
    pattern: "cuda (failure|error):? 802[^0-9]|system not yet initialized",
    shown: "«CUDA failure 802: system not yet initialized»",
    cause:
      "the driver is not ready yet; cards with NVSwitch wait for the Fabric Manager, others for their first start after boot",
    cure: "on the host: systemctl enable --now nvidia-fabricmanager (of the same version as the driver) where the card has NVSwitch; otherwise run nvidia-smi and restart the container",
  },
  "cuda-unknown": {
    section: "nvidia",
    seen: inContainer,
    pattern:
      "cuda (failure|error):? (3|30|304|800|999)[^0-9]|cudaerrorunknown|cuda unknown error|cudaerrorinitializationerror|os call failed|cuda_error_unknown",
    shown: "«CUDA failure 999: unknown error», «CUDA failure 3: initialization error»",
    cause:
      "the driver fails to initialize: often /dev/nvidia-uvm is missing, or its module did not survive standby",
    cure:
      "on the host: nvidia-modprobe -u -c=0 (after standby rmmod nvidia_uvm first), or restart it, then restart" +
      " the container; an LXC guest needs /dev/nvidia-uvm, too",
  },
  "cuda-other": {
    section: "nvidia",
    seen: inContainer,
    pattern:
      "cuda (failure|error):? [0-9]+|cuda error cuda[a-z]+|cudaerror[a-z]+|cuda runtime error|(cudnn|cublas|cufft|curand|cublaslt) failure",
    shown: "any other «CUDA failure»",
    cause: "CUDA reports a fault in the card or its driver",
    cure: "check nvidia-smi on the host and look for «Xid» in its kernel log (dmesg), then restart the container",
  },

  // --- Other accelerators --------------------------------------------------------------------------------
  armnn: {
    section: "others",
    seen: inContainer,
    pattern:
      "could not initialize the cl runtime|couldn't find any (of the following )?opencl lib|can't load libopencl|libmali|/dev/mali0|libann|cannot load model!|clruntimeunavailable|ann shared libraries|armnn error|armnn::|libarmnn|mali_csffw[^ ]*:? (failed|not found)|the ddk [^ ]* is not compatible",
    shown:
      "«Could not initialize the CL runtime», «Could not load ANN shared libraries», «libann is not available!»",
    cause:
      "ARM NN cannot access the Mali GPU: its driver or its firmware is missing in the container",
    cure: "check on the host that /dev/mali0 and libmali.so exist (a vendor's kernel; panfrost has neither); otherwise «accelerator: cpu»",
  },
  "rknn-model": {
    section: "others",
    seen: inContainer,
    pattern:
      "rknn_err_model_invalid|rknn model does not match|mismatch target platform|not match with rknn runtime|failed to load rknn model|unsupport(ed)? (os|target) platform|invalid rknn|unsupport(ed)? cpu op",
    shown: "«RKNN_ERR_MODEL_INVALID», «Failed to load RKNN model»",
    cause: "the model's RKNN file is damaged, or it is for another chip or a newer kernel driver",
    cure: "delete the model from the cache, so that it is downloaded again, and update the host's kernel (driver rknpu 0.9.8 or newer)",
  },
  "rknn-memory": {
    section: "others",
    seen: inContainer,
    pattern: "rknn_err_malloc_fail|failed to allocate handle|failed to malloc npu memory",
    shown: "«RKNN_ERR_MALLOC_FAIL»",
    cause: "the NPU has no memory left",
    cure: "«rknnThreads: 1», or a smaller model",
  },
  rknn: {
    section: "others",
    seen: inContainer,
    pattern:
      "rknn_err|failed to open rkn|rknn init|rknn_init|initialize rknn|rknn inference failed|rknn is not (available|supported)|not supported for rknn|librknnrt[^ ]*:? (cannot|not found)|rknpu (driver|module)| e rknn: ",
    shown: "«RKNN init failed», «failed to open rknpu module», «rknn is not available!»",
    cause: "the NPU cannot be reached",
    cure:
      "check on the host that the rknpu kernel driver runs (a vendor's kernel: cat /sys/kernel/debug/rknpu/version)" +
      " and that /dev/dri exists; otherwise «accelerator: cpu»",
  },
  "intel-memory": {
    section: "others",
    seen: inContainer,
    pattern:
      "out of gpu resources|cl_out_of_resources|cl_out_of_host_memory|cl_mem_object_allocation_failure|exceed(ed|s)? (the )?max size of memory|out_of_(device|host)_memory|insufficient_resources|cl error code: -[456][^0-9]|error code: -[456] |cl_invalid_buffer_size|not enough memory",
    shown:
      "«[GPU] out of GPU resources», «CL_OUT_OF_RESOURCES», «ZE_RESULT_ERROR_OUT_OF_DEVICE_MEMORY»",
    cause: "the memory that the GPU shares with the host is full",
    cure: "choose a smaller model, «requestThreads: 1» and batch sizes of 1; more memory for the host or guest helps, too",
  },
  "intel-no-gpu": {
    section: "others",
    seen: inContainer,
    pattern:
      "device with .?gpu[^ ]* name is not registered|no (supported )?(opencl|gpu) device|clgetplatformids|clgetdeviceids|cl_platform_not_found|cl_device_not_(found|available)|zeinit|error code: -(1|1001)[^0-9]|ze_result_error_(uninitialized|dependency_unavailable|unsupported_version|device_lost|insufficient_permissions)|failed to create plugin|no supported devices found|invalid vendor type|device name must be|no gpu found|context was not initialized for|/dev/dri",
    shown:
      '«Device with "GPU" name is not registered», «clGetPlatformIDs», «ZE_RESULT_ERROR_UNINITIALIZED»',
    cause: "OpenVINO finds no Intel GPU that it can use",
    cure:
      "check on the host that /dev/dri/renderD128 exists (driver i915 or xe) and that the container is in its" +
      " group (usually render); GPUs before the 6th Core generation need «accelerator: cpu»",
  },
  opencl: {
    section: "others",
    seen: inContainer,
    pattern:
      "ze_result_error|level.zero|clbuildprogram|clwaitforevents|clfinish|drm_neo[.]cpp|shared/source/os_interface|cl_build_program_failure|program build failed|clenqueue|cl_invalid|opencl|ocl_(engine|stream)|openvino-ep",
    shown: "«clEnqueueNDRangeKernel», «CL_BUILD_PROGRAM_FAILURE», any other «ZE_RESULT_ERROR»",
    cause: "the GPU's OpenCL or Level Zero driver fails",
    cure: "use the newest release of Immich, whose image brings newer drivers, and «openvinoPrecision: FP32»; if it happens again, «accelerator: cpu»",
  },
  "library-version": {
    section: "nvidia",
    seen: ["network", "model", "log"],
    pattern:
      "version .?(glibc(xx)?|cxxabi)_[0-9.]+.? not found|undefined symbol|symbol lookup error",
    shown: "«version GLIBCXX_3.4.32 not found», «undefined symbol»",
    cause:
      "a library is older than another one needs: foreign libraries come first («LD_LIBRARY_PATH», mounted files), or an image of your own mixes systems",
    cure: "leave «LD_LIBRARY_PATH» and mounted libraries out, and use an image of one release",
  },
  "executable-stack": {
    section: "nvidia",
    seen: ["network", "model", "log"],
    pattern: "cannot enable executable stack",
    shown: "«cannot enable executable stack as shared object requires»",
    cause:
      "the host's kernel, SELinux or the C library refuses the executable stack that this ONNX Runtime asks for",
    cure: "use a newer release of Immich, whose ONNX Runtime needs none; until then «environment: { GLIBC_TUNABLES: glibc.rtld.execstack=2 }»",
  },
  "library-permission": {
    section: "container",
    seen: ["network", "model", "log"],
    pattern: "cannot open shared object file: permission denied",
    shown: "«cannot open shared object file: Permission denied»",
    cause:
      "the host refuses to let the container load a library of its image: SELinux or AppArmor, or Docker's data are on a disk mounted noexec",
    cure: "look for DENIED in the host's kernel log (dmesg) and for noexec in findmnt; otherwise remove the image and pull it again",
  },
  "provider-library": {
    section: "nvidia",
    seen: ["network", "model", "log"],
    pattern: "cannot open shared object file|failed to load library|failed to load shared library",
    shown:
      "«Failed to load library libonnxruntime_providers_….so»: «cannot open shared object file»",
    cause:
      "a library of the provider is missing in the image, or the driver's libraries are missing in the container",
    cure: "check that the image is meant for the accelerator, and nvidia-smi in the container: docker exec <container> nvidia-smi",
  },
  "no-cuda-provider": {
    section: "nvidia",
    seen: inContainer,
    pattern:
      "failed to create cudaexecutionprovider|cuda_path is set but|specified provider .cudaexecutionprovider. is not in available",
    shown:
      "«Failed to create CUDAExecutionProvider»; everything is healthy, but the card stays idle",
    cause:
      "the CUDA libraries in the image or the NVIDIA driver in the container could not be loaded",
    cure: "check nvidia-smi on the host and that the image is meant for CUDA",
  },
  "device-permission": {
    section: "others",
    seen: inContainer,
    pattern:
      "permission denied.*/dev/|/dev/[a-z0-9/]+.*permission denied|failed to open /dev/|cannot open /dev/",
    shown: "«Permission denied: '/dev/…'»",
    cause: "the container is not allowed to open the device",
    cure: "check the device nodes' group on the host, and that the container's user is in it",
  },

  // --- Models and their cache ----------------------------------------------------------------------------
  "too-many-files": {
    section: "container",
    seen: ["model", "log"],
    pattern: "too many open files|errno 24[^0-9]",
    shown: "«Too many open files»",
    cause: "the server may open no more files",
    cure: "«ulimits: { nofile: 65536 }»",
  },
  "cache-full": {
    section: "models",
    seen: ["model", "log"],
    pattern:
      "no space in the model cache|no space left on device|errno 28|errno 122|disk quota exceeded|not enough free disk space",
    shown: "«No space left on device», «no space in the model cache»",
    cause: "the disk with the model cache is full",
    cure: "free some space there, or move the cache; nothing in the cache is damaged",
  },
  "disk-fault": {
    section: "models",
    seen: ["model", "log", "build", "start"],
    pattern:
      "input/output error|errno 5[^0-9]|structure needs cleaning|stale file handle|errno 116[^0-9]",
    shown: "«Input/output error», «Stale file handle»",
    cause: "the disk or the network share fails",
    cure: "look in the host's kernel log (dmesg) and check the disk (smartctl -a) or the share",
  },
  "cache-locks": {
    section: "models",
    seen: ["model", "log"],
    pattern: "no locks available|errno (37|38|95)[^0-9]|function not implemented",
    shown: "«No locks available», «Function not implemented» below «/cache»",
    cause: "the cache's file system, such as that of a network share, has no locks or links",
    cure: "put the cache on a local disk («cache»)",
  },
  "ocr-font": {
    section: "models",
    seen: ["model", "log"],
    pattern: "(permission denied|read-only file system): [^ ]*rapidocr|host=.www[.]modelscope",
    shown: "«…/rapidocr/models/FZYTK.TTF»: «Permission denied», «Read-only file system»",
    cause:
      "text recognition in some releases of Immich downloads a font from modelscope.cn into the image itself, where it may not write or which it cannot reach",
    cure: "use a newer release of Immich; until then let root run the container («user» left out, «hardening: { readOnlyRoot: false }»), or «ocr: off» in «models»",
  },
  "home-unwritable": {
    section: "models",
    seen: ["model", "log"],
    pattern:
      "permission denied: .?/[.](cache|config|local|gunicorn|triton)|permission denied: .?/usr/src/[.]cache|permissionerror at /[.]",
    shown: "«Permission denied: '/.cache'», «Permission denied: '/.gunicorn'»",
    cause: "the container's user has no home folder that it may write to",
    cure: "«environment: { HOME: /tmp }»",
  },
  "privileged-port": {
    section: "container",
    seen: ["log", "start"],
    pattern:
      "connection to .'[^)]*. failed: .errno 13|cannot expose privileged port|bind on address [^:]*: permission denied",
    shown: "«connection to ('0.0.0.0', 80) failed: [Errno 13] Permission denied»",
    cause: "the container's user, or Docker without root, may not listen on a port below 1024",
    cure: "choose a higher one: «environment: { port: 3003 }», «publish: { port: 3003 }»",
  },
  "cache-shared": {
    section: "models",
    seen: ["model", "log"],
    pattern:
      "errno 16[^0-9]|errno 17[^0-9]|errno 39[^0-9]|[.]nfs[0-9]|device or resource busy|directory not empty",
    shown: "«Device or resource busy: '/cache/….nfs…'», «Directory not empty»",
    cause: "several servers write into one cache at once, or it lies on a network share",
    cure: "give each server a cache of its own on a local disk («cache»), then restart them",
  },
  "cache-owner": {
    section: "models",
    seen: ["model", "log"],
    pattern:
      "model cache cannot be written .(permission denied|operation not permitted)|permission denied: .?/cache|permission denied: .?/[^ ]*(clip|facial-recognition|ocr|hf-cache)|permissionerror|errno 13",
    shown: "«Permission denied» below «/cache»",
    cause: "the cache belongs to another user than the container's",
    cure: "give it to that user (chown -R 0:0 for root), or set «hardening: { dropCapabilities: false }» where root runs the container",
  },
  "cache-read-only": {
    section: "models",
    seen: ["model", "log"],
    pattern: "model cache cannot be written|read-only file system|errno 30",
    shown: "«Read-only file system», «the model cache cannot be written»",
    cause: "the model cache is read-only",
    cure: "make it writable once, for the download and the conversion; a disk that the kernel made read-only has a fault: see dmesg",
  },
  "converter-refuses": {
    section: "models",
    seen: ["model", "log"],
    pattern:
      "has no form in opset|functions cannot be inlined|fields; choose another model|no file in the model's folder|put the file itself there",
    shown: "«operator … of opset … has no form in opset …»",
    cause:
      "the model uses what this card's ONNX Runtime cannot compute, and it cannot be converted",
    cure: "choose another model, such as the preset's",
  },
  "converted-unreadable": {
    section: "models",
    seen: ["model", "log"],
    pattern:
      "model converted for this onnx runtime cannot be opened|weights of [^ ]+ (cannot be found|reach behind)|was truncated while it was read",
    shown:
      "«the model converted for this ONNX Runtime cannot be opened», «the weights of … cannot be found»",
    cause: "the model in the cache is incomplete",
    cure: "delete the model's folder from the cache: it is downloaded and converted again",
  },
  "ir-version": {
    section: "models",
    seen: inContainer,
    pattern: "unsupported model ir version|max supported ir version|ir version: ?[0-9]+",
    shown: "«Unsupported model IR version: 9, max supported IR version: 8»",
    cause: "the model is newer than this ONNX Runtime reads (Immich's models since March 2025)",
    cure: "leave «imageVariant» out: the program's own images convert such a file once, beside the original in the cache",
  },
  "opset-too-new": {
    section: "models",
    seen: inContainer,
    pattern:
      "could not find an implementation for|only [*]?guarantees[*]? support for models|official support for domain|unrecognized attribute|is not a registered function/op|no op registered for|no opset import",
    shown: "«Could not find an implementation for Reshape(19) node»",
    cause:
      "the model was exported with a newer opset than this ONNX Runtime knows (such as 1.15 and opset 19)",
    cure: "leave «imageVariant» out: the program's own images convert such a file once; an image of your own needs a newer ONNX Runtime",
  },
  "model-damaged": {
    section: "models",
    seen: ["model", "log"],
    pattern:
      "invalid_protobuf|jsondecodeerror|expected value at line|invalidprotobuf|protobuf parsing failed|error parsing message|no graph was found|modelproto does not have a graph|wire type|deserialize tensor|out of bounds or can not be read|does not match the raw data size|raw data size|getfilelength|external (initializer|data).*(size|bounds|length|exist)|badzipfile|not a zip file|incomplete message|unexpected end of|header too (large|small)|consistency check failed|file should be of size|invalid_argument : load model",
    shown: "«INVALID_PROTOBUF: Load model from … failed: Protobuf parsing failed»",
    cause: "the model's file is damaged or incomplete",
    cure: "delete the model's folder from the cache: it is downloaded again",
  },
  "model-mismatch": {
    section: "models",
    seen: inContainer,
    pattern:
      "invalid feed input name|got invalid dimensions for|invalid rank for input|unexpected input data type|invalid_graph|this is an invalid model|type error: type .tensor",
    shown: "«INVALID_ARGUMENT: Invalid Feed Input Name», «INVALID_GRAPH: This is an invalid model»",
    cause: "the model's file does not fit this release of Immich, or was changed",
    cure: "delete the model's folder from the cache: it is downloaded again; leave «imageVariant» and a model of your own out",
  },
  "plain-http": {
    section: "build",
    seen: anywhere,
    pattern: "wrong_version_number|wrong version number|gave http response to https client",
    shown: "«server gave HTTP response to HTTPS client», «WRONG_VERSION_NUMBER»",
    cause: "the registry, mirror or proxy does not use TLS",
    cure: 'write a proxy or mirror with http://; for a registry set "insecure-registries" in the host\'s /etc/docker/daemon.json, or give it a certificate',
  },
  proxy: {
    section: "build",
    seen: anywhere,
    pattern:
      "proxyerror|proxy authentication required|407 proxy|tunnel connection failed|cannot connect to proxy",
    shown: "«ProxyError», «407 Proxy Authentication Required»",
    cause: "the proxy does not answer or requires a password",
    cure: "correct «build.httpProxy» and «build.httpsProxy» (for the server «environment», for pulls Docker's own settings)",
  },
  certificate: {
    section: "models",
    seen: ["model", "log", "build", "start"],
    pattern:
      "certificate_verify_failed|certificate verify failed|sslcertverificationerror|certificate signed by unknown authority|self.signed certificate|ssl certificate problem|certificate has expired|certificate is not valid|certificate verification failed|server certificate verification|x509: ",
    shown: "«CERTIFICATE_VERIFY_FAILED», «x509: certificate signed by unknown authority»",
    cause: "the network intercepts TLS, or a mirror has a certificate from an unknown authority",
    cure:
      "«build.caCertificate» with the authority's certificate (for the image's build and the server in it); for Docker's" +
      " own pulls the host has to trust it; check the host's clock",
  },
  "wrong-clock": {
    section: "build",
    seen: ["build"],
    pattern: "is not valid yet|not yet valid",
    shown: "«Release file … is not valid yet»",
    cause: "the host's clock is wrong",
    cure: "set it (timedatectl set-ntp true), then run it again",
  },
  "hub-rate-limit": {
    section: "models",
    seen: ["model", "log"],
    pattern: "429 client error",
    shown: "«429 Client Error: Too Many Requests … huggingface.co»",
    cause: "Hugging Face answers no more requests from this address for now",
    cure: "wait an hour, put HF_TOKEN into an env file («envFiles»), or bring the models with «cacheModels»",
  },
  "model-unknown": {
    section: "models",
    seen: ["model", "log"],
    pattern:
      "repositorynotfounderror|repository not found|entrynotfounderror.*404|gatedrepoerror|40[134] client error",
    shown: "«RepositoryNotFoundError», «404 Client Error … huggingface.co»",
    cause:
      "Hugging Face, or the mirror in «huggingFaceEndpoint», has no such model, or gives it to no one without a token",
    cure: "correct the model's name in Immich's settings or the preset, or choose another mirror; a token is HF_TOKEN in an env file («envFiles»)",
  },
  "hub-offline": {
    section: "models",
    seen: ["model", "log"],
    pattern: "offlinemodeisenabled|offline mode is enabled|outgoing traffic has been disabled",
    shown: "«OfflineModeIsEnabled: … offline mode is enabled»",
    cause: "«HF_HUB_OFFLINE» (or «offline») forbids downloads, and the model is not in the cache",
    cure: "leave it out until the model is there, or copy the models in with «cacheModels»",
  },
  "hub-xet": {
    section: "models",
    seen: ["model", "log"],
    pattern:
      "file reconstruction error|writer channel closed|cas service error|data processing error",
    shown: "«Data processing error: CAS service error», «File reconstruction error»",
    cause:
      "the download by Hugging Face's chunk store (Xet) failed, often behind a proxy, a filter or a mirror",
    cure: "«environment: { HF_HUB_DISABLE_XET: '1' }»; otherwise copy the models in with «cacheModels»",
  },
  "model-download": {
    section: "models",
    seen: ["model", "log"],
    pattern:
      "localentrynotfounderror|hfhubhttperror|cas service error|huggingface_hub.*(connecterror|connecttimeout|readtimeout|name resolution)|couldn't connect to .?https?://[^ ]*hugg|we couldn't connect to|locate the files? on the hub|offlinemodeisenabled|outgoing traffic has been disabled|huggingface.*(timed out|max retries|connection|429)|(timed out|connection (aborted|reset|refused)|name resolution|not known).*huggingface|hf-mirror.*(timed out|max retries|connection|429)|snapshot folder",
    shown: "«LocalEntryNotFoundError», «couldn't connect to 'https://huggingface.co'»",
    cause: "the container cannot reach Hugging Face",
    cure: "set «environment: { huggingFaceEndpoint: https://… }» (a mirror) or a proxy, or copy the models in with «cacheModels»",
  },
  "model-missing": {
    section: "models",
    seen: ["model", "log"],
    pattern:
      "no_suchfile|no such file or directory: ./cache|not a directory: ./cache|nosuchfile|file doesn't exist|model file not found",
    shown: "«NO_SUCHFILE: … File doesn't exist», «Model file not found»",
    cause: "a file of the model is missing in the cache",
    cure: "delete the model's folder from the cache, so that it is downloaded again; without internet, copy it in with «cacheModels»",
  },
  "model-name": {
    section: "models",
    seen: ["model", "log"],
    pattern: "unknown model combination|unknown model type",
    shown: "«ValueError: Unknown model combination»",
    cause: "this release of Immich has no model of that name for that task",
    cure: "correct the model's name in Immich's settings or the preset; text recognition needs v2.2.0 or newer in server and container",
  },

  // --- The container ---------------------------------------------------------------------------------------
  "no-ipv6": {
    section: "container",
    seen: ["log"],
    pattern:
      "can't connect to .'::'|connection to .'::'[^)]*. failed|address family not supported|errno 97",
    shown: "«Can't connect to ('::', 3003)»",
    cause: "the host has no IPv6, and the server listens on it by default",
    cure: "«environment: { host: 0.0.0.0 }»",
  },
  "ipv6-route": {
    section: "start",
    seen: ["start", "build"],
    pattern:
      "dial (tcp|udp) .[0-9a-f]*:[0-9a-f:]+.:[0-9]+: connect: (cannot assign|network is unreachable|no route)",
    shown: "«dial tcp [2606:50c0:8000::154]:443: connect: network is unreachable»",
    cause: "the host has an IPv6 address but no way out by IPv6, and Docker tries it first",
    cure: "repair IPv6, or switch it off on the host (sysctl -w net.ipv6.conf.all.disable_ipv6=1), then restart Docker",
  },
  "foreign-address": {
    section: "container",
    seen: ["log", "start"],
    pattern: "invalid address: .'|cannot assign requested address|errno 99[^0-9]",
    shown: "«Cannot assign requested address», «Invalid address: ('192.168.1.20', 3003)»",
    cause: "the address is not one of the machine's, or not one of the container's",
    cure: "correct «publish» (an address that ip address lists on the host), or leave «environment: { host: … }» out",
  },
  "port-in-use": {
    section: "container",
    seen: ["log", "start"],
    pattern:
      "connection in use|address already in use|errno 98|port is already allocated|ports are not available|can't connect to .'",
    shown: "«port is already allocated», «Address already in use»",
    cause: "another program or container has the port",
    cure: "stop it, or choose another port («publish», «environment: { port: … }»)",
  },
  emulated: {
    section: "container",
    seen: ["log", "build", "start"],
    pattern: "qemu: |qemu-[a-z0-9_]+: ",
    shown: "«qemu: uncaught target signal 11», «qemu-x86_64: Could not open …»",
    cause: "the image is for another CPU architecture, and what emulates it (QEMU) fails",
    cure: "the program's own images are for amd64; on arm64 use the official ones (accelerators «cpu», «armnn», «rknn»)",
  },
  "old-cpu": {
    section: "container",
    seen: ["log", "build"],
    pattern:
      "baseline optimizations|cpu does not support x86|your machine doesn't support|illegal instruction|sigill|code 132|exit code: 132|exit status 132",
    shown: "«Illegal instruction», exit code 132, «NumPy was built with baseline optimizations»",
    cause: "the host's CPU lacks instructions that this image needs (such as SSE4.2 or AVX)",
    cure: "update this program: its newer images need fewer of them; in a virtual machine set the CPU type to host; an older CPU cannot run it",
  },
  "static-tls": {
    section: "container",
    seen: ["log"],
    pattern: "static tls block",
    shown: "«cannot allocate memory in static TLS block»",
    cause:
      "a library was loaded too late for its place in memory, as OpenMP on ARM boards; memory is not short",
    cure: "use a newer release of Immich; in an image of your own «environment: { LD_PRELOAD: /usr/lib/aarch64-linux-gnu/libgomp.so.1 }»",
  },
  "host-memory": {
    section: "container",
    seen: ["log", "build", "model", "start"],
    pattern:
      "perhaps out of memory| killed $|killed signal terminated|sigkill|code 137|exit code: 137|exit status 137|oomkilled|std::bad_alloc|bad allocation|cannot allocate memory|errno 12[^0-9]|memoryerror|arraymemoryerror",
    shown: "«Worker was sent SIGKILL! Perhaps out of memory?», exit code 137, «std::bad_alloc»",
    cause: "the container or its host ran out of memory",
    cure: "raise «limits.memory», choose a smaller preset or «workers: 1»; on a small host add swap",
  },
  "worker-timeout": {
    section: "container",
    seen: ["log"],
    pattern: "worker timeout|critical worker",
    shown: "«WORKER TIMEOUT»",
    cause:
      "a request took longer than the server allows: a slow accelerator compiles, or a slow network downloads a model",
    cure: "raise «workerTimeout» (seconds, 300 by default)",
  },
  "thread-limit": {
    section: "container",
    seen: ["log", "build", "start"],
    pattern: "resource temporarily unavailable|errno[ =]11[^0-9]|rlimit_nproc",
    shown: "«Resource temporarily unavailable» when a thread or process starts, «can't fork»",
    cause:
      "the limit of processes and threads is reached: the container's (4096), the LXC guest's or Docker's own",
    cure: "«hardening: { limitProcesses: false }»; in an LXC guest raise lxc.cgroup2.pids.max in its configuration, on the host TasksMax of docker.service",
  },
  "too-many-threads": {
    section: "container",
    seen: ["log", "build", "start"],
    pattern:
      "can't start new thread|pthread_create failed|failed to create new os thread|can't spawn|system_error. what[^ ]* operation not permitted|operation not permitted.*(thread|clone)",
    shown: "«can't start new thread», «pthread_create failed: Operation not permitted»",
    cause:
      "Docker before 20.10.10, or its libseccomp, forbids what new images use to start a thread (clone3), or the limit of processes is reached",
    cure: "update Docker to 20.10.10 or newer, and libseccomp2 and runc with it; else «hardening: { limitProcesses: false }»",
  },
  "bad-variable": {
    section: "container",
    seen: ["log"],
    pattern:
      "validation errors? for|extra inputs are not permitted|is not a valid port number|pydantic",
    shown: "«validation error for Settings»",
    cause: "a variable of the container has a value that Immich's server rejects",
    cure: "correct the variable that the lines above name («environment», or an env file)",
  },
  "package-missing": {
    section: "container",
    seen: ["log"],
    pattern: "modulenotfounderror|class uri |no module named|importerror",
    shown: "«ModuleNotFoundError: No module named …»",
    cause: "the image lacks a Python package that this release of Immich needs",
    cure: "build it again (pulumi up after docker rmi of the image); an image of your own needs the package",
  },
  "cores-offline": {
    section: "container",
    seen: ["log"],
    pattern: "unsigned int.*assertion .__n < this->size",
    shown: "«stl_vector.h:1130: … Assertion '__n < this->size()' failed»",
    cause:
      "ONNX Runtime fails on an ARM board that has some of its CPU cores switched off (microsoft/onnxruntime#24221)",
    cure: "switch all cores on: on a Jetson by its power mode (nvpmodel -m 0), elsewhere echo 1 to /sys/devices/system/cpu/cpu*/online; then restart the container",
  },
  "worker-crash": {
    section: "container",
    seen: ["log"],
    pattern:
      "was sent code (134|135|139)|was sent sig(segv|abrt|bus)|segmentation fault|double free|malloc.. ?: |free.. ?: invalid|corrupted (size|double)|terminate called after|core dumped|code 139|exit code: (134|135|139)|fatal python error",
    shown: "«Worker was sent code 139!», exit code 139, «Segmentation fault»",
    cause: "the server crashed: this image cannot run on this GPU or its driver",
    cure: "let the host's «gpu» choose the image, check the driver (nvidia-smi); «accelerator: cpu» shows whether the GPU is the reason",
  },
  "control-socket": {
    section: "container",
    seen: ["log"],
    pattern: "control socket listening|gunicorn.ctl",
    shown: "the log ends with «Control socket listening at …», and the container is unhealthy",
    cause:
      "Gunicorn 25 of Immich v2.6.0 to v2.7.5 hangs on its control socket (immich-app/immich#27173)",
    cure: "«environment: { GUNICORN_CMD_ARGS: --no-control-socket }»",
  },
  "gunicorn-option": {
    section: "container",
    seen: ["log"],
    pattern: "unrecognized arguments",
    shown: "«gunicorn: error: unrecognized arguments: --no-control-socket»",
    cause: "«GUNICORN_CMD_ARGS» has an option that this release's Gunicorn does not know",
    cure: "leave it out, or correct it; releases before v2.6.0 do not know «--no-control-socket»",
  },
  "worker-boot": {
    section: "container",
    seen: ["log"],
    pattern: "worker failed to boot|exited with code 3[^0-9]",
    shown: "«Worker failed to boot.»",
    cause: "the server ended while it started",
    cure: "look at the first error in docker logs <container>: mostly a variable («environment») or the image («image») is wrong",
  },
  "locked-out": {
    section: "models",
    seen: ["model", "log"],
    pattern: "failed to load model|failed to load [a-z -]+ model",
    shown: "«Failed to load model '…'» again and again",
    cause:
      "Immich's server gave up on the model after two failed loads and retries only after a restart",
    cure: "fix what the first error in the container's log names, then restart the container",
  },
  "thread-affinity": {
    section: "container",
    seen: ["log"],
    pattern: "pthread_setaffinity_np failed",
    shown: "«pthread_setaffinity_np failed»",
    cause:
      "the LXC guest or the container may use fewer CPU cores than it sees; the message itself is harmless",
    cure: "nothing, if the server answers; «modelIntraOpThreads» with the number of cores silences it",
  },
  "unreadable-picture": {
    section: "container",
    seen: ["log", "model"],
    pattern: "cannot identify image file|image file is truncated|decompressionbomb",
    shown: "«UnidentifiedImageError: cannot identify image file»",
    cause: "Immich sent a picture that is damaged or of an unknown kind",
    cure: "the server is well and goes on with the next picture; make that one's thumbnails again in Immich, or remove it",
  },

  // --- Docker starts a container -----------------------------------------------------------------------------
  cdi: {
    section: "start",
    seen: ["start"],
    pattern:
      "unresolvable cdi devices|device driver .?.?cdi|cdi devices? (injection|not)|failed to inject cdi|cdi (is )?(not enabled|disabled)|failed to discover gpu vendor",
    shown: '«could not select device driver "cdi"», «unresolvable CDI devices»',
    cause: "Docker has no CDI, or no description of the card for it",
    cure:
      'Docker 25 or newer with "features": { "cdi": true } in /etc/docker/daemon.json (the default since 28.3), then on the host:' +
      " nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml",
  },
  "cdi-outdated": {
    section: "start",
    seen: ["start"],
    pattern: "cdi host device|(cannot stat|fulfil mount request: open) [^ ]*(nvidia|libcuda)",
    shown: "«failed to stat CDI host device», «cannot stat …/libEGL_nvidia.so.550.67»",
    cause: "the description of the card for CDI is of another driver or boot",
    cure: "make it anew on the host after each driver update: nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml (systemctl enable --now nvidia-cdi-refresh does it by itself since toolkit 1.18)",
  },
  "device-driver": {
    section: "start",
    seen: ["start"],
    pattern:
      "could not select device driver|unknown or invalid runtime name|unknown runtime specified|nvidia-container-runtime[^ ]*.*not found|nvidia-container-runtime[^ ]*: no such file",
    shown:
      '«could not select device driver "nvidia" with capabilities: [[gpu]]», «unknown or invalid runtime name: nvidia»',
    cause: "Docker cannot pass an NVIDIA card to a container yet",
    cure: `${toolkit}; Docker as a snap or rootless needs its own configuration of it`,
  },
  "cgroups-used-up": {
    section: "start",
    seen: ["start"],
    pattern: "/sys/fs/cgroup[^ ]*: no space left",
    shown: "«mkdir /sys/fs/cgroup/memory/docker/…: no space left on device»",
    cause: "the kernel has no control group left; the disk is not full",
    cure: "restart Docker, or the host; an older kernel loses them over time",
  },
  "cgroup-delegation": {
    section: "start",
    seen: ["start"],
    pattern: "controller not delegated|no cgrouppath|permission is granted for cgroups",
    shown: "«rootless needs no limits + no cgrouppath when no permission is granted for cgroups»",
    cause: "Docker or Podman without root may not limit containers",
    cure: "let systemd delegate it (Delegate=cpu cpuset io memory pids for user@.service), or leave «limits» out",
  },
  "systemd-bus": {
    section: "start",
    seen: ["start"],
    pattern: "message recipient disconnected|unable to start unit|failed to connect to bus",
    shown: '«unable to start unit "docker-….scope"»',
    cause: "the host's systemd does not answer Docker",
    cure: "systemctl daemon-reexec, or restart the host",
  },
  "jetson-runtime": {
    section: "start",
    seen: ["start"],
    pattern: "invoking the nvidia container runtime hook directly",
    shown: "«invoking the NVIDIA Container Runtime Hook directly … is not supported»",
    cause: "on a board such as the Jetson the toolkit passes the GPU by its runtime only",
    cure: "«gpus: { runtime: nvidia }»",
  },
  "lxc-cgroups": {
    section: "start",
    seen: ["start"],
    pattern:
      "bpf_prog_query|bpf_prog_attach|failed to add device rules|device filters|devices.allow|cgroup subsystem devices",
    shown:
      "«nvidia-container-cli: mount error: failed to add device rules … bpf_prog_query(BPF_CGROUP_DEVICE) failed»",
    cause: "in an LXC guest the NVIDIA Container Toolkit may not change device rights",
    cure:
      "no-cgroups = true below [nvidia-container-cli] in the guest's /etc/nvidia-container-runtime/config.toml, then restart Docker;" +
      " the guest itself needs the card's device nodes",
  },
  "process-pipe": {
    section: "start",
    seen: ["start", "build"],
    pattern: "final child's pid from pipe|read init-p: connection reset|nsexec[^ ]*: ",
    shown: "«can't get final child's PID from pipe: EOF»",
    cause:
      "runc could not begin a process: the LXC guest or host has too little memory, too few processes, or no user namespaces left",
    cure: "in an LXC guest: more memory, a higher lxc.cgroup2.pids.max, and features: nesting=1,keyctl=1; on CentOS 7 and its like sysctl -w user.max_user_namespaces=15000; then restart Docker",
  },
  seccomp: {
    section: "start",
    seen: ["start", "build"],
    pattern:
      "error adding seccomp|initialize seccomp|seccomp (is )?not supported|init seccomp|symbol: seccomp|libseccomp",
    shown: "«error adding seccomp filter rule for syscall …»",
    cause:
      "runc or its library libseccomp is older than Docker's list of allowed calls, or the kernel (that of some NAS systems) has no seccomp",
    cure: "update Docker, containerd.io, runc and libseccomp2 together, then restart Docker",
  },
  "sysctl-write": {
    section: "start",
    seen: ["start"],
    pattern: "write sysctl key|ping_group_range",
    shown: "«write sysctl key net.ipv4.ping_group_range: invalid argument»",
    cause: "in an LXC guest, or without root, the engine may not set a value of the kernel",
    cure: "Podman: default_sysctls = [] below [containers] in /etc/containers/containers.conf; an LXC guest needs features: nesting=1 and 65536 user numbers",
  },
  rlimits: {
    section: "start",
    seen: ["start"],
    pattern: "error setting rlimit",
    shown: "«error setting rlimit type 7: operation not permitted»",
    cause: "an engine in an LXC guest or without root may not raise a limit above its own",
    cure: "leave it out of «ulimits», or give a smaller one; LimitNOFILE or LimitMEMLOCK in docker.service raises the engine's own, lxc.prlimit that of an LXC guest (nofile is type 7)",
  },
  "lxc-sysctl": {
    section: "start",
    seen: ["start"],
    pattern: "open sysctl|reopen fd [0-9]+: permission denied",
    shown: "«open sysctl net.ipv4.ip_unprivileged_port_start file: reopen fd 8: permission denied»",
    cause:
      "in an LXC guest the host's AppArmor rules do not fit runc 1.2.8, 1.3.3 or newer (opencontainers/runc#4968)",
    cure: "update Proxmox (LXC 6.0.5-2 or newer) or Incus on the host; until then containerd.io 1.7.28-1 in the guest",
  },
  "lxc-overlay": {
    section: "start",
    seen: ["start", "build"],
    pattern:
      "not supported as upperdir|failed to mount overlay|creating overlay mount|error mounting .?overlay",
    shown: "«failed to mount overlay», «not supported as upperdir»",
    cause: "in an LXC guest on ZFS, or on a share, Docker cannot use overlay2",
    cure: "put the guest's /var/lib/docker on ext4 (a volume of its own), or use Docker's fuse-overlayfs driver",
  },
  "lxc-nesting": {
    section: "start",
    seen: ["start", "build"],
    pattern:
      "error mounting .?.?(proc|sysfs|cgroup|tmpfs)|apparmor (profile|failed)|unable to apply apparmor|attr/(apparmor/)?exec|apparmor_parser|session key|error creating device nodes|remount-private",
    shown: '«error mounting "proc" to rootfs», «unable to apply apparmor profile»',
    cause: "the LXC guest may not run containers of its own",
    cure: "features: nesting=1,keyctl=1 in the guest's configuration on the host, the package apparmor in the guest, then restart the guest",
  },
  "driver-in-image": {
    section: "start",
    seen: ["start"],
    pattern: "file creation failed: .*(libcuda|libnvidia|nvidia-)[^ ]*: file exists",
    shown:
      "«nvidia-container-cli: mount error: file creation failed: …/libnvidia-ml.so.1: file exists»",
    cause: "the image brings files of an NVIDIA driver where the host's have to go",
    cure: "in an image of your own remove libcuda.so.1 and libnvidia-*.so.1; it was saved from a container with a card",
  },
  "unknown-gpu": {
    section: "start",
    seen: ["start"],
    pattern: "unknown device|device error|no such device",
    shown: "«nvidia-container-cli: device error: …: unknown device»",
    cause: "the card in «gpus.ids» is not in this host",
    cure: "take an index or a UUID that nvidia-smi -L lists on the host",
  },
  ldconfig: {
    section: "start",
    seen: ["start"],
    pattern: "ldcache error|ldconfig",
    shown: "«nvidia-container-cli: ldcache error»",
    cause:
      "the NVIDIA Container Toolkit looks for ldconfig in a place where this system does not have it",
    cure: 'ldconfig = "@/sbin/ldconfig" in the host\'s /etc/nvidia-container-runtime/config.toml ("@/sbin/ldconfig.real" on Ubuntu)',
  },
  "nvidia-nodes": {
    section: "start",
    seen: ["start"],
    pattern: "stat failed: /dev/nvidia|(stat|device) .?/dev/nvidia",
    shown:
      "«nvidia-container-cli: mount error: stat failed: /dev/nvidia-uvm: no such file or directory»",
    cause:
      "a device node of the card is missing: the driver makes /dev/nvidia-uvm and /dev/nvidia-modeset only when they are first used",
    cure: "on the host, at each boot: nvidia-modprobe -u -c=0 (and -m for nvidia-modeset); an LXC guest needs every /dev/nvidia* passed through",
  },
  "device-missing": {
    section: "start",
    seen: ["start"],
    pattern:
      "gathering device information|not a device node|stat failed: /dev/|stat /dev/|cdi host device",
    shown:
      '«error gathering device information while adding custom device "/dev/…": no such file or directory»',
    cause: "this device node does not exist on the host",
    cure: "load its kernel driver (amdgpu for /dev/kfd, i915 or xe for /dev/dri, a vendor's kernel for /dev/mali0; only WSL has /dev/dxg), or pass it through to the guest; otherwise choose another «accelerator»",
  },
  "nvidia-cli": {
    section: "start",
    seen: ["start"],
    pattern:
      "nvidia-container-cli|error running (prestart )?hook|nvidia-container-runtime|libnvidia",
    shown: "any other error of «nvidia-container-cli»",
    cause: "the NVIDIA Container Toolkit cannot pass the card to the container",
    cure: "make nvidia-smi and nvidia-container-cli info work on the host, and update the toolkit",
  },
  "mount-kind": {
    section: "start",
    seen: ["start"],
    pattern: "not a directory|mount a directory onto a file",
    shown: "«not a directory: Are you trying to mount a directory onto a file»",
    cause:
      "one end of a mount is a folder and the other a file: Docker makes an empty folder where a file is missing",
    cure: "remove the empty folder on the host (rmdir) and put the file there, such as the «libmali.so» of your board; «cache.path» must be a folder",
  },
  "volume-rights": {
    section: "start",
    seen: ["start"],
    pattern: "failed to ch(mod|own) on|failed to chown /|failed to copy file info",
    shown: "«failed to chown /var/lib/docker/volumes/…: operation not permitted»",
    cause: "the storage under the volume, such as an NFS share, lets nobody change owners",
    cure: "no_root_squash for the share, or keep the cache on a disk of the host",
  },
  "volume-driver": {
    section: "start",
    seen: ["start"],
    pattern: "volume name must be unique|looking up volume plugin|volume is in use",
    shown: "«error looking up volume plugin …», «volume name must be unique»",
    cause: "the volume is of another driver, its plugin is missing, or a container still uses it",
    cure: "docker volume inspect and docker ps --all --filter volume=<volume> show it; correct «cache.volume»",
  },
  "selinux-label": {
    section: "start",
    seen: ["start"],
    pattern: "error relabeling|lsetxattr",
    shown: "«error relabeling content: lsetxattr …: operation not supported»",
    cause: "SELinux cannot label this folder, as on a network share",
    cure: "keep the cache in a folder of a local disk, or in a volume",
  },
  "mount-missing": {
    section: "start",
    seen: ["start"],
    pattern:
      "bind source path does not exist|statfs [^ ]+: no such file|mkdir /(mnt|media|srv|opt|home|data|volume|share)[^ ]*: read-only|error mounting [^:]*: [^:]*no such file|invalid mount config|error while creating mount source path|not shared from the host|mounts denied|failed to mount local volume",
    shown: "«bind source path does not exist: …»",
    cause: "a folder or file that the container mounts is missing on the host",
    cure: "create it there, or correct the path in the stack file; Docker from the snap store sees folders under /home only",
  },
  "host-read-only": {
    section: "start",
    seen: ["start"],
    pattern: "read-only file system",
    shown: "«read-only file system» when a container starts",
    cause:
      "the host's file system is read-only: a fault of the disk, or a folder that Docker may not change",
    cure: "dmesg shows a fault of the disk; otherwise choose another folder",
  },
  "name-taken": {
    section: "start",
    seen: ["start"],
    pattern: "container name .* is already in use|name .* is already in use by",
    shown: "«The container name … is already in use»",
    cause: "another container has the name, such as the one of docker compose",
    cure: "set «takeOver: <container>» at the host, then run up again: the old container serves until the new one has computed, and stays as a backup",
  },
  "network-alias": {
    section: "start",
    seen: ["start"],
    pattern: "network-scoped alias",
    shown: "«network-scoped alias is supported only for containers in user defined networks»",
    cause: "Docker's default network «bridge» has no name resolution",
    cure: "set «network» to Immich's own, such as «immich_default»",
  },
  "shared-network": {
    section: "start",
    seen: ["start"],
    pattern: "cannot join network of|non running container|conflicting options: .*network",
    shown: "«cannot join network of a non running container»",
    cause: "the container whose network this one shares («network: container:…») does not run",
    cure: "start it, then pulumi up",
  },
  "addresses-used-up": {
    section: "start",
    seen: ["start"],
    pattern:
      "non-overlapping ipv4 address pool|predefined address pools have been fully subnetted|no available ipv4 addresses|pool overlaps with other one",
    shown: "«could not find an available, non-overlapping IPv4 address pool»",
    cause: "Docker has no range of addresses left for another network",
    cure: 'docker network prune removes unused ones; otherwise set "default-address-pools" in /etc/docker/daemon.json',
  },
  "kernel-module": {
    section: "start",
    seen: ["start"],
    pattern:
      "can.t initialize iptables table|pair interfaces|module ip_tables not found|(endpoint|veth|bridge)[^,;]*operation not supported",
    shown: "«failed to add the host … pair interfaces: operation not supported»",
    cause:
      "the running kernel lacks a module that Docker's networks need, as after an update without a restart",
    cure: "restart the host; in an LXC guest or on a VPS load veth, ip_tables and br_netfilter on the host",
  },
  "no-ipv6-port": {
    section: "start",
    seen: ["start"],
    pattern: "address family not supported",
    shown: "«socket: address family not supported by protocol»",
    cause: "the host has no IPv6, but the port is published there",
    cure: "give «publish.address» an IPv4 address, or switch IPv6 on",
  },
  firewall: {
    section: "start",
    seen: ["start"],
    pattern: "iptables( |-|:).*(failed|no chain)|no chain/target/match",
    shown: "«iptables: No chain/target/match by that name»",
    cause: "Docker's firewall rules are gone, as after a restart of the host's firewall",
    cure: "restart Docker: systemctl restart docker",
  },
  "too-few-cores": {
    section: "start",
    seen: ["start"],
    pattern: "requested cpus are not available|range of cpus is from",
    shown: "«Requested CPUs are not available», «range of CPUs is from 0.01 to 2.00»",
    cause: "the host has fewer CPU cores than «limits» asks for",
    cure: "correct «limits.cpus» or «limits.cpuset»; nproc counts the cores",
  },
  "limit-refused": {
    section: "start",
    seen: ["start"],
    pattern: "minimum memory ?(swap)? ?limit",
    shown: "«Minimum memory limit allowed is 6MB»",
    cause: "«limits» asks for less memory than Docker gives",
    cure: "correct «limits.memory»",
  },
  "exec-denied": {
    section: "start",
    seen: ["start", "log"],
    pattern: "exec /[^ ]*: (operation not permitted|permission denied)",
    shown: "«exec /usr/bin/tini: operation not permitted»",
    cause:
      "the host's AppArmor, as with Docker's snap, or storage mounted noexec forbids the program",
    cure: "Docker's own packages in place of the snap, or «hardening: { noNewPrivileges: false }»",
  },
  "kernel-limits": {
    section: "start",
    seen: ["start"],
    pattern:
      "nanocpus can not be set|your kernel does not support|interactive authentication required|memory[.]swap|memory[.]memsw",
    shown: "«NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler»",
    cause: "the host's kernel (that of many NAS systems) or rootless Docker cannot limit this",
    cure: "leave what the message names out of «limits»",
  },
  "unknown-account": {
    section: "start",
    seen: ["start"],
    pattern: "unable to find (user|group) ",
    shown: "«unable to find group render: no matching entries in group file»",
    cause: "the image knows no user or group by that name",
    cure: "give its number («user», «groups»): id -u <name> or getent group <name> on the host",
  },
  "user-ids": {
    section: "start",
    seen: ["start", "build"],
    pattern: "insufficient uids or gids|lchown [^ ]*: invalid argument|/etc/subuid",
    shown:
      "«potentially insufficient UIDs or GIDs available in user namespace», «lchown …: invalid argument»",
    cause: "the LXC guest or the user of rootless Docker has too few user numbers for the image",
    cure: "65536 of them: lxc.idmap in the guest's configuration, or /etc/subuid and /etc/subgid for the user",
  },
  "cgroup-mount": {
    section: "start",
    seen: ["start"],
    pattern: "cgroup mountpoint does not exist|cannot found cgroup mount",
    shown: "«cgroups: cgroup mountpoint does not exist»",
    cause: "an old Docker does not find the cgroups of a newer system",
    cure: "update Docker (20.10.10 or newer), then restart the host",
  },
  "device-rules": {
    section: "start",
    seen: ["start"],
    pattern: "device cgroup rules are not supported",
    shown: "«device cgroup rules are not supported in rootless mode»",
    cause: "rootless Podman passes no USB devices on, which OpenVINO may use",
    cure: "name the render node, so that no USB is asked for: «renderNode: /dev/dri/renderD128»",
  },
  "network-missing": {
    section: "start",
    seen: ["start"],
    pattern: "network [^ ]+ (not found|does not exist)|no such network|could not find network",
    shown: "«network immich_default not found»",
    cause: "the network is gone, as after docker compose down",
    cure: "docker compose up -d for Immich, then pulumi up",
  },
  "registry-ill": {
    section: "start",
    seen: ["start", "build"],
    pattern: "unexpected (http )?status[^,]* 50[0-9]",
    shown: "«received unexpected HTTP status: 502 Bad Gateway»",
    cause: "the registry or its mirror has a fault of its own",
    cure: "run it again later, or set «build.imageMirror»",
  },
  "rate-limit": {
    section: "start",
    seen: ["start", "build"],
    pattern: "toomanyrequests|rate limit|too many requests",
    shown: "«toomanyrequests: You have reached your pull rate limit»",
    cause: "the registry limits pulls from your address",
    cure: "docker login, wait some hours, or set «build.imageMirror»",
  },
  "image-reference": {
    section: "start",
    seen: ["start", "build"],
    pattern: "invalid reference format|must be lowercase",
    shown: "«invalid reference format»",
    cause: "what «image» or a mirror names is no image",
    cure: "correct «image» or «build.imageMirror»: small letters, no scheme",
  },
  "docker-store": {
    section: "start",
    seen: ["start", "build"],
    pattern: "content digest sha256|failed to remove root filesystem",
    shown: "«content digest sha256:…: not found»",
    cause: "Docker's own store of images is damaged, or still in use",
    cure: "restart Docker, remove the image (docker image rm) and run it again; dmesg shows a fault of the disk",
  },
  "docker-restarts": {
    section: "start",
    seen: ["start", "build"],
    pattern: "dockerd is shutting down|daemon is shutting down",
    shown: "«dockerd is shutting down»",
    cause: "Docker was restarted in the meantime",
    cure: "run it again",
  },
  "engine-restart": {
    section: "start",
    seen: ["start", "build"],
    pattern:
      "did not terminate successfully: exit status|unable to retrieve oci runtime error|new shim socket|ttrpc: closed|error reading from server|transport is closing|containerd-shim[^ ]*: no such file|cannot connect to the docker daemon",
    shown: "«runc did not terminate successfully», «error reading from server: EOF»",
    cause:
      "Docker, containerd or runc stopped answering, as during an update of theirs or without memory",
    cure: "restart them: systemctl restart containerd docker, or the host; install again what is missing (docker-ce, containerd.io); if it happens again, see free -m and journalctl -u docker -u containerd",
  },
  credentials: {
    section: "start",
    seen: ["start", "build"],
    pattern: "error getting credentials|docker-credential-",
    shown: "«error getting credentials … docker-credential-desktop: executable file not found»",
    cause: "the docker client asks a password store that is missing or locked",
    cure: 'remove "credsStore" from ~/.docker/config.json of the user who runs this program, or docker login again',
  },
  "image-unknown": {
    section: "start",
    seen: ["start", "build"],
    pattern:
      "manifest unknown|manifest for .* not found|no matching manifest|pull access denied|repository does not exist|: not found ?$|unauthorized|unexpected status [^,]* 40[13]|[^n] denied: |: denied ?$|no such image",
    shown: "«manifest unknown», «pull access denied»",
    cause:
      "the registry or its mirror has no such image, or not for this CPU, or a login is required",
    cure: "correct the version or «build.imageMirror»; docker login where it is needed, docker logout where an old login is refused",
  },
  "wrong-architecture": {
    section: "start",
    seen: ["log", "start", "build"],
    pattern:
      "exec format error|does not match the detected host platform|cannot be used on this platform",
    shown: "«exec format error»",
    cause: "the image is for another CPU architecture",
    cure: "the program's own images are for amd64; on arm64 use the official ones (accelerators «cpu», «armnn», «rknn»)",
  },
  "no-python": {
    section: "start",
    seen: ["start", "log"],
    pattern:
      "executable file not found|exec user process caused[^a-z]*no such file|exec /[^ ]+: no such file|no python in this image|no such file or directory: unknown",
    shown: "«executable file not found in $PATH»",
    cause: "the image does not contain the program that the container should run",
    cure: "correct «image»: it must be an image of Immich's machine learning",
  },

  // --- The build of an image -----------------------------------------------------------------------------------
  "certificate-text": {
    section: "build",
    seen: ["build"],
    pattern: "cacertificate: not pem",
    shown: "«caCertificate: not PEM text»",
    cause: "the file in «build.caCertificate» is not PEM text",
    cure: "convert it: openssl x509 -inform der -in ca.der -out ca.pem",
  },
  "pip-hashes": {
    section: "build",
    seen: ["build"],
    pattern: "do not match the hashes|hash mismatch|hashes are required",
    shown: "«THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE»",
    cause: "the package index delivers other files than PyPI, or a download was cut off",
    cure: "run it again; if it happens again, choose another «build.packageIndex»",
  },
  "pip-plain-http": {
    section: "build",
    seen: ["build"],
    pattern: "is not a trusted or secure host",
    shown: "«The repository located at … is not a trusted or secure host and is being ignored»",
    cause: "pip refuses packages over plain http from another host",
    cure: "give «build.packageIndex» an https:// address",
  },
  "pip-missing": {
    section: "build",
    seen: ["build"],
    pattern:
      "no matching distribution|could not find a version that satisfies|is not a supported wheel|http error 40[0-9]",
    shown:
      "«No matching distribution found for …», «Could not find a version that satisfies the requirement»",
    cause:
      "the package index does not have the package, or the address is not that of a simple index",
    cure: "correct «build.packageIndex» (it ends with /simple as a rule) or leave it out; the mirror has to be complete",
  },
  "build-disk-full": {
    section: "build",
    seen: ["build", "start"],
    pattern:
      "no space left on device|errno 28|disk quota exceeded|not enough free space|you don't have enough free space",
    shown: "«No space left on device» during a build or a pull",
    cause: "the disk with Docker's data is full: an image needs up to 10 GB while it is built",
    cure: "docker system df shows what can go, docker builder prune and docker image prune remove it",
  },
  "damaged-download": {
    section: "start",
    seen: ["start", "build"],
    pattern: "layer verification failed|unexpected commit digest",
    shown: "«filesystem layer verification failed»",
    cause: "a layer of the image arrived damaged, or could not be unpacked",
    cure: "run it again; if it happens again, check the host's memory and disk",
  },
  "log-driver": {
    section: "container",
    seen: ["start"],
    pattern:
      "failed to initialize logging driver|could not get pluginv2|no log driver named|unknown log opt",
    shown: "«failed to initialize logging driver»",
    cause:
      "the host does not have this log driver, its server does not answer, or it does not know an option",
    cure: "correct «log»; docker info lists the log drivers",
  },
  "package-network": {
    section: "build",
    seen: ["build", "start", "log"],
    pattern:
      "readtimeout|read timed out|connecttimeout|connection timed out|timed out waiting|i/o timeout|tls handshake timeout|connection broken|incompleteread|newconnectionerror|max retries exceeded|connection reset|connection refused|network is unreachable|no route to host|name or service not known|temporary failure (in name resolution|resolving)|could not resolve|no such host|server misbehaving|context deadline exceeded|client.timeout|unexpected eof|anonymous token|oauth token|deadlineexceeded|failed to do request|remote end closed|protocolerror",
    shown:
      "«Read timed out», «Temporary failure in name resolution», «i/o timeout», «TLS handshake timeout»",
    cause: "Docker Hub, PyPI, Debian or Hugging Face is slow, filtered or not reachable from there",
    cure:
      "run it again: finished steps are kept. Else «build.imageMirror», «build.packageIndex», «build.aptMirror», a proxy" +
      ' («build.httpsProxy»), or working DNS in Docker ("dns" in /etc/docker/daemon.json)',
  },
  "apt-signature": {
    section: "build",
    seen: ["build"],
    pattern: "invalid signature was encountered|signatures couldn.t be verified",
    shown: "«At least one invalid signature was encountered»",
    cause:
      "apt cannot check Debian's signatures: the disk is full, or Docker or its libseccomp2 is too old for this Debian",
    cure: "docker system df and docker builder prune for the disk; update Docker and libseccomp2",
  },
  apt: {
    section: "build",
    seen: ["build"],
    pattern:
      "failed to fetch|unable to locate package|has no installation candidate|does not have a release file|no longer has a release file|index files failed|hash sum mismatch|repository .* is not signed|release file .* expired|e: unable to|sub-process .* returned an error|apt-get [^:]*did not complete successfully|apt-get [^:]*non-zero code: 100",
    shown: "«E: Failed to fetch …», «does not have a Release file», «Unable to locate package»",
    cause: "the Debian mirror is incomplete or its address is wrong",
    cure: "correct «build.aptMirror» (an address that ends with /debian, with debian-security beside it), or leave it out",
  },
  "image-check": {
    section: "build",
    seen: ["build"],
    pattern: "image check failed",
    shown: "«image check FAILED: …»",
    cause: "the finished image lacks what this release of Immich needs",
    cure: "choose another release of Immich that the program supports, and report the line: the lock file needs an update",
  },
  "no-buildx": {
    section: "build",
    seen: ["build"],
    pattern:
      "buildx component is missing|.buildx. is not a docker command|buildx: no such|unknown command: docker buildx",
    shown: "«BuildKit is enabled but the buildx component is missing or broken»",
    cause: "the docker client lacks its plugin buildx",
    cure: "install it: apt install docker-buildx-plugin (Docker's packages) or docker-buildx (Debian's, Arch's)",
  },
  "no-buildkit": {
    section: "build",
    seen: ["build"],
    pattern:
      "mount option requires buildkit|buildkit is (enabled but|not)|unknown flag: mount|unknown instruction",
    shown: "«the --mount option requires BuildKit»",
    cause: "this Docker engine does not use BuildKit",
    cure: 'update Docker (20.10.10 or newer), and remove "buildkit": false from /etc/docker/daemon.json',
  },
  "no-dockerfile": {
    section: "build",
    seen: ["build"],
    pattern: "failed to read dockerfile",
    shown: "«failed to read dockerfile: open …: no such file or directory»",
    cause:
      "Docker cannot see the folder: from the snap store it reads no files outside /home and none that begin with a dot",
    cure: "install Docker's own packages, or move this program's folder below /home",
  },
  "storage-driver": {
    section: "start",
    seen: ["start", "build"],
    pattern:
      "failed to register layer|/overlay2/[^ ]*: no such file|unexpected end of json|applylayer|failed to prepare (as|extraction)|error creating overlay|failed to extract layer|layer does not exist",
    shown: "«failed to register layer», «failed to prepare as …»",
    cause:
      "Docker cannot unpack the image: its storage driver does not suit the file system, or its data are damaged",
    cure: "docker info names the Storage Driver; put /var/lib/docker on ext4 or xfs (overlay2), run docker builder prune, then try again",
  },
  "pip-other": {
    section: "build",
    seen: ["build"],
    pattern:
      "error: could not install|error: failed building|resolutionimpossible|subprocess-exited-with-error|error: .*exception",
    shown: "any other «ERROR:» of pip",
    cause: "pip could not install the packages of the lock",
    cure: "run it again; if it happens again, report the lines above",
  },
} as const satisfies Readonly<Record<string, KnownError>>;

/** A row's name, the same in every language. */
export type KnownErrorName = keyof typeof rows;

/**
 * What Immich logs on every healthy machine at the level `debug` and some row would claim, as patterns like
 * those of the rows: it is taken out of a text before the rows are compared.
 */
const quiet: readonly string[] = [
  "debug could not load ann shared libraries, using onnx: [^ ]+ cannot open shared object file: no such file or directory",
  "debug rknn is not available",
];

/** In the order in which they are compared. */
export const knownErrors = Object.entries(rows) as readonly (readonly [
  KnownErrorName,
  KnownError,
])[];

/** A row, found in a text. */
export type FoundError = KnownError & { readonly name: KnownErrorName };

/** Characters that are compared: the end of a text is enough. */
const maxTextLength = 20_000;

/** The first row that is known at that place and found in the text. */
export function findKnownError(text: string, place: Place): FoundError | undefined {
  const flat = ` ${text.slice(-maxTextLength)} `
    .replace(/\u001b\[[0-9;]*m/g, "")
    .replace(/[^!-~]+/g, " ")
    .toLowerCase();
  const compared = quiet.reduce((rest, each) => rest.replace(new RegExp(each, "g"), " "), flat);
  const found = knownErrors.find(
    ([, { seen, pattern }]) => seen.includes(place) && new RegExp(pattern).test(compared),
  );
  return found && { name: found[0], ...found[1] };
}

/** A row in one line of a terminal: what happened and what to do. */
export function hintOf({ cause, cure }: KnownError): string {
  return `${cause}: ${cure}`;
}

/**
 * The rows for verify/common.sh and verify/inference.py: places, pattern and hint, between tabs. Those of the
 * place `quiet` come first, without a hint.
 */
export function renderRows(): string {
  const rows = knownErrors.map(([, row]) => [row.seen.join(","), row.pattern, hintOf(row)]);
  return [...quiet.map((pattern) => ["quiet", pattern, ""]), ...rows]
    .map((row) => `${row.join("\t")}\n`)
    .join("");
}
