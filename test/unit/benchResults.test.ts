import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { median, toFigure } from "../../bench/support/benchmark";
import { parseResults, withResult, type BenchmarkResult } from "../../bench/support/results";

describe("a figure of a benchmark", () => {
  it("is the median with its goal, minimum and maximum", () => {
    expect(toFigure("preset.noOp", [3, 1, 2], "ms", { atMost: 2 })).toEqual({
      name: "preset.noOp",
      value: "2.000",
      unit: "ms",
      goal: "<= 2",
      verdict: "met",
      spread: "minimum 1.000, maximum 3.000, 3 runs",
    });
    expect(toFigure("rate", [9], "per s", { atLeast: 10 }).verdict).toBe("missed");
    expect(toFigure("size", [2911.7], "MB")).toEqual({ name: "size", value: "2911.7", unit: "MB" });
  });

  it("of an even number of values is the mean of the two in the middle", () => {
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(() => median([])).toThrow();
  });
});

describe("bench/RESULTS.md", () => {
  const result: BenchmarkResult = {
    name: "preset",
    date: "2026-11-23",
    machine: "2 cores (AMD EPYC) · 24 GiB",
    figures: [
      { name: "preset.noOp", value: "2.0", unit: "ms", goal: "<= 100", verdict: "met" },
      { name: "image.layer[RUN |2 A=]", value: "1.0", unit: "", spread: "minimum 1, maximum 2" },
    ],
  };

  it("a run replaces its section and keeps the others", () => {
    const other = { ...result, name: "bridge" };
    const newer = { ...result, date: "2026-11-24" };
    const text = withResult(withResult(withResult("", result), other), newer);
    expect(parseResults(text)).toEqual([other, newer]);
    expect(text.match(/^## /gm)).toHaveLength(2);
  });

  it("figures of any name are read as they were written", () => {
    const word = fc
      .string({ minLength: 1 })
      .filter((text) => text === text.trim() && !/\s/.test(text));
    fc.assert(
      fc.property(word, word, (name, value) => {
        const figures = [{ name, value, unit: "s" }];
        fc.pre(!`${name}${value}`.includes("&#124;"));
        expect(parseResults(withResult("", { ...result, figures }))).toEqual([
          { ...result, figures },
        ]);
      }),
    );
  });
});
