"""Starts Immich's server as `python -m immich_ml` does, with gunicorn as this very process.

Immich runs gunicorn as a child and ends at once on SIGTERM, which cuts the requests under way
(v1.131.0 to v3.1.0). Gunicorn itself answers them first.
"""

import os
import runpy
import subprocess

# Docker gets 30 s to stop the container; Immich's own limit is 10 s. The last option counts.
ANSWER = ("--graceful-timeout", "25")

start = subprocess.Popen.__init__


def become_gunicorn(self, command, *rest, **options):
    if "gunicorn" in command:
        os.execvp(command[0], [*map(str, command), *ANSWER])
    start(self, command, *rest, **options)


subprocess.Popen.__init__ = become_gunicorn
runpy.run_module("immich_ml", run_name="__main__", alter_sys=True)
