import { type ChildProcess, spawn, type SpawnOptionsWithoutStdio } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import {
  type EngineEvent,
  LocalWorkspace,
  type OutputMap,
  type PulumiFn,
  Stack,
} from "@pulumi/pulumi/automation";
import { parse, stringify } from "yaml";

import { findEngine } from "../../demo/withEngine";

const repository = path.join(__dirname, "..", "..");

/** The result of one run of the engine. */
export interface EngineRun {
  /** Operations other than `same`, such as `create attic-image`, without the stack. */
  readonly steps: readonly string[];
  /** The properties that differ, by resource name. */
  readonly differences: Readonly<Record<string, readonly string[]>>;
  /** Everything the engine printed. */
  readonly text: string;
  /** Secrets are encrypted. */
  readonly outputs: OutputMap;
}

/** A stack of index.ts on the real engine, with its state in a temporary folder. */
export interface EngineStack {
  readonly name: string;
  /** The stack file, for `--config-file`. */
  readonly configFile: string;
  configure(config: Readonly<Record<string, unknown>>): Promise<void>;
  preview(options?: { refresh?: boolean }): Promise<EngineRun>;
  up(options?: { refresh?: boolean }): Promise<EngineRun>;
  destroy(): Promise<EngineRun>;
  /** The outputs of the last `up`, with secrets in clear. */
  outputs(): Promise<OutputMap>;
  /**
   * Starts the engine's command line in a process group, as a terminal does:
   * `process.kill(-child.pid, "SIGINT")` is Ctrl-C.
   */
  command(...words: string[]): EngineCommand;
  /** Runs one of the npm scripts, such as `forget`, for this stack. */
  script(name: string, ...words: string[]): EngineCommand["ended"];
  /** The stored state, with encrypted secrets. */
  readState(): Promise<string>;
  /** Empties the stored state, as a new stack of the same name has it. */
  loseState(): Promise<void>;
  /** Destroys the resources and removes the folder. */
  dispose(): Promise<void>;
}

/** The engine's command line while it runs. */
export interface EngineCommand {
  readonly child: ChildProcess;
  /** Its exit code (null when it was killed) and output. */
  readonly ended: Promise<{ readonly code: number | null; readonly text: string }>;
}

/**
 * Why tests that need a Pulumi engine are skipped; undefined when there is one. Logged, so that a run
 * without an engine does not look complete.
 */
export const missingEngine = ["pulumi", "pulumi-language-nodejs"].every(isOnPath)
  ? undefined
  : "there is no Pulumi engine on the PATH";
if (missingEngine) console.log(`SKIPPED: ${missingEngine}, nothing is tested end to end`);

export function isOnPath(command: string): boolean {
  const folders = (process.env["PATH"] ?? "").split(path.delimiter);
  return folders.some((folder) => existsSync(path.join(folder, command)));
}

export async function openEngineStack(options: {
  readonly name: string;
  /** @default index.ts */
  readonly program?: PulumiFn;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly secrets?: Readonly<Record<string, string>>;
}): Promise<EngineStack> {
  // Random, since an interrupted run may have left resources of its stack.
  const name = `test-${options.name}-${randomBytes(3).toString("hex")}`;
  const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-stack-"));
  const environment = {
    PULUMI_BACKEND_URL: `file://${folder}`,
    PULUMI_CONFIG_PASSPHRASE: "test",
    PULUMI_SKIP_UPDATE_CHECK: "true",
  };
  const found = await findEngine(console.log);
  if ("missing" in found) throw new Error(found.missing);
  const settings = { pulumiCommand: found.engine, envVars: environment };

  // The engine writes beside the project file, so this is a copy.
  const project = path.join(folder, "project");
  const configFile = path.join(project, `Pulumi.${name}.yaml`);
  const copied = await LocalWorkspace.create({
    ...settings,
    workDir: await folderWithProject(project),
  });
  await copied.createStack(name);
  for (const [key, value] of Object.entries(options.secrets ?? {})) {
    await copied.setConfig(name, `immich-ml:${key}`, { value, secret: true });
  }
  const encrypted = parse(await readFile(configFile, "utf8")) as { config?: object };
  const configure = (config: Readonly<Record<string, unknown>>) =>
    writeFile(
      configFile,
      stringify({ ...encrypted, config: { ...encrypted.config, ...namespaced(config) } }),
    );
  await configure(options.config ?? {});

  const { program } = options;
  const workspace = await LocalWorkspace.create(
    program ? { ...settings, workDir: project, program } : { ...settings, workDir: repository },
  );
  // Every command names the stack, and the engine takes half a second to select it.
  workspace.selectStack = () => Promise.resolve(undefined);
  const stack = await Stack.select(name, workspace);
  const common = { configFile, color: "never", suppressProgress: true } as const;
  const outputs = stack.outputs.bind(stack);
  // The file, since an export is decrypted.
  const stateFile = path.join(folder, ".pulumi", "stacks", "immich-ml", `${name}.json`);
  const readState = () => readFile(stateFile, "utf8");
  askNothingAfterRuns(stack, async () => outputsIn(await readState()));
  return {
    name,
    configure,
    preview: (more = {}) =>
      recorded((on) => stack.preview({ ...common, ...more, ...on, diff: true })),
    up: (more = {}) => recorded((on) => stack.up({ ...common, ...more, ...on })),
    outputs,
    destroy: () => recorded((on) => stack.destroy({ ...common, ...on })),
    command: (...words) =>
      startEngine(
        found.engine.command,
        [...words, "--stack", name, "--cwd", repository],
        environment,
      ),
    script: (script, ...words) =>
      recordedProcess(
        process.execPath,
        ["--import", "tsx", `cli/${script}.ts`, ...words, "--stack", name],
        { cwd: repository, env: { ...process.env, ...environment } },
      ).ended,
    configFile,
    readState,
    loseState: async () => {
      const state = JSON.parse(await readState()) as { checkpoint: { latest: object } };
      Object.assign(state.checkpoint.latest, { resources: [], pending_operations: [] });
      await writeFile(stateFile, JSON.stringify(state));
    },
    dispose: async () => {
      // A state that cannot be read may have some.
      const made = await readState()
        .then(resourcesIn)
        .catch(() => undefined);
      if (made?.length !== 0) await stack.destroy({ configFile }).catch(() => undefined);
      await rm(folder, { recursive: true, force: true });
      // Reading the outputs leaves an empty stack file here.
      await rm(path.join(repository, `Pulumi.${name}.yaml`), { force: true });
    },
  };
}

/**
 * After each run the Automation API starts the engine three times, for the outputs and the history: a third of
 * what a run without changes takes.
 */
export function askNothingAfterRuns(stack: Stack, outputs: Stack["outputs"]): void {
  stack.outputs = outputs;
  stack.info = () => Promise.resolve(undefined);
}

interface StoredResource {
  readonly urn: string;
  readonly type: string;
  readonly custom: boolean;
  readonly outputs?: Readonly<Record<string, unknown>>;
}

/** The resources of a stored state; none where nothing was ever made. */
export function resourcesIn(state: string): readonly StoredResource[] {
  const { checkpoint } = JSON.parse(state) as {
    checkpoint: { latest?: { resources?: StoredResource[] } };
  };
  return checkpoint.latest?.resources ?? [];
}

function outputsIn(state: string): OutputMap {
  const { outputs = {} } =
    resourcesIn(state).find(({ type }) => type === "pulumi:pulumi:Stack") ?? {};
  return Object.fromEntries(
    Object.entries(outputs).map(([key, value]) => [key, { value, secret: false }]),
  );
}

/** Starts an engine's command line as {@link EngineStack.command} does. */
export function startEngine(
  engine: string,
  words: readonly string[],
  environment: Readonly<Record<string, string>>,
): EngineCommand {
  return recordedProcess(engine, [...words, "--non-interactive", "--color", "never"], {
    detached: true,
    env: { ...process.env, ...environment },
  });
}

function recordedProcess(
  program: string,
  words: readonly string[],
  options: SpawnOptionsWithoutStdio,
): EngineCommand {
  const child = spawn(program, words, options);
  let text = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (more: Buffer) => (text += more.toString()));
  const ended = new Promise<{ code: number | null; text: string }>((resolve) =>
    child.once("close", (code) => resolve({ code, text })),
  );
  return { child, ended };
}

async function folderWithProject(folder: string): Promise<string> {
  await cp(path.join(repository, "Pulumi.yaml"), path.join(folder, "Pulumi.yaml"));
  return folder;
}

function namespaced(config: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => [`immich-ml:${key}`, value]),
  );
}

interface Listeners {
  onOutput: (text: string) => void;
  onError: (text: string) => void;
  onEvent: (event: EngineEvent) => void;
}

async function recorded(
  run: (on: Listeners) => Promise<{ outputs?: OutputMap } | object>,
): Promise<EngineRun> {
  const steps: string[] = [];
  const differences: Record<string, string[]> = {};
  let text = "";
  const keep = (more: string) => void (text += more);
  const result = await run({
    onOutput: keep,
    onError: keep,
    onEvent: ({ resourcePreEvent }) => {
      const step = resourcePreEvent?.metadata;
      if (!step || ["same", "refresh", "read"].includes(step.op)) return;
      // The second is the engine's own, for reading the stack's state.
      if (["pulumi:pulumi:Stack", "pulumi:providers:pulumi"].includes(step.type)) return;
      const name = step.urn.split("::").at(-1)!;
      // Some releases of the engine report a step of their own for a provider that the program did not make.
      if (/^pulumi:providers:/.test(step.type) && name.startsWith("default")) return;
      // This provider's inputs hold the whole stack file, so any change of it shows here too.
      if (step.type === "pulumi:providers:pulumi-nodejs") return;
      steps.push(`${step.op} ${name}`);
      if (step.detailedDiff) differences[name] = Object.keys(step.detailedDiff);
    },
  });
  return { steps, differences, text, outputs: "outputs" in result ? (result.outputs ?? {}) : {} };
}

/** Name and tag of the first image that the stack built. */
export async function imageReference(stack: EngineStack): Promise<string> {
  const image = resourcesIn(await stack.readState()).find(
    ({ type }) => type === "docker:index/remoteImage:RemoteImage",
  );
  return image!.outputs!["name"] as string;
}
