import { validateParts } from "./validate";
import { resolve, type Resolved, type Context } from "./resolve";

/**
 * Checks a stack file and works out what it means. Errors of shape and of meaning are reported
 * together, but for what only follows from an error already named.
 *
 * @param values by key, without the namespace
 */
export function readSettings(
  values: Readonly<Record<string, unknown>>,
  context: Context,
): Resolved {
  const { parts, problems: ofShape } = validateParts(values);
  const { settings, problems: ofMeaning } = resolve(parts, context);
  const consequences = (key: string) =>
    ofShape.some((problem) => problem.key === key || problem.key.startsWith(`${key}.`));
  const problems = [...ofShape, ...ofMeaning.filter(({ key }) => !consequences(key))];
  return problems.length > 0 ? { problems } : { settings, problems };
}
