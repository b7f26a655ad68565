import type { KnownErrorName, Place } from "../../catalog/knownErrors";

/**
 * Errors as the real tools print them (host names and paths shortened), where they are seen, and the row
 * that is meant. Taken from public reports of Immich, ONNX Runtime, NVIDIA, ROCm, OpenVINO, ARM NN,
 * Rockchip, Docker, runc, pip and apt; those without a source were printed here.
 */
export interface Sample {
  readonly place: Place;
  readonly text: string;
  readonly row: KnownErrorName;
}

/** What stands before ONNX Runtime's own words since 1.15. */
const cudaCall =
  "/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:121 std::conditional_t<THRW, void, onnxruntime::common::Status> onnxruntime::CudaCall(ERRTYPE, const char*, const char*, ERRTYPE, const char*, const char*, int) [with ERRTYPE = cudaError; bool THRW = true; std::conditional_t<THRW, void, onnxruntime::common::Status> = void] ";
const cuda = (code: number, words: string, call = "cudaSetDevice(info_.device_id)") =>
  `[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Exception during initialization: ${cudaCall}CUDA failure ${code}: ${words} ; GPU=0 ; hostname=attic ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_execution_provider.cc ; line=245 ; expr=${call}; `;
const library = (name: string, words: string) =>
  `[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Exception during initialization: ${cudaCall}${name} failure ${words} ; GPU=0 ; hostname=attic ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_execution_provider.cc ; line=164 ; expr=create(&handle_); `;
const hip = (code: number, words: string) =>
  `/code/onnxruntime/onnxruntime/core/providers/rocm/rocm_call.cc:119 bool onnxruntime::RocmCall(ERRTYPE, const char*, const char*, ERRTYPE, const char*, const char*, int) [with ERRTYPE = hipError_t; bool THRW = true] HIP failure ${code}: ${words} ; GPU=0 ; hostname=attic ; file=/code/onnxruntime/core/providers/rocm/rocm_execution_provider.cc ; line=170 ; expr=hipSetDevice(info_.device_id); `;
const load = (words: string) =>
  `[ONNXRuntimeError] : 1 : FAIL : Load model from /cache/clip/ViT-B-32__openai/visual/model.onnx failed:${words}`;
const oci = (words: string) =>
  `Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: ${words}: unknown`;
const hook = (words: string) =>
  oci(
    `error running prestart hook #0: exit status 1, stdout: , stderr: Auto-detected mode as 'legacy'\nnvidia-container-cli: ${words}`,
  );
const bridge = (words: string) =>
  `/cache/clip/ViT-B-32__openai/visual/model.onnx: opset 19 is too new for this ONNX Runtime, and the model converted for it cannot be kept beside it: ${words}`;

const of = (place: Place, rows: readonly (readonly [KnownErrorName, ...string[]])[]): Sample[] =>
  rows.flatMap(([row, ...texts]) => texts.map((text) => ({ place, text, row })));

export const samples: readonly Sample[] = [
  ...of("network", [
    ["driver-too-old", cuda(35, "CUDA driver version is insufficient for CUDA runtime version")],
    [
      "no-kernel-image",
      "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Resize node. Name:'' Status Message: CUDA error cudaErrorNoKernelImageForDevice:no kernel image is available for execution on the device",
      cuda(209, "no kernel image is available for execution on the device"),
      cuda(98, "invalid device function"),
      cuda(200, "device kernel image is invalid"),
    ],
    [
      "ptx-too-new",
      cuda(222, "the provided PTX was compiled with an unsupported toolchain."),
      cuda(218, "a PTX JIT compilation failed"),
    ],
    [
      "named-symbol",
      cuda(500, "named symbol not found"),
      "CUDA failure 500: named symbol not found ; GPU=-1 ; hostname=0ec3d2c5f698 ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_execution_provider_info.cc ; line=66 ; expr=cudaGetDeviceCount(&num_devices); ",
      "Non-zero status code returned while running QuickGelu node. Name:'/model.0/act/Mul/QuickGeluFusion/' Status Message: CUDA error cudaErrorSymbolNotFound:named symbol not found",
    ],
    [
      "compat-libraries",
      cuda(804, "forward compatibility was attempted on non supported HW"),
      cuda(34, "CUDA driver is a stub library"),
    ],
    [
      "driver-mismatch",
      cuda(803, "system has unsupported display driver / cuda driver combination"),
    ],
    [
      "video-memory",
      cuda(2, "out of memory"),
      library("CUBLAS", "3: CUBLAS_STATUS_ALLOC_FAILED"),
      library("CUBLAS", "3: the resource allocation failed"),
      library("CUDNN", "4: CUDNN_STATUS_ALLOC_FAILED"),
      library("CUDNN", "2: CUDNN_STATUS_ALLOC_FAILED"),
      library("CUDNN", "4002: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
      "onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*, bool) Failed to allocate memory for requested buffer of size 16777216",
    ],
    [
      "cudnn-not-initialized",
      library("CUDNN", "1: CUDNN_STATUS_NOT_INITIALIZED"),
      library("CUDNN", "1001: CUDNN_STATUS_NOT_INITIALIZED"),
      library("CUBLAS", "1: CUBLAS_STATUS_NOT_INITIALIZED"),
      library("CUBLAS", "1: the library was not initialized"),
      library("CUDNN", "4: CUDNN_STATUS_INTERNAL_ERROR"),
      library("CUDNN", "5000: CUDNN_STATUS_EXECUTION_FAILED_CUBLAS, CUBLAS_STATUS_NOT_INITIALIZED"),
    ],
    [
      "cudnn-libraries",
      "Could not load library libcudnn_ops_infer.so.8. Error: libcudnn_ops_infer.so.8: cannot open shared object file: No such file or directory",
      library("CUDNN", "1003: CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH"),
      "Unable to load any of {libcudnn_cnn.so.9.1.0, libcudnn_cnn.so.9.1, libcudnn_cnn.so.9, libcudnn_cnn.so}",
    ],
    [
      "cudnn-arch",
      library("CUDNN", "3008: CUDNN_STATUS_ARCH_MISMATCH"),
      library("CUDNN", "9: CUDNN_STATUS_NOT_SUPPORTED"),
      library("CUDNN", "8: CUDNN_STATUS_EXECUTION_FAILED"),
      library("CUBLAS", "8: CUBLAS_STATUS_ARCH_MISMATCH"),
    ],
    [
      "gpu-busy",
      cuda(46, "all CUDA-capable devices are busy or unavailable"),
      cuda(46, "CUDA-capable device(s) is/are busy or unavailable"),
    ],
    ["invalid-device", cuda(101, "invalid device ordinal"), cuda(10, "invalid device ordinal")],
    ["no-cuda-device", cuda(100, "no CUDA-capable device is detected")],
    ["ecc", cuda(214, "uncorrectable ECC error encountered")],
    ["launch-timeout", cuda(702, "the launch timed out and was terminated")],
    [
      "card-fault",
      cuda(700, "an illegal memory access was encountered"),
      cuda(719, "unspecified launch failure"),
      cuda(715, "an illegal instruction was encountered"),
      cuda(716, "misaligned address"),
      cuda(717, "operation not supported on global/shared address space"),
      library("CUBLAS", "13: CUBLAS_STATUS_EXECUTION_FAILED"),
      library("CUBLAS", "13: the GPU program failed to execute"),
    ],
    [
      "cuda-unknown",
      cuda(999, "unknown error"),
      cuda(3, "initialization error"),
      cuda(304, "OS call failed or operation not supported on this OS"),
      cuda(800, "operation not permitted"),
    ],
    ["cuda-other", cuda(1, "invalid argument"), cuda(801, "operation not supported")],
    [
      "provider-library",
      "[E:onnxruntime:Default, provider_bridge_ort.cc:1480 TryGetProviderInfo_CUDA] [ONNXRuntimeError] : 1 : FAIL : Failed to load library libonnxruntime_providers_cuda.so with error: libcublasLt.so.12: cannot open shared object file: No such file or directory",
    ],
    [
      "no-cuda-provider",
      "[W:onnxruntime:Default, onnxruntime_pybind_state.cc:574 CreateExecutionProviderInstance] Failed to create CUDAExecutionProvider. Please reference https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html#requirements to ensure all dependencies are met.",
    ],
    [
      "rocm-no-gpu",
      hip(100, "no ROCm-capable device is detected"),
      hip(101, "invalid device ordinal"),
      "Unable to open /dev/kfd read-write: Permission denied",
    ],
    [
      "rocm-no-code",
      hip(98, "invalid device function"),
      hip(209, "no kernel image is available for execution on the device"),
      '"hipErrorNoBinaryForGpu: Unable to find code object for all current devices!"',
      "rocBLAS error: Cannot read /opt/rocm/lib/rocblas/library/TensileLibrary.dat: No such file or directory for GPU arch : gfx1031",
    ],
    ["rocm-memory", hip(2, "out of memory"), "hipErrorOutOfMemory"],
    [
      "rocm-hang",
      "Memory access fault by GPU node-1 (Agent handle: 0x7f69) on address 0x7f0000. Reason: Page not present or supervisor privilege.",
      "HW Exception by GPU node-1 (Agent handle: 0x7f6898248910) reason :GPU Hang",
      hip(719, "unspecified launch failure"),
      hip(1, "invalid argument"),
    ],
    [
      "miopen",
      "Non-zero status code returned while running Conv node. Name:'Conv_426' Status Message: MIOPEN failure 7: miopenStatusUnknownError ; GPU=0 ; hostname=b86317b041da ; file=/code/onnxruntime/core/providers/rocm/nn/conv.cc",
      "Non-zero status code returned while running MGXKernel_graph_main_graph_748_0 node. Name:'MIGraphXExecutionProvider_MGXKernel_graph_main_graph_748_0_0' Status Message: Failed to call function",
    ],
    [
      "intel-memory",
      "[OpenVINO-EP]  Wait Model Failed: Exception from src/inference/src/cpp/infer_request.cpp:245:\nException from src/plugins/intel_gpu/src/runtime/ocl/ocl_engine.cpp:185:\n[GPU] out of GPU resources",
      "[GPU] CL_OUT_OF_RESOURCES exception.",
      "onednn_verbose,v1,primitive,error,ocl,errcode -6,CL_OUT_OF_HOST_MEMORY,src/gpu/intel/ocl/ocl_gpu_engine.cpp:261",
      "[GPU] Exceeded max size of memory object allocation: requested 2147483648 bytes, but max alloc size supported by device is 1073741824 bytes.",
      "ZE_RESULT_ERROR_OUT_OF_DEVICE_MEMORY",
    ],
    [
      "intel-no-gpu",
      'Exception from src/inference/src/dev/core_impl.cpp:566:\nDevice with "GPU" name is not registered in the OpenVINO Runtime',
      "Exception from src/plugins/intel_gpu/src/runtime/ocl/ocl_device_detector.cpp:164:\n[GPU] Can't get PERFORMANCE_HINT property as no supported devices found or an error happened during devices query.\n[GPU] Please check OpenVINO documentation for GPU drivers setup guide.",
      "RuntimeError: Failed to create plugin /opt/venv/lib/libopenvino_intel_gpu_plugin.so for device GPU",
      "clGetPlatformIDs, error code: -1001",
      "ZE_RESULT_ERROR_UNINITIALIZED",
    ],
    [
      "opencl",
      "Exception from src/plugins/intel_gpu/src/runtime/ocl/ocl_stream.cpp:310:\n[GPU] clEnqueueNDRangeKernel, error code: -54",
      "[GPU] ProgramBuilder build failed!\nProgram build failed: CL_BUILD_PROGRAM_FAILURE",
      "ZE_RESULT_ERROR_INVALID_KERNEL_NAME",
      "Level Zero: zeModuleCreate failed",
    ],
    [
      "armnn",
      "Could not initialize the CL runtime. Error description: clGetPlatformIDs. CL error code: -1001",
      "Couldn't find any of the following OpenCL library: libOpenCL.so libGLES_mali.so libmali.so",
      "Can't load libOpenCL.so: libOpenCL.so: cannot open shared object file: No such file or directory",
      "Could not load ANN shared libraries, using ONNX: libmali.so: cannot open shared object file",
    ],
    ["rknn-model", "Exception: RKNN init failed. error code: RKNN_ERR_MODEL_INVALID"],
    ["rknn-memory", "Exception: RKNN init failed. error code: RKNN_ERR_MALLOC_FAIL"],
    [
      "rknn",
      "E RKNN: [03:28:11.710] failed to open rknpu module, need to insmod rknpu dirver!\nE RKNN: [03:28:11.711] failed to open rknn device!",
      "RuntimeError: Failed to initialize RKNN runtime environment",
      "rknn is not available!",
    ],
    ["device-permission", "[Errno 13] Permission denied: '/dev/accel/accel0'"],
    ["gpu-cut-off", "Failed to initialize NVML: Unknown Error"],
    ["nvidia-smi-hangs", "nvidia-smi has not answered for 20 s"],
  ]),
  ...of("model", [
    ["driver-too-old", cuda(35, "CUDA driver version is insufficient for CUDA runtime version")],
    ["named-symbol", cuda(500, "named symbol not found")],
    ["cudnn-not-initialized", library("CUDNN", "1: CUDNN_STATUS_NOT_INITIALIZED")],
    ["video-memory", library("CUBLAS", "3: CUBLAS_STATUS_ALLOC_FAILED")],
    [
      "opset-too-new",
      "[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : Could not find an implementation for Reshape(19) node with name '/text_projection/Reshape'",
      load(
        "/onnxruntime_src/onnxruntime/core/graph/model_load_utils.h:47 void onnxruntime::model_load_utils::ValidateOpsetForDomain(...) ONNX Runtime only *guarantees* support for models stamped with official released onnx opset versions. Opset 21 is under development and support for this is limited. Current official support for domain ai.onnx is till opset 18.",
      ),
      '[ONNXRuntimeError] : 10 : INVALID_GRAPH : Load model from /cache/m.onnx failed:This is an invalid model. In Node, ("", Resize) : Error Unrecognized attribute: antialias for operator Resize',
      load("Fatal error: com.microsoft:MultiHeadAttention(-1) is not a registered function/op"),
    ],
    [
      "ir-version",
      load(
        "/onnxruntime_src/onnxruntime/core/graph/model.cc:146 onnxruntime::Model::Model(...) Unsupported model IR version: 9, max supported IR version: 8",
      ),
      "onnx IR version: 9 is not supported",
    ],
    [
      "model-damaged",
      "[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : Load model from /cache/clip/ViT-B-32__openai/visual/model.onnx failed:Protobuf parsing failed.",
      "[ONNXRuntimeError] : 1 : FAIL : Load model from /cache/m.onnx failed:ModelProto does not have a graph.",
      "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : No graph was found in the protobuf.",
      "[ONNXRuntimeError] : 1 : FAIL : Deserialize tensor visual.proj failed.GetFileLength for /cache/clip/m/visual/model.data failed:open file fail",
      "External initializer: visual.proj offset: 0 size to read: 1572864 given file_length: 10 are out of bounds or can not be read in full.",
      "UnpackTensor: the pre-allocated size does not match the raw data size, expected 512 got 100",
    ],
    [
      "cache-full",
      bridge(
        "no space in the model cache (350 MiB are needed and 12 MiB are free); free some or enlarge it",
      ),
      "OSError: [Errno 28] No space left on device: '/cache/clip/m/visual/model.onnx'",
    ],
    [
      "cache-owner",
      bridge("the model cache cannot be written (Permission denied); make it writable once"),
      "PermissionError: [Errno 13] Permission denied: '/cache/clip/ViT-B-32__openai'",
    ],
    [
      "cache-read-only",
      bridge("the model cache cannot be written (Read-only file system); make it writable once"),
      "OSError: [Errno 30] Read-only file system: '/cache/clip'",
    ],
    [
      "converter-refuses",
      "/cache/clip/m/visual/model.onnx: operator GroupNormalization of opset 21 has no form in opset 17, the newest that the ONNX Runtime installed can read; choose another model",
      "/cache/clip/m/visual/model.onnx: its functions cannot be inlined: bad",
      "/cache/clip/m/visual/model.onnx: the model has more than 100000 fields; choose another model",
    ],
    [
      "converted-unreadable",
      "/cache/m.onnx: the model converted for this ONNX Runtime cannot be opened: [ONNXRuntimeError] : 7 : INVALID_PROTOBUF : Protobuf parsing failed.",
      "/cache/m.onnx: the weights of visual.proj reach behind the end of model.data: delete the model from the cache, Immich downloads it again",
    ],
    [
      "locked-out",
      'the server answered 500: {"detail":"Failed to load model \'ViT-B-32__openai\'"}',
    ],
    [
      "model-missing",
      "[ONNXRuntimeError] : 3 : NO_SUCHFILE : Load model from /cache/m.onnx failed:Load model /cache/m.onnx failed. File doesn't exist",
      "FileNotFoundError: Model file not found: /cache/clip/m/visual/model.onnx",
    ],
    [
      "rknn-model",
      "RuntimeError: Failed to load RKNN model",
      "E RKNN: The rknn model does not match the RKNPU hardware version!",
    ],
    [
      "host-memory",
      "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Exception during initialization: std::bad_alloc",
    ],
  ]),
  ...of("log", [
    [
      "gpu-out-of-reach",
      "immich-ml: no new process reaches the card: cuInit: CUDA error 999",
      "immich-ml: no new process reaches the card: the driver has not answered for 15 s\nimmich-ml: stopping, so that Docker starts the container with its card",
    ],
    [
      "no-ipv6",
      "[03/23/24 12:31:57] ERROR    Retrying in 1 second.\n[03/23/24 12:31:58] ERROR    Can't connect to ('::', 3003)",
      "[12/06/25 10:47:23] ERROR    connection to ('::', 3003) failed: [Errno 97]      \n                             Address family not supported by protocol           ",
    ],
    [
      "port-in-use",
      "[ERROR] Connection in use: ('0.0.0.0', 3003)",
      "OSError: [Errno 98] Address already in use",
    ],
    [
      "named-symbol",
      // Rich wraps what Immich logs and draws a box around it.
      "│ RuntimeException: [ONNXRuntimeError] : 6 : CUDA failure 500: named symbol     │\n│ not found ; GPU=0 ; hostname=attic                                             │",
    ],
    [
      "old-cpu",
      "RuntimeError: NumPy was built with baseline optimizations:\n(X86_V2) but your machine doesn't support:\n(X86_V2).",
      "[ERROR] Worker (pid:9) was sent code 132!",
    ],
    [
      "host-memory",
      "[08/29/24 10:00:00] ERROR    Worker (pid:165) was sent SIGKILL! Perhaps out of memory?",
    ],
    ["worker-timeout", "[CRITICAL] WORKER TIMEOUT (pid:10)"],
    [
      "worker-crash",
      "[08/29/24 10:00:00] ERROR    Worker (pid:165) was sent code 134!",
      "Segmentation fault (core dumped)",
      "[ERROR] Worker (pid:12) was sent code 139!",
    ],
    [
      "too-many-threads",
      "RuntimeError: can't start new thread",
      "OpenBLAS blas_thread_init: pthread_create failed for thread 1 of 4: Operation not permitted",
    ],
    [
      "bad-variable",
      "pydantic_core._pydantic_core.ValidationError: 1 validation error for Settings\nworkers\n  Input should be greater than 0",
      "Error: '' is not a valid port number.",
    ],
    ["package-missing", "ModuleNotFoundError: No module named 'rapidocr'"],
    [
      "control-socket",
      "[INFO] Listening at: http://[::]:3003 (9)\n[INFO] Control socket listening at /usr/src/gunicorn.ctl",
    ],
    ["cache-owner", "PermissionError: [Errno 13] Permission denied: '/cache/facial-recognition'"],
    [
      "model-download",
      "LocalEntryNotFoundError: An error happened while trying to locate the files on the Hub and we cannot find the appropriate snapshot folder for the specified revision on the local disk.",
      "OSError: We couldn't connect to 'https://huggingface.co' to load the files",
    ],
    [
      "certificate",
      "ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate in certificate chain (_ssl.c:1000)",
    ],
    [
      "model-unknown",
      "huggingface_hub.errors.RepositoryNotFoundError: 401 Client Error. (Request ID: Root=1-67)\nRepository Not Found for url: https://huggingface.co/api/models/immich-app/none/revision/main.",
    ],
    [
      "package-network",
      "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='cdn.example.org', port=443): Max retries exceeded with url: /m (Caused by NameResolutionError: Temporary failure in name resolution)",
    ],
    [
      "proxy",
      "requests.exceptions.ProxyError: HTTPSConnectionPool(host='huggingface.co', port=443): Max retries exceeded with url: / (Caused by ProxyError('Unable to connect to proxy', OSError('Tunnel connection failed: 407 Proxy Authentication Required')))",
    ],
    [
      "locked-out",
      "fastapi.exceptions.HTTPException: 500: Failed to load model 'ViT-B-32__openai'",
    ],
    ["wrong-architecture", "exec /usr/bin/tini: exec format error"],
    ["rocm-hang", "Memory access fault by GPU node-1 on address (nil)."],
    [
      "model-damaged",
      "[W] Failed to load clip model 'ViT-B-32__openai'. Clearing cache.\nInvalidProtobuf: [ONNXRuntimeError] : 7 : INVALID_PROTOBUF : Load model from /cache/m.onnx failed:Protobuf parsing failed.",
    ],
  ]),
  ...of("nvidia-smi", [
    ["gpu-cut-off", "Failed to initialize NVML: Unknown Error"],
    [
      "driver-mismatch",
      "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 535.183",
    ],
    ["no-devices", "No devices were found", "No devices found."],
    [
      "driver-not-running",
      "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running.",
      "Failed to initialize NVML: Driver Not Loaded",
      "NVIDIA-SMI couldn't find libnvidia-ml.so library in your system.",
    ],
    [
      "gpu-lost",
      "Unable to determine the device handle for GPU 0000:01:00.0: GPU is lost.  Reboot the system to recover this GPU",
      "Unable to determine the device handle for GPU0000:02:00.0: Unknown Error",
    ],
    ["nvml-permissions", "Failed to initialize NVML: Insufficient Permissions"],
    [
      "no-nvidia-smi",
      'OCI runtime exec failed: exec failed: unable to start container process: exec: "nvidia-smi": executable file not found in $PATH: unknown',
    ],
  ]),
  ...of("start", [
    [
      "device-driver",
      'Error response from daemon: could not select device driver "nvidia" with capabilities: [[gpu]]',
      'docker: Error response from daemon: could not select device driver "" with capabilities: [[gpu]].',
      "Error response from daemon: unknown or invalid runtime name: nvidia",
      "docker: Error response from daemon: Unknown runtime specified nvidia.",
    ],
    [
      "cdi",
      'docker: Error response from daemon: could not select device driver "cdi" with capabilities: [].',
      "Error response from daemon: CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=all",
    ],
    [
      "lxc-cgroups",
      hook(
        "mount error: failed to add device rules: unable to find any existing device filters attached to the cgroup: bpf_prog_query(BPF_CGROUP_DEVICE) failed: operation not permitted",
      ),
    ],
    [
      "lxc-sysctl",
      oci("open sysctl net.ipv4.ip_unprivileged_port_start file: reopen fd 8: permission denied"),
    ],
    [
      "driver-not-running",
      hook("initialization error: nvml error: driver not loaded"),
      hook(
        "initialization error: load library failed: libnvidia-ml.so.1: cannot open shared object file: no such file or directory",
      ),
      hook("initialization error: driver rpc error: failed to process request"),
    ],
    ["driver-mismatch", hook("initialization error: nvml error: driver/library version mismatch")],
    [
      "driver-too-old",
      hook(
        "requirement error: unsatisfied condition: cuda>=12.6, please update your driver to a newer version, or use an earlier cuda container",
      ),
    ],
    ["unknown-gpu", hook("device error: GPU-3f2b: unknown device")],
    [
      "ldconfig",
      hook("ldcache error: open failed: /sbin/ldconfig.real: no such file or directory"),
    ],
    [
      "device-missing",
      'Error response from daemon: error gathering device information while adding custom device "/dev/kfd": no such file or directory',
    ],
    [
      "mount-missing",
      'Error response from daemon: invalid mount config for type "bind": bind source path does not exist: /dev/bus/usb',
    ],
    [
      "name-taken",
      'Error response from daemon: Conflict. The container name "/immich_machine_learning" is already in use by container "1a2b". You have to remove (or rename) that container to be able to reuse that name.',
    ],
    [
      "network-alias",
      "Error response from daemon: network-scoped alias is supported only for containers in user defined networks",
    ],
    ["network-missing", "Error response from daemon: network immich_default not found"],
    [
      "port-in-use",
      "Error response from daemon: driver failed programming external connectivity on endpoint ml: Bind for 0.0.0.0:3003 failed: port is already allocated",
    ],
    ["rate-limit", "toomanyrequests: You have reached your pull rate limit."],
    [
      "image-unknown",
      "Error response from daemon: manifest unknown",
      "Error response from daemon: pull access denied for immich, repository does not exist or may require 'docker login'",
    ],
    [
      "package-network",
      'Error response from daemon: Get "https://ghcr.io/v2/": net/http: TLS handshake timeout',
      'Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io: no such host',
    ],
    [
      "certificate",
      'Error response from daemon: Get "https://mirror.example.org/v2/": x509: certificate signed by unknown authority',
    ],
    ["no-python", oci('exec: "tini": executable file not found in $PATH')],
    ["build-disk-full", "write /var/lib/docker/tmp/GetImageBlob1: no space left on device"],
    [
      "wrong-architecture",
      "WARNING: The requested image's platform (linux/arm64) does not match the detected host platform (linux/amd64/v3)",
    ],
  ]),
  ...of("network", [
    [
      "cudnn-arch",
      "CUDNN_FE failure 11: CUDNN_BACKEND_API_FAILED ; GPU=0 ; hostname=attic ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/nn/conv.cc ; line=235 ; expr=s_.cudnn_fe_graph->build_operation_graph(handle);",
      library("CUDNN", "3: CUDNN_STATUS_BAD_PARAM"),
    ],
    ["cuda-other", library("CUFFT", "5: CUFFT_INTERNAL_ERROR")],
    ["card-fault", "CUDA error cudaErrorIllegalAddress:an illegal memory access was encountered"],
    ["rocm-hang", "hipErrorInvalidValue"],
    ["rocm-no-gpu", "rocBLAS error: Could not initialize Tensile host: No devices found"],
    ["intel-no-gpu", "clCreateContext: CL_DEVICE_NOT_AVAILABLE"],
    ["armnn", "ValueError: Cannot load model!"],
  ]),
  ...of("model", [
    [
      "disk-fault",
      "/cache/m.onnx: opset 19 is too new for this ONNX Runtime, and the model converted for it cannot be kept beside it: Input/output error",
      "OSError: [Errno 116] Stale file handle: '/cache/clip'",
    ],
  ]),
  ...of("start", [
    [
      "lxc-overlay",
      "Error response from daemon: error creating overlay mount to /var/lib/docker/overlay2/1a2b/merged: invalid argument",
      "failed to mount overlay: operation not permitted",
    ],
    [
      "lxc-nesting",
      oci(
        'error mounting "proc" to rootfs at "/proc": mount proc:/proc (via /proc/self/fd/6), flags: 0xe: permission denied',
      ),
      oci(
        "unable to apply apparmor profile: apparmor failed to apply profile: write /proc/self/attr/apparmor/exec: no such file or directory",
      ),
    ],
    [
      "nvidia-cli",
      "Error response from daemon: OCI runtime create failed: /usr/bin/nvidia-container-runtime did not terminate successfully: exit status 125: unknown",
    ],
  ]),
  ...of("build", [
    [
      "pip-plain-http",
      "WARNING: The repository located at 172.17.0.1 is not a trusted or secure host and is being ignored. If this repository is available via HTTPS we recommend you use HTTPS instead, otherwise you may silence this warning and allow it anyway with '--trusted-host 172.17.0.1'.\nERROR: Could not find a version that satisfies the requirement onnx==1.16.0 (from versions: none)",
    ],
    [
      "pip-missing",
      "ERROR: Could not find a version that satisfies the requirement nvidia-cublas-cu11==11.11.3.6 (from versions: none)\nERROR: No matching distribution found for nvidia-cublas-cu11==11.11.3.6",
      "ERROR: HTTP error 404 while getting https://mirror.example.org/simple/onnx.whl",
    ],
    [
      "pip-hashes",
      "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have updated the package versions, please update the hashes.",
    ],
    [
      "certificate",
      "WARNING: Retrying (Retry(total=4)) after connection broken by 'SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate (_ssl.c:1007)'))': /simple/onnx/",
      "Err:1 https://mirror.example.org/debian bookworm InRelease\n  Certificate verification failed: The certificate is NOT trusted.",
    ],
    [
      "package-network",
      "WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by 'NewConnectionError('<pip._vendor.urllib3.connection.HTTPSConnection object at 0x7f>: Failed to establish a new connection: [Errno -3] Temporary failure in name resolution')': /simple/onnx/\nERROR: Could not install packages due to an OSError",
      "pip._vendor.urllib3.exceptions.ReadTimeoutError: HTTPSConnectionPool(host='files.pythonhosted.org', port=443): Read timed out.",
    ],
    [
      "apt",
      "E: The repository 'http://mirror.example.org/debian bookworm Release' does not have a Release file.",
      "E: Failed to fetch http://mirror.example.org/debian/pool/main/t/tini/tini_0.19.0-1_amd64.deb  404  Not Found",
      "E: Unable to locate package libmimalloc2.0",
    ],
    [
      "wrong-clock",
      "E: Release file for http://mirror.example.org/debian/dists/bookworm-updates/InRelease is not valid yet (invalid for another 2h 1min 8s).",
    ],
    [
      "build-disk-full",
      "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
    ],
    [
      "image-check",
      "image check FAILED: cannot import: cannot import name 'DownloadFile' from 'rapidocr.utils.download_file'",
    ],
    ["certificate-text", "caCertificate: not PEM text (no BEGIN CERTIFICATE line)"],
    [
      "proxy",
      "ERROR: Could not install packages due to an OSError: HTTPSConnectionPool(host='pypi.org', port=443): Max retries exceeded with url: /simple/onnx/ (Caused by ProxyError('Cannot connect to proxy.', OSError('Tunnel connection failed: 407 Proxy Authentication Required')))",
    ],
    [
      "no-buildkit",
      "the --mount option requires BuildKit. Refer to https://docs.docker.com/go/buildkit/ to learn how to build images with BuildKit enabled",
    ],
    [
      "old-cpu",
      'process "/bin/sh -c python /checks/check.py libraries" did not complete successfully: exit code: 132',
    ],
    [
      "host-memory",
      'process "/bin/sh -c sh /tmp/install.sh python" did not complete successfully: exit code: 137',
    ],
    ["pip-other", "ERROR: Could not install packages due to an OSError: [Errno 71] Protocol error"],
    [
      "rate-limit",
      "toomanyrequests: You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit",
    ],
    [
      "image-unknown",
      "docker.io/library/python:3.10-slim-bookworm@sha256:68d9: not found",
      "failed to solve: manifest unknown",
    ],
    ["too-many-threads", "RuntimeError: can't start new thread"],
  ]),
  ...of("network", [
    ["vgpu-licence", cuda(102, "device doesn't have valid Grid license")],
    ["driver-incomplete", cuda(221, "PTX JIT compiler library not found")],
    [
      "mps",
      cuda(805, "MPS client failed to connect to the MPS control daemon or the MPS server"),
      cuda(807, "the MPS server is not ready to accept new MPS client requests"),
    ],
    [
      "driver-too-old",
      library("CUDNN", "3005: CUDNN_STATUS_NOT_SUPPORTED_INCOMPATIBLE_CUDA_DRIVER"),
    ],
    [
      "cudnn-libraries",
      library("CUDNN", "11: CUDNN_STATUS_RUNTIME_PREREQUISITE_MISSING"),
      library("CUDNN", "3008: CUDNN_STATUS_NOT_SUPPORTED_RUNTIME_PREREQUISITE_MISSING"),
    ],
    [
      "no-cuda-provider",
      "EP Error /onnxruntime_src/onnxruntime/python/onnxruntime_pybind_state.cc:891 CUDA_PATH is set but CUDA wasnt able to be loaded. Please install the correct version of CUDA and cuDNN as mentioned in the GPU requirements page",
    ],
    ["rocm-no-code", hip(303, "shared object initialization failed")],
    [
      "intel-no-gpu",
      "Check 'false' failed at src/plugins/intel_gpu/src/plugin/plugin.cpp:110: [GPU] Context was not initialized for 0 device",
    ],
    [
      "opencl",
      "[GPU] clWaitForEvents, error code: -14",
      "Abort was called at 42 line in file: ./shared/source/os_interface/linux/drm_neo.cpp",
    ],
  ]),
  ...of("log", [
    [
      "worker-timeout",
      "[INFO] Setting execution providers to ['MIGraphXExecutionProvider', 'CPUExecutionProvider'], in descending order of preference\n[CRITICAL] WORKER TIMEOUT (pid:10)",
    ],
    [
      "no-cuda-provider",
      "UserWarning: Specified provider 'CUDAExecutionProvider' is not in available provider names.Available providers: 'AzureExecutionProvider, CPUExecutionProvider'",
    ],
    ["rocm-memory", "MIOpen(HIP): Error [hipMalloc] out of memory"],
    [
      "rocm-no-code",
      "rocblaslt error: Cannot read /opt/rocm/lib/hipblaslt/library/TensileLibrary_lazy_gfx1103.dat: No such file or directory",
    ],
    [
      "miopen",
      "MIOpen Error: /MIOpen/src/hipoc/hipoc_program.cpp:304: Code object build failed. Source: naive_conv.cpp",
      "/MIGraphX/src/targets/gpu/compile_hip.cpp:125: operator(): hiprtc: HIPRTC_ERROR_COMPILATION",
    ],
    [
      "rknn",
      "E RKNN: [12:00:00.000] failed to submit!, op id: 1, op name: Conv:Conv_0, flags: 0x5, task start: 0",
      "RuntimeError: RKNN is not supported on this platform: Could not determine SoC",
    ],
    [
      "rknn-memory",
      "E RKNN: [12:00:00.000] failed to allocate handle, ret: -1, errno: 12, errstr: Cannot allocate memory",
    ],
    ["rknn-model", "E RKNN: [12:00:00] Unsupport CPU op: Xyz in this librknnrt.so"],
    ["armnn", "ERROR: The DDK (r44p0) is not compatible with the kernel driver (r38p1)"],
    [
      "hub-rate-limit",
      "huggingface_hub.errors.HfHubHTTPError: 429 Client Error: Too Many Requests for url: https://huggingface.co/api/models/immich-app/ViT-B-32__openai/revision/main",
    ],
    [
      "model-unknown",
      "huggingface_hub.utils._errors.GatedRepoError: 403 Client Error. Access to model x is restricted",
    ],
    [
      "model-download",
      "huggingface_hub.errors.HfHubHTTPError: 500 Server Error: Internal Server Error for url: https://huggingface.co/api/models/immich-app/x",
    ],
    [
      "model-damaged",
      "OSError: Consistency check failed: file should be of size 1000 but has size 10 (model.onnx)",
    ],
    [
      "home-unwritable",
      "PermissionError: [Errno 13] Permission denied: '/.cache'",
      "[ERROR] Control server error: [Errno 13] Permission denied: '/.gunicorn'",
      "PermissionError: [Errno 13] Permission denied: '/usr/src/.cache'",
    ],
    [
      "privileged-port",
      "[ERROR] connection to ('0.0.0.0', 80) failed: [Errno 13] Permission denied",
    ],
    [
      "cache-shared",
      "OSError: [Errno 16] Device or resource busy: '/cache/facial-recognition/buffalo_l/.nfs0000'",
      "OSError: [Errno 39] Directory not empty: '/cache/clip/ViT-B-32__openai'",
    ],
    ["foreign-address", "[ERROR] Invalid address: ('192.168.1.20', 3003)"],
    ["too-many-files", "OSError: [Errno 24] Too many open files"],
    ["plain-http", "ssl.SSLError: [SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1000)"],
    [
      "worker-crash",
      "double free or corruption (!prev)",
      "malloc(): unaligned tcache chunk detected",
      "terminate called after throwing an instance of 'std::runtime_error'",
    ],
    [
      "worker-boot",
      "[ERROR] Worker (pid:12) exited with code 3\n[ERROR] Shutting down: Master\n[ERROR] Reason: Worker failed to boot.",
    ],
  ]),
  ...of("nvidia-smi", [
    [
      "driver-not-running",
      "modprobe: FATAL: Module nvidia not found in directory /lib/modules/6.8.12-1-pve",
      "modprobe: ERROR: could not insert 'nvidia': Key was rejected by service",
    ],
  ]),
  ...of("start", [
    ["wsl-gpu", hook("initialization error: WSL environment detected but no adapters were found")],
    [
      "device-driver",
      "Error response from daemon: fork/exec /usr/bin/nvidia-container-runtime: no such file or directory: unknown",
    ],
    [
      "lxc-cgroups",
      hook("container error: cgroup subsystem devices not found"),
      hook(
        "mount error: open failed: /sys/fs/cgroup/devices/docker/1a2b/devices.allow: permission denied",
      ),
    ],
    [
      "driver-in-image",
      hook(
        "mount error: file creation failed: /var/lib/docker/overlay2/1a2b/merged/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1: file exists",
      ),
    ],
    ["device-missing", "Error: stat /dev/kfd: no such file or directory"],
    [
      "lxc-nesting",
      "AppArmor enabled on system but the docker-default profile could not be loaded: apparmor_parser: Access denied. You need policy admin privileges to manage profiles.",
    ],
    [
      "mount-missing",
      "Error response from daemon: failed to mount local volume: mount :/volume1/ml:/var/lib/docker/volumes/ml/_data, data: addr=192.168.1.5: permission denied",
    ],
    [
      "unknown-account",
      "Error response from daemon: unable to find group render: no matching entries in group file",
      "Error response from daemon: unable to find user immich: no matching entries in passwd file",
    ],
    [
      "foreign-address",
      "driver failed programming external connectivity on endpoint ml: Error starting userland proxy: listen tcp4 192.168.1.20:3003: bind: cannot assign requested address",
    ],
    [
      "addresses-used-up",
      "Error response from daemon: could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
      "Error response from daemon: all predefined address pools have been fully subnetted",
    ],
    [
      "firewall",
      "driver failed programming external connectivity on endpoint ml: (iptables failed: iptables --wait -t nat -A DOCKER -p tcp: iptables: No chain/target/match by that name.",
    ],
    [
      "too-few-cores",
      "Error response from daemon: Requested CPUs are not available - requested 0-7, available: 0-3",
      "Error response from daemon: range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
    ],
    [
      "kernel-limits",
      "Error response from daemon: NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not mounted",
    ],
    [
      "log-driver",
      "Error response from daemon: failed to initialize logging driver: journald is not enabled on this host",
      "failed to initialize logging driver: dial tcp 192.168.1.5:24224: connect: connection refused",
    ],
    [
      "image-unknown",
      "Error response from daemon: No such image: immich-ml-legacy:v2.7.5",
      'Error response from daemon: Get "https://ghcr.io/v2/immich-app/immich-machine-learning/manifests/v9": denied',
    ],
    [
      "plain-http",
      'Error response from daemon: Get "https://mirror.lan:5000/v2/": http: server gave HTTP response to HTTPS client',
    ],
    [
      "user-ids",
      "failed to register layer: ApplyLayer exit status 1 stdout: stderr: potentially insufficient UIDs or GIDs available in user namespace (requested 0:42 for /etc/gshadow): Check /etc/subuid and /etc/subgid: lchown /etc/gshadow: invalid argument",
    ],
    [
      "cgroup-mount",
      "Error response from daemon: cgroups: cgroup mountpoint does not exist: unknown",
    ],
    [
      "device-rules",
      "Error: device cgroup rules are not supported in rootless mode or in a user namespace",
    ],
    [
      "host-memory",
      "OCI runtime create failed: process_linux.go:545: container init caused: write sync pipe: cannot allocate memory",
    ],
    [
      "cgroups-used-up",
      "OCI runtime create failed: unable to apply cgroup configuration: mkdir /sys/fs/cgroup/memory/docker/abc: no space left on device",
    ],
    [
      "cgroup-delegation",
      "crun: cannot set memory limit: controller not delegated",
      "OCI runtime create failed: unable to apply cgroup configuration: rootless needs no limits + no cgrouppath when no permission is granted for cgroups: mkdir /sys/fs/cgroup/x: permission denied",
    ],
    [
      "systemd-bus",
      'unable to apply cgroup configuration: unable to start unit "docker-abc.scope": Message recipient disconnected from message bus without replying',
      'runc create failed: unable to start container process: unable to apply cgroup configuration: unable to start unit "docker-abc.scope": Message recipient disconnected from message bus without replying',
    ],
    [
      "mount-kind",
      'OCI runtime create failed: runc create failed: unable to start container process: error during container init: error mounting "/mnt/c" to rootfs at "/cache": mount /mnt/c:/cache (via /proc/self/fd/6), flags: 0x5000: not a directory',
    ],
    [
      "volume-rights",
      "failed to chmod on /var/lib/docker/volumes/x/_data: chmod: operation not permitted",
      "failed to copy file info for /var/lib/docker/volumes/x/_data: failed to chown /var/lib/docker/volumes/x/_data: lchown /var/lib/docker/volumes/x/_data: operation not permitted",
    ],
    [
      "volume-driver",
      'error looking up volume plugin rclone: plugin "rclone" not found',
      "create model-cache: conflict: volume name must be unique",
      "remove model-cache: volume is in use - [abc]",
    ],
    ["selinux-label", "error relabeling content: lsetxattr /mnt/c: operation not supported"],
    ["host-read-only", "mkdir /var/lib/docker/overlay2/abc: read-only file system"],
    [
      "shared-network",
      "Error response from daemon: cannot join network of a non running container: abc",
      "conflicting options: port publishing and the container type network mode",
    ],
    [
      "kernel-module",
      "failed to create endpoint x on network immich_default: failed to add the host (veth1) <=> sandbox (veth2) pair interfaces: operation not supported",
      "Unable to enable DIRECT ACCESS FILTERING - DROP rule: (iptables failed: iptables --wait -t raw -A PREROUTING: can't initialize iptables table `raw': Table does not exist (do you need to insmod?)",
    ],
    [
      "no-ipv6-port",
      "Error starting userland proxy: listen tcp6 [::]:3003: socket: address family not supported by protocol",
    ],
    [
      "limit-refused",
      "Error response from daemon: Minimum memory limit allowed is 6MB",
      "Minimum memoryswap limit should be larger than memory limit, see usage",
    ],
    [
      "thread-limit",
      "failed to start shim: fork/exec /usr/bin/containerd-shim-runc-v2: resource temporarily unavailable",
      "fork/exec /proc/self/exe: resource temporarily unavailable",
    ],
    [
      "seccomp",
      "OCI runtime create failed: seccomp: config provided but seccomp not supported",
      "runc: symbol lookup error: runc: undefined symbol: seccomp_notify_respond",
    ],
    [
      "exec-denied",
      "exec /usr/bin/tini: operation not permitted",
      "exec /usr/bin/tini: permission denied",
    ],
    [
      "registry-ill",
      "received unexpected HTTP status: 502 Bad Gateway",
      "unexpected status code 503 Service Unavailable from HEAD",
    ],
    [
      "image-reference",
      "Error response from daemon: invalid reference format: repository name (Immich/ml) must be lowercase",
      "invalid reference format",
    ],
    [
      "docker-store",
      "content digest sha256:abc: not found",
      'driver "overlay2" failed to remove root filesystem: unlinkat /var/lib/docker/overlay2/x/merged: device or resource busy',
    ],
    [
      "privileged-port",
      "error while calling RootlessKit PortManager.AddPort(): cannot expose privileged port 80, you can add 'net.ipv4.ip_unprivileged_port_start=80' to /etc/sysctl.conf (currently 1024)",
    ],
    ["log-driver", "could not get pluginv2: plugin loki not found"],
    ["docker-restarts", "dockerd is shutting down"],
    [
      "damaged-download",
      "filesystem layer verification failed for digest sha256:3f1c",
      "filesystem layer verification failed for digest sha256:abc",
      'failed commit on ref "layer-sha256:abc": unexpected commit digest sha256:def, expected sha256:abc: failed precondition',
    ],
    [
      "port-in-use",
      "Ports are not available: exposing port TCP 0.0.0.0:3003 -> 0.0.0.0:0: listen tcp 0.0.0.0:3003: bind: An attempt was made to access a socket in a way forbidden by its access permissions.",
    ],
    [
      "addresses-used-up",
      "no available IPv4 addresses on this network's address pools: immich_default (abc)",
    ],
    [
      "network-missing",
      "failed to create endpoint x on network bridge: network abc does not exist",
    ],
    ["cgroup-mount", "cgroups: cannot found cgroup mount destination: unknown"],
    ["cdi", "failed to discover GPU vendor from CDI: no known GPU vendor found"],
    [
      "image-unknown",
      'failed to resolve reference "ghcr.io/x/y:1": unexpected status from HEAD request to https://ghcr.io/v2/x/y/manifests/1: 403 Forbidden',
      "failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://ghcr.io/token?scope=x&service=ghcr.io: 403 Forbidden",
    ],
    [
      "wrong-architecture",
      'image operating system "linux" cannot be used on this platform: operating system is not supported',
    ],
  ]),
  ...of("nvidia-smi", [
    [
      "gpu-lost",
      "NVIDIA GeForce GTX 1070, [Unknown Error], [Unknown Error]",
      "ERR!, [GPU is lost], [GPU is lost]",
    ],
    [
      "nvml-permissions",
      "NVIDIA-SMI has failed because you do not have suffient permissions. Please try running as an administrator.",
      "NVIDIA-SMI has failed because you are not running as root",
      "sh: 1: nvidia-smi: Permission denied",
    ],
    [
      "wsl-gpu",
      "Failed to initialize NVML: GPU access blocked by the operating system\nFailed to properly shut down NVML: GPU access blocked by the operating system",
    ],
    ["nvidia-smi-crashes", "Segmentation fault (core dumped)"],
  ]),
  ...of("start", [
    ["gpu-lost", "nvidia-container-cli: detection error: nvml error: unknown error: unknown"],
    [
      "driver-slow",
      "nvidia-container-cli: initialization error: driver rpc error: timed out: unknown",
      "nvidia-container-cli: detection error: driver error: timed out",
    ],
    [
      "toolkit-rights",
      "nvidia-container-cli: initialization error: privilege change failed: operation not permitted: unknown",
      "nvidia-container-cli: detection error: open failed: /proc/sys/kernel/overflowuid: permission denied: unknown",
      "nvidia-container-cli: mount error: mount operation failed: /var/lib/docker/overlay2/1b/merged/usr/lib/firmware/nvidia/535.54.03: operation not permitted: unknown",
    ],
    [
      "driver-too-old",
      "nvidia-container-cli: requirement error: unsatisfied condition: brand = tesla: unknown",
    ],
    [
      "thread-limit",
      "runtime/cgo: pthread_create failed: Resource temporarily unavailable\nSIGABRT: abort",
      "runc did not terminate successfully: exit status 2: runtime: failed to create new OS thread (have 5 already; errno=11)",
      "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: unable to start init: fork/exec /proc/self/fd/7: resource temporarily unavailable: unknown",
    ],
    ["too-many-threads", "runtime/cgo: pthread_create failed: Operation not permitted"],
    [
      "cdi-outdated",
      'Error: setting up CDI devices: failed to inject devices: failed to stat CDI host device "/dev/dri/renderD129": no such file or directory',
      "Error: crun: cannot stat `/lib64/libEGL_nvidia.so.550.67`: No such file or directory: OCI runtime attempted to invoke a command that was not found",
      "failed to fulfil mount request: open /usr/lib/x86_64-linux-gnu/libEGL_nvidia.so.535.129.03: no such file or directory: unknown",
    ],
    [
      "nvidia-nodes",
      "nvidia-container-cli: mount error: stat failed: /dev/nvidia-uvm: no such file or directory: unknown",
      "nvidia-container-cli: mount error: stat failed: /dev/nvidia-modeset: no such file or directory: unknown",
      'error gathering device information while adding custom device "/dev/nvidia0": no such file or directory',
    ],
    [
      "process-pipe",
      "OCI runtime create failed: runc create failed: unable to start container process: can't get final child's PID from pipe: EOF: unknown",
      "OCI runtime create failed: container_linux.go:380: starting container process caused: process_linux.go:402: getting the final child's pid from pipe caused: EOF: unknown",
    ],
    [
      "seccomp",
      "OCI runtime create failed: container_linux.go:380: starting container process caused: error adding seccomp filter rule for syscall bdflush: requested action matches default action of filter: unknown",
      "error adding seccomp filter rule for syscall clone3: permission denied: unknown",
      "OCI runtime create failed: seccomp: config provided but seccomp not supported: unknown",
    ],
    [
      "sysctl-write",
      "error during container init: write sysctl key net.ipv4.ping_group_range: write /proc/sys/net/ipv4/ping_group_range: invalid argument: unknown",
    ],
    [
      "rlimits",
      "error setting rlimits for ready process: error setting rlimit type 7: operation not permitted",
      "OCI runtime create failed: runc create failed: unable to start container process: error during container init: error setting rlimit type 7: operation not permitted: unknown",
    ],
    [
      "mount-kind",
      'error mounting "/usr/lib/libmali.so" to rootfs at "/usr/lib/libmali.so": mount src=/usr/lib/libmali.so, dst=/usr/lib/libmali.so: not a directory: Are you trying to mount a directory onto a file (or vice-versa)?',
    ],
    [
      "shared-network",
      "Error response from daemon: cannot join network of a non running container: 3f1c",
    ],
    [
      "kernel-module",
      "failed to create endpoint immich_ml on network bridge: failed to add the host (veth1a2b) <=> sandbox (veth3c4d) pair interfaces: operation not supported",
    ],
    ["no-python", "exec /usr/src/entrypoint.sh: no such file or directory"],
    [
      "engine-restart",
      "OCI runtime create failed: unable to retrieve OCI runtime error (open /run/containerd/io.containerd.runtime.v2.task/moby/abc/log.json: no such file or directory): runc did not terminate successfully: exit status 127: unknown",
      "start failed: io.containerd.runc.v2: create new shim socket: listen unix /run/containerd/s/abc: bind: permission denied",
    ],
    [
      "storage-driver",
      "failed to register layer: ApplyLayer exit status 1 stdout:  stderr: unlinkat /x: directory not empty",
      "open /var/lib/docker/overlay2/abc/link: no such file or directory",
      "failed to register layer: ApplyLayer exit status 1 stdout:  stderr: unlinkat /var/log/apt: invalid argument",
    ],
  ]),
  ...of("log", [
    ["rocm-no-gpu", "ROCk module is NOT loaded, possibly no GPU devices"],
    [
      "miopen",
      "terminate called after throwing an instance of 'migraphx::version_1::exception'\n  what():  compile_hip_src: Unknown hip compiler: /opt/rocm",
      "migraphx_onnx: PARSE_FROM: Failed reading onnx file",
    ],
    [
      "cudnn-arch",
      "Non-zero status code returned while running Conv node. Status Message: CUDNN failure 5000: CUDNN_STATUS_EXECUTION_FAILED ; GPU=0 ; hostname=attic",
    ],
    [
      "intel-no-gpu",
      "[GPU] No supported OpenCL devices found or unexpected error happened during devices query.",
    ],
    [
      "rknn-model",
      "E RKNN: [00:11:22.333] Mismatch target platform, The target platform of the rknn model is rk3566, but current platform is rk3588",
      "W RKNN: [00:11:22.333] RKNN Model version: 2.3.0 not match with rknn runtime version: 1.6.0",
    ],
    [
      "library-version",
      "ImportError: /lib/x86_64-linux-gnu/libstdc++.so.6: version `GLIBCXX_3.4.32' not found (required by /opt/venv/lib/python3.11/site-packages/onnxruntime/capi/libopenvino.so)",
    ],
    [
      "executable-stack",
      "ImportError: /opt/venv/lib/python3.11/site-packages/onnxruntime/capi/onnxruntime_pybind11_state.cpython-311-x86_64-linux-gnu.so: cannot enable executable stack as shared object requires: Invalid argument",
    ],
    [
      "library-permission",
      "ImportError: onnxruntime_pybind11_state.cpython-311-x86_64-linux-gnu.so: cannot open shared object file: Permission denied",
    ],
    [
      "cache-locks",
      "OSError: [Errno 37] No locks available",
      "OSError: [Errno 38] Function not implemented: '/cache/clip/.cache/huggingface/.gitignore.lock'",
      "OSError: [Errno 95] Operation not supported: '/cache/clip'",
    ],
    [
      "model-download",
      "('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))\nopenat /opt/venv/lib/python3.11/site-packages/huggingface_hub/file_download.py:1202",
    ],
    [
      "hub-xet",
      "RuntimeError: Data processing error: CAS service error : Reqwest Error: HTTP status client error",
      "RuntimeError: Data processing error: File reconstruction error: Internal Writer Error: Background writer channel closed",
    ],
    [
      "hub-offline",
      "OfflineModeIsEnabled: Cannot reach https://huggingface.co/api/models/immich-app/buffalo_l: offline mode is enabled. To disable it, please unset the `HF_HUB_OFFLINE` environment variable.",
    ],
    ["model-name", "ValueError: Unknown model combination: None, clip, visual"],
    [
      "thread-limit",
      "OpenBLAS blas_thread_init: pthread_create failed for thread 3 of 4: Resource temporarily unavailable\nOpenBLAS blas_thread_init: RLIMIT_NPROC -1 current, -1 max",
      "BlockingIOError: [Errno 11] Resource temporarily unavailable",
      "terminate called after throwing an instance of 'std::system_error'\n  what():  Resource temporarily unavailable",
    ],
    [
      "too-many-threads",
      "thread '<unnamed>' panicked at 'OS can't spawn a new worker thread: Operation not permitted (os error 1)'",
      "terminate called after throwing an instance of 'std::system_error'\n  what():  Operation not permitted",
    ],
    ["old-cpu", "Fatal glibc error: CPU does not support x86-64-v2"],
    [
      "package-missing",
      "Error: class uri 'immich_ml.config.CustomUvicornWorker' invalid or not found:",
    ],
    [
      "cores-offline",
      "/usr/include/c++/14/bits/stl_vector.h:1130: std::vector<_Tp, _Alloc>::reference std::vector<_Tp, _Alloc>::operator[](size_type) [with _Tp = unsigned int; _Alloc = std::allocator<unsigned int>]: Assertion '__n < this->size()' failed.\n[ERROR] Worker (pid:131) was sent code 134!",
    ],
    [
      "gunicorn-option",
      "usage: gunicorn [OPTIONS] [APP_MODULE]\ngunicorn: error: unrecognized arguments: --no-control-socket",
    ],
    [
      "thread-affinity",
      "[E:onnxruntime:Default, env.cc:251 ThreadMain] pthread_setaffinity_np failed for thread: 59, index: 1, mask: {2, }, error code: 22 error msg: Invalid argument. Specify the number of threads explicitly so the affinity is not set.",
    ],
    [
      "unreadable-picture",
      "PIL.UnidentifiedImageError: cannot identify image file <_io.BytesIO object at 0x7f1c>",
    ],
  ]),
  ...of("network", [
    [
      "fabric-manager",
      "[ONNXRuntimeError] : 1 : FAIL : CUDA failure 802: system not yet initialized ; GPU=0 ; hostname=attic",
    ],
  ]),
  ...of("model", [
    [
      "cudnn-not-initialized",
      "Non-zero status code returned while running Conv node. Name:'Conv_0' Status Message: CUDNN error executing cudnnConvolutionForward(s_.handle, &alpha, s_.x_tensor, s_.x_data)",
    ],
    [
      "model-mismatch",
      "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Invalid Feed Input Name:input",
      "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Got invalid dimensions for input: input for the following indices index: 0 Got: 4 Expected: 1",
      "[ONNXRuntimeError] : 10 : INVALID_GRAPH : This is an invalid model. Error: the graph is not acyclic.",
    ],
  ]),
  ...of("build", [
    [
      "engine-restart",
      "ERROR: failed to solve: rpc error: code = Unavailable desc = error reading from server: EOF",
    ],
    ["package-network", "failed to solve: DeadlineExceeded: failed to fetch anonymous token"],
    [
      "apt-signature",
      "At least one invalid signature was encountered.\nE: The repository 'http://mirror.example/debian bookworm InRelease' is not signed.",
    ],
    [
      "apt",
      'ERROR: failed to solve: process "/bin/sh -c apt-get update" did not complete successfully: exit code: 100',
    ],
    [
      "no-buildx",
      "ERROR: BuildKit is enabled but the buildx component is missing or broken.\n       Install the buildx component to build images with BuildKit:\n       https://docs.docker.com/go/buildx/",
    ],
    [
      "no-dockerfile",
      "failed to solve: failed to read dockerfile: open /var/lib/docker/tmp/buildkit-mount123/Dockerfile: no such file or directory",
    ],
    [
      "credentials",
      'error getting credentials - err: exec: "docker-credential-desktop": executable file not found in $PATH, out: ``',
      "error getting credentials - err: exit status 1, out: `User interaction is not allowed.`",
    ],
    [
      "storage-driver",
      "ERROR: failed to solve: rpc error: code = Unknown desc = failed to prepare as x: symlink: too many levels",
    ],
  ]),
  ...of("log", [
    [
      "no-cuda-device",
      "[07/03/25 11:44:08] DEBUG    Could not load ANN shared libraries, using ONNX:   \n                             libmali.so: cannot open shared object file: No such\n                             file or directory\n[07/03/25 11:44:08] DEBUG    RKNN is not available\nCUDA failure 100: no CUDA-capable device is detected ; GPU=-1",
    ],
  ]),
  ...of("log", [
    [
      "ocr-font",
      "PermissionError: [Errno 13] Permission denied: '/opt/venv/lib/python3.11/site-packages/rapidocr/models/FZYTK.TTF'",
      "OSError: [Errno 30] Read-only file system: '/opt/venv/lib/python3.11/site-packages/rapidocr/models/FZYTK.TTF'",
    ],
    [
      "library-version",
      "ImportError: /opt/venv/lib/python3.11/site-packages/onnxruntime/capi/libonnxruntime_providers_cuda.so: undefined symbol: cudnnBackendExecute",
    ],
  ]),
  ...of("log", [
    ["cuda-other", "cudaErrorStreamCaptureUnsupported"],
    [
      "privileged-port",
      "[Errno 13] error while attempting to bind on address ('0.0.0.0', 80): permission denied",
    ],
    [
      "model-missing",
      "FileNotFoundError: [Errno 2] No such file or directory: '/cache/facial-recognition/buffalo_l/recognition/model.onnx'",
      "NotADirectoryError: [Errno 20] Not a directory: '/cache/clip'",
    ],
    ["cache-shared", "FileExistsError: [Errno 17] File exists: '/cache/clip/ViT-B-32__openai'"],
    ["model-damaged", "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)"],
    [
      "static-tls",
      "OSError: /opt/venv/lib/python3.11/site-packages/torch.libs/libgomp.so.1: cannot allocate memory in static TLS block",
    ],
    ["host-memory", "[INFO] Loading visual model to memory\nKilled"],
    ["worker-boot", "[ERROR] Worker (pid:8) exited with code 3"],
    [
      "emulated",
      "qemu: uncaught target signal 11 (Segmentation fault) - core dumped",
      "qemu-x86_64: Could not open '/lib64/ld-linux-x86-64.so.2': No such file or directory",
    ],
    [
      "no-python",
      'standard_init_linux.go:211: exec user process caused "no such file or directory"',
    ],
  ]),
  ...of("build", [
    ["host-memory", "fatal error: Killed signal terminated program cc1plus"],
    [
      "engine-restart",
      "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
    ],
  ]),
  ...of("start", [
    [
      "nvidia-cli",
      "container init caused: Running hook #0:: error running hook: signal: segmentation fault (core dumped), stdout: , stderr: : unknown",
    ],
    [
      "jetson-runtime",
      "Auto-detected mode as 'csv'\ninvoking the NVIDIA Container Runtime Hook directly (e.g. specifying the docker --gpus flag) is not supported. Please use the NVIDIA Container Runtime (e.g. specify the --runtime=nvidia flag) instead.: unknown",
    ],
    [
      "lxc-nesting",
      "error during container init: error creating device nodes: mount dev tmpfs: operation not permitted: unknown",
    ],
    [
      "kernel-limits",
      "OCI runtime create failed: crun: error opening file `/sys/fs/cgroup/system.slice/docker-3f.scope/memory.swap.max`: No such file or directory",
    ],
    [
      "mount-missing",
      "Error: statfs /mnt/cache: no such file or directory",
      "Error response from daemon: mkdir /volume1: read-only file system",
    ],
    [
      "engine-restart",
      "failed to start shim: fork/exec /usr/bin/containerd-shim-runc-v2: no such file or directory: unknown",
    ],
    [
      "storage-driver",
      "Error response from daemon: open /var/lib/docker/overlay2/3f1c/.tmp-committed123: no such file or directory",
    ],
    [
      "ipv6-route",
      'Error response from daemon: Get "https://ghcr.io/v2/": dial tcp [2606:50c0:8000::154]:443: connect: cannot assign requested address',
      "dial tcp [2606:50c0:8000::154]:443: connect: network is unreachable",
    ],
  ]),
];

/** Texts that no row may claim. */
export const unknown: readonly (readonly [Place, string])[] = [
  ["model", "[ONNXRuntimeError] : 1 : FAIL : something that nobody has seen before"],
  ["model", "the server answered 500: Internal Server Error"],
  ["log", "[INFO] Application startup complete."],
  [
    "log",
    "[INFO] Loading visual model 'ViT-B-32__openai' to memory\n[INFO] Setting execution providers to ['CUDAExecutionProvider', 'CPUExecutionProvider'], in descending order of preference",
  ],
  [
    "log",
    "[INFO] Setting execution providers to ['MIGraphXExecutionProvider', 'CPUExecutionProvider'], in descending order of preference",
  ],
  [
    "log",
    '[W:onnxruntime:Default, device_discovery.cc:164 DiscoverDevicesForPlatform] GPU device discovery failed: device_discovery.cc:89 ReadFileContents Failed to open file: "/sys/class/drm/card0/device/vendor"',
  ],
  [
    "log",
    "[INFO] Loading RKNN model from /cache/clip/ViT-B-32__openai/visual/rknpu/rk3588/model.rknn",
  ],
  ["log", "[INFO] Loading ANN model /cache/clip/ViT-B-32__openai/visual/model.armnn ..."],
  [
    "log",
    "[W:onnxruntime:, transformer_memcpy.cc:74 ApplyImpl] 28 Memcpy nodes are added to the graph torch_jit for CUDAExecutionProvider.",
  ],
  ["build", "Collecting numpy==1.26.4\n  Downloading numpy-1.26.4.whl (18.2 MB)"],
  ["nvidia-smi", "NVIDIA GeForce GTX 750 Ti, 321, 1680"],
  [
    "log",
    "[07/03/25 11:44:08] DEBUG    Could not load ANN shared libraries, using ONNX:   \n                             libmali.so: cannot open shared object file: No such\n                             file or directory                                  \n[07/03/25 11:44:08] DEBUG    RKNN is not available                              \n[07/03/25 11:44:11] INFO     Application startup complete.",
  ],
  ["start", "open /etc/subsomething: permission denied: unknown"],
];
