"""Small models with the operators of those Immich uses, at any opset and IR version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

Arrays = dict[str, numpy.ndarray[Any, Any]]


class Graph:
    """Collects nodes and weights; a call adds a node and returns the names of its outputs."""

    def __init__(self, opset: int, seed: int = 0) -> None:
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.examples: Arrays = {}
        self._random = numpy.random.default_rng(seed)
        self._count = 0

    def input(self, name: str, shape: list[int], kind: int = TensorProto.FLOAT) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        if kind == TensorProto.FLOAT:
            self.examples[name] = self._random.standard_normal(shape).astype(numpy.float32)
        else:
            self.examples[name] = self._random.integers(0, 16, shape).astype(numpy.int32)
        return name

    def weight(self, *shape: int) -> str:
        scale = float(numpy.prod(shape[1:], initial=1.0)) ** -0.5
        return self.constant((self._random.standard_normal(shape) * scale).astype(numpy.float32))

    def constant(self, value: Any) -> str:
        self._count += 1
        name = f"w{self._count}"
        self.weights.append(numpy_helper.from_array(numpy.asarray(value), name))
        return name

    def __call__(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        self._count += 1
        names = [f"v{self._count}_{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def model(self, ir_version: int, *outputs: str) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "test",
            self.inputs,
            [helper.make_empty_tensor_value_info(name) for name in outputs],
            self.weights,
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", self.opset)],
            ir_version=ir_version,
        )
        return onnx.shape_inference.infer_shapes(model)


def clip_visual(opset: int, ir_version: int) -> tuple[onnx.ModelProto, Arrays]:
    """A patch embedding, one transformer block, the pooled and normalised embedding."""
    g = Graph(opset)
    width, heads = 64, 4
    x = g.input("image", [1, 3, 32, 32])
    x = g("Conv", x, g.weight(width, 3, 8, 8), kernel_shape=[8, 8], strides=[8, 8])
    shape = g("Shape", x)
    batch = g("Gather", shape, g.constant(numpy.int64(0)), axis=0)
    batch = g("Unsqueeze", batch, g.constant([0]))
    x = g("Reshape", x, g("Concat", batch, g.constant([width, 16]), axis=0))
    x = g("Transpose", x, perm=[0, 2, 1])
    classes = g("Expand", g.weight(1, 1, width), g("Concat", batch, g.constant([1, 1]), axis=0))
    x = g("Concat", classes, x, axis=1)
    x = g("Add", x, g.weight(17, width))
    y = g("LayerNormalization", x, g.weight(width), g.weight(width), axis=-1, epsilon=1e-5)
    projected = g("Add", g("MatMul", y, g.weight(width, 3 * width)), g.weight(3 * width))
    q, k, v = g("Split", projected, g.constant([width] * 3), axis=-1, outputs=3)
    split = g.constant([0, 0, heads, width // heads])
    q = g("Transpose", g("Reshape", q, split), perm=[0, 2, 1, 3])
    k = g("Transpose", g("Reshape", k, split), perm=[0, 2, 3, 1])
    v = g("Transpose", g("Reshape", v, split), perm=[0, 2, 1, 3])
    scores = g("Div", g("MatMul", q, k), g.constant(numpy.float32(4)))
    attended = g("MatMul", g("Softmax", scores, axis=-1), v)
    attended = g("Transpose", attended, perm=[0, 2, 1, 3])
    x = g("Add", x, g("Reshape", attended, g.constant([0, 0, width])))
    y = g("LayerNormalization", x, g.weight(width), g.weight(width), axis=-1, epsilon=1e-5)
    y = g("Gemm", g("Reshape", y, g.constant([17, width])), g.weight(width, width), transB=1)
    gelu = g("Mul", g("Sigmoid", g("Mul", y, g.constant(numpy.float32(1.702)))), y)
    erf = g("Erf", g("Div", y, g.constant(numpy.float32(2**0.5))))
    erf = g("Mul", g("Mul", y, g("Add", erf, g.constant(numpy.float32(1)))), gelu)
    x = g("Add", x, g("Reshape", erf, g.constant([1, 17, width])))
    pooled = g("Slice", x, g.constant([0]), g.constant([1]), g.constant([1]), g.constant([1]))
    pooled = g("Squeeze", pooled, g.constant([1]))
    norm = (
        g("ReduceL2", pooled, g.constant([-1]), keepdims=1)
        if opset >= 18
        else g("ReduceL2", pooled, axes=[-1], keepdims=1)
    )
    norm = g("Max", norm, g.constant(numpy.float32(1e-6)))
    return g.model(ir_version, g("Div", pooled, norm)), g.examples


def clip_textual(opset: int, ir_version: int) -> tuple[onnx.ModelProto, Arrays]:
    """Token embedding, a causal mask made of Where and Trilu, the text's end found by ArgMax."""
    g = Graph(opset)
    width, length = 64, 8
    tokens = g.input("text", [1, length], TensorProto.INT32)
    x = g("Gather", g.weight(16, width), tokens, axis=0)
    x = g("Add", x, g.weight(length, width))
    ones = g(
        "ConstantOfShape",
        g.constant([length, length]),
        value=helper.make_tensor("v", 1, [1], [1.0]),
    )
    upper = g("Trilu", ones, g.constant(numpy.int64(1)), upper=1)
    mask = g(
        "Where",
        g("Equal", upper, g.constant(numpy.float32(1))),
        g.constant(numpy.float32(-numpy.inf)),
        g.constant(numpy.float32(0)),
    )
    scores = g("Add", g("MatMul", x, g("Transpose", x, perm=[0, 2, 1])), mask)
    x = g("Add", x, g("MatMul", g("Softmax", scores, axis=-1), x))
    mean = (
        g("ReduceMean", x, g.constant([-1]), keepdims=1)
        if opset >= 18
        else g("ReduceMean", x, axes=[-1], keepdims=1)
    )
    x = g("Sub", x, mean)
    x = g(
        "Div",
        x,
        g(
            "Sqrt",
            g("Add", g("Pow", x, g.constant(numpy.float32(2))), g.constant(numpy.float32(1))),
        ),
    )
    end = g("ArgMax", tokens, axis=-1, keepdims=0)
    rows = g(
        "Range", g.constant(numpy.int64(0)), g.constant(numpy.int64(1)), g.constant(numpy.int64(1))
    )
    picked = g(
        "GatherND",
        x,
        g(
            "Concat",
            g("Unsqueeze", rows, g.constant([1])),
            g("Unsqueeze", end, g.constant([1])),
            axis=1,
        ),
    )
    out = g("MatMul", picked, g.weight(width, 32))
    out = g("Clip", out, g.constant(numpy.float32(-10)), g.constant(numpy.float32(10)))
    return g.model(ir_version, g("Identity", out)), g.examples


def face_detection(opset: int, ir_version: int) -> tuple[onnx.ModelProto, Arrays]:
    """SCRFD: convolutions with folded and unfolded normalisation, a feature pyramid, score maps."""
    g = Graph(opset)
    x = g.input("input.1", [1, 3, 32, 32])
    x = g(
        "Conv",
        x,
        g.weight(16, 3, 3, 3),
        g.weight(16),
        kernel_shape=[3, 3],
        pads=[1, 1, 1, 1],
        strides=[2, 2],
    )
    x = g(
        "BatchNormalization",
        x,
        g.weight(16),
        g.weight(16),
        g.weight(16),
        g.constant(numpy.linspace(0.5, 1.5, 16, dtype=numpy.float32)),
        epsilon=1e-5,
    )
    x = g("Relu", x)
    small = g("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    small = g(
        "Conv", small, g.weight(16, 1, 3, 3), kernel_shape=[3, 3], group=16, pads=[1, 1, 1, 1]
    )
    up = g(
        "Resize",
        small,
        "",
        g.constant(numpy.array([1, 1, 2, 2], numpy.float32)),
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    x = g("Add", x, up)
    pooled = g("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    score = g("Sigmoid", g("Conv", pooled, g.weight(2, 16, 1, 1), kernel_shape=[1, 1]))
    score = g("Reshape", g("Transpose", score, perm=[2, 3, 0, 1]), g.constant([-1, 1]))
    boxes = g("Mul", g("Conv", pooled, g.weight(8, 16, 1, 1)), g.constant(numpy.float32(1.5)))
    boxes = g("Reshape", g("Transpose", boxes, perm=[2, 3, 0, 1]), g.constant([-1, 4]))
    return g.model(ir_version, score, boxes), g.examples


def face_recognition(opset: int, ir_version: int) -> tuple[onnx.ModelProto, Arrays]:
    """ArcFace: PRelu, unfolded normalisation, Flatten and Gemm."""
    g = Graph(opset)
    x = g.input("input.1", [1, 3, 16, 16])
    x = g("Conv", x, g.weight(16, 3, 3, 3), kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    x = g("PRelu", x, g.weight(16, 1, 1))
    y = g(
        "BatchNormalization",
        x,
        g.weight(16),
        g.weight(16),
        g.weight(16),
        g.constant(numpy.linspace(0.5, 1.5, 16, dtype=numpy.float32)),
    )
    y = g("Conv", y, g.weight(16, 16, 3, 3), kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    x = g("Dropout", g("Add", x, y))
    return g.model(
        ir_version, g("Gemm", g("Flatten", x), g.weight(32, 4096), g.weight(32), transB=1)
    ), g.examples


def text_detection(opset: int, ir_version: int) -> tuple[onnx.ModelProto, Arrays]:
    """PP-OCR's detector: hard activations, squeeze-and-excite, transposed convolutions."""
    g = Graph(opset)
    x = g.input("x", [1, 3, 32, 32])
    x = g("HardSwish", g("Conv", x, g.weight(16, 3, 3, 3), strides=[2, 2], pads=[1, 1, 1, 1]))
    pooled = g("GlobalAveragePool", x)
    gate = g("HardSigmoid", g("Conv", pooled, g.weight(16, 16, 1, 1)), alpha=0.2, beta=0.5)
    x = g("Mul", x, gate)
    x = g("Pad", x, g.constant([0, 0, 1, 1, 0, 0, 1, 1]), mode="reflect")
    x = g(
        "Resize",
        x,
        "",
        "",
        g.constant([1, 16, 18, 18]),
        mode="linear",
        coordinate_transformation_mode="half_pixel",
    )
    x = g("ConvTranspose", x, g.weight(16, 8, 2, 2), kernel_shape=[2, 2], strides=[2, 2])
    x = g("LeakyRelu", x, alpha=0.1)
    return g.model(ir_version, g("Sigmoid", g("Conv", x, g.weight(1, 8, 1, 1)))), g.examples


def text_recognition(opset: int, ir_version: int) -> tuple[onnx.ModelProto, Arrays]:
    """PP-OCR's recogniser: a convolution down to one row, attention, class probabilities."""
    g = Graph(opset)
    x = g.input("x", [1, 3, 16, 32])
    x = g("Conv", x, g.weight(32, 3, 16, 4), kernel_shape=[16, 4], strides=[16, 4])
    x = g("Transpose", g("Squeeze", x, g.constant([2])), perm=[0, 2, 1])
    squared = g("Mul", x, g("Sigmoid", x))
    x = g("Sub", x, g("ReduceSum", squared, g.constant([1]), keepdims=1))
    x = g("Tanh", g("MatMul", x, g.weight(32, 40)))
    x = g("Floor", g("Mul", g("Exp", x), g.constant(numpy.float32(8))))
    return g.model(ir_version, g("Softmax", g("Neg", x), axis=2)), g.examples


FAMILIES: dict[str, Callable[[int, int], tuple[onnx.ModelProto, Arrays]]] = {
    "clip-visual": clip_visual,
    "clip-textual": clip_textual,
    "face-detection": face_detection,
    "face-recognition": face_recognition,
    "text-detection": text_detection,
    "text-recognition": text_recognition,
}
