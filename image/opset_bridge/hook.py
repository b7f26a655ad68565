"""Makes every `InferenceSession` open the model that its ONNX Runtime can read."""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from opset_bridge.errors import DamagedModelError, OpsetBridgeError

# The module that defines InferenceSession. Everything imports the class from here, so a change made
# here reaches subclasses and `from onnxruntime import InferenceSession` too.
SESSION_MODULE = "onnxruntime.capi.onnxruntime_inference_collection"

_MARK = "__opset_bridge__"


def install() -> None:
    """Wraps `InferenceSession`, now or when ONNX Runtime is imported. Safe to call twice."""
    loaded = sys.modules.get(SESSION_MODULE)
    if loaded is not None:
        _bridge_sessions(loaded)
    elif not any(isinstance(finder, _SessionModuleFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _SessionModuleFinder())


def is_installed(onnxruntime: ModuleType) -> bool:
    """Whether sessions of this imported ONNX Runtime go through the bridge."""
    return hasattr(onnxruntime.InferenceSession.__init__, _MARK)


class _SessionModuleFinder(importlib.abc.MetaPathFinder):
    """Finds the module as usual and wraps the class once it is loaded."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != SESSION_MODULE:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _SessionModuleLoader(spec.loader)
        return spec


class _SessionModuleLoader(importlib.abc.Loader):
    def __init__(self, wrapped: importlib.abc.Loader) -> None:
        self._wrapped = wrapped

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._wrapped.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._wrapped.exec_module(module)
        _bridge_sessions(module)


def _bridge_sessions(module: ModuleType) -> None:
    session_class: Any = module.InferenceSession
    original = session_class.__init__
    if hasattr(original, _MARK):
        return

    @functools.wraps(original)
    def open_session(self: Any, path_or_bytes: Any, *args: Any, **keywords: Any) -> None:
        # A model given as bytes has no folder for the result; Immich never does that.
        if not isinstance(path_or_bytes, (str, os.PathLike)):
            original(self, path_or_bytes, *args, **keywords)
            return
        from opset_bridge.bridge import ensure_compatible, repair

        model = os.fspath(path_or_bytes)
        with _damage_as_the_runtime_reports_it():
            path = ensure_compatible(model)
        if path == model:
            original(self, path_or_bytes, *args, **keywords)
            return
        try:
            original(self, path, *args, **keywords)
            return
        except Exception as error:
            refusal = error
        with _damage_as_the_runtime_reports_it():
            if not repair(model):
                raise _cannot_be_opened(model, refusal) from refusal
        try:
            original(self, path, *args, **keywords)
        except Exception as error:
            raise _cannot_be_opened(model, error) from error

    setattr(open_session, _MARK, True)
    session_class.__init__ = open_session


@contextmanager
def _damage_as_the_runtime_reports_it() -> Iterator[None]:
    """Raises ONNX Runtime's error for a damaged file, upon which Immich downloads the model again."""
    try:
        yield
    except DamagedModelError as error:
        from onnxruntime.capi.onnxruntime_pybind11_state import InvalidProtobuf

        # Immich does not log it.
        print(f"opset bridge: {error}", file=sys.stderr, flush=True)
        raise InvalidProtobuf(str(error)) from error


def _cannot_be_opened(model: str, error: Exception) -> OpsetBridgeError:
    reason = " ".join(str(error).split())
    return OpsetBridgeError(
        f"{model}: the model converted for this ONNX Runtime cannot be opened: {reason}"
    )
