/**
 * What others wrote (a server, a driver, a stack file) made fit for one line of a terminal: control
 * characters and those that turn the direction of text are shown as escapes, so that nothing can be
 * hidden, rewritten or passed off as a line of our own.
 *
 * @param longest characters; what is longer is cut
 */
export function sanitize(text: string, longest = Infinity): string {
  const cut = text.length > longest ? `${text.slice(0, longest)}…` : text;
  return cut.replace(
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** The same for several lines: newlines and tabs stay. */
export function sanitizeLines(text: string): string {
  return text.replace(/[^\n\t]+/g, (line) => sanitize(line));
}
