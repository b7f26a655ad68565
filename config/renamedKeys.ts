import type { Resolved } from "../util/problem";

/** Keys with another name now, or another place. The old names work for one release, with a note. */
const renamedKeys = [
  { section: "hosts", old: "proof", now: "check" },
  { section: "hosts", old: "runtime", now: "imageVariant" },
  { section: "hosts", old: "cacheVolume", now: "cache.volume" },
  { section: "hosts", old: "keepCache", now: "cache.keep" },
] as const;

type Section = Readonly<Record<string, unknown>>;

/** The stack file under today's names. */
export function renameKeys(values: Section): Resolved<Section> {
  return renamedKeys.reduce<Resolved<Section>>(
    (before, { section, old, now }) => {
      const given = before.value[section];
      const entries = (Array.isArray(given) ? given : [given]).map((entry: unknown, index) =>
        rename(entry, Array.isArray(given) ? `${section}[${index}]` : section, old, now),
      );
      const renamed = entries.map(({ value }) => value);
      return {
        value: { ...before.value, [section]: Array.isArray(given) ? renamed : renamed[0] },
        problems: [...before.problems, ...entries.flatMap(({ problems }) => problems)],
        notes: [...before.notes, ...entries.flatMap(({ notes }) => notes)],
      };
    },
    { value: values, problems: [], notes: [] },
  );
}

function rename(entry: unknown, key: string, old: string, now: string): Resolved<unknown> {
  if (!isSection(entry) || !Object.hasOwn(entry, old)) {
    return { value: entry, problems: [], notes: [] };
  }
  const { [old]: value, ...rest } = entry;
  if (old === "runtime" && value === "nvidia") {
    const expected =
      "is Docker's runtime: write gpus: { runtime: nvidia } to use it, or leave it out, because gpus asks Docker for the cards";
    return { value: rest, problems: [{ key: `${key}.${old}`, value, expected }], notes: [] };
  }
  const moved = put(rest, now.split("."), value);
  if (!moved) {
    const expected = `is now called ${now}, which is also set; remove ${old}`;
    return { value: rest, problems: [{ key: `${key}.${old}`, value, expected }], notes: [] };
  }
  const note = `${key}.${old} is now called ${now}; the old name works in this release only`;
  return { value: moved, problems: [], notes: [note] };
}

/** The section with a value where the path leads; undefined where something is there already. */
function put(
  section: Section,
  [step, ...rest]: readonly string[],
  value: unknown,
): Section | undefined {
  const there = section[step!];
  if (rest.length === 0) {
    return Object.hasOwn(section, step!) ? undefined : { ...section, [step!]: value };
  }
  if (there !== undefined && !isSection(there)) return undefined;
  const inner = put(there ?? {}, rest, value);
  return inner && { ...section, [step!]: inner };
}

function isSection(value: unknown): value is Section {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
