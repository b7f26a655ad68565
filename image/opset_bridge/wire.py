"""The part of the protobuf wire format that is needed to read a model without its weights.

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
    """The bytes are not a complete protobuf message."""


@dataclass(frozen=True)
class Field:
    """One field of a message, without its content."""

    number: int
    kind: int
    begin: int
    """Offset of the field, including its key."""
    content: int
    """Offset of the content, in a BYTES field after its length."""
    end: int
    """Offset after the last byte."""
    value: int
    """The number in a VARINT field, else 0."""


def read_varint(buffer: Buffer, position: int) -> tuple[int, int]:
    """The number at a position, and the position after it."""
    value = shift = 0
    # A varint has at most 10 bytes.
    for index, byte in enumerate(buffer[position : position + 10]):
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position + index + 1
        shift += 7
    raise MalformedMessage("a number without an end")


def write_varint(value: int) -> bytes:
    """Encodes a number below 2**64."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def write_bytes_field(number: int, content: bytes) -> bytes:
    """Encodes a field of bytes, a string or a message."""
    return write_varint(number << 3 | BYTES) + write_varint(len(content)) + content


def write_varint_field(number: int, value: int) -> bytes:
    """Encodes a field of a number or an enumeration."""
    return write_varint(number << 3 | VARINT) + write_varint(value)


def fields(buffer: Buffer, begin: int, end: int) -> Iterator[Field]:
    """The fields of the message between two positions; contents are not read.

    :raises MalformedMessage: at the first invalid field
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
