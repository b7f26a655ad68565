import { defineConfig } from "vitest/config";

const minutes = 60_000;

export default defineConfig({
  test: {
    reporters: ["default", "./test/support/summary.mts"],
    projects: [
      {
        extends: true,
        // Some start the whole program or a shell, which a busy machine does slowly.
        test: { name: "unit", include: ["test/unit/**/*.test.ts"], testTimeout: minutes },
      },
      {
        extends: true,
        test: {
          name: "integration",
          include: ["test/integration/**/*.test.ts"],
          // They share one Docker engine, and timing faults into each other's work shows nothing.
          fileParallelism: false,
          testTimeout: 10 * minutes,
          hookTimeout: 15 * minutes,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          // Each file has stacks, databases and names of its own; the engine leaves a core idle.
          maxWorkers: 2,
          testTimeout: 15 * minutes,
          hookTimeout: 15 * minutes,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
