"""Requests embeddings from a machine-learning service and counts failures.

Arguments: address, number of concurrent requests, maximum seconds, and the entries to ask for instead, of the
picture /picture.jpg, which is sent in two halves, seconds apart, as over a weak network. Ends early when /tmp/stop exists.
Each request has its own connection; a failed one is sent once more after half a second.
The last line of the output is the counts as JSON.
"""

import http.client
import json
import sys
import threading
import time
from os.path import exists

address, workers, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
entries = sys.argv[4] if len(sys.argv) > 4 else ""
boundary = "bench"


def part(name: str, value: bytes) -> bytes:
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'
    if name == "image":
        head += '; filename="picture.jpg"'
    return head.encode() + b"\r\n\r\n" + value + b"\r\n"


if entries:
    with open("/picture.jpg", "rb") as picture:
        body = part("entries", entries.encode()) + part("image", picture.read())
else:
    asked = json.dumps({"clip": {"textual": {"modelName": "ViT-B-32__openai"}}})
    body = part("entries", asked.encode()) + part("text", b"a cat on a wall")
body += f"--{boundary}--\r\n".encode()
wanted = next(iter(json.loads(entries or '{"clip": {}}')))
# Longer than the swarm waits before it stops a task that gets no more requests (2 s).
pause = 10 if entries else 0
# A server that loads its models on a busy machine needs longer for the first picture.
limit = 60 if entries else 15
host = address.removeprefix("http://")
headers = {
    "Content-Type": f"multipart/form-data; boundary={boundary}",
    "Content-Length": str(len(body)),
    "Connection": "close",
}

FAILURES = (OSError, ValueError, http.client.HTTPException)

lock = threading.Lock()
counts = {"answered": 0, "retried": 0, "lost": 0}
reasons: dict[str, int] = {}
slowest = 0.0
begin = time.monotonic()


def ask() -> None:
    connection = http.client.HTTPConnection(host, timeout=limit)
    try:
        connection.putrequest("POST", "/predict")
        for key, value in headers.items():
            connection.putheader(key, value)
        half = len(body) // 2 if pause else len(body)
        connection.endheaders(body[:half])
        time.sleep(pause)
        connection.send(body[half:])
        answer = connection.getresponse()
        if answer.status != 200 or wanted not in json.load(answer):
            raise OSError(f"status {answer.status}, or an answer without {wanted}")
    finally:
        connection.close()


def count(key: str, error: Exception | None = None) -> None:
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
        except FAILURES as error:
            count("retried", error)
            time.sleep(0.5)
            try:
                ask()
            except FAILURES as again:
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
