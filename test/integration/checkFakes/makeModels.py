"""Makes small models of the forms of Immich's own: `python makeModels.py FOLDER TASK/NAME…`."""

import os
import sys

import numpy
from onnx import TensorProto, helper, numpy_helper, save

# Inputs: name, element and shape, as the files that Immich publishes have them.
INPUTS = {
    "clip/visual": ("image", TensorProto.FLOAT, ["batch", 3, 224, 224]),
    "clip/textual": ("text", TensorProto.INT32, ["batch", 77]),
    "facial-recognition/detection": ("input.1", TensorProto.FLOAT, [1, 3, "?", "?"]),
    "facial-recognition/recognition": ("input.1", TensorProto.FLOAT, ["batch", 3, 112, 112]),
    "ocr/detection": ("x", TensorProto.FLOAT, ["n", 3, "h", "w"]),
    "ocr/recognition": ("x", TensorProto.FLOAT, ["n", 3, 48, "w"]),
}


def make(kind):
    name, element, shape = INPUTS[kind]
    weights = numpy.random.RandomState(3).standard_normal
    if kind == "clip/textual":
        constants = {"words": weights((64, 16)), "weight": weights((16, 8))}
        nodes = [
            helper.make_node("Gather", ["words", name], ["tokens"]),
            helper.make_node("MatMul", ["tokens", "weight"], ["result"]),
        ]
    else:
        constants = {"weight": weights((4, 3, 3, 3))}
        nodes = [helper.make_node("Conv", [name, "weight"], ["result"])]
    graph = helper.make_graph(
        nodes,
        kind.replace("/", "-"),
        [helper.make_tensor_value_info(name, element, shape)],
        [helper.make_tensor_value_info("result", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value.astype("float32"), key) for key, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


for model in sys.argv[2:]:
    task = model.split("/")[0]
    for kind in INPUTS:
        if kind.startswith(task + "/"):
            folder = os.path.join(sys.argv[1], model, kind.split("/")[1])
            os.makedirs(folder, exist_ok=True)
            save(make(kind), os.path.join(folder, "model.onnx"))
