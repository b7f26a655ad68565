"""
Computes inside the machine-learning container and reports what computed: first a small neural network
of its own, then the models Immich uses.

Runs on any image that has Python, numpy and ONNX Runtime 1.14.1 or newer. Reads the environment:
  IMMICH_ML_EXPECTED           the acceptable execution providers, separated by commas
  IMMICH_ML_SESSION            module of Immich's own session, for an accelerator that ONNX Runtime does
                               not serve: its models have formats of their own and nothing can be profiled
  IMMICH_ML_SESSION_HINT       what to do when that session is not available
  IMMICH_ML_MODELS             models as task/name, separated by commas; "cached" for those in the cache,
                               "any" for the smallest of them
  IMMICH_ML_FAILED_LOADS       set where the server's log has a model that could not be loaded
  IMMICH_ML_DOWNLOAD           seconds the server may take to download missing models; absent: none
  MACHINE_LEARNING_DEVICE_IDS  the GPUs the workers use, separated by commas; absent: 0
The last line of standard output is the result as JSON. Exits 0 when the expected provider computed the
network, its numbers agree with the CPU's and it computed every cached model; otherwise 1.

The image's own ONNX Runtime opens a model's file first, which shows what computes it and whether its
numbers are the CPU's; in a process that ends before anything else, because a small GPU has no room for
two copies. Then the running server uses the model as Immich would, which shows that Immich's own code can:
it gets a picture with faces and words, so that its recognisers have something to compute.

The network holds the operators that are known to fail on old cards: Resize, Conv, Reshape, MatMul,
LayerNormalization, Softmax. It is written at opset 17 and IR version 8, which ONNX Runtime 1.14.1
and everything newer reads.
"""

import base64
import contextlib
import ctypes
import glob
import io
import json
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

OPERATORS = ("Resize", "Conv", "Reshape", "MatMul", "LayerNormalization", "Softmax")
# These two are nearly all the work of Immich's models: where they ran is where the models run.
HEAVY_OPERATORS = ("Conv", "MatMul")
# Outputs have unit variance. Half or TF32 precision stays well below, a wrong kernel well above.
TOLERANCE = 0.05

# Least cosine between a model's numbers and the CPU's. Half precision gives 0.999 and more, a wrong kernel
# near 0.
AGREEMENT = 0.98

# A JPEG with three faces and two lines of words, in base64; verify/common.sh puts it in front. The faces are
# from NASA's portrait of Eileen Collins, in the public domain; the words are drawn.
PICTURE = globals().get("PICTURE", "")

# The parts of a task's model: each is a file <cache>/<task>/<name>/<part>/model.onnx.
PARTS = {
    "clip": ("visual", "textual"),
    "facial-recognition": ("detection", "recognition"),
    "ocr": ("detection", "recognition"),
}
# Input sizes where a model's file leaves them open: height and width of a picture, or tokens.
SIZES = {
    "clip/visual": (224, 224),
    "clip/textual": (77,),
    "facial-recognition/detection": (640, 640),
    "facial-recognition/recognition": (112, 112),
    "ocr/detection": (736, 736),
    "ocr/recognition": (48, 320),
}
# Seconds for a cached model: some providers compile it for the GPU at its first use.
TIMEOUT = 900
# Bytes of a model up to which it is computed on the CPU, too, for comparison.
CPU_LIMIT = 1 << 30
OUT_OF_MEMORY = ("out of memory", "alloc_failed", "failed to allocate", "bad allocation")

# What to do, by what an error contains: see catalog/knownErrors.ts. verify/common.sh puts it in front.
KNOWN_ERRORS = globals().get("KNOWN_ERRORS", "")


# A minimal writer of ONNX's protobuf messages: not every image has the onnx package.


def varint(value):
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def number(field, value):
    return varint(field << 3) + varint(value)


def binary(field, content):
    if isinstance(content, str):
        content = content.encode()
    return varint(field << 3 | 2) + varint(len(content)) + content


def tensor(name, array):
    element = {"float32": 1, "int64": 7}[str(array.dtype)]
    dimensions = b"".join(number(1, size) for size in array.shape)
    return dimensions + number(2, element) + binary(8, name) + binary(9, array.tobytes())


def attribute(name, value):
    if isinstance(value, str):
        return binary(1, name) + binary(4, value) + number(20, 3)
    if isinstance(value, float):
        return binary(1, name) + varint(2 << 3 | 5) + struct.pack("<f", value) + number(20, 1)
    if isinstance(value, int):
        return binary(1, name) + number(3, value & (1 << 64) - 1) + number(20, 2)
    return binary(1, name) + b"".join(number(8, item) for item in value) + number(20, 7)


def node(operator, inputs, output, **attributes):
    return (
        b"".join(binary(1, name) for name in inputs)
        + binary(2, output)
        + binary(3, operator.lower())
        + binary(4, operator)
        + b"".join(binary(5, attribute(name, value)) for name, value in attributes.items())
    )


def value_info(name, shape):
    dimensions = b"".join(binary(1, number(1, size)) for size in shape)
    return binary(1, name) + binary(2, binary(1, number(1, 1) + binary(2, dimensions)))


def network(numpy):
    """The network as the bytes of an ONNX file, with the same weights in every run."""
    random = numpy.random.RandomState(20)

    def weights(*shape):
        return (random.standard_normal(shape) / numpy.sqrt(numpy.prod(shape[1:]))).astype("float32")

    constants = {
        "sizes": numpy.array([1, 3, 64, 64], "int64"),
        "kernel": weights(8, 3, 3, 3),
        "rows": numpy.array([64, 128], "int64"),
        "projection": weights(128, 64) * 8,
        "scale": numpy.ones(64, "float32"),
        "bias": numpy.zeros(64, "float32"),
    }
    nodes = [
        node("Resize", ["picture", "", "", "sizes"], "resized", mode="linear"),
        node(
            "Conv", ["resized", "kernel"], "features",
            kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1],
        ),
        node("Reshape", ["features", "rows"], "tokens"),
        node("MatMul", ["tokens", "projection"], "projected"),
        node(
            "LayerNormalization", ["projected", "scale", "bias"], "embedding",
            axis=-1, epsilon=1e-5,
        ),
        node("Softmax", ["embedding"], "probabilities", axis=-1),
    ]
    graph = (
        b"".join(binary(1, entry) for entry in nodes)
        + binary(2, "check")
        + b"".join(binary(5, tensor(name, array)) for name, array in constants.items())
        + binary(11, value_info("picture", [1, 3, 32, 32]))
        + binary(12, value_info("embedding", [64, 64]))
        + binary(12, value_info("probabilities", [64, 64]))
    )
    return number(1, 8) + binary(7, graph) + binary(8, binary(1, "") + number(2, 17))


@contextlib.contextmanager
def captured_errors(lines):
    """Collects what ONNX Runtime prints: C++ to descriptor 2, Python to standard output."""
    sys.stderr.flush()
    saved = os.dup(2)
    printed = io.StringIO()
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            with contextlib.redirect_stdout(printed):
                yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            file.seek(0)
            text = file.read().decode(errors="replace") + printed.getvalue()
            lines.extend(line.strip() for line in text.splitlines() if line.strip())


def provider_options(provider, device):
    """The options that select the device, as Immich's server passes them."""
    if provider == "OpenVINOExecutionProvider":
        return {"device_type": "GPU." + device, "precision": "FP32"}
    if provider == "CUDAExecutionProvider":
        return {"device_id": device, "arena_extend_strategy": "kSameAsRequested"}
    if provider in ("ROCMExecutionProvider", "MIGraphXExecutionProvider"):
        return {"device_id": device}
    return {}


def compute(onnxruntime, model, make_feed, provider, device, errors, optimized=False):
    """
    Runs a model. Returns the outputs, the milliseconds, the operators by provider and the session's providers.

    `make_feed` returns the inputs for a session.
    """
    options = onnxruntime.SessionOptions()
    if not optimized:
        # Fused operators would hide which kernels ran.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.enable_profiling = True
    providers = [provider]
    settings = [provider_options(provider, device)]
    if provider != "CPUExecutionProvider":
        providers.append("CPUExecutionProvider")
        settings.append({})
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = os.path.join(folder, "check")
        with captured_errors(errors):
            session = onnxruntime.InferenceSession(
                model, options, providers=providers, provider_options=settings
            )
            feed = make_feed(session)
            session.run(None, feed)
            started = time.perf_counter()
            outputs = session.run(None, feed)
            milliseconds = round((time.perf_counter() - started) * 1000, 2)
            profile = session.end_profiling()
        with open(profile, encoding="utf-8") as file:
            events = json.load(file)
    operators = {}
    for event in events:
        details = event.get("args", {})
        if event.get("cat") == "Node" and details.get("provider"):
            ran = operators.setdefault(details["provider"], [])
            if details.get("op_name") not in ran:
                ran.append(details.get("op_name"))
    return outputs, milliseconds, operators, session.get_providers()


def nvidia_gpu(device):
    """Name, compute capability and memory of the GPU as its driver reports them; {} when it cannot."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
        handle, total, version = ctypes.c_int(), ctypes.c_size_t(), ctypes.c_int()
        major, minor, name = ctypes.c_int(), ctypes.c_int(), ctypes.create_string_buffer(100)
        if cuda.cuInit(0) or cuda.cuDeviceGet(ctypes.byref(handle), int(device)):
            return {}
        cuda.cuDeviceGetName(name, 100, handle)
        cuda.cuDeviceGetAttribute(ctypes.byref(major), 75, handle)
        cuda.cuDeviceGetAttribute(ctypes.byref(minor), 76, handle)
        cuda.cuDeviceTotalMem_v2(ctypes.byref(total), handle)
        cuda.cuDriverGetVersion(ctypes.byref(version))
        return {
            "gpu": name.value.decode(),
            "computeCapability": "%d.%d" % (major.value, minor.value),
            "videoMemory": total.value // 1048576,
            "driverCuda": "%d.%d" % (version.value // 1000, version.value % 1000 // 10),
        }
    except (OSError, AttributeError, ValueError):
        return {}


class CheckFailed(Exception):
    def __init__(self, message, details=(), hint=None, out_of_memory=False):
        super().__init__(message)
        self.details = list(details)
        self.hint = hint
        self.out_of_memory = out_of_memory

    def as_result(self):
        return {
            "ok": False,
            "error": str(self),
            "details": self.details[-12:],
            "hint": self.hint,
        }


def hint_for(details, place="network"):
    """What to do, by the first row of the known errors of that place that the text matches."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(details)[-20000:])
    text = " %s " % re.sub(r"[^!-~]+", " ", text).lower()
    rows = [row.split("\t") for row in KNOWN_ERRORS.splitlines()]
    for seen, mark, _ in rows:
        if seen == "quiet":
            text = re.sub(mark, " ", text)
    return next(
        (hint for seen, mark, hint in rows if place in seen.split(",") and re.search(mark, text)), None
    )


def nvidia_smi_complaint():
    """What nvidia-smi says in this container when it lists no GPU; nothing where there is none."""
    try:
        asked = subprocess.Popen(
            ["nvidia-smi", "-L"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    except OSError:
        return []
    try:
        answer = asked.communicate(timeout=20)[0]
    except subprocess.TimeoutExpired:
        # Not waited for: a process that hangs in the driver cannot be killed.
        asked.kill()
        return ["nvidia-smi has not answered for 20 s"]
    if asked.returncode == 0 and "GPU " in answer:
        return []
    return [line.strip() for line in answer.splitlines() if line.strip()]


@contextlib.contextmanager
def nvidia_smi_has_its_say(provider):
    """A container that lost its card fails in CUDA; nvidia-smi tells why."""
    try:
        yield
    except CheckFailed as failure:
        complaint = nvidia_smi_complaint() if provider == "CUDAExecutionProvider" else []
        failure.details.extend(complaint)
        failure.hint = hint_for(complaint, "nvidia-smi") or failure.hint
        raise


def refuse_silent_fallback(provider, active, errors, what=""):
    if provider not in active:
        raise CheckFailed(
            "%sasked for %s, but %s computed silently instead" % (what, provider, ", ".join(active)),
            errors,
            hint_for(errors),
        )


def check_on_device(onnxruntime, numpy, model, make_feed, reference, provider, device):
    errors = []
    try:
        outputs, milliseconds, operators, active = compute(
            onnxruntime, model, make_feed, provider, device, errors
        )
    except Exception as error:  # ONNX Runtime's errors have no common class over its releases.
        errors.extend(str(error).splitlines())
        raise CheckFailed("%s failed on device %s" % (provider, device), errors, hint_for(errors))
    fallback_ops = sorted(
        operator
        for name, ran in operators.items()
        for operator in ran
        if name != provider and operator in OPERATORS
    )
    refuse_silent_fallback(provider, active, errors)
    if not operators.get(provider) or any(name in HEAVY_OPERATORS for name in fallback_ops):
        raise CheckFailed(
            "%s is loaded, but the network ran on %s" % (provider, ", ".join(sorted(operators))),
            errors,
            hint_for(errors),
        )
    if not all(numpy.isfinite(output).all() for output in outputs):
        raise CheckFailed("%s computed numbers that are not finite" % provider, errors)
    result = {
        "device": device,
        "milliseconds": milliseconds,
        "operators": operators,
        "fallbackOps": fallback_ops,
    }
    if provider != "CPUExecutionProvider":
        difference = max(float(abs(a - b).max()) for a, b in zip(outputs, reference))
        result["maximumDifference"] = difference
        if not difference <= TOLERANCE:
            raise CheckFailed(
                "%s computes wrong numbers: they differ from the CPU's by up to %.3g"
                % (provider, difference),
                errors,
                "the card or its driver is faulty, or this runtime is not meant for the card",
            )
    elif abs(outputs[1].sum(axis=1) - 1).max() > 1e-3:
        raise CheckFailed("the CPU computes wrong numbers: probabilities do not add up to one")
    if provider == "CUDAExecutionProvider":
        result.update(nvidia_gpu(device))
    return result


def chosen_provider(onnxruntime, expected):
    available = onnxruntime.get_available_providers()
    provider = next((name for name in expected if name in available), None)
    if provider is None:
        raise CheckFailed(
            "this image's ONNX Runtime %s was not built for %s; it has %s"
            % (onnxruntime.__version__, " or ".join(expected), ", ".join(available)),
            hint="the image does not match the host's accelerator",
        )
    return provider


def devices_of(provider):
    if provider == "CPUExecutionProvider":
        return ["cpu"]
    numbers = os.environ.get("MACHINE_LEARNING_DEVICE_IDS", "0").split(",")
    return list(dict.fromkeys(number.strip() for number in numbers))


def check_onnx_runtime(expected):
    import numpy
    import onnxruntime

    provider = chosen_provider(onnxruntime, expected)
    if provider == "OpenVINOExecutionProvider":
        seen = onnxruntime.capi._pybind_state.get_available_openvino_device_ids()
        if not any(name.startswith("GPU") for name in seen):
            raise CheckFailed(
                "OpenVINO sees no GPU, only %s, and would compute on the CPU" % (", ".join(seen) or "nothing"),
                hint="the container cannot open a render node of /dev/dri, or the GPU is too old",
            )
    model = network(numpy)
    picture = numpy.random.RandomState(7).random_sample((1, 3, 32, 32)).astype("float32")

    def make_feed(session):
        return {"picture": picture}

    reference = compute(onnxruntime, model, make_feed, "CPUExecutionProvider", "cpu", [])[0]
    with nvidia_smi_has_its_say(provider):
        devices = [
            check_on_device(onnxruntime, numpy, model, make_feed, reference, provider, device)
            for device in devices_of(provider)
        ]
    return {
        "onnxRuntime": onnxruntime.__version__,
        "availableProviders": onnxruntime.get_available_providers(),
        "provider": provider,
        "devices": devices,
    }


def check_own_session(name, module, hint):
    """
    Such a session runs models of its own format through Immich's own code, never this network. So only
    this much is verified: the libraries load and Immich's server would use them.
    """
    import importlib

    errors = []
    try:
        with captured_errors(errors):
            is_available = importlib.import_module(module).is_available
    except ImportError as error:
        raise CheckFailed("Immich's session for %s is missing in this image" % name, [str(error)], hint)
    if not is_available:
        raise CheckFailed("%s is not available; models would run on the CPU" % name, errors, hint)
    return {"provider": name, "devices": [], "notExecuted": True}


def check(expected):
    module = own_session()
    if module:
        return check_own_session(expected[0], module, os.environ.get("IMMICH_ML_SESSION_HINT"))
    return check_onnx_runtime(expected)


def own_session():
    return os.environ.get("IMMICH_ML_SESSION")


def cache_folder():
    return os.environ.get("MACHINE_LEARNING_CACHE_FOLDER") or "/cache"


def expected_providers():
    return os.environ["IMMICH_ML_EXPECTED"].split(",")


def models_to_check():
    """Pairs of task and name."""
    asked = os.environ.get("IMMICH_ML_MODELS", "")
    if asked not in ("cached", "any"):
        return [tuple(model.split("/", 1)) for model in asked.split(",") if model]
    models = []
    for task in PARTS:
        folder = os.path.join(cache_folder(), task)
        names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        models.extend((task, name) for name in names if any(files_of(task, name).values()))
    if asked == "any":
        whole = [model for model in models if None not in files_of(*model).values()]
        return sorted(whole, key=lambda model: sum(map(size_of, files_of(*model).values())))[:1]
    return models


def size_of(path):
    """Bytes of a model's file and what lies beside it: its weights may be a file of their own."""
    folder = os.path.dirname(path)
    return sum(
        entry.stat().st_size for entry in os.scandir(folder) if entry.is_file(follow_symlinks=True)
    )


def files_of(task, name):
    """The cached file of each part of a model; None for a missing one."""
    # Immich's own sessions keep their formats beside model.onnx or in a folder below.
    file = "**/model.*" if own_session() else "model.onnx"
    # One model finds text of every language; some releases cache it under its own name.
    names = [name, name.split("__")[-1]] if task == "ocr" else [name]
    found = {}
    for part in PARTS[task]:
        folders = [os.path.join(cache_folder(), task, folder, part) for folder in names]
        paths = [
            path
            for folder in folders
            for path in sorted(glob.glob(os.path.join(glob.escape(folder), file), recursive=True))
            if os.path.isfile(path)
        ]
        found[part] = paths[0] if paths else None
    return found


def random_feed(numpy, session, kind):
    """Inputs of the model's shapes, in sizes that Immich would send."""
    random = numpy.random.RandomState(7)
    feed = {}
    for entry in session.get_inputs():
        # A batch of one, three colours of a picture, then the sizes.
        standard = ((1, 3) if len(entry.shape) == 4 else (1,)) + SIZES[kind]
        shape = [
            size if isinstance(size, int) and size > 0 else usual
            for size, usual in zip(entry.shape, standard + (1,) * len(entry.shape))
        ]
        if "int" in entry.type:
            # Token 1 is in every vocabulary, and a mask of ones hides nothing.
            feed[entry.name] = numpy.ones(shape, "int64" if "int64" in entry.type else "int32")
        else:
            precision = "float16" if "float16" in entry.type else "float32"
            feed[entry.name] = random.random_sample(shape).astype(precision)
    return feed


def is_heavy(operator):
    return any(word in operator for word in ("Conv", "MatMul", "Gemm", "Attention"))


def compute_part(onnxruntime, numpy, kind, label, path, provider, device):
    errors = []
    try:
        outputs, milliseconds, operators, active = compute(
            onnxruntime,
            path,
            lambda session: random_feed(numpy, session, kind),
            provider,
            device,
            errors,
            optimized=True,
        )
    except Exception as error:
        errors.extend(str(error).splitlines())
        raise CheckFailed(
            "%s fails on %s" % (label, provider),
            errors,
            hint_for(errors, "model"),
            out_of_memory=any(mark in "\n".join(errors).lower() for mark in OUT_OF_MEMORY),
        )
    refuse_silent_fallback(provider, active, errors, label + ": ")
    heavy = {name: [run for run in ran if is_heavy(run)] for name, ran in operators.items()}
    fallback_providers = sorted(name for name, ran in heavy.items() if ran and name != provider)
    if not operators.get(provider) or (fallback_providers and not heavy.get(provider)):
        raise CheckFailed(
            "%s ran on %s instead of %s" % (label, ", ".join(sorted(operators)), provider),
            errors,
            hint_for(errors),
        )
    if not all(numpy.isfinite(output).all() for output in outputs if output.dtype.kind == "f"):
        raise CheckFailed("%s gives numbers that are not finite on %s" % (label, provider), errors)
    result = {
        "provider": provider,
        "milliseconds": milliseconds,
        "fallbackOps": sorted({run for name in fallback_providers for run in heavy[name]}),
    }
    if provider != "CPUExecutionProvider":
        agreement, cpu_milliseconds = compare_with_cpu(onnxruntime, numpy, kind, path, outputs)
        if cpu_milliseconds is not None:
            result["cpuMilliseconds"] = cpu_milliseconds
        if agreement is not None:
            result["agreement"] = agreement
        if agreement is not None and agreement < AGREEMENT:
            raise CheckFailed(
                "%s computes wrong numbers on %s: their cosine with the CPU's is %.3g"
                % (label, provider, agreement),
                errors,
                "the card or its driver is faulty, or this runtime is not meant for the card",
            )
    return result


def compare_with_cpu(onnxruntime, numpy, kind, path, outputs):
    """The cosine between a model's outputs and the CPU's, and the CPU's milliseconds; None where unknown."""
    # A model is in memory twice while it is opened, and the server holds one already.
    if size_of(path) > CPU_LIMIT or 2.5 * size_of(path) > free_memory():
        return None, None
    try:
        expected, milliseconds = compute(
            onnxruntime,
            path,
            lambda session: random_feed(numpy, session, kind),
            "CPUExecutionProvider",
            "cpu",
            [],
            optimized=True,
        )[:2]
    except Exception:  # ONNX Runtime's errors have no common class over its releases.
        return None, None
    one, other = (
        numpy.concatenate([output.astype("float64").ravel() for output in some if output.dtype.kind == "f"])
        for some in (outputs, expected)
    )
    if one.shape != other.shape or not numpy.isfinite(other).all():
        return None, milliseconds
    length = numpy.linalg.norm(one) * numpy.linalg.norm(other)
    cosine = one @ other / length if length else not one.any() and not other.any()
    return float(cosine), milliseconds


def free_memory():
    """Bytes of main memory that this container may still take."""
    def number_in(path):
        try:
            with open(path) as file:
                return int(file.read())
        except (OSError, ValueError):
            return None

    with open("/proc/meminfo") as file:
        free = next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable:"))
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        limit, used = number_in(limit), number_in(used)
        if limit is not None and used is not None:
            free = min(free, limit - used)
    return free


def compute_parts(expected, files):
    """Computes files by (task, name, part)."""
    import numpy
    import onnxruntime

    provider = chosen_provider(onnxruntime, expected)
    computed = []
    for (task, name, part), path in files.items():
        label = "%s/%s/%s" % (task, name, part)
        for device in devices_of(provider):
            try:
                result = compute_part(
                    onnxruntime, numpy, task + "/" + part, label, path, provider, device
                )
            except CheckFailed as failure:
                # The running server may hold the same model: then its answer decides.
                if not failure.out_of_memory:
                    raise
                result = {"outOfMemory": failure.as_result()}
            computed.append({"model": task + "/" + name, "part": part, "device": device, **result})
    return {"parts": computed}


def in_a_process(work):
    """Does the work in a process of its own, whose end frees all its video memory."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            result = outcome(work)
        except BaseException as error:
            result = {"ok": False, "error": repr(error), "details": [], "hint": None}
        with os.fdopen(writing, "w") as pipe:
            json.dump(result, pipe)
        # ONNX Runtime's GPU providers can crash at exit, after the result is written.
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        # As a shell reports it.
        os._exit(128 + os.WTERMSIG(status))
    return json.loads(text)


def outcome(work):
    try:
        return {"ok": True, **work()}
    except CheckFailed as failure:
        return failure.as_result()
    except ImportError as error:
        return {
            "ok": False,
            "error": "the image lacks a Python package: %s" % error,
            "details": [],
            "hint": "is this an image of Immich's machine learning?",
        }


def requests_for(task, name):
    """Immich's requests for a task: the entries, and the picture or text."""
    picture = ("image", base64.b64decode(PICTURE))
    entry = {"modelName": name, "options": {}}
    if task == "clip":
        return [
            ({"clip": {"visual": entry}}, picture),
            ({"clip": {"textual": {**entry, "options": {"language": "en"}}}}, ("text", b"a cat")),
        ]
    if task == "ocr":
        detection = {**entry, "options": {"minScore": 0.5, "maxResolution": 736}}
        recognition = {**entry, "options": {"minScore": 0.8}}
    else:
        detection = {**entry, "options": {"minScore": 0.7}}
        recognition = entry
    return [({task: {"detection": detection, "recognition": recognition}}, picture)]


def server_address():
    host = os.environ.get("IMMICH_HOST") or os.environ.get("MACHINE_LEARNING_HOST") or "[::]"
    port = os.environ.get("IMMICH_PORT") or os.environ.get("MACHINE_LEARNING_PORT") or "3003"
    return "http://%s:%s" % ("127.0.0.1" if host in ("[::]", "::", "0.0.0.0") else host, port)


class ServerRefused(OSError):
    """The server's answer is an HTTP error."""

    def __init__(self, error):
        self.text = error.read(300).decode(errors="replace").strip()
        super().__init__("the server answered %d%s" % (error.code, ": " + self.text if self.text else ""))

    def has_given_up(self):
        """After two failed attempts Immich loads a model only in a new worker."""
        return "Failed to load model" in self.text


def ask_server(entries, attachment, seconds):
    """Posts to /predict. Raises OSError without a good answer, ServerRefused for an HTTP error."""
    boundary = "immich-ml-check"
    body = b""
    for field, content in (("entries", json.dumps(entries).encode()), attachment):
        file = '; filename="check.jpg"' if field == "image" else ""
        head = '--%s\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n' % (boundary, field, file)
        body += head.encode() + content + b"\r\n"
    request = urllib.request.Request(
        server_address() + "/predict",
        body + ("--%s--\r\n" % boundary).encode(),
        {"Content-Type": "multipart/form-data; boundary=" + boundary},
    )
    # The container's proxy is for other hosts.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=max(1, seconds)) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise ServerRefused(error) from None


def ask_for_model(task, name, seconds):
    """Milliseconds of a model's requests once the server has loaded it, and what they did not show."""
    requests = requests_for(task, name)
    deadline = time.monotonic() + seconds
    for entries, attachment in requests:
        try:
            for _ in range(times_to_ask()):
                ask_server(entries, attachment, deadline - time.monotonic())
        except ServerRefused as refused:
            if not refused.has_given_up() or not restart_workers():
                raise
            print("the server had given up on %s/%s: its workers were restarted" % (task, name), file=sys.stderr)
            ask_server(entries, attachment, deadline - time.monotonic())
    notes = []
    started = time.perf_counter()
    for entries, attachment in requests:
        notes.append(what_is_missing(task, ask_server(entries, attachment, TIMEOUT)))
    milliseconds = round((time.perf_counter() - started) * 1000, 1)
    return milliseconds, next((note for note in notes if note), None)


def times_to_ask():
    """Once, or so often that each worker is likely to get a request, where one may have given up."""
    workers = len((gunicorn_processes() or (0, ()))[1])
    return 6 * workers if workers > 1 and os.environ.get("IMMICH_ML_FAILED_LOADS") else 1


def what_is_missing(task, answer):
    """What an answer does not show of a model; None when it shows all. Raises ValueError for a bad one."""
    found = answer.get(task)
    if task == "ocr":
        is_empty = not (found or {}).get("text")
    elif task == "facial-recognition":
        is_empty = not found
        for face in found or []:
            require_numbers(face.get("embedding"))
    else:
        require_numbers(found)
        return None
    what = {"ocr": "words", "facial-recognition": "faces"}[task]
    return "the server found no %s in the check's picture, so its recogniser may not have computed" % what if is_empty else None


def require_numbers(embedding):
    numbers = json.loads(embedding) if isinstance(embedding, str) else embedding
    # JSON has no infinite numbers; Immich sends null for them.
    if not numbers or not all(isinstance(one, (int, float)) and abs(one) < 1e30 for one in numbers):
        raise ValueError("its embedding is not a list of finite numbers")
    if not any(numbers):
        raise ValueError("its embedding is all zeros")


def gunicorn_processes():
    """The server's gunicorn: the master's process id and its workers'; None where there is none."""
    parents = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as file:
                is_server = b"gunicorn" in file.read() and int(pid) != os.getpid()
            with open("/proc/%s/stat" % pid) as file:
                state, parent = file.read().rpartition(") ")[2].split()[:2]
        except OSError:
            continue
        if is_server and state != "Z":
            parents[int(pid)] = int(parent)
    # Immich's own process, which started gunicorn, names it nowhere.
    master = next((pid for pid, parent in parents.items() if parent not in parents), None)
    return master and (master, {pid for pid, parent in parents.items() if parent == master})


def restart_workers(seconds=90):
    """Whether the server has new workers, which try to load each model again."""
    found = gunicorn_processes()
    if not found:
        return False
    master, old = found
    try:
        # Starts new workers before it ends the old ones, which answer what they have begun.
        os.kill(master, signal.SIGHUP)
    except OSError:
        return False
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        now = gunicorn_processes()
        if now and now[1] and not now[1] & old:
            return True
        time.sleep(0.5)
    return False


# What image/serve.py names a worker by, before the number of its GPU.
WORKER_NAME = "immich-ml-gpu"
# Seconds from the first worker's start to the last one's where none has died.
TOGETHER = 10


def gpus_of_workers(workers):
    """The GPU that each of the server's workers uses; None where they do not tell."""
    names = []
    for pid in workers:
        try:
            with open("/proc/%d/comm" % pid) as file:
                names.append(file.read().strip())
        except OSError:
            return None
    if not names or not all(name.startswith(WORKER_NAME) for name in names):
        return None
    return [name[len(WORKER_NAME) :] for name in names]


def has_replaced_worker(workers):
    """Whether some worker started later than the others, in the place of one that ended."""
    starts = []
    for pid in workers:
        try:
            with open("/proc/%d/stat" % pid) as file:
                starts.append(int(file.read().rpartition(") ")[2].split()[19]))
        except OSError:
            return True
    return max(starts) - min(starts) > TOGETHER * os.sysconf("SC_CLK_TCK")


def idle_gpus(wanted):
    """
    The GPUs that none of the server's workers uses, and whether that is seen or only to be feared.

    Immich's own command gives a worker that follows a dead one the last GPU, and tells nobody.
    """
    found = gunicorn_processes()
    if not found or len(found[1]) < len(wanted):
        return [], False
    used = gpus_of_workers(found[1])
    if used is not None:
        return [gpu for gpu in wanted if gpu not in used], True
    return (wanted[:-1] if has_replaced_worker(found[1]) else []), False


def check_workers(seconds=15):
    """Sees to it that the server uses each of its GPUs, after all that it was asked."""
    numbers = os.environ.get("MACHINE_LEARNING_DEVICE_IDS", "0").split(",")
    wanted = list(dict.fromkeys(number.strip() for number in numbers))
    if len(wanted) < 2:
        return
    deadline = time.monotonic() + seconds
    # A worker gets its name once it has started.
    while True:
        idle, is_seen = idle_gpus(wanted)
        if not idle or not is_seen or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    if not idle:
        return
    what = "no worker of Immich's server %s GPU %s" % (
        "uses" if is_seen else "may be left for", " and ".join(idle),
    )
    if restart_workers() and not idle_gpus(wanted)[0]:
        print("%s: its workers were restarted" % what, file=sys.stderr)
        return
    raise CheckFailed(what, [], "restart the container: each worker gets a GPU of its own when all start")


def explain_server(error):
    if isinstance(error, ServerRefused):
        return str(error)
    if isinstance(error, ValueError):
        return "its answer is no good: %s" % error
    return "the server did not answer: %s" % (getattr(error, "reason", None) or error)


def is_timeout(error):
    return isinstance(getattr(error, "reason", error), TimeoutError)


def why_missing(task, name, download):
    """
    Has the server download a model's missing files, for at most so many seconds.

    Returns why some are still missing, or None.
    """
    missing = [part for part, path in files_of(task, name).items() if path is None]
    if not missing:
        return None
    what = "is not in the cache" if len(missing) == 2 else "is not in the cache: its %s" % missing[0]
    if download <= 0:
        return what
    try:
        ask_for_model(task, name, download)
        error = None
    except (OSError, ValueError) as caught:
        error = caught
    if None not in files_of(task, name).values():
        return None
    if error is None:
        return "is not in the cache, although the server answered: is MACHINE_LEARNING_CACHE_FOLDER right?"
    if is_timeout(error):
        return "is still being downloaded; npm run check shows it later"
    return "%s and could not be downloaded (%s)" % (what, explain_server(error))


def check_models(expected, download):
    """Checks the models that are cached or can be downloaded in time."""
    models = models_to_check()
    computed = {}

    def compute_cached():
        files = {}
        for task, name in models:
            found = files_of(task, name)
            # A model with missing files is computed once it is whole.
            if None not in found.values() and task + "/" + name not in computed:
                files.update({(task, name, part): path for part, path in found.items()})
        if not files or own_session():
            return
        result = in_a_process(lambda: compute_parts(expected, files))
        if not result["ok"]:
            raise CheckFailed(result["error"], result["details"], result["hint"])
        for part in result["parts"]:
            computed.setdefault(part.pop("model"), []).append(part)

    compute_cached()
    deadline = time.monotonic() + download
    reasons = {
        (task, name): why_missing(task, name, deadline - time.monotonic()) for task, name in models
    }
    compute_cached()
    return [
        check_model(task, name, computed.get(task + "/" + name, []), reasons[task, name])
        for task, name in models
    ]


def check_model(task, name, parts, reason):
    model = task + "/" + name
    if reason:
        return {"model": model, "parts": [], "notVerified": reason}
    try:
        milliseconds, note = ask_for_model(task, name, TIMEOUT)
    except (OSError, ValueError) as error:
        failed = next((part["outOfMemory"] for part in parts if "outOfMemory" in part), None)
        answer = explain_server(error)
        raise CheckFailed(
            "Immich's server cannot use %s: %s" % (model, answer),
            failed["details"] if failed else [],
            failed["hint"] if failed else hint_for([answer], "model") or "the reason is in the container's log",
        )
    result = {"model": model, "serverMilliseconds": milliseconds, "parts": parts}
    if note:
        result["note"] = note
    if any("outOfMemory" in part for part in parts):
        result["parts"] = [part for part in parts if "outOfMemory" not in part]
        result["note"] = "the server uses it; there was no room on the card to see a second copy compute"
    return result


def video_memory():
    """MiB in use and in all of each NVIDIA GPU, with the models still loaded; [] where nothing tells."""
    query = ["nvidia-smi", "--query-gpu=memory.used,memory.total", "--format=csv,noheader,nounits"]
    try:
        text = subprocess.run(query, capture_output=True, text=True, timeout=20).stdout
        pairs = [[int(figure) for figure in line.split(",")] for line in text.strip().splitlines()]
        return [{"used": used, "total": total} for used, total in pairs]
    except (OSError, ValueError, subprocess.SubprocessError):
        return []


def explain(result):
    """The result as lines of text."""
    if result["ok"]:
        if result.get("notExecuted"):
            yield "%s is loaded and will be used (nothing was computed on it)" % result["provider"]
        for device in result["devices"]:
            gpu = " on " + device["gpu"] if "gpu" in device else ""
            agreement = (
                ", at most %.1g from the CPU's numbers" % device["maximumDifference"]
                if "maximumDifference" in device
                else ""
            )
            yield "%s%s computed the network in %s ms%s" % (
                result["provider"], gpu, device["milliseconds"], agreement,
            )
            if device["fallbackOps"]:
                yield "  on the CPU instead: " + ", ".join(device["fallbackOps"])
        if os.environ.get("IMMICH_ML_MODELS") == "any" and not result.get("models"):
            yield "Immich's server was not asked: no whole model is in its cache yet"
        for model in result.get("models", []):
            if "notVerified" in model:
                yield "not verified: %s %s" % (model["model"], model["notVerified"])
                continue
            for part in model["parts"]:
                yield "%s computed %s/%s in %s ms%s" % (
                    part["provider"], model["model"], part["part"], part["milliseconds"],
                    ", as the CPU does (cosine %.4f)" % part["agreement"] if "agreement" in part else "",
                )
                if part["fallbackOps"]:
                    yield "  on the CPU instead: " + ", ".join(part["fallbackOps"])
            yield "Immich's server answered with %s in %s ms" % (
                model["model"], model["serverMilliseconds"],
            )
            if "note" in model:
                yield "  " + model["note"]
        return
    yield result["error"]
    for line in result["details"]:
        yield "  | " + line
    if result["hint"]:
        yield "What to do: " + result["hint"]


def main():
    expected = expected_providers()
    download = float(os.environ.get("IMMICH_ML_DOWNLOAD") or "0")
    result = in_a_process(lambda: check(expected))
    if result["ok"]:
        models = outcome(lambda: {"models": check_models(expected, download)})
        if models["ok"]:
            models = {**models, **outcome(lambda: check_workers() or {})}
        memory = video_memory() if result["provider"] == "CUDAExecutionProvider" else []
        result = {**result, **models, **({"videoMemory": memory} if memory else {})} if models["ok"] else models
    for line in explain(result):
        print(line, file=sys.stderr, flush=True)
    print(json.dumps(result), flush=True)
    sys.exit(0 if result["ok"] else 1)


main()
