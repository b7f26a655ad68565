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
    "GeForce 830A": 2048,
    "GeForce 840A": 2048,
    "GeForce 845A": 2048,
    "GeForce 930A": 2048,
    "GeForce 940A": 2048,
    "GeForce 945M": 2048,
    "GeForce 945A": 2048,
    "GeForce 945MX": 2048,
    "GeForce GTX 850A": 2048,
    "GeForce GTX 860A": 2048,
    "GeForce GTX 950A": 2048,
    "GeForce GTX 960A": 2048,
    "Quadro K620M": 2048,
    "Quadro K2200M": 2048,
    "Quadro M520": 2048,
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
    "Quadro M3000M": 4096,
    "Quadro M4000M": 4096,
    "Quadro M5000M": 8192,
    "Quadro M5500": 8192,
    "Quadro M6000 24GB": 24576,
    "Tesla M6": 8192,
    "Tesla M40 24GB": 24576,
  },
  "5.3": { "Jetson Nano": 4096, "Jetson TX1": 4096 },
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
    "GeForce GTX 1050 3GB": 3072,
    "GeForce GTX 1060 5GB": 5120,
    "TITAN X (Pascal)": 12288,
    "Quadro P500": 2048,
    "Quadro P520": 2048,
    "Quadro P3000": 6144,
    "Quadro P3200": 6144,
    "Quadro P4200": 8192,
    "Quadro P5200": 16384,
    "Tesla P6": 16384,
    "P106-090": 3072,
    "P106-100": 6144,
    "P104-100": 4096,
    "P102-100": 5120,
    "P104-101": 4096,
    "P102-101": 5120,
  },
  "6.2": { "Jetson TX2": 4096, "Jetson TX2 NX": 4096 },
  "7.0": {
    "TITAN V": 12288,
    "Quadro GV100": 32768,
    "Tesla V100": 16384,
    "TITAN V CEO Edition": 32768,
    "Tesla V100S": 32768,
    "Tesla PG503-216": 32768,
    "CMP 100-200": 16384,
    "CMP 100-210": 16384,
  },
  "7.2": { "Jetson AGX Xavier": 16384, "Jetson Xavier NX": 8192 },
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
    "GeForce GTX 1650 SUPER": 4096,
    "GeForce GTX 1650 Ti": 4096,
    "GeForce GTX 1660 SUPER": 6144,
    "GeForce RTX 2060 SUPER": 8192,
    "GeForce RTX 2070 SUPER": 8192,
    "GeForce RTX 2080 SUPER": 8192,
    "GeForce MX450": 2048,
    "GeForce MX550": 2048,
    "TITAN RTX": 24576,
    "Quadro T2000": 4096,
    "Quadro RTX 3000": 6144,
    "Quadro RTX 5000": 16384,
    "Quadro RTX 6000": 24576,
    "Quadro RTX 8000": 49152,
    "Tesla T10": 16384,
    T500: 2048,
    T550: 4096,
    T1200: 4096,
    "CMP 30HX": 6144,
    "CMP 40HX": 8192,
    "CMP 50HX": 10240,
  },
  "8.0": { A100: 40960, A30: 24576, "CMP 170HX": 8192 },
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

/** Cards with several GPUs: a shop's figure is the memory of all, the table's that of each. */
const severalGpus: readonly string[] = [
  "GeForce GTX 690",
  "GTX TITAN Z",
  "Tesla K10",
  "Tesla K80",
  "Tesla M10",
  "Tesla M60",
];

/** What people write for a card beside its name. */
const aliases: Readonly<Record<string, string>> = {
  "GTX TITAN X (Maxwell)": "GTX TITAN X",
  "TITAN Pascal": "TITAN X (Pascal)",
  "TITAN XP 2016": "TITAN X (Pascal)",
  "TITAN X Collectors Edition": "TITAN Xp",
  "TITAN Xp Collectors Edition": "TITAN Xp",
  "TITAN Volta": "TITAN V",
  "Tesla PG500-216": "Tesla PG503-216",
  "Jetson Nano Developer Kit": "Jetson Nano",
  "GTX 1060 Mining": "P106-100",
  "GTX 1070 Mining": "P104-100",
  "GTX 1080 Ti Mining": "P102-100",
};

/** Words around a card's name: makers, forms, kinds of memory, the chip's generation. */
const words = new RegExp(
  [
    "\\((r|tm)\\)|®|™",
    "nvidia( corporation)?|geforce|grid",
    "asus|msi|gigabyte|evga|zotac|palit|gainward|inno3d|galax|kfa2|pny|xfx|colorful|manli|leadtek|dell|hp|lenovo|fujitsu",
    "graphics( card)?|video card|gpu|card|accelerator|[a-z]?ddr\\d?x?|hbm2?",
    "(with )?max[- ]?q( design)?|laptop|mobile|notebook|oem|founders edition|fe|low profile|lp|itx|mini|oc",
    "pci-?e|sxm\\d?|fhhl|dgxs|passive",
    "fermi|kepler|maxwell|volta|turing",
  ]
    .map((group) => `(?<![a-z0-9])(${group})(?![a-z0-9])`)
    .join("|"),
  "g",
);

/** `6GB`, `6G`, `6 GiB`, `2048MB`. */
const memoryWord = /(?<![a-z0-9])(?:(\d{1,2}) ?g(?:i?b)?|(\d{3,5}) ?m(?:i?b))(?![a-z0-9])/;

/** A slice of a card for a virtual machine, as its driver calls it: `GRID P40-8Q`. */
const sliceOf = /^((?:tesla )?[a-z]+\d+)-(\d{1,2})[abcq]$/;

const gpusByPlainName = new Map(gpuModels.map((gpu) => [plain(gpu.name), gpu]));
for (const [alias, name] of Object.entries(aliases)) {
  gpusByPlainName.set(plain(alias), gpusByPlainName.get(plain(name))!);
}
/** By the name without its series, where only one card has it: `1060`, `P4`. */
const gpusByShortName = new Map<string, GpuModel | undefined>();
for (const gpu of new Set(gpusByPlainName.values())) {
  const name = short(plain(gpu.name));
  gpusByShortName.set(name, gpusByShortName.has(name) ? undefined : gpu);
}

/**
 * The GPU of this name, as NVIDIA's driver, shops and people write it: `NVIDIA GeForce GTX 750 Ti`,
 * `1060 6GB`, `Tesla P100-PCIE-16GB`. A size of memory in the name counts for more than the table's.
 */
export function findGpu(name: string): GpuModel | undefined {
  const exact = gpusByPlainName.get(plain(name));
  if (exact) return exact;
  const written = name.toLowerCase().replace(/_/g, " ").replace(words, " ").trim();
  const slice = sliceOf.exec(written);
  if (slice) return withMemory(byName(slice[1]!), Number(slice[2]) * 1024);
  const [memory, gigabytes, megabytes] = memoryWord.exec(written) ?? [];
  const gpu = byName(memory === undefined ? written : written.replace(memory, " "));
  if (memory === undefined) return gpu;
  return withMemory(gpu, gigabytes ? Number(gigabytes) * 1024 : Number(megabytes));
}

function byName(name: string): GpuModel | undefined {
  return gpusByPlainName.get(plain(name)) ?? gpusByShortName.get(short(plain(name)));
}

function withMemory(gpu: GpuModel | undefined, videoMemory: number): GpuModel | undefined {
  return gpu && !severalGpus.includes(gpu.name) ? { ...gpu, videoMemory } : gpu;
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
  return name.toLowerCase().replace(/nvidia|geforce|[\s()[\]-]+/g, "");
}

function short(plainName: string): string {
  return plainName.replace(/^(gtx|gt|rtx|quadro|tesla)+/, "");
}
