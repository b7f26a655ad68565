"""Has Immich's server answer the requests under way before its container is stopped.

Immich's own command ends at once when it is stopped, and cuts them. Its gunicorn answers them first, so that is
ended here, and the container ends with it. Where gunicorn is the command itself, nothing is left to do.
"""

import os
import signal
import time

# Immich gives gunicorn 10 s.
LIMIT = 12


def processes():
    """The command line and the parent of each, by process id."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                command = file.read().split(b"\0")
            with open(f"/proc/{pid}/stat") as file:
                found[int(pid)] = command, int(file.read().rpartition(") ")[2].split()[1])
        except OSError:
            continue
    return found


def main():
    every = processes()
    for pid, (command, parent) in every.items():
        above = every.get(parent, ([], 0))[0]
        if b"gunicorn" in command and b"immich_ml" in above:
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + LIMIT
            # The container ends with the server, and this with the container.
            while time.monotonic() < deadline and processes().get(pid, ([b""], 0))[0] == command:
                time.sleep(0.1)


main()
