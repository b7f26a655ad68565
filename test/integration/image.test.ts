import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { appendFileSync, cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { rootCertificates } from "node:tls";
import { promisify } from "node:util";

import type Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { type GpuFamilyName, gpuFamilies } from "../../catalog/gpuFamilies";
import { BuildFailed, buildImage } from "../../demo/buildImage";
import { repositoryFolder } from "../../demo/folders";
import type { FakeImages } from "../../demo/fakeImages";
import { fakeBuildArgs } from "../support/builtImage";
import { fakes, startedDocker, testName } from "../support/docker";
import { isNightly, nightlyOnly } from "../support/nightly";

const context = path.join(repositoryFolder, "image");

let docker: Docker;
let images: FakeImages;
/** The image variant kepler-maxwell, for the tests that only inspect it. */
let legacy: string;
const made: string[] = [];
const folders: string[] = [];

beforeAll(async () => {
  docker = await startedDocker();
  images = await fakes();
  legacy = (await build("kepler-maxwell")).tag;
});

afterAll(async () => {
  for (const name of made) await docker.getImage(name).remove();
  for (const folder of folders) rmSync(folder, { recursive: true });
});

interface Variation {
  immichVersion?: string;
  context?: string;
  buildArgs?: Record<string, string>;
  target?: string;
}

async function build(
  gpuFamily: GpuFamilyName,
  variation: Variation = {},
): Promise<{ tag: string; log: string }> {
  const { immichVersion = "v2.7.5", buildArgs, ...rest } = variation;
  const tag = `${testName(gpuFamily)}:latest`;
  const log = await buildImage(docker, {
    ...rest,
    tag,
    buildArgs: { ...fakeBuildArgs(gpuFamily, immichVersion, images), ...buildArgs },
  });
  made.push(tag);
  return { tag, log };
}

async function failureOf(building: Promise<unknown>): Promise<BuildFailed> {
  const outcome = await building.catch((error: unknown) => error);
  if (outcome instanceof BuildFailed) return outcome;
  throw new Error("the build was expected to fail", { cause: outcome });
}

/** The image's build context with one file changed. */
function changedContext(file: string, line: string): string {
  const folder = mkdtempSync(path.join(tmpdir(), "immich-ml-test-context-"));
  folders.push(folder);
  cpSync(context, folder, { recursive: true });
  appendFileSync(path.join(folder, file), `${line}\n`);
  return folder;
}

/** Runs a shell line in a container without network. @returns its exit status and output */
async function inImage(tag: string, script: string) {
  const name = testName("run");
  const checks = `${path.join(context, "checks")}:/checks:ro`;
  try {
    const { stdout, stderr } = await promisify(execFile)(
      "docker",
      [
        ...["run", "--rm", "--name", name, "--network", "none", "--volume", checks],
        ...[tag, "sh", "-c", script],
      ],
      { maxBuffer: 2 ** 26 },
    );
    return { status: 0, output: stdout + stderr };
  } catch (error) {
    const failed = error as { code: number; stdout: string; stderr: string };
    return { status: failed.code, output: failed.stdout + failed.stderr };
  }
}

async function layersOf(tag: string): Promise<string[]> {
  const { RootFS } = await docker.getImage(tag).inspect();
  return RootFS.Layers ?? [];
}

/** Image variants with the megabytes that each may add to its base: as measured, with some margin. */
const variants: { gpuFamily: GpuFamilyName; immichVersion: string; maxMegabytes: number }[] = [
  { gpuFamily: "kepler-maxwell", immichVersion: "v2.7.5", maxMegabytes: 2800 },
  { gpuFamily: "maxwell", immichVersion: "v2.7.5", maxMegabytes: 3550 },
  { gpuFamily: "pascal-volta", immichVersion: "v3.1.0", maxMegabytes: 3150 },
];
const [usual, ...others] = variants;

describe.each([usual!, ...nightlyOnly(others)])(
  "$gpuFamily for Immich $immichVersion",
  (variant) => {
    const { gpuFamily, immichVersion, maxMegabytes } = variant;
    let tag: string;

    beforeAll(async () => {
      tag =
        gpuFamily === "kepler-maxwell" ? legacy : (await build(gpuFamily, { immichVersion })).tag;
    });

    it("passes each check, run again because a cached build prints nothing", async () => {
      const { onnxRuntime, cudnn } = gpuFamilies[gpuFamily];
      const lines = [`runtime ${onnxRuntime}`, `cudnn ${cudnn}`, "session", "bridge"];
      lines.push("libraries", "immich", "setuid");
      const script = lines.map((line) => `python /checks/check.py ${line}`).join(" && ");
      const { status, output } = await inImage(tag, script);
      expect(output).toContain(
        `image check: ONNX Runtime ${onnxRuntime} with CUDAExecutionProvider`,
      );
      expect(output).toContain(`image check: cuDNN ${cudnn.split(".").slice(0, 3).join(".")} with`);
      expect(output).toContain(
        "image check: a CUDA session fails only for want of a driver (CUDA failure 35); loaded",
      );
      expect(output).toMatch(/image check: \d+ modules that Immich uses can be imported/);
      expect(output).toContain("image check: immich_ml imports");
      expect(output).toContain("image check: no program is setuid or setgid");
      expect(status).toBe(0);
    });

    it("has the entrypoint, health check and environment of Immich's image", async () => {
      const { Config } = await docker.getImage(tag).inspect();
      expect(Config.Entrypoint).toEqual(["tini", "--"]);
      expect(Config.Cmd).toEqual(["python", "-m", "immich_ml"]);
      expect(Config.WorkingDir).toBe("/usr/src");
      expect(Config.User).toBe("");
      expect((Config as { Healthcheck?: { Test: string[] } }).Healthcheck?.Test).toEqual([
        "CMD",
        "python",
        "healthcheck.py",
      ]);
      expect(Config.Env).toEqual(
        expect.arrayContaining([
          "LD_PRELOAD=libmimalloc.so.2",
          "MACHINE_LEARNING_MODEL_ARENA=false",
          "MACHINE_LEARNING_CACHE_FOLDER=/cache",
          "TRANSFORMERS_CACHE=/cache",
        ]),
      );
    });

    it("names in its labels what it was built from", async () => {
      const { Config } = await docker.getImage(tag).inspect();
      expect(Config.Labels).toMatchObject({
        "org.opencontainers.image.version": `${immichVersion}-onnxruntime${gpuFamilies[gpuFamily].onnxRuntime}`,
        "org.opencontainers.image.base.name":
          gpuFamily === "kepler-maxwell" ? images.python310 : images.python311,
        "org.opencontainers.image.title": `Immich machine learning for ${gpuFamily} GPUs`,
        "org.immich-ml.gpu-family": gpuFamily,
        "org.immich-ml.locks":
          `requirements/locks/${gpuFamily}-${immichVersion.split(".")[0]}.txt ` +
          `requirements/locks/cuda-${gpuFamilies[gpuFamily].cuda}.txt`,
        "org.immich-ml.immich-image": images.immichMachineLearning,
      });
    });

    it("holds no build tools, caches, tests, headers or training libraries", async () => {
      const { output } = await inImage(
        tag,
        [
          "command -v gcc cc c++ make",
          "ls /opt/venv/bin | grep -E '^pip'",
          "find /opt -name '*_train.so*' -o -name '*.a' -o -name '*.whl' -o -name '*.h'",
          "find /opt/venv -type d \\( -name tests -o -name test \\)",
          "ls -A ~/.cache /var/cache/pip /var/lib/apt/lists /tmp 2>/dev/null | grep -v :",
          "true",
        ].join("; "),
      );
      expect(output.trim()).toBe("");
    });

    it(`adds at most ${maxMegabytes} MB to its base`, async () => {
      const base = gpuFamily === "kepler-maxwell" ? images.python310 : images.python311;
      const [whole, below] = await Promise.all(
        [tag, base].map(async (name) => (await docker.getImage(name).inspect()).Size),
      );
      const megabytes = (whole! - below!) / 1e6;
      console.log(`${gpuFamily}: ${megabytes.toFixed(0)} MB above its base`);
      expect(megabytes).toBeLessThan(maxMegabytes);
    });
  },
);

describe("the server in the image", () => {
  it("runs as any user on a read-only root file system and becomes healthy", async () => {
    const name = testName("server");
    const volume = testName("cache");
    const container = await docker.createContainer({
      name,
      Image: legacy,
      User: "1000:1000",
      Healthcheck: {
        Test: ["CMD", "python", "healthcheck.py"],
        Interval: 1e9,
        Timeout: 5e9,
        Retries: 60,
      },
      HostConfig: {
        NetworkMode: "none",
        ReadonlyRootfs: true,
        Tmpfs: { "/tmp": "" },
        Mounts: [{ Type: "volume", Source: volume, Target: "/cache" }],
      },
    });
    try {
      await container.start();
      let status = "starting";
      for (let attempt = 0; status === "starting" && attempt < 120; attempt++) {
        await new Promise((resolve) => setTimeout(resolve, 500));
        status = (await container.inspect()).State.Health?.Status ?? "none";
      }
      expect(status).toBe("healthy");
      const written = await promisify(execFile)("docker", ["exec", name, "touch", "/cache/x"]);
      expect(written.stderr).toBe("");
    } finally {
      await container.remove({ force: true });
      await docker.getVolume(volume).remove();
    }
  });
});

describe("a failing check", () => {
  it.each([
    ["ONNXRUNTIME_VERSION", "1.15.1", "ONNX Runtime is 1.14.1, this image variant needs 1.15.1"],
    ["CUDNN_VERSION", "8.9.6.50", "cuDNN is 8.5.0, this image variant needs 8.9.6.50"],
  ])("ends the build when %s is %s", async (argument, value, message) => {
    const failure = await failureOf(build("kepler-maxwell", { buildArgs: { [argument]: value } }));
    // Docker's error names the check, for clients that do not show the output.
    expect(failure.message).toContain("python /checks/check.py");
    expect(failure.message).toContain(argument);
    expect(failure.log).toContain(`image check FAILED: ${message}`);
  });

  const packages = "$(ls -d /opt/venv/lib/python3*)/site-packages";
  const provider = `${packages}/onnxruntime`;
  it.each([
    [
      "the provider's library is missing",
      `rm ${provider}/capi/libonnxruntime_providers_cuda.so`,
      "session",
      "image check FAILED: a session asked for CUDA silently runs on the CPU",
    ],
    [
      "a CUDA library is missing",
      "rm /opt/cuda/nvidia/curand/lib/*.so*",
      "session",
      "image check FAILED: a session asked for CUDA silently runs on the CPU",
    ],
    [
      "a CUDA library comes from another folder",
      "mkdir /other && mv /opt/cuda/nvidia/curand/lib/libcurand.so.10 /other/ && " +
        "echo /other > /etc/ld.so.conf.d/000-first.conf && ldconfig",
      "session",
      "image check FAILED: /other/libcurand.so.10 is loaded, which is not from /opt/cuda",
    ],
    [
      "a part of cuDNN is missing",
      "rm /opt/cuda/nvidia/cudnn/lib/libcudnn_cnn_infer.so.8",
      "cudnn 8.5.0.96",
      "image check FAILED: cuDNN 8.5.0 cannot load all of its parts",
    ],
    [
      "cuDNN is missing",
      "rm -r /opt/cuda/nvidia/cudnn",
      "cudnn 8.5.0.96",
      "image check FAILED: no cuDNN under /opt/cuda",
    ],
    [
      "ONNX Runtime is the build for the CPU",
      "mkdir -p /fake/onnxruntime && printf \"__version__ = '1.14.1'\\ndef get_available_providers(): return ['CPUExecutionProvider']\\n\" > /fake/onnxruntime/__init__.py && export PYTHONPATH=/fake",
      "runtime 1.14.1",
      "image check FAILED: ONNX Runtime 1.14.1 has no CUDAExecutionProvider, only CPUExecutionProvider",
    ],
    [
      "the bridge is not installed",
      "rm $(ls -d /opt/venv/lib/python3*)/site-packages/opset_bridge.pth",
      "bridge",
      "image check FAILED: the opset bridge is not installed",
    ],
    [
      "a library that Immich uses is incomplete",
      `rm ${packages}/skimage/__init__.pyi`,
      "libraries",
      "image check FAILED: insightface.model_zoo cannot be imported: ValueError: Cannot load imports",
    ],
    [
      "a library that Immich uses is missing",
      `rm -r ${packages}/rapidocr`,
      "libraries",
      "image check FAILED: rapidocr cannot be imported: ModuleNotFoundError",
    ],
    [
      "Immich's server is missing",
      "rm -r /usr/src/immich_ml",
      "immich",
      "image check FAILED: cannot import: No module named 'immich_ml'",
    ],
    [
      "a program is setuid",
      "chmod u+s /usr/bin/tini",
      "setuid",
      "image check FAILED: setuid or setgid: /usr/bin/tini",
    ],
  ])("fails when %s", async (_, damage, check, message) => {
    const { status, output } = await inImage(legacy, `${damage}; python /checks/check.py ${check}`);
    expect(output).toContain(message);
    expect(status).toBe(1);
  });
});

describe("a second build", () => {
  it("reuses every layer when nothing changed", async () => {
    const { tag } = await build("kepler-maxwell");
    expect(await layersOf(tag)).toEqual(await layersOf(legacy));
  });

  it("keeps the CUDA and Python layers when the bridge changed, and adds only small ones", async () => {
    const after = await build("kepler-maxwell", {
      // Unique: an earlier run may have left this change in the cache on other layers.
      context: changedContext("opset_bridge/limits.py", `# ${randomUUID()}`),
    });
    const kept = commonStart(await layersOf(legacy), await layersOf(after.tag));
    expect(await bytesAbove(after.tag, kept)).toBeLessThan(1e6);
  });

  it("keeps all layers but the labels when only the Immich version changed", async () => {
    const after = await build("kepler-maxwell", { immichVersion: "v2.7.4" });
    expect(await layersOf(after.tag)).toEqual(await layersOf(legacy));
    const { Config } = await docker.getImage(after.tag).inspect();
    expect(Config.Labels?.["org.opencontainers.image.version"]).toBe("v2.7.4-onnxruntime1.14.1");
  });

  it.runIf(isNightly)(
    "keeps the CUDA libraries when Immich's major version or the variant changed",
    async () => {
      const [older, newer] = [
        await build("maxwell", { target: "cuda" }),
        await build("pascal-volta", { target: "cuda", immichVersion: "v3.1.0" }),
      ];
      expect((await layersOf(newer.tag)).at(-1)).toBe((await layersOf(older.tag)).at(-1));
    },
  );
});

describe("sources of the build", () => {
  it("adds the user's certificate to the system's bundle", async () => {
    const [certificate] = rootCertificates;
    const { tag } = await build("kepler-maxwell", {
      target: "system",
      buildArgs: { CA_CERTIFICATE: certificate! },
    });
    const { output } = await inImage(tag, "cat /etc/ssl/certs/ca-certificates.crt");
    expect(output).toContain(certificate!.trim());
    expect(output.split("BEGIN CERTIFICATE").length).toBeGreaterThan(100);
  });

  it("refuses a certificate that is not PEM text, in one line", async () => {
    const failure = await failureOf(
      build("kepler-maxwell", { target: "system", buildArgs: { CA_CERTIFICATE: "/etc/my.pem" } }),
    );
    expect(failure.log).toContain("caCertificate: not PEM text");
  });

  it("takes Debian's packages from the mirror", async () => {
    const failure = await failureOf(
      build("kepler-maxwell", {
        target: "system",
        buildArgs: { APT_MIRROR: "http://debian.invalid/debian" },
      }),
    );
    expect(failure.log).toMatch(/debian\.invalid/);
  });

  it("takes Python's packages from the index", async () => {
    const failure = await failureOf(
      build("kepler-maxwell", {
        target: "cuda",
        buildArgs: { PACKAGE_INDEX: "http://packages.invalid/simple" },
      }),
    );
    expect(failure.log).toMatch(/packages\.invalid/);
  });
});

describe("a proxy of the build", () => {
  it("is used, and is neither in the image's environment nor in its history", async () => {
    const name = "user:secret@proxy.invalid";
    const failure = await failureOf(
      build("kepler-maxwell", {
        target: "system",
        buildArgs: {
          HTTP_PROXY: `http://${name}:3128`,
          APT_MIRROR: "http://debian.invalid/debian",
        },
      }),
    );
    expect(failure.log).toMatch(/proxy\.invalid/);
    const { tag } = await build("kepler-maxwell", {
      buildArgs: { HTTP_PROXY: `http://${name}:3128`, HTTPS_PROXY: `http://${name}:3128` },
    });
    const { Config } = await docker.getImage(tag).inspect();
    const history = JSON.stringify(await docker.getImage(tag).history());
    expect(JSON.stringify(Config) + history).not.toContain("proxy.invalid");
  });
});

function commonStart(left: string[], right: string[]): number {
  const different = left.findIndex((layer, index) => layer !== right[index]);
  return different < 0 ? left.length : different;
}

/** Bytes in the layers above the first `count`. */
async function bytesAbove(tag: string, count: number): Promise<number> {
  const history = (await docker.getImage(tag).history()) as { Size: number; CreatedBy: string }[];
  const layers = await layersOf(tag);
  // Newest first, with entries for ENV and the like, which are no layers and have no size.
  const sizes = history.map(({ Size }) => Size);
  let above = 0;
  let layer = layers.length;
  for (const [index, size] of sizes.entries()) {
    const instruction = history[index]!.CreatedBy;
    const isLayer = /^(RUN|COPY|WORKDIR|\/bin\/sh -c (?!#\(nop\)))/.test(instruction);
    if (isLayer && --layer < count) break;
    above += size;
  }
  return above;
}
