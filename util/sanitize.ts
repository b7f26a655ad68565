/**
 * Makes text from elsewhere (a server, a driver, a stack file) fit for one line of a terminal. Control
 * characters and those that turn the direction of text become escapes, so that nothing can hide,
 * rewrite or imitate a line of ours. Addresses lose their passwords.
 *
 * @param maxLength characters; longer text is cut
 */
export function sanitize(text: string, maxLength = Infinity): string {
  // Hidden before it is cut: the rest of a cut password would stay.
  const harmless = withoutPasswords(text);
  const cut = harmless.length > maxLength ? `${harmless.slice(0, maxLength)}…` : harmless;
  return cut.replace(
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** The same for several lines: newlines and tabs stay. */
export function sanitizeLines(text: string): string {
  return text.replace(/[^\n\t]+/g, (line) => sanitize(line));
}

/** Text from elsewhere with each address in it as {@link withoutCredentials} leaves it. */
export function withoutPasswords(text: string): string {
  return text.replace(/[^ \t\r\n]+/g, withoutCredentials);
}

/**
 * An address without its user and password: `http://…@proxy:3128`. A user alone stays, as in
 * `ssh://me@box`, but not in a web address, where it may be a token. Cuts too much rather than too
 * little, but an image's digest stays.
 */
export function withoutCredentials(address: string): string {
  const at = address.replace(/@sha256:[0-9a-f]{12,}[^@]*$/, "").lastIndexOf("@");
  if (at < 0) return address;
  const slashes = address.slice(0, at).indexOf("//");
  const start = slashes < 0 ? /^["'`([{<]*/.exec(address)![0].length : slashes + 2;
  const user = address.slice(start, at);
  const isToken = /https?:\/\/$/i.test(address.slice(0, start)) && !user.includes("/");
  if (!user.includes(":") && !isToken) return address;
  return `${address.slice(0, start)}…${address.slice(at)}`;
}

/** Whether an address holds what {@link withoutCredentials} cuts. */
export function hasCredentials(address: string): boolean {
  return withoutCredentials(address) !== address;
}
