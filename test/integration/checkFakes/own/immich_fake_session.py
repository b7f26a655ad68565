"""A fake of Immich's own session for an accelerator that ONNX Runtime does not serve."""

is_available = True
