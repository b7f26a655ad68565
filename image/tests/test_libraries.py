"""The bridge under the libraries that open models for Immich, as installed in the image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
import rapidocr
from insightface.model_zoo import model_zoo
from models import FAMILIES, Arrays
from omegaconf import OmegaConf
from rapidocr.inference_engine.onnxruntime import OrtInferSession
from reference import Reference
from test_bridge import CONVERTED, same

CPU = ["CPUExecutionProvider"]


def save(family: str, path: Path) -> Arrays:
    """Opset and IR version of Immich's files since March 2025."""
    model, inputs = FAMILIES[family](19, 9)
    onnx.save(model, path)
    return inputs


def computes_the_same(session: Any, path: Path, inputs: Arrays, reference: Reference) -> None:
    same(session.run(None, inputs), reference.run(str(path), inputs))
    assert (path.parent / CONVERTED).is_file()


@pytest.mark.parametrize("family", ["clip-visual", "clip-textual"])
def test_clip_is_opened_as_immich_opens_it(
    tmp_path: Path, reference: Reference, family: str
) -> None:
    path = tmp_path / "model.onnx"
    inputs = save(family, path)
    session = onnxruntime.InferenceSession(
        path.as_posix(),
        sess_options=onnxruntime.SessionOptions(),
        providers=CPU,
        provider_options=[{"arena_extend_strategy": "kSameAsRequested"}],
    )
    computes_the_same(session, path, inputs, reference)


def test_insightfaces_detector_computes_the_same(tmp_path: Path, reference: Reference) -> None:
    path = tmp_path / "model.onnx"
    inputs = save("face-detection", path)
    session = onnxruntime.InferenceSession(str(path), providers=CPU)
    detector = model_zoo.RetinaFace(session=session)
    assert detector.input_name == "input.1"
    computes_the_same(detector.session, path, inputs, reference)


def test_insightfaces_recogniser_computes_the_same(tmp_path: Path, reference: Reference) -> None:
    path = tmp_path / "model.onnx"
    inputs = save("face-recognition", path)
    session = onnxruntime.InferenceSession(str(path), providers=CPU)
    # It reads the unconverted file too, for the order of its first nodes.
    recogniser = model_zoo.ArcFaceONNX(str(path), session=session)
    assert recogniser.input_size == (16, 16)
    computes_the_same(recogniser.session, path, inputs, reference)


def test_insightfaces_session_class_computes_the_same(tmp_path: Path, reference: Reference) -> None:
    path = tmp_path / "model.onnx"
    inputs = save("face-recognition", path)
    session = model_zoo.PickableInferenceSession(str(path), providers=CPU)
    computes_the_same(session, path, inputs, reference)


def test_a_recogniser_that_immich_rewrote_in_the_cache_is_converted_again(tmp_path: Path) -> None:
    """Immich adds a batch axis to the model file after opening it once."""
    path = tmp_path / "model.onnx"
    save("face-recognition", path)
    assert onnxruntime.InferenceSession(str(path), providers=CPU).get_inputs()[0].shape[0] == 1
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.save(model, path)
    session = onnxruntime.InferenceSession(str(path), providers=CPU)
    assert session.get_inputs()[0].shape[0] == "batch"


@pytest.mark.parametrize("family", ["text-detection", "text-recognition"])
def test_rapidocr_opens_a_model_itself(tmp_path: Path, reference: Reference, family: str) -> None:
    path = tmp_path / "model.onnx"
    inputs = save(family, path)
    defaults = OmegaConf.load(Path(rapidocr.__file__).parent / "config.yaml")
    settings = OmegaConf.create(
        {"model_path": str(path), "engine_cfg": defaults.EngineConfig.onnxruntime}
    )
    computes_the_same(OrtInferSession(settings).session, path, inputs, reference)


def test_rapidocr_takes_a_session_that_immich_opened(tmp_path: Path, reference: Reference) -> None:
    path = tmp_path / "model.onnx"
    inputs = save("text-recognition", path)
    session = onnxruntime.InferenceSession(str(path), providers=CPU)
    computes_the_same(OrtInferSession({"session": session}).session, path, inputs, reference)
