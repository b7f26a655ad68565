/*
 * bench/RESULTS.md as data and back: a section for each benchmark, a row for each figure.
 */

/** The last run of one benchmark. */
export interface BenchmarkResult {
  /** As in `npm run bench -- <name>`. */
  readonly name: string;
  /** Day of the run, as 2026-11-23. */
  readonly date: string;
  /** CPU, memory and versions, without the machine's name. */
  readonly machine: string;
  readonly figures: readonly Figure[];
}

export interface Figure {
  /** Such as `preset.noOp`. */
  readonly name: string;
  /** The median as printed. */
  readonly value: string;
  readonly unit: string;
  /** A comparison such as `<= 100`. */
  readonly goal?: string;
  readonly verdict?: "met" | "missed";
  /** Minimum, maximum and number of values, when there are several. */
  readonly spread?: string;
}

const heading = `# Results of the benchmarks

Written by \`npm run bench -- <name>\`, one section each; \`npm run bench -- all\` writes them all.
A figure measured more than once is the median.
`;

const columns = "| figure | value | unit | goal | | spread |\n|---|---:|---|---|---|---|\n";

/** The text with this result instead of the previous one of the benchmark. */
export function withResult(text: string, result: BenchmarkResult): string {
  const others = parseResults(text).filter(({ name }) => name !== result.name);
  const all = [...others, result].sort((left, right) => (left.name < right.name ? -1 : 1));
  return [heading, ...all.map(section)].join("\n");
}

function section({ name, date, machine, figures }: BenchmarkResult): string {
  const rows = figures.map(({ name: figure, value, unit, goal, verdict, spread }) =>
    [figure, value, unit, goal ?? "", verdict ?? "", spread ?? ""].map(escaped).join(" | "),
  );
  return `## ${name}\n\n${date} · ${machine}\n\n${columns}${rows.map((row) => `| ${row} |\n`).join("")}`;
}

/** Parses what {@link withResult} wrote. */
export function parseResults(text: string): BenchmarkResult[] {
  return text.split(/^## /m).slice(1).map(parseSection);
}

function parseSection(text: string): BenchmarkResult {
  const [name = "", , conditions = ""] = text.split("\n");
  const [date = "", ...machine] = conditions.split(" · ");
  const rows = text.split("\n").filter((line) => line.startsWith("| "));
  const figures = rows.slice(1).map((row): Figure => {
    const cells = row.slice(2, -2).split(" | ").map(unescaped);
    const [figure = "", value = "", unit = "", goal, verdict, spread] = cells;
    return {
      name: figure,
      value,
      unit,
      ...(goal && { goal }),
      ...((verdict === "met" || verdict === "missed") && { verdict }),
      ...(spread && { spread }),
    };
  });
  return { name, date, machine: machine.join(" · "), figures };
}

const escaped = (cell: string) => cell.replaceAll("|", "&#124;").replace(/\s+/g, " ").trim();
const unescaped = (cell: string) => cell.replaceAll("&#124;", "|").trim();
