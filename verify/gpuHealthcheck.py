"""The health check of a container with NVIDIA cards: the server answers, and a new process reaches its cards.

A systemctl daemon-reload, an update of the driver or a suspend can take the cards away from a container that
runs. Its server then fails or computes on the CPU, and says to be well. Docker gives a container its cards
again when it starts it, so this check ends the server where Docker starts it again. Cards that never answered
in this container are left to the check of `up`.

Arguments: the seconds between two questions to the driver, which wakes cards that nobody uses; "restart" where
Docker starts the container again after any end.
"""

import json
import os
import runpy
import signal
import subprocess
import sys
import time

STATE = "/tmp/immich-ml-cards.json"
# Seconds for the driver's answer: some take a while to wake the cards.
LIMIT = 15
FAILURES = 3
# Seconds between two restarts, for cards that are gone for good.
APART = 900

ASK = """
import ctypes
cuda = ctypes.CDLL("libcuda.so.1")
count = ctypes.c_int()
for name, code in (("cuInit", cuda.cuInit(0)), ("cuDeviceGetCount", cuda.cuDeviceGetCount(ctypes.byref(count)))):
    if code:
        raise SystemExit(f"{name}: CUDA error {code}")
print(count.value)
"""


def ask_server():
    try:
        runpy.run_path("healthcheck.py", run_name="__main__")
    except SystemExit as end:
        if end.code:
            raise


def ask_cards():
    """How many there are, and the driver's complaint."""
    try:
        asked = subprocess.run(
            [sys.executable, "-c", ASK], capture_output=True, text=True, timeout=LIMIT
        )
    except subprocess.TimeoutExpired:
        return 0, f"the driver has not answered for {LIMIT} s"
    if asked.returncode == 0:
        return int(asked.stdout), "some are missing"
    return 0, (asked.stderr.strip().splitlines() or ["no answer"])[-1]


def read_state():
    try:
        with open(STATE) as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def write_state(state):
    with open(f"{STATE}.part", "w") as file:
        json.dump(state, file)
    os.replace(f"{STATE}.part", STATE)


def tell(message):
    print(message)
    # Into the container's log.
    try:
        with open("/proc/1/fd/1", "w") as log:
            print(message, file=log)
    except OSError:
        pass


def main(seconds, restarts):
    ask_server()
    state = read_state()
    now = time.time()
    if 0 <= now - state.get("answered", 0) < seconds:
        return
    cards, complaint = ask_cards()
    if cards >= max(1, state.get("cards", 1)):
        write_state({**state, "cards": cards, "answered": now, "failures": 0})
        return
    if "cards" not in state:
        return
    state = {**state, "failures": state["failures"] + 1}
    tell(f"immich-ml: no new process reaches the card: {complaint}")
    is_due = state["failures"] >= FAILURES and now - state.get("restarted", 0) >= APART
    if restarts and is_due:
        state = {**state, "failures": 0, "restarted": now, "complaint": complaint}
        write_state(state)
        tell("immich-ml: stopping, so that Docker starts the container with its card")
        os.kill(1, signal.SIGTERM)
    else:
        write_state(state)
    sys.exit(1)


main(float(sys.argv[1]), "restart" in sys.argv[2:])
