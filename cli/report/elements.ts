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

/** The cells of a row; with `isChosen` the row stands out. */
export interface Row {
  readonly cells: readonly Part[];
  readonly isChosen?: boolean;
}

/**
 * A narrow screen shows each cell on a line of its own, with its column's title.
 *
 * @param columns the titles; one that begins with `#` is of numbers
 */
export function table(columns: readonly string[], rows: readonly Row[]): Html {
  const titles = columns.map((column) => column.replace("#", ""));
  const kinds = columns.map((column) => column.startsWith("#") && "number");
  return html`<table>
    <thead>
      <tr>
        ${titles.map((title, at) => html`<th scope="col" class="${kinds[at]}">${title}</th>`)}
      </tr>
    </thead>
    <tbody>
      ${rows.map(
        ({ cells, isChosen }) =>
          html`<tr class="${isChosen && "chosen"}">
            ${cells.map(
              (cell, at) =>
                html`<td class="${kinds[at]}" data-column="${at > 0 && titles[at]}">${cell}</td>`,
            )}
          </tr>`,
      )}
    </tbody>
  </table>`;
}

/** How full something is, for the eye only: the figures stand beside it. */
export function meter(share: number): Html {
  return html`<div class="meter"><div style="width: ${Math.round(100 * share)}%"></div></div>`;
}

/** `2026-11-24 18:03 UTC` */
export function time(date: Date): string {
  return Number.isNaN(date.getTime())
    ? "at a time not known"
    : `${date.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

/** `3 GiB`, `1.9 GiB`. */
export function gibibytes(mebibytes: number): string {
  return `${Number((mebibytes / 1024).toFixed(1))} GiB`;
}
