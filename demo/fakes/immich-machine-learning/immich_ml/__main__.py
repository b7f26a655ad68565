"""Starts the service as Immich does: `python -m immich_ml` has the server as a child and ends at once on
SIGTERM, which cuts the requests under way.
"""

import subprocess
import sys

with subprocess.Popen([sys.executable, "-m", "immich_ml.server", "gunicorn"]) as server:
    server.wait()
sys.exit(server.returncode)
