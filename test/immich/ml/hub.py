"""A small mock of the model hub: `python hub.py FOLDER`, a cache's folder, on port 8000.

Serves each model of it as the repository `immich-app/<name>`, whose commit is always the same. Logs the requests.
"""

import hashlib
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0" * 40
repositories = {folder.name: folder for folder in Path(sys.argv[1]).glob("*/*") if folder.is_dir()}


def facts(file):
    content = file.read_bytes()
    return {"size": len(content), "oid": hashlib.sha256(content).hexdigest()}


class Hub(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = self.path.partition("?")[0].strip("/")
        _, _, rest = path.rpartition("immich-app/")
        name, _, rest = rest.partition("/")
        folder = repositories.get(name)
        if not folder:
            return self.answer(404, b"{}")
        if path.startswith("api/models/"):
            files = [str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()]
            if rest.startswith("tree/"):
                tree = [{"type": "file", "path": file, **facts(folder / file)} for file in files]
                return self.answer(200, json.dumps(tree).encode(), {"Content-Type": "application/json"})
            siblings = [{"rfilename": file} for file in files]
            answer = {"id": f"immich-app/{name}", "sha": COMMIT, "siblings": siblings, "private": False}
            return self.answer(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})
        content = (folder / rest.partition("/")[2].partition("/")[2]).read_bytes()
        tag = hashlib.sha256(content).hexdigest()
        return self.answer(200, content, {"ETag": f'"{tag}"', "X-Repo-Commit": COMMIT})

    def answer(self, status, content, headers=None):
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


ThreadingHTTPServer(("0.0.0.0", 8000), Hub).serve_forever()
