"""The protobuf wire format, as far as reading a model's header without its weights needs it.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

VARINT = 0
FIXED64 = 1
BYTES = 2
FIXED32 = 5


class Buffer(Protocol):
    """bytes or mmap."""

    def __getitem__(self, index: slice) -> bytes: ...

    def __len__(self) -> int: ...


class MalformedMessage(ValueError):
    """The bytes are no protobuf message, or end in the middle of one."""


@dataclass(frozen=True)
class Field:
    """One field of a message, without its content."""

    number: int
    kind: int
    begin: int
    """Where the field, with its key, begins."""
    content: int
    """Where the content begins (of a BYTES field: behind its length)."""
    end: int
    """Behind the last byte."""
    value: int
    """Of a VARINT field; 0 for others."""


def read_varint(buffer: Buffer, position: int) -> tuple[int, int]:
    """The number at a position and the position behind it."""
    value = shift = 0
    # A varint has at most 10 bytes.
    for index, byte in enumerate(buffer[position : position + 10]):
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position + index + 1
        shift += 7
    raise MalformedMessage("a number without an end")


def write_varint(value: int) -> bytes:
    """A number below 2**64 on the wire."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def write_bytes_field(number: int, content: bytes) -> bytes:
    """A field with bytes, a string or a message in it."""
    return write_varint(number << 3 | BYTES) + write_varint(len(content)) + content


def write_varint_field(number: int, value: int) -> bytes:
    """A field with a number or an enumeration in it."""
    return write_varint(number << 3 | VARINT) + write_varint(value)


def fields(buffer: Buffer, begin: int, end: int) -> Iterator[Field]:
    """The fields of the message between two positions; contents are not read.

    :raises MalformedMessage: at the first field that does not fit
    """
    position = begin
    while position < end:
        key, content = read_varint(buffer, position)
        number, kind = key >> 3, key & 7
        value = 0
        if number == 0:
            raise MalformedMessage("field number 0")
        if kind == VARINT:
            value, stop = read_varint(buffer, content)
        elif kind == BYTES:
            length, content = read_varint(buffer, content)
            stop = content + length
        elif kind == FIXED64:
            stop = content + 8
        elif kind == FIXED32:
            stop = content + 4
        else:
            raise MalformedMessage(f"wire type {kind}")
        if stop > end:
            raise MalformedMessage("a field that is longer than its message")
        yield Field(number, kind, position, content, stop, value)
        position = stop
