import { z } from "zod";

import { gibibytes, section } from "./elements";
import { html, type Html } from "./html";
import type { HostReport, Reading, ReportData } from "./reportData";

/** A page keeps the readings of so many reports. */
const limit = 40;

const reading = z.object({
  at: z.string(),
  of: z.string(),
  used: z.number().nonnegative(),
  total: z.number().positive(),
});
const kept = z.object({ stack: z.string(), readings: z.array(reading) });

/** Of the last check, when the models were loaded; of now where it has none. */
export function readingsOf(hosts: readonly HostReport[], made: Date): Reading[] {
  return hosts.flatMap(({ host, gpus = [], check: last }) => {
    const checked = last?.check.ok ? last.check.videoMemory : undefined;
    const at = (checked && last?.at) || made;
    const now = gpus.map(({ used, free }) => ({ used, total: used + free }));
    return (checked ?? now)
      .map((figures, index) => ({
        at: at.toISOString(),
        of: [host, gpus[index]?.name ?? "GPU", ...(index > 0 ? [String(index)] : [])].join(", "),
        ...figures,
      }))
      .filter(({ used, total }) => used >= 0 && total > 0);
  });
}

/** One reading of each GPU for each time, the oldest first. */
export function merged(earlier: readonly Reading[], now: readonly Reading[]): readonly Reading[] {
  const byTime = new Map([...earlier, ...now].map((one) => [`${one.at} ${one.of}`, one]));
  return [...byTime.values()].sort((left, right) => left.at.localeCompare(right.at));
}

/**
 * The readings that an earlier report keeps; none where it is no report of this stack.
 *
 * @param page the earlier report
 */
export function earlierReadings(page: string, stack: string | undefined): readonly Reading[] {
  const [, text = ""] = /data-readings="([^"]*)"/.exec(page) ?? [];
  try {
    const found = kept.parse(JSON.parse(text.replaceAll("&quot;", '"')));
    return found.stack === stack ? found.readings.slice(-limit) : [];
  } catch {
    return [];
  }
}

/** Each GPU's video memory, report by report, and in an attribute what the next report takes over. */
export function videoMemorySection({ readings, stack }: ReportData): Html | undefined {
  const ofGpus = [...new Set(readings.map((one) => one.of))].map((of) =>
    readings.filter((one) => one.of === of).slice(-limit),
  );
  if (ofGpus.length === 0) return undefined;
  const record = JSON.stringify({ stack: stack.answer ?? "", readings: ofGpus.flat() })
    // Escapes that JSON reads as the same text, and that HTML does not touch.
    .replace(
      /[&<>'`\u007f-\u009f]/g,
      (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );
  return section(
    "VRAM over the last runs",
    html`<div class="panel" data-readings="${record}">${ofGpus.map(chart)}</div>`,
  );
}

function chart(readings: readonly Reading[]): Html {
  const { of, used, total } = readings.at(-1)!;
  const most = Math.max(...readings.map((one) => one.used));
  const runs = readings.length === 1 ? "run" : "runs";
  const text = `${gibibytes(used)} of ${gibibytes(total)} in the last run, at most ${gibibytes(most)} in ${readings.length} ${runs}`;
  return html`<figure>
    <figcaption><strong>${of}</strong>: ${text}.</figcaption>
    <svg
      viewBox="0 0 ${Math.max(20, readings.length) * 10} 60"
      preserveAspectRatio="none"
      role="img"
      aria-label="${text}"
    >
      ${readings.map((one, at) => {
        const height = Math.max(1, Math.round((60 * one.used) / one.total));
        const x = at * 10;
        return html`<rect class="free" x="${x}" y="0" width="8" height="60"></rect>
          <rect x="${x}" y="${60 - height}" width="8" height="${height}"></rect>`;
      })}
    </svg>
  </figure>`;
}
