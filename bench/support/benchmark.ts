import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import path from "node:path";
import { performance } from "node:perf_hooks";

import { isInstalled, run } from "../../demo/shell";
import { type Figure, withResult } from "./results";

/** The goal of a figure. */
export type Goal = { readonly atMost: number } | { readonly atLeast: number };

/** Collects the figures of a benchmark. */
export interface Figures {
  /**
   * Prints a figure on its own line; for several values the median, with minimum and maximum.
   *
   * @param unit such as `ms`; empty for a ratio
   */
  add(name: string, values: number | readonly number[], unit: string, goal?: Goal): void;
  /** The values divided by those of a peer, round by round, both measured in turn. */
  ratio(name: string, values: readonly number[], peers: readonly number[], goal?: Goal): void;
}

/**
 * Runs a benchmark, writes its section of bench/RESULTS.md and exits with 1 when a goal was missed. A
 * benchmark that fails writes nothing.
 */
export function benchmark(name: string, measure: (figures: Figures) => Promise<void>): void {
  const figures: Figure[] = [];
  const add: Figures["add"] = (figure, values, unit, goal) => {
    const taken = toFigure(figure, [values].flat(), unit, goal);
    figures.push(taken);
    console.log(formatLine(taken));
  };
  const ratio: Figures["ratio"] = (figure, values, peers, goal) =>
    add(
      figure,
      values.map((value, round) => value / peers[round]!),
      "",
      goal,
    );

  measure({ add, ratio })
    .then(async () => {
      const file = path.join(__dirname, "..", "RESULTS.md");
      const previous = existsSync(file) ? readFileSync(file, "utf8") : "";
      const date = new Date().toISOString().slice(0, 10);
      const result = { name, date, machine: await describeMachine(), figures };
      writeFileSync(file, withResult(previous, result));
      if (figures.some(({ verdict }) => verdict === "missed")) process.exitCode = 1;
    })
    .catch((error: Error) => {
      console.error(error.stack ?? error.message);
      process.exitCode = 1;
    });
}

/** @internal Exported for tests. */
export function toFigure(
  name: string,
  values: readonly number[],
  unit: string,
  goal?: Goal,
): Figure {
  const sorted = [...values].sort((left, right) => left - right);
  const middle = median(sorted);
  const figure = { name, value: rounded(middle), unit };
  const spread =
    sorted.length > 1
      ? {
          spread: `minimum ${rounded(sorted[0]!)}, maximum ${rounded(sorted.at(-1)!)}, ${sorted.length} runs`,
        }
      : {};
  if (!goal) return { ...figure, ...spread };
  const [comparison, met] =
    "atMost" in goal
      ? [`<= ${goal.atMost}`, middle <= goal.atMost]
      : [`>= ${goal.atLeast}`, middle >= goal.atLeast];
  return { ...figure, goal: comparison, verdict: met ? "met" : "missed", ...spread };
}

function formatLine({ name, value, unit, goal, verdict, spread }: Figure): string {
  const parts = [name, unit ? `${value} ${unit}` : value];
  if (goal) parts.push(`goal ${goal}`, verdict!);
  if (spread) parts.push(`(${spread})`);
  return parts.join("  ");
}

/** The middle value; for an even number of values the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new Error("no values have no median");
  const sorted = [...values].sort((left, right) => left - right);
  const half = sorted.length / 2;
  return (sorted[Math.ceil(half) - 1]! + sorted[Math.floor(half)]!) / 2;
}

/** Three significant digits. */
function rounded(value: number): string {
  const digits = Math.abs(value) >= 100 ? 1 : Math.abs(value) >= 10 ? 2 : 3;
  return value.toFixed(digits);
}

/** Runs some work. @returns its time in milliseconds and its result */
export async function timed<Answer>(
  work: () => Promise<Answer>,
): Promise<{ milliseconds: number; answer: Answer }> {
  const begin = performance.now();
  const answer = await work();
  return { milliseconds: performance.now() - begin, answer };
}

/** CPU, memory and versions, but not the machine's name. */
async function describeMachine(): Promise<string> {
  const version = async (what: string, command: string, ...parameters: string[]) => {
    if (!(await isInstalled(command))) return `no ${what}`;
    const answer = await run(command, parameters).catch(() => "");
    return `${what} ${/\d+(\.\d+)+/.exec(answer)?.[0] ?? "unknown"}`;
  };
  return [
    `${cpus().length} cores (${cpus()[0]?.model.trim() ?? "unknown"})`,
    `${Math.round(totalmem() / 2 ** 30)} GiB`,
    await version("Docker", "docker", "version", "--format", "{{.Server.Version}}"),
    `Node.js ${process.versions.node}`,
    await version("Pulumi", "pulumi", "version"),
  ].join(" · ");
}
