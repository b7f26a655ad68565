import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import path from "node:path";
import { PassThrough } from "node:stream";
import dockerIgnore from "@balena/dockerignore";

/**
 * A tar archive of the build context as the docker command sends it: without what `.dockerignore`
 * excludes, but always with the Dockerfile. dockerode would drop a folder that is included in part.
 */
export async function buildContext(folder: string, dockerfile: string) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)));
  const rules = path.join(folder, ".dockerignore");
  const ignored = dockerIgnore({ ignorecase: false });
  if (existsSync(rules)) ignored.add(readFileSync(rules, "utf8"));
  const sent = files.filter((file) => file === dockerfile || !ignored.ignores(file)).sort();

  // Null-terminated names from standard input; the archive goes to standard output.
  const args = ["--create", "--null", "--owner=0", "--group=0", "--files-from=-", "--file=-"];
  const tar = spawn("tar", ["--directory", folder, ...args], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  tar.stdin.end(sent.map((file) => `${file}\0`).join(""));
  // Read at once: Node.js drops the unread output of a child that has ended.
  const archive = tar.stdout.pipe(new PassThrough());
  tar.once("exit", (code) => {
    if (code !== 0) archive.destroy(new Error(`tar of ${folder} ended with exit code ${code}`));
  });
  return archive;
}
