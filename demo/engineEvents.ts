import type { EngineEvent } from "@pulumi/pulumi/automation";
import type { Say } from "./progress";

/** Seconds without news after which it is said what is being worked on. */
const secondsOfSilence = 5;

/** What an operation of the engine came to. */
export interface EngineCount {
  /** How many resources it changed, or would change. */
  changes: number;
  /** Whether the engine has said what is wrong. */
  hasError: boolean;
}

/**
 * Tells in a few lines what the engine reports as a stream of events: each resource it changes,
 * the values that differ, warnings once, and what it is working on while nothing else happens.
 */
export class EngineEvents {
  public readonly count: EngineCount = { changes: 0, hasError: false };
  readonly #working = new Map<string, number>();
  readonly #start = Date.now();
  #lastNews = this.#start;
  readonly #clock: NodeJS.Timeout;

  constructor(
    private readonly kind: "preview" | "up" | "destroy",
    private readonly say: Say,
    /** Warnings of previous operations, which are not repeated. */
    private readonly warnings: Set<string>,
  ) {
    this.#clock = setInterval(() => this.#breakSilence(), 500);
  }

  readonly hear = (event: EngineEvent): void => {
    const begun = event.resourcePreEvent?.metadata;
    const ended = (event.resOutputsEvent ?? event.resOpFailedEvent)?.metadata;
    const { diagnosticEvent: message, summaryEvent: summary } = event;
    if (begun && isNews(begun)) this.#begin(begun);
    if (ended && isNews(ended)) this.#end(ended);
    if (message) this.#diagnose(message);
    for (const [operation, count] of Object.entries(summary?.resourceChanges ?? {}))
      if (operation !== "same") this.count.changes += count ?? 0;
  };

  end(): void {
    clearInterval(this.#clock);
  }

  #begin(step: Step): void {
    this.#working.set(step.urn, Date.now());
    if (this.kind !== "preview") return;
    if (partsOfReplace.has(step.op)) return;
    this.#tell(headline(step));
    if (step.op === "update" || step.op === "replace")
      for (const line of differences(step.old?.inputs, step.new?.inputs))
        this.#tell(`      ${line}`);
  }

  #end(step: Step): void {
    const seconds = (Date.now() - (this.#working.get(step.urn) ?? Date.now())) / 1000;
    this.#working.delete(step.urn);
    if (this.kind === "preview" || step.op === "replace") return;
    const time = seconds >= 1 ? ` (${seconds.toFixed(0)} s)` : "";
    this.#tell(headline(step) + time);
  }

  #diagnose(message: NonNullable<EngineEvent["diagnosticEvent"]>): void {
    if ((message.severity as string) === "debug") return;
    if (message.severity === "error") this.count.hasError = true;
    const text = withoutColour(message.message).trim();
    // Where the engine found a provider is its own business.
    if (text === "" || text.startsWith("using pulumi-resource-")) return;
    if (message.severity === "warning") {
      if (this.warnings.has(text)) return;
      this.warnings.add(text);
    }
    const name = message.urn?.split("::").at(-1) ?? "pulumi";
    const severity = message.severity.startsWith("info") ? "" : `${message.severity}: `;
    for (const line of text.split("\n")) this.#tell(`    ${name}: ${severity}${line}`);
  }

  #tell(line: string): void {
    this.#lastNews = Date.now();
    this.say(line);
  }

  #breakSilence(): void {
    if (Date.now() - this.#lastNews < secondsOfSilence * 1000) return;
    const seconds = (since: number) => `(${((Date.now() - since) / 1000).toFixed(0)} s)`;
    const busy = [...this.#working].map(([urn, since]) => `${described(urn)} ${seconds(since)}`);
    this.#tell(`    … ${busy.join(", ") || `the engine is at work ${seconds(this.#start)}`}`);
  }
}

type Step = NonNullable<EngineEvent["resourcePreEvent"]>["metadata"];

/** Whether it changes something in the world; providers and the stack itself do not. */
function isNews({ op, type }: Step): boolean {
  return !["same", "refresh", "read"].includes(op) && !type.startsWith("pulumi:");
}

/** The two halves of a replacement, which the preview tells as one. */
const partsOfReplace = new Set<string>(["create-replacement", "delete-replaced"]);

const signs: Record<string, string> = {
  create: "+",
  "create-replacement": "+",
  update: "~",
  replace: "±",
  delete: "-",
  "delete-replaced": "-",
};

function headline(step: Step): string {
  const operation = step.op.replace(/-.*/, "").padEnd(7);
  return `  ${signs[step.op] ?? " "} ${operation} ${described(step.urn)}`;
}

/** `urn:pulumi:demo::immich-ml::docker:index/container:Container::attic` is `Container attic`. */
function described(urn: string): string {
  const [, , type = "", name = ""] = urn.split("::");
  return `${type.split(/[$:]/).at(-1)} ${name}`;
}

function withoutColour(text: string): string {
  return text.replace(/<\{%[^%]*%\}>/g, "");
}

function differences(old: unknown, now: unknown): string[] {
  const before = new Map(leaves(old));
  const after = new Map(leaves(now));
  const paths = [...new Set([...before.keys(), ...after.keys()])];
  return paths
    .filter((path) => before.get(path) !== after.get(path) && !path.startsWith("__"))
    .map((path) => `${path}: ${shortened(before.get(path))} → ${shortened(after.get(path))}`);
}

function shortened(value = "(absent)"): string {
  return value.length > 80 ? `${value.slice(0, 79)}…` : value;
}

function leaves(value: unknown, path: readonly string[] = []): [path: string, text: string][] {
  if (typeof value !== "object" || value === null)
    return value === undefined ? [] : [[path.join(" "), JSON.stringify(value)]];
  return Object.entries(value).flatMap(([key, child]) => leaves(child, [...path, key]));
}
