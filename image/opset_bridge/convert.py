"""Converts a model's graph without reading its large weights into memory."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opset_bridge.errors import DamagedModelError, OpsetBridgeError
from opset_bridge.header import mapped, without_large_weights
from opset_bridge.limits import Limits
from opset_bridge.wire import MalformedMessage

if TYPE_CHECKING:
    import onnx

# ONNX Runtime maps external data into memory. 1.14.1 crashed on a tensor at an odd offset; one at the
# beginning of a page is also used without a copy.
ALIGNMENT = 4096

# Operators whose newer versions only accept more types and for which onnx 1.20.1 to 1.23.2 have no
# adapter. The runtime refuses a node that uses one of the newer types.
UNCHANGED_OPERATORS = frozenset({"ConstantOfShape", "GlobalMaxPool"})
HIDDEN_DOMAIN = "opset_bridge.hidden"


@dataclass(frozen=True)
class Weight:
    """Bytes to copy into the converted model's data file."""

    path: str
    """The file that holds them now."""
    source: int
    """Offset in that file."""
    target: int
    """Offset in the data file."""
    length: int


@dataclass(frozen=True)
class Converted:
    """A converted model, not yet written."""

    model: onnx.ModelProto
    weights: list[Weight]
    data_size: int
    sources: list[str]
    """Other files that its weights come from."""


def convert(path: str, limits: Limits, data_name: str) -> Converted:
    """Rewrites the model at `path` so that a runtime with these limits reads it.

    :param data_name: name of the file for the weights, in the model's folder
    :raises OpsetBridgeError: when an operator has no older form; names model, operator and opset
    :raises DamagedModelError: when the file cannot be what its maker wrote
    """
    from google.protobuf.message import DecodeError

    try:
        return _convert(path, limits, data_name)
    except (DecodeError, MalformedMessage, UnicodeError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise DamagedModelError(f"{path}: the model is damaged: {reason}") from error


def _convert(path: str, limits: Limits, data_name: str) -> Converted:
    import onnx

    with mapped(path) as content:
        # Only the graph is in memory, however large the weights.
        model = onnx.ModelProto.FromString(without_large_weights(content, os.path.basename(path)))
    model = _inline_functions(path, model)
    opset = _default_opset(model)
    if opset > limits.opset:
        _require_known_operators(path, model, limits)
        model = _convert_opset(path, model, limits.opset)
    model.ir_version = min(model.ir_version, limits.ir_version)
    return _place_weights(path, model, data_name)


def _default_opset(model: onnx.ModelProto) -> int:
    return max((i.version for i in model.opset_import if i.domain in ("", "ai.onnx")), default=0)


def _external_data(tensor: onnx.TensorProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}


def _inline_functions(path: str, model: onnx.ModelProto) -> onnx.ModelProto:
    """onnx's converter ignores functions that the model defines."""
    if not model.functions:
        return model
    import onnx.inliner

    try:
        return onnx.inliner.inline_local_functions(model)
    except Exception as error:
        raise OpsetBridgeError(f"{path}: its functions cannot be inlined: {error}") from error


def _require_known_operators(path: str, model: onnx.ModelProto, limits: Limits) -> None:
    import onnx

    for node in _nodes(model.graph):
        if node.domain not in ("", "ai.onnx"):
            continue
        opset = _default_opset(model)
        if not _has_operator(node.op_type, opset):
            raise DamagedModelError(
                f"{path}: the model is damaged: no operator of opset {opset} is called {node.op_type}"
            )
        if not _has_operator(node.op_type, limits.opset):
            raise OpsetBridgeError(_unconvertible(path, node.op_type, opset, limits.opset))


def _has_operator(name: str, opset: int) -> bool:
    import onnx

    try:
        onnx.defs.get_schema(name, opset, "")
    except onnx.defs.SchemaError:
        # One that is newer than the onnx installed is not known to be missing.
        return opset > onnx.defs.onnx_opset_version()
    except TypeError:
        # Bytes that are no text.
        return False
    return True


def _nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    nodes = []
    for node in graph.node:
        nodes.append(node)
        for subgraph in _subgraphs(node):
            nodes.extend(_nodes(subgraph))
    return nodes


def _subgraphs(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    return [
        subgraph
        for attribute in node.attribute
        for subgraph in [attribute.g, *attribute.graphs]
    ]


def _convert_opset(path: str, model: onnx.ModelProto, target: int) -> onnx.ModelProto:
    import onnx
    import onnx.version_converter

    opset = _default_opset(model)
    external = [t for t in model.graph.initializer if t.data_location == t.EXTERNAL]
    inputs = {value.name for value in model.graph.input}
    # onnx's converter reads the data of an initializer, but needs only the type of an input.
    for tensor in external:
        if tensor.name not in inputs:
            model.graph.input.append(
                onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            )
    _keep(model.graph.initializer, lambda tensor: tensor.data_location != tensor.EXTERNAL)
    # onnx's converter skips nodes of other domains.
    _move_unchanged_operators(model, "", HIDDEN_DOMAIN)
    model.opset_import.add(domain=HIDDEN_DOMAIN, version=1)
    try:
        converted = onnx.version_converter.convert_version(model, target)
        _move_unchanged_operators(converted, HIDDEN_DOMAIN, "")
        _keep(converted.opset_import, lambda imported: imported.domain != HIDDEN_DOMAIN)
        onnx.checker.check_model(converted)
    except Exception as error:
        operator = re.search(r"\bfor (\w+)\s*$|[Oo]p(?:erator)?[ _:]*type[: ]*(\w+)", str(error))
        name = next((group for group in operator.groups() if group), None) if operator else None
        reason = " ".join(str(error).split())
        if damage := _damage(model):
            raise DamagedModelError(f"{path}: the model is damaged: {damage}") from error
        raise OpsetBridgeError(
            f"{_unconvertible(path, name or 'one of its operators', opset, target)} ({reason})"
        ) from error
    _keep(
        converted.graph.input,
        lambda value: value.name in inputs or value.name not in {t.name for t in external},
    )
    converted.graph.initializer.extend(external)
    return converted


def _damage(model: onnx.ModelProto) -> str | None:
    """What is wrong with the model as it was before its conversion."""
    import onnx

    _move_unchanged_operators(model, HIDDEN_DOMAIN, "")
    try:
        onnx.checker.check_model(model)
    except Exception as error:
        return " ".join(str(error).split())
    return None


def _move_unchanged_operators(model: onnx.ModelProto, source: str, target: str) -> None:
    for node in _nodes(model.graph):
        if node.op_type in UNCHANGED_OPERATORS and node.domain == source:
            node.domain = target


def _unconvertible(path: str, operator: str, opset: int, target: int) -> str:
    return (
        f"{path}: operator {operator} of opset {opset} has no form in opset {target}, "
        "the newest that the ONNX Runtime installed can read; choose another model"
    )


def _place_weights(path: str, model: onnx.ModelProto, data_name: str) -> Converted:
    """Gives each external tensor an offset at which the runtime can map it.

    Weights that are already aligned in a separate file stay there.
    """
    folder = os.path.dirname(path)
    weights: list[Weight] = []
    sources: set[str] = set()
    end = 0
    for tensor in model.graph.initializer:
        if tensor.data_location != tensor.EXTERNAL:
            continue
        entries = _external_data(tensor)
        location = entries["location"]
        source = os.path.join(folder, location)
        try:
            size = os.stat(source).st_size
            offset = int(entries.get("offset", 0))
            length = int(entries.get("length", size - offset))
        except (FileNotFoundError, ValueError) as error:
            raise DamagedModelError(
                f"{path}: the weights of {tensor.name} cannot be found in {location} ({error})"
            ) from error
        if offset < 0 or length < 0 or offset + length > size:
            raise DamagedModelError(
                f"{path}: the weights of {tensor.name} reach behind the end of {location}"
            )
        if location != os.path.basename(path):
            sources.add(location)
            if offset % ALIGNMENT == 0:
                continue
        target = -(-end // ALIGNMENT) * ALIGNMENT
        end = target + length
        weights.append(Weight(source, offset, target, length))
        del tensor.external_data[:]
        for key, value in (("location", data_name), ("offset", target), ("length", length)):
            tensor.external_data.add(key=key, value=str(value))
    return Converted(model, weights, end, sorted(sources))


def _keep(field: Any, wanted: Callable[[Any], bool]) -> None:
    """Removes the other elements from a repeated field."""
    kept = [element for element in field if wanted(element)]
    del field[:]
    field.extend(kept)
