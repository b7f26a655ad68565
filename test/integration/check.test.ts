import { execFile } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { checkScript, checkVariables, parseCheckResult } from "../../verify/check";
import { testName } from "../support/docker";
import { onnxRuntimeImage } from "../support/smallService";

let image: string;
const containers: string[] = [];

beforeAll(async () => void (image = await onnxRuntimeImage()));

afterAll(async () => {
  for (const container of containers) await docker("rm", "--force", container);
});

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

function execute(
  program: string,
  parameters: string[],
  environment: Record<string, string> = {},
): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(
      program,
      parameters,
      { env: { ...process.env, ...environment } },
      (error, stdout, stderr) => resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    );
  });
}

async function docker(...parameters: string[]): Promise<string> {
  const ended = await execute("docker", parameters);
  if (ended.code !== 0) throw new Error(`docker ${parameters[0]}: ${ended.stderr}`);
  return ended.stdout.trim();
}

/**
 * Checks a new container with these variables, as the component does.
 *
 * @param asked variables of the check itself
 * @param more options of `docker run`, and after the image a command
 */
async function check(
  expected: string,
  variables: Record<string, string> = {},
  asked: Record<string, string> = {},
  [options, command]: [string[], string[]] = [[], ["sleep", "infinity"]],
) {
  const name = testName("check");
  const environment = Object.entries(variables).flatMap(([key, value]) => [
    "-e",
    `${key}=${value}`,
  ]);
  const fake = join(__dirname, "checkFakes");
  const mount = ["-v", `${fake}:/fake:ro`, ...options];
  await docker("run", "-d", "--name", name, ...mount, ...environment, image, ...command);
  containers.push(name);
  const ended = await execute("sh", [join(__dirname, "../..", checkScript)], {
    IMMICH_ML_HOST: "attic",
    IMMICH_ML_CONTAINER: name,
    IMMICH_ML_EXPECTED: expected,
    IMMICH_ML_MODE: "enforce",
    IMMICH_ML_TIMEOUT: "180",
    ...asked,
  });
  // At once: the health checks of dozens would take the machine.
  await docker("rm", "--force", name);
  containers.splice(containers.indexOf(name), 1);
  return { ...ended, result: parseCheckResult(ended.stdout) };
}

const cuda = "CUDAExecutionProvider";

function checkFake(fault: string, more: Record<string, string> = {}) {
  return check(cuda, {
    PYTHONPATH: "/fake",
    FAKE_PROVIDER: cuda,
    FAKE_FAULT: fault,
    ...more,
  });
}

describe("the check in a real container with ONNX Runtime 1.14.1", () => {
  it("computes every operator on the CPU where the CPU is expected", async () => {
    const { result, code } = await check("CPUExecutionProvider");
    expect(code).toBe(0);
    expect(result).toMatchObject({
      ok: true,
      provider: "CPUExecutionProvider",
      onnxRuntime: "1.14.1",
      devices: [
        {
          device: "cpu",
          fallbackOps: [],
          operators: {
            CPUExecutionProvider: [
              "Resize",
              "Conv",
              "Reshape",
              "MatMul",
              "LayerNormalization",
              "Softmax",
            ],
          },
        },
      ],
    });
  });

  it("asks the health check itself before Docker does for the first time", async () => {
    const options = ["--health-interval", "10m", "--health-cmd", "[ -e /tmp/ready ]"];
    const command = "sleep 2; touch /tmp/ready; sleep 600";
    const { result, stderr } = await check("CPUExecutionProvider", {}, {}, [
      options,
      ["sh", "-c", command],
    ]);
    expect(result).toMatchObject({ ok: true });
    expect(stderr).toMatch(/running, health starting[^]*attic: healthy after/);
  });

  it("refuses an image whose ONNX Runtime was not built for the accelerator", async () => {
    const { result, code, stderr } = await check("MIGraphXExecutionProvider,ROCMExecutionProvider");
    expect(code).toBe(1);
    expect(result).toMatchObject({
      error:
        "this image's ONNX Runtime 1.14.1 was not built for MIGraphXExecutionProvider or ROCMExecutionProvider; it has CPUExecutionProvider",
    });
    expect(stderr).toContain("What to do: the image does not match the host's accelerator");
  });

  it.each(["armnn", "rknn"] as const)(
    "refuses an image without Immich's session for %s",
    async (accelerator) => {
      const variables = checkVariables(accelerator);
      const { IMMICH_ML_EXPECTED: name } = variables;
      const { result } = await check(name!, {}, variables);
      expect(result).toMatchObject({
        error: `Immich's session for ${name} is missing in this image`,
        hint: variables["IMMICH_ML_SESSION_HINT"],
      });
    },
  );

  it("loads Immich's own session where there is one", async () => {
    const session = { IMMICH_ML_SESSION: "immich_fake_session" };
    const { result, stderr } = await check("ArmNN", { PYTHONPATH: "/fake/own" }, session);
    expect(result).toMatchObject({ ok: true, provider: "ArmNN", devices: [], notExecuted: true });
    expect(stderr).toContain("ArmNN is loaded and will be used (nothing was computed on it)");
  });
});

describe("the check of an accelerator (a fake provider in place of CUDA)", () => {
  it("succeeds when it computes as the CPU does, on every GPU of the workers", async () => {
    const { result, code, stderr } = await checkFake("none", {
      MACHINE_LEARNING_DEVICE_IDS: "0,1",
    });
    expect(code).toBe(0);
    expect(result).toMatchObject({ ok: true, provider: cuda });
    const devices = result.ok ? result.devices : [];
    expect(devices.map((device) => device.device)).toEqual(["0", "1"]);
    for (const { maximumDifference } of devices) {
      expect(maximumDifference).toBeGreaterThan(0);
      expect(maximumDifference).toBeLessThan(0.001);
    }
    expect(stderr).toContain(`${cuda} computed the network in`);
  });

  it.each([
    [
      "ONNX Runtime falls back to the CPU silently",
      "silent",
      /^asked for CUDAExecutionProvider, but CPUExecutionProvider computed silently instead$/,
      /CUDA libraries in the image or the NVIDIA driver/,
    ],
    [
      "the heavy operators run on the CPU",
      "partly",
      /^CUDAExecutionProvider is loaded, but the network ran on CPUExecutionProvider, CUDA/,
      null,
    ],
    [
      "the provider computes wrong numbers",
      "wrong",
      /^CUDAExecutionProvider computes wrong numbers: they differ from the CPU's by up to 1$/,
      /card or its driver is faulty/,
    ],
    [
      "its numbers are not finite",
      "infinite",
      /^CUDAExecutionProvider computed numbers that are not finite$/,
      null,
    ],
    [
      "the card is too old for this ONNX Runtime",
      "kernel",
      /^CUDAExecutionProvider failed on device 0$/,
      /no machine code for the card's compute capability/,
    ],
  ])("fails when %s", async (_what, fault, error, hint) => {
    const { result, code, stderr } = await checkFake(fault);
    expect(code).toBe(1);
    if (result.ok) throw new Error("it was verified");
    expect(result.error).toMatch(error);
    if (hint) expect(result.hint).toMatch(hint);
    else expect(result.hint).toBeNull();
    expect(stderr).toContain("attic: NOT VERIFIED");
  });

  it("prints the provider's own messages", async () => {
    const { result, stderr } = await checkFake("silent");
    const words = "[W:onnxruntime] Failed to create CUDAExecutionProvider.";
    expect(result).toMatchObject({ details: [words] });
    expect(stderr).toContain(`  | ${words}`);
  });

  it("fails when the second GPU alone is broken", async () => {
    const { result } = await checkFake("kernel@1", { MACHINE_LEARNING_DEVICE_IDS: "0,1" });
    expect(result).toMatchObject({ ok: false, error: `${cuda} failed on device 1` });
  });

  it("tells a card that the container has lost as nvidia-smi tells it", async () => {
    const says = "echo 'Failed to initialize NVML: Unknown Error'; exit 255";
    const { result, stderr } = await check(
      cuda,
      { PYTHONPATH: "/fake", FAKE_PROVIDER: cuda, FAKE_FAULT: "silent" },
      {},
      [
        [],
        [
          "sh",
          "-c",
          `printf '#!/bin/sh\\n%s\\n' "${says}" >/usr/local/bin/nvidia-smi && chmod +x /usr/local/bin/nvidia-smi && exec sleep infinity`,
        ],
      ],
    );
    expect(result).toMatchObject({ ok: false });
    expect(stderr).toContain("  | Failed to initialize NVML: Unknown Error");
    expect(stderr).toContain("What to do: the container has lost its card");
  });

  it("names the light operators that fell back, without failing", async () => {
    const { result, stderr } = await checkFake("little");
    expect(result).toMatchObject({ ok: true, devices: [{ fallbackOps: ["Reshape"] }] });
    expect(stderr).toContain("on the CPU instead: Reshape");
  });

  it("fails when ONNX Runtime crashes", async () => {
    const { result, code, stderr } = await checkFake("crash");
    expect(code).toBe(1);
    expect(result.ok).toBe(false);
    expect(stderr).toContain("ONNX Runtime crashed");
  });
});

describe("the check of the models Immich is told to use", () => {
  const clip = "clip/ViT-B-32__openai";
  const faces = "facial-recognition/buffalo_s";
  const text = "ocr/PP-OCRv5_mobile";
  const volumes: string[] = [];

  afterAll(async () => {
    for (const container of containers.splice(0)) await docker("rm", "--force", container);
    for (const volume of volumes) await docker("volume", "rm", volume);
  });

  /** A volume with small models of the forms of Immich's own in it, and what else is done there. */
  async function volumeWith(models: string[], also = "true"): Promise<string> {
    const volume = testName("check-cache");
    volumes.push(volume);
    const fake = join(__dirname, "checkFakes");
    const mounts = ["-v", `${volume}:/cache`, "-v", `${fake}:/fake:ro`];
    const script = `python /fake/makeModels.py /cache "$@" && cd /cache && ${also}`;
    await docker("run", "--rm", ...mounts, image, "sh", "-c", script, "-", ...models);
    return volume;
  }

  /** Checks a container whose server uses the models in a volume. */
  async function checkModels(
    volume: string,
    asked: string[],
    more: { download?: number; variables?: Record<string, string>; mounts?: string[] } = {},
  ) {
    const ended = await check(
      more.variables?.["FAKE_PROVIDER"] ?? "CPUExecutionProvider",
      more.variables,
      { IMMICH_ML_MODELS: asked.join(","), IMMICH_ML_DOWNLOAD: String(more.download ?? 0) },
      [
        [
          "-v",
          `${volume}:/cache`,
          ...(more.mounts ?? []),
          "--health-cmd",
          ping,
          "--health-interval",
          "1s",
        ],
        ["python", "/fake/server.py"],
      ],
    );
    return { ...ended, models: ended.result.ok ? ended.result.models : undefined };
  }
  const ping = `python -c 'import urllib.request as r; r.urlopen("http://127.0.0.1:3003/ping")'`;

  it("names what computed each file, how long it took, and that the server answers with it", async () => {
    const asked = [clip, faces, text];
    const { code, models, stderr } = await checkModels(await volumeWith(asked), asked);
    expect(stderr).toContain("CPUExecutionProvider computed clip/ViT-B-32__openai/textual in");
    expect(code).toBe(0);
    expect(models?.map(({ model, parts }) => [model, parts.map(({ part }) => part)])).toEqual([
      [clip, ["visual", "textual"]],
      [faces, ["detection", "recognition"]],
      [text, ["detection", "recognition"]],
    ]);
    for (const { parts, serverMilliseconds } of models!) {
      expect(serverMilliseconds).toBeGreaterThan(0);
      for (const { provider, milliseconds, cpuMilliseconds } of parts) {
        expect(provider).toBe("CPUExecutionProvider");
        expect(milliseconds).toBeGreaterThan(0);
        expect(cpuMilliseconds).toBeUndefined();
      }
    }
  });

  it("asks the server for the smallest model of the cache where Immich's models are not known", async () => {
    const volume = await volumeWith([clip, faces, text], `rm -r ${text}/recognition`);
    const { code, models } = await checkModels(volume, ["any"]);
    expect(code).toBe(0);
    expect(models).toMatchObject([
      { model: faces, serverMilliseconds: expect.any(Number) as number },
    ]);
    const empty = await checkModels(await volumeWith([]), ["any"]);
    expect(empty.code).toBe(0);
    expect(empty.stderr).toContain("was not asked: no whole model is in its cache yet");
  });

  it("says when the server found no face or word to give to its recogniser", async () => {
    const asked = [faces, text];
    const { code, stderr } = await checkModels(await volumeWith(asked), asked, {
      variables: { FAKE_ANSWER: "nothing" },
    });
    expect(code).toBe(0);
    expect(stderr).toContain("found no faces in the check's picture");
    expect(stderr).toContain("found no words in the check's picture");
  });

  it.each([
    ["infinite", "is not a list of finite numbers"],
    ["zeros", "is all zeros"],
  ])("fails when the server's embeddings are %s", async (fault, message) => {
    const { code, result } = await checkModels(await volumeWith([faces]), [faces], {
      variables: { FAKE_ANSWER: fault },
    });
    expect(code).toBe(1);
    expect(result).toMatchObject({
      error: `Immich's server cannot use ${faces}: its answer is no good: its embedding ${message}`,
    });
  });

  it("has the CPU's time beside the accelerator's, and the GPU's memory with the models loaded", async () => {
    const { code, models, result } = await checkModels(await volumeWith([clip]), [clip], {
      variables: fakeFault("none"),
      mounts: ["-v", `${join(__dirname, "checkFakes/nvidia-smi")}:/usr/bin/nvidia-smi:ro`],
    });
    expect(code).toBe(0);
    expect(result).toMatchObject({ videoMemory: [{ used: 1320, total: 2000 }] });
    expect(models).toHaveLength(1);
    expect(models![0]!.parts.map(({ part }) => part)).toEqual(["visual", "textual"]);
    for (const { provider, cpuMilliseconds } of models![0]!.parts) {
      expect(provider).toBe(cuda);
      expect(cpuMilliseconds).toBeGreaterThan(0);
    }
  });

  it("finds by itself what is in the cache of a container no stack runs", async () => {
    const { models } = await checkModels(await volumeWith([clip, text]), ["cached"]);
    expect(models?.map(({ model }) => model)).toEqual([clip, text]);
  });

  it("names models that are not there without failing, and does not have them downloaded unasked", async () => {
    const { code, models, stderr } = await checkModels(await volumeWith([clip]), [clip, faces], {
      variables: { FAKE_DELAY: "600" },
    });
    expect(code).toBe(0);
    expect(models?.map(({ notVerified }) => notVerified)).toEqual([
      undefined,
      "is not in the cache",
    ]);
    expect(stderr).toContain(`not verified: ${faces} is not in the cache`);
  });

  it("names models that cannot be downloaded, and those of which a part is missing", async () => {
    const volume = await volumeWith([clip, text], `rm -r ${text}/recognition`);
    const { code, models } = await checkModels(volume, [clip, faces, text], { download: 20 });
    expect(code).toBe(0);
    const answered = "and could not be downloaded (the server answered 500: Internal Server Error)";
    expect(models?.map(({ notVerified }) => notVerified)).toEqual([
      undefined,
      `is not in the cache ${answered}`,
      `is not in the cache: its recognition ${answered}`,
    ]);
  });

  it("shows a model that the server downloads in time, and does not wait longer than that", async () => {
    const source = await volumeWith([faces]);
    const download = (delay: number, seconds: number) =>
      volumeWith([]).then((volume) =>
        checkModels(volume, [faces], {
          download: seconds,
          variables: { FAKE_DOWNLOADS: "/source", FAKE_DELAY: String(delay) },
          mounts: ["-v", `${source}:/source:ro`],
        }),
      );
    const inTime = await download(1, 30);
    expect(inTime.models).toMatchObject([{ parts: [{ part: "detection" }, {}] }]);

    const begin = Date.now();
    const late = await download(600, 3);
    expect(Date.now() - begin).toBeLessThan(120_000);
    expect(late.code).toBe(0);
    expect(late.models).toMatchObject([
      { notVerified: "is still being downloaded; npm run check shows it later" },
    ]);
  });

  it("fails on a damaged file with ONNX Runtime's own words, before the server deletes it", async () => {
    const volume = await volumeWith([clip], `echo damaged >${clip}/visual/model.onnx`);
    const { code, result, stderr } = await checkModels(volume, [clip]);
    expect(code).toBe(1);
    expect(result).toMatchObject({
      ok: false,
      error: `${clip}/visual fails on CPUExecutionProvider`,
    });
    expect(stderr).toContain("Protobuf parsing failed");
    expect(stderr).toContain(
      "the model's file is damaged or incomplete: delete the model's folder from the cache",
    );
  });

  it("fails with the server's last log lines when the server cannot use a model that computes", async () => {
    const { code, result, stderr } = await checkModels(await volumeWith([clip]), [clip], {
      variables: { FAKE_REFUSES: clip },
    });
    expect(code).toBe(1);
    expect(result).toMatchObject({
      error: `Immich's server cannot use ${clip}: the server answered 500: Internal Server Error`,
    });
    expect(stderr).toContain("  | RuntimeError: this server does not like ViT-B-32__openai");
  });

  it.each([
    ["silently computed elsewhere", "silent", /clip.*silently instead/],
    ["mostly computed elsewhere", "partly", /^clip.*visual ran on CPUExecutionProvider/],
    ["not finite", "infinite", /^clip.*numbers that are not finite/],
    ["wrong", "wrong", /^clip.*computes wrong numbers on CUDAExecutionProvider: their cosine/],
  ])("fails when a model is %s", async (_what, fault, error) => {
    const { code, result } = await checkModels(await volumeWith([clip]), [clip], {
      variables: fakeFault(`${fault}:model`),
    });
    expect(code).toBe(1);
    expect(result.ok ? "" : result.error).toMatch(error);
  });

  it("fails when the card has no room for a model and the server cannot use it either", async () => {
    const { code, result } = await checkModels(await volumeWith([clip]), [clip], {
      variables: { ...fakeFault("full:model"), FAKE_REFUSES: clip },
    });
    expect(code).toBe(1);
    if (result.ok) throw new Error("it was verified");
    expect(result.details.join()).toContain("CUBLAS_STATUS_ALLOC_FAILED");
    expect(result.hint).toContain("choose a smaller preset");
  });

  it("does not fail when only a second copy beside the server's has no room", async () => {
    const { code, models, stderr } = await checkModels(await volumeWith([clip]), [clip], {
      variables: fakeFault("full:model"),
    });
    expect(code).toBe(0);
    expect(models).toMatchObject([{ model: clip, parts: [] }]);
    expect(stderr).toContain("there was no room on the card to see a second copy compute");
  });

  const fakeFault = (fault: string) => ({
    PYTHONPATH: "/fake",
    FAKE_PROVIDER: cuda,
    FAKE_FAULT: fault,
  });
});
