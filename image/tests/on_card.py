"""The bridge's models on a GPU: CUDA's results against those of a newer ONNX Runtime on the CPU, from
the unconverted files. Run by `npm run check:models`; not part of the usual tests, which need no GPU.

    IMMICH_ML_PROVIDER  the provider that must compute; default CUDAExecutionProvider
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy
import onnx
import onnxruntime
import pytest
from measure import encoder
from models import FAMILIES, Arrays
from reference import Reference

PROVIDER = os.environ.get("IMMICH_ML_PROVIDER", "CUDAExecutionProvider")
# Sums in another order, not less precise numbers: GPUs before Ampere have no TF32.
RELATIVE, ABSOLUTE = 1e-2, 2e-3
HEAVY = {"Conv", "MatMul", "Gemm", "FusedConv", "FusedMatMul"}

IDENTITY = """
import sys, onnx, onnxruntime
from onnx import TensorProto, helper
x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [x], [y])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=[sys.argv[1]])
print(session.get_providers()[0])
"""


@pytest.fixture(scope="session", autouse=True)
def gpu() -> Iterator[None]:
    """Ends the run with one line when the provider is not available: each test would pass on the CPU.

    In a separate process, since ONNX Runtime 1.20 crashes without a driver."""
    tried = subprocess.run(
        [sys.executable, "-c", IDENTITY, PROVIDER], capture_output=True, text=True
    )
    if tried.stdout.strip() != PROVIDER:
        lines = [line for line in tried.stderr.splitlines() if line.strip()]
        reason = lines[-1] if lines else f"exit status {tried.returncode}"
        # Without the names of the functions that failed.
        reason = reason[max(reason.find("CUDA failure"), 0) :]
        pytest.exit(f"NO GPU: {PROVIDER} does not come up in this container: {reason}", 3)
    yield


def on_card(path: Path, inputs: Arrays, folder: Path) -> list[numpy.ndarray]:  # type: ignore[type-arg]
    """The outputs; asserts that the provider ran each heavy node."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.enable_profiling = True
    options.profile_file_prefix = str(folder / "profile")
    session = onnxruntime.InferenceSession(str(path), sess_options=options, providers=[PROVIDER])
    outputs: list[numpy.ndarray] = session.run(None, inputs)  # type: ignore[type-arg]
    events = json.loads(Path(session.end_profiling()).read_text())
    ran = [event["args"] for event in events if event["name"].endswith("_kernel_time")]
    heavy = {(args["op_name"], args["provider"]) for args in ran if args["op_name"] in HEAVY}
    assert heavy and {provider for _, provider in heavy} == {PROVIDER}, heavy
    return outputs


@pytest.mark.parametrize("ir_version", [8, 9, 10])
@pytest.mark.parametrize("opset", [17, 18, 19, 20, 21])
@pytest.mark.parametrize("family", FAMILIES)
def test_family(
    tmp_path: Path, reference: Reference, family: str, opset: int, ir_version: int
) -> None:
    model, inputs = FAMILIES[family](opset, ir_version)
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    expected = reference.run(str(path), inputs)
    for one, other in zip(on_card(path, inputs, tmp_path), expected, strict=True):
        numpy.testing.assert_allclose(one, other, rtol=RELATIVE, atol=ABSOLUTE)


@pytest.mark.parametrize("kind, width", [("visual", 768), ("textual", 512)])
def test_encoder_of_vit_b_32s_size(
    tmp_path: Path, reference: Reference, kind: str, width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(encoder(kind, width, 19, 9, pooled=True), path)
    random = numpy.random.default_rng(0)
    inputs: Arrays = (
        {"image": random.standard_normal((1, 3, 224, 224)).astype(numpy.float32)}
        if kind == "visual"
        else {"text": random.integers(0, 49408, (1, 50)).astype(numpy.int32)}
    )
    [expected] = reference.run(str(path), inputs)
    [actual] = on_card(path, inputs, tmp_path)
    cosine = float(
        numpy.sum(actual * expected) / (numpy.linalg.norm(actual) * numpy.linalg.norm(expected))
    )
    assert cosine > 0.999
    session = onnxruntime.InferenceSession(str(path), providers=[PROVIDER])
    times = []
    for _ in range(10):
        begin = time.perf_counter()
        session.run(None, inputs)
        times.append(time.perf_counter() - begin)
    with capsys.disabled():
        print(f"\n{kind}: {sorted(times)[5] * 1e3:.1f} ms, cosine similarity {cosine:.6f}")
