/*
 * The compute capability of an NVIDIA GPU by what names its chip rather than its card: the chip's code name,
 * that of the free driver nouveau, the number on the PCI bus, and series whose cards are all alike.
 */

/** By the beginning of the code name that lspci shows: `GM107M`, `GP104GL`, `TU117`. */
const chips: Readonly<Record<string, string>> = {
  ...same("2.0", "gf100", "gf110"),
  ...same("2.1", "gf104", "gf106", "gf108", "gf114", "gf116", "gf117", "gf119"),
  ...same("3.0", "gk104", "gk106", "gk107"),
  ...same("3.2", "gk20a"),
  ...same("3.5", "gk110", "gk180", "gk208"),
  ...same("3.7", "gk210"),
  ...same("5.0", "gm107", "gm108"),
  ...same("5.2", "gm200", "gm204", "gm206"),
  ...same("5.3", "gm20b"),
  ...same("6.0", "gp100"),
  ...same("6.1", "gp102", "gp104", "gp106", "gp107", "gp108"),
  ...same("6.2", "gp10b"),
  ...same("7.0", "gv100"),
  ...same("7.2", "gv10b", "gv11b"),
  ...same("7.5", "tu102", "tu104", "tu106", "tu116", "tu117"),
  ...same("8.0", "ga100"),
  ...same("8.6", "ga102", "ga103", "ga104", "ga106", "ga107"),
  ...same("8.7", "ga10b"),
  ...same("8.9", "ad102", "ad103", "ad104", "ad106", "ad107"),
  ...same("9.0", "gh100"),
  ...same("10.0", "gb100", "gb102"),
  ...same("12.0", "gb202", "gb203", "gb205", "gb206", "gb207"),
};

/** By nouveau's name of the chip, which Mesa shows as OpenGL's renderer: `NV117`. */
const nouveauChips: Readonly<Record<string, string>> = {
  ...same("2.0", "nvc0", "nvc8"),
  ...same("2.1", "nvc1", "nvc3", "nvc4", "nvce", "nvcf", "nvd7", "nvd9"),
  ...same("3.0", "nve4", "nve6", "nve7"),
  ...same("3.2", "nvea"),
  ...same("3.5", "nvf0", "nvf1", "nv106", "nv108"),
  ...same("5.0", "nv117", "nv118"),
  ...same("5.2", "nv120", "nv124", "nv126"),
  ...same("5.3", "nv12b"),
  ...same("6.0", "nv130"),
  ...same("6.1", "nv132", "nv134", "nv136", "nv137", "nv138"),
  ...same("6.2", "nv13b"),
  ...same("7.0", "nv140"),
  ...same("7.5", "nv162", "nv164", "nv166", "nv167", "nv168"),
  ...same("8.0", "nv170"),
  ...same("8.6", "nv172", "nv173", "nv174", "nv176", "nv177"),
  ...same("8.9", "nv192", "nv193", "nv194", "nv196", "nv197"),
};

function same(computeCapability: string, ...names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, computeCapability]));
}

/**
 * The number on the PCI bus (`10de:1c82`) from which on cards have a capability, from the PCI ID list
 * (pci-ids.ucw.cz). NVIDIA gives the numbers by chip.
 */
const pciNumbers: readonly (readonly [number, string | undefined])[] = [
  [0x06c0, "2.0"],
  [0x06e0, undefined],
  [0x0dc0, "2.1"],
  [0x0fc0, "3.0"],
  [0x1000, "3.5"],
  [0x102d, "3.7"],
  [0x102e, "3.5"],
  [0x1040, "2.1"],
  [0x1080, "2.0"],
  [0x10c0, "1.2"],
  [0x1140, "2.1"],
  [0x1180, "3.0"],
  [0x1200, "2.1"],
  [0x1280, "3.5"],
  [0x1340, "5.0"],
  [0x13c0, "5.2"],
  [0x15f0, "6.0"],
  [0x1600, "5.2"],
  [0x1720, "6.0"],
  [0x1740, "5.0"],
  [0x17c0, "5.2"],
  [0x1800, undefined],
  [0x1b00, "6.1"],
  [0x1d80, "7.0"],
  [0x1e00, "7.5"],
  [0x2000, undefined],
  [0x2080, "8.0"],
  [0x2100, undefined],
  [0x2180, "7.5"],
  [0x2200, "8.6"],
  [0x2300, "9.0"],
  [0x2400, "8.6"],
  [0x2600, "8.9"],
  [0x2900, "10.0"],
  [0x2b00, "12.0"],
  [0x3000, undefined],
];

/**
 * Series whose cards all have one capability, so that a card missing in catalog/gpus.ts is still told as too
 * old, or as one for Immich's own image.
 */
const series: readonly (readonly [RegExp, string])[] = [
  [/\brtx pro\b|\bblackwell\b|\brtx 50[5-9]\d\b/, "12.0"],
  [/\bada( generation)?\b|\brtx 40[5-9]\d\b/, "8.9"],
  [/\bg?h100[a-z]?\b|\bgh200\b/, "9.0"],
  [/\bl40\b/, "8.9"],
  [/\ba100[a-z]?\b|\bpg506\b/, "8.0"],
  [/\bp10[246]m?\b/, "6.1"],
  [/\brtx 30[5-9]\d\b|\brtx a\d{3,4}h?\b/, "8.6"],
  [/\bgrid k\d{1,3}q?\b/, "3.0"],
  [/\bquadro [1-7]0[01]0m?\b|\btesla [cmst]20\d{0,2}\b/, "2.0"],
  [/\b(gt|gts|gtx) [45]\d\dm?x?\b|\bgt (605|625|705)\b|\bgeforce (410m|510|605|8[12]0m)\b/, "2.1"],
  [/\bnvs ([45]2|31)\d{1,2}m?\b|\bquadro 500m\b/, "2.1"],
  [/\b(gt|gts|gtx|geforce|g) ?[123]\d[05]m?\b|\bion\b/, "1.2"],
  [/\b(geforce )?[89][1-8]00m? ?(gs|gt|gts|gtx|gso|ge|mgpu|m|gx2)\b|\bgeforce [89][1-8]00/, "1.1"],
  [/\bquadro (fx|nvs|vx|plex|cx)\b|\bnvs (290|295|300|3100m|420|450)\b/, "1.1"],
];

const chipName = /(?<![a-z0-9])(nv[0-9a-f]{2,3}|(?:g[fkmpvahb]|tu|ad)\d[0-9][0-9ab])(?![0-9])/;
const pciNumber = /(?:10de:|nvidia corporation device )([0-9a-f]{4})(?![0-9a-f])/;

/** The capability of the chip that a text names; undefined without one. */
export function capabilityOfChip(text: string): string | undefined {
  const [, name = ""] = chipName.exec(text.toLowerCase()) ?? [];
  return chips[name] ?? nouveauChips[name];
}

/** The capability of a card that has no row of its own, by its chip, its PCI number or its series. */
export function capabilityOf(text: string): string | undefined {
  const [, number] = pciNumber.exec(text.toLowerCase()) ?? [];
  const wanted = number === undefined ? -1 : Number.parseInt(number, 16);
  const words = text.toLowerCase().replace(/[^a-z0-9]+/g, " ");
  return (
    capabilityOfChip(text) ??
    pciNumbers.findLast(([first]) => first <= wanted)?.[1] ??
    series.find(([pattern]) => pattern.test(words))?.[1]
  );
}
