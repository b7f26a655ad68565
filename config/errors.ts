import type { Problem } from "../util/problem";
import { sanitize, withoutCredentials } from "../util/sanitize";

/** Characters. A longer value says nothing more and may hide the rest of the message. */
const maxValueLength = 80;
const maxKeyLength = 160;

/** Names whose values no message repeats, though a stack file should not hold them at all. */
const secretName = /pass(word|wd|phrase)?|secret|token|api_?key|credential/i;

/** A problem as one line: `immich-ml:hosts[0].gpu: "GTX 75 Ti": …; did you mean "GTX 750 Ti"?`. */
export function formatProblem(problem: Problem, namespace = "immich-ml"): string {
  const isSecret = secretName.test(problem.key) || problem.value === undefined;
  const shown = isSecret ? "" : `${show(problem.value)}: `;
  const hint = problem.suggestion ? `; did you mean "${problem.suggestion}"?` : "";
  const key = sanitize(problem.key, maxKeyLength);
  return sanitize(`${namespace}:${key}: ${shown}${problem.expected}${hint}`);
}

function show(value: unknown): string {
  const text = JSON.stringify(value, withoutSecrets) ?? String(value);
  return sanitize(text, maxValueLength);
}

function withoutSecrets(name: string, value: unknown): unknown {
  if (secretName.test(name)) return "…";
  return typeof value === "string" ? withoutCredentials(value) : value;
}
