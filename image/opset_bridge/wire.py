"""The part of the protobuf wire format that is needed to read a model without its weights.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol, overload

VARINT = 0
FIXED64 = 1
BYTES = 2
GROUP_BEGIN = 3
GROUP_END = 4
FIXED32 = 5


class Buffer(Protocol):
    """bytes or mmap."""

    @overload
    def __getitem__(self, index: int, /) -> int: ...

    @overload
    def __getitem__(self, index: slice, /) -> bytes: ...

    def __len__(self) -> int: ...


class MalformedMessage(ValueError):
    """The bytes are not a complete protobuf message: protobuf refuses them, too."""


class TooManyFields(ValueError):
    """Reading the message would take too long."""


class Budget:
    """How many fields may still be read, shared by all messages of a file."""

    def __init__(self, fields: int) -> None:
        self.fields = fields


class Field(NamedTuple):
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
    # Most have one byte.
    try:
        if (first := buffer[position]) < 0x80:
            return first, position + 1
    except IndexError as error:
        raise MalformedMessage("a number without an end") from error
    value = shift = 0
    # A varint has at most 10 bytes.
    for byte in buffer[position : position + 10]:
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
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


def fields(
    buffer: Buffer, begin: int, end: int, budget: Budget | None = None
) -> Iterator[Field]:
    """The fields of the message between two positions; contents are not read.

    Must accept whatever protobuf accepts and see it alike: what is malformed here is left to ONNX Runtime
    unchecked. So groups are skipped, and keys are cut to 32 bits.

    :raises MalformedMessage: at the first invalid field
    :raises TooManyFields: when the budget is used up
    """
    position = begin
    groups = 0
    while position < end:
        if budget:
            budget.fields -= 1
            if budget.fields < 0:
                raise TooManyFields
        key, content = read_varint(buffer, position)
        number, kind = (key & 0xFFFFFFFF) >> 3, key & 7
        value = 0
        stop = content
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
        elif kind == GROUP_BEGIN:
            groups += 1
        elif kind == GROUP_END and groups:
            groups -= 1
        else:
            raise MalformedMessage(f"wire type {kind}")
        if stop > end:
            raise MalformedMessage("a field that is longer than its message")
        # What is in a group belongs to no field of ONNX.
        if not groups or kind == GROUP_BEGIN:
            yield Field(number, kind, position, content, stop, value)
        position = stop
    if groups:
        raise MalformedMessage("a group without an end")
