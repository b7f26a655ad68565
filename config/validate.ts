import { z } from "zod";

import { parseImmichVersion } from "../catalog/immichVersion";
import { nearestNames } from "../util/nearestNames";
import type { Problem } from "./errors";
import type { StackParts } from "./resolve";
import { hostSchema, immichSchema, stackSchema, type HostEntry } from "./schema";

export type Validated<Value> =
  | { readonly value: Value; readonly problems: readonly [] }
  | { readonly value?: undefined; readonly problems: readonly Problem[] };

/** Checks a whole value against a schema and reports every error, not just the first. */
export function validate<Schema extends z.ZodType>(
  schema: Schema,
  input: unknown,
  prefix = "",
): Validated<z.infer<Schema>> {
  const result = schema.safeParse(input, { reportInput: true });
  if (result.success) return { value: result.data, problems: [] };
  const problems = result.error.issues.flatMap((issue) => describe(schema, issue, prefix));
  // A value may break two rules of the one sentence that says what is allowed.
  const isFirst = ({ key, expected }: Problem, index: number) =>
    problems.findIndex((other) => other.key === key && other.expected === expected) === index;
  return { problems: problems.filter(isFirst) };
}

/**
 * Checks a stack file part by part, so that an error in one part does not hide those of another.
 */
export function validateParts(values: Readonly<Record<string, unknown>>): {
  readonly parts: StackParts;
  readonly problems: readonly Problem[];
} {
  const parts: Record<string, unknown> = {};
  const problems: Problem[] = [];
  for (const [key, schema] of Object.entries(stackSchema.shape)) {
    const checked = validate(schema, values[key], key);
    parts[key] = checked.value;
    problems.push(...checked.problems);
  }
  if (parts["hosts"] === undefined && Array.isArray(values["hosts"])) {
    parts["hosts"] = values["hosts"].map((host: unknown) => dropInvalidFields(host));
  }
  const version = validate(immichSchema.pick({ version: true }).loose(), values["immich"]).value
    ?.version;
  return { parts: { ...parts, version: parseImmichVersion(version ?? "") }, problems };
}

/** A host without the fields that are wrong, so that what the others mean can still be judged. */
function dropInvalidFields(host: unknown): HostEntry | undefined {
  const { value, problems } = validate(hostSchema, host);
  if (value || typeof host !== "object" || host === null) return value;
  const wrong = new Set(problems.map(({ key }) => /^[^.[]*/.exec(key)![0]));
  const sound = Object.entries(host).filter(([field]) => !wrong.has(field));
  return validate(hostSchema, Object.fromEntries(sound)).value;
}

function describe(schema: z.ZodType, issue: z.core.$ZodIssue, prefix: string): Problem[] {
  const key = keyOf(issue.path, prefix);
  const place = schemaAt(schema, issue.path);

  if (issue.code === "unrecognized_keys") {
    const known = place instanceof z.ZodObject ? Object.keys(place.shape) : [];
    return issue.keys.map((name) => ({
      key: key ? `${key}.${name}` : name,
      expected: `there is no such setting; known here: ${known.join(", ")}`,
      suggestion: nearestNames(name, known)[0],
    }));
  }
  const allowed = place?.meta()?.["allowed"];
  const isTooLong = issue.code === "too_big" && typeof issue.input === "string";
  const expected = isTooLong
    ? `of at most ${issue.maximum} characters`
    : typeof allowed === "string"
      ? allowed
      : issue.message;
  if (issue.input === undefined) return [{ key, expected: `is missing: ${expected}` }];
  const names = issue.code === "invalid_value" ? issue.values.map(String) : [];
  return [
    {
      key,
      value: issue.input,
      expected: `must be ${expected}`,
      suggestion: typeof issue.input === "string" ? nearestNames(issue.input, names)[0] : undefined,
    },
  ];
}

/** `hosts[0].environment.workers`, as one would point at it in the stack file. */
function keyOf(path: readonly PropertyKey[], prefix: string): string {
  return path.reduce<string>((key, step) => {
    if (typeof step === "number") return `${key}[${step}]`;
    return key ? `${key}.${String(step)}` : String(step);
  }, prefix);
}

/** The part of the schema that a path points at, if it is one that can be told. */
function schemaAt(schema: z.ZodType, path: readonly PropertyKey[]): z.ZodType | undefined {
  const here = unwrap(schema);
  const [step, ...rest] = path;
  if (step === undefined) return here;
  if (here instanceof z.ZodObject) {
    const next = (here.shape as Record<string, z.ZodType | undefined>)[String(step)];
    return next && schemaAt(next, rest);
  }
  if (here instanceof z.ZodArray) return schemaAt(here.element as z.ZodType, rest);
  if (here instanceof z.ZodRecord) return schemaAt(here.valueType as z.ZodType, rest);
  return undefined;
}

function unwrap(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault) {
    return unwrap(schema.unwrap() as z.ZodType);
  }
  return schema;
}
