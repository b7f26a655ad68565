"""
A fake of an execution provider whose hardware is missing: ONNX Runtime's CPU kernels compute, and the
results name the provider instead. FAKE_PROVIDER is its name, FAKE_FAULT what goes wrong: always
(`fault`), on one device (`fault@device`) or only with models that are files (`fault:model`).
"""

import json
import os
import sys

import onnxruntime

PROVIDER = os.environ["FAKE_PROVIDER"]
FAULT, _, FAULTY_DEVICE = os.environ.get("FAKE_FAULT", "none").partition("@")
FAULT, _, ONLY_MODELS = FAULT.partition(":")
RealSession = onnxruntime.InferenceSession


class FakeSession:
    def __init__(self, model, options=None, providers=(), provider_options=({},)):
        self.asked = providers[0]
        device = provider_options[0].get("device_id", "")
        self.fault = FAULT if not FAULTY_DEVICE or FAULTY_DEVICE == device else "none"
        if ONLY_MODELS and isinstance(model, bytes):
            self.fault = "none"
        if self.is_fake and self.fault == "full":
            raise RuntimeError("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED")
        self.real = RealSession(model, options, providers=["CPUExecutionProvider"])
        if self.is_fake and self.fault == "silent":
            os.write(2, b"[W:onnxruntime] Failed to create CUDAExecutionProvider.\n")

    @property
    def is_fake(self):
        return self.asked == PROVIDER

    def get_providers(self):
        if self.is_fake and self.fault != "silent":
            return [PROVIDER, "CPUExecutionProvider"]
        return ["CPUExecutionProvider"]

    def get_inputs(self):
        return self.real.get_inputs()

    def run(self, names, feed):
        outputs = self.real.run(names, feed)
        if not self.is_fake:
            return outputs
        if self.fault == "kernel":
            raise RuntimeError(
                "Non-zero status code returned while running Resize node. Status Message: CUDA error"
                " cudaErrorNoKernelImageForDevice:no kernel image is available for execution on the device"
            )
        if self.fault == "wrong":
            return [output + 1 for output in outputs]
        if self.fault == "infinite":
            return [output / 0 for output in outputs]
        return [output * 1.0001 for output in outputs]

    def end_profiling(self):
        path = self.real.end_profiling()
        if not self.is_fake or self.fault == "silent":
            return path
        with open(path) as file:
            events = json.load(file)
        fallback_ops = {"partly": ("Conv", "MatMul"), "little": ("Reshape",)}.get(self.fault, ())
        for event in events:
            details = event.get("args", {})
            if details.get("provider") and details.get("op_name") not in fallback_ops:
                details["provider"] = PROVIDER
        with open(path, "w") as file:
            json.dump(events, file)
        return path


if FAULT == "crash":

    def crash(self, names, feed):
        os.kill(os.getpid(), 11)

    FakeSession.run = crash

onnxruntime.InferenceSession = FakeSession
onnxruntime.get_available_providers = lambda: [PROVIDER, "CPUExecutionProvider"]
sys.modules["onnxruntime"] = onnxruntime
