import type { ModelCheck } from "../verify/check";
import { sanitize, sanitizeLines } from "../util/sanitize";

/** Lays rows out in columns; the first row is the heading. */
export function asTable(rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map((cell) => sanitize(cell)));
  const widths = (cells[0] ?? []).map((_cell, column) =>
    Math.max(...cells.map((row) => row[column]?.length ?? 0)),
  );
  return cells
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** Escapes are JSON's own, so the text stays the same JSON. */
export function asJson(value: unknown): string {
  return sanitizeLines(JSON.stringify(value, null, 2));
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
