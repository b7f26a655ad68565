"""Says whether a file is still what was written: a disk, a copy or a crash may have damaged it."""

from __future__ import annotations

import os
import zlib

from opset_bridge.header import ENTRY_KEY, ENTRY_VALUE, MODEL_METADATA
from opset_bridge.wire import write_bytes_field

# The last metadata of a converted model: the sum of all that stands before.
SEAL = "opset_bridge.sum"

PIECE = 1 << 20


def sum_of(path: str, end: int | None = None) -> str:
    """The CRC-32 of a file, or of its bytes up to `end`, as eight hexadecimal digits."""
    total = 0
    # Not mapped: pages of a mapping would count as the process's memory.
    with open(path, "rb", buffering=0) as file:
        rest = os.fstat(file.fileno()).st_size if end is None else end
        while rest > 0 and (piece := file.read(min(PIECE, rest))):
            total = zlib.crc32(piece, total)
            rest -= len(piece)
    return f"{total:08x}"


def sealed(model: bytes) -> bytes:
    """The model with the sum of its bytes as one more metadata entry at the end."""
    return model + _seal(f"{zlib.crc32(model):08x}")


def is_sealed(path: str, metadata: dict[str, str], otherwise: bool) -> bool:
    """Whether the seal is that of the file's bytes; `otherwise` for a file without one."""
    if SEAL not in metadata:
        return otherwise
    size = os.stat(path).st_size
    return metadata[SEAL] == sum_of(path, size - len(_seal(metadata[SEAL])))


def _seal(value: str) -> bytes:
    entry = write_bytes_field(ENTRY_KEY, SEAL.encode())
    entry += write_bytes_field(ENTRY_VALUE, value.encode())
    return write_bytes_field(MODEL_METADATA, entry)
