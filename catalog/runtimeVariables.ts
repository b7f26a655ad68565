import type { AcceleratorName } from "./accelerators";

/*
 * Variables that no line of Immich reads, but the runtimes below it do: NVIDIA's, AMD's and Intel's
 * libraries, the download library, Python, the C library. A container takes them under their own names.
 */

/** What a variable of a runtime is for. */
export interface RuntimeVariable {
  readonly purpose: string;
  /** The values there are. @default any text */
  readonly pattern?: RegExp;
  /** The same in words. */
  readonly allowed?: string;
  /** The accelerators whose runtime reads it. @default all */
  readonly onlyFor?: readonly AcceleratorName[];
  /** Whether the value may hold a credential. @default false */
  readonly secret?: boolean;
}

type Rows = Readonly<Record<string, RuntimeVariable>>;

const switched = { pattern: /^[01]$/, allowed: "0 or 1" } as const;
const seconds = { pattern: /^\d+(\.\d+)?$/, allowed: "a number of seconds" } as const;
const count = { pattern: /^\d+$/, allowed: "a whole number of 0 or more" } as const;
const proxy = {
  pattern: /^(https?|socks[45][ah]?):\/\/[^\s/]\S*$/,
  allowed: "an address that begins with http://, https:// or socks5h://",
  secret: true,
} as const;
const path = { pattern: /^\/\S*$/, allowed: "an absolute path in the container" } as const;

const rowsOf = (onlyFor: readonly AcceleratorName[], rows: Rows): Rows =>
  Object.fromEntries(Object.entries(rows).map(([name, row]) => [name, { onlyFor, ...row }]));

const intel = ["openvino", "openvino-wsl"] as const;

/** By name; `*` stands for whatever ends the name. */
export const runtimeVariables: Rows = {
  // docs.nvidia.com/cuda/cuda-programming-guide, environment variables
  ...rowsOf(["cuda"], {
    CUDA_VISIBLE_DEVICES: {
      purpose: "the container's GPUs that CUDA uses, by number (from 0) or UUID",
      pattern: /^(-1|\d+|(GPU|MIG)-[0-9A-Fa-f/-]+)?(,(-1|\d+|(GPU|MIG)-[0-9A-Fa-f/-]+))*$/,
      allowed: "numbers or UUIDs of GPUs, separated by commas",
    },
    CUDA_DEVICE_ORDER: {
      purpose: "how CUDA numbers GPUs; nvidia-smi numbers them by PCI_BUS_ID",
      pattern: /^(FASTEST_FIRST|PCI_BUS_ID)$/,
      allowed: "FASTEST_FIRST or PCI_BUS_ID",
    },
    CUDA_MODULE_LOADING: {
      purpose: "whether CUDA loads its kernels when they are first used (less memory)",
      pattern: /^(LAZY|EAGER|DEFAULT)$/,
      allowed: "LAZY, EAGER or DEFAULT",
    },
    CUDA_CACHE_DISABLE: { purpose: "forgets kernels compiled for the GPU", ...switched },
    CUDA_CACHE_MAXSIZE: { purpose: "bytes of the cache of compiled kernels", ...count },
    CUDA_CACHE_PATH: { purpose: "folder of the cache of compiled kernels", ...path },
    CUDA_FORCE_PTX_JIT: { purpose: "compiles every kernel anew for the GPU", ...switched },
    CUDA_DISABLE_PTX_JIT: { purpose: "never compiles a kernel for the GPU", ...switched },
    CUDA_LAUNCH_BLOCKING: { purpose: "runs kernels one by one, to find a fault", ...switched },
    "CUDA_*": { purpose: "CUDA" },
    "CUBLAS*": { purpose: "CUDA's matrix library" },
    "CUDNN_*": { purpose: "CUDA's neural-network library" },
    "CUFFT_*": { purpose: "CUDA's Fourier library" },
    NVIDIA_TF32_OVERRIDE: { purpose: "computes with TF32 (1) or never (0)", ...switched },
    // docs.nvidia.com/datacenter/cloud-native/container-toolkit, docker-specialized
    NVIDIA_VISIBLE_DEVICES: {
      purpose: "the GPUs that NVIDIA's runtime gives the container",
      pattern: /^(all|none|void|[\w:/.=-]+(,[\w:/.=-]+)*)$/,
      allowed: "all, none, void, or numbers or UUIDs of GPUs, separated by commas",
    },
    NVIDIA_DRIVER_CAPABILITIES: {
      purpose: "parts of NVIDIA's driver that the container gets; compute and utility are needed",
      pattern: /^(?=(.*,)?(all|compute)(,|$))[a-z0-9]+(,[a-z0-9]+)*$/,
      allowed: "all, or compute with others such as utility and video, separated by commas",
    },
    NVIDIA_DISABLE_REQUIRE: { purpose: "lets an image start that asks for a newer driver" },
    "NVIDIA_*": { purpose: "NVIDIA's container runtime" },
    "ORT_TENSORRT_*": { purpose: "ONNX Runtime with TensorRT" },
  }),
  // docs.immich.app (hardware-accelerated machine learning, ROCm), rocm.docs.amd.com
  ...rowsOf(["rocm"], {
    HSA_USE_SVM: {
      purpose: "0 makes ROCm work where the GPU shares no virtual memory, as Immich advises",
      ...switched,
    },
    HSA_XNACK: { purpose: "whether the GPU may wait for a page of memory", ...switched },
    HSA_ENABLE_SDMA: { purpose: "0 copies without the GPU's copy engine", ...switched },
    "HSA_*": { purpose: "ROCm's runtime" },
    ROCR_VISIBLE_DEVICES: { purpose: "the GPUs that ROCm uses, by number or UUID" },
    HIP_VISIBLE_DEVICES: { purpose: "the GPUs that HIP uses, by number" },
    GPU_DEVICE_ORDINAL: { purpose: "the GPUs that OpenCL and HIP use, by number" },
    "ROCR_*": { purpose: "ROCm's runtime" },
    "ROCM_*": { purpose: "ROCm" },
    "HIP_*": { purpose: "AMD's HIP" },
    "HIPBLAS*": { purpose: "AMD's matrix library" },
    "ROCBLAS_*": { purpose: "AMD's matrix library" },
    "TENSILE_*": { purpose: "AMD's matrix library" },
    "MIOPEN_*": { purpose: "AMD's neural-network library" },
    "MIGRAPHX_*": { purpose: "AMD's graph compiler" },
    "ORT_MIGRAPHX_*": { purpose: "ONNX Runtime with AMD's graph compiler" },
    "AMD_*": { purpose: "AMD's drivers" },
    "GPU_*": { purpose: "AMD's drivers" },
    "PYTORCH_ROCM_*": { purpose: "ROCm" },
  }),
  // docs.openvino.ai; intel/compute-runtime; oneapi-src/level-zero
  ...rowsOf(intel, {
    "OPENVINO_*": { purpose: "OpenVINO" },
    "OV_*": { purpose: "OpenVINO" },
    "ORT_OPENVINO_*": { purpose: "ONNX Runtime with OpenVINO" },
    "ZE_*": { purpose: "Intel's Level Zero" },
    "ZES_*": { purpose: "Intel's Level Zero" },
    "IGC_*": { purpose: "Intel's compiler for GPUs" },
    "NEO_*": { purpose: "Intel's compute runtime" },
    NEOReadDebugKeys: { purpose: "lets Intel's compute runtime read its switches", ...switched },
    OverrideGpuAddressSpace: { purpose: "bits of address space of Intel's GPU", ...count },
    LIBVA_DRIVER_NAME: { purpose: "Intel's video driver" },
    "ONEAPI_*": { purpose: "Intel's oneAPI" },
    "SYCL_*": { purpose: "Intel's oneAPI" },
  }),
  ...rowsOf(["rknn"], { "RKNN_*": { purpose: "Rockchip's NPU library" } }),
  ...rowsOf(["armnn"], { "ARMNN_*": { purpose: "ARM NN" } }),
  "OCL_*": { purpose: "OpenCL" },
  "ORT_*": { purpose: "ONNX Runtime" },

  // Threads and memory on the CPU: openmp.org, gcc.gnu.org (libgomp), mimalloc
  OMP_NUM_THREADS: { purpose: "threads of OpenMP", ...count },
  "OMP_*": { purpose: "OpenMP" },
  "GOMP_*": { purpose: "GNU's OpenMP" },
  "KMP_*": { purpose: "Intel's OpenMP" },
  "MKL_*": { purpose: "Intel's mathematics library" },
  "DNNL_*": { purpose: "oneDNN" },
  "ONEDNN_*": { purpose: "oneDNN" },
  OPENBLAS_NUM_THREADS: { purpose: "threads of OpenBLAS", ...count },
  "OPENBLAS_*": { purpose: "OpenBLAS" },
  "NUMEXPR_*": { purpose: "NumExpr" },
  "NPY_*": { purpose: "NumPy" },
  "OPENCV_*": { purpose: "OpenCV" },
  "MALLOC_*": { purpose: "the C library's allocator" },
  "MIMALLOC_*": { purpose: "the allocator of Immich's images" },
  GLIBC_TUNABLES: { purpose: "the C library" },
  LD_LIBRARY_PATH: { purpose: "folders searched for shared libraries first" },
  LD_PRELOAD: { purpose: "libraries loaded before all others; the images load their allocator" },
  "LD_*": { purpose: "the dynamic linker" },

  // huggingface.co/docs/huggingface_hub, environment variables
  HF_HUB_DOWNLOAD_TIMEOUT: { purpose: "seconds to wait for a download's data", ...seconds },
  HF_HUB_ETAG_TIMEOUT: { purpose: "seconds to wait for a file's description", ...seconds },
  HF_HUB_DISABLE_XET: { purpose: "downloads without Hugging Face's chunk store" },
  HF_HUB_ENABLE_HF_TRANSFER: { purpose: "downloads with hf_transfer, which no image here has" },
  HUGGING_FACE_HUB_TOKEN: { purpose: "the former name of HF_TOKEN", secret: true },
  HUGGINGFACE_HUB_CACHE: { purpose: "the former name of HF_HUB_CACHE", ...path },
  "HF_*": { purpose: "Hugging Face's download library" },
  "TRANSFORMERS_*": { purpose: "Hugging Face's libraries" },
  "TOKENIZERS_*": { purpose: "Hugging Face's tokenizers" },
  DO_NOT_TRACK: { purpose: "sends no statistics" },
  ALL_PROXY: { purpose: "proxy for every download", ...proxy },
  http_proxy: { purpose: "proxy for downloads over http", ...proxy },
  https_proxy: { purpose: "proxy for downloads over https", ...proxy },
  all_proxy: { purpose: "proxy for every download", ...proxy },
  no_proxy: { purpose: "hosts reached without the proxy, separated by commas" },
  SSL_CERT_FILE: { purpose: "file of the certificates to trust", ...path },
  SSL_CERT_DIR: { purpose: "folder of the certificates to trust", ...path },
  REQUESTS_CA_BUNDLE: { purpose: "file of the certificates to trust", ...path },
  CURL_CA_BUNDLE: { purpose: "file of the certificates to trust", ...path },

  // docs.python.org (using/cmdline), gunicorn.org (settings), uvicorn
  GUNICORN_CMD_ARGS: { purpose: "further arguments of the web server, as on its command line" },
  WEB_CONCURRENCY: { purpose: "workers where none are set; Immich sets them, so use workers" },
  "UVICORN_*": { purpose: "the web server" },
  FORWARDED_ALLOW_IPS: { purpose: "proxies whose headers the web server trusts" },
  "PYTHON*": { purpose: "Python" },
  "PYDANTIC_*": { purpose: "the library that reads the settings" },
  MPLCONFIGDIR: { purpose: "folder of matplotlib's settings", ...path },

  // The system's own
  HOME: { purpose: "the user's folder", ...path },
  PATH: { purpose: "folders of programs" },
  TMPDIR: { purpose: "folder of temporary files", ...path },
  LANG: { purpose: "language and encoding" },
  LANGUAGE: { purpose: "language" },
  "LC_*": { purpose: "language and encoding" },
  TERM: { purpose: "the terminal" },
  COLUMNS: { purpose: "width of the log's lines", ...count },
  FORCE_COLOR: { purpose: "colours in the log" },
  "XDG_*": { purpose: "folders of settings and caches" },
};

/** A variable of a runtime by its name; undefined for any other. */
export function findRuntimeVariable(name: string): RuntimeVariable | undefined {
  if (Object.hasOwn(runtimeVariables, name) && !name.endsWith("*")) return runtimeVariables[name];
  const [, row] =
    Object.entries(runtimeVariables).find(
      ([pattern]) => pattern.endsWith("*") && isPrefix(pattern.slice(0, -1), name),
    ) ?? [];
  return row;
}

function isPrefix(prefix: string, name: string): boolean {
  return name.length > prefix.length && name.startsWith(prefix) && isVariableName(name);
}

/** Whether a name is one that a shell and a container take. */
export function isVariableName(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name);
}

/** Names that people give the ML container though something else reads them, and what to do. */
export const foreignVariables: readonly { readonly pattern: RegExp; readonly instead: string }[] = [
  {
    pattern: /^(PUID|PGID|UID|GID|USER_ID|GROUP_ID)$/,
    instead: "only images of linuxserver.io read it; set the host's user",
  },
  {
    pattern: /^(UMASK|DOCKER_MODS|ATTACHED_DEVICES_PERMS|S6_\w+|LSIO_\w+)$/,
    instead: "only images of linuxserver.io read it",
  },
  {
    pattern: /^(RENDER|VIDEO)_(GID|GROUP_ID)$/,
    instead: "set the host's groups: [its number]",
  },
  {
    pattern:
      /^MACHINE_LEARNING_(ACCELERATION|GPU_ACCELERATION|HWACCEL|DEVICE|DEVICE_TYPE|GPU|USE_GPU|CUDA|PROVIDER)$/,
    instead: "the host's accelerator decides what the models are computed on",
  },
  {
    pattern:
      /^(DB|REDIS|POSTGRES|TYPESENSE|JWT)_|^(UPLOAD_LOCATION|REVERSE_GEOCODING_DUMP_DIRECTORY)$/,
    instead: "Immich's server reads it, not its machine learning; leave it out",
  },
  {
    pattern: /^IMMICH_VERSION$/,
    instead: "docker compose reads it; here immich.version decides",
  },
  {
    pattern:
      /^(IMMICH_(MACHINE_LEARNING|MEDIA|CONFIG|WORKERS|TRUSTED|PROCESS|API|SERVER|TELEMETRY|ENV|ALLOW|IGNORE|HELMET|BUILD|REPOSITORY|SOURCE|THIRD_PARTY|WEB|MICROSERVICES|METRICS)\w*|NODE_\w+|CPU_CORES)$/,
    instead: "Immich's server reads it, not its machine learning; leave it out",
  },
  {
    pattern:
      /^MACHINE_LEARNING_(URL|ENABLED|CLIP_MODEL|FACIAL_RECOGNITION_MODEL|CLASSIFICATION_MODEL|MIN_\w+|EAGER_STARTUP)$/,
    instead: "Immich's configuration decides it: preset or models",
  },
];
