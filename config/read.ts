import type { Resolved } from "../util/problem";
import { fileProblems, readEnvFiles } from "./files";
import { renameKeys } from "./renamedKeys";
import { resolve } from "./resolve";
import type { Context, Settings } from "./settings";
import { validateParts } from "./validate";

/**
 * Checks a stack file and works out what it means. Errors of shape and of meaning are reported
 * together, except those that only follow from another one.
 *
 * @param values by key, without the namespace
 * @returns no value where there are problems
 */
export function readSettings(
  values: Readonly<Record<string, unknown>>,
  context: Context,
): Resolved<Settings | undefined> {
  const renamed = renameKeys(values);
  const { value: parts, problems: ofShape } = validateParts(renamed.value);
  const envFiles = (parts.hosts ?? []).map((host, index) =>
    host ? readEnvFiles(host, `hosts[${index}]`) : { value: {}, problems: [] },
  );
  const environmentFiles = envFiles.map(({ value }) => value);
  const resolved = resolve({ ...context, parts, environmentFiles, notes: renamed.notes });

  // What is missing may be there in what is wrong: a network beside an invalid publish.
  const follows = ({ key, value }: { readonly key: string; readonly value?: unknown }) =>
    ofShape.some((wrong) =>
      value === undefined ? `${wrong.key}.`.startsWith(`${key}.`) : wrong.key === key,
    );
  const problems = [
    ...renamed.problems,
    ...ofShape,
    ...envFiles.flatMap((file) => file.problems),
    ...fileProblems(parts),
    ...resolved.problems.filter((problem) => !follows(problem)),
  ];
  return {
    value: problems.length > 0 ? undefined : resolved.value,
    problems,
    notes: resolved.notes,
  };
}
