import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";

import { cacheFolder } from "../../demo/folders";
import { isInstalled, run } from "../../demo/shell";

/**
 * A folder with the Docker of a Debian release and its dependencies, downloaded by this machine's apt
 * but not installed. Downloaded once (about 70 MB, 15 s).
 *
 * @param release such as `trixie` (Docker 26.1) or `forky` (28.5 at the time of writing)
 * @throws when this machine is not Debian, or its archive lacks that release
 */
export async function dockerRelease(release: string): Promise<string> {
  const root = path.join(cacheFolder, "docker", release);
  if (existsSync(root)) return root;
  await mkdir(path.dirname(root), { recursive: true });
  const folder = await mkdtemp(`${root}-`);
  const inFolder = (name: string) => path.join(folder, name);
  try {
    for (const name of ["state/lists/partial", "cache/archives/partial", "root"]) {
      await mkdir(inFolder(name), { recursive: true });
    }
    // An empty status, so that apt downloads every dependency.
    await writeFile(inFolder("status"), "");
    await writeFile(inFolder("sources.list"), `deb ${await debianArchive()} ${release} main\n`);
    const apart = Object.entries({
      "Dir::Etc::sourcelist": inFolder("sources.list"),
      "Dir::Etc::sourceparts": "/dev/null",
      "Dir::State": inFolder("state"),
      "Dir::State::status": inFolder("status"),
      "Dir::Cache": inFolder("cache"),
      "APT::Sandbox::User": "root",
    }).flatMap(([option, value]) => ["-o", `${option}=${value}`]);
    await run("apt-get", ["-q", ...apart, "update"]);
    const download = ["-y", "-q", "--download-only", "--no-install-recommends", "install"];
    // base-files has links such as /lib to /usr/lib.
    await run("apt-get", [...apart, ...download, "docker.io", "base-files"]);
    for (const archive of await readdir(inFolder("cache/archives"))) {
      if (!archive.endsWith(".deb")) continue;
      await run("dpkg-deb", ["-x", inFolder(`cache/archives/${archive}`), inFolder("root")]);
    }
    await rename(inFolder("root"), root);
    return root;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The archive that this machine's packages come from. */
async function debianArchive(): Promise<string> {
  if (!(await isInstalled("apt-get"))) throw new Error("this machine has no apt");
  const archives = await run("apt-get", [
    ...["indextargets", "--format", "$(REPO_URI) $(ORIGIN)"],
    ...["Created-By: Packages", "Component: main", "Origin: Debian"],
  ]);
  const [archive] = archives.split("\n").filter((line) => !line.includes("security"));
  if (!archive) throw new Error("this machine's packages do not come from Debian's archive");
  return archive.split(" ")[0]!;
}
