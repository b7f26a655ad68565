import type { HostSettings } from "../config/load";
import type { DockerInfo } from "../util/dockerAnswers";
import { type Diagnostic, error, warning } from "./diagnostics";
import type { FolderInfo, MachineInfo } from "./hostProbe";

/** Checks whether the server can keep its models in the folder of the host that it is given. */
export function checkCacheFolder(
  host: HostSettings,
  docker: DockerInfo,
  machine: MachineInfo | undefined,
): Diagnostic | undefined {
  const { cache } = host;
  if (cache.kind !== "folder") return undefined;
  const { path } = cache;
  const folder = machine?.cacheFolder;
  if (!machine || folder === undefined || folder === "unreadable") {
    return warning(`whether the server can write into ${path} (cache.path) was not checked`);
  }
  if (folder === "no folder") return error(`${path} (cache.path) is a file, but must be a folder`);
  if (folder === "no parent") {
    return error(
      `${path} (cache.path) does not exist, and neither does the folder above it: correct the path, or create it (mkdir -p ${path})`,
    );
  }
  const user = userOf(host);
  // Other users than the host's are behind them.
  if (!user || docker.mapsUsers || docker.operatingSystem.includes("Docker Desktop")) {
    return undefined;
  }
  const found = folder === "absent" ? rootsOwn : folder;
  if (mayWrite(user, found)) return undefined;
  const whose =
    folder === "absent"
      ? `${path} (cache.path) does not exist, and Docker would create it for root`
      : `${path} (cache.path) belongs to ${found.owner}:${found.group} with mode ${found.mode.toString(8)}`;
  const make = folder === "absent" ? `mkdir ${path} && ` : "";
  const owner = `${user.id}:${user.groups[0] ?? 0}`;
  const orUser = user.id === 0 ? `, or set user: "${found.owner}:${found.group}"` : "";
  return error(
    `${whose}, so ${user.id === 0 ? "the server's root, which has no capabilities," : `user ${user.id}`} cannot write there: ${make}sudo chown -R ${owner} ${path}${orUser}`,
  );
}

/** Where SELinux confines containers, they write only into folders with their own label. */
export function checkCacheLabel(
  { cache }: HostSettings,
  { hasSelinux }: DockerInfo,
  machine: MachineInfo | undefined,
): Diagnostic | undefined {
  const label = machine?.cacheLabel;
  if (cache.kind !== "folder" || !hasSelinux || label === undefined) return undefined;
  if (
    /:(container_file_t|container_share_t|svirt_sandbox_file_t|container_var_lib_t):/.test(label)
  ) {
    return undefined;
  }
  return error(
    `${cache.path} (cache.path) has the SELinux label ${label}, so no container may write there: sudo chcon -Rt container_file_t ${cache.path} (semanage fcontext keeps it)`,
  );
}

/** What Docker makes for a folder that is absent. */
const rootsOwn: FolderInfo = { owner: 0, group: 0, mode: 0o755 };

interface User {
  readonly id: number;
  readonly groups: readonly number[];
  readonly mayEverything: boolean;
}

/** Who the server runs as; undefined for a user by name, and for an image whose user is not known. */
function userOf({ image, hardening, user, groups = [] }: HostSettings): User | undefined {
  if (user === undefined && image?.kind === "given") return undefined;
  const [name, group = "0"] = (user ?? "0").replace(/^root\b/, "0").split(":");
  if (/\D/.test(name! + group)) return undefined;
  const id = Number(name);
  return {
    id,
    groups: [Number(group), ...groups.filter((each) => /^\d+$/.test(each)).map(Number)],
    mayEverything: id === 0 && hardening.dropCapabilities === false,
  };
}

function mayWrite(
  { id, groups, mayEverything }: User,
  { owner, group, mode }: FolderInfo,
): boolean {
  const bits = owner === id ? mode >> 6 : groups.includes(group) ? mode >> 3 : mode;
  return mayEverything || (bits & 0o3) === 0o3;
}
