"""Finds or makes the converted model that the runtime can read, beside the original.

For `model.onnx` and a runtime that reads opset 18: `model.opset18.onnx`, its weights in
`model.opset18.<hash>.data`, and `model.opset18.lock`. The converted model names its data file and
what it was made from, and is put in place last and in one step, so a reader never sees half of it.
"""

from __future__ import annotations

import errno
import fcntl
import functools
import glob
import hashlib
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from opset_bridge.checksum import is_sealed, sealed, sum_of
from opset_bridge.convert import Converted, convert
from opset_bridge.errors import OpsetBridgeError
from opset_bridge.folder import require_weights_in_folder
from opset_bridge.header import MOST_FIELDS, Header, read_header
from opset_bridge.limits import Limits, limits_of
from opset_bridge.wire import MalformedMessage, TooManyFields

# Metadata of a converted model: what it was made from, and the files this depends on.
MADE_FROM = "opset_bridge.made_from"
SOURCES = "opset_bridge.sources"
DATA_FILE = "opset_bridge.data_file"
# When the data file was written, and the sum of its content.
DATA_TIME = "opset_bridge.data_time"
DATA_SUM = "opset_bridge.data_sum"
# Raise this when old conversions must not be used any more.
CONVERSION = "1"

MEBIBYTE = 1024 * 1024


def repair(path: str) -> bool:
    """Converts the model again where the converted one is not what was written.

    :returns: whether it was not
    """
    header, limits = _checked_header(path), _installed_limits()
    return bool(header and limits and _Conversion(path, header, limits).repair())


def ensure_compatible(path: str) -> str:
    """The path to open: `path` when the runtime can read it, else that of the converted model.

    A file that is no model is left to the runtime, whose error explains it best.

    :raises OpsetBridgeError: when the model must not be opened or cannot be converted, or the result
        cannot be kept
    """
    header = _checked_header(path)
    limits = _installed_limits()
    if header is None or limits is None or not header.ir_version or not header.has_graph:
        return path
    if header.opset <= limits.opset and header.ir_version <= limits.ir_version:
        return path
    target = _Conversion(path, header, limits).result()
    _checked_header(target)
    return target


def _checked_header(path: str) -> Header | None:
    """What every model must pass; None for a file that no runtime can read."""
    try:
        header = read_header(path)
    except (MalformedMessage, OSError):
        return None
    except TooManyFields as error:
        raise OpsetBridgeError(
            f"{path}: the model has more than {MOST_FIELDS} fields; choose another model"
        ) from error
    require_weights_in_folder(path, header.locations)
    return header


@functools.cache
def _installed_limits() -> Limits | None:
    import onnxruntime

    return limits_of(onnxruntime.__version__)


class _Conversion:
    """One model and the files that belong to its conversion."""

    def __init__(self, path: str, header: Header, limits: Limits) -> None:
        stem = path[: -len(".onnx")] if path.endswith(".onnx") else path
        self.path = path
        self.header = header
        self.limits = limits
        self.stem = f"{stem}.opset{limits.opset}"
        self.target = f"{self.stem}.onnx"

    def result(self) -> str:
        if self._is_current():
            return self.target
        try:
            with self._lock():
                # Another worker may have converted it meanwhile.
                if not self._is_current():
                    self._make()
        except OSError as error:
            raise OpsetBridgeError(self._cannot_keep(error)) from error
        return self.target

    def repair(self) -> bool:
        try:
            with self._lock():
                if self._is_current(read_weights=True):
                    return False
                _log(f"{self.target}: damaged, converting {self.path} again")
                self._make()
        except OSError as error:
            raise OpsetBridgeError(self._cannot_keep(error)) from error
        return True

    def _is_current(self, read_weights: bool = False) -> bool:
        """Whether the converted model is what was written, from the files as they are now.

        :param read_weights: even if their file was not touched since; takes a second a gigabyte
        """
        try:
            metadata = read_header(self.target).metadata
            # A conversion of an earlier version has no sums.
            if not is_sealed(self.target, metadata, otherwise=not read_weights):
                return False
            name, _, size = metadata.get(DATA_FILE, "").rpartition(" ")
            if name:
                status = os.stat(self._beside(name))
                if status.st_size != int(size):
                    return False
                written = metadata.get(DATA_TIME, str(status.st_mtime_ns))
                is_untouched = written == str(status.st_mtime_ns)
                if read_weights or not is_untouched:
                    if sum_of(self._beside(name)) != metadata.get(DATA_SUM):
                        return False
            sources = metadata.get(SOURCES, "").splitlines()
            return metadata.get(MADE_FROM) == self._made_from(sources)
        except (OSError, ValueError):
            return False

    def _made_from(self, sources: list[str]) -> str:
        parts = [f"{CONVERSION} {self.limits.opset} {self.limits.ir_version}"]
        for file in [self.path, *map(self._beside, sources)]:
            status = os.stat(file)
            parts.append(f"{os.path.basename(file)} {status.st_size} {status.st_mtime_ns}")
        return "\n".join(parts)

    def _beside(self, name: str) -> str:
        return os.path.join(os.path.dirname(self.path), name)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """One worker converts while the others wait; a killed worker's lock is released."""
        with open(f"{self.stem}.lock", "ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _make(self) -> None:
        begin = time.monotonic()
        for leftover in glob.glob(f"{glob.escape(self.stem)}.*.part"):
            os.unlink(leftover)
        made_from = self._made_from([])
        digest = hashlib.sha256(made_from.encode()).hexdigest()[:12]
        data = f"{self.stem}.{digest}.data"
        _log(
            f"{self.path}: opset {self.header.opset} and IR version {self.header.ir_version} are"
            f" too new for this ONNX Runtime, converting to opset {self.limits.opset} once"
        )
        converted = convert(self.path, self.limits, os.path.basename(data))
        self._require_space(converted)
        metadata = {
            MADE_FROM: self._made_from(converted.sources),
            SOURCES: "\n".join(converted.sources),
        }
        try:
            if converted.weights:
                with _replacing(data) as file:
                    _copy_weights(converted, file)
                metadata[DATA_FILE] = f"{os.path.basename(data)} {converted.data_size}"
                metadata[DATA_TIME] = str(os.stat(data).st_mtime_ns)
                metadata[DATA_SUM] = sum_of(data)
            for key, value in metadata.items():
                converted.model.metadata_props.add(key=key, value=value)
            model = sealed(converted.model.SerializeToString())
            with _replacing(self.target) as file:
                _write_all(file, model)
        except BaseException:
            _unlink(data)
            raise
        for old in glob.glob(f"{glob.escape(self.stem)}.*.data"):
            if old != data or not converted.weights:
                _unlink(old)
        size = (converted.data_size + len(model)) / MEBIBYTE
        _log(f"{self.target}: {size:.0f} MiB in {time.monotonic() - begin:.1f} s")

    def _require_space(self, converted: Converted) -> None:
        volume = os.statvfs(os.path.dirname(self.path) or ".")
        free = volume.f_bavail * volume.f_frsize
        needed = converted.data_size + converted.model.ByteSize()
        if needed > free:
            raise OSError(
                errno.ENOSPC,
                f"{-(-needed // MEBIBYTE)} MiB are needed and {free // MEBIBYTE} MiB are free",
            )

    def _cannot_keep(self, error: OSError) -> str:
        what = (
            f"{self.path}: opset {self.header.opset} is too new for this ONNX Runtime, and the"
            " model converted for it cannot be kept beside it"
        )
        reason = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return f"{what}: no space in the model cache ({reason}); free some or enlarge it"
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            return f"{what}: the model cache cannot be written ({reason}); make it writable once"
        return f"{what}: {reason}"


@contextmanager
def _replacing(path: str) -> Iterator[int]:
    """A file descriptor whose content replaces the file at `path` in one step, or not at all."""
    part = f"{path}.part"
    descriptor = os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o666)
    try:
        try:
            yield descriptor
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(part, path)
    except BaseException:
        _unlink(part)
        raise
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _copy_weights(converted: Converted, file: int) -> None:
    for weight in converted.weights:
        os.lseek(file, weight.target, os.SEEK_SET)
        with open(weight.path, "rb") as source:
            position, rest = weight.source, weight.length
            while rest:
                copied = os.sendfile(file, source.fileno(), position, rest)
                if copied == 0:
                    raise OSError(errno.EIO, f"{weight.path} was truncated while it was read")
                position += copied
                rest -= copied
    os.ftruncate(file, converted.data_size)


def _write_all(file: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _log(text: str) -> None:
    # Not through logging: gunicorn's workers may silence it.
    print(f"opset bridge: {text}", file=sys.stderr, flush=True)
