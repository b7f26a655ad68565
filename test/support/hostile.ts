import fc from "fast-check";
import { expect, it } from "vitest";

import { isNightly } from "./nightly";

/**
 * Hostile input. Every part of the program must answer it in bounded time, or fail with one clear
 * message without a secret.
 *
 * `HOSTILE_RUNS` is the number of inputs per property, `HOSTILE_SEED` selects them.
 */
const runs = Number(process.env["HOSTILE_RUNS"] ?? (isNightly ? 4500 : 150));
const seed = Number(process.env["HOSTILE_SEED"] ?? Date.now() % 2 ** 31);
console.log(
  `hostile inputs: seed ${seed} (HOSTILE_SEED=${seed} HOSTILE_RUNS=${runs} repeats them)`,
);

/** Milliseconds that one input may take on a busy machine. */
const timeout = 5_000;

/** Used for every secret; no message may contain it. */
export const canarySecret = "canary-2f1c-secret";

/**
 * A property that must hold for every input.
 *
 * @param share of the usual number of inputs, for properties that start processes or query a database
 */
export function hostile<Input>(
  name: string,
  inputs: fc.Arbitrary<Input>,
  holds: (input: Input) => void | Promise<void>,
  { share = 1 }: { readonly share?: number } = {},
): void {
  const numRuns = Math.max(10, Math.ceil(runs * share));
  it(name, { timeout: 60_000 + numRuns * 2_000 }, async ({ task }) => {
    let tried = 0;
    const property = fc.asyncProperty(inputs, async (input) => {
      task.meta.hostileInputs = tried += 1;
      const started = performance.now();
      await holds(input);
      expect(performance.now() - started).toBeLessThan(timeout);
      expectUnpolluted();
    });
    await fc.assert(property, { seed, numRuns });
  });
}

const nothingOfOurs = Object.getOwnPropertyNames(Object.prototype).sort().join();

/** Fails when an input added a property to all objects. */
function expectUnpolluted(): void {
  expect(Object.getOwnPropertyNames(Object.prototype).sort().join()).toBe(nothingOfOurs);
}

/** Texts of JavaScript's errors, which do not help the author of a stack file. */
const ofTheLanguage =
  /is not a function|is not iterable|Cannot (read|destructure|convert)|native code|\[object |call stack|Invalid string length|URI malformed|null bytes|ByteString|is not valid JSON|Unexpected (token|end)/;

/** Characters that move a terminal's cursor, rewrite lines or change the direction of text. */
const takesOverTerminal = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;

/** Fails unless a message is readable and contains no secret. */
export function expectClear(message: string): void {
  expect(message.trim()).not.toBe("");
  expect(message.length).toBeLessThan(20_000);
  expect(message).not.toMatch(ofTheLanguage);
  expect(message).not.toMatch(takesOverTerminal);
  expect(message).not.toContain(canarySecret);
}

/** The message of an error, checked by {@link expectClear}; undefined when there is none. */
export async function clearFailure(work: () => unknown): Promise<string | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    const { message } = error as Error;
    expectClear(message);
    return message;
  }
}

/** Texts with a meaning in shells, SQL, JavaScript objects, terminals or paths. */
export const notoriousTexts: readonly string[] = [
  "",
  " ",
  "\u0000",
  "before\u0000after",
  "\n",
  "one\ntwo",
  "\r\n",
  "'",
  '"',
  "`",
  "\\",
  "'; touch canary; '",
  '"; touch canary; "',
  "$(touch canary)",
  "`touch canary`",
  "${IFS}touch${IFS}canary",
  "| touch canary",
  "& touch canary &",
  "a\ntouch canary\n",
  "'$(touch canary)'",
  "-oProxyCommand=touch canary",
  "--privileged",
  "'; DROP TABLE canary; --",
  '"; DROP TABLE canary; --',
  "$function$; DROP TABLE canary; --",
  "%s%n",
  "{{json .}}",
  "*",
  "../../etc/passwd",
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "hasOwnProperty",
  "\u202egnp.exe",
  "\u001b[2J\u001b[1;1H",
  "\u0007",
  "\ud800",
  "ı̇ﬃ",
  "👩‍👩‍👧‍👦",
  "表",
  "NaN",
  "-1",
  "1e999",
  "0x10",
  "null",
  "true",
  "[]",
  "{}",
  "<html>",
  "a".repeat(10_000),
  `${" ".repeat(10_000)}!`,
  `http://a${"/".repeat(10_000)}!`,
  "${A:-".repeat(500),
];

/** Any text: notorious, random bytes, or both together. */
export const anyText: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(...notoriousTexts),
  fc.string({ unit: "binary" }),
  fc.string({ unit: "grapheme" }),
  fc.tuple(fc.string(), fc.constantFrom(...notoriousTexts), fc.string()).map((all) => all.join("")),
);

/** Any value that JSON or YAML can hold, with notorious texts as names and values. */
export const anyJson: fc.Arbitrary<unknown> = fc
  .anything({
    key: fc.oneof(fc.constantFrom(...notoriousTexts), fc.string()),
    values: [anyText, fc.integer(), fc.double(), fc.boolean(), fc.constant(null)],
    maxDepth: 4,
  })
  // JSON turns NaN and the like into null.
  .map((value) => JSON.parse(JSON.stringify(value) ?? "null") as unknown);

/** A structure with up to three values replaced or added, at any depth. */
export function spoiled<Value>(value: Value, junk: fc.Arbitrary<unknown> = anyJson) {
  const places = placesIn(value);
  const change = fc.record({ place: fc.constantFrom(...places), junk });
  return fc.array(change, { minLength: 1, maxLength: 3 }).map((changes) => {
    let copy: unknown = structuredClone(value);
    for (const { place, junk: replacement } of changes) copy = replaced(copy, place, replacement);
    return copy;
  });
}

export type Place = readonly (string | number)[];

/** Every place in a structure, including the whole. */
export function placesIn(value: unknown): Place[] {
  if (typeof value !== "object" || value === null) return [[]];
  const below = Object.entries(value).flatMap(([name, inner]) =>
    placesIn(inner).map((place) => [Array.isArray(value) ? Number(name) : name, ...place]),
  );
  return [[], ...below, ["__proto__"], ["unheard-of"]];
}

export function replaced(value: unknown, [name, ...rest]: Place, junk: unknown): unknown {
  if (name === undefined) return junk;
  if (typeof value !== "object" || value === null) return value;
  const inner = Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
  const copy: object = Array.isArray(value) ? [...(value as unknown[])] : { ...value };
  // Defined, not assigned, so that `__proto__` is an ordinary name as in JSON.parse.
  return Object.defineProperty(copy, name, {
    value: replaced(inner, rest, junk),
    enumerable: true,
    configurable: true,
    writable: true,
  });
}
