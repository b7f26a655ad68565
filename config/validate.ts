import { z } from "zod";

import { parseImmichVersion } from "../catalog/immichVersion";
import { nearestNames } from "../util/nearestNames";
import type { Problem } from "../util/problem";
import { composeSpelling, secretPlace } from "./composeSpellings";
import { hostSchema, immichSchema, stackSchema } from "./schema";
import { endpoint, endpointMeant } from "./values";
import type { StackParts } from "./settings";

export interface Validated<Value> {
  /** Undefined where there are problems. */
  readonly value: Value | undefined;
  readonly problems: readonly Problem[];
}

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
  return { value: undefined, problems: problems.filter(isFirst) };
}

/**
 * Checks a stack file part by part. A part with errors is judged without what is wrong in it, so that
 * an error in one place does not hide those of another.
 */
export function validateParts(values: Readonly<Record<string, unknown>>): {
  readonly value: StackParts;
  readonly problems: readonly Problem[];
} {
  const parts = Object.entries(stackSchema.shape).map(([key, schema]) => {
    const given = values[key];
    const { value, problems } = validate(schema, given, key);
    if (value !== undefined) return { key, value, problems };
    const valid =
      key === "hosts" && Array.isArray(given)
        ? given.map((host) => withoutErrors(hostSchema, host))
        : withoutErrors(schema, given);
    return { key, value: valid, problems };
  });
  const version = withoutErrors(immichSchema.pick({ version: true }).loose(), values["immich"]);
  return {
    value: {
      ...(Object.fromEntries(parts.map(({ key, value }) => [key, value])) as StackParts),
      version: parseImmichVersion(version?.version ?? ""),
    },
    problems: parts.flatMap(({ problems }) => problems),
  };
}

/** What is valid of a value; undefined where that is nothing. */
function withoutErrors<Schema extends z.ZodType>(
  schema: Schema,
  input: unknown,
): z.infer<Schema> | undefined {
  const result = schema.safeParse(input, { reportInput: true });
  if (result.success) return result.data;
  const wrong = result.error.issues.flatMap((issue) => {
    if (issue.code === "unrecognized_keys") return issue.keys.map((key) => [...issue.path, key]);
    // Where something is missing, what it is missing from is wrong.
    return [issue.input === undefined ? issue.path.slice(0, -1) : issue.path];
  });
  if (wrong.some((path) => path.length === 0)) return undefined;
  return withoutErrors(schema, wrong.reduce(without, input));
}

/** A copy of a value without what a path leads to. */
function without(value: unknown, [step, ...rest]: readonly PropertyKey[]): unknown {
  if (step === undefined || typeof value !== "object" || value === null) return undefined;
  if (Array.isArray(value)) {
    return value.map((item: unknown, index) => (index === step ? without(item, rest) : item));
  }
  const { [step]: inner, ...others } = value as Record<PropertyKey, unknown>;
  return rest.length === 0 || inner === undefined
    ? others
    : { ...others, [step]: without(inner, rest) };
}

function describe(schema: z.ZodType, issue: z.core.$ZodIssue, prefix: string): Problem[] {
  const key = keyOf(issue.path, prefix);
  const place = schemaAt(schema, issue.path);

  if (issue.code === "unrecognized_keys") {
    const known = keysOf(place);
    const [, ofHost] = /^hosts\[\d+\](?:\.|$)(.*)$/.exec(key) ?? [];
    return issue.keys.map((name) => {
      const compose =
        ofHost === undefined
          ? secretPlace(`${key}.${name}`.replace(/^immich\./, ""))
          : composeSpelling(ofHost ? `${ofHost}.${name}` : name);
      return {
        key: key ? `${key}.${name}` : name,
        expected: compose ?? `there is no such setting; known here: ${known.join(", ")}`,
        suggestion: compose ? undefined : nearestNames(name, known)[0],
      };
    });
  }
  const isTooLong = issue.code === "too_big" && typeof issue.input === "string";
  const expected = isTooLong
    ? `of at most ${issue.maximum} characters`
    : (allowedAt(place) ?? issue.message);
  if (issue.input === undefined) return [{ key, expected: `is missing: ${expected}` }];
  const names = issue.code === "invalid_value" ? issue.values.map(String) : [];
  const meant = place === endpoint && typeof issue.input === "string" && endpointMeant(issue.input);
  return [
    {
      key,
      value: issue.input,
      expected: `must be ${expected}`,
      suggestion:
        meant ||
        (typeof issue.input === "string" ? nearestNames(issue.input, names)[0] : undefined),
    },
  ];
}

/** What may stand there: the schema's own text, or the names of an object's settings. */
function allowedAt(schema: z.ZodType | undefined): string | undefined {
  const allowed = schema?.meta()?.["allowed"];
  if (typeof allowed === "string") return allowed;
  return schema instanceof z.ZodObject
    ? `an object: { ${Object.keys(schema.shape).join(", ")} }`
    : undefined;
}

/** `hosts[0].environment.workers`, as a user would write it. */
function keyOf(path: readonly PropertyKey[], prefix: string): string {
  return path.reduce<string>((key, step) => {
    if (typeof step === "number") return `${key}[${step}]`;
    return key ? `${key}.${String(step)}` : String(step);
  }, prefix);
}

/** The part of the schema that a path leads to, where that is one part only. */
function schemaAt(schema: z.ZodType, path: readonly PropertyKey[]): z.ZodType | undefined {
  const here = unwrap(schema);
  const [step, ...rest] = path;
  if (step === undefined) return here;
  if (here instanceof z.ZodObject) {
    const next = (here.shape as Record<string, z.ZodType | undefined>)[String(step)];
    return next && schemaAt(next, rest);
  }
  if (here instanceof z.ZodUnion) {
    return here.options.map((option) => schemaAt(option as z.ZodType, path)).find(Boolean);
  }
  if (here instanceof z.ZodArray) return schemaAt(here.element as z.ZodType, rest);
  if (here instanceof z.ZodRecord) return schemaAt(here.valueType as z.ZodType, rest);
  return undefined;
}

/** The names that an object may have. */
function keysOf(schema: unknown): readonly string[] {
  if (schema instanceof z.ZodUnion) return schema.options.flatMap(keysOf);
  if (schema instanceof z.ZodRecord && schema.keyType instanceof z.ZodEnum) {
    return schema.keyType.options.map(String);
  }
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

function unwrap(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault) {
    return unwrap(schema.unwrap() as z.ZodType);
  }
  // What is converted before or after its check.
  if (schema instanceof z.ZodPipe) {
    return unwrap((schema.in instanceof z.ZodTransform ? schema.out : schema.in) as z.ZodType);
  }
  return schema;
}
