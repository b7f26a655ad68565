import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { inferenceProgram, parseProof, proofCommand, waitingScript } from "../../proof/proof";
import { standIns, testName } from "../support/docker";

const image = testName("proof");
const containers: string[] = [];

/** ONNX Runtime's oldest release that is used, on the stand-in of a Python image. */
beforeAll(async () => {
  const { python310 } = await standIns();
  const context = await mkdtemp(join(tmpdir(), "immich-ml-test-proof-"));
  await writeFile(
    join(context, "Dockerfile"),
    `FROM ${python310}
RUN pip install --quiet onnxruntime==1.14.1 numpy==1.26.4
CMD ["sleep", "infinity"]
`,
  );
  await docker("build", "--quiet", "--tag", image, context);
  await rm(context, { recursive: true });
});

afterAll(async () => {
  for (const container of containers) await docker("rm", "--force", container);
  await docker("rmi", image);
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
  stdin = "",
): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(
      program,
      parameters,
      { env: { ...process.env, ...environment } },
      (error, stdout, stderr) => resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    );
    child.stdin?.end(stdin);
  });
}

async function docker(...parameters: string[]): Promise<string> {
  const ended = await execute("docker", parameters);
  if (ended.code !== 0) throw new Error(`docker ${parameters[0]}: ${ended.stderr}`);
  return ended.stdout.trim();
}

/** Proves a new container with these variables, as the component does. */
async function prove(expected: string, variables: Record<string, string> = {}) {
  const name = testName("proof");
  const environment = Object.entries(variables).flatMap(([key, value]) => [
    "-e",
    `${key}=${value}`,
  ]);
  const standIn = join(__dirname, "proofStandIn");
  await docker("run", "-d", "--name", name, "-v", `${standIn}:/stand-in:ro`, ...environment, image);
  containers.push(name);
  const ended = await execute(
    "sh",
    ["-c", proofCommand],
    {
      IMMICH_ML_PROOF: waitingScript(),
      IMMICH_ML_HOST: "attic",
      IMMICH_ML_CONTAINER: name,
      IMMICH_ML_EXPECTED: expected,
      IMMICH_ML_MODE: "enforce",
      IMMICH_ML_TIMEOUT: "30",
    },
    inferenceProgram(),
  );
  return { ...ended, result: parseProof(ended.stdout) };
}

const cuda = "CUDAExecutionProvider";

function proveStandIn(fault: string, more: Record<string, string> = {}) {
  return prove(cuda, {
    PYTHONPATH: "/stand-in",
    STAND_IN_PROVIDER: cuda,
    STAND_IN_FAULT: fault,
    ...more,
  });
}

describe("the proof in a real container with ONNX Runtime 1.14.1", () => {
  it("computes every operator on the CPU where the CPU is expected", async () => {
    const { result, code } = await prove("CPUExecutionProvider");
    expect(code).toBe(0);
    expect(result).toMatchObject({
      ok: true,
      provider: "CPUExecutionProvider",
      onnxRuntime: "1.14.1",
      devices: [
        {
          device: "cpu",
          elsewhere: [],
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

  it("refuses an image whose ONNX Runtime was not built for the accelerator", async () => {
    const { result, code, stderr } = await prove("MIGraphXExecutionProvider,ROCMExecutionProvider");
    expect(code).toBe(1);
    expect(result).toMatchObject({
      error:
        "this image's ONNX Runtime 1.14.1 was not built for MIGraphXExecutionProvider or ROCMExecutionProvider; it has CPUExecutionProvider",
    });
    expect(stderr).toContain("What to do: the image does not match the host's accelerator");
  });

  it.each(["ArmNN", "RKNN"])("refuses an image without Immich's session for %s", async (name) => {
    const { result } = await prove(name);
    expect(result).toMatchObject({
      error: `Immich's session for ${name} is missing in this image`,
    });
  });
});

describe("the proof of an accelerator (a provider that stands in for CUDA)", () => {
  it("succeeds when it computes as the CPU does, on every GPU of the workers", async () => {
    const { result, code, stderr } = await proveStandIn("none", {
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
    const { result, code, stderr } = await proveStandIn(fault);
    expect(code).toBe(1);
    if (result.ok) throw new Error("it was proven");
    expect(result.error).toMatch(error);
    if (hint) expect(result.hint).toMatch(hint);
    else expect(result.hint).toBeNull();
    expect(stderr).toContain("attic: NOT PROVEN");
  });

  it("hands on what the provider itself said", async () => {
    const { result, stderr } = await proveStandIn("silent");
    const words = "[W:onnxruntime] Failed to create CUDAExecutionProvider.";
    expect(result).toMatchObject({ details: [words] });
    expect(stderr).toContain(`  | ${words}`);
  });

  it("fails when the second GPU alone is broken", async () => {
    const { result } = await proveStandIn("kernel@1", { MACHINE_LEARNING_DEVICE_IDS: "0,1" });
    expect(result).toMatchObject({ ok: false, error: `${cuda} failed on device 1` });
  });

  it("tells which light operators ran elsewhere without failing", async () => {
    const { result, stderr } = await proveStandIn("little");
    expect(result).toMatchObject({ ok: true, devices: [{ elsewhere: ["Reshape"] }] });
    expect(stderr).toContain("on the CPU instead: Reshape");
  });

  it("fails when ONNX Runtime crashes", async () => {
    const { result, code, stderr } = await proveStandIn("crash");
    expect(code).toBe(1);
    expect(result.ok).toBe(false);
    expect(stderr).toContain("ONNX Runtime crashed");
  });
});
