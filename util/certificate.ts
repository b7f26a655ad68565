/** Characters. Linux starts no process with a longer argument or variable. */
const maxLength = 128 * 1024;

/** Why a text is no CA certificate to build an image with; undefined when it is one. */
export function certificateProblem(pem: string): string | undefined {
  if (!pem.includes("-----BEGIN CERTIFICATE-----")) {
    return "is not PEM text: it has no line BEGIN CERTIFICATE";
  }
  if (pem.length < maxLength) return undefined;
  return `has ${pem.length} characters, at most ${maxLength} are possible: give the one certificate that is missing, not the whole bundle`;
}
