import { checkParts } from "./check";
import { resolve, type Resolved, type Surroundings } from "./resolve";

/**
 * Checks a stack file and works out what it means. Mistakes of shape and of meaning are reported
 * together, but for what only follows from a mistake already named.
 *
 * @param values by key, without the namespace
 */
export function readSettings(
  values: Readonly<Record<string, unknown>>,
  surroundings: Surroundings,
): Resolved {
  const { parts, problems: ofShape } = checkParts(values);
  const { settings, problems: ofMeaning } = resolve(parts, surroundings);
  const consequences = (key: string) =>
    ofShape.some((problem) => problem.key === key || problem.key.startsWith(`${key}.`));
  const problems = [...ofShape, ...ofMeaning.filter(({ key }) => !consequences(key))];
  return problems.length > 0 ? { problems } : { settings, problems };
}
