import type { Resolved } from "../util/problem";

/** Keys with another name now. The old names work for one release, with a note. */
const renamedKeys = [
  { section: "hosts", old: "proof", now: "check" },
  { section: "hosts", old: "runtime", now: "imageVariant" },
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
  if (typeof entry !== "object" || entry === null || !Object.hasOwn(entry, old)) {
    return { value: entry, problems: [], notes: [] };
  }
  const { [old]: value, ...rest } = entry as Section;
  if (Object.hasOwn(rest, now)) {
    const expected = `is now called ${now}, which is given too; leave ${old} out`;
    return { value: rest, problems: [{ key: `${key}.${old}`, value, expected }], notes: [] };
  }
  const note = `${key}.${old} is now called ${now}; the old name works in this release only`;
  return { value: { ...rest, [now]: value }, problems: [], notes: [note] };
}
