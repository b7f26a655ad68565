import { distance } from "fastest-levenshtein";

/** A model of NVIDIA GPU. */
export interface GpuModel {
  /** As NVIDIA writes it, without the company's name. */
  readonly name: string;
  /** Such as `5.0`. */
  readonly computeCapability: string;
  /** MiB of the smallest usual board. */
  readonly videoMemory: number;
}

/**
 * Name and MiB of the common GPUs by compute capability, from NVIDIA's lists
 * (developer.nvidia.com/cuda-gpus and /cuda-legacy-gpus) and data sheets. A name that was sold with
 * different chips stands under the older one; the driver (`gpu: auto`) knows better.
 */
const gpusByCapability: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  "2.1": { "GeForce GT 430": 1024, "GeForce GT 440": 1024, "GeForce GT 630": 1024 },
  "3.0": {
    "GeForce GT 640": 1024,
    "GeForce GT 740": 1024,
    "GeForce GTX 650": 1024,
    "GeForce GTX 650 Ti": 1024,
    "GeForce GTX 660": 2048,
    "GeForce GTX 660 Ti": 2048,
    "GeForce GTX 670": 2048,
    "GeForce GTX 680": 2048,
    "GeForce GTX 690": 2048,
    "GeForce GTX 760": 2048,
    "GeForce GTX 770": 2048,
    "Quadro K420": 1024,
    "Quadro K600": 1024,
    "Quadro K2000": 2048,
    "Quadro K4000": 3072,
    "Quadro K4200": 4096,
    "Quadro K5000": 4096,
    "Tesla K10": 4096,
  },
  "3.5": {
    "GeForce GT 710": 1024,
    "GeForce GT 720": 1024,
    "GeForce GT 730": 1024,
    "GeForce 920M": 2048,
    "GeForce GTX 780": 3072,
    "GeForce GTX 780 Ti": 3072,
    "GTX TITAN": 6144,
    "GTX TITAN Black": 6144,
    "GTX TITAN Z": 6144,
    "Quadro K5200": 8192,
    "Quadro K6000": 12288,
    "Tesla K20": 5120,
    "Tesla K40": 12288,
  },
  "3.7": { "Tesla K80": 12288 },
  "5.0": {
    "GeForce 830M": 2048,
    "GeForce 840M": 2048,
    "GeForce 845M": 2048,
    "GeForce 920MX": 2048,
    "GeForce 930M": 2048,
    "GeForce 930MX": 2048,
    "GeForce 940M": 2048,
    "GeForce 940MX": 2048,
    "GeForce GTX 745": 2048,
    "GeForce GTX 750": 1024,
    "GeForce GTX 750 Ti": 2048,
    "GeForce GTX 850M": 2048,
    "GeForce GTX 860M": 2048,
    "GeForce GTX 950M": 2048,
    "GeForce GTX 960M": 2048,
    "GeForce MX110": 2048,
    "GeForce MX130": 2048,
    "NVS 810": 2048,
    "Quadro K620": 2048,
    "Quadro K1200": 4096,
    "Quadro K2200": 4096,
    "Quadro M500M": 2048,
    "Quadro M600M": 2048,
    "Quadro M620": 2048,
    "Quadro M1000M": 2048,
    "Quadro M1200": 4096,
    "Quadro M2000M": 4096,
    "Tesla M10": 8192,
  },
  "5.2": {
    "GeForce GTX 950": 2048,
    "GeForce GTX 960": 2048,
    "GeForce GTX 965M": 2048,
    "GeForce GTX 970": 4096,
    "GeForce GTX 970M": 3072,
    "GeForce GTX 980": 4096,
    "GeForce GTX 980M": 4096,
    "GeForce GTX 980 Ti": 6144,
    "GTX TITAN X": 12288,
    "Quadro M2000": 4096,
    "Quadro M2200": 4096,
    "Quadro M4000": 8192,
    "Quadro M5000": 8192,
    "Quadro M6000": 12288,
    "Tesla M4": 4096,
    "Tesla M40": 12288,
    "Tesla M60": 8192,
  },
  "6.0": { "Quadro GP100": 16384, "Tesla P100": 12288 },
  "6.1": {
    "GeForce GT 1010": 2048,
    "GeForce GT 1030": 2048,
    "GeForce GTX 1050": 2048,
    "GeForce GTX 1050 Ti": 4096,
    "GeForce GTX 1060 3GB": 3072,
    "GeForce GTX 1060 6GB": 6144,
    "GeForce GTX 1060": 3072,
    "GeForce GTX 1070": 8192,
    "GeForce GTX 1070 Ti": 8192,
    "GeForce GTX 1080": 8192,
    "GeForce GTX 1080 Ti": 11264,
    "GeForce MX150": 2048,
    "GeForce MX230": 2048,
    "GeForce MX250": 2048,
    "GeForce MX330": 2048,
    "GeForce MX350": 2048,
    "TITAN Xp": 12288,
    "Quadro P400": 2048,
    "Quadro P600": 2048,
    "Quadro P620": 2048,
    "Quadro P1000": 4096,
    "Quadro P2000": 5120,
    "Quadro P2200": 5120,
    "Quadro P4000": 8192,
    "Quadro P5000": 16384,
    "Quadro P6000": 24576,
    "Tesla P4": 8192,
    "Tesla P40": 24576,
  },
  "7.0": { "TITAN V": 12288, "Quadro GV100": 32768, "Tesla V100": 16384 },
  "7.5": {
    "GeForce GTX 1630": 4096,
    "GeForce GTX 1650": 4096,
    "GeForce GTX 1660": 6144,
    "GeForce GTX 1660 Ti": 6144,
    "GeForce RTX 2060": 6144,
    "GeForce RTX 2070": 8192,
    "GeForce RTX 2080": 8192,
    "GeForce RTX 2080 Ti": 11264,
    "Quadro RTX 4000": 8192,
    T400: 2048,
    T600: 4096,
    T1000: 4096,
    "Tesla T4": 16384,
  },
  "8.6": {
    "GeForce RTX 3050": 6144,
    "GeForce RTX 3060": 8192,
    "GeForce RTX 3060 Ti": 8192,
    "GeForce RTX 3070": 8192,
    "GeForce RTX 3080": 10240,
    "GeForce RTX 3090": 24576,
    "RTX A2000": 6144,
    "RTX A4000": 16384,
  },
  "8.9": {
    "GeForce RTX 4060": 8192,
    "GeForce RTX 4060 Ti": 8192,
    "GeForce RTX 4070": 12288,
    "GeForce RTX 4080": 16384,
    "GeForce RTX 4090": 24576,
  },
  "12.0": {
    "GeForce RTX 5060": 8192,
    "GeForce RTX 5070": 12288,
    "GeForce RTX 5080": 16384,
    "GeForce RTX 5090": 32768,
  },
};

/** Every GPU known here. */
export const gpuModels: readonly GpuModel[] = Object.entries(gpusByCapability).flatMap(
  ([computeCapability, gpus]) =>
    Object.entries(gpus).map(([name, videoMemory]) => ({ name, computeCapability, videoMemory })),
);

const gpusByPlainName = new Map(gpuModels.map((gpu) => [plain(gpu.name), gpu]));

/** The GPU of this name; `NVIDIA`, `GeForce`, case, blanks and hyphens do not matter. */
export function findGpu(name: string): GpuModel | undefined {
  return gpusByPlainName.get(plain(name));
}

/** At most three names of GPUs near a mistyped one, the nearest first. */
export function nearestGpus(name: string): string[] {
  const wanted = plain(name);
  return gpuModels
    .map(({ name: known }) => ({ name: known, away: distance(plain(known), wanted) }))
    .filter(({ away }) => away <= Math.max(1, Math.floor(wanted.length / 4)))
    .sort((left, right) => left.away - right.away)
    .slice(0, 3)
    .map((gpu) => gpu.name);
}

function plain(name: string): string {
  return name.toLowerCase().replace(/nvidia|geforce|[\s-]+/g, "");
}
