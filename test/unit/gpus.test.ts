import { describe, expect, it } from "vitest";

import { gpuFamilyFor, parseComputeCapability } from "../../catalog/gpuFamilies";
import { findGpu, gpuModels, nearestGpus } from "../../catalog/gpus";

const immich = { major: 2, minor: 7, patch: 5 };

describe("findGpu", () => {
  it.each([
    ["GeForce GTX 750 Ti", "5.0", 2048],
    ["NVIDIA GeForce GTX 750 Ti", "5.0", 2048],
    ["gtx 750ti", "5.0", 2048],
    ["GTX750TI", "5.0", 2048],
    ["gtx-960", "5.2", 2048],
    ["Tesla K80", "3.7", 12288],
    ["NVIDIA TITAN V", "7.0", 12288],
    ["NVIDIA GeForce GTX 1060 6GB", "6.1", 6144],
    ["Quadro P2000", "6.1", 5120],
    ["NVIDIA GeForce RTX 3060", "8.6", 8192],
  ])("finds %s", (name, computeCapability, videoMemory) => {
    expect(findGpu(name)).toMatchObject({ computeCapability, videoMemory });
  });

  it("tells the Ti from the plain card, which may need another image", () => {
    expect(findGpu("GTX 1050")?.name).toBe("GeForce GTX 1050");
    expect(findGpu("GTX 1050 Ti")?.name).toBe("GeForce GTX 1050 Ti");
  });

  it("does not guess", () => {
    expect(findGpu("GTX 751")).toBeUndefined();
    expect(findGpu("")).toBeUndefined();
    expect(findGpu("GeForce")).toBeUndefined();
  });
});

describe("nearestGpus", () => {
  it("names the meant card first", () => {
    expect(nearestGpus("GeForce GTX 750 To")[0]).toBe("GeForce GTX 750 Ti");
    expect(nearestGpus("GTX 9600")).toContain("GeForce GTX 960");
  });

  it("names nothing for what is like no card", () => {
    expect(nearestGpus("Radeon RX 580 XTX")).toEqual([]);
    expect(nearestGpus("")).toEqual([]);
  });
});

describe("gpuModels", () => {
  it("holds each card once", () => {
    const found = gpuModels.map((card) => findGpu(card.name));
    expect(found).toEqual(gpuModels);
  });

  it("holds only compute capabilities and plausible memory", () => {
    for (const card of gpuModels) {
      expect(parseComputeCapability(card.computeCapability), card.name).toBeDefined();
      expect(card.videoMemory % 1024, card.name).toBe(0);
      expect(card.videoMemory, card.name).toBeGreaterThanOrEqual(1024);
    }
  });

  it("holds cards that are served in each way", () => {
    const kinds = new Set(
      gpuModels.map((card) => {
        const choice = gpuFamilyFor(card.computeCapability, immich);
        return choice.kind === "gpuFamily" ? choice.gpuFamily.name : choice.kind;
      }),
    );
    expect([...kinds].sort()).toEqual(["kepler-maxwell", "maxwell", "official", "unsupported"]);
  });
});
