/** One mistake in a stack file, as one line for a person: where, what stands there, what may. */
export interface Problem {
  /** Where it is, as it is written in the stack file: `hosts[0].environment.workers`. */
  readonly key: string;
  /** What stands there. Never filled for secrets. */
  readonly value?: unknown;
  /** What is allowed, or what to do. */
  readonly expected: string;
  /** The known name the value was probably meant to be. */
  readonly suggestion?: string | undefined;
}

/** Longer values say nothing more and may hide the rest of the message. */
const longestShownValue = 80;

/** One line per problem, e.g. `immich-ml:hosts[0].gpu: "GTX 75 Ti" … did you mean "GTX 750 Ti"?`. */
export function formatProblem(problem: Problem, namespace = "immich-ml"): string {
  const shown = problem.value === undefined ? "" : `${show(problem.value)}: `;
  const hint = problem.suggestion ? `; did you mean "${problem.suggestion}"?` : "";
  return `${namespace}:${problem.key}: ${shown}${problem.expected}${hint}`;
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > longestShownValue ? `${text.slice(0, longestShownValue)}…` : text;
}
