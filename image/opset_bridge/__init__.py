"""Makes any ONNX model ensure_compatible by the ONNX Runtime that is installed.

A model whose opset or IR version is too new is converted once; the result lies beside the original
and is used from then on. Models that the runtime can read are opened untouched.

`opset_bridge.pth` calls :func:`install` when Python starts, so that code which opens models with
`onnxruntime.InferenceSession` needs no change. Nothing but this file and `hook.py` is loaded until
ONNX Runtime is imported.
"""

from __future__ import annotations

from opset_bridge.hook import OpsetBridgeError, install, is_installed

__all__ = ["OpsetBridgeError", "install", "is_installed"]
