"""
A fake of Immich's server for checks of models: /ping and /predict, which opens the models of the cache
with ONNX Runtime and computes them. After FAKE_DELAY seconds it copies a missing model from the folder
FAKE_DOWNLOADS; where it is not there either, or a model cannot be opened, it answers 500 as Immich does.
"""

import json
import os
import re
import shutil
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy
import onnxruntime

PARTS = {"clip": ("visual", "textual")}


def use(task, part, name):
    folder = "/cache/%s/%s" % (task, name)
    path = "%s/%s/model.onnx" % (folder, part)
    if not os.path.exists(path):
        time.sleep(float(os.environ.get("FAKE_DELAY", "0")))
        shutil.copytree(
            "%s/%s/%s" % (os.environ.get("FAKE_DOWNLOADS", "/nothing"), task, name),
            folder,
            dirs_exist_ok=True,
        )
    if os.environ.get("FAKE_REFUSES") == task + "/" + name:
        raise RuntimeError("this server does not like %s" % name)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    feed = {
        entry.name: numpy.ones(
            [size if isinstance(size, int) else 32 if len(entry.shape) == 4 and place > 1 else 1
             for place, size in enumerate(entry.shape)],
            "int32" if "int32" in entry.type else "float32",
        )
        for entry in session.get_inputs()
    }
    session.run(None, feed)


def found(task):
    """What Immich answers for a picture or a text."""
    fault = os.environ.get("FAKE_ANSWER")
    if task == "ocr":
        return {"text": [] if fault == "nothing" else ["IMMICH 2468"], "box": [], "boxScore": [], "textScore": []}
    embedding = {"infinite": "[0.6, null]", "zeros": "[0.0, 0.0]"}.get(fault, "[0.6, 0.8]")
    if task == "facial-recognition":
        return [] if fault == "nothing" else [{"embedding": embedding, "score": 0.9}]
    return embedding


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200, b"pong")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        entries = json.loads(re.search(rb'name="entries"\r\n\r\n(.*?)\r\n--', body, re.DOTALL)[1])
        attached = {"image": b"\xff\xd8\xff\xe0" in body, "text": b'name="text"' in body}
        try:
            for task, parts in entries.items():
                for part, entry in parts.items():
                    assert attached["text" if part == "textual" else "image"], "nothing to compute"
                    use(task, part, entry["modelName"])
        except Exception as error:
            print("%s: %s" % (type(error).__name__, error), flush=True)
            return self.answer(500, b"Internal Server Error")
        self.answer(200, json.dumps({task: found(task) for task in entries}).encode())

    def answer(self, status, body):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("0.0.0.0", 3003), Handler).serve_forever()
