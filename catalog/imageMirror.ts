/**
 * Where images come from instead of their own registries: one address in front of the whole
 * reference, as pull-through mirrors of several registries expect it (`mirror.example.org/ghcr.io/…`),
 * or one mirror for each registry (`{ "docker.io": "mirror.example.org" }`).
 */
export type ImageMirror = string | Readonly<Partial<Record<string, string>>>;

/** The registries that the program's images come from. */
export const imageRegistries = ["docker.io", "ghcr.io"] as const;

/** The reference of the same image on a mirror. */
export function mirrored(reference: string, mirror: ImageMirror | undefined): string {
  if (mirror === undefined) return reference;
  if (typeof mirror === "string") return `${withoutSlash(mirror)}/${reference}`;
  const slash = reference.indexOf("/");
  const replacement = mirror[reference.slice(0, slash)];
  return replacement ? withoutSlash(replacement) + reference.slice(slash) : reference;
}

function withoutSlash(address: string): string {
  return address.replace(/\/+$/, "");
}
