/*
 * What a command passes to its program: one variable for each setting, so that a preview names what
 * changes. Their names have dots, as Immich's own keys do, which no shell can export by accident.
 */

/** The variables of a group: `toEnvironment("store", { host })` is `{ "store.host": host }`. */
export function toEnvironment<Value>(
  group: string,
  fields: Readonly<Record<string, Value | undefined>>,
): Record<string, Value> {
  return Object.fromEntries(
    Object.entries(fields).flatMap(([name, value]) =>
      value === undefined ? [] : [[`${group}.${name}`, value]],
    ),
  );
}

/** The fields of a group; those that were left out are absent. */
export function fromEnvironment(
  group: string,
  environment: NodeJS.ProcessEnv = process.env,
): Readonly<Record<string, string | undefined>> {
  const prefix = `${group}.`;
  return Object.fromEntries(
    Object.entries(environment).flatMap(([name, value]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), value]] : [],
    ),
  );
}
