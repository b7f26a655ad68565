import { withoutPasswords } from "../../util/sanitize";

/** A piece of a page that is HTML already; everything else is text and is escaped. */
export class Html {
  constructor(readonly text: string) {}
}

export type Part = Html | string | number | false | undefined | readonly Part[];

/**
 * HTML with what is put in escaped and without passwords of addresses, between tags and in quoted
 * attributes alike:
 *
 *     html`<p title="${name}">${name}</p>`
 *
 * Undefined and false become nothing, a list its parts one after the other.
 */
export function html(texts: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return new Html(texts.reduce((whole, text, index) => whole + asText(parts[index - 1]) + text));
}

function asText(part: Part): string {
  if (part === undefined || part === false) return "";
  if (part instanceof Html) return part.text;
  if (typeof part === "object") return part.map(asText).join("");
  return escaped(String(part));
}

const escapes: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
  "`": "&#96;",
};

function escaped(text: string): string {
  return (
    withoutPasswords(text)
      // No HTML document may hold these, escaped or not.
      .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "\ufffd")
      .replace(/[&<>"'`]/g, (character) => escapes[character]!)
  );
}
