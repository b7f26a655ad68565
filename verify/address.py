"""Run in a container: which servers share a name with it, and does it answer there?

Arguments: the name, the port, the container's own addresses separated by blanks. Prints a line
`other ADDRESS` for each of the others. Fails when nothing answers.
"""

import socket
import sys
import time
import urllib.request

name, port, own = sys.argv[1:4]
deadline = time.monotonic() + 20
while True:
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(name, int(port), type=socket.SOCK_STREAM)}
        with urllib.request.urlopen(f"http://{name}:{port}/ping", timeout=5) as answer:
            answer.read(100)
        break
    except OSError as error:
        if time.monotonic() > deadline:
            sys.exit(str(getattr(error, "reason", error)))
        time.sleep(1)
for address in sorted(found - set(own.split())):
    print("other", address)
