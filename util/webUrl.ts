/** Whether a text is a URL of the schemes http and https, with a host. */
export function isWebUrl(text: string): boolean {
  return /^https?:\/\/[^\s/]\S*$/.test(text) && URL.canParse(text);
}
