/**
 * Makes text from elsewhere (a server, a driver, a stack file) fit for one line of a terminal. Control
 * characters and those that turn the direction of text become escapes, so that nothing can hide,
 * rewrite or imitate a line of ours.
 *
 * @param maxLength characters; longer text is cut
 */
export function sanitize(text: string, maxLength = Infinity): string {
  const cut = text.length > maxLength ? `${text.slice(0, maxLength)}…` : text;
  return cut.replace(
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** The same for several lines: newlines and tabs stay. */
export function sanitizeLines(text: string): string {
  return text.replace(/[^\n\t]+/g, (line) => sanitize(line));
}
