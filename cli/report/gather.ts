import { readFile } from "node:fs/promises";
import path from "node:path";

import { parseResults } from "../../bench/support/results";
import { findGpu } from "../../catalog/gpus";
import { run } from "../../util/run";
import { parseCheckResult } from "../../verify/check";
import { type HostStatus, readStatus, type StackStatus } from "../status";
import type { DetectedGpu, LastCheck, Learnt, Operation, ReportData } from "./reportData";

/**
 * Asks the engine, the hosts and Immich for everything a report shows, at the same time. What does
 * not answer is reported as not known, with the reason.
 *
 * @param chosen the stack's name; nothing for the selected one
 */
export async function gather(chosen: string | undefined): Promise<ReportData> {
  const made = new Date();
  const benchmarks = readFile(path.join(__dirname, "..", "bench", "RESULTS.md"), "utf8");
  const [stack, status, declared, checks, history, results] = await Promise.all([
    chosen === undefined
      ? learnt(() => ask("stack", "--show-name").then((name) => name.trim()))
      : { answer: chosen },
    learnt(() => readStatus(chosen)),
    learnt(async () => parseDeclared(await askStack(chosen, "config", "--json"))),
    learnt(async () => parseCheckResults(await askStack(chosen, "stack", "export"))),
    learnt(async () =>
      parseHistory(await askStack(chosen, "stack", "history", "--json", "--page-size", "30")),
    ),
    benchmarks.catch(() => ""),
  ]);
  const { settings, queues, immichProblem }: Partial<StackStatus> = status.answer ?? {};
  return {
    stack,
    made,
    hosts: status.answer
      ? {
          answer: status.answer.hosts.map((host) => ({
            ...host,
            card: gpuOf(host, declared.answer?.cards[host.host]),
            check: checks.answer?.[host.host],
          })),
        }
      : status,
    settings: settings ?? [],
    queues: queues ?? [],
    immichProblem,
    immichVersion: declared.answer?.immichVersion,
    history,
    benchmarks: parseResults(results),
  };
}

async function learnt<Answer>(question: () => Promise<Answer>): Promise<Learnt<Answer>> {
  try {
    return { answer: await question() };
  } catch (error) {
    return { unknown: (error as Error).message };
  }
}

function askStack(stack: string | undefined, ...words: string[]): Promise<string> {
  return ask(...words, ...(stack === undefined ? [] : ["--stack", stack]));
}

async function ask(...words: string[]): Promise<string> {
  const ended = await run("pulumi", [...words, "--non-interactive"]);
  if (ended.code === 127) throw new Error("there is no pulumi on the PATH");
  if (ended.code !== 0) throw new Error(ended.stderr.trim().split("\n")[0]);
  return ended.stdout;
}

/** What the stack file says of itself; secrets are not asked for. */
interface Declared {
  readonly cards: Readonly<Record<string, DetectedGpu | undefined>>;
  readonly immichVersion: string | undefined;
}

/** @internal Exported for tests. Reads what `pulumi config --json` printed. */
export function parseDeclared(text: string): Declared {
  const config = JSON.parse(text) as Record<string, ConfigValue | undefined>;
  const hosts = valueOf<DeclaredHost[]>(config["immich-ml:hosts"]) ?? [];
  return {
    cards: Object.fromEntries(hosts.map((host) => [host.name, declaredGpu(host)])),
    immichVersion: valueOf<{ version?: string }>(config["immich-ml:immich"])?.version,
  };
}

interface ConfigValue {
  readonly value?: string;
  readonly objectValue?: unknown;
}

interface DeclaredHost {
  readonly name: string;
  readonly gpu?: string | number;
  readonly videoMemory?: number;
}

function valueOf<Value>(entry: ConfigValue | undefined): Value | undefined {
  if (entry?.objectValue !== undefined) return entry.objectValue as Value;
  return entry?.value === undefined ? undefined : (JSON.parse(entry.value) as Value);
}

function declaredGpu({ gpu, videoMemory }: DeclaredHost): DetectedGpu | undefined {
  const known = findGpu(String(gpu ?? ""));
  const memory = videoMemory ?? known?.videoMemory;
  if (gpu === undefined || memory === undefined) return undefined;
  return { name: known?.name ?? String(gpu), videoMemory: memory, source: "stack file" };
}

/** The driver knows better than the stack file; of several cards the smallest counts. */
function gpuOf(
  { cards = [] }: HostStatus,
  declared: DetectedGpu | undefined,
): DetectedGpu | undefined {
  const [smallest] = cards
    .map(({ name, used, free }): DetectedGpu => ({
      name,
      videoMemory: used + free,
      source: "driver",
    }))
    .filter(({ videoMemory }) => Number.isFinite(videoMemory))
    .sort((left, right) => left.videoMemory - right.videoMemory);
  return smallest ?? declared;
}

/** @internal Exported for tests. Reads the checks out of what `pulumi stack export` printed. */
export function parseCheckResults(text: string): Readonly<Record<string, LastCheck>> {
  const { deployment } = JSON.parse(text) as { deployment?: { resources?: StoredResource[] } };
  const checks = (deployment?.resources ?? []).flatMap(({ urn, type, outputs, modified }) => {
    const host = /::([^:]+)-check$/.exec(urn)?.[1];
    if (type !== "command:local:Command" || host === undefined) return [];
    try {
      const check = parseCheckResult(String(outputs?.stdout));
      return [[host, { check, ...(modified && { at: new Date(modified) }) }] as const];
    } catch {
      return [];
    }
  });
  return Object.fromEntries(checks);
}

interface StoredResource {
  readonly urn: string;
  readonly type: string;
  readonly outputs?: { readonly stdout?: unknown };
  readonly modified?: string;
}

/**
 * @internal Exported for tests. Reads what `pulumi stack history --json` printed; of the whole stack
 * file and context that stand in it, nothing is taken over.
 */
export function parseHistory(text: string): readonly Operation[] {
  const operations = JSON.parse(text) as StoredOperation[];
  return operations.map((stored) => ({
    kind: stored.kind,
    result: stored.result,
    message: stored.message ?? "",
    began: new Date(stored.startTime),
    ...(stored.endTime && { ended: new Date(stored.endTime) }),
    changes: stored.resourceChanges ?? {},
  }));
}

interface StoredOperation {
  readonly kind: string;
  readonly result: string;
  readonly message?: string;
  readonly startTime: string;
  readonly endTime?: string;
  readonly resourceChanges?: Record<string, number>;
}
