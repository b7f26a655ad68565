"""The errors of this package."""

from __future__ import annotations


class OpsetBridgeError(RuntimeError):
    """A model must not be opened, cannot be converted, or not be kept. The message is one line: model,
    reason, remedy.

    Not an OSError on purpose: Immich answers an OSError by deleting the model and downloading it
    again (immich_ml/main.py, v2.2.0 to v3.1.0), which helps against none of the reasons.
    """

    def __init__(self, message: str) -> None:
        # It quotes the model, whose texts must not rewrite a terminal.
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in message))


class DamagedModelError(OpsetBridgeError):
    """The model's own file is damaged, so downloading it again helps."""
