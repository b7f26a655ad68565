import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import { describe, expect, it } from "vitest";

import { formatProblem } from "../../config/errors";
import type { HostSettings } from "../../config/load";
import { readSettings } from "../../config/read";
import { checkCacheFolder, checkCacheLabel } from "../../preflight/cacheChecks";
import { type MachineInfo, parseProbe, probeScript } from "../../preflight/hostProbe";
import { parseDockerInfo } from "../../util/dockerAnswers";
import { run } from "../../util/run";

const context = { project: "immich-ml", stack: "test", secrets: {} };

function read(...hosts: object[]) {
  const immich = { version: "v2.7.5", network: "immich_default" };
  const { value, problems, notes } = readSettings({ immich, hosts }, context);
  const lines = problems.map((problem) => formatProblem(problem));
  return { caches: value?.hosts.map(({ cache }) => cache), lines, notes };
}

describe("cache in the stack file", () => {
  it.each([
    [{}, { kind: "volume", volume: "immich-ml-attic-cache", keep: true }],
    [{ cache: { volume: "b" } }, { kind: "volume", volume: "b", keep: true }],
    [{ cache: { keep: false } }, { kind: "volume", volume: "immich-ml-attic-cache", keep: false }],
    [{ cache: { path: "/mnt/My Disk/ml/" } }, { kind: "folder", path: "/mnt/My Disk/ml" }],
  ])("%j", (more, cache) => {
    const { caches, lines, notes } = read({ name: "attic", ...more });
    expect(lines).toEqual([]);
    expect(notes).toEqual([]);
    expect(caches).toEqual([cache]);
  });

  it("is read under its two former names, with a note each", () => {
    const { caches, notes } = read({ name: "attic", cacheVolume: "b", keepCache: false });
    expect(caches).toEqual([{ kind: "volume", volume: "b", keep: false }]);
    expect(notes).toEqual([
      "hosts[0].cacheVolume is now called cache.volume; the old name works in this release only",
      "hosts[0].keepCache is now called cache.keep; the old name works in this release only",
    ]);
  });

  it.each([
    [{ cacheVolume: "a", cache: { volume: "b" } }, "cacheVolume", "is now called cache.volume"],
    [{ cacheVolume: "a", cache: { path: "/b" } }, "cache.volume", "cannot be used with path"],
    [{ cache: { path: "/b", keep: true } }, "cache.keep", "the folder in path is never removed"],
    [{ cache: { path: "/" } }, "cache.path", "the absolute path of a folder on the host"],
    [{ cache: { path: "./models" } }, "cache.path", "the absolute path of a folder on the host"],
    [{ cache: { path: "~/models" } }, "cache.path", "the absolute path of a folder on the host"],
    [{ cache: { path: "/a:/b" } }, "cache.path", "without ':'"],
    [{ cache: "/b" }, "cache", "{ path: /a/folder/of/the/host }"],
    [{ cache: { path: "/b" }, placement: "swarm" }, "cache.path", "only on nodes that have"],
  ])("%j is refused", (more, key, message) => {
    const { lines } = read({ name: "attic", ...more });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(`immich-ml:hosts[0].${key}: `);
    expect(lines[0]).toContain(message);
  });

  it("is not one folder for two hosts of an engine", () => {
    const cache = { path: "/models" };
    const { lines } = read({ name: "a", cache }, { name: "b", cache: { path: "/models/" } });
    expect(lines).toEqual([
      'immich-ml:hosts[1].cache.path: "/models": is already used by hosts[0].cache.path',
    ]);
  });
});

const keepsCapabilities = { hardening: { dropCapabilities: false } };
const engine = parseDockerInfo(JSON.stringify({ ServerVersion: "27.5.1" }))!;
const rootless = parseDockerInfo(
  JSON.stringify({ ServerVersion: "27.5.1", SecurityOptions: ["name=seccomp", "name=rootless"] }),
)!;

function check(
  answer: string,
  host: Partial<HostSettings> = {},
  docker = engine,
): string | undefined {
  const machine = parseProbe(`folder ${answer}\nfree 1\nnvidia-exit 127`);
  return judge(machine, host, docker);
}

function judge(machine: MachineInfo | undefined, host: Partial<HostSettings>, docker = engine) {
  const cache = { kind: "folder", path: "/mnt/ml" } as const;
  const subject = { cache, hardening: {}, ...host } as HostSettings;
  const found = checkCacheFolder(subject, docker, machine);
  return found && `${found.severity}: ${found.message}`;
}

describe("the folder of the cache on its host", () => {
  it.each([
    ["root's own", "0 0 755", {}, engine],
    ["one that root's group may write into", "99 0 775", {}, engine],
    ["one open to all, as Unraid's", "99 100 777", {}, engine],
    ["one that is not there yet", "absent", {}, engine],
    ["another user's, where root keeps its capabilities", "99 100 755", keepsCapabilities, engine],
    ["another user's, where root is another one on the host", "99 100 755", {}, rootless],
  ])("%s will do", (_what, answer, host, docker) => {
    expect(check(answer, host, docker)).toBeUndefined();
  });

  it.each([
    [
      "99 100 755",
      /^error: \/mnt\/ml \(cache.path\) belongs to 99:100 with mode 755, so the server's root.*cannot write.*chown -R 0:0 \/mnt\/ml/,
    ],
    ["0 0 555", /^error: .*mode 555/],
    ["no folder", /^error: .*is a file, but must be a folder/],
    ["no parent", /^error: .*neither does the folder above it.*mkdir -p \/mnt\/ml/],
    ["unreadable", /^warning: whether the server can write into \/mnt\/ml/],
  ])("%s will not", (answer, message) => {
    expect(check(answer)).toMatch(message);
  });

  it("needs the label of containers where SELinux confines them", () => {
    const confined = parseDockerInfo(
      JSON.stringify({ ServerVersion: "27.5.1", SecurityOptions: ["name=selinux"] }),
    )!;
    const host = { cache: { kind: "folder", path: "/mnt/ml" } } as HostSettings;
    const labelled = (label: string, docker = confined) =>
      checkCacheLabel(host, docker, parseProbe(`folder 0 0 755\nlabel ${label}\nnvidia-exit 127`));
    expect(labelled("unconfined_u:object_r:mnt_t:s0")?.message).toMatch(
      /mnt_t:s0, so no container may write there: sudo chcon -Rt container_file_t \/mnt\/ml/,
    );
    expect(labelled("system_u:object_r:container_file_t:s0:c1,c2")).toBeUndefined();
    expect(labelled("unconfined_u:object_r:mnt_t:s0", engine)).toBeUndefined();
    // A file system without labels, and a stat that knows none.
    expect(labelled("?")).toBeUndefined();
    expect(labelled("")).toBeUndefined();
  });

  it("is not judged behind tcp://, and that is said", () => {
    expect(judge(undefined, {})).toMatch(/^warning: whether .* was not checked/);
  });

  it("is asked for by the script that asks the machine everything", async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-it's-"));
    const ask = async (where: string) => {
      const { stdout } = await run("sh", ["-s"], { stdin: probeScript("/", where) });
      return parseProbe(stdout).cacheFolder;
    };
    await writeFile(path.join(folder, "file"), "");
    const user = process.getuid!();
    expect(await ask(folder)).toMatchObject({ owner: user, mode: 0o700 });
    expect(await ask(path.join(folder, "file"))).toBe("no folder");
    expect(await ask(path.join(folder, "new"))).toBe("absent");
    expect(await ask(path.join(folder, "new", "one"))).toBe("no parent");
    await rm(folder, { recursive: true });
  });
});
