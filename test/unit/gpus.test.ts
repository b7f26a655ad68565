import { describe, expect, it } from "vitest";

import { gpuFamilyFor, parseComputeCapability } from "../../catalog/gpuFamilies";
import { capabilityOf } from "../../catalog/gpuChips";
import { acceleratorOf, findGpu, nearestGpus } from "../../catalog/gpuNames";
import { gpuModels } from "../../catalog/gpus";
import { resolveGpu } from "../../config/gpu";
import type { HostEntry } from "../../config/schema";

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

  it.each([
    ["K80", "3.7", 12288],
    ["Tesla K80 24GB", "3.7", 12288],
    ["750 Ti", "5.0", 2048],
    ["GTX 750", "5.0", 1024],
    ["gtx750ti 4GB", "5.0", 4096],
    ["Quadro K620", "5.0", 2048],
    ["K2200", "5.0", 4096],
    ["M10", "5.0", 8192],
    ["GeForce 940MX", "5.0", 2048],
    ["GTX 960 4GB", "5.2", 4096],
    ["GeForce GTX 960 4G", "5.2", 4096],
    ["MSI GeForce GTX 960 2GB GDDR5", "5.2", 2048],
    ["960", "5.2", 2048],
    ["Titan X (Maxwell)", "5.2", 12288],
    ["NVIDIA GeForce GTX TITAN X", "5.2", 12288],
    ["Tesla M40 24GB", "5.2", 24576],
    ["M60", "5.2", 8192],
    ["Jetson Nano", "5.3", 4096],
    ["Tesla P100-PCIE-16GB", "6.0", 16384],
    ["Tesla P100-PCIE-12GB", "6.0", 12288],
    ["NVIDIA Tesla P100-SXM2-16GB", "6.0", 16384],
    ["P4", "6.1", 8192],
    ["P40", "6.1", 24576],
    ["Tesla P40", "6.1", 24576],
    ["GRID P40-8Q", "6.1", 8192],
    ["NVIDIA P106-100", "6.1", 6144],
    ["P106-100", "6.1", 6144],
    ["P104-100", "6.1", 4096],
    ["P104-100 8GB", "6.1", 8192],
    ["P102-100", "6.1", 5120],
    ["1060", "6.1", 3072],
    ["GTX1060-6GB", "6.1", 6144],
    ["NVIDIA GeForce GTX 1060 5GB", "6.1", 5120],
    ["GTX 1050 Ti Mobile", "6.1", 4096],
    ["NVIDIA GeForce GTX 1070 with Max-Q Design", "6.1", 8192],
    ["ASUS GTX 1080 Ti 11GB", "6.1", 11264],
    ["GTX 1030", "6.1", 2048],
    ["Titan X Pascal", "6.1", 12288],
    ["NVIDIA TITAN X (Pascal)", "6.1", 12288],
    ["Titan Xp", "6.1", 12288],
    ["Quadro P600", "6.1", 2048],
    ["P2200", "6.1", 5120],
    ["Tesla V100-SXM2-32GB", "7.0", 32768],
    ["V100", "7.0", 16384],
    ["Tesla V100-FHHL-16GB", "7.0", 16384],
    ["Tesla PG503-216", "7.0", 32768],
    ["CMP 100-210", "7.0", 16384],
    ["GTX 1660 SUPER", "7.5", 6144],
    ["1650 Super", "7.5", 4096],
    ["NVIDIA GeForce RTX 2080 SUPER", "7.5", 8192],
    ["Quadro T1000", "7.5", 4096],
    ["Tesla T4", "7.5", 16384],
  ])("knows %s as the driver, shops or people write it", (name, computeCapability, videoMemory) => {
    expect(findGpu(name)).toMatchObject({ computeCapability, videoMemory });
  });

  it.each([
    ["GPU 0: NVIDIA GeForce GTX 1060 6GB (UUID: GPU-8e5e22a2-43f2-1f6d)", "6.1", 6144],
    ["NVIDIA Corporation GM107 [GeForce GTX 750 Ti] (rev a2)", "5.0", 2048],
    [
      "01:00.0 3D controller [0302]: NVIDIA Corporation GP104GL [Tesla P4] [10de:1bb3] (rev a1)",
      "6.1",
      8192,
    ],
    ["TU117M [GeForce GTX 1650 Mobile / Max-Q]", "7.5", 4096],
    ["NVIDIA GeForce GTX 970/PCIe/SSE2", "5.2", 4096],
    ["GTX 960 (GM206)", "5.2", 2048],
    ["2x Tesla K80", "3.7", 12288],
    ["MSI GTX 1060 Gaming X 6G", "6.1", 6144],
    ["ASUS ROG Strix GTX 1080", "6.1", 8192],
    ["EVGA GeForce GTX 970 SSC ACX 2.0+", "5.2", 4096],
    ["Gigabyte GTX 1050 Ti Windforce OC 4G", "6.1", 4096],
    ["Palit GTX 1070 Super JetStream", "6.1", 8192],
    ["GeForce GTX 1060 6GB Rev. 2", "6.1", 6144],
    ["Quadro P620 V2", "6.1", 2048],
    ["Tesla K80m", "3.7", 12288],
    ["Tesla K40m", "3.5", 12288],
    ["Tesla K20Xm", "3.5", 6144],
    ["GRID M60-2Q", "5.2", 2048],
    ["GRID M10-0B", "5.0", 512],
    ["GRID P100X-8Q", "6.0", 8192],
    ["GRID V100DX-16Q", "7.0", 16384],
    ["Tesla V100-SXM2-32GB-LS", "7.0", 32768],
    ["Tesla P10", "6.1", 24576],
    ["NVIDIA Tegra X1", "5.3", 4096],
    ["Orin (nvgpu)", "8.7", 32768],
    ["Xavier NX", "7.2", 8192],
    ["GTX 1660S", "7.5", 6144],
    ["NVIDIA H100 80GB HBM3", "9.0", 81920],
    ["NVIDIA A16-4Q", "8.6", 4096],
    ["NVIDIA RTX 4000 Ada Generation", "8.9", 20480],
    ["RTX 4000", "7.5", 8192],
    ["Quadro 4000", "2.0", 2048],
    ["GTX 580", "2.0", 1024],
    ["GeForce GT 610", "2.1", 1024],
    ["GTX 780M", "3.0", 4096],
    ["GRID K2", "3.0", 4096],
    ["GT 730M", "3.5", 1024],
  ])("knows %s as it is copied from somewhere", (name, computeCapability, videoMemory) => {
    expect(findGpu(name)).toMatchObject({ computeCapability, videoMemory });
  });

  it.each([
    ["EVGA GTX 1060 SC GAMING 6GB 06G-P4-6163-KR", "6.1", 6144],
    ["Palit GeForce GTX 1660 SUPER GamingPro", "7.5", 6144],
    ["PNY NVIDIA Quadro P400 2GB GDDR5 VCQP400-PB", "6.1", 2048],
    ["Lenovo ThinkStation Nvidia Quadro P620 2GB", "6.1", 2048],
    ["HP NVIDIA T400 4GB 3mDP", "7.5", 4096],
    ["Inno3D GTX 1080 Ti X3", "6.1", 11264],
    ["Asus GT1030-2G-BRK", "6.1", 2048],
    ["影驰 GTX 1060 6G", "6.1", 6144],
    ["英伟达 Tesla P4 8G", "6.1", 8192],
    ["eGPU GTX 1070", "6.1", 8192],
    ["GTX 1070 x2", "6.1", 8192],
    ["GTX 970 3.5GB", "5.2", 3584],
    ["GeForce RTX 2070 SUPER Mobile / Max-Q", "7.5", 8192],
    ["GeForce RTX 3060 Lite Hash Rate", "8.6", 8192],
    ["GeForce 945M / 945A", "5.0", 2048],
    ["OpenGL renderer string: NVIDIA GeForce GTX 1060 6GB/PCIe/SSE2", "6.1", 6144],
    ["NVIDIA GeForce GTX 1050 Ti (NVK GP107)", "6.1", 4096],
    [
      "|   0  Tesla K80           On   | 0000:04:00.0     Off |                    0 |",
      "3.7",
      12288,
    ],
    ["Product Name                          : NVIDIA GeForce GTX 980 Ti", "5.2", 6144],
    ["NVIDIA A30 MIG 1g.6gb", "8.0", 6144],
    ["NVIDIA A100-SXM4-40GB MIG 1g.5gb+me", "8.0", 5120],
    ["Jetson Nano B01 4GB", "5.3", 4096],
    ["NVIDIA Tegra X1 (nvgpu)/integrated", "5.3", 4096],
    ["CMP 100HX-210", "7.0", 16384],
    ["30HX", "7.5", 6144],
    ["Jetson TX2i", "6.2", 4096],
    ["NVIDIA Thor", "11.0", 131072],
    // One name with several chips: the chip decides.
    ["NVIDIA Corporation GK208 [GeForce GT 630 Rev. 2] (rev a1)", "3.5", 2048],
    ["NVIDIA Corporation GK104M [GeForce GTX 860M] (rev a1)", "3.0", 2048],
    ["NVIDIA Corporation GF108 [GeForce GT 730] (rev a1)", "2.1", 1024],
  ])("finds the card in %s", (name, computeCapability, videoMemory) => {
    expect(findGpu(name)).toMatchObject({ computeCapability, videoMemory });
  });

  it.each([
    "GTX 1070, GTX 750 Ti",
    "RTX 3000 Ada Generation Laptop GPU",
    "Titan X/Xp",
    "GTX 1660 Ti Ada",
  ])("takes %s for no card by a part of it", (name) => {
    expect(findGpu(name)).toBeUndefined();
  });

  it("finds every card by its name in any case, with the maker and without blanks", () => {
    for (const { name, computeCapability } of gpuModels) {
      for (const spelling of [name.toUpperCase(), `NVIDIA ${name}`, name.replaceAll(" ", "")]) {
        expect(findGpu(spelling)?.computeCapability, spelling).toBe(computeCapability);
      }
    }
  });

  it("takes a name for no other card of another capability", () => {
    for (const name of [
      "Titan",
      "GTX 1060 Ti",
      "GTX 1090",
      "P104",
      "NVIDIA Corporation Device [10de:1b81]",
      "Radeon RX 480",
      "RX 580 8GB",
      "Arc A380",
      "8GB",
    ]) {
      const found = findGpu(name);
      expect(found === undefined || found.name === "GTX TITAN", name).toBe(true);
    }
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

describe("capabilityOf", () => {
  it.each([
    ["GM107", "5.0"],
    ["gp104-400", "6.1"],
    ["GK210GL", "3.7"],
    ["TU116", "7.5"],
    ["OpenGL renderer string: NV117", "5.0"],
    ["NV134", "6.1"],
    ["10de:1381", "5.0"],
    ["NVIDIA Corporation Device [10de:1b81]", "6.1"],
    ["01:00.0 VGA compatible controller: NVIDIA Corporation Device 2187 (rev a1)", "7.5"],
    ["10de:102d", "3.7"],
    ["GeForce 210", "1.2"],
    ["GeForce 8400 GS", "1.1"],
    ["GTX 285", "1.2"],
    ["Quadro FX 580", "1.1"],
    ["GeForce GTS 450", "2.1"],
    ["GeForce 820M", "2.1"],
    ["RTX 3500 Ada Generation Laptop GPU", "8.9"],
    ["RTX PRO 6000 Blackwell Workstation Edition", "12.0"],
    ["GeForce RTX 5070 Ti SUPER", "12.0"],
    ["GH200 480GB", "9.0"],
  ])("knows %s without a row of its own", (name, computeCapability) => {
    expect(capabilityOf(name)).toBe(computeCapability);
  });

  it.each([
    "GTX 1061",
    "GTX 75O Ti",
    "Pascal",
    "NVIDIA Graphics Device",
    "10de:2000",
    "1002:67df",
    "GeForce",
    "",
  ])("guesses nothing of %s", (name) => {
    expect(capabilityOf(name)).toBeUndefined();
  });

  it("contradicts no row of the table", () => {
    for (const { name, computeCapability } of gpuModels) {
      expect([undefined, computeCapability].map(major), name).toContain(major(capabilityOf(name)));
    }
  });
});

/** Fermi's and older series mix two capabilities, none of which any image serves. */
function major(computeCapability: string | undefined): string | undefined {
  return /^[12]/.test(computeCapability ?? "") ? "too old" : computeCapability;
}

describe("gpu in a stack file", () => {
  const resolved = (gpu: string | number) =>
    resolveGpu({ name: "attic", gpu } as HostEntry, "hosts[0]", {});

  it.each([
    ["5", "5.0"],
    [5, "5.0"],
    ["12", "12.0"],
    ["CC 5.0", "5.0"],
    ["compute capability 6.1", "6.1"],
    ["sm61", "6.1"],
    ["sm_120", "12.0"],
    ["GP106", "6.1"],
    ["10de:1c82", "6.1"],
    ["GeForce 210", "1.2"],
  ])("%s has compute capability %s", (gpu, computeCapability) => {
    expect(resolved(gpu)).toMatchObject({ value: { computeCapability }, problems: [] });
  });

  it.each([
    ["Ryzen 7 5700G", "rocm"],
    ["N100", "openvino"],
    ["Coral TPU", "cpu"],
  ])("%s leads to the accelerator %s", (gpu, accelerator) => {
    expect(resolved(gpu).problems[0]?.expected).toBe(
      `is not an NVIDIA card: leave gpu out and set accelerator: ${accelerator}`,
    );
  });
});

describe("acceleratorOf", () => {
  it.each([
    [
      "rocm",
      ["Ryzen 7 5700G", "MI50", "R9 290X", "HD 7970", "W6600", "7900 XTX", "9070 XT", "8060S"],
    ],
    [
      "openvino",
      ["HD 630", "A380", "B580", "N100", "J4125", "Celeron N5105", "i5-8500T", "Quick Sync Video"],
    ],
    ["openvino", ["Alder Lake-N", "Arc A770 16GB", "Intel HD 4600"]],
    ["openvino", ["openvino", "DG2"]],
    ["rocm", ["rocm", "Renoir", "Navi 23"]],
    ["rknn", ["Orange Pi 5", "Rock 5B", "NanoPC CM3588", "Turing RK1", "rknn"]],
    [
      "cpu",
      ["Raspberry Pi 5", "Apple M1", "Coral TPU", "llvmpipe (LLVM 15.0.6, 256 bits)", "virtio-gpu"],
    ],
    ["cpu", ["VMware SVGA", "Matrox G200eW3", "ASPEED AST2500", "Cirrus Logic GD 5446", "no gpu"]],
  ] as const)("names %s for %s", (accelerator, names) => {
    for (const name of names) {
      expect(findGpu(name), name).toBeUndefined();
      expect(acceleratorOf(name), name).toBe(accelerator);
    }
  });

  it("takes no card of NVIDIA's for another company's", () => {
    for (const { name } of gpuModels) expect(acceleratorOf(name), name).toBeUndefined();
  });
});

describe("nearestGpus", () => {
  it("finds a name with two letters exchanged, and none with another number", () => {
    expect(nearestGpus("Telsa P4")[0]).toBe("Tesla P4");
    expect(nearestGpus("Quadra P2000")[0]).toBe("Quadro P2000");
    expect(nearestGpus("GeForce 999")).toEqual([]);
  });

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
