"""What each ONNX Runtime can read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The newest of each that a runtime loads."""

    opset: int
    """Version of the default operator set (domain "" or "ai.onnx")."""
    ir_version: int
    """Version of the file format."""


# By major and minor version of ONNX Runtime. Found by opening one-node models with the wheel of
# each (1.14.1, 1.20.2, 1.26.0): the newest opset and IR version that load without complaint.
_LIMITS = {
    (1, 14): Limits(opset=18, ir_version=8),
    (1, 20): Limits(opset=21, ir_version=10),
    (1, 26): Limits(opset=26, ir_version=13),
}


def limits_of(version: str) -> Limits | None:
    """The limits of an ONNX Runtime version; None for one that is not known here.

    >>> limits_of("1.14.1")
    Limits(opset=18, ir_version=8)
    """
    major, minor = version.split(".")[:2]
    return _LIMITS.get((int(major), int(minor)))
