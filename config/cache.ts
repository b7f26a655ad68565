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
  const unfit = unfitFolder(path);
  if (unfit) {
    const problem = { key: `${key}.cache.path`, value: path, expected: unfit };
    return { value: { kind: "folder", path }, problems: [problem], notes: [] };
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

/** Folders of the system itself, which no one gives a container to write into. */
const systemFolders = /^\/(bin|boot|dev|etc|lib|lib64|proc|run|sbin|sys|usr|var|home|root|tmp)$/;

/** Why the models cannot be kept in a folder; undefined where they can. */
function unfitFolder(path: string): string | undefined {
  if (/\$[{A-Za-z_]/.test(path)) {
    return "contains a variable, which a stack file does not replace: write the folder itself";
  }
  const [, volume] = /\/volumes\/([^/]+)\/_data$/.exec(path) ?? [];
  if (volume) return `is the folder of one of Docker's volumes: set cache: { volume: ${volume} }`;
  return systemFolders.test(path)
    ? "is a system folder; name a separate one for the models, such as /srv/immich-ml"
    : undefined;
}

const besidePath: Readonly<Record<string, string>> = {
  volume: "cannot be used with path: the models are either in a volume or in a folder of the host",
  keep: "applies only to a volume: the folder in path is never removed",
};
