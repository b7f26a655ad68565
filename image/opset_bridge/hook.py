"""Puts the bridge between whoever opens a model and ONNX Runtime."""

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

# The module that defines InferenceSession. `onnxruntime` and everybody else import the class from
# here, so that changing it here reaches subclasses and `from onnxruntime import InferenceSession`.
SESSION_MODULE = "onnxruntime.capi.onnxruntime_inference_collection"

_MARK = "__opset_bridge__"


class OpsetBridgeError(RuntimeError):
    """A model cannot be made ensure_compatible. The message is one line: model, reason, what to do.

    Not an OSError on purpose: Immich answers an OSError by deleting the model and downloading it
    again (immich_ml/models/base.py, v2.2.0 to v3.1.0), which helps against none of the reasons.
    """


def install() -> None:
    """From now on each `InferenceSession` gets a model that it can read. Safe to call twice."""
    loaded = sys.modules.get(SESSION_MODULE)
    if loaded is not None:
        _bridge_sessions(loaded)
    elif not any(isinstance(finder, _SessionModuleFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _SessionModuleFinder())


def is_installed(onnxruntime: ModuleType) -> bool:
    """Whether sessions of this (imported) ONNX Runtime go through the bridge."""
    return hasattr(onnxruntime.InferenceSession.__init__, _MARK)


class _SessionModuleFinder(importlib.abc.MetaPathFinder):
    """Lets the usual machinery find the module and changes the class once it is loaded."""

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
        # A model given as bytes has no file to convert beside; Immich never does that.
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
                f"{model}: its form converted for this ONNX Runtime was not opened: "
                + " ".join(str(error).split())
            ) from error

    setattr(open_session, _MARK, True)
    session_class.__init__ = open_session
