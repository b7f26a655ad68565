import { findGpu } from "../../catalog/gpuNames";
import { parseCheckResult } from "../../verify/check";
import { askEngine, parseConfig } from "../../verify/deployment";
import { readStatus } from "../../verify/readStatus";
import type { HostStatus, StackStatus } from "../../verify/status";
import type { DetectedGpu, LastCheck, Result, Operation, ReportData } from "./reportData";
import { readingsOf } from "./videoMemory";

/**
 * Asks the engine, the hosts and Immich at the same time for everything a report shows. What does not
 * answer becomes unknown, with the reason.
 *
 * @param chosen the stack's name; undefined for the selected one
 */
export async function gather(chosen: string | undefined): Promise<ReportData> {
  const made = new Date();
  const [stack, status, declared, checks, history] = await Promise.all([
    chosen === undefined
      ? attempt(() => askEngine(chosen, "stack", "--show-name").then((name) => name.trim()))
      : { answer: chosen },
    attempt(() => readStatus(chosen)),
    attempt(async () => parseDeclared(await askEngine(chosen, "config", "--json"))),
    attempt(async () => parseCheckResults(await askEngine(chosen, "stack", "export"))),
    attempt(async () =>
      parseHistory(await askEngine(chosen, "stack", "history", "--json", "--page-size", "30")),
    ),
  ]);
  const { settings, queues, immichProblem }: Partial<StackStatus> = status.answer ?? {};
  const hosts = status.answer?.hosts.map((host) => ({
    ...host,
    gpu: gpuOf(host, declared.answer?.gpus[host.host]),
    check: checks.answer?.[host.host],
  }));
  return {
    stack,
    made,
    hosts: hosts ? { answer: hosts } : { unknown: status.unknown! },
    settings: settings ?? [],
    queues: queues ?? [],
    immichProblem,
    immichVersion: declared.answer?.immichVersion,
    history,
    readings: readingsOf(hosts ?? [], made),
  };
}

async function attempt<Answer>(question: () => Promise<Answer>): Promise<Result<Answer>> {
  try {
    return { answer: await question() };
  } catch (error) {
    return { unknown: (error as Error).message };
  }
}

/** What the stack file declares, without secrets. */
interface Declared {
  readonly gpus: Readonly<Record<string, DetectedGpu | undefined>>;
  readonly immichVersion: string | undefined;
}

/** @param text what `pulumi config --json` printed */
export function parseDeclared(text: string): Declared {
  const valueOf = parseConfig(text);
  const hosts = (valueOf("hosts") ?? []) as readonly DeclaredHost[];
  return {
    gpus: Object.fromEntries(hosts.map((host) => [host.name, declaredGpu(host)])),
    immichVersion: (valueOf("immich") as { version?: string } | undefined)?.version,
  };
}

interface DeclaredHost {
  readonly name: string;
  readonly gpu?: string | number;
  readonly videoMemory?: number;
}

function declaredGpu({ gpu, videoMemory }: DeclaredHost): DetectedGpu | undefined {
  const known = findGpu(String(gpu ?? ""));
  const memory = videoMemory ?? known?.videoMemory;
  if (gpu === undefined || memory === undefined) return undefined;
  return { name: known?.name ?? String(gpu), videoMemory: memory, source: "stack file" };
}

/** The driver knows better than the stack file; the smallest of several GPUs counts. */
function gpuOf(
  { gpus = [] }: HostStatus,
  declared: DetectedGpu | undefined,
): DetectedGpu | undefined {
  const [smallest] = gpus
    .map(({ name, used, free }) => ({ name, videoMemory: used + free, source: "driver" as const }))
    .filter(({ videoMemory }) => Number.isFinite(videoMemory))
    .sort((left, right) => left.videoMemory - right.videoMemory);
  return smallest ?? declared;
}

/**
 * The last check of each host.
 *
 * @param text what `pulumi stack export` printed
 */
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
 * The operations without the stack files and contexts that are stored with them.
 *
 * @param text what `pulumi stack history --json` printed
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
