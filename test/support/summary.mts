import type { UserConsoleLog } from "vitest";
import type { Reporter, TestCase, TestModule } from "vitest/node";

declare module "vitest" {
  interface TaskMeta {
    /** How many hostile inputs a test has tried. */
    hostileInputs?: number;
  }
}

/** The line with which a test logs that it is skipped, and why. */
const skippedLine = /^SKIPPED: (.*)$/gm;

/**
 * Ends a run with plain lines: the number of faults and inputs, reasons for skipped tests, and the
 * results.
 */
export default class Summary implements Reporter {
  private readonly reasons = new Set<string>();

  onUserConsoleLog({ content }: UserConsoleLog): void {
    for (const [, reason] of content.matchAll(skippedLine)) this.reasons.add(reason!);
  }

  onTestRunEnd(modules: ReadonlyArray<TestModule>): void {
    const counts = { passed: 0, failed: 0, skipped: 0 };
    const tried = { faults: 0, inputs: 0, steps: 0 };
    for (const module of modules) {
      if (module.state() === "failed" && module.errors().length > 0) counts.failed += 1;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === "pending") continue;
        counts[state] += 1;
        if (state === "skipped") {
          this.keepReason(test);
          continue;
        }
        if (test.name.startsWith("fault: ")) tried.faults += 1;
        else if (module.project.name === "e2e") tried.steps += 1;
        tried.inputs += test.meta().hostileInputs ?? 0;
      }
    }
    const { faults, inputs, steps } = tried;
    const { passed, failed, skipped } = counts;
    const lines = [
      `${faults} faults, ${inputs} hostile inputs and ${steps} end-to-end steps ran`,
      ...[...this.reasons].map((reason) => `skipped: ${reason}`),
      `${passed} passed, ${failed} failed, ${skipped} skipped`,
    ];
    process.on("exit", () => console.log(lines.join("\n")));
  }

  private keepReason(test: TestCase): void {
    const result = test.result();
    if (result.state === "skipped" && result.note) this.reasons.add(result.note);
  }
}
