import { distance } from "fastest-levenshtein";

import type { AcceleratorName } from "./accelerators";
import { capabilityOfChip } from "./gpuChips";
import { type GpuModel, gpuModels, severalGpus } from "./gpus";

/*
 * Names of cards as NVIDIA's driver, lspci, OpenGL, shops and people write them.
 */

/** What people write for a card beside its name. */
const aliases: Readonly<Record<string, string>> = {
  "GTX TITAN X (Maxwell)": "GTX TITAN X",
  "TITAN Pascal": "TITAN X (Pascal)",
  "TITAN XP 2016": "TITAN X (Pascal)",
  "TITAN X Collectors Edition": "TITAN Xp",
  "TITAN Xp Collectors Edition": "TITAN Xp",
  "TITAN Volta": "TITAN V",
  "Tesla PG500-216": "Tesla PG503-216",
  PG503: "Tesla PG503-216",
  "Tesla V100-LS": "Tesla V100",
  "Tesla V100-N": "Tesla V100",
  "GTX 1650S": "GeForce GTX 1650 SUPER",
  "GTX 1660S": "GeForce GTX 1660 SUPER",
  "RTX 2060S": "GeForce RTX 2060 SUPER",
  "RTX 2070S": "GeForce RTX 2070 SUPER",
  "RTX 2080S": "GeForce RTX 2080 SUPER",
  "Jetson Nano Developer Kit": "Jetson Nano",
  "Tegra X1": "Jetson TX1",
  "Tegra X2": "Jetson TX2",
  "Tegra K1": "Jetson TK1",
  "Jetson TX2i": "Jetson TX2",
  "Jetson Xavier": "Jetson AGX Xavier",
  Thor: "Jetson AGX Thor",
  "Shield TV": "Jetson TX1",
  "Jetson Orin Nano Super": "Jetson Orin Nano",
  "DGX Spark": "GB10",
  A100X: "A100",
  A800: "A100",
  A30X: "A30",
  A10M: "A10",
  L40G: "L40",
  H800: "H100",
  "CMP 100HX-210": "CMP 100-210",
  "CMP 100HX": "CMP 100-210",
  "Orin (nvgpu)": "Jetson AGX Orin",
  "P106-90": "P106-090",
  "GTX 1060 Mining": "P106-100",
  "GTX 1070 Mining": "P104-100",
  "GTX 1080 Ti Mining": "P102-100",
  // The letters of Kepler's Teslas tell how they are cooled.
  ...sameCard("Tesla K20", "c", "m", "s"),
  ...sameCard("Tesla K20X", "m"),
  ...sameCard("Tesla K40", "c", "d", "m", "s", "st", "t"),
  ...sameCard("Tesla K80", "m"),
};

function sameCard(name: string, ...letters: readonly string[]): Record<string, string> {
  return Object.fromEntries(letters.map((each) => [name + each, name]));
}

/** Words around a card's name: makers and their series, forms, kinds of memory, the chip. */
const words = new RegExp(
  [
    "\\((r|tm)\\)|®|™",
    "nvidia( corporation)?|geforce|grid",
    "asus|msi|gigabyte|evga|zotac|palit|gainward|inno3d|galax|kfa2|pny|xfx|colorful|manli|leadtek|dell|hp|lenovo|fujitsu",
    "rog|strix|tuf|dual|phoenix|turbo|gaming( (x|z|oc))?|armou?r|aero|ventus|windforce|aorus|g1|ssc|sc2?|ftw\\d?|xc|acx|[\\d.]+\\+|icx\\d?|amp|(super )?jetstream|stormx|kalmx|edition|superclocked|ocv\\d",
    "graphics( card)?|video card|gpu|card|accelerator|[a-z]?ddr\\d?x?|hbm\\d?",
    "(with )?max[- ]?q( design)?|laptop|mobile|notebook|oem|founders|fe|low profile|lp|itx|mini|oc|passive",
    "rev\\.? ?[a-z\\d]|v2|refresh|engineering sample|generation|mac edition",
    "pci-?e|sxm\\d?|fhhl|dgxs",
    "fermi|kepler|maxwell|volta|turing|gk\\d{3}[a-z]*|gm\\d{3}[a-z]*|gp10[2-8][a-z]*|tu\\d{3}[a-z]*",
  ]
    .map((group) => `(?<![a-z0-9])(${group})(?![a-z0-9])`)
    .join("|"),
  "g",
);

/** What a name is copied from: nvidia-smi -L, lspci, OpenGL's renderer, and a number of cards. */
const copied: readonly RegExp[] = [
  /^gpu \d+: (.+?) \(uuid/,
  /\[([^\][:/]*[a-z][^\][:/]*?) *(?:\/[^\]]*)?\]/,
  /^(.+?)\/pcie/,
  /^\d ?x (.+)$/,
];

/** `6GB`, `3.5G`, `6 GiB`, `2048MB`. */
const memoryWord =
  /(?<![a-z0-9.])(?:(\d{1,2}(?:\.\d)?) ?g(?:i?b)?|(\d{3,5}) ?m(?:i?b))(?![a-z0-9])/;

/** A slice of a card for a virtual machine, as its driver calls it: `GRID P40-8Q`, `GRID V100DX-16C`. */
const sliceOf = /^((?:tesla |quadro )?[a-z]+\d+)[dlpsx]*-(\d{1,2})[abcq]$/;

/** A part of a divided card (MIG): `NVIDIA A100-SXM4-40GB MIG 1g.5gb`. */
const partOf = /^(.+?) mig \dg\.(\d{1,3})gb/;

const gpusByPlainName = new Map(gpuModels.map((gpu) => [plain(gpu.name), gpu]));
for (const [alias, name] of Object.entries(aliases)) {
  gpusByPlainName.set(plain(alias), gpusByPlainName.get(plain(name))!);
}
/** By the name without its series, where only one card has it: `1060`, `P4`. */
const gpusByShortName = new Map<string, GpuModel | undefined>();
for (const [plainName, gpu] of gpusByPlainName) {
  const name = short(plainName);
  const isShared = gpusByShortName.has(name) && gpusByShortName.get(name) !== gpu;
  gpusByShortName.set(name, isShared ? undefined : gpu);
}

/**
 * The GPU of this name, as NVIDIA's driver, shops and people write it: `NVIDIA GeForce GTX 750 Ti`,
 * `1060 6GB`, `Tesla P100-PCIE-16GB`. A size of memory in the name counts for more than the table's.
 */
export function findGpu(name: string): GpuModel | undefined {
  const exact = gpusByPlainName.get(plain(name));
  if (exact) return exact;
  const lower = name.toLowerCase().replace(/_/g, " ");
  const known =
    findCopied(lower) ?? findWritten(lower.replace(words, " ").trim()) ?? findAmong(lower);
  // One name was sold with several chips: GT 630, GTX 860M.
  const computeCapability = capabilityOfChip(lower) ?? known?.computeCapability;
  return known && { ...known, computeCapability: computeCapability! };
}

function findCopied(line: string): GpuModel | undefined {
  const [, card, gigabytes] = partOf.exec(line) ?? [];
  const whole = card === undefined ? undefined : findGpu(card);
  if (whole) return { ...whole, videoMemory: Number(gigabytes) * 1024 };
  const [copy] = copied.flatMap((pattern) => pattern.exec(line)?.[1] ?? []);
  return copy === undefined ? undefined : findGpu(copy);
}

/** A card whose whole name stands somewhere in a text, such as a shop's. */
function findAmong(text: string): GpuModel | undefined {
  const tokens = text.match(/[a-z0-9]+/g)?.slice(0, maxTokens) ?? [];
  const found: GpuModel[] = [];
  for (let first = 0; first < tokens.length; first++) {
    const count = [4, 3, 2, 1].find((length) => namedBy(tokens, first, length));
    if (count === undefined) continue;
    found.push(namedBy(tokens, first, count)!);
    first += count - 1;
  }
  const [card] = found;
  if (!card || found.some((other) => other.computeCapability !== card.computeCapability)) {
    return undefined;
  }
  return withMemoryOf(text, card);
}

/** Words of a text that are looked at; a shop's line has about twenty. */
const maxTokens = 60;

function namedBy(tokens: readonly string[], first: number, count: number): GpuModel | undefined {
  const name = tokens.slice(first, first + count).join("");
  const isBranded = /^(nvidia|geforce|quadro|tesla)$/.test(tokens[first - 1] ?? "");
  const next = tokens[first + count] ?? "";
  // What follows may make it another card.
  if (first + count > tokens.length || /^(ti|super|ada|blackwell|xp?|z|v|black|pascal)$/.test(next))
    return undefined;
  if (
    !isBranded &&
    !/^(gtx?|gts|rtx|quadro|tesla|titan|grid|jetson|tegra|mx|nvs|cmp|p10)\d?/.test(name)
  ) {
    return undefined;
  }
  return gpusByPlainName.get(name) ?? (isBranded ? gpusByShortName.get(name) : undefined);
}

function findWritten(written: string): GpuModel | undefined {
  const [, card, gigabytes] = sliceOf.exec(written) ?? [];
  const sliced = card === undefined ? undefined : byName(card);
  // The smallest slices have half of one.
  if (sliced) return { ...sliced, videoMemory: (Number(gigabytes) || 0.5) * 1024 };
  const [memory] = memoryWord.exec(written) ?? [];
  const gpu = byName(memory === undefined ? written : written.replace(memory, " "));
  return gpu && withMemoryOf(written, gpu);
}

function withMemoryOf(text: string, gpu: GpuModel): GpuModel {
  const [memory, inGigabytes, inMegabytes] = memoryWord.exec(text) ?? [];
  if (memory === undefined || severalGpus.includes(gpu.name)) return gpu;
  return { ...gpu, videoMemory: Number(inMegabytes ?? Number(inGigabytes) * 1024) };
}

function byName(name: string): GpuModel | undefined {
  const whole = plain(name);
  return (
    gpusByPlainName.get(whole) ?? gpusByShortName.get(whole) ?? gpusByShortName.get(short(whole))
  );
}

/** Words of GPUs that are no NVIDIA card, and what computes on them. */
const otherGpus: readonly (readonly [RegExp, AcceleratorName])[] = [
  [/^(none|no( gpu)?|off|false|cpu)$/, "cpu"],
  [/\b(apple|raspberry|videocore|coral|tpu|hailo|adreno)\b|^m[1-5] (pro|max|ultra)$/, "cpu"],
  // What a virtual machine or a server's remote console shows.
  [
    /\b(llvmpipe|softpipe|swrast|virtio|virgl|qxl|vmware|svga|matrox|g200\w*|aspeed|ast\d{4})\b/,
    "cpu",
  ],
  [/\b(cirrus|bochs|hyper-?v|basic display|basic render|vbox\w*|parallels)\b/, "cpu"],
  [/\b(amd|ati|radeon|rx ?\d{3,4}|vega|instinct|firepro|gfx\d+)/, "rocm"],
  [
    /\b(ryzen|epyc|threadripper|athlon|strix (halo|point)|rocm|migraphx|navi|polaris|ellesmere|renoir|cezanne|lucienne|rembrandt|mi\d{2,3}x?|r[579] \w?\d{3}x?)\b/,
    "rocm",
  ],
  [/\b([5679]\d{3} ?(xtx?|gre)|w[5-7]\d00|80[456]0s|hd [5-8]\d{3})\b/, "rocm"],
  [/\b(intel|openvino|dg[12]|arc|iris|u?hd graphics|uhd)\b/, "openvino"],
  [
    /\b(hd [2-6]\d{2,3}|[ab](310|350m?|370m?|380|50|570|580|60|750|770)|quick ?sync( video)?|qsv)\b/,
    "openvino",
  ],
  [
    /\b(n(50|95|97|1[05]0|2[05]0|3[05][05])|[jn]\d{4}|celeron|pentium|i[3579]-\d{4,5}[a-z]*|core (ultra|i[3579])|\w+ lake(-\w)?)\b/,
    "openvino",
  ],
  [/\b(mali|armnn)\b/, "armnn"],
  [/\b(rockchip|rk\d{4}|rknpu|npu|cm3588|rknn|rk1\b|orange ?pi ?5|rock ?5)/, "rknn"],
];

/** The accelerator of a GPU that another company makes; undefined for any other text. */
export function acceleratorOf(name: string): AcceleratorName | undefined {
  return otherGpus.find(([pattern]) => pattern.test(name.toLowerCase()))?.[1];
}

/** At most three names of GPUs near a mistyped one, the nearest first. */
export function nearestGpus(name: string): string[] {
  const wanted = plain(name);
  return gpuModels
    .map(({ name: known }) => ({ name: known, plainName: plain(known) }))
    .map((each) => ({ ...each, away: distance(each.plainName, wanted) }))
    .filter(({ plainName, away }) => away <= maxTypos(plainName, wanted))
    .sort((left, right) => left.away - right.away)
    .slice(0, 3)
    .map((gpu) => gpu.name);
}

/** Two letters may be exchanged where the number, which makes the card, is right. */
function maxTypos(known: string, wanted: string): number {
  const number = (text: string) => text.replace(/\D/g, "");
  const isSameNumber = number(wanted) !== "" && number(known) === number(wanted);
  return Math.max(isSameNumber && wanted.length > 4 ? 2 : 1, Math.floor(wanted.length / 4));
}

function plain(name: string): string {
  return name.toLowerCase().replace(/nvidia|geforce|[\s()[\]-]+/g, "");
}

function short(plainName: string): string {
  return plainName.replace(/^(gtx|gt|rtx|quadro|tesla|jetson|cmp)/, "");
}
