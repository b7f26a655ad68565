/**
 * Where images come from instead of their own registries: one address put before the whole
 * reference, as pull-through mirrors of several registries want it
 * (`mirror.example.org/ghcr.io/…`), or a mirror a registry (`{ "docker.io": "mirror.example.org" }`).
 */
export type ImageMirror = string | Readonly<Record<string, string>>;

/** The same image from a mirror. */
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
