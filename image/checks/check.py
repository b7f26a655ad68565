"""Checks, during the build and without a GPU, that the image lacks nothing but a driver.

Each check prints one line; one that fails ends the build with a line that names the reason.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from driver_stub import write_stub

CUDA_WHEELS = Path("/opt/cuda")

# ONNX Runtime reports this when only the driver is missing
# (cudaErrorInsufficientDriver).
DRIVER_MISSING = "CUDA failure 35"

# NVIDIA's libraries that come from the host's driver, never from the image.
FROM_DRIVER = ("libcuda.so", "libnvidia-")

CUDA_LIBRARY = re.compile(r"^lib(cu|nv)[a-zA-Z]+\.so")

# A graph with one node, opset 13, IR version 7, which every supported runtime reads. Written by hand,
# so that the check depends only on ONNX Runtime.
IDENTITY_MODEL = bytes.fromhex(
    "0807"  # ir_version: 7
    "3a2f"  # graph
    "0a10"
    "0a0178"
    "120179"
    "2208"
    + "Identity".encode().hex()  # node: x -> y
    + "1201"
    + "67"  # name: g
    + "5a0b"
    "0a0178"
    "1206"
    "0a04"
    "0801"
    "1200"  # input x: float scalar
     + "620b"
    "0a0179"
    "1206"
    "0a04"
    "0801"
    "1200"  # output y: float scalar
     + "4202100d"  # opset_import: 13
)


class CheckFailed(Exception):
    """What is wrong with the image, in one line."""


def check_runtime(expected: str) -> str:
    """The ONNX Runtime is the one that the image variant needs, and was built with CUDA."""
    import onnxruntime

    if onnxruntime.__version__ != expected:
        raise CheckFailed(
            f"ONNX Runtime is {onnxruntime.__version__}, this image variant needs {expected}"
        )
    providers = onnxruntime.get_available_providers()
    if "CUDAExecutionProvider" not in providers:
        raise CheckFailed(
            f"ONNX Runtime {expected} has no CUDAExecutionProvider, only {', '.join(providers)}:"
            " is the package onnxruntime installed beside onnxruntime-gpu?"
        )
    return f"ONNX Runtime {expected} with CUDAExecutionProvider"


# ONNX Runtime 1.14 loads cuBLAS when it is imported, without which cuDNN 8 does not load its parts.
CUDNN = """
import ctypes
import sys
import onnxruntime
library = ctypes.CDLL(sys.stdin.read())
print("version:", library.cudnnGetVersion(), flush=True)
for part in ("Tensor", "Convolution", "RNN"):
    status = getattr(library, f"cudnnCreate{part}Descriptor")(ctypes.byref(ctypes.c_void_p()))
    print("part:", part, status, flush=True)
"""


def check_cudnn(expected: str) -> str:
    """cuDNN has the locked version (a newer one has no code for the GPU) and loads all of its parts."""
    libraries = sorted(CUDA_WHEELS.glob("nvidia/cudnn/lib/libcudnn.so.*"))
    if not libraries:
        raise CheckFailed(f"no cuDNN under {CUDA_WHEELS}")
    outcome = run_as_with_driver(CUDNN, bytes(libraries[0]))
    output = (outcome.stdout + outcome.stderr).decode(errors="replace")
    found = re.search(r"version: (\d+)", output)
    if not found:
        raise CheckFailed(f"cuDNN does not load:\n{output}")
    number = int(found[1])
    # cuDNN 8 counts 1000 a major version, cuDNN 9 counts 10000.
    unit = 10000 if number >= 90000 else 1000
    actual = f"{number // unit}.{number % unit // 100}.{number % 100}"
    if actual != ".".join(expected.split(".")[:3]):
        raise CheckFailed(f"cuDNN is {actual}, this image variant needs {expected}")
    parts = re.findall(r"part: (\w+) 0", output)
    if parts != ["Tensor", "Convolution", "RNN"]:
        raise CheckFailed(f"cuDNN {actual} cannot load all of its parts:\n{output}")
    return f"cuDNN {actual} with its parts for tensors, convolutions and recurrent networks"


SESSION = """
import sys
import onnxruntime
try:
    session = onnxruntime.InferenceSession(
        sys.stdin.buffer.read(), providers=["CUDAExecutionProvider"]
    )
    print("providers:", *session.get_providers())
finally:
    with open("/proc/self/maps") as maps:
        print("mapped:", *{line.split()[-1] for line in maps if ".so" in line})
"""


def check_session() -> str:
    """A CUDA session fails with 'no driver', never falls back to the CPU silently, and loads each CUDA
    library from the locked wheels."""
    outcome = run_as_with_driver(SESSION, IDENTITY_MODEL)
    output = (outcome.stdout + outcome.stderr).decode(errors="replace")
    libraries = [
        Path(path)
        for line in output.splitlines()
        if line.startswith("mapped:")
        for path in line.split()[1:]
        if CUDA_LIBRARY.match(Path(path).name) and not Path(path).name.startswith(FROM_DRIVER)
    ]
    for library in libraries:
        if not library.is_relative_to(CUDA_WHEELS):
            raise CheckFailed(f"{library} is loaded, which is not from {CUDA_WHEELS}")
    names = ", ".join(sorted(library.name for library in libraries))
    if DRIVER_MISSING in output:
        return f"a CUDA session fails only for want of a driver ({DRIVER_MISSING}); loaded {names}"
    if "providers: CUDAExecutionProvider" in output:
        return f"a CUDA session runs: this build has a GPU; loaded {names}"
    if "providers: CPUExecutionProvider" in output:
        raise CheckFailed(
            "a session asked for CUDA silently runs on the CPU:"
            f" a CUDA library is missing or broken; loaded {names or 'none'}\n{output}"
        )
    raise CheckFailed(
        "a CUDA session fails otherwise than for want of a driver"
        f" (exit status {outcome.returncode}):\n{output}"
    )


def run_as_with_driver(script: str, content: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Runs Python in a process that finds a libcuda.so.1: the real one or the stub."""
    with tempfile.TemporaryDirectory() as folder:
        environment = dict(os.environ)
        if not has_driver():
            write_stub(Path(folder))
            environment["LD_LIBRARY_PATH"] = folder
        return subprocess.run(
            [sys.executable, "-c", script], input=content, capture_output=True, env=environment
        )


def has_driver() -> bool:
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


# Modules that Immich's server (v2.2.0 to v3.1.0) imports to open models and read photos. It imports
# some only on the first request, too late to notice an incomplete package.
LIBRARIES = (
    *("aiocache", "cv2", "fastapi", "gunicorn", "huggingface_hub", "numpy", "onnx", "orjson"),
    *("PIL.Image", "pydantic_settings", "python_multipart", "requests", "rich", "tokenizers"),
    *("insightface.model_zoo", "insightface.utils.face_align"),
    *("rapidocr", "rapidocr.ch_ppocr_det", "rapidocr.ch_ppocr_rec"),
    *("rapidocr.inference_engine.onnxruntime", "uvicorn"),
)


def check_libraries() -> str:
    """Each locked package that Immich uses is complete: it can be imported."""
    for name in LIBRARIES:
        try:
            importlib.import_module(name)
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise CheckFailed(f"{name} cannot be imported: {reason}") from error
    return f"{len(LIBRARIES)} modules that Immich uses can be imported"


def check_immich() -> str:
    """Immich's server can be imported."""
    importlib.import_module("immich_ml")
    importlib.import_module("immich_ml.main")
    return "immich_ml imports"


def check_bridge() -> str:
    """The opset bridge is installed: it wraps ONNX Runtime's sessions."""
    import onnxruntime

    import opset_bridge

    if not opset_bridge.is_installed(onnxruntime):
        raise CheckFailed("the opset bridge is not installed: was opset_bridge.pth left out?")
    return "opset bridge installed"


def check_setuid() -> str:
    """No program is setuid or setgid."""
    command = ["find", "/", "-xdev", "-type", "f", "-perm", "/6000"]
    found = subprocess.run(command, capture_output=True, text=True).stdout.split()
    if found:
        raise CheckFailed(f"setuid or setgid: {', '.join(found)}")
    return "no program is setuid or setgid"


CHECKS: dict[str, Callable[..., str]] = {
    "runtime": check_runtime,
    "cudnn": check_cudnn,
    "session": check_session,
    "bridge": check_bridge,
    "libraries": check_libraries,
    "immich": check_immich,
    "setuid": check_setuid,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("check", choices=CHECKS)
    parser.add_argument("expected", nargs="*", help="for runtime and cudnn: the version")
    arguments = parser.parse_args()
    try:
        print(f"image check: {CHECKS[arguments.check](*arguments.expected)}", flush=True)
    except CheckFailed as failure:
        print(f"image check FAILED: {failure}", file=sys.stderr, flush=True)
        return 1
    except ImportError as failure:
        print(f"image check FAILED: cannot import: {failure}", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
