/** A record's entries in the order of their names. */
export function entriesByName<Value>(
  record: Readonly<Record<string, Value>> = {},
): [name: string, value: Value][] {
  return Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
}
