/** One error in a setting: where, what value, what is allowed. */
export interface Problem {
  /** The setting as the stack file spells it: `hosts[0].environment.workers`. */
  readonly key: string;
  /** The value given. Never filled for secrets. */
  readonly value?: unknown;
  /** What is allowed, or what to do. */
  readonly expected: string;
  /** The known name that was probably meant. */
  readonly suggestion?: string | undefined;
}

/** What was worked out of settings, what is wrong with them, and what their user should know anyway. */
export interface Resolved<Value> {
  readonly value: Value;
  readonly problems: readonly Problem[];
  readonly notes: readonly string[];
}
