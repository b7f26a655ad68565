import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";

import type { GpuFamilyName } from "../../catalog/gpuFamilies";
import { buildImage } from "../../demo/buildImage";
import { fakeBuildArgs } from "./builtImage";
import { fakes, startedDocker } from "./docker";
import { immichSources } from "./immichSource";

/** What the tests need besides the image: Immich's own, real OCR models, an emulator of old CPUs. */
const tools = "pytest==9.1.1 pytest-asyncio==1.3.0 pytest-mock==3.15.1 httpx==0.28.1";
const ocrModels = "rapidocr-onnxruntime==1.4.4";

export async function docker(...parameters: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)("docker", parameters, { maxBuffer: 2 ** 26 });
  return stdout.trim();
}

/** Runs a program. @returns how it ended, whatever its exit code */
export function ended(
  program: string,
  parameters: readonly string[],
  environment: Record<string, string> = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const options = { env: { ...process.env, ...environment }, maxBuffer: 2 ** 26 };
  return new Promise((resolve) => {
    execFile(program, parameters, options, (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    );
  });
}

/** Builds from a Dockerfile in a folder of its own. @param files what else is in it, by name */
export async function buildFrom(
  tag: string,
  dockerfile: string,
  copy: Record<string, string> = {},
) {
  const folder = mkdtempSync(path.join(tmpdir(), "immich-ml-test-immich-"));
  try {
    writeFileSync(path.join(folder, "Dockerfile"), dockerfile);
    for (const [name, source] of Object.entries(copy)) {
      mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
      cpSync(source, path.join(folder, name), { recursive: true });
    }
    await docker("build", "--quiet", "--tag", tag, folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * Builds an image variant with Immich's real code, and on it one with the tools of its tests.
 *
 * @returns the names of both, kept for the next run: their layers are large
 */
export async function realImage(gpuFamily: GpuFamilyName, version: string) {
  const source = immichSources.sources.get(version);
  if (source === undefined) throw new Error(`no source of Immich ${version}`);
  const name = `immich-ml-test-real-${gpuFamily}`;
  const immich = `immich-ml-test-real-source:${version}`;
  // As in Immich's image, of which a build copies no more.
  await buildFrom(immich, "FROM scratch\nCOPY . /usr/src/", {
    immich_ml: path.join(source, "immich_ml"),
    "healthcheck.py": path.join(source, "scripts/healthcheck.py"),
  });
  const images = { ...(await fakes()), immichMachineLearning: immich };
  const server = `${name}:${version}`;
  const buildArgs = fakeBuildArgs(gpuFamily, version, images);
  await buildImage(await startedDocker(), { tag: server, buildArgs });
  const tests = `${name}-tests:${version}`;
  // Not in Immich's image.
  const testFiles = ["test_main.py", "conftest.py", "pyproject.toml", "responses.json"].filter(
    (file) => existsSync(path.join(source, file)),
  );
  await buildFrom(
    tests,
    `FROM ${buildArgs["PYTHON_IMAGE"]} AS tools
RUN pip install --quiet --no-cache-dir --target /opt/tools --root-user-action ignore ${tools} \\
 && pip install --quiet --no-cache-dir --target /opt/tools --root-user-action ignore --no-deps ${ocrModels}
RUN apt-get update && apt-get install -y --no-install-recommends qemu-user-static \\
 && mv /usr/bin/qemu-x86_64-static /opt/tools/
FROM ${server}
COPY --from=tools /opt/tools /opt/tools
COPY . /opt/immich-tests
WORKDIR /opt/immich-tests
ENV PYTHONPATH=/usr/src:/opt/tools`,
    Object.fromEntries(testFiles.map((file) => [file, path.join(source, file)])),
  );
  return { server, tests, hasTests: testFiles.length > 0 };
}
