"""
Computes a small neural network inside the machine-learning container and tells what computed it.

Runs on any image that has Python, numpy and ONNX Runtime 1.14.1 or newer. Reads the environment:
  IMMICH_ML_EXPECTED           the acceptable execution providers, separated by commas
  MACHINE_LEARNING_DEVICE_IDS  the GPUs the workers use (set by the user or absent, then "0")
Prints one line of JSON as its last line of standard output, and exits 0 when the expected provider
computed the network and its numbers agree with the CPU's, otherwise 1.

The network holds the operators that are known to fail on old cards: Resize, Conv, Reshape, MatMul,
LayerNormalization, Softmax. It is written at opset 17 and IR version 8, which ONNX Runtime 1.14.1
and everything newer reads.
"""

import contextlib
import ctypes
import io
import json
import os
import struct
import sys
import tempfile
import time

OPERATORS = ("Resize", "Conv", "Reshape", "MatMul", "LayerNormalization", "Softmax")
# These two are nearly all the work of Immich's models: where they ran is where the models run.
HEAVY_OPERATORS = ("Conv", "MatMul")
# Outputs have unit variance. Half or TF32 precision stays well below, a wrong kernel well above.
TOLERANCE = 0.05

# What the provider's own error means to somebody who set up a container. First match wins.
HINTS = (
    (
        ("no kernel image", "nokernelimage"),
        "this ONNX Runtime has no machine code for the card's compute capability: let the host's"
        " «gpu» choose the runtime, or set «runtime» to one that covers the card",
    ),
    (
        ("cuda failure 35", "driver version is insufficient"),
        "the NVIDIA driver is missing in the container or older than this CUDA needs: check"
        " nvidia-smi on the host, then install a newer driver or choose an older runtime",
    ),
    (
        ("cuda failure 100", "no cuda-capable device", "cuda failure 999", "cuda failure 3:"),
        "the container was given no usable GPU: check nvidia-smi on the host and that the NVIDIA"
        " Container Toolkit is set up (nvidia-ctk runtime configure --runtime=docker)",
    ),
    (
        ("cudnn_status_arch_mismatch", "cudnn_status_not_supported", "cudnn_status_execution_failed"),
        "this cuDNN no longer supports the card (9.11 dropped Maxwell, Pascal and Volta): choose a"
        " runtime with an older one",
    ),
    (
        ("cublas_status_alloc_failed", "out of memory", "failed to allocate memory"),
        "the video memory is full: stop what else uses the card, or choose a smaller preset",
    ),
    (
        ("cannot open shared object file", "failed to load library"),
        "a library the provider needs is missing in the image, or the driver's libraries are missing"
        " in the container",
    ),
    (
        ("failed to create cudaexecutionprovider",),
        "the CUDA libraries in the image or the NVIDIA driver in the container could not be loaded:"
        " check nvidia-smi on the host and that the image is meant for CUDA",
    ),
    (
        ("permission denied", "/dev/dri", "/dev/kfd"),
        "the container may not open the device: check the device nodes' group on the host",
    ),
)


# A minimal writer of ONNX's protobuf messages, because the onnx package is not in every image.


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
    """The network as the bytes of an ONNX file. Its weights are the same in every run."""
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
        + binary(2, "proof")
        + b"".join(binary(5, tensor(name, array)) for name, array in constants.items())
        + binary(11, value_info("picture", [1, 3, 32, 32]))
        + binary(12, value_info("embedding", [64, 64]))
        + binary(12, value_info("probabilities", [64, 64]))
    )
    return number(1, 8) + binary(7, graph) + binary(8, binary(1, "") + number(2, 17))


@contextlib.contextmanager
def captured_errors(lines):
    """Collects what ONNX Runtime prints: from C++ on descriptor 2, from Python on standard output."""
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


def provider_options(onnxruntime, provider, device):
    """The options that choose the device, as Immich's server passes them."""
    if provider == "OpenVINOExecutionProvider":
        return {"device_type": "GPU." + device, "precision": "FP32"}
    if provider in ("CUDAExecutionProvider", "ROCMExecutionProvider", "MIGraphXExecutionProvider"):
        return {"device_id": device}
    return {}


def compute(onnxruntime, model, picture, provider, device, errors):
    """Runs the network, and returns the outputs, the milliseconds and which provider ran which operators."""
    options = onnxruntime.SessionOptions()
    # Each operator stays itself, so that its own kernel is what runs and what the profile names.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.enable_profiling = True
    providers = [provider]
    settings = [provider_options(onnxruntime, provider, device)]
    if provider != "CPUExecutionProvider":
        providers.append("CPUExecutionProvider")
        settings.append({})
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = os.path.join(folder, "proof")
        with captured_errors(errors):
            session = onnxruntime.InferenceSession(
                model, options, providers=providers, provider_options=settings
            )
            session.run(None, {"picture": picture})
            started = time.perf_counter()
            outputs = session.run(None, {"picture": picture})
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


def nvidia_card(device):
    """Name, compute capability and memory of the card, from the driver itself; {} when it cannot tell."""
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
            "card": name.value.decode(),
            "computeCapability": "%d.%d" % (major.value, minor.value),
            "videoMemory": total.value // 1048576,
            "driverCuda": "%d.%d" % (version.value // 1000, version.value % 1000 // 10),
        }
    except (OSError, AttributeError, ValueError):
        return {}


class ProofFailed(Exception):
    def __init__(self, message, details=(), hint=None):
        super().__init__(message)
        self.details = list(details)
        self.hint = hint


def hint_for(details):
    text = "\n".join(details).lower()
    return next((hint for marks, hint in HINTS if any(mark in text for mark in marks)), None)


def prove_on_device(onnxruntime, numpy, model, picture, reference, provider, device):
    errors = []
    try:
        outputs, milliseconds, operators, active = compute(
            onnxruntime, model, picture, provider, device, errors
        )
    except Exception as error:  # ONNX Runtime's errors have no common class over its releases.
        errors.extend(str(error).splitlines())
        raise ProofFailed("%s failed on device %s" % (provider, device), errors, hint_for(errors))
    elsewhere = sorted(
        operator
        for name, ran in operators.items()
        for operator in ran
        if name != provider and operator in OPERATORS
    )
    if provider not in active:
        raise ProofFailed(
            "asked for %s, but %s computed silently instead" % (provider, ", ".join(active)),
            errors,
            hint_for(errors),
        )
    if not operators.get(provider) or any(name in HEAVY_OPERATORS for name in elsewhere):
        raise ProofFailed(
            "%s is loaded, but the network ran on %s" % (provider, ", ".join(sorted(operators))),
            errors,
            hint_for(errors),
        )
    if not all(numpy.isfinite(output).all() for output in outputs):
        raise ProofFailed("%s computed numbers that are not finite" % provider, errors)
    result = {
        "device": device,
        "milliseconds": milliseconds,
        "operators": operators,
        "elsewhere": elsewhere,
    }
    if provider != "CPUExecutionProvider":
        difference = max(float(abs(a - b).max()) for a, b in zip(outputs, reference))
        result["maximumDifference"] = difference
        if not difference <= TOLERANCE:
            raise ProofFailed(
                "%s computes wrong numbers: they differ from the CPU's by up to %.3g"
                % (provider, difference),
                errors,
                "the card or its driver is faulty, or this runtime is not meant for the card",
            )
    elif abs(outputs[1].sum(axis=1) - 1).max() > 1e-3:
        raise ProofFailed("the CPU computes wrong numbers: probabilities do not add up to one")
    if provider == "CUDAExecutionProvider":
        result.update(nvidia_card(device))
    return result


def prove_onnx_runtime(expected):
    import numpy
    import onnxruntime

    result = {
        "onnxRuntime": onnxruntime.__version__,
        "availableProviders": onnxruntime.get_available_providers(),
    }
    provider = next((name for name in expected if name in result["availableProviders"]), None)
    if provider is None:
        raise ProofFailed(
            "this image's ONNX Runtime %s was not built for %s; it has %s"
            % (result["onnxRuntime"], " or ".join(expected), ", ".join(result["availableProviders"])),
            hint="the image does not match the host's accelerator",
        )
    devices = os.environ.get("MACHINE_LEARNING_DEVICE_IDS", "0").split(",")
    if provider == "OpenVINOExecutionProvider":
        seen = onnxruntime.capi._pybind_state.get_available_openvino_device_ids()
        if not any(name.startswith("GPU") for name in seen):
            raise ProofFailed(
                "OpenVINO sees no GPU, only %s, and would compute on the CPU" % (", ".join(seen) or "nothing"),
                hint="the container cannot open a render node of /dev/dri, or the GPU is too old",
            )
    if provider == "CPUExecutionProvider":
        devices = ["cpu"]
    model = network(numpy)
    picture = numpy.random.RandomState(7).random_sample((1, 3, 32, 32)).astype("float32")
    reference = compute(onnxruntime, model, picture, "CPUExecutionProvider", "cpu", [])[0]
    result["provider"] = provider
    result["devices"] = [
        prove_on_device(onnxruntime, numpy, model, picture, reference, provider, device.strip())
        for device in dict.fromkeys(devices)
    ]
    return result


def prove_own_session(name, module, hint):
    """
    ARM NN and RKNN run models of their own formats through Immich's own code, never this network.
    So only this much is proven: the libraries load and Immich's server would use them.
    """
    import importlib

    errors = []
    try:
        with captured_errors(errors):
            is_available = importlib.import_module(module).is_available
    except ImportError as error:
        raise ProofFailed("Immich's session for %s is missing in this image" % name, [str(error)], hint)
    if not is_available:
        raise ProofFailed("%s is not available; models would run on the CPU" % name, errors, hint)
    return {"provider": name, "devices": [], "onlyLoaded": True}


def prove(expected):
    if expected == ["ArmNN"]:
        return prove_own_session(
            "ArmNN", "immich_ml.sessions.ann.loader", "check libmali.so and /dev/mali0"
        )
    if expected == ["RKNN"]:
        return prove_own_session("RKNN", "immich_ml.sessions.rknn", "check the rknpu kernel driver")
    return prove_onnx_runtime(expected)


def explained(result):
    """The result as lines for people."""
    if result["ok"]:
        if result.get("onlyLoaded"):
            yield "%s is loaded and will be used (nothing was computed on it)" % result["provider"]
        for device in result["devices"]:
            card = " on " + device["card"] if "card" in device else ""
            agreement = (
                ", at most %.1g from the CPU's numbers" % device["maximumDifference"]
                if "maximumDifference" in device
                else ""
            )
            yield "%s%s computed the network in %s ms%s" % (
                result["provider"], card, device["milliseconds"], agreement,
            )
            if device["elsewhere"]:
                yield "  on the CPU instead: " + ", ".join(device["elsewhere"])
        return
    yield result["error"]
    for line in result["details"]:
        yield "  | " + line
    if result["hint"]:
        yield "What to do: " + result["hint"]


def main():
    expected = os.environ["IMMICH_ML_EXPECTED"].split(",")
    try:
        result = {"ok": True, **prove(expected)}
    except ProofFailed as failure:
        result = {
            "ok": False,
            "error": str(failure),
            "details": failure.details[-12:],
            "hint": failure.hint,
        }
    except ImportError as error:
        result = {
            "ok": False,
            "error": "the image lacks a Python package: %s" % error,
            "details": [],
            "hint": "is this an image of Immich's machine learning?",
        }
    for line in explained(result):
        print(line, file=sys.stderr, flush=True)
    print(json.dumps(result), flush=True)
    # ONNX Runtime's GPU providers can crash while the process winds down, after all is said.
    os._exit(0 if result["ok"] else 1)


main()
