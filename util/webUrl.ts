/** Whether a text is a URL of the schemes http and https, with a host. */
export function isWebUrl(text: string): boolean {
  return /^https?:\/\/[^\s/]\S*$/.test(text) && URL.canParse(text);
}

/** A URL's host name; an IPv6 address without its brackets. */
export function bareHostname(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, "$1");
}
