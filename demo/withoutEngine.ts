import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { commandProviders } from "./providers/command";
import { dockerProviders } from "./providers/docker";
import type { Inputs, Made, FakeProvider, FakeProviders, Wanted } from "./providers/provider";
import { postgresqlProviders } from "./providers/postgresql";
import { logProgress, type Log } from "./progress";

/**
 * Runs a Pulumi program without a Pulumi engine and really creates its resources, with npm packages
 * alone. There is no state and no diff: a journal lists what was created, for removal in reverse order.
 */
export interface EnginelessOptions {
  project: string;
  stack: string;
  /** The stack's configuration, such as `immich-ml:preset`; objects are not serialised. */
  config: Readonly<Record<string, unknown>>;
  /** Loads the program. @returns its exports */
  program: () => Promise<object>;
  /** A file that lists what was created, with secrets; readable only by its owner. */
  journal: string;
  log: Log;
}

const fakeProviders: FakeProviders = {
  ...commandProviders,
  ...dockerProviders,
  ...postgresqlProviders,
};

type Entry = Made & Wanted;

/** Creates the program's resources. @returns the stack's outputs */
export async function createWithoutEngine(options: EnginelessOptions): Promise<Inputs> {
  const entries = await readJournal(options.journal);
  if (entries.length > 0)
    throw new Error(`${options.journal} lists resources of an earlier run; remove them first.`);
  const providers = new Map<string, Inputs>();
  const failures: unknown[] = [];

  const create = async (args: pulumi.runtime.MockResourceArgs): Promise<Made> => {
    const inputs = withoutSecretMarks(args.inputs as unknown) as Inputs;
    if (args.custom === false || args.type === "pulumi:pulumi:Stack")
      return { id: "", outputs: {} };
    if (args.type.startsWith("pulumi:providers:")) {
      providers.set(args.name, inputs);
      return { id: args.name, outputs: inputs };
    }
    const provider = providers.get(providerName(args.provider)) ?? {};
    const wanted: Wanted = { type: args.type, name: args.name, inputs, provider };
    const fakeProvider = fakeProviderOf(wanted);
    const made = await logProgress(
      `${shortType(wanted.type)} ${wanted.name}`,
      options.log,
      (logLine) => fakeProvider.make(wanted, logLine),
    );
    entries.push({ ...wanted, ...made });
    await writeJournal(options.journal, entries);
    return made;
  };

  await pulumi.runtime.setMocks(
    {
      newResource: async (args) => {
        try {
          const { id, outputs } = await create(args);
          return { id, state: { ...(args.inputs as Inputs), ...outputs } };
        } catch (error) {
          failures.push(error);
          throw error;
        }
      },
      call: ({ token }) => {
        if (token === "pulumi:pulumi:readStackResourceOutputs") return {};
        const error = new Error(`without a Pulumi engine ${token} cannot be called`);
        failures.push(error);
        throw error;
      },
    },
    options.project,
    options.stack,
    false,
    "organization",
  );
  pulumi.runtime.setAllConfig(
    Object.fromEntries(
      Object.entries(options.config).map(([key, value]) => [
        key,
        typeof value === "string" ? value : JSON.stringify(value),
      ]),
    ),
  );

  // A failed resource rejects all that depends on it, some of which nothing awaits.
  const rejected = (reason: unknown) => failures.push(reason);
  process.on("unhandledRejection", rejected);
  try {
    const exported = await options.program();
    await pulumi.runtime.disconnect();
    if (failures.length > 0) throw failures[0];
    return await valueOf(pulumi.output<Inputs>({ ...exported }));
  } finally {
    // Node.js reports rejections after the turn in which they happen.
    await new Promise((resolve) => setImmediate(resolve));
    process.off("unhandledRejection", rejected);
  }
}

/** Removes what `createWithoutEngine` created, newest first. */
export async function removeWithoutEngine(journal: string, log: Log): Promise<void> {
  const entries = await readJournal(journal);
  for (let entry = entries.pop(); entry !== undefined; entry = entries.pop()) {
    const made = entry;
    await logProgress(`removing ${shortType(made.type)} ${made.name}`, log, (logLine) =>
      fakeProviderOf(made).remove(made, logLine),
    );
    await writeJournal(journal, entries);
  }
  await rm(journal, { force: true });
}

function fakeProviderOf({ type }: Wanted): FakeProvider {
  const fakeProvider = fakeProviders[type];
  if (fakeProvider === undefined)
    throw new Error(`without a Pulumi engine this demo cannot create a ${type}`);
  return fakeProvider;
}

/** `urn:pulumi:demo::immich-ml::pulumi:providers:docker::docker-local::id` is `docker-local`. */
function providerName(reference: string | undefined): string {
  return reference?.split("::")[3] ?? "";
}

/** `docker:index/container:Container` is `Container`. */
function shortType(type: string): string {
  return type.split(":").at(-1) ?? type;
}

/** Unwraps secrets. */
function withoutSecretMarks(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutSecretMarks);
  if (typeof value !== "object" || value === null) return value;
  if (pulumi.runtime.isRpcSecret(value))
    return withoutSecretMarks(pulumi.runtime.unwrapRpcSecret(value));
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => [key, withoutSecretMarks(child)]),
  );
}

function valueOf<T>(output: pulumi.Output<T>): Promise<T> {
  return new Promise((resolve) => output.apply(resolve));
}

async function readJournal(journal: string): Promise<Entry[]> {
  if (!existsSync(journal)) return [];
  return JSON.parse(await readFile(journal, "utf8")) as Entry[];
}

async function writeJournal(journal: string, entries: readonly Entry[]): Promise<void> {
  await mkdir(path.dirname(journal), { recursive: true });
  await writeFile(journal, JSON.stringify(entries), { mode: 0o600 });
}
