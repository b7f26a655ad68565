import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

import { buildContext } from "../../demo/buildContext";
import { run } from "../../demo/shell";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-context-"));
});
afterEach(() => rm(folder, { recursive: true }));

async function write(files: Record<string, string>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await writeFile(path.join(folder, name), text);
  }
}

async function sentFiles(dockerfile = "Dockerfile"): Promise<string[]> {
  const archive = path.join(folder, "..", `${path.basename(folder)}.tar`);
  const chunks: Buffer[] = [];
  for await (const chunk of await buildContext(folder, dockerfile)) chunks.push(chunk as Buffer);
  await writeFile(archive, Buffer.concat(chunks));
  const listed = await run("tar", ["--list", "--file", archive]);
  await rm(archive);
  return listed.trimEnd().split("\n");
}

test("without .dockerignore every file is sent, in folders too", async () => {
  await write({ Dockerfile: "FROM scratch", "a/b.txt": "b", "name with blanks": "" });

  expect(await sentFiles()).toEqual(["Dockerfile", "a/b.txt", "name with blanks"]);
});

test("included files of an ignored folder are sent, and always the Dockerfile", async () => {
  await write({
    Dockerfile: "FROM scratch",
    ".dockerignore": "*\n!checks/*.py\n",
    "checks/check.py": "",
    "checks/notes.txt": "",
    "secret.env": "",
  });

  expect(await sentFiles()).toEqual(["Dockerfile", "checks/check.py"]);
});

test("an archive that is read only after tar has ended is complete", async () => {
  await write({ Dockerfile: "FROM scratch" });
  const archive = await buildContext(folder, "Dockerfile");
  await new Promise((resolve) => setTimeout(resolve, 500));

  const chunks: Buffer[] = [];
  for await (const chunk of archive) chunks.push(chunk as Buffer);
  expect(Buffer.concat(chunks).toString()).toContain("FROM scratch");
});
