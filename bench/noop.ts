import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import { LocalWorkspace } from "@pulumi/pulumi/automation";

import { createImmichDatabase, type ImmichDatabase } from "../demo/immichDatabase";
import { startPostgres } from "../demo/postgres";
import { findEngine } from "../demo/withEngine";
import { testName } from "../test/support/docker";
import { fakeStack } from "../test/support/fakeStack";
import {
  type EngineCommand,
  openEngineStack,
  resourcesIn,
  startEngine,
} from "../test/support/engineStack";
import { benchmark, type Figures, timed } from "./support/benchmark";
import { type PeakMemory, cpuTimeOfChildren, watchMemory } from "./support/processTree";

/**
 * A run without changes: `pulumi up` of a stack like Pulumi.dev.yaml (image, cache, container, check,
 * preset), with its preflight, against a floor: a program with one resource of each of the same providers
 * that checks nothing (bench/floor), with a dynamic resource and without. In turn, all without a preview.
 */
const rounds = 9;
const upWithoutPreview = ["up", "--yes", "--skip-preview"];

interface Program {
  up(): EngineCommand;
  readState(): Promise<string>;
  remove(): Promise<void>;
}

const floors = { floor: { atMost: 0.95 }, plainFloor: { atMost: 1.2 } } as const;

async function measure(figures: Figures): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-bench-"));
  const server = await startPostgres({ folder });
  const programs = new Map<string, Program>();
  try {
    const database = await createImmichDatabase(server);
    programs.set("up", await openOurs(database));
    programs.set("floor", await openFloor(database, { dynamic: true }));
    programs.set("plainFloor", await openFloor(database, { dynamic: false }));
    for (const program of programs.values()) await succeeded(program.up());
    figures.add("noop.resources", await resourcesOf(programs.get("up")!), "");
    const state = await programs.get("up")!.readState();
    figures.add("noop.state", state.length / 1000, "kB", { atMost: 60 });

    const runs = new Map([...programs.keys()].map((name) => [name, [] as Run[]]));
    for (let round = 0; round < rounds; round += 1) {
      for (const [name, program] of programs) runs.get(name)!.push(await measured(program));
    }
    const of = (name: string, kind: keyof Run) => runs.get(name)!.map((run) => run[kind]);
    for (const name of programs.keys()) {
      figures.add(`noop.${name}`, of(name, "seconds"), "s");
      figures.add(`noop.cpuTime.${name}`, of(name, "cpuSeconds"), "s");
      figures.add(`noop.memory.program[${name}]`, of(name, "program"), "MB");
      figures.add(`noop.memory.allProcesses[${name}]`, of(name, "tree"), "MB");
    }
    for (const [floor, goal] of Object.entries(floors)) {
      figures.ratio(`noop.ratio.${floor}`, of("up", "seconds"), of(floor, "seconds"), goal);
      figures.ratio(`noop.cpuTime.ratio.${floor}`, of("up", "cpuSeconds"), of(floor, "cpuSeconds"));
    }
  } finally {
    for (const program of programs.values()) await program.remove();
    await server.remove();
  }
}

interface Run extends PeakMemory {
  readonly seconds: number;
  readonly cpuSeconds: number;
}

async function measured(program: Program): Promise<Run> {
  const before = cpuTimeOfChildren();
  const { milliseconds, answer } = await timed(() => watched(program.up()));
  return { ...answer, seconds: milliseconds / 1000, cpuSeconds: cpuTimeOfChildren() - before };
}

/** Without providers, components and the stack. */
async function resourcesOf(program: Program): Promise<number> {
  return resourcesIn(await program.readState()).filter(
    ({ type, custom }) => custom && !type.startsWith("pulumi:providers:"),
  ).length;
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
    readState: () => stack.readState(),
    remove: () => stack.dispose(),
  };
}

async function openFloor(
  database: ImmichDatabase,
  { dynamic }: { readonly dynamic: boolean },
): Promise<Program> {
  const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-bench-floor-"));
  const found = await findEngine(console.log);
  if ("missing" in found) throw new Error(found.missing);
  const environment = {
    PULUMI_BACKEND_URL: `file://${folder}`,
    PULUMI_CONFIG_PASSPHRASE: "bench",
    PULUMI_SKIP_UPDATE_CHECK: "true",
  };
  const workDir = path.join(__dirname, "floor");
  const stackName = `bench-floor${dynamic ? "" : "-plain"}`;
  const stack = await LocalWorkspace.createStack(
    { stackName, workDir },
    { pulumiCommand: found.engine, envVars: environment },
  );
  await stack.setAllConfig({
    port: { value: String(database.port) },
    database: { value: database.name },
    dynamic: { value: String(dynamic) },
    volume: { value: testName("bench-floor") },
    schema: { value: stackName },
    password: { value: database.password, secret: true },
  });
  return {
    up: () =>
      startEngine(
        found.engine.command,
        [...upWithoutPreview, "--stack", stackName, "--cwd", workDir],
        environment,
      ),
    readState: () =>
      readFile(
        path.join(folder, ".pulumi", "stacks", "immich-ml-floor", `${stackName}.json`),
        "utf8",
      ),
    remove: async () => {
      await stack.destroy();
      await rm(folder, { recursive: true, force: true });
      await rm(path.join(workDir, `Pulumi.${stackName}.yaml`), { force: true });
    },
  };
}

benchmark("noop", measure);
