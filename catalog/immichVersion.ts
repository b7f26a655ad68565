/** A release of Immich, e.g. v2.7.5. The ML side must follow the server's version. */
export interface ImmichVersion {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
}

/**
 * Reads `v2.7.5` or `2.7.5`; undefined for anything else. Moving tags (`release`, `v2`) are no
 * versions: what they stand for changes while the stack file does not.
 */
export function parseImmichVersion(text: string): ImmichVersion | undefined {
  const match = /^v?(\d{1,4})\.(\d{1,4})\.(\d{1,4})$/.exec(text);
  if (!match) return undefined;
  return { major: Number(match[1]), minor: Number(match[2]), patch: Number(match[3]) };
}

/** The tag of Immich's images: `v2.7.5`. */
export function formatImmichVersion(version: ImmichVersion): string {
  return `v${version.major}.${version.minor}.${version.patch}`;
}

/** Negative when `left` is older, 0 when equal, positive when newer. */
export function compareImmichVersions(left: ImmichVersion, right: ImmichVersion): number {
  return left.major - right.major || left.minor - right.minor || left.patch - right.patch;
}

/**
 * Whether `version` is `minimum` or newer.
 *
 * @param minimum a full version such as `2.2.0`
 * @throws when `minimum` is none
 */
export function atLeast(version: ImmichVersion, minimum: string): boolean {
  const parsed = parseImmichVersion(minimum);
  if (!parsed) throw new Error(`not an Immich version: ${minimum}`);
  return compareImmichVersions(version, parsed) >= 0;
}
