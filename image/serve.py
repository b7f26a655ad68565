"""Starts Immich's server as `python -m immich_ml` does, with gunicorn as this very process.

Immich runs gunicorn as a child and ends at once on SIGTERM, which cuts the requests under way
(v1.131.0 to v3.1.0). Gunicorn itself answers them first.

Immich gives a new worker its GPU by the number of workers that live, so one that follows a dead worker gets
the last GPU. Here it gets the one that the fewest hold, and the worker's name tells which it is.
"""

import os
import runpy
import subprocess
import sys

# Docker gets 30 s to stop the container; Immich's own limit is 10 s. The last option counts.
ANSWER = ("--graceful-timeout", "25")
CONFIGURATION = ("-c", "python:immich_ml.gunicorn_conf")

# This script as Python's arguments. The program gives it to Immich's own image as text.
SCRIPT = [os.path.abspath(__file__)] if "__file__" in globals() else sys.orig_argv[1:3]


def start_immich():
    start = subprocess.Popen.__init__

    def become_gunicorn(self, command, *rest, **options):
        if "gunicorn" in command:
            arguments = [*SCRIPT, *command[1:], *CONFIGURATION, *ANSWER]
            os.execvp(command[0], [command[0], *map(str, arguments)])
        start(self, command, *rest, **options)

    subprocess.Popen.__init__ = become_gunicorn
    runpy.run_module("immich_ml", run_name="__main__", alter_sys=True)


def assign_gpus():
    try:
        from immich_ml import gunicorn_conf
    except ImportError:
        return
    ids = gunicorn_conf.device_ids

    def pre_fork(arbiter, worker):
        held = [getattr(other, "device_id", None) for other in arbiter.WORKERS.values()]
        worker.device_id = min(ids, key=lambda device: held.count(device) / ids.count(device))
        os.environ["MACHINE_LEARNING_DEVICE_ID"] = worker.device_id

    def post_worker_init(worker):
        from immich_ml.config import settings

        with open("/proc/self/comm", "w") as name:
            name.write("immich-ml-gpu" + settings.device_id)

    gunicorn_conf.pre_fork = pre_fork
    gunicorn_conf.post_worker_init = post_worker_init


if sys.argv[1:2] == ["-m"]:
    # As gunicorn's process: what `python -m` would do.
    assign_gpus()
    del sys.argv[:2]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
else:
    start_immich()
