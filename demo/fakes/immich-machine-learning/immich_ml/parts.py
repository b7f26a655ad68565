"""Faces and text: each part of a model is a small real network; every picture has one face and one word."""

import json
from pathlib import Path

import numpy as np
import onnxruntime as ort
from PIL import Image

from . import models, settings

# Height and width of what each part computes.
SIZES = {
    ("facial-recognition", "detection"): (640, 640),
    ("facial-recognition", "recognition"): (112, 112),
    ("ocr", "detection"): (736, 736),
    ("ocr", "recognition"): (48, 320),
}


def _make(path: Path, size: tuple[int, int]) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    kernel = np.random.default_rng(7).standard_normal((512, 3, 16, 16)) / 768**0.5
    nodes = [
        helper.make_node("Conv", ["picture", "kernel"], ["features"], strides=[16, 16]),
        helper.make_node("GlobalAveragePool", ["features"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["result"]),
    ]
    graph = helper.make_graph(
        nodes,
        "part",
        # One picture, as Immich publishes its face recognisers.
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, *size])],
        [helper.make_tensor_value_info("result", TensorProto.FLOAT, [1, 512])],
        [numpy_helper.from_array(kernel.astype(np.float32), "kernel")],
    )
    opset = helper.make_opsetid("", models.OPSET)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=models.IR_VERSION), path)


def _accept_any_batch(path: Path) -> None:
    """In place, as Immich does with its face recogniser."""
    import onnx

    model = onnx.load(path)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.save(model, path)


def _load(task: str, name: str, part: str) -> ort.InferenceSession:
    path = settings.cache_folder / task / name / part / "model.onnx"
    if not path.is_file():
        _make(path, SIZES[task, part])
    session = models.open_session(path)
    is_recogniser = (task, part) == ("facial-recognition", "recognition")
    if is_recogniser and settings.face_batch != 1 and session.get_inputs()[0].shape[0] != "batch":
        _accept_any_batch(path)
        session = models.open_session(path)
    return session


def _compute(task: str, entries: dict, picture: Image.Image) -> list[float]:
    for part in ("detection", "recognition"):
        name = entries[part]["modelName"].split("/")[-1]
        folder = settings.cache_folder / task / name
        session = models.loaded((task, name, part), folder, lambda: _load(task, name, part))
        height, width = SIZES[task, part]
        pixels = np.asarray(picture.resize((width, height)), np.float32) / 255
        (result,) = session.run(None, {session.get_inputs()[0].name: pixels.transpose(2, 0, 1)[None]})
    return result[0].tolist()


def find_faces(entries: dict, picture: Image.Image) -> list[dict]:
    embedding = _compute("facial-recognition", entries, picture)
    box = {"x1": 0, "y1": 0, "x2": picture.width, "y2": picture.height}
    return [{"boundingBox": box, "embedding": json.dumps(embedding), "score": 0.9}]


def read_text(entries: dict, picture: Image.Image) -> dict:
    _compute("ocr", entries, picture)
    return {"text": ["word"], "box": [0, 0, 1, 0, 1, 1, 0, 1], "boxScore": [0.9], "textScore": [0.9]}
