"""Says whether a file is still what was written: a disk, a copy or a crash may have damaged it."""

from __future__ import annotations

import zlib

from opset_bridge.header import (
    ENTRY_KEY,
    ENTRY_VALUE,
    MODEL_METADATA,
    mapped,
)
from opset_bridge.wire import write_bytes_field

# The last metadata of a converted model: the sum of all that stands before.
SEAL = "opset_bridge.sum"

PIECE = 1 << 24


def sum_of(path: str, end: int | None = None) -> str:
    """The CRC-32 of a file, or of its bytes up to `end`, as eight hexadecimal digits."""
    total = 0
    with mapped(path) as content:
        end = len(content) if end is None else end
        for begin in range(0, end, PIECE):
            total = zlib.crc32(content[begin : min(begin + PIECE, end)], total)
    return f"{total:08x}"


def sealed(model: bytes) -> bytes:
    """The model with the sum of its bytes as one more metadata entry at the end."""
    return model + _seal(f"{zlib.crc32(model):08x}")


def is_sealed(path: str, metadata: dict[str, str], otherwise: bool) -> bool:
    """Whether the seal is that of the file's bytes; `otherwise` for a file without one."""
    if SEAL not in metadata:
        return otherwise
    with mapped(path) as content:
        size = len(content)
    return metadata[SEAL] == sum_of(path, size - len(_seal(metadata[SEAL])))


def _seal(value: str) -> bytes:
    entry = write_bytes_field(ENTRY_KEY, SEAL.encode())
    entry += write_bytes_field(ENTRY_VALUE, value.encode())
    return write_bytes_field(MODEL_METADATA, entry)
