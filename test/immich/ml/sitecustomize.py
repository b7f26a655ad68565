"""Lets an image for NVIDIA cards compute without one, and tells on which device it would.

ONNX Runtime says that it has CUDA, and each session is opened on the CPU after a line that names the process
and the device that Immich asked for.
"""

import functools
import os
import sys

import onnxruntime

onnxruntime.get_available_providers = lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
original = onnxruntime.InferenceSession.__init__


@functools.wraps(original)
def on_cpu(self, model, *arguments, **options):
    asked = (options.get("provider_options") or [{}])[0].get("device_id")
    name = "/".join(str(model).split("/")[-4:-1])
    print(f"worker {os.getpid()} opens {name} on device {asked}", file=sys.stderr, flush=True)
    options.update(providers=["CPUExecutionProvider"], provider_options=[{}])
    original(self, model, *arguments, **options)


if hasattr(original, "__opset_bridge__"):
    on_cpu.__opset_bridge__ = True
onnxruntime.InferenceSession.__init__ = on_cpu
