import type { Resolved } from "../util/problem";
import type { HostEntry } from "./schema";
import type { CacheSettings } from "./settings";

/** Where a host keeps its models: a volume of the engine unless a folder of the host is given. */
export function resolveCache({ cache, name }: HostEntry, key: string): Resolved<CacheSettings> {
  const { path, volume, keep } = cache;
  if (path === undefined) {
    const value = {
      kind: "volume",
      volume: volume ?? `immich-ml-${name}-cache`,
      keep: keep ?? true,
    } as const;
    return { value, problems: [], notes: [] };
  }
  const refused = { volume, keep };
  const problems = Object.entries(refused)
    .filter(([, value]) => value !== undefined)
    .map(([field, value]) => ({
      key: `${key}.cache.${field}`,
      value,
      expected: besidePath[field]!,
    }));
  return { value: { kind: "folder", path }, problems, notes: [] };
}

const besidePath: Readonly<Record<string, string>> = {
  volume:
    "must not stand beside path: the models are either in a volume or in a folder of the host",
  keep: "is for a volume only: the folder of path is never removed",
};
