import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { logProgress } from "../../demo/progress";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const never = () => new Promise<void>(() => undefined);

test("a silent task logs a line at least every six seconds", async () => {
  const times: number[] = [];
  void logProgress("build", () => times.push(Date.now()), never);
  const start = Date.now();
  await vi.advanceTimersByTimeAsync(60_000);

  const pauses = times.map((time, i) => time - (times[i - 1] ?? start));
  expect(times.length).toBeGreaterThan(9);
  expect(Math.max(...pauses)).toBeLessThanOrEqual(6000);
});

test("a chatty task logs only its newest line", async () => {
  const lines: string[] = [];
  void logProgress(
    "build",
    (line) => lines.push(line),
    (log) => {
      for (let i = 1; i <= 1000; i += 1) log(`line ${i}`);
      return never();
    },
  );
  await vi.advanceTimersByTimeAsync(3000);

  expect(lines).toEqual(["build: 2 s: line 1000"]);
});

test("the end of a task is logged with its time, and its result returned", async () => {
  const lines: string[] = [];
  const work = () => new Promise<number>((resolve) => setTimeout(() => resolve(42), 3000));
  const result = logProgress("wait", (line) => lines.push(line), work);
  await vi.advanceTimersByTimeAsync(3000);

  await expect(result).resolves.toBe(42);
  expect(lines.at(-1)).toBe("wait: done in 3 s");
});

test("a failure is logged and thrown unchanged, and the clock stops", async () => {
  const lines: string[] = [];
  const failing = () => Promise.reject(new Error("no such image"));
  await expect(logProgress("pull", (line) => lines.push(line), failing)).rejects.toThrow(
    "no such image",
  );

  expect(lines).toEqual(["pull: failed after 0 s"]);
  expect(vi.getTimerCount()).toBe(0);
});
