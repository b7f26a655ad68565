import { distance } from "fastest-levenshtein";

/** The known names nearest to `name`, best first; at most a third of its letters may differ. */
export function nearestNames(name: string, known: readonly string[], count = 3): string[] {
  const near = Math.max(2, Math.floor(name.length / 3));
  return known
    .map((candidate) => ({
      candidate,
      away: typos(name.toLowerCase(), candidate.toLowerCase()),
    }))
    .filter(({ away }) => away <= near)
    .sort((left, right) => left.away - right.away)
    .slice(0, count)
    .map(({ candidate }) => candidate);
}

/** Letters in another order are one slip of the finger. */
function typos(written: string, meant: string): number {
  return sorted(written) === sorted(meant) ? 1 : distance(written, meant);
}

function sorted(text: string): string {
  return [...text].sort().join("");
}
