"""Reads a model's header in microseconds, however large its weights are."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from opset_bridge.wire import (
    BYTES,
    VARINT,
    Buffer,
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
TENSOR_RAW_DATA = 9
TENSOR_EXTERNAL_DATA = 13
TENSOR_DATA_LOCATION = 14
DATA_LOCATION_EXTERNAL = 1
OPSET_DOMAIN = 1
OPSET_VERSION = 2
ENTRY_KEY = 1
ENTRY_VALUE = 2

# Smaller tensors stay in the graph: onnx's converter reads some of them (axes, shapes), and a page of
# padding for each would be larger than the tensor.
LARGE_TENSOR = 4096


@dataclass(frozen=True)
class Header:
    """A model's metadata, and the versions that decide whether a runtime can read it."""

    ir_version: int
    opset: int
    """Of the default domain; 0 when the model imports none."""
    metadata: dict[str, str]


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
    :raises MalformedMessage: when the file is not a whole model
    """
    with mapped(path) as content:
        ir_version = opset = 0
        graph = False
        metadata: dict[str, str] = {}
        for field in fields(content, 0, len(content)):
            if field.number == MODEL_IR_VERSION and field.kind == VARINT:
                ir_version = field.value
            elif field.number == MODEL_GRAPH and field.kind == BYTES:
                graph = True
            elif field.number == MODEL_OPSET_IMPORT and field.kind == BYTES:
                domain, version = _opset_import(content, field.content, field.end)
                if domain in ("", "ai.onnx"):
                    opset = version
            elif field.number == MODEL_METADATA and field.kind == BYTES:
                key, value = _entry(content, field.content, field.end)
                metadata[key] = value
        if not ir_version or not graph:
            raise MalformedMessage("no ONNX model")
        return Header(ir_version, opset, metadata)


def without_large_weights(content: Buffer, location: str) -> bytes:
    """The model with a reference into the file in place of each large weight.

    :param location: name of the file in the references
    :raises MalformedMessage: when the file is not a model
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


def _opset_import(content: Buffer, begin: int, end: int) -> tuple[str, int]:
    domain, version = "", 0
    for field in fields(content, begin, end):
        if field.number == OPSET_DOMAIN and field.kind == BYTES:
            domain = content[field.content : field.end].decode(errors="replace")
        elif field.number == OPSET_VERSION and field.kind == VARINT:
            version = field.value
    return domain, version


def _entry(content: Buffer, begin: int, end: int) -> tuple[str, str]:
    key = value = ""
    for field in fields(content, begin, end):
        if field.kind != BYTES:
            continue
        text = content[field.content : field.end].decode(errors="replace")
        if field.number == ENTRY_KEY:
            key = text
        elif field.number == ENTRY_VALUE:
            value = text
    return key, value
