"""The environment variables of the service that make a difference here."""

import os
from pathlib import Path


def whole_number(name: str, default: int) -> int:
    return int(os.environ.get(name, default))


host = os.environ.get("IMMICH_HOST", "[::]").strip("[]")
port = whole_number("IMMICH_PORT", 3003)
log_level = os.environ.get("IMMICH_LOG_LEVEL", "info").lower()
cache_folder = Path(os.environ.get("MACHINE_LEARNING_CACHE_FOLDER", "/cache"))
workers = whole_number("MACHINE_LEARNING_WORKERS", 1)
request_threads = whole_number("MACHINE_LEARNING_REQUEST_THREADS", os.cpu_count() or 4)
inter_op_threads = whole_number("MACHINE_LEARNING_MODEL_INTER_OP_THREADS", 0)
intra_op_threads = whole_number("MACHINE_LEARNING_MODEL_INTRA_OP_THREADS", 0)
device_id = os.environ.get("MACHINE_LEARNING_DEVICE_ID", "0")
face_batch = whole_number("MACHINE_LEARNING_MAX_BATCH_SIZE__FACIAL_RECOGNITION", 0)
