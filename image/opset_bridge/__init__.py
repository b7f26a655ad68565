"""Lets the installed ONNX Runtime open models that are too new for it.

A model whose opset or IR version is too new is converted once; the result is kept beside the
original and used from then on. Models that the runtime can read are opened untouched.

`opset_bridge.pth` calls :func:`install` when Python starts, so that code which opens models with
`onnxruntime.InferenceSession` needs no change. Only this file, `hook.py` and `errors.py`
are loaded until ONNX Runtime is imported.
"""

from __future__ import annotations

from opset_bridge.errors import DamagedModelError, OpsetBridgeError
from opset_bridge.hook import install, is_installed

__all__ = ["DamagedModelError", "OpsetBridgeError", "install", "is_installed"]
