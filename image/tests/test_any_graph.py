"""Any graph of supported operators is converted to one that computes the same, or refused."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from models import Graph
from onnx import TensorProto
from reference import Reference
from test_bridge import LIMITS, run, same

from opset_bridge import OpsetBridgeError

pytestmark = pytest.mark.skipif(
    LIMITS is None or LIMITS.opset >= 21,
    reason=f"ONNX Runtime {onnxruntime.__version__} reads all that is tested",
)

SHAPE = [1, 4, 8, 8]
ELEMENTWISE = [
    *("Abs", "Ceil", "Cos", "Elu", "Erf", "Floor", "HardSigmoid", "HardSwish", "Identity"),
    *("LeakyRelu", "LogSoftmax", "Neg", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin"),
    *("Softmax", "Softplus", "Softsign", "Tanh", "ThresholdedRelu", "Dropout"),
]
BINARY = ["Add", "Sub", "Mul", "Max", "Min"]
# Each maps a tensor of SHAPE to another of SHAPE by operators whose versions changed.
DETOURS = [
    *("average-pool", "cast", "concat-split", "constant-of-shape", "conv", "conv-transpose"),
    *("flatten", "global-pool", "instance-norm", "layer-norm", "max-pool", "pad-slice", "prelu"),
    *("reduce", "resize", "shape-expand", "squeeze", "transpose", "where"),
]


def detour(g: Graph, kind: str, x: str) -> str:
    out: str
    if kind == "average-pool":
        out = g("AveragePool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    elif kind == "cast":
        out = g("Cast", g("Cast", x, to=TensorProto.DOUBLE), to=TensorProto.FLOAT)
    elif kind == "concat-split":
        both = g("Concat", x, g("Neg", x), axis=1)
        out = g("Split", both, g.constant([4, 4]), axis=1, outputs=2)[1]
    elif kind == "constant-of-shape":
        zeros = g("ConstantOfShape", g("Shape", x))
        out = g("Add", x, zeros)
    elif kind == "conv":
        out = g("Conv", x, g.weight(4, 4, 3, 3), pads=[1, 1, 1, 1])
    elif kind == "conv-transpose":
        out = g("ConvTranspose", x, g.weight(4, 4, 3, 3), pads=[1, 1, 1, 1])
    elif kind == "flatten":
        out = g("Reshape", g("Flatten", x), g.constant(SHAPE))
    elif kind == "global-pool":
        out = g("Add", g("GlobalMaxPool", x), g("Sub", x, g("GlobalAveragePool", x)))
    elif kind == "instance-norm":
        out = g("InstanceNormalization", x, g.weight(4), g.weight(4))
    elif kind == "layer-norm":
        out = g("LayerNormalization", x, g.weight(8), g.weight(8))
    elif kind == "max-pool":
        out = g("MaxPool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    elif kind == "pad-slice":
        x = g("Pad", x, g.constant([0, 0, 1, 1, 0, 0, 1, 1]), mode="edge")
        out = g("Slice", x, g.constant([0, 2]), g.constant([8, 10]), g.constant([2, 3]))
    elif kind == "prelu":
        out = g("PRelu", x, g.weight(4, 1, 1))
    elif kind == "reduce":
        out = g("Sub", x, g("ReduceMean", x, g.constant([-1]), keepdims=1))
    elif kind == "resize":
        scales = g.constant(numpy.array([1, 1, 2, 2], numpy.float32))
        x = g("Resize", x, "", scales, mode="linear")
        out = g("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    elif kind == "shape-expand":
        size = g("Cast", g("Size", x), to=TensorProto.FLOAT)
        out = g("Div", g("Expand", x, g("Shape", x)), size)
    elif kind == "squeeze":
        out = g("Unsqueeze", g("Squeeze", x, g.constant([0])), g.constant([0]))
    elif kind == "transpose":
        out = g("Transpose", x, perm=[0, 1, 3, 2])
    else:
        nan = g("IsNaN", x)
        out = g("Where", g("Not", nan), x, g("Neg", x))
    return out


@settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_any_graph_computes_the_same_or_is_refused(reference: Reference, data: st.DataObject) -> None:
    assert LIMITS is not None
    opset = data.draw(st.integers(LIMITS.opset + 1, 21))
    g = Graph(opset, seed=data.draw(st.integers(0, 1000)))
    values = [g.input("x", SHAPE)]
    for _ in range(data.draw(st.integers(1, 12))):
        value = data.draw(st.sampled_from(values))
        operator = data.draw(st.sampled_from(ELEMENTWISE + BINARY + DETOURS))
        if operator in BINARY:
            values.append(g(operator, value, data.draw(st.sampled_from(values))))
        elif operator in DETOURS:
            values.append(detour(g, operator, value))
        else:
            values.append(g(operator, value))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(g.model(data.draw(st.sampled_from([8, 9, 10])), *values[1:]), path)
        expected = reference.run(str(path), g.examples)
        try:
            actual = run(path, g.examples)
        except OpsetBridgeError as refusal:
            event("refused")
            assert str(path) in str(refusal) and "\n" not in str(refusal)
            return
        event("converted")
        same(actual, expected)


def test_every_operator_above_is_converted_not_refused(
    tmp_path: Path, reference: Reference
) -> None:
    """The control: refusing everything would satisfy the property too."""
    assert LIMITS is not None
    g = Graph(21)
    x = g.input("x", SHAPE)
    outputs = [g(operator, x) for operator in ELEMENTWISE]
    outputs += [g(operator, x, outputs[0]) for operator in BINARY]
    outputs += [detour(g, kind, x) for kind in DETOURS]
    onnx.save(g.model(10, *outputs), tmp_path / "model.onnx")
    same(
        run(tmp_path / "model.onnx", g.examples),
        reference.run(str(tmp_path / "model.onnx"), g.examples),
    )
