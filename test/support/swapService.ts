import { buildTestImage, healthcheck, onnxRuntimeImage, type TestImage } from "./smallService";

/** Says who answers; BREAK makes it die (`die`) or answer with an error (`sick`). */
const server = `
import fcntl, http.server, os, sys
if os.environ.get("BREAK") == "die":
    sys.exit("RuntimeError: boom")
if os.environ.get("CARD") == "exclusive":
    card = open("/cache/card", "w")
    try:
        fcntl.flock(card, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.exists("/tmp/no-room"):
            os.remove("/tmp/no-room")
    except OSError:
        open("/tmp/no-room", "w").close()
class Ping(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(500 if os.environ.get("BREAK") == "sick" else 200)
        self.end_headers()
        self.wfile.write(os.environ.get("WHO", "pong").encode())
    def log_message(self, *_):
        pass
import signal
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
http.server.ThreadingHTTPServer(("0.0.0.0", 3003), Ping).serve_forever()
`;

/** In every Python: FAULT=compute fails the check's inference, and so does a card that is in use. */
const faults = `
import os
import sys
if sys.argv[:1] == ["-"] and (os.environ.get("FAULT") == "compute" or os.path.exists("/tmp/no-room")):
    import onnxruntime
    def refuse(*_, **__):
        if os.environ.get("FAULT") == "compute":
            raise RuntimeError("cudaErrorNoKernelImageForDevice: no kernel image is available")
        raise RuntimeError("CUDA failure 2: out of memory")
    onnxruntime.InferenceSession = refuse
`;

/** An image for tests of the swap: it can die, be sick, fail to compute, and find the card in use. */
export async function buildSwapService(): Promise<TestImage> {
  return buildTestImage({
    "server.py": server,
    "healthcheck.py": healthcheck,
    "sitecustomize.py": faults,
    Dockerfile: `FROM ${await onnxRuntimeImage()}
WORKDIR /usr/src
ENV PYTHONPATH=/usr/src
COPY server.py healthcheck.py sitecustomize.py ./
CMD ["python3", "server.py"]
`,
  });
}
