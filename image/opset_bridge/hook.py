"""Makes every `InferenceSession` open the model that its ONNX Runtime can read."""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from opset_bridge.errors import OpsetBridgeError

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
        from opset_bridge.bridge import ensure_compatible

        model = os.fspath(path_or_bytes)
        path = ensure_compatible(model)
        if path == model:
            original(self, path_or_bytes, *args, **keywords)
            return
        try:
            original(self, path, *args, **keywords)
        except Exception as error:
            raise OpsetBridgeError(
                f"{model}: the model converted for this ONNX Runtime cannot be opened: "
                + " ".join(str(error).split())
            ) from error

    setattr(open_session, _MARK, True)
    session_class.__init__ = open_session
