"""Measures the bridge in the image; prints one JSON object. Used by bench/bridge.ts.

    python measure.py ROUNDS MODEL…

MODEL is `visual:WIDTH` or `textual:WIDTH`, a CLIP encoder of 12 blocks; ViT-B-32 has 768 and 512.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import onnx
from models import Graph

from opset_bridge.bridge import loadable

TOKENS = 50
VOCABULARY = 49408

# Each measurement in a process of its own: nothing of the last model is left in memory.
OPEN = """
import json, resource, sys, time
import numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.enable_cpu_mem_arena = False
begin = time.perf_counter()
session = onnxruntime.InferenceSession(
    sys.argv[1], sess_options=options, providers=["CPUExecutionProvider"]
)
opened = time.perf_counter()
inputs = {
    value.name: numpy.ones(value.shape, numpy.int32 if "int32" in value.type else numpy.float32)
    for value in session.get_inputs()
}
session.run(None, inputs)
done = time.perf_counter()
print(json.dumps({"open": opened - begin, "run": done - opened}))
"""

CONVERT = """
import json, sys, time
import onnx, onnx.checker, onnx.version_converter, onnxruntime
from opset_bridge.bridge import loadable
def peak():
    [line] = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024
before = peak()
begin = time.perf_counter()
loadable(sys.argv[1])
print(json.dumps({"seconds": time.perf_counter() - begin, "memory": peak() - before}))
"""


def encoder(kind: str, width: int, opset: int, ir_version: int) -> onnx.ModelProto:
    """The shape of a CLIP encoder: as many weights, in the same operators, with random values."""
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
    return g.model(ir_version, g("Identity", x))


def run(script: str, path: Path) -> dict[str, float]:
    outcome = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    result: dict[str, float] = json.loads(outcome.stdout.splitlines()[-1])
    return result


def measure(model: str, rounds: int, folder: Path) -> dict[str, Any]:
    kind, width = model.split(":")
    native, new = folder / "native.onnx", folder / "new.onnx"
    onnx.save(encoder(kind, int(width), 18, 8), native)
    onnx.save(encoder(kind, int(width), 19, 9), new)
    result: dict[str, Any] = {"model": model, "bytes": new.stat().st_size, "conversion": []}
    for _ in range(rounds):
        for made in folder.glob("new.opset*"):
            made.unlink()
        result["conversion"].append(run(CONVERT, new))
    result["native"], result["converted"] = [], []
    for _ in range(rounds):
        result["native"].append(run(OPEN, native))
        result["converted"].append(run(OPEN, new))
    decisions = []
    for _ in range(1000):
        begin = time.perf_counter()
        loadable(str(native))
        decisions.append(time.perf_counter() - begin)
    result["decision"] = sorted(decisions)
    return result


def main() -> None:
    rounds, models = int(sys.argv[1]), sys.argv[2:]
    results = []
    for model in models:
        with tempfile.TemporaryDirectory() as folder:
            results.append(measure(model, rounds, Path(folder)))
    print(json.dumps(results))


if __name__ == "__main__":
    main()
