"""Reads a model's header without its weights, however large they are."""

from __future__ import annotations

import dataclasses
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager

from opset_bridge.wire import (
    BYTES,
    VARINT,
    Budget,
    Buffer,
    Field,
    MalformedMessage,
    fields,
    write_bytes_field,
    write_varint_field,
)

# Field numbers of onnx.proto.
MODEL_IR_VERSION = 1
MODEL_GRAPH = 7
MODEL_OPSET_IMPORT = 8
MODEL_METADATA = 14
GRAPH_INITIALIZER = 5
TENSOR_NAME = 8
TENSOR_RAW_DATA = 9
TENSOR_EXTERNAL_DATA = 13
TENSOR_DATA_LOCATION = 14
DATA_LOCATION_EXTERNAL = 1
OPSET_DOMAIN = 1
OPSET_VERSION = 2
ENTRY_KEY = 1
ENTRY_VALUE = 2

# The messages inside a message that lead to tensors, by field number.
Message = dict[int, "Message"]
TENSOR: Message = {}
SPARSE_TENSOR: Message = {1: TENSOR, 2: TENSOR}
ATTRIBUTE: Message = {5: TENSOR, 10: TENSOR, 22: SPARSE_TENSOR, 23: SPARSE_TENSOR}
NODE: Message = {5: ATTRIBUTE}
GRAPH: Message = {1: NODE, GRAPH_INITIALIZER: TENSOR, 15: SPARSE_TENSOR}
ATTRIBUTE |= {6: GRAPH, 11: GRAPH}
FUNCTION: Message = {7: NODE, 11: ATTRIBUTE}
TRAINING: Message = {1: GRAPH, 2: GRAPH}
MODEL: Message = {MODEL_GRAPH: GRAPH, 20: TRAINING, 25: FUNCTION}

# A node takes up to 20, and the largest models that Immich offers have a few thousand nodes.
MOST_FIELDS = 500_000

# Smaller tensors stay in the graph: onnx's converter reads some of them (axes, shapes), and a page of
# padding for each would be larger than the tensor.
LARGE_TENSOR = 4096


@dataclasses.dataclass
class Header:
    """A model's metadata, and the versions that decide whether a runtime can read it."""

    ir_version: int = 0
    opset: int = 0
    """Of the default domain; 0 when the model imports none."""
    has_graph: bool = False
    metadata: dict[str, str] = dataclasses.field(default_factory=dict)
    locations: dict[str, str] = dataclasses.field(default_factory=dict)
    """Where weights outside the file lie ("" when it does not say), each with the name of a tensor."""


@contextmanager
def mapped(path: str) -> Iterator[mmap.mmap]:
    """Maps a file into memory.

    :raises MalformedMessage: for an empty file
    """
    with open(path, "rb") as file:
        try:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:
            raise MalformedMessage("an empty file") from error
        with content:
            yield content


def read_header(path: str) -> Header:
    """
    :raises MalformedMessage: when protobuf cannot read the file
    :raises TooManyFields: when it has more than MOST_FIELDS
    """
    header = Header()
    budget = Budget(MOST_FIELDS)
    with mapped(path) as content:
        # No recursion: a model may nest deeper than Python's stack.
        pending = [(MODEL, 0, len(content))]
        while pending:
            message, begin, end = pending.pop()
            if message is TENSOR:
                _find_location(content, begin, end, budget, header.locations)
                continue
            for field in fields(content, begin, end, budget):
                if message is MODEL:
                    _read_model_field(content, field, budget, header)
                if field.number in message and field.kind == BYTES:
                    pending.append((message[field.number], field.content, field.end))
    return header


def _read_model_field(content: Buffer, field: Field, budget: Budget, header: Header) -> None:
    if field.number == MODEL_IR_VERSION and field.kind == VARINT:
        header.ir_version = field.value
    elif field.number == MODEL_GRAPH and field.kind == BYTES:
        header.has_graph = True
    elif field.number == MODEL_OPSET_IMPORT and field.kind == BYTES:
        domain, version = _opset_import(content, field.content, field.end, budget)
        if domain in ("", "ai.onnx"):
            header.opset = version
    elif field.number == MODEL_METADATA and field.kind == BYTES:
        key, value = _entry(content, field.content, field.end, budget)
        header.metadata[key] = value


def _find_location(
    content: Buffer, begin: int, end: int, budget: Budget, found: dict[str, str]
) -> None:
    name, external = "", False
    locations = []
    for field in fields(content, begin, end, budget):
        if field.number == TENSOR_NAME and field.kind == BYTES:
            name = content[field.content : field.end].decode(errors="replace")
        elif field.number == TENSOR_DATA_LOCATION and field.kind == VARINT:
            external = field.value == DATA_LOCATION_EXTERNAL
        elif field.number == TENSOR_EXTERNAL_DATA and field.kind == BYTES:
            key, value = _entry(content, field.content, field.end, budget)
            if key == "location":
                locations.append(value)
    # protobuf merges a tensor's parts, so a location counts even where the tensor is not external.
    for location in locations or [""] * external:
        found.setdefault(location, name)


def without_large_weights(content: Buffer, location: str) -> bytes:
    """The model with a reference into the file in place of each large weight.

    :param content: what `read_header` has read before
    :param location: name of the file in the references
    """
    out = bytearray()
    for field in fields(content, 0, len(content)):
        if field.number == MODEL_GRAPH and field.kind == BYTES:
            graph = _graph_without_large_weights(content, field.content, field.end, location)
            out += write_bytes_field(MODEL_GRAPH, graph)
        else:
            out += content[field.begin : field.end]
    return bytes(out)


def _graph_without_large_weights(content: Buffer, begin: int, end: int, location: str) -> bytes:
    out = bytearray()
    for field in fields(content, begin, end):
        if field.number == GRAPH_INITIALIZER and field.kind == BYTES:
            tensor = _reference(content, field.content, field.end, location)
            if tensor is not None:
                out += write_bytes_field(GRAPH_INITIALIZER, tensor)
                continue
        out += content[field.begin : field.end]
    return bytes(out)


def _reference(content: Buffer, begin: int, end: int, location: str) -> bytes | None:
    """The tensor with a reference to its weights; None when it is small or has a reference already."""
    if end - begin < LARGE_TENSOR:
        return None
    out = bytearray()
    raw = None
    for field in fields(content, begin, end):
        if field.number == TENSOR_RAW_DATA and field.kind == BYTES:
            raw = field
        else:
            out += content[field.begin : field.end]
    if raw is None or raw.end - raw.content < LARGE_TENSOR:
        return None
    for key, value in (
        ("location", location),
        ("offset", str(raw.content)),
        ("length", str(raw.end - raw.content)),
    ):
        entry = write_bytes_field(ENTRY_KEY, key.encode())
        entry += write_bytes_field(ENTRY_VALUE, value.encode())
        out += write_bytes_field(TENSOR_EXTERNAL_DATA, entry)
    out += write_varint_field(TENSOR_DATA_LOCATION, DATA_LOCATION_EXTERNAL)
    return bytes(out)


def _opset_import(content: Buffer, begin: int, end: int, budget: Budget) -> tuple[str, int]:
    domain, version = "", 0
    for field in fields(content, begin, end, budget):
        if field.number == OPSET_DOMAIN and field.kind == BYTES:
            domain = content[field.content : field.end].decode(errors="replace")
        elif field.number == OPSET_VERSION and field.kind == VARINT:
            version = field.value
    return domain, version


def _entry(content: Buffer, begin: int, end: int, budget: Budget) -> tuple[str, str]:
    key = value = ""
    for field in fields(content, begin, end, budget):
        if field.kind != BYTES:
            continue
        # As file names are decoded: a location may have bytes that are no UTF-8.
        text = os.fsdecode(content[field.content : field.end])
        if field.number == ENTRY_KEY:
            key = text
        elif field.number == ENTRY_VALUE:
            value = text
    return key, value
