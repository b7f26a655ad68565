import type { Answer } from "../util/docker";

/** What a check found: an error stops the deployment, a warning or a note is only logged. */
export interface Diagnostic {
  readonly severity: "error" | "warning" | "note";
  readonly message: string;
}

export function error(message: string): Diagnostic {
  return { severity: "error", message };
}

export function warning(message: string): Diagnostic {
  return { severity: "warning", message };
}

/** Says what `up` is going to do. */
export function note(message: string): Diagnostic {
  return { severity: "note", message };
}

/** What one or more checks found; nothing where all is well. */
export type Found = Diagnostic | readonly Diagnostic[] | false | undefined;

/** One thing that can be wrong. */
export type Check<Subject> = (subject: Subject) => Found;

export function runChecks<Subject>(
  checks: readonly Check<Subject>[],
  subject: Subject,
): Diagnostic[] {
  return checks.flatMap((check) => check(subject) || []);
}

/** Checks an answer. A question without an answer is an error of its own, never a "no". */
export function checkAnswer<Value>(answer: Answer<Value>, ...checks: Check<Value>[]): Diagnostic[] {
  return answer.ok ? runChecks(checks, answer.value) : [error(answer.message)];
}
