/** The rows of a table, each with its key as `name`. */
export function named<Name extends string, Row extends object>(
  rows: Readonly<Record<Name, Row>>,
): Readonly<Record<Name, Row & { readonly name: Name }>> {
  const entries = Object.entries<Row>(rows).map(([name, row]) => [name, { name, ...row }]);
  return Object.fromEntries(entries) as Record<Name, Row & { readonly name: Name }>;
}
