"""Measures the bridge in the image; prints one JSON object. Used by bench/bridge.ts.

    python measure.py ROUNDS MODEL…

MODEL is `visual:WIDTH` or `textual:WIDTH`, a CLIP encoder of 12 blocks; ViT-B-32 has 768 and 512.
"""

from __future__ import annotations

import io
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy
import onnx
import requests
from models import Graph
from PIL import Image

from opset_bridge.bridge import ensure_compatible

TOKENS = 50
VOCABULARY = 49408

# Each measurement runs in a new process, so nothing of the last model is left in memory.
OPEN = """
import json, resource, sys, time
import numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.enable_cpu_mem_arena = False
for setting in sys.argv[2:]:
    options.add_session_config_entry(*setting.split("="))
def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
used = cpu()
begin = time.perf_counter()
session = onnxruntime.InferenceSession(
    sys.argv[1], sess_options=options, providers=["CPUExecutionProvider"]
)
opened = time.perf_counter()
used = cpu() - used
inputs = {
    value.name: numpy.ones(value.shape, numpy.int32 if "int32" in value.type else numpy.float32)
    for value in session.get_inputs()
}
session.run(None, inputs)
done = time.perf_counter()
print(json.dumps({"open": opened - begin, "cpu": used, "run": done - opened}))
"""

CONVERT = """
import json, sys, time
import onnx, onnx.checker, onnx.version_converter, onnxruntime
from opset_bridge.bridge import ensure_compatible
def peak():
    [line] = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024
before = peak()
begin = time.perf_counter()
ensure_compatible(sys.argv[1])
print(json.dumps({"seconds": time.perf_counter() - begin, "memory": peak() - before}))
"""


# On a CPU, ONNX Runtime repacks each matrix when it opens a model, whatever file holds it: no file
# format saves this work.
WITHOUT_PACKING = "session.disable_prepacking=1"


def encoder(
    kind: str, width: int, opset: int, ir_version: int, pooled: bool = False
) -> onnx.ModelProto:
    """A CLIP encoder with random weights: the same number, in the same operators.

    :param pooled: whether the answer is one vector, as the server gives it, or one a token
    """
    g = Graph(opset)
    if kind == "visual":
        x = g.input("image", [1, 3, 224, 224])
        x = g("Conv", x, g.weight(width, 3, 32, 32), kernel_shape=[32, 32], strides=[32, 32])
        x = g("Reshape", x, g.constant([1, width, 49]))
        x = g("Concat", g.weight(1, 1, width), g("Transpose", x, perm=[0, 2, 1]), axis=1)
    else:
        tokens = g.input("text", [1, TOKENS], onnx.TensorProto.INT32)
        x = g("Gather", g.weight(VOCABULARY, width), tokens, axis=0)
    x = g("Add", x, g.weight(TOKENS, width))
    for _ in range(12):
        y = g("LayerNormalization", x, g.weight(width), g.weight(width))
        y = g("Add", g("MatMul", y, g.weight(width, 3 * width)), g.weight(3 * width))
        q, k, v = g("Split", y, g.constant([width] * 3), axis=-1, outputs=3)
        y = g("Softmax", g("MatMul", q, g("Transpose", k, perm=[0, 2, 1])), axis=-1)
        y = g("MatMul", g("MatMul", y, v), g.weight(width, width))
        x = g("Add", x, y)
        y = g("LayerNormalization", x, g.weight(width), g.weight(width))
        y = g("Add", g("MatMul", y, g.weight(width, 4 * width)), g.weight(4 * width))
        y = g("Mul", y, g("Sigmoid", y))
        x = g("Add", x, g("MatMul", y, g.weight(4 * width, width)))
    if pooled:
        x = g("ReduceMean", x, g.constant([1]), keepdims=0)
    return g.model(ir_version, g("Identity", x))


def run(script: str, path: Path, *settings: str) -> dict[str, float]:
    outcome = subprocess.run(
        [sys.executable, "-c", script, str(path), *settings],
        capture_output=True,
        text=True,
        check=True,
    )
    result: dict[str, float] = json.loads(outcome.stdout.splitlines()[-1])
    return result


def open_warm(path: Path, *settings: str) -> dict[str, float]:
    """Opens a model whose bytes are in the page cache."""
    weights = list(path.parent.glob(f"{path.stem}.opset*.data")) or [path]
    with weights[0].open("rb") as file:
        while file.read(2**22):
            pass
    return run(OPEN, path, *settings)


def convert_again(path: Path) -> dict[str, float]:
    for made in path.parent.glob(f"{path.stem}.opset*"):
        made.unlink()
    return run(CONVERT, path)


def measure(model: str, rounds: int, folder: Path) -> dict[str, Any]:
    kind, width = model.split(":")
    native, new = folder / "native.onnx", folder / "new.onnx"
    onnx.save(encoder(kind, int(width), 18, 8), native)
    onnx.save(encoder(kind, int(width), 19, 9), new)
    result: dict[str, Any] = {"model": model, "bytes": new.stat().st_size}
    result["conversion"] = [convert_again(new) for _ in range(rounds)]
    for ways in ("native", "converted", "nativeUnpacked", "convertedUnpacked"):
        result[ways] = []
    for _ in range(rounds):
        for way, path in (("native", native), ("converted", new)):
            result[way].append(open_warm(path))
            result[f"{way}Unpacked"].append(open_warm(path, WITHOUT_PACKING))
    decisions = []
    for _ in range(1000):
        begin = time.perf_counter()
        ensure_compatible(str(native))
        decisions.append(time.perf_counter() - begin)
    result["decision"] = sorted(decisions)
    return result


# The service asks for CUDA where ONNX Runtime was built with it, which fails without a driver.
SERVE = """
import onnxruntime, runpy
onnxruntime.get_available_providers = lambda: ["CPUExecutionProvider"]
runpy.run_module("immich_ml", run_name="__main__")
"""


@contextmanager
def server(cache: Path) -> Iterator[str]:
    """Starts Immich's service, or its fake, and yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "PYTHONPATH": "/usr/src",
        "IMMICH_HOST": "127.0.0.1",
        "IMMICH_PORT": str(port),
        "MACHINE_LEARNING_CACHE_FOLDER": str(cache),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE], env=environment, stderr=subprocess.DEVNULL
    )
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(600):
            try:
                requests.get(f"{address}/ping", timeout=2).raise_for_status()
                break
            except (requests.ConnectionError, requests.Timeout):
                time.sleep(0.1)
        yield address
    finally:
        process.kill()
        process.wait()


def predict(address: str, name: str, photo: bytes) -> float:
    """Seconds until the service has answered."""
    entries = json.dumps({"clip": {"visual": {"modelName": name, "options": {}}}})
    begin = time.perf_counter()
    answer = requests.post(
        f"{address}/predict", data={"entries": entries}, files={"image": photo}, timeout=300
    )
    seconds = time.perf_counter() - begin
    answer.raise_for_status()
    assert len(json.loads(answer.json()["clip"])) > 1
    return seconds


REQUESTS = 8


def measure_requests(width: int, rounds: int, cache: Path) -> dict[str, Any]:
    """First and later requests to a service that has just started, native and converted in turn."""
    models = {}
    for way, opset, ir_version in (("native", 18, 8), ("converted", 19, 9)):
        models[way] = cache / "clip" / way / "visual" / "model.onnx"
        models[way].parent.mkdir(parents=True)
        onnx.save(encoder("visual", width, opset, ir_version, pooled=True), models[way])
    photo = io.BytesIO()
    pixels = numpy.random.default_rng(0).integers(0, 256, (480, 640, 3), numpy.uint8)
    Image.fromarray(pixels).save(photo, "JPEG")
    content = photo.getvalue()

    with server(cache) as address:
        converting = predict(address, "converted", content)
    first: dict[str, list[float]] = {way: [] for way in models}
    later: dict[str, list[float]] = {way: [] for way in models}
    for _ in range(rounds):
        with server(cache) as one, server(cache) as other:
            addresses = {"native": one, "converted": other}
            for way, address in addresses.items():
                first[way].append(predict(address, way, content))
            taken: dict[str, list[float]] = {way: [] for way in models}
            for _ in range(REQUESTS):
                for way, address in addresses.items():
                    taken[way].append(predict(address, way, content))
            for way in models:
                later[way].append(statistics.median(taken[way]))
    size = models["native"].stat().st_size
    return {"bytes": size, "converting": converting, "first": first, "later": later}


def main() -> None:
    rounds, models = int(sys.argv[1]), sys.argv[2:]
    results = []
    for model in models:
        with tempfile.TemporaryDirectory() as folder:
            results.append(measure(model, rounds, Path(folder)))
    with tempfile.TemporaryDirectory() as folder:
        answers = measure_requests(768, rounds, Path(folder))
    print(json.dumps({"models": results, "predict": answers}))


if __name__ == "__main__":
    main()
