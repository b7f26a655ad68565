import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { median, takeDown } from "../../bench/support/benchmark";
import { parseResults, withResult, type BenchmarkResult } from "../../bench/support/results";

describe("the figures of a benchmark", () => {
  it("a figure is the median, with its goal and what it varied between", () => {
    expect(takeDown("preset.noOp", [3, 1, 2], "ms", { atMost: 2 })).toEqual({
      name: "preset.noOp",
      value: "2.000",
      unit: "ms",
      goal: "<= 2",
      verdict: "met",
      spread: "minimum 1.000, maximum 3.000, 3 runs",
    });
    expect(takeDown("rate", [9], "per s", { atLeast: 10 }).verdict).toBe("missed");
    expect(takeDown("size", [2911.7], "MB")).toEqual({ name: "size", value: "2911.7", unit: "MB" });
  });

  it("the median of an even number of values lies between the two in the middle", () => {
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

  it("a run replaces its own section and leaves the others", () => {
    const other = { ...result, name: "bridge" };
    const newer = { ...result, date: "2026-11-24" };
    const text = withResult(withResult(withResult("", result), other), newer);
    expect(parseResults(text)).toEqual([other, newer]);
    expect(text.match(/^## /gm)).toHaveLength(2);
  });

  it("what is written can be read again, whatever the figures are called", () => {
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
