import { chmod, chown, cp, lstat, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { succeeds, type Account } from "./shell";

/**
 * Folders for a server that root starts as another account, which often may not enter root's home or
 * a temporary folder. Such a folder is created in /var/tmp instead, where every user may write: so its
 * name is random, and whoever finds it again checks its owner.
 */

const shared = "/var/tmp/immich-ml-demo-";

/**
 * A folder that only the account may enter.
 *
 * @param folder used itself where the account can reach it; else it keeps the name of the folder used
 */
export async function accountFolder(folder: string, account: Account): Promise<string> {
  await mkdir(folder, { recursive: true });
  const used = (await canEnter(path.dirname(folder), account))
    ? folder
    : await rememberedFolder(path.join(folder, "outside"), account.uid);
  if (!(await isOwnedBy(used, [0, account.uid]))) {
    throw new Error(`${used} must be a folder of root or of the user ${account.uid}`);
  }
  await chown(used, account.uid, account.gid);
  await chmod(used, 0o700);
  return used;
}

/**
 * A copy of a folder's programs that every account may run and only root may change, or the folder
 * itself where the account can enter it.
 *
 * @param record a file that keeps the name of the copy
 */
export async function readableCopy(
  folder: string,
  record: string,
  account: Account,
): Promise<string> {
  if (await canEnter(folder, account)) return folder;
  const known = await recorded(record);
  if (known !== undefined && (await isOwnedBy(known, [0]))) return known;
  const copy = await mkdtemp(shared);
  await cp(folder, copy, { recursive: true, verbatimSymlinks: true });
  await chmod(copy, 0o755);
  await writeRecord(record, copy);
  return copy;
}

/** Removes a folder of {@link accountFolder} with all that is in it. */
export async function removeAccountFolder(folder: string, used: string): Promise<void> {
  for (const place of new Set([used, folder])) await rm(place, { recursive: true, force: true });
}

/** The folder that the record names, if it still belongs to the owner, else a new one. */
async function rememberedFolder(record: string, owner: number): Promise<string> {
  const known = await recorded(record);
  if (known !== undefined && (await isOwnedBy(known, [owner]))) return known;
  const created = await mkdtemp(shared);
  await writeRecord(record, created);
  return created;
}

async function recorded(record: string): Promise<string | undefined> {
  return readFile(record, "utf8").catch(() => undefined);
}

async function writeRecord(record: string, folder: string): Promise<void> {
  await mkdir(path.dirname(record), { recursive: true });
  await writeFile(record, folder, { mode: 0o600 });
}

/** Whether it is a folder of one of these users, and not a link to one. */
async function isOwnedBy(folder: string, owners: readonly number[]): Promise<boolean> {
  const found = await lstat(folder).catch(() => undefined);
  return found !== undefined && found.isDirectory() && owners.includes(found.uid);
}

function canEnter(folder: string, account: Account): Promise<boolean> {
  return succeeds("test", ["-x", folder], { account, directory: "/" });
}
