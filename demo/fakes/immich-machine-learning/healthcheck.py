"""Says whether the service answers: exit code 0 when /ping does, 1 when it does not."""

import os
import sys
import urllib.request

host = os.environ.get("IMMICH_HOST", "localhost")
if host in ("[::]", "::", "0.0.0.0"):
    host = "localhost"
port = os.environ.get("IMMICH_PORT", "3003")

try:
    with urllib.request.urlopen(f"http://{host}:{port}/ping", timeout=2) as answer:
        sys.exit(0 if answer.status == 200 else 1)
except OSError:
    sys.exit(1)
