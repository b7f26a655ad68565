"""A downloaded model must not make the server read files outside its folder."""

from __future__ import annotations

import os

from opset_bridge.errors import OpsetBridgeError


def require_weights_in_folder(path: str, locations: dict[str, str]) -> None:
    """
    :param locations: of the weights outside the model's file, each with the name of a tensor
    :raises OpsetBridgeError: for one that is not in the model's folder, or leads out of it by a link
    """
    if not locations:
        return
    folder = os.path.dirname(path)
    allowed = os.path.realpath(folder)
    # Hugging Face's caches have links from one folder of the cache to another.
    cache = os.path.realpath(os.environ.get("MACHINE_LEARNING_CACHE_FOLDER", "/cache"))
    if _is_within(allowed, cache):
        allowed = cache
    for location, tensor in locations.items():
        weights = f"{path}: the weights of {tensor or 'a constant'} lie at {location!r}"
        parts = location.replace("\\", "/").split("/")
        # ONNX Runtime takes */_ORT_MEM_ADDR_/* for an address in its own memory.
        if "\0" in location or parts[0] in ("", "*") or ".." in parts:
            raise OpsetBridgeError(
                f"{weights}, which is no file in the model's folder; choose another model"
            )
        real = os.path.realpath(os.path.join(folder, location))
        if not _is_within(real, allowed):
            raise OpsetBridgeError(
                f"{weights}, a link to {real}, outside {allowed}; put the file itself there"
            )


def _is_within(path: str, folder: str) -> bool:
    return os.path.commonpath([path, folder]) == folder
