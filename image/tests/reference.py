"""Runs models with another ONNX Runtime, in a separate process.

As a program: reads (model path, inputs) from stdin and writes the outputs, pickled.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from typing import Any

import numpy

Arrays = dict[str, numpy.ndarray[Any, Any]]

REFERENCE_RUNTIME = "/opt/reference"


class Reference:
    """The newer runtime, which opens every tested file unconverted."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": REFERENCE_RUNTIME},
        )

    def run(self, path: str, inputs: Arrays) -> list[numpy.ndarray[Any, Any]]:
        assert self._process.stdin and self._process.stdout
        pickle.dump((path, inputs), self._process.stdin)
        self._process.stdin.flush()
        outputs = pickle.load(self._process.stdout)
        if isinstance(outputs, str):
            raise RuntimeError(outputs)
        return list(outputs)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def serve() -> None:
    import onnxruntime

    assert onnxruntime.__file__.startswith(REFERENCE_RUNTIME), onnxruntime.__file__
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    while True:
        try:
            path, inputs = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
            outputs: Any = session.run(None, inputs)
        except Exception as error:
            outputs = f"the reference runtime failed: {error}"
        pickle.dump(outputs, sys.stdout.buffer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    serve()
