import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

/*
 * components/placeModels.sh with a docker that only notes that it was asked, and keeps the archive it got.
 */

const script = join(__dirname, "..", "..", "components", "placeModels.sh");
const model = "clip/ViT-B-32__openai/visual/model.onnx";

let root: string;
let folder: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "immich-ml-test-models-"));
  folder = join(root, "models");
  mkdirSync(join(folder, model, ".."), { recursive: true });
  writeFileSync(join(folder, model), "weights");
  writeFileSync(join(folder, "with space 模型"), "{}");
  list();
  const docker = `#!/bin/sh
echo "$@" >> "${root}/asked"
case $1 in
  create) echo "\${ID:-container}" ;;
  cp) cat > "${root}/archive" ;;
  start)
    [ "$(grep -c ^start "${root}/asked")" = 1 ] || exit "$DAMAGED"
    [ -n "$DIFFERENT" ] || exit 0
    printf '%s: FAILED\\n' "$DIFFERENT"
    exit 1 ;;
esac`;
  writeFileSync(join(root, "docker"), docker, { mode: 0o755 });
});
afterEach(() => rmSync(root, { recursive: true }));

const sums = () => join(folder, "SHA256SUMS");
const inFolder = (command: string) => execFileSync("sh", ["-c", command], { cwd: folder });

/** As the message about a missing SHA256SUMS says. */
function list(): void {
  inFolder("find . -type f ! -path ./SHA256SUMS -exec sha256sum {} + > SHA256SUMS");
}

function addLine(path: string): void {
  writeFileSync(sums(), `${"0".repeat(64)}  ${path}\n`, { flag: "a" });
}

/** @param different what the first check in the volume names as wrong; empty for nothing */
function place(damaged = 0, id = "", different = `./${model}`) {
  return spawnSync("sh", [script], {
    encoding: "utf8",
    env: {
      ...process.env,
      PATH: `${root}:${process.env["PATH"]}`,
      FOLDER: folder,
      VOLUME: "cache",
      IMAGE: "image",
      DAMAGED: String(damaged),
      ID: id,
      DIFFERENT: different,
    },
  });
}

describe("the folder of cacheModels", () => {
  it("is not copied again where the volume has every file as listed", () => {
    const { status, stdout, stderr } = place(0, "", "");
    expect({ status, stdout }).toEqual({ status: 0, stdout: "2\n" });
    expect(stderr).not.toContain("copying");
  });

  it("is copied where every file is plain and listed, with modes that give no rights", () => {
    chmodSync(join(folder, "clip"), 0o7777);
    chmodSync(join(folder, model), 0o666);
    const { status, stdout, stderr } = place();
    expect(stderr).toContain("checking the files in the cache");
    expect({ status, stdout }).toEqual({ status: 0, stdout: "2\n" });
    const listed = execFileSync("tar", ["tvf", join(root, "archive")], { encoding: "utf8" });
    expect(listed).toMatch(/^drwxr-xr-x 0\/0 .* \.\/clip\/$/m);
    expect(listed).toMatch(/^-rw-r--r-- 0\/0 .* \.\/clip\/.*model\.onnx$/m);
    expect(readFileSync(join(root, "asked"), "utf8")).toContain("--strict --check /SHA256SUMS");
  });

  it("may be listed without ./ before the names, as binary files, or in capitals", () => {
    inFolder("sha256sum --binary clip/*/*/* with* > SHA256SUMS");
    const lines = readFileSync(sums(), "utf8");
    writeFileSync(
      sums(),
      lines.replace(/^\w+/gm, (sum) => sum.toUpperCase()),
    );
    expect(place()).toMatchObject({ status: 0, stdout: "2\n" });
  });

  const refused: readonly (readonly [what: string, spoil: () => void, said: string])[] = [
    [
      "an unlisted file",
      () => writeFileSync(join(folder, "clip/other.bin"), ""),
      "./clip/other.bin: is not listed",
    ],
    [
      "an unlisted file and an empty list",
      () => writeFileSync(sums(), ""),
      "is not listed in SHA256SUMS",
    ],
    [
      "a file listed only by an indirect name",
      () => inFolder(`sed -i 's, \\./clip, ./clip/../clip,' SHA256SUMS`),
      "names a file outside the folder",
    ],
    [
      "a link to a file elsewhere, listed",
      () => {
        symlinkSync("/etc/hostname", join(folder, "name"));
        inFolder("sha256sum ./name >> SHA256SUMS");
      },
      "./name: is a link or a special file",
    ],
    [
      "a link to a folder elsewhere",
      () => symlinkSync("/etc", join(folder, "clip/etc")),
      "./clip/etc: is a link",
    ],
    [
      "a list that is a link",
      () => inFolder("mv SHA256SUMS ../elsewhere && ln -s ../elsewhere SHA256SUMS"),
      "./SHA256SUMS: is a link",
    ],
    [
      "a hard link to a file elsewhere, listed",
      () => {
        writeFileSync(join(root, "elsewhere"), "secret");
        linkSync(join(root, "elsewhere"), join(folder, "name"));
        list();
      },
      "./name: is a hard link",
    ],
    ["a pipe", () => inFolder("mkfifo pipe"), "./pipe: is a link or a special file"],
    [
      "a setuid file, listed",
      () => chmodSync(join(folder, model), 0o4755),
      `./${model}: runs with its owner's rights`,
    ],
    [
      "a setgid file, listed",
      () => chmodSync(join(folder, model), 0o2755),
      `./${model}: runs with its owner's rights`,
    ],
    [
      "a line of garbage",
      () => writeFileSync(sums(), "rm -rf \u001b[2J /\n", { flag: "a" }),
      "3:rm -rf ?[2J /: in SHA256SUMS, is not a line",
    ],
    ["an absolute path", () => addLine("/etc/passwd"), "names a file outside the folder"],
    ["a path above the folder", () => addLine("../elsewhere"), "names a file outside the folder"],
    ["a path through the folder above", () => addLine("./clip/../../x"), "names a file outside"],
    ["a path that ends above", () => addLine("clip/.."), "names a file outside the folder"],
    [
      "a file whose name ends a line",
      () => {
        writeFileSync(join(folder, `x\n.`), "");
        mkdirSync(join(folder, "y\n."));
        list();
      },
      "has a control character in its name",
    ],
  ];
  it.each(refused)(
    "is refused with %s, by name, before anything is copied",
    (_what, spoil, said) => {
      spoil();
      const { status, stderr } = place();
      expect(status).toBe(1);
      expect(stderr).toContain(said);
      expect(stderr.trimEnd().split("\n")).toHaveLength(1);
      expect(stderr).toMatch(/; nothing was copied\n$/);
      expect(existsSync(join(root, "asked"))).toBe(false);
    },
  );

  it("is named when its files arrive damaged in the volume", () => {
    const { status, stderr } = place(1);
    expect(status).toBe(1);
    expect(stderr).toContain("in cache do not match");
    expect(readFileSync(join(root, "asked"), "utf8")).toContain("rm --force container");
  });

  it.each([
    ["a file that is not as listed", () => writeFileSync(join(folder, model), "other"), model],
    ["a listed file that is missing", () => addLine("./missing"), "./missing"],
  ])("is refused with %s, by name, before anything is copied", (_what, spoil, name) => {
    spoil();
    const { status, stderr } = place();
    expect(status).toBe(1);
    expect(stderr).toContain(`${name}: FAILED`);
    expect(stderr).toContain("repair the folder");
    expect(existsSync(join(root, "asked"))).toBe(false);
  });

  it.each(["--env-file=/etc/shadow", "/etc", "a b\u001b[2J"])(
    "goes nowhere when an engine calls the container %j",
    (id) => {
      const { status, stderr } = place(0, id);
      expect(status).toBe(1);
      expect(stderr).toContain(`a container's id that is none: ${id.replace("\u001b", "?")}\n`);
      expect(readFileSync(join(root, "asked"), "utf8")).toMatch(/^create .* -- image -c .*\n$/);
    },
  );
});
