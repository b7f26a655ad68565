import type { ModelCheck } from "../verify/check";

/** Lays rows out in columns for people; the first row is the heading. */
export function asTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_cell, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

export const modelHeading = ["MODEL", "COMPUTED BY", "MILLISECONDS", "SERVER'S MILLISECONDS"];

/** A model's cells under {@link modelHeading}; where it is not verified, the reason. */
export function modelCells({
  model,
  parts,
  notVerified,
  serverMilliseconds,
}: ModelCheck): string[] {
  if (notVerified !== undefined) return [model, `not verified: ${notVerified}`];
  const providers = [...new Set(parts.map(({ provider }) => provider))];
  return [
    model,
    providers.join(", "),
    parts.map(({ part, milliseconds }) => `${part} ${milliseconds}`).join(", "),
    String(serverMilliseconds ?? ""),
  ];
}
