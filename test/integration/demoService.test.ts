import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type Docker from "dockerode";
import { afterAll, beforeAll, expect, test, vi } from "vitest";

import { dockerProviders } from "../../demo/providers/docker";
import { freePort } from "../../demo/postgres";
import { askService } from "../../demo/service";
import { fakes, startedDocker, testName } from "../support/docker";

const name = testName("service");
let docker: Docker;
let folder: string;
let url: string;

const dockerfile = (python: string, service: string) => `
FROM ${python}
RUN --mount=type=cache,target=/var/cache/pip PIP_CACHE_DIR=/var/cache/pip pip install --quiet --disable-pip-version-check \
    onnxruntime==1.20.1 onnx==1.17.0 numpy==1.26.4 fastapi==0.115.12 uvicorn==0.34.2 \
    python-multipart==0.0.20 pillow==11.2.1
WORKDIR /usr/src
COPY --from=${service} /usr/src .
CMD ["python3", "-m", "immich_ml"]
`;

beforeAll(async () => {
  docker = await startedDocker();
  const { python311, immichMachineLearning } = await fakes();
  folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-service-"));
  await writeFile(path.join(folder, "Dockerfile"), dockerfile(python311, immichMachineLearning));
  await dockerProviders["docker:index/remoteImage:RemoteImage"]!.make(
    { type: "image", name, inputs: { name, build: { context: folder } }, provider: {} },
    () => undefined,
  );
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  const container = await docker.createContainer({
    name,
    Image: name,
    ExposedPorts: { "3003/tcp": {} },
    HostConfig: { PortBindings: { "3003/tcp": [{ HostIp: "127.0.0.1", HostPort: `${port}` }] } },
  });
  await container.start();
  // A connection made before the service listens may never be answered.
  const ping = () => fetch(`${url}/ping`, { signal: AbortSignal.timeout(1000) });
  await vi.waitFor(ping, { timeout: 60_000, interval: 500 });
});

afterAll(async () => {
  await docker.getContainer(name).remove({ force: true, v: true });
  await docker.getImage(name).remove({ force: true });
  await rm(folder, { recursive: true });
});

async function predict(entries: string, parts: Record<string, string | Blob>) {
  const form = new FormData();
  form.set("entries", entries);
  for (const [part, value] of Object.entries(parts)) form.set(part, value);
  const answer = await fetch(`${url}/predict`, { method: "POST", body: form });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

const textual = (modelName: string) => JSON.stringify({ clip: { textual: { modelName } } });

test("it answers / and /ping like Immich's service", async () => {
  expect(await (await fetch(url)).json()).toEqual({ message: "Immich ML" });
  expect(await (await fetch(`${url}/ping`)).text()).toBe("pong");
});

test.each([
  ["ViT-B-32__openai", 512],
  ["ViT-B-16-SigLIP2__webli", 768],
  ["RN50__openai", 1024],
])("a picture's embedding under %s has %i numbers", async (model, dimension) => {
  expect(await askService(url, model)).toEqual({ ping: "pong", dimension });
});

test("a text's embedding is a JSON list of norm one that depends on the text", async () => {
  const [cat, dog, catAgain] = await Promise.all(
    ["cat", "dog", "cat"].map(async (text) => {
      const { body } = await predict(textual("ViT-B-32__openai"), { text });
      return JSON.parse(body["clip"] as string) as number[];
    }),
  );

  expect(Math.hypot(...cat!)).toBeCloseTo(1, 4);
  expect(cat).toEqual(catAgain);
  expect(cat).not.toEqual(dog);
});

test("its model files are as new as Immich's, too new for ONNX Runtime 1.14", async () => {
  await predict(textual("ViT-B-32__openai"), { text: "cat" });
  const exec = await docker.getContainer(name).exec({
    Cmd: [
      "python3",
      "-c",
      `import onnx
m = onnx.load("/cache/clip/ViT-B-32__openai/textual/model.onnx")
print(m.ir_version, m.opset_import[0].version)`,
    ],
    AttachStdout: true,
    Tty: true,
  });
  let output = "";
  for await (const chunk of await exec.start({ Tty: true })) output += String(chunk);

  expect(output.trim()).toBe("9 19");
});

test.each([
  ["an unknown model", textual("ViT-B-33__openai"), 500, "ViT-B-33__openai"],
  ["entries that are not JSON", "{", 422, "Invalid request format."],
  ["an unknown task", JSON.stringify({ ocr: { detection: { modelName: "x" } } }), 501, "ocr"],
])("%s gets an error that names it", async (_, entries, status, message) => {
  const answer = await predict(entries, { text: "cat" });

  expect(answer.status).toBe(status);
  expect(JSON.stringify(answer.body)).toContain(message);
});

test("a request without picture and text gets an error", async () => {
  expect(await predict(textual("ViT-B-32__openai"), {})).toEqual({
    status: 400,
    body: { detail: "Either image or text must be provided" },
  });
});
