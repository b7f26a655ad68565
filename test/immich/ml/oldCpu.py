"""Answers CLIP, faces and text with Immich's server in this very process: `python oldCpu.py PICTURE ENTRIES…`.

For an emulated CPU: a server of its own would be started outside the emulation. Prints each answer's status.
"""

import sys

from fastapi.testclient import TestClient
from immich_ml.main import app

with open(sys.argv[1], "rb") as file:
    picture = file.read()
with TestClient(app) as server:
    for entries in sys.argv[2:]:
        files = {} if "textual" in entries else {"image": picture}
        data = {"entries": entries, "text": "a cat"} if "textual" in entries else {"entries": entries}
        print(server.post("/predict", data=data, files=files).status_code, flush=True)
