import { setTimeout as pause } from "node:timers/promises";

import type Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { healthTest } from "../../components/server";
import { parseCardLoss } from "../../verify/status";
import { startedDocker, testName } from "../support/docker";
import { buildTestImage, onnxRuntimeImage, type TestImage } from "../support/smallService";

/** The start of a container gives it its card, unless the card is gone for good. */
const server = `
import http.server, os, signal, sys
if not os.path.exists("/tmp/gone"):
    open("/tmp/card", "w").write("1")
class Ping(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
http.server.HTTPServer(("0.0.0.0", 3003), Ping).serve_forever()
`;
const immichsOwn = `
import sys, urllib.request
urllib.request.urlopen("http://localhost:3003/ping", timeout=2)
sys.exit(0)
`;
/** The driver: /tmp/card has the number of cards or, below 0, an error. */
const driver = `
import ctypes, os
real = ctypes.CDLL
class Driver:
    def __init__(self):
        self.card = int(open("/tmp/card").read())
    def cuInit(self, _):
        return max(0, -self.card)
    def cuDeviceGetCount(self, count):
        count._obj.value = self.card
        return 0
def load(name, *rest, **more):
    if name != "libcuda.so.1":
        return real(name, *rest, **more)
    if os.environ.get("DRIVER") == "none":
        raise OSError("libcuda.so.1: cannot open shared object file")
    return Driver()
ctypes.CDLL = load
`;

describe("the health check of a container with NVIDIA cards", () => {
  let docker: Docker;
  let image: TestImage;
  const containers: Docker.Container[] = [];

  beforeAll(async () => {
    docker = await startedDocker();
    image = await buildTestImage({
      "server.py": server,
      "healthcheck.py": immichsOwn,
      "sitecustomize.py": driver,
      Dockerfile: `FROM ${await onnxRuntimeImage()}
WORKDIR /usr/src
ENV PYTHONPATH=/usr/src
COPY server.py healthcheck.py sitecustomize.py ./
CMD ["python3", "server.py"]
`,
    });
  });

  afterAll(async () => {
    for (const container of containers) await container.remove({ force: true });
    await image?.remove();
  });

  async function start(restart: string, environment: string[] = []): Promise<Docker.Container> {
    const declared = healthTest({ immichVersion: "v2.7.5", accelerator: "cuda" }, restart).tests;
    const second = 1e9;
    const container = await docker.createContainer({
      name: testName("cards"),
      Image: image.reference,
      Env: environment,
      HostConfig: { RestartPolicy: { Name: restart }, CapDrop: ["ALL"] },
      Healthcheck: {
        // Each check asks the driver.
        Test: declared.map((word) => (word === "50" ? "0" : word)),
        Interval: second,
        Timeout: 20 * second,
        Retries: 3,
      },
    });
    containers.push(container);
    await container.start();
    return container;
  }

  async function inside(container: Docker.Container, command: string): Promise<string> {
    const exec = await container.exec({
      Cmd: ["sh", "-c", command],
      AttachStdout: true,
      AttachStderr: true,
    });
    const stream = await exec.start({ Tty: true });
    let text = "";
    for await (const chunk of stream) text += String(chunk);
    return text;
  }

  const until = (container: Docker.Container, health: string, restarts: number) =>
    expect
      .poll(
        async () => {
          const { State, RestartCount } = await container.inspect();
          return [State.Health?.Status, RestartCount];
        },
        { timeout: 60_000, interval: 250 },
      )
      .toEqual([health, restarts]);

  it("fault: the card is lost; Docker starts the container again, and it is written down why", async () => {
    const container = await start("always");
    await until(container, "healthy", 0);
    await inside(container, "echo -999 >/tmp/card");
    await until(container, "healthy", 1);
    const log = (await container.logs({ stdout: true, stderr: true })).toString();
    expect(log).toContain("immich-ml: no new process reaches the card: cuInit: CUDA error 999");
    expect(log).toContain("immich-ml: stopping, so that Docker starts the container with its card");
    const loss = parseCardLoss(await inside(container, "cat /tmp/immich-ml-cards.json"));
    expect(loss?.complaint).toBe("cuInit: CUDA error 999");
    expect(loss?.at).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d$/);

    // Fault: now it is gone for good.
    await inside(container, "touch /tmp/gone; echo -100 >/tmp/card");
    await until(container, "unhealthy", 1);
    await pause(5000);
    await until(container, "unhealthy", 1);
  });

  it.each([["no"], ["on-failure"]])(
    "fault: the card is lost under restart: %s; the container gets unhealthy and goes on",
    async (restart) => {
      const container = await start(restart);
      await until(container, "healthy", 0);
      // One of several is lost.
      await inside(container, "echo 2 >/tmp/card");
      await pause(2500);
      await inside(container, "echo 1 >/tmp/card");
      await until(container, "unhealthy", 0);
      expect((await container.inspect()).State.Running).toBe(true);
      await inside(container, "echo 2 >/tmp/card");
      await until(container, "healthy", 0);
    },
  );

  it("leaves a container in which no card ever answered to the check of up", async () => {
    const container = await start("always", ["DRIVER=none"]);
    await until(container, "healthy", 0);
    await pause(4000);
    await until(container, "healthy", 0);
  });

  it("says that the server does not answer where that is so", async () => {
    const container = await start("no");
    await until(container, "healthy", 0);
    await inside(container, "printf 'import sys\\nsys.exit(1)\\n' >healthcheck.py");
    await until(container, "unhealthy", 0);
  });
});
