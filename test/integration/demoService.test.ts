import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";

import type Docker from "dockerode";
import { afterAll, beforeAll, expect, test, vi } from "vitest";

import { gracefulCommand } from "../../components/server";
import { dockerProviders } from "../../demo/providers/docker";
import { freePort } from "../../demo/postgres";
import { askService } from "../../demo/service";
import { fakes, startedDocker, testName } from "../support/docker";
import { stopGently } from "../support/stopGently";

const name = testName("service");
const immichs = ["python3", "-m", "immich_ml"];
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
  await start(immichs);
});

/** Starts it with a command, in the place of an earlier one. */
async function start(command: string[], restart = "no"): Promise<Docker.Container> {
  const former = docker.getContainer(name);
  await former.remove({ force: true, v: true }).catch(() => undefined);
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  const container = await docker.createContainer({
    name,
    Image: name,
    Cmd: command,
    ExposedPorts: { "3003/tcp": {} },
    HostConfig: {
      // Immich's image has one, too; a first process ignores the signal that stops it.
      Init: true,
      PortBindings: { "3003/tcp": [{ HostIp: "127.0.0.1", HostPort: `${port}` }] },
      RestartPolicy: { Name: restart },
    },
  });
  await container.start();
  // A connection made before the service listens may never be answered.
  const ping = () => fetch(`${url}/ping`, { signal: AbortSignal.timeout(1000) });
  await vi.waitFor(ping, { timeout: 60_000, interval: 500 });
  return container;
}

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

async function inContainer(...command: string[]): Promise<string> {
  const container = docker.getContainer(name);
  const exec = await container.exec({ Cmd: command, AttachStdout: true, Tty: true });
  let output = "";
  for await (const chunk of await exec.start({ Tty: true })) output += String(chunk);
  return output.trim();
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
  const read = `import onnx
m = onnx.load("/cache/clip/ViT-B-32__openai/textual/model.onnx")
print(m.ir_version, m.opset_import[0].version)`;
  expect(await inContainer("python3", "-c", read)).toBe("9 19");
});

test.each([
  ["an unknown model", textual("ViT-B-33__openai"), 500, "ViT-B-33__openai"],
  ["entries that are not JSON", "{", 422, "Invalid request format."],
  ["an unknown task", JSON.stringify({ pets: { detection: { modelName: "x" } } }), 501, "pets"],
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

/** A picture of one colour, as PNG. */
const picture = new Blob([
  Buffer.from(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
    "base64",
  ),
]);
const parts = (modelName: string) => ({ detection: { modelName }, recognition: { modelName } });

test("it finds a face and a word in every picture, and rewrites its recogniser as Immich does", async () => {
  const entries = { "facial-recognition": parts("buffalo_s"), ocr: parts("PP-OCRv5_mobile") };
  const { status, body } = await predict(JSON.stringify(entries), { image: picture });
  expect(status).toBe(200);
  const [face] = body["facial-recognition"] as { embedding: string }[];
  expect(JSON.parse(face!.embedding)).toHaveLength(512);
  expect(body["ocr"]).toMatchObject({ text: ["word"] });
  const read = `import onnx
m = onnx.load("/cache/facial-recognition/buffalo_s/recognition/model.onnx")
print(m.graph.input[0].type.tensor_type.shape.dim[0].dim_param)`;
  expect(await inContainer("python3", "-c", read)).toBe("batch");
});

test("it gives a model up after two failed attempts", async () => {
  // A file in the folder's place, which is not deleted with what is in a folder.
  await inContainer("sh", "-c", "mkdir -p /cache/ocr && touch /cache/ocr/broken");
  const entries = JSON.stringify({ ocr: parts("broken") });
  for (let attempt = 0; attempt < 2; attempt++) await predict(entries, { image: picture });
  const { status, body } = await predict(entries, { image: picture });
  expect(status).toBe(500);
  expect(body).toEqual({ detail: "Failed to load model 'broken'" });
});

/** Stops it while half of a request is sent. @returns the answer to the whole one */
async function answerWhile(stop: () => Promise<unknown>): Promise<string> {
  const body = String(new URLSearchParams({ entries: textual("ViT-B-32__openai"), text: "a cat" }));
  const headers = {
    "content-type": "application/x-www-form-urlencoded",
    "content-length": body.length,
  };
  const asked = request(`${url}/predict`, { method: "POST", headers });
  const answered = new Promise<string>((resolve) => {
    asked.on("response", (answer) => resolve(String(answer.statusCode)));
    asked.on("error", () => resolve("cut"));
  });
  asked.write(body.slice(0, 9));
  await pause(500);
  const stopped = stop();
  await pause(2000);
  asked.end(body.slice(9));
  await stopped;
  return answered;
}

test("it cuts the requests under way when it is stopped", async () => {
  const container = docker.getContainer(name);
  expect(await answerWhile(() => container.stop({ t: 20 }))).toBe("cut");
  expect((await container.inspect()).State.ExitCode).not.toBe(0);
});

test("it answers them when another container takes over from it", async () => {
  const container = await start(immichs, "unless-stopped");
  expect(await answerWhile(() => stopGently(name))).toBe("200");
  expect((await container.inspect()).State.Status).toBe("exited");
});

test("it answers them when the program's command started it", async () => {
  const container = await start(gracefulCommand("v2.7.5")!);
  expect(await answerWhile(() => container.stop({ t: 20 }))).toBe("200");
});
