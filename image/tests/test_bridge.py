"""The bridge under the image's ONNX Runtime, only through InferenceSession."""

from __future__ import annotations

import mmap
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy
import onnx
import onnxruntime
import pytest
from models import FAMILIES, Arrays, Graph, clip_visual
from onnx import TensorProto, helper
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidProtobuf
from reference import Reference

import opset_bridge
from opset_bridge import OpsetBridgeError
from opset_bridge.limits import limits_of

LIMITS = limits_of(onnxruntime.__version__)
assert LIMITS is not None
# Newer than this runtime reads, but not newer than the reference does.
TOO_NEW = [(opset, ir) for opset in (19, 20, 21) for ir in (8, 9, 10) if opset > LIMITS.opset]
TOO_NEW += [(opset, ir) for opset in (17, 18) for ir in (9, 10) if ir > LIMITS.ir_version]
pytestmark = pytest.mark.skipif(
    not TOO_NEW, reason=f"ONNX Runtime {onnxruntime.__version__} reads all that is tested"
)


def run(path: Path | str, inputs: Arrays) -> list[numpy.ndarray[Any, Any]]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        str(path), sess_options=options, providers=["CPUExecutionProvider"]
    )
    outputs: list[numpy.ndarray[Any, Any]] = session.run(None, inputs)
    return outputs


def same(left: list[numpy.ndarray[Any, Any]], right: list[numpy.ndarray[Any, Any]]) -> None:
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        numpy.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def bytes_read() -> int:
    """By this process and through system calls, so without mapped files."""
    return int(Path("/proc/self/io").read_text().split()[1])


def large_model(opset: int = 19, ir_version: int = 9, megabytes: int = 8) -> tuple[Any, Arrays]:
    """A matrix product whose weights fill the file."""
    g = Graph(opset)
    width = 1024
    x = g.input("x", [1, width])
    for _ in range(megabytes // 4):
        x = g("MatMul", x, g.weight(width, width))
    return g.model(ir_version, g("Identity", x)), g.examples


def made(folder: Path) -> list[str]:
    """The files that the bridge put beside the model, without their time-dependent hash."""
    return sorted(
        re.sub(r"\.[0-9a-f]{12}\.", ".HASH.", name)
        for name in os.listdir(folder)
        if name != "model.onnx"
    )


CONVERTED = f"model.opset{LIMITS.opset}.onnx"
DATA = f"model.opset{LIMITS.opset}.HASH.data"
LOCK = f"model.opset{LIMITS.opset}.lock"


class TestEveryFamily:
    @pytest.mark.parametrize("opset, ir_version", TOO_NEW)
    @pytest.mark.parametrize("family", FAMILIES)
    def test_computes_what_a_newer_runtime_computes_on_the_original(
        self, tmp_path: Path, reference: Reference, family: str, opset: int, ir_version: int
    ) -> None:
        model, inputs = FAMILIES[family](opset, ir_version)
        onnx.save(model, tmp_path / "model.onnx")
        before = (tmp_path / "model.onnx").read_bytes()
        same(
            run(tmp_path / "model.onnx", inputs),
            reference.run(str(tmp_path / "model.onnx"), inputs),
        )
        assert (tmp_path / CONVERTED).is_file()
        assert (tmp_path / "model.onnx").read_bytes() == before

    @pytest.mark.parametrize("family", FAMILIES)
    def test_is_refused_without_the_bridge(self, tmp_path: Path, family: str) -> None:
        """The control: these models do need the bridge."""
        model, _ = FAMILIES[family](*TOO_NEW[0])
        onnx.save(model, tmp_path / "model.onnx")
        original = onnxruntime.InferenceSession.__init__.__wrapped__
        session = object.__new__(onnxruntime.InferenceSession)
        with pytest.raises(Exception, match="IR version|opset"):
            original(session, str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])


class TestUntouched:
    @pytest.mark.parametrize("ir_version", [7, 8])
    @pytest.mark.parametrize("opset", [17, 18])
    def test_a_readable_model_is_opened_as_it_is(
        self, tmp_path: Path, reference: Reference, opset: int, ir_version: int
    ) -> None:
        model, inputs = clip_visual(opset, ir_version)
        onnx.save(model, tmp_path / "model.onnx")
        same(
            run(tmp_path / "model.onnx", inputs),
            reference.run(str(tmp_path / "model.onnx"), inputs),
        )
        assert made(tmp_path) == []

    def test_deciding_on_a_readable_model_reads_none_of_its_weights(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from opset_bridge.bridge import ensure_compatible

        model, _ = large_model(opset=18, ir_version=8, megabytes=64)
        path = str(tmp_path / "model.onnx")
        onnx.save(model, path)
        ensure_compatible(path)
        mapped = 0

        class Counted(mmap.mmap):
            def __getitem__(self, index: Any) -> Any:
                nonlocal mapped
                content = super().__getitem__(index)
                mapped += 1 if isinstance(content, int) else len(content)
                return content

        monkeypatch.setattr(mmap, "mmap", Counted)
        read = bytes_read()
        assert ensure_compatible(path) == path
        assert bytes_read() - read < 4096
        assert 0 < mapped < 16384

    def test_onnx_is_not_imported_for_a_readable_model(self, tmp_path: Path) -> None:
        model, _ = large_model(opset=18, ir_version=8)
        onnx.save(model, tmp_path / "model.onnx")
        script = (
            "import sys, onnxruntime;"
            "onnxruntime.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider']);"
            "print('onnx' in sys.modules, 'opset_bridge.convert' in sys.modules)"
        )
        output = python(script, str(tmp_path / "model.onnx"))
        assert output.stdout.split() == ["False", "True"] or output.stdout.split() == [
            "False",
            "False",
        ]

    @pytest.mark.parametrize(
        "content",
        [b"", b"junk", b"\x00" * 4096, b"<html>not found</html>", os.urandom(4096)],
        ids=["empty", "junk", "zeros", "html", "random"],
    )
    def test_a_file_that_is_no_model_is_left_to_the_runtime(
        self, tmp_path: Path, content: bytes
    ) -> None:
        (tmp_path / "model.onnx").write_bytes(content)
        with pytest.raises(Exception) as refusal:
            run(tmp_path / "model.onnx", {})
        assert not isinstance(refusal.value, OpsetBridgeError)
        assert made(tmp_path) == []

    @pytest.mark.parametrize("kept", [10, 1000, 100_000, -1])
    def test_a_truncated_model_is_left_to_the_runtime(self, tmp_path: Path, kept: int) -> None:
        """Immich answers InvalidProtobuf by downloading the model again."""
        model, _ = large_model()
        (tmp_path / "model.onnx").write_bytes(model.SerializeToString()[:kept])
        with pytest.raises(Exception) as refusal:
            run(tmp_path / "model.onnx", {})
        assert type(refusal.value).__name__ == "InvalidProtobuf"
        assert made(tmp_path) == []

    def test_a_missing_file_is_left_to_the_runtime(self, tmp_path: Path) -> None:
        with pytest.raises(Exception) as refusal:
            run(tmp_path / "model.onnx", {})
        assert type(refusal.value).__name__ == "NoSuchFile"


class TestOnce:
    def test_a_second_session_takes_the_converted_model(self, tmp_path: Path) -> None:
        model, inputs = large_model()
        onnx.save(model, tmp_path / "model.onnx")
        first = run(tmp_path / "model.onnx", inputs)
        times = {name: (tmp_path / name).stat().st_mtime_ns for name in os.listdir(tmp_path)}
        same(run(tmp_path / "model.onnx", inputs), first)
        assert times == {
            name: (tmp_path / name).stat().st_mtime_ns for name in os.listdir(tmp_path)
        }
        assert made(tmp_path) == sorted([DATA, LOCK, CONVERTED])

    def test_a_changed_original_is_converted_again_and_the_old_weights_go(
        self, tmp_path: Path, reference: Reference
    ) -> None:
        path = tmp_path / "model.onnx"
        onnx.save(large_model()[0], path)
        run(path, large_model()[1])
        model, inputs = large_model(megabytes=12)
        onnx.save(model, path)
        same(run(path, inputs), reference.run(str(path), inputs))
        assert made(tmp_path) == sorted([DATA, LOCK, CONVERTED])

    def test_an_original_of_the_same_size_is_converted_again(
        self, tmp_path: Path, reference: Reference
    ) -> None:
        path = tmp_path / "model.onnx"
        model, inputs = large_model()
        onnx.save(model, path)
        run(path, inputs)
        weights = model.graph.initializer[0]
        weights.raw_data = bytes(reversed(weights.raw_data[:4])) + weights.raw_data[4:]
        weights.raw_data = weights.raw_data[4096:] + weights.raw_data[:4096]
        onnx.save(model, path)
        same(run(path, inputs), reference.run(str(path), inputs))

    @pytest.mark.parametrize("damage", ["missing", "shorter"])
    def test_damaged_weights_are_made_again(
        self, tmp_path: Path, reference: Reference, damage: str
    ) -> None:
        path = tmp_path / "model.onnx"
        model, inputs = large_model()
        onnx.save(model, path)
        run(path, inputs)
        [data] = tmp_path.glob("*.data")
        if damage == "missing":
            data.unlink()
        else:
            os.truncate(data, 4096)
        same(run(path, inputs), reference.run(str(path), inputs))

    def test_a_truncated_converted_model_is_made_again(
        self, tmp_path: Path, reference: Reference
    ) -> None:
        path = tmp_path / "model.onnx"
        model, inputs = large_model()
        onnx.save(model, path)
        run(path, inputs)
        os.truncate(tmp_path / CONVERTED, 200)
        same(run(path, inputs), reference.run(str(path), inputs))


class TestDamage:
    """Immich downloads a model again upon InvalidProtobuf, and upon no error of the bridge."""

    @pytest.mark.parametrize("damaged", ["graph", "weights"])
    def test_a_changed_converted_file_is_made_again(
        self, tmp_path: Path, reference: Reference, damaged: str
    ) -> None:
        path = tmp_path / "model.onnx"
        model, inputs = large_model()
        onnx.save(model, path)
        run(path, inputs)
        [data] = tmp_path.glob("*.data")
        file = tmp_path / CONVERTED if damaged == "graph" else data
        content = bytearray(file.read_bytes())
        # Somewhere that the runtime does not mind.
        place = content.index(b"MatMul") if damaged == "graph" else 100
        content[place : place + 6] = b"Matmul"
        file.write_bytes(content)
        same(run(path, inputs), reference.run(str(path), inputs))

    def test_a_converted_file_of_an_earlier_version_that_does_not_open_is_made_again(
        self, tmp_path: Path, reference: Reference
    ) -> None:
        path = tmp_path / "model.onnx"
        model, inputs = large_model()
        onnx.save(model, path)
        run(path, inputs)
        converted = onnx.load(tmp_path / CONVERTED, load_external_data=False)
        for entry in list(converted.metadata_props):
            if entry.key.endswith(("sum", "time")):
                converted.metadata_props.remove(entry)
        onnx.save(converted, tmp_path / CONVERTED)
        time_before = (tmp_path / CONVERTED).stat().st_mtime_ns
        same(run(path, inputs), reference.run(str(path), inputs))
        # A sound one stays.
        assert (tmp_path / CONVERTED).stat().st_mtime_ns == time_before
        converted.graph.node[0].op_type = "Matmul"
        onnx.save(converted, tmp_path / CONVERTED)
        same(run(path, inputs), reference.run(str(path), inputs))

    @pytest.mark.parametrize("damage", [b"MatXul", b"Mat\xfful"])
    def test_an_original_damaged_inside_its_graph_is_reported_as_the_runtime_does(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str], damage: bytes
    ) -> None:
        path = tmp_path / "model.onnx"
        model, inputs = large_model()
        path.write_bytes(model.SerializeToString().replace(b"MatMul", damage, 1))
        with pytest.raises(InvalidProtobuf, match="the model is damaged"):
            run(path, inputs)
        assert f"opset bridge: {path}: the model is damaged" in capfd.readouterr().err

    def test_one_wrong_byte_anywhere_in_the_graph_is_no_surprise(self, tmp_path: Path) -> None:
        """Opened, refused by the bridge or by the runtime; nothing else, above all no OSError."""
        path = tmp_path / "model.onnx"
        model, inputs = clip_visual(19, 9)
        content = model.SerializeToString()
        random = numpy.random.default_rng(5)
        seen = set()
        for place in random.integers(0, len(content), 400):
            damaged = bytearray(content)
            damaged[place] ^= 1 << random.integers(0, 8)
            path.write_bytes(damaged)
            try:
                onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
                seen.add("opened")
            except Exception as error:
                seen.add(type(error).__module__.split(".")[0])
        assert {"opened", "onnxruntime"} <= seen <= {"opened", "onnxruntime", "opset_bridge"}


class TestWeights:
    def test_they_lie_at_whole_pages(self, tmp_path: Path) -> None:
        model, inputs = large_model()
        onnx.save(model, tmp_path / "model.onnx")
        run(tmp_path / "model.onnx", inputs)
        converted = onnx.load(tmp_path / CONVERTED, load_external_data=False)
        offsets = [
            int(entry.value)
            for tensor in converted.graph.initializer
            for entry in tensor.external_data
            if entry.key == "offset"
        ]
        assert offsets == [0, 4 * 2**20]

    @pytest.mark.parametrize("shift", [0, 1, 64, 4096])
    def test_of_a_model_with_external_data_are_found_at_any_offset(
        self, tmp_path: Path, reference: Reference, shift: int
    ) -> None:
        path = tmp_path / "model.onnx"
        model, inputs = large_model()
        externalise(model, tmp_path / "model.onnx_data", shift)
        onnx.save(model, path)
        if shift % 4:
            # The reference needs no alignment either, but reads the same bytes.
            assert os.path.getsize(tmp_path / "model.onnx_data") > 8 * 2**20
        same(run(path, inputs), reference.run(str(path), inputs))
        # Aligned weights stay where they are, the others are copied.
        assert (DATA in made(tmp_path)) == bool(shift % 4096)

    def test_behind_two_gigabytes_are_found(self, tmp_path: Path, reference: Reference) -> None:
        """The layout of a model larger than 2 GB; the file is almost all hole."""
        path = tmp_path / "model.onnx"
        model, inputs = large_model()
        externalise(model, tmp_path / "model.onnx_data", 2**31 + 2**20)
        onnx.save(model, path)
        same(run(path, inputs), reference.run(str(path), inputs))

    def test_changed_outside_the_model_lead_to_a_new_conversion(
        self, tmp_path: Path, reference: Reference
    ) -> None:
        path = tmp_path / "model.onnx"
        model, inputs = large_model()
        externalise(model, tmp_path / "model.onnx_data", 64)
        onnx.save(model, path)
        before = run(path, inputs)
        data = tmp_path / "model.onnx_data"
        data.write_bytes(data.read_bytes()[:64] + bytes(data.stat().st_size - 64))
        os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
        after = run(path, inputs)
        assert not numpy.array_equal(before[0], after[0])
        same(after, reference.run(str(path), inputs))

    def test_that_end_too_early_are_named(self, tmp_path: Path) -> None:
        model, inputs = large_model()
        externalise(model, tmp_path / "model.onnx_data", 64)
        onnx.save(model, tmp_path / "model.onnx")
        os.truncate(tmp_path / "model.onnx_data", 2**20)
        with pytest.raises(InvalidProtobuf, match="the weights of w. reach behind the end of"):
            run(tmp_path / "model.onnx", inputs)


    def test_that_are_missing_are_named(self, tmp_path: Path) -> None:
        model, inputs = large_model()
        externalise(model, tmp_path / "model.onnx_data", 64)
        onnx.save(model, tmp_path / "model.onnx")
        (tmp_path / "model.onnx_data").unlink()
        with pytest.raises(InvalidProtobuf, match="w. cannot be found in model.onnx_data"):
            run(tmp_path / "model.onnx", inputs)

    @pytest.mark.parametrize("where", ["initializer", "constant", "branch"])
    @pytest.mark.parametrize(
        "location", ["../secret", "/etc/hostname", "sub/../../secret", "..\\secret", ""]
    )
    def test_outside_the_models_folder_are_refused_and_never_read(
        self, tmp_path: Path, where: str, location: str
    ) -> None:
        (tmp_path / "secret").write_bytes(b"\x01" * 2**16)
        folder = tmp_path / "model"
        folder.mkdir()
        (folder / "sub").mkdir()
        outside = helper.make_tensor("stolen", TensorProto.FLOAT, [64, 64], bytes(2**14), raw=True)
        outside.ClearField("raw_data")
        outside.data_location = TensorProto.EXTERNAL
        outside.external_data.add(key="location", value=location)
        g = Graph(19)
        x = g.input("x", [1, 64])
        if where == "initializer":
            g.weights.append(outside)
            out = g("MatMul", x, "stolen")
        elif where == "constant":
            out = g("MatMul", x, g("Constant", value=outside))
        else:
            node = helper.make_node("MatMul", ["x", "stolen"], ["y"])
            value = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 64])
            inner = helper.make_graph([node], "branch", [], [value], [outside])
            out = g("If", g.constant(numpy.array(True)), then_branch=inner, else_branch=inner)
        graph = helper.make_graph(
            g.nodes, "test", g.inputs, [helper.make_empty_tensor_value_info(out)], g.weights
        )
        opset = helper.make_opsetid("", 19)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=9)
        (folder / "model.onnx").write_bytes(model.SerializeToString())
        with pytest.raises(OpsetBridgeError) as refusal:
            run(folder / "model.onnx", {"x": numpy.ones((1, 64), numpy.float32)})
        assert f"lie at {location!r}, which is no file in the model's folder" in str(refusal.value)
        assert str(folder / "model.onnx") in str(refusal.value)
        assert "\n" not in str(refusal.value)
        assert made(folder) == ["sub"]


def externalise(model: onnx.ModelProto, data: Path, begin: int) -> None:
    """Moves the weights into a file, the first at `begin`, the rest right behind each other."""
    with data.open("wb") as file:
        file.seek(begin)
        for tensor in model.graph.initializer:
            tensor.external_data.add(key="location", value=data.name)
            tensor.external_data.add(key="offset", value=str(file.tell()))
            tensor.external_data.add(key="length", value=str(len(tensor.raw_data)))
            tensor.data_location = TensorProto.EXTERNAL
            file.write(tensor.raw_data)
            tensor.ClearField("raw_data")


def open_and_report(path: str, inputs: Arrays, barrier: Any, answers: Any) -> None:
    barrier.wait()
    try:
        answers.put(run(path, inputs)[0])
    except Exception as error:
        answers.put(repr(error))


class TestTwoWorkers:
    def test_four_workers_at_once_convert_once_and_agree(
        self, tmp_path: Path, reference: Reference, capfd: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "model.onnx"
        model, inputs = large_model(megabytes=64)
        onnx.save(model, path)
        context = multiprocessing.get_context("fork")
        barrier, answers = context.Barrier(4), context.Queue()
        workers = [
            context.Process(target=open_and_report, args=(str(path), inputs, barrier, answers))
            for _ in range(4)
        ]
        for worker in workers:
            worker.start()
        outputs = [answers.get(timeout=120) for _ in workers]
        for worker in workers:
            worker.join()
        expected = reference.run(str(path), inputs)
        for output in outputs:
            assert not isinstance(output, str), output
            same([output], expected)
        assert capfd.readouterr().err.count("converting to opset") == 1

    def test_a_worker_killed_at_any_moment_leaves_nothing_that_harms(
        self, tmp_path: Path, reference: Reference
    ) -> None:
        path = tmp_path / "model.onnx"
        model, inputs = large_model(megabytes=128)
        onnx.save(model, path)
        expected = reference.run(str(path), inputs)
        begin = time.monotonic()
        run(path, inputs)
        whole = time.monotonic() - begin
        interrupted = 0
        for step in range(12):
            for name in os.listdir(tmp_path):
                if name != "model.onnx":
                    (tmp_path / name).unlink()
            victim = subprocess.Popen(
                [sys.executable, "-c", OPEN, str(path)],
                stderr=subprocess.PIPE,
                text=True,
            )
            assert victim.stderr
            victim.stderr.readline()
            time.sleep(whole * step / 12)
            victim.send_signal(signal.SIGKILL)
            victim.wait()
            interrupted += not (tmp_path / CONVERTED).exists()
            same(run(path, inputs), expected)
            assert not list(tmp_path.glob("*.part"))
            assert len(list(tmp_path.glob("*.data"))) == 1
        assert interrupted >= 3, "the kills came too late to interrupt anything"

    def test_the_lock_of_a_killed_worker_is_released(self, tmp_path: Path) -> None:
        model, inputs = large_model()
        onnx.save(model, tmp_path / "model.onnx")
        holder = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "import fcntl, sys, time; f = open(sys.argv[1], 'ab');"
                "fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); time.sleep(600)",
                str(tmp_path / LOCK),
            ],
            stdout=subprocess.PIPE,
        )
        assert holder.stdout
        holder.stdout.readline()
        waiter = subprocess.Popen([sys.executable, "-c", OPEN, str(tmp_path / "model.onnx")])
        with pytest.raises(subprocess.TimeoutExpired):
            waiter.wait(3)
        holder.kill()
        holder.wait()
        assert waiter.wait(60) == 0


OPEN = (
    "import sys, onnxruntime;"
    "onnxruntime.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider'])"
)


def python(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False
    )


class TestUnwritableCache:
    def test_an_unwritable_folder_is_named_in_one_line(self, tmp_path: Path) -> None:
        folder = tmp_path / "sealed"
        folder.mkdir()
        model, inputs = large_model()
        onnx.save(model, folder / "model.onnx")
        folder.chmod(0o555)
        with pytest.raises(OpsetBridgeError) as refusal:
            run(folder / "model.onnx", inputs)
        assert "the model cache cannot be written (Permission denied)" in str(refusal.value)
        assert str(folder / "model.onnx") in str(refusal.value)
        assert "\n" not in str(refusal.value)

    def test_an_unwritable_folder_with_a_conversion_made_before_is_enough(
        self, tmp_path: Path
    ) -> None:
        folder = tmp_path / "sealed"
        folder.mkdir()
        model, inputs = large_model()
        onnx.save(model, folder / "model.onnx")
        expected = run(folder / "model.onnx", inputs)
        folder.chmod(0o555)
        same(run(folder / "model.onnx", inputs), expected)

    # A tmpfs of 24 MiB that the caller mounts: a file system that really is full.
    @pytest.mark.skipif(not os.path.ismount("/small"), reason="no small file system at /small")
    def test_a_full_disk_is_named_in_one_line_and_nothing_stays_behind(self) -> None:
        folder = Path("/small")
        model, inputs = large_model(megabytes=16)
        onnx.save(model, folder / "model.onnx")
        with pytest.raises(OpsetBridgeError) as refusal:
            run(folder / "model.onnx", inputs)
        assert re.search(
            r"no space in the model cache \(17 MiB are needed and \d MiB are free\)",
            str(refusal.value),
        )
        assert "\n" not in str(refusal.value)
        assert made(folder) == [LOCK]

    def test_a_disk_that_fills_while_weights_are_written_is_named(self, tmp_path: Path) -> None:
        model, inputs = large_model(megabytes=16)
        onnx.save(model, tmp_path / "model.onnx")
        script = (
            "import resource, signal, sys;"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20));" + OPEN
        )
        outcome = python(script, str(tmp_path / "model.onnx"))
        assert "OpsetBridgeError" in outcome.stderr
        assert "cannot be kept beside it: File too large" in outcome.stderr
        assert made(tmp_path) == [LOCK]


class TestUnconvertible:
    def test_an_operator_without_an_older_form_is_named_with_model_and_opset(
        self, tmp_path: Path
    ) -> None:
        g = Graph(20)
        x = g.input("x", [1, 4])
        onnx.save(g.model(9, g("Gelu", x)), tmp_path / "model.onnx")
        with pytest.raises(OpsetBridgeError) as refusal:
            run(tmp_path / "model.onnx", g.examples)
        assert str(refusal.value) == (
            f"{tmp_path}/model.onnx: operator Gelu of opset 20 has no form in opset 18, the newest"
            " that the ONNX Runtime installed can read; choose another model"
        )
        assert made(tmp_path) == [LOCK]

    def test_an_operator_inside_a_branch_is_found(self, tmp_path: Path) -> None:
        inner = helper.make_graph(
            [helper.make_node("Gelu", ["x"], ["y"])],
            "branch",
            [],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
        )
        g = Graph(20)
        g.input("x", [1, 4])
        out = g("If", g.constant(numpy.array(True)), then_branch=inner, else_branch=inner)
        onnx.save(g.model(9, out), tmp_path / "model.onnx")
        with pytest.raises(OpsetBridgeError, match="operator Gelu of opset 20"):
            run(tmp_path / "model.onnx", g.examples)

    def test_a_mode_that_only_the_newer_operator_has_is_refused_not_miscomputed(
        self, tmp_path: Path
    ) -> None:
        g = Graph(19)
        x = g.input("x", [1, 4])
        onnx.save(
            g.model(9, g("Pad", x, g.constant([0, 1, 0, 1]), mode="wrap")), tmp_path / "model.onnx"
        )
        with pytest.raises(OpsetBridgeError) as refusal:
            run(tmp_path / "model.onnx", g.examples)
        assert str(tmp_path / "model.onnx") in str(refusal.value)
        assert "\n" not in str(refusal.value)


class TestEveryWayToOpen:
    def test_as_a_path_object_by_keyword_and_in_a_subclass(self, tmp_path: Path) -> None:
        model, inputs = large_model()
        onnx.save(model, tmp_path / "model.onnx")
        expected = run(tmp_path / "model.onnx", inputs)

        class Subclass(onnxruntime.InferenceSession):  # type: ignore[misc]
            """As insightface's PickableInferenceSession."""

            def __init__(self, path: str, **keywords: Any) -> None:
                super().__init__(path, **keywords)

        for session in (
            onnxruntime.InferenceSession(
                path_or_bytes=str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"]
            ),
            Subclass(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"]),
        ):
            same(session.run(None, inputs), expected)

    def test_model_bytes_are_left_alone(self) -> None:
        model, inputs = clip_visual(17, 8)
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        assert session.run(None, inputs)

    def test_a_model_with_local_functions(self, tmp_path: Path, reference: Reference) -> None:
        g = Graph(19)
        x = g.input("x", [1, 4])
        out = g("Identity", x)
        model = g.model(9, out)
        model.graph.node[0].CopyFrom(helper.make_node("Twice", [x], [out], domain="own"))
        model.opset_import.append(helper.make_opsetid("own", 1))
        model.functions.append(
            helper.make_function(
                "own",
                "Twice",
                ["a"],
                ["b"],
                [helper.make_node("Add", ["a", "a"], ["b"])],
                [helper.make_opsetid("", 19)],
            )
        )
        onnx.save(model, tmp_path / "model.onnx")
        same(
            run(tmp_path / "model.onnx", g.examples),
            reference.run(str(tmp_path / "model.onnx"), g.examples),
        )

    def test_names_and_metadata_are_kept(self, tmp_path: Path) -> None:
        """PP-OCR's recogniser carries its alphabet as metadata."""
        model, inputs = FAMILIES["face-detection"](19, 9)
        model.metadata_props.add(key="character", value="a\nb\n中")
        model.producer_name = "test"
        onnx.save(model, tmp_path / "model.onnx")
        session = onnxruntime.InferenceSession(
            str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"]
        )
        assert session.get_modelmeta().custom_metadata_map["character"] == "a\nb\n中"
        assert [value.name for value in session.get_inputs()] == list(inputs)
        assert [value.name for value in session.get_outputs()] == [
            value.name for value in model.graph.output
        ]

    def test_a_name_without_the_usual_ending(self, tmp_path: Path) -> None:
        model, inputs = large_model()
        onnx.save(model, tmp_path / "weights.bin")
        assert run(tmp_path / "weights.bin", inputs)
        assert (tmp_path / CONVERTED.replace("model", "weights.bin", 1)).is_file()

    def test_a_relative_path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        model, inputs = large_model()
        onnx.save(model, tmp_path / "model.onnx")
        monkeypatch.chdir(tmp_path)
        assert run("model.onnx", inputs)


# Not getrusage, whose peak includes the parent process.
MEMORY = """
import sys
import onnx, onnx.version_converter, onnx.checker, onnxruntime
from opset_bridge.bridge import ensure_compatible
def peak():
    [line] = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024
before = peak()
ensure_compatible(sys.argv[1])
print(peak() - before)
"""


def test_conversion_takes_less_than_a_fifth_of_the_files_size_in_memory(tmp_path: Path) -> None:
    """The goal is 2.2 times; the kernel copies the weights, nothing reads them."""
    model, _ = large_model(megabytes=256)
    onnx.save(model, tmp_path / "model.onnx")
    del model
    outcome = python(MEMORY, str(tmp_path / "model.onnx"))
    assert outcome.returncode == 0, outcome.stderr
    assert int(outcome.stdout.splitlines()[-1]) < 0.2 * 256 * 2**20


def test_install_twice_wraps_once() -> None:
    opset_bridge.install()
    opset_bridge.install()
    wrapped = onnxruntime.InferenceSession.__init__
    assert opset_bridge.is_installed(onnxruntime)
    assert not hasattr(wrapped.__wrapped__, "__wrapped__")


def test_python_without_onnx_runtime_loads_only_the_hook_and_its_error() -> None:
    output = python(
        "import sys; print(sorted(m for m in sys.modules if m.startswith('opset_bridge')))"
    )
    assert output.stdout.strip() == (
        "['opset_bridge', 'opset_bridge.errors', 'opset_bridge.hook']"
    )
