"""Requests embeddings from a machine-learning service and counts failures.

Arguments: address, number of concurrent requests, maximum seconds. Ends early when /tmp/stop exists.
Each request has its own connection; a failed one is sent once more after half a second.
The last line of the output is the counts as JSON.
"""

import json
import sys
import threading
import time
import urllib.request
from os.path import exists

address, workers, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
boundary = "bench"
fields = {
    "entries": json.dumps({"clip": {"textual": {"modelName": "ViT-B-32__openai"}}}),
    "text": "a cat on a wall",
}
body = "".join(
    f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
    for name, value in fields.items()
) + f"--{boundary}--\r\n"
headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}

lock = threading.Lock()
counts = {"answered": 0, "retried": 0, "lost": 0}
reasons: dict[str, int] = {}
slowest = 0.0
begin = time.monotonic()


def ask() -> None:
    request = urllib.request.Request(f"{address}/predict", body.encode(), headers)
    with urllib.request.urlopen(request, timeout=15) as answer:
        if "clip" not in json.load(answer):
            raise OSError("an answer without an embedding")


def count(key: str, error: OSError | None = None) -> None:
    with lock:
        counts[key] += 1
        if error is not None:
            reason = str(getattr(error, "reason", error))
            reasons[reason] = reasons.get(reason, 0) + 1


def work() -> None:
    global slowest
    while time.monotonic() - begin < seconds and not exists("/tmp/stop"):
        start = time.monotonic()
        try:
            ask()
        except OSError as error:
            count("retried", error)
            time.sleep(0.5)
            try:
                ask()
            except OSError as again:
                count("lost", again)
                continue
        count("answered")
        slowest = max(slowest, time.monotonic() - start)


threads = [threading.Thread(target=work) for _ in range(workers)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
elapsed = time.monotonic() - begin
print(json.dumps({**counts, "seconds": elapsed, "slowest": slowest, "reasons": reasons}))
