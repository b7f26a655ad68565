import { readFileSync, readdirSync } from "node:fs";

import { describe, expect, it } from "vitest";

import {
  gpuFamilyFor,
  gpuFamilies,
  immichVersionProblem,
  lockedImmichMajors,
  parseComputeCapability,
} from "../../catalog/gpuFamilies";
import { officialCudaRuntime, officialImage } from "../../catalog/immichReleases";
import { type ImmichVersion, parseImmichVersion } from "../../catalog/immichVersion";

function version(text: string): ImmichVersion {
  const parsed = parseImmichVersion(text);
  if (!parsed) throw new Error(text);
  return parsed;
}

/** What a card gets, in one word. */
function choice(computeCapability: string, immich: string): string {
  const chosen = gpuFamilyFor(computeCapability, version(immich));
  return chosen.kind === "gpuFamily" ? chosen.gpuFamily.name : chosen.kind;
}

describe("gpuFamilyFor", () => {
  it.each([
    // GTX 750 Ti, K80: no wheel since 1.15 has their code.
    ["5.0", "v2.4.1", "kepler-maxwell"],
    ["5.0", "v2.7.5", "kepler-maxwell"],
    ["5.0", "v3.1.0", "kepler-maxwell"],
    ["3.7", "v2.7.5", "kepler-maxwell"],
    // GTX 960: Immich's lock went from 1.19.2 to 1.23.2 in v2.5.0.
    ["5.2", "v2.2.0", "official"],
    ["5.2", "v2.4.1", "official"],
    ["5.2", "v2.5.0", "maxwell"],
    ["5.2", "v3.1.0", "maxwell"],
    // GTX 1060, V100: served until a lock at 1.27 or later; unknown after v3.1.0.
    ["6.1", "v2.7.5", "official"],
    ["6.1", "v3.1.0", "official"],
    ["6.1", "v3.1.1", "pascal-volta"],
    ["7.0", "v3.2.0", "pascal-volta"],
    ["7.0", "v9.0.0", "pascal-volta"],
    // cuDNN 9.14 in v2.1.0 alone.
    ["6.1", "v2.0.1", "official"],
    ["6.1", "v2.1.0", "pascal-volta"],
    // Turing and newer.
    ["7.5", "v2.7.5", "official"],
    ["8.6", "v9.0.0", "official"],
    ["12.0", "v3.1.0", "official"],
    // Jetson's odd ones are served by the code of the next older.
    ["5.3", "v2.7.5", "maxwell"],
    ["6.2", "v3.2.0", "pascal-volta"],
  ])("serves %s under Immich %s with %s", (capability, immich, expected) => {
    expect(choice(capability, immich)).toBe(expected);
  });

  it.each(["2.0", "2.1", "3.0", "3.5"])("refuses %s with the reason", (capability) => {
    expect(gpuFamilyFor(capability, version("v2.7.5"))).toEqual({
      kind: "unsupported",
      reason:
        `no ONNX Runtime wheel has machine code for compute capability ${capability}: the oldest ` +
        "supported GPUs are 3.7 (Tesla K80) and 5.0 (GTX 750 Ti); use accelerator cpu",
    });
  });

  it.each(["five", "5", "5.", "GTX 960", "", "-5.0", "5.25"])("refuses %j as no number", (text) => {
    expect(gpuFamilyFor(text, version("v2.7.5"))).toEqual({
      kind: "unsupported",
      reason: `"${text}" is not a compute capability; one looks like 5.0`,
    });
  });

  it("says that there is no CUDA image before v1.94.0", () => {
    expect(gpuFamilyFor("8.6", version("v1.93.0"))).toEqual({
      kind: "unsupported",
      reason: "Immich v1.93.0 has no CUDA image; the first is v1.94.0",
    });
  });

  it("never gives a card a runtime without machine code for it", () => {
    const oldest = { "1.14.1": 37, "1.20.2": 52, "1.26.0": 60 } as const;
    for (const capability of ["3.7", "5.0", "5.2", "5.3", "6.0", "6.1", "6.2", "7.0", "7.2"]) {
      for (const immich of ["v2.2.0", "v2.5.5", "v2.7.5", "v3.1.0", "v3.9.0"]) {
        const chosen = gpuFamilyFor(capability, version(immich));
        const needed =
          chosen.kind === "gpuFamily"
            ? oldest[chosen.gpuFamily.onnxRuntime as keyof typeof oldest]
            : parseComputeCapability(
                officialCudaRuntime(version(immich))!.minimumComputeCapability,
              )!;
        expect(parseComputeCapability(capability)).toBeGreaterThanOrEqual(needed);
      }
    }
  });
});

describe("immichVersionProblem", () => {
  it.each(["v2.2.0", "v2.7.5", "v3.0.0", "v3.99.0"])("accepts %s", (text) => {
    expect(immichVersionProblem(version(text))).toBeUndefined();
  });

  it.each(["v1.131.0", "v2.1.9", "v4.0.0"])("says which versions have locks for %s", (text) => {
    expect(immichVersionProblem(version(text))).toBe(
      `${text} cannot be built: locks exist for v2.2.0 to v3.x`,
    );
  });
});

describe("officialImage", () => {
  it("is taken by digest where one is known", () => {
    expect(officialImage(version("v2.7.5"))).toBe(
      "ghcr.io/immich-app/immich-machine-learning:v2.7.5@sha256:a2501141440f10516d329fdfba2c68082e19eb9ba6016c061ac80d23beadf7f3",
    );
  });

  it("is taken by tag otherwise, with Immich's suffix", () => {
    expect(officialImage(version("v2.6.0"))).toBe(
      "ghcr.io/immich-app/immich-machine-learning:v2.6.0",
    );
    expect(officialImage(version("v2.7.5"), "-cuda")).toBe(
      "ghcr.io/immich-app/immich-machine-learning:v2.7.5-cuda",
    );
  });
});

describe("the locks", () => {
  const folder = "image/requirements/locks";
  const read = (name: string) => readFileSync(`${folder}/${name}`, "utf8");
  /** Package -> version. */
  const pins = (name: string) =>
    Object.fromEntries(
      [...read(name).matchAll(/^([a-z0-9-]+)==(\S+)/gm)].map((match) => [match[1]!, match[2]!]),
    );
  const families = Object.values(gpuFamilies);

  it("are one for each GPU family and Immich major, and one for each CUDA", () => {
    const expected = families.flatMap(({ name, cuda }) => [
      `cuda-${cuda}.txt`,
      ...lockedImmichMajors.map((major) => `${name}-v${major}.txt`),
    ]);
    expect(readdirSync(folder).sort()).toEqual([...new Set(expected)].sort());
  });

  it.each(families)("of $name pin the runtime and the cuDNN of the catalog", (gpuFamily) => {
    const cuda = pins(`cuda-${gpuFamily.cuda}.txt`);
    expect(Object.entries(cuda).find(([name]) => name.startsWith("nvidia-cudnn"))?.[1]).toBe(
      gpuFamily.cudnn,
    );
    const runtime = Object.entries(cuda).find(([name]) => name.startsWith("nvidia-cuda-runtime"));
    expect(runtime?.[1].startsWith(`${gpuFamily.cuda}.`)).toBe(true);
    for (const major of lockedImmichMajors) {
      expect(pins(`${gpuFamily.name}-v${major}.txt`)["onnxruntime-gpu"]).toBe(
        gpuFamily.onnxRuntime,
      );
    }
  });

  const ofTests = ["requirements.txt", "reference-requirements.txt"];
  it.each([...readdirSync(folder), ...ofTests.map((name) => `../../tests/${name}`)])(
    "%s has a hash for each package and no address",
    (name) => {
      const blocks = read(name)
        .replace(/^#.*$/gm, "")
        .split(/\n(?=[a-z0-9])/)
        .filter((block) => block.trim() !== "");
      expect(blocks.length).toBeGreaterThan(4);
      for (const block of blocks) {
        expect(block).toMatch(
          /^\s*[a-z0-9-]+==\S+ (; .+ )?\\\n(\s+--hash=sha256:[0-9a-f]{64}( \\)?\n?)+\s*$/,
        );
      }
      expect(read(name)).not.toMatch(/https?:|--index|--find-links/);
    },
  );

  it("hold the rapidocr that fits the Immich version", () => {
    // From 3.8 on it breaks OCR of Immich before v3.0 (immich-app/immich#28128).
    for (const { name } of families) {
      expect(pins(`${name}-v2.txt`)["rapidocr"]).toBe("3.4.0");
      expect(pins(`${name}-v3.txt`)["rapidocr"]).toBe("3.8.1");
    }
  });

  it("hold a numpy that runs on CPUs without SSE4.2, which 2.4 needs", () => {
    for (const { name } of families) {
      for (const major of lockedImmichMajors) {
        expect(pins(`${name}-v${major}.txt`)["numpy"]).toMatch(/^(1\.|2\.[0-3]\.)/);
      }
    }
  });

  it("hold no second build of a module that would lie over the wanted one", () => {
    for (const name of readdirSync(folder)) {
      expect(pins(name)).not.toHaveProperty("onnxruntime");
      expect(pins(name)).not.toHaveProperty("opencv-python");
    }
  });

  it("hold an onnx that converts from opset 19 (1.20.1 is the first)", () => {
    for (const { name } of families) {
      for (const major of lockedImmichMajors) {
        const [first, second, third] = pins(`${name}-v${major}.txt`)
          ["onnx"]!.split(".")
          .map(Number);
        expect([first! > 1 || second! > 20 || (second === 20 && third! >= 1)]).toEqual([true]);
      }
    }
  });
});
