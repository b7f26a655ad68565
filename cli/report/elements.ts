import { html, type Html, type Part } from "./html";

/** The parts that the page's sections are made of. */

export function section(title: string, content: Part): Html {
  return html`<section>
    <h2>${title}</h2>
    ${content}
  </section>`;
}

export function row(term: string, value: Part): Html {
  return html`<dt>${term}</dt>
    <dd>${known(value)}</dd>`;
}

export type Tone = "good" | "bad" | "warn";

export function chip(text: string, tone?: Tone): Html {
  return html`<span class="chip ${tone}">${text}</span>`;
}

export function known(value: Part): Part {
  const isMissing = value === undefined || value === false || value === "";
  return isMissing ? html`<span class="unknown">not known</span>` : value;
}

export function notKnown(reason: string): Html {
  return html`<p class="unknown">Not known: ${reason}</p>`;
}

export interface Column {
  readonly title: string;
  /** Right-aligned. */
  readonly isNumber?: boolean;
}

/**
 * @param columns a text for a column of text
 * @param rows each a `tr`
 * @param isStacked whether a narrow screen shows each cell on a line of its own
 */
export function table(
  columns: readonly (string | Column)[],
  rows: readonly Html[],
  isStacked = false,
): Html {
  const heading = columns.map((column) => {
    const { title, isNumber } = typeof column === "string" ? { title: column } : column;
    return isNumber ? html`<th class="number">${title}</th>` : html`<th>${title}</th>`;
  });
  return html`<div class="table">
    <table class="${isStacked && "stacked"}">
      <thead>
        <tr>
          ${heading}
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
  </div>`;
}

export function numberColumn(title: string): Column {
  return { title, isNumber: true };
}

/** `2026-11-24 18:03 UTC` */
export function time(date: Date): string {
  return Number.isNaN(date.getTime())
    ? "at a time not known"
    : `${date.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
