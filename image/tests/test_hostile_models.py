"""Models that try to read files outside their folder, or to keep the server busy."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy
import onnx
import onnxruntime
import pytest
from models import Graph
from onnx import TensorProto, helper

from opset_bridge import OpsetBridgeError
from opset_bridge.wire import write_bytes_field, write_varint

WIDTH = 64
# The runtime reads 17 as it is; 19 is converted.
OPSETS = [(17, 8), (19, 9)]
SECRET = numpy.full(WIDTH, 7, numpy.float32)


def external(location: str) -> TensorProto:
    tensor = TensorProto(name="stolen", data_type=TensorProto.FLOAT, dims=[WIDTH])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def in_initializer(model: onnx.ModelProto, tensor: TensorProto) -> None:
    model.graph.initializer.append(tensor)


def in_constant(model: onnx.ModelProto, tensor: TensorProto) -> None:
    model.graph.node.insert(0, helper.make_node("Constant", [], ["stolen"], value=tensor))


def in_sparse_initializer(model: onnx.ModelProto, tensor: TensorProto) -> None:
    model.graph.sparse_initializer.add(values=tensor, dims=[WIDTH])


def in_function(model: onnx.ModelProto, tensor: TensorProto) -> None:
    constant = helper.make_node("Constant", [], ["b"], value=tensor)
    opset = helper.make_opsetid("", model.opset_import[0].version)
    model.functions.append(helper.make_function("own", "F", [], ["b"], [constant], [opset]))


def in_branch_of_a_branch(model: onnx.ModelProto, tensor: TensorProto) -> None:
    inner = helper.make_graph([], "inner", [], [], [tensor])
    node = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    outer = helper.make_graph([node], "outer", [], [])
    model.graph.node.append(helper.make_node("If", ["c"], ["z"], then_branch=outer))


PLACES = [in_initializer, in_constant, in_sparse_initializer, in_function, in_branch_of_a_branch]


def stealing(
    location: str,
    opset: int = 17,
    ir_version: int = 8,
    place: Callable[[onnx.ModelProto, TensorProto], None] = in_initializer,
) -> bytes:
    """A model that answers with what lies at a location."""
    g = Graph(opset)
    model = g.model(ir_version, g("Add", g.input("x", [WIDTH]), "stolen"))
    place(model, external(location))
    return model.SerializeToString()


def answer(path: Path) -> numpy.ndarray:  # type: ignore[type-arg]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": numpy.zeros(WIDTH, numpy.float32)})[0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    SECRET.tofile(tmp_path / "secret")
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    return folder


def refused(folder: Path, model: bytes) -> str:
    (folder / "model.onnx").write_bytes(model)
    before = sorted(folder.iterdir())
    with pytest.raises(OpsetBridgeError) as refusal:
        answer(folder / "model.onnx")
    assert str(refusal.value).startswith(f"{folder}/model.onnx: the ")
    assert str(refusal.value).isprintable()
    assert sorted(folder.iterdir()) == before
    return str(refusal.value)


@pytest.mark.parametrize("opset, ir_version", OPSETS)
class TestWeightsOutsideTheFolder:
    @pytest.mark.parametrize("place", PLACES)
    def test_are_refused_wherever_the_model_has_them(
        self, folder: Path, opset: int, ir_version: int, place: Callable[..., None]
    ) -> None:
        message = refused(folder, stealing("../secret", opset, ir_version, place))
        assert "stolen lie at '../secret', which is no file in the model's folder" in message

    @pytest.mark.parametrize(
        "location",
        ["/etc/hostname", "sub/../../secret", "..\\secret", "", "a\0b", "*/_ORT_MEM_ADDR_/*"],
    )
    def test_are_refused_however_they_are_written(
        self, folder: Path, opset: int, ir_version: int, location: str
    ) -> None:
        assert f"lie at {location!r}, which" in refused(
            folder, stealing(location, opset, ir_version)
        )

    @pytest.mark.parametrize("location", ["link", "there/secret"])
    def test_are_refused_behind_a_link(
        self, folder: Path, opset: int, ir_version: int, location: str
    ) -> None:
        (folder / "link").symlink_to("../secret")
        (folder / "there").symlink_to("..")
        message = refused(folder, stealing(location, opset, ir_version))
        assert f"a link to {folder.parent}/secret, outside {folder};" in message

    def test_are_read_from_another_folder_of_the_cache(
        self, folder: Path, opset: int, ir_version: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As Hugging Face lays out a cache: snapshots of links to blobs."""
        monkeypatch.setenv("MACHINE_LEARNING_CACHE_FOLDER", str(folder.parent))
        (folder.parent / "blob").write_bytes(stealing("model.onnx_data", opset, ir_version))
        (folder / "model.onnx").symlink_to("../blob")
        (folder / "model.onnx_data").symlink_to("../secret")
        numpy.testing.assert_array_equal(answer(folder / "model.onnx"), SECRET)

    def test_are_refused_outside_the_cache(
        self, folder: Path, opset: int, ir_version: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MACHINE_LEARNING_CACHE_FOLDER", str(folder))
        (folder / "sub" / "link").symlink_to("../../secret")
        refused(folder, stealing("sub/link", opset, ir_version))


def test_weights_in_a_folder_that_is_a_link_are_read(folder: Path) -> None:
    SECRET.tofile(folder / "weights")
    (folder / "model.onnx").write_bytes(stealing("weights"))
    (folder.parent / "link").symlink_to(folder)
    numpy.testing.assert_array_equal(answer(folder.parent / "link" / "model.onnx"), SECRET)


GRAPH_KEY = write_varint(7 << 3 | 2)


class TestWhatProtobufReadsOtherwise:
    """Bytes that ONNX Runtime reads, though a simpler reader would call them no model."""

    def test_a_group_that_nobody_knows(self, folder: Path) -> None:
        group = write_varint(100 << 3 | 3) + b"\x08\x01" + write_varint(100 << 3 | 4)
        refused(folder, group + stealing("../secret"))

    def test_a_key_beyond_32_bits(self, folder: Path) -> None:
        model = onnx.ModelProto.FromString(stealing("../secret"))
        graph = model.graph.SerializeToString()
        model.ClearField("graph")
        content = write_bytes_field(7, graph)[len(GRAPH_KEY) :]
        refused(folder, model.SerializeToString() + b"\xba\x80\x80\x80\x10" + content)

    def test_no_version(self, folder: Path) -> None:
        refused(folder, stealing("../secret", ir_version=0))

    def test_a_tensor_in_two_parts(self, folder: Path) -> None:
        model = onnx.ModelProto.FromString(stealing("x", place=in_constant))
        tensor = model.graph.node[0].attribute[0].t
        late = TensorProto(external_data=tensor.external_data)
        late.external_data[0].value = "../secret"
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")
        part = model.graph.node[0].attribute[0].SerializeToString()
        part += write_bytes_field(5, late.SerializeToString())
        model.graph.node[0].ClearField("attribute")
        node = model.graph.node[0].SerializeToString() + write_bytes_field(5, part)
        del model.graph.node[0]
        graph = write_bytes_field(7, write_bytes_field(1, node))
        refused(folder, graph + model.SerializeToString())


@pytest.mark.parametrize(
    "tiny",
    [
        write_bytes_field(100, b"") * 4_000_000,
        write_bytes_field(7, write_bytes_field(1, b"") * 4_000_000),
        write_bytes_field(14, b"\x08\x01" * 4_000_000),
        write_bytes_field(7, write_bytes_field(5, b"\x08\x01" * 4_000_000)),
    ],
    ids=["model", "nodes", "metadata", "dimensions"],
)
def test_eight_megabytes_of_tiny_fields_are_refused_soon(folder: Path, tiny: bytes) -> None:
    begin = time.process_time()
    message = refused(folder, stealing("weights") + tiny)
    assert "the model has more than 500000 fields; choose another model" in message
    assert time.process_time() - begin < 3


def test_the_name_of_a_tensor_cannot_write_to_a_terminal(folder: Path) -> None:
    model = onnx.ModelProto.FromString(stealing("../\x1b]0;x\x07"))
    model.graph.initializer[0].name = "a\n\x1b[2J\u202e"
    assert "a\\n\\x1b[2J\\u202e lie at" in refused(folder, model.SerializeToString())
