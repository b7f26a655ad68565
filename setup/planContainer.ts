import type { Container } from "./containers";

/*
 * What of the old container's own settings the new one keeps.
 */

const mebibyte = 1024 * 1024;

/** The settings of a host's entry; undefined where the old container has none. */
export function planContainer(old: Container | undefined): Readonly<Record<string, unknown>> {
  if (!old) return {};
  const { user, groups, memory, cpus, cpuset, extraHosts, dns } = old.given;
  const limits = {
    // Less is none that a stack file takes.
    ...(memory >= 256 * mebibyte && { memory: Math.floor(memory / mebibyte) }),
    ...(cpus > 0 && { cpus }),
    ...(cpuset !== "" && { cpuset }),
  };
  const addresses = Object.fromEntries(extraHosts.map(splitHost));
  return {
    ...(isUser(user) && { user }),
    ...(groups.length > 0 && groups.every(isNumber) && { groups: groups.map(Number) }),
    ...(Object.keys(limits).length > 0 && { limits }),
    ...(extraHosts.length > 0 && !old.sharedWith && { extraHosts: addresses }),
    ...(dns.length > 0 && !old.sharedWith && { dns }),
  };
}

/** Labels of one's own, as for update tools and reverse proxies, are not copied. */
export function labelNote(
  old: Container | undefined,
  ofImage: Readonly<Record<string, string>> = {},
): string[] {
  const names = Object.keys(old?.labels ?? {}).filter(
    (name) =>
      ofImage[name] === undefined &&
      !/^(com\.docker\.|org\.opencontainers\.|io\.podman|desktop\.docker|maintainer$)/.test(name),
  );
  if (names.length === 0) return [];
  return [
    `Labels of the old container are not copied, since a reverse proxy or an update tool acts on them: ${names.join(", ")}; labels sets some (docs/settings.md).`,
  ];
}

/** Root needs no entry; a name may be one of the image's only. */
function isUser(user: string): boolean {
  return /^\d+(:\d+)?$/.test(user) && !/^0(:|$)/.test(user);
}

function isNumber(text: string): boolean {
  return /^\d+$/.test(text);
}

/** `name:address`, or `name=address` of newer releases; an IPv6 address has colons of its own. */
function splitHost(entry: string): [name: string, address: string] {
  const [, name = entry, address = ""] = /^([^:=]+)[:=](.*)$/.exec(entry) ?? [];
  return [name, address.replace(/^\[(.*)\]$/, "$1")];
}
