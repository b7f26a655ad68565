import { defineConfig } from "vitest/config";

const minutes = 60_000;

const integrationTest = (name: string) => `test/integration/${name}.test.ts`;

/** Integration tests that need no Docker engine: each file has its own database and temporary folder. */
const withoutDocker = [
  ...["apiReindex", "apiStore", "databaseNeighbours", "databasePreset", "databaseStore"],
  "demoDatabase",
  ...["hostileApi", "hostileDatabase", "hostileScripts", "reportBrowser", "shellcheck"],
].map(integrationTest);

/** They start, fill and remove the one demo of this machine. */
const theDemo = [
  "demoEngine",
  "demoFakeImages",
  "demoProgram",
  "demoService",
  "demoWithoutEngine",
].map(integrationTest);

/** Each file has its own stacks, databases, containers and names, and waits for about a third of its time. */
const besideEachOther = 3;

export default defineConfig({
  test: {
    // As Pulumi's Node.js does: the SDK loads without what it seldom uses, in half the time.
    execArgv: ["--require", "./loadTypeScript.cjs"],
    reporters: ["default", "./test/support/summary.mts"],
    projects: [
      {
        extends: true,
        // Some start the whole program or a shell, which is slow on a busy machine.
        // Vitest leaves a processor alone, which is half of two.
        test: {
          name: "unit",
          include: ["test/unit/**/*.test.ts"],
          maxWorkers: 2,
          testTimeout: minutes,
        },
      },
      {
        extends: true,
        test: {
          name: "services",
          include: withoutDocker,
          maxWorkers: 2,
          testTimeout: 10 * minutes,
          hookTimeout: 15 * minutes,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: "demo",
          include: theDemo,
          fileParallelism: false,
          testTimeout: 10 * minutes,
          hookTimeout: 15 * minutes,
          sequence: { groupOrder: 2 },
        },
      },
      {
        extends: true,
        test: {
          name: "integration",
          include: ["test/integration/**/*.test.ts"],
          exclude: [...withoutDocker, ...theDemo],
          maxWorkers: besideEachOther,
          testTimeout: 15 * minutes,
          hookTimeout: 15 * minutes,
          sequence: { groupOrder: 3 },
        },
      },
      {
        extends: true,
        // Against Immich's real server, where one is at hand.
        test: {
          name: "immich",
          include: ["test/immich/**/*.test.ts"],
          fileParallelism: false,
          testTimeout: 10 * minutes,
          hookTimeout: 15 * minutes,
          sequence: { groupOrder: 4 },
        },
      },
      {
        extends: true,
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          // The engine's processes live for seconds: collecting garbage took a tenth of what they compute.
          env: { GOGC: "off", GOMEMLIMIT: "512MiB" },
          maxWorkers: besideEachOther,
          testTimeout: 15 * minutes,
          hookTimeout: 15 * minutes,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
