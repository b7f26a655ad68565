import { mkdtempSync, cpSync, writeFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import * as pulumi from "@pulumi/pulumi";
import { afterEach, beforeAll, describe, expect, it } from "vitest";

import { buildLogFile } from "../../components/buildProgress";
import { imageBuild } from "../../components/imageBuild";

const dev = {
  gpuFamily: "kepler-maxwell",
  immichVersion: "v2.7.5",
  contextPath: "image",
} as const;

const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
});

/** A copy of the build context that a test may change. */
function contextCopy(): string {
  const directory = mkdtempSync(join(tmpdir(), "immich-ml-test-context-"));
  directories.push(directory);
  cpSync("image", directory, { recursive: true });
  return directory;
}

describe("imageBuild", () => {
  it("gives the dev stack's build its exact arguments", () => {
    const build = imageBuild(dev);
    expect(build.buildArgs).toEqual({
      PYTHON_IMAGE:
        "docker.io/library/python:3.10-slim-bookworm@sha256:68d914ec641a0b69267ce65184d000a2bc3a9ee2590ab702b82250ab2385735a",
      IMMICH_IMAGE:
        "ghcr.io/immich-app/immich-machine-learning:v2.7.5@sha256:a2501141440f10516d329fdfba2c68082e19eb9ba6016c061ac80d23beadf7f3",
      GPU_FAMILY: "kepler-maxwell",
      IMMICH_VERSION: "v2.7.5",
      ONNXRUNTIME_VERSION: "1.14.1",
      CUDNN_VERSION: "8.5.0.96",
      LOCK: "requirements/locks/kepler-maxwell-v2.txt",
      CUDA_LOCK: "requirements/locks/cuda-11.8.txt",
    });
    expect(build.reference).toBe(`immich-ml-legacy:v2.7.5-onnxruntime1.14.1-${build.contentHash}`);
    expect(build.contentHash).toMatch(/^[0-9a-f]{12}$/);
  });

  it("takes the lock of Immich's major version", () => {
    expect(imageBuild({ ...dev, immichVersion: "v3.1.0" }).buildArgs["LOCK"]).toBe(
      "requirements/locks/kepler-maxwell-v3.txt",
    );
  });

  it("puts a single mirror before the whole reference", () => {
    const { buildArgs } = imageBuild({ ...dev, imageMirror: "mirror.example.org/" });
    expect(buildArgs["PYTHON_IMAGE"]).toMatch(
      /^mirror\.example\.org\/docker\.io\/library\/python:3\.10-slim-bookworm@sha256:/,
    );
    expect(buildArgs["IMMICH_IMAGE"]).toMatch(
      /^mirror\.example\.org\/ghcr\.io\/immich-app\/immich-machine-learning:v2\.7\.5@sha256:/,
    );
  });

  it("replaces only the registries that have a mirror of their own", () => {
    const { buildArgs } = imageBuild({ ...dev, imageMirror: { "ghcr.io": "ghcr.example.org" } });
    expect(buildArgs["PYTHON_IMAGE"]).toMatch(/^docker\.io\//);
    expect(buildArgs["IMMICH_IMAGE"]).toMatch(/^ghcr\.example\.org\/immich-app\//);
  });

  it("leaves an image that was given by hand alone, mirror or not", () => {
    const { buildArgs } = imageBuild({
      ...dev,
      pythonImage: "local/python:3.10",
      immichImage: "local/immich:v2.7.5",
      imageMirror: "mirror.example.org",
    });
    expect(buildArgs["PYTHON_IMAGE"]).toBe("local/python:3.10");
    expect(buildArgs["IMMICH_IMAGE"]).toBe("local/immich:v2.7.5");
  });

  it("passes mirrors, certificate and proxies on, and nothing that was not given", () => {
    const certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    expect(
      imageBuild({
        ...dev,
        packageIndex: "https://pypi.example.org/simple",
        aptMirror: "http://debian.example.org/debian",
        caCertificate: certificate,
        httpProxy: "http://proxy.example.org:3128",
        httpsProxy: "http://proxy.example.org:3128",
        noProxy: "example.org",
      }).buildArgs,
    ).toMatchObject({
      PACKAGE_INDEX: "https://pypi.example.org/simple",
      APT_MIRROR: "http://debian.example.org/debian",
      CA_CERTIFICATE: certificate.trim(),
      HTTP_PROXY: "http://proxy.example.org:3128",
      HTTPS_PROXY: "http://proxy.example.org:3128",
      NO_PROXY: "example.org",
    });
  });

  it("has the same hash wherever the checkout lies", () => {
    expect(imageBuild({ ...dev, contextPath: contextCopy() }).contentHash).toBe(
      imageBuild(dev).contentHash,
    );
  });

  it.each(["Dockerfile", "setup/install.sh", "checks/check.py", "opset_bridge/__init__.py"])(
    "changes its hash with %s",
    (file) => {
      const contextPath = contextCopy();
      writeFileSync(join(contextPath, file), "# changed\n", { flag: "a" });
      expect(imageBuild({ ...dev, contextPath }).contentHash).not.toBe(imageBuild(dev).contentHash);
    },
  );

  it("changes its hash with its own lock, a build argument and the file for the log", () => {
    const contextPath = contextCopy();
    const lock = join(contextPath, "requirements/locks/kepler-maxwell-v2.txt");
    writeFileSync(lock, "# changed\n", { flag: "a" });
    const hashes = [
      imageBuild(dev),
      imageBuild({ ...dev, contextPath }),
      imageBuild({ ...dev, immichImage: "local/immich" }),
      // Another file replaces the image, whose tag the old one would take away.
      imageBuild({ ...dev, logFile: ".build.log" }),
    ].map((build) => build.contentHash);
    expect(new Set(hashes).size).toBe(4);
  });

  it.each([
    "requirements/locks/kepler-maxwell-v3.txt",
    "requirements/locks/cuda-12.2.txt",
    "requirements/immich-v2.in",
    "lock.ts",
    "README.md",
    "opset_bridge/__pycache__/convert.cpython-310.pyc",
  ])("keeps its hash when %s changes, which this build does not read", (file) => {
    const contextPath = contextCopy();
    cpSync("image/checks", join(contextPath, "opset_bridge/__pycache__"), { recursive: true });
    rmSync(join(contextPath, "opset_bridge/__pycache__"), { recursive: true });
    cpSync("package.json", join(contextPath, file), { recursive: true });
    expect(imageBuild({ ...dev, contextPath }).contentHash).toBe(imageBuild(dev).contentHash);
  });

  it.each([
    [
      { gpuFamily: "fermi" },
      'gpuFamily "fermi" is unknown; allowed: kepler-maxwell, maxwell, pascal-volta',
    ],
    [{ immichVersion: "release" }, 'immichVersion "release" is not a release such as v2.7.5'],
    [
      { immichVersion: "v1.131.0" },
      "immichVersion v1.131.0 cannot be built: locks exist for v2.2.0 to v3.x",
    ],
    [
      { immichVersion: "v4.0.0" },
      "immichVersion v4.0.0 cannot be built: locks exist for v2.2.0 to v3.x",
    ],
    [
      { packageIndex: "pypi.example.org" },
      'packageIndex "pypi.example.org" must be a URL that begins with http:// or https://',
    ],
    [{ aptMirror: "ftp://example.org" }, 'aptMirror "ftp://example.org" must be a URL'],
    [{ caCertificate: "/etc/ssl/my.pem" }, "caCertificate is not PEM text"],
    [
      { caCertificate: `-----BEGIN CERTIFICATE-----${"A".repeat(131072)}` },
      "caCertificate has 131099 characters, at most 131072 are possible",
    ],
    [{ contextPath: "nowhere" }, 'contextPath "nowhere" contains no Dockerfile'],
  ])("refuses %j", (wrong, message) => {
    expect(() => imageBuild({ ...dev, ...(wrong as Partial<typeof dev>) })).toThrow(message);
  });
});

describe("the tag", () => {
  it("differs between two owners of the same build, so that each can delete its own", () => {
    const [one, other] = ["a/dev/x", "b/dev/x"].map((owner) => imageBuild({ ...dev, owner }));
    expect(one!.reference).not.toBe(other!.reference);
    expect(one!.buildArgs).toEqual(other!.buildArgs);
  });
});

describe("LegacyImage", () => {
  const resources: pulumi.runtime.MockResourceArgs[] = [];

  beforeAll(async () => {
    await pulumi.runtime.setMocks({
      newResource: (resource) => {
        resources.push(resource);
        return {
          id: resource.name,
          state: { ...(resource.inputs as object), imageId: "sha256:0123" },
        };
      },
      call: (call) => call.inputs as object,
    });
  });

  it("registers one image with exact inputs under its own name", async () => {
    const { LegacyImage } = await import("../../components/legacyImage.js");
    const image = new LegacyImage("attic-image", {
      gpuFamily: "kepler-maxwell",
      immichVersion: "v2.7.5",
    });
    const [imageId, reference] = await new Promise<[string, string]>((resolve) => {
      pulumi.all([image.imageId, image.reference]).apply((values) => {
        resolve(values);
      });
    });
    const logFile = buildLogFile("attic-image")!;
    const expected = imageBuild({ ...dev, owner: "project/stack/attic-image", logFile });
    expect(imageId).toBe("sha256:0123");
    expect(reference).toBe(expected.reference);
    expect(
      resources.map(({ type, name, inputs }) => ({ type, name, inputs: inputs as unknown })),
    ).toEqual([
      {
        type: "immich-ml:index:LegacyImage",
        name: "attic-image",
        inputs: expect.anything() as unknown,
      },
      {
        type: "docker:index/remoteImage:RemoteImage",
        name: "attic-image",
        inputs: {
          name: expected.reference,
          build: { context: "image", buildArgs: expected.buildArgs, buildLogFile: logFile },
          triggers: { content: expected.contentHash },
        },
      },
    ]);
  });
});
