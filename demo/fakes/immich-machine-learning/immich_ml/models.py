"""Small real CLIP models: made where the cache has none, loaded with ONNX Runtime, run."""

import hashlib
import json
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidProtobuf, NoSuchFile
from PIL import Image

from . import settings

log = logging.getLogger("immich_ml")

# What Immich's files on Hugging Face are since March 2025: too new for ONNX Runtime before 1.16.
OPSET = 19
IR_VERSION = 9

IMAGE_SIZE = 224
CONTEXT_LENGTH = 77
VOCABULARY = 256
WIDTH = 32

PROVIDERS_IN_ORDER = (
    "CUDAExecutionProvider",
    "ROCMExecutionProvider",
    "MIGraphXExecutionProvider",
    "OpenVINOExecutionProvider",
    "CPUExecutionProvider",
)

dimensions: dict[str, int] = json.loads(
    (Path(__file__).parent / "clip_models.json").read_text()
)


class UnknownModel(Exception):
    pass


class GivenUp(Exception):
    pass


def _make(name: str, kind: str, dimension: int, path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(
        int.from_bytes(hashlib.sha256(f"{name}/{kind}".encode()).digest()[:8], "big")
    )
    weights = []

    def weight(label: str, *shape: int) -> str:
        value = random.standard_normal(shape) / np.sqrt(shape[0])
        weights.append(numpy_helper.from_array(value.astype(np.float32), label))
        return label

    def constant(label: str, value: list, dtype: type) -> str:
        weights.append(numpy_helper.from_array(np.array(value, dtype), label))
        return label

    node = helper.make_node
    if kind == "visual":
        shape = ["batch", 3, IMAGE_SIZE, IMAGE_SIZE]
        given = helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)
        front = [
            node(
                "Conv",
                ["image", weight("patches", WIDTH, 3, 16, 16)],
                ["convolved"],
                strides=[16, 16],
            ),
            node(
                "Resize",
                ["convolved", "", constant("scales", [1, 1, 0.5, 0.5], np.float32)],
                ["resized"],
                mode="linear",
            ),
            node(
                "Reshape",
                ["resized", constant("flat", [0, WIDTH, -1], np.int64)],
                ["flattened"],
            ),
            node("Transpose", ["flattened"], ["tokens"], perm=[0, 2, 1]),
        ]
    else:
        shape = ["batch", CONTEXT_LENGTH]
        given = helper.make_tensor_value_info("text", TensorProto.INT32, shape)
        front = [node("Gather", [weight("words", VOCABULARY, WIDTH), "text"], ["tokens"])]

    nodes = front + [
        node(
            "LayerNormalization",
            [
                "tokens",
                constant("scale", [1] * WIDTH, np.float32),
                constant("bias", [0] * WIDTH, np.float32),
            ],
            ["normalised"],
        ),
        node("MatMul", ["normalised", weight("query", WIDTH, WIDTH)], ["queries"]),
        node("Transpose", ["normalised"], ["keys"], perm=[0, 2, 1]),
        node("MatMul", ["queries", "keys"], ["scores"]),
        node("Softmax", ["scores"], ["attention"], axis=-1),
        node("MatMul", ["attention", "normalised"], ["attended"]),
        node("ReduceMean", ["attended", constant("axis", [1], np.int64)], ["pooled"], keepdims=0),
        node("MatMul", ["pooled", weight("projection", WIDTH, dimension)], ["projected"]),
        node("LpNormalization", ["projected"], ["embedding"], axis=-1, p=2),
    ]
    result = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", dimension])
    graph = helper.make_graph(nodes, f"{name} {kind}", [given], [result], weights)
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="demo",
    )
    onnx.checker.check_model(model, full_check=True)

    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(model.SerializeToString())
    os.replace(file.name, path)


def _providers() -> tuple[list[str], list[dict[str, str]]]:
    available = set(ort.get_available_providers())
    providers = [name for name in PROVIDERS_IN_ORDER if name in available]
    options = [
        {"device_id": settings.device_id, "arena_extend_strategy": "kSameAsRequested"}
        if name == "CUDAExecutionProvider"
        else {}
        for name in providers
    ]
    return providers, options


def _file(name: str, kind: str) -> Path:
    path = settings.cache_folder / "clip" / name / kind / "model.onnx"
    if not path.is_file():
        if name not in dimensions:
            raise UnknownModel(f"Unknown CLIP model '{name}'")
        log.info("making %s, since the cache has none", path)
        _make(name, kind, dimensions[name], path)
    return path


def open_session(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.inter_op_num_threads = settings.inter_op_threads or 1
    options.intra_op_num_threads = settings.intra_op_threads or 2
    providers, provider_options = _providers()
    session = ort.InferenceSession(
        path.as_posix(),
        sess_options=options,
        providers=providers,
        provider_options=provider_options,
    )
    log.info("loaded %s on %s", path, session.get_providers())
    return session


_sessions: dict[object, ort.InferenceSession] = {}
_attempts: dict[object, int] = {}
_one_at_a_time = threading.Lock()


def loaded(key: object, folder: Path, load: Callable[[], ort.InferenceSession]):
    """Immich's loading: a damaged model is deleted and made again once; after two attempts it gives up."""
    with _one_at_a_time:
        while key not in _sessions:
            _attempts[key] = _attempts.get(key, 0) + 1
            if _attempts[key] > 2:
                raise GivenUp(f"Failed to load model '{folder.name}'")
            try:
                _sessions[key] = load()
            except (OSError, InvalidProtobuf, NoSuchFile):
                log.warning("Failed to load model '%s'. Clearing cache.", folder.name)
                shutil.rmtree(folder, ignore_errors=True)
        return _sessions[key]


def _session(name: str, kind: str) -> ort.InferenceSession:
    name = name.split("/")[-1]
    folder = settings.cache_folder / "clip" / name
    return loaded((name, kind), folder, lambda: open_session(_file(name, kind)))


def _run(name: str, kind: str, given: np.ndarray) -> list[float]:
    session = _session(name, kind)
    (outputs,) = session.run(None, {session.get_inputs()[0].name: given})
    return outputs[0].tolist()


def open_image(content: bytes) -> Image.Image:
    return Image.open(BytesIO(content)).convert("RGB")


def embed_image(name: str, image: Image.Image) -> list[float]:
    pixels = np.asarray(image.resize((IMAGE_SIZE, IMAGE_SIZE)), np.float32)
    pixels = (pixels / 255 - 0.5) / 0.25
    return _run(name, "visual", pixels.transpose(2, 0, 1)[None])


def embed_text(name: str, text: str) -> list[float]:
    tokens = np.zeros((1, CONTEXT_LENGTH), np.int32)
    letters = text.encode()[:CONTEXT_LENGTH]
    tokens[0, : len(letters)] = list(letters)
    return _run(name, "textual", tokens)
