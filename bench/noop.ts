import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import { LocalWorkspace } from "@pulumi/pulumi/automation";

import { createImmichDatabase, type ImmichDatabase } from "../demo/immichDatabase";
import { startPostgres } from "../demo/postgres";
import { findEngine } from "../demo/withEngine";
import { testName } from "../test/support/docker";
import { fakeStack } from "../test/support/fakeStack";
import { type EngineCommand, openEngineStack, startEngine } from "../test/support/engineStack";
import { benchmark, type Figures, timed } from "./support/benchmark";
import { type PeakMemory, cpuTimeOfChildren, watchMemory } from "./support/processTree";

/**
 * A run without changes: `pulumi up` of a stack like Pulumi.dev.yaml (image, cache, container, check,
 * preset), with its preflight, against the floor: a program with one resource of each of the same
 * providers that checks nothing (bench/floor). In turn, both without a preview.
 */
const rounds = 9;
const upWithoutPreview = ["up", "--yes", "--skip-preview"];

interface Program {
  up(): EngineCommand;
  remove(): Promise<void>;
}

async function measure(figures: Figures): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-bench-"));
  const server = await startPostgres({ folder });
  const programs: Program[] = [];
  try {
    const database = await createImmichDatabase(server);
    const ours = await openOurs(database);
    programs.push(ours);
    const floor = await openFloor(database);
    programs.push(floor);
    for (const program of programs) await succeeded(program.up());

    const times = { ours: [] as number[], floor: [] as number[] };
    const cpu = { ours: [] as number[], floor: [] as number[] };
    const memory = { ours: [] as PeakMemory[], floor: [] as PeakMemory[] };
    for (let round = 0; round < rounds; round += 1) {
      for (const [name, program] of [["ours", ours] as const, ["floor", floor] as const]) {
        const before = cpuTimeOfChildren();
        const { milliseconds, answer } = await timed(() => watched(program.up()));
        times[name].push(milliseconds / 1000);
        cpu[name].push(cpuTimeOfChildren() - before);
        memory[name].push(answer);
      }
    }
    figures.add("noop.up", times.ours, "s");
    figures.add("noop.floor", times.floor, "s");
    figures.ratio("noop.ratio", times.ours, times.floor, { atMost: 1.1 });
    figures.add("noop.cpuTime.up", cpu.ours, "s");
    figures.add("noop.cpuTime.floor", cpu.floor, "s");
    figures.ratio("noop.cpuTime.ratio", cpu.ours, cpu.floor);
    for (const name of ["ours", "floor"] as const) {
      const of = (kind: keyof PeakMemory) => memory[name].map((peak) => peak[kind]);
      figures.add(`noop.memory.program[${name}]`, of("program"), "MB");
      figures.add(`noop.memory.allProcesses[${name}]`, of("tree"), "MB");
    }
  } finally {
    for (const program of programs) await program.remove();
    await server.remove();
  }
}

async function watched(command: EngineCommand): Promise<PeakMemory> {
  const watch = watchMemory(command.child.pid!);
  await succeeded(command);
  return watch.stop();
}

async function succeeded({ ended }: EngineCommand): Promise<void> {
  const { code, text } = await ended;
  if (code !== 0) throw new Error(text);
}

async function openOurs(database: ImmichDatabase): Promise<Program> {
  const stack = await openEngineStack({
    name: "bench-noop",
    secrets: { databasePassword: database.password },
    config: await fakeStack(database, testName("bench-noop"), {
      environment: { workers: 1, requestThreads: 1, modelTtl: 10 },
    }),
  });
  return {
    up: () => stack.command(...upWithoutPreview, "--config-file", stack.configFile),
    remove: () => stack.dispose(),
  };
}

async function openFloor(database: ImmichDatabase): Promise<Program> {
  const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-bench-floor-"));
  const found = await findEngine(console.log);
  if ("missing" in found) throw new Error(found.missing);
  const environment = {
    PULUMI_BACKEND_URL: `file://${folder}`,
    PULUMI_CONFIG_PASSPHRASE: "bench",
    PULUMI_SKIP_UPDATE_CHECK: "true",
  };
  const workDir = path.join(__dirname, "floor");
  const stack = await LocalWorkspace.createStack(
    { stackName: "bench-floor", workDir },
    { pulumiCommand: found.engine, envVars: environment },
  );
  await stack.setAllConfig({
    port: { value: String(database.port) },
    database: { value: database.name },
    volume: { value: testName("bench-floor") },
    password: { value: database.password, secret: true },
  });
  return {
    up: () =>
      startEngine(
        found.engine.command,
        [...upWithoutPreview, "--stack", "bench-floor", "--cwd", workDir],
        environment,
      ),
    remove: async () => {
      await stack.destroy();
      await rm(folder, { recursive: true, force: true });
      await rm(path.join(workDir, "Pulumi.bench-floor.yaml"), { force: true });
    },
  };
}

benchmark("noop", measure);
