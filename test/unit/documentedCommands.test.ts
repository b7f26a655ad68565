import { existsSync } from "node:fs";
import path from "node:path";

import { describe, expect, test } from "vitest";
import type { z } from "zod";

import { buildSchema, hostSchema, immichSchema, stackSchema } from "../../config/schema";
import { documents, read, repository } from "../support/pages";

/*
 * What a reader types or writes into a stack file: every command, option and setting in the documents exists.
 */

const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
const launcherFile = "immich-ml";
const launcher = existsSync(path.join(repository, launcherFile)) ? read(launcherFile) : undefined;
const launcherCommands = [
  ...["setup", "up", "preview", "status", "check", "report", "down"],
  ...["forget", "recover", "pulumi"],
];

/** What the documents use of other programs: a command of them with its options. */
const others: Readonly<Record<string, readonly string[]>> = {
  pulumi: [
    "cancel",
    "config set --secret --path",
    "destroy",
    "login --local",
    "plugin install --file",
    "preview --refresh --diff --config-file --policy-pack --policy-pack-config --suppress-outputs",
    "refresh --clear-pending-creates",
    "stack init",
    "stack rm --preserve-config",
    "stack history",
    "up --refresh --yes",
    "version",
  ],
  npm: ["ci", "test", "run", "config set", "audit", "outdated"],
  docker: [
    "builder prune",
    "compose up -d",
    "compose rm --stop --force",
    "exec nvidia-smi",
    "image prune",
    "image rm",
    "inspect",
    "load",
    "login",
    "logs",
    "network ls",
    "network connect",
    "ps",
    "pull",
    "rm -f",
    "run --device-cgroup-rule",
    "save",
    "system df",
    "version",
    "volume ls",
  ],
  git: ["clone", "pull", "init", "add", "commit -m", "checkout", "revert"],
  iptables: ["-I DOCKER-USER -p --dport -s -j"],
  "nvidia-ctk": [
    "cdi generate --output",
    "config --set --in-place",
    "runtime configure --runtime",
    "system create-dev-char-symlinks --create-all",
  ],
};
const shellWords = ["cd", "echo", "export", "gzip", "printf", "umask"];

/** Every command in the blocks of a document, and those between backticks that begin with a program. */
function commandsIn(text: string): string[] {
  const blocks = [...text.matchAll(/^ *```sh\n([^]*?)^ *```$/gm)].flatMap(([, block]) =>
    block!.replaceAll(/(^|\s)#.*$/gm, "").split("\n"),
  );
  const programs = ["./immich-ml", ...Object.keys(others)].map((name) => name.replace(".", "\\."));
  const inline = [...text.matchAll(new RegExp(`\`((?:${programs.join("|")}) [^\`\\n]+)\``, "g"))];
  return [...blocks, ...inline.map(([, command]) => command!)]
    .flatMap((line) => line.split(/&&|\||;/))
    .map((command) => command.replace(/[()]|'[^']*'|"[^"]*"|<[^>]*>|>+ \S+$/g, "").trim())
    .filter((command) => command !== "");
}

/** Why a command does not exist; undefined where it does. */
function fault(command: string): string | undefined {
  const [program = "", ...words] = command.split(/\s+/);
  const options = words
    .filter((word) => /^-{1,2}[a-z]/.test(word))
    .map((word) => word.split("=")[0]!);
  const lacking = (text: string) => options.find((option) => !text.includes(option));
  if (/(^|\/)immich-ml$/.test(program)) {
    const [name = ""] = words;
    if (name === "--help") return undefined;
    if (!launcherCommands.includes(name)) return "no command of the launcher";
    const isPulumi = ["up", "preview", "down", "pulumi"].includes(name);
    if (isPulumi) return fault(`pulumi ${words.join(" ").replace(/^pulumi |^down/, "")}`.trim());
    const folders: Record<string, string> = { report: "cli/report", setup: "setup" };
    const file = `${folders[name] ?? "cli"}/${name}.ts`;
    return existsSync(path.join(repository, file)) ? lacking(read(file)) : undefined;
  }
  if (program === "npm" && words[0] === "run") {
    const script = scripts[words[1] ?? ""];
    if (script === undefined) return "no script";
    const [, file] = /^tsx (\S+)$/.exec(script) ?? [];
    return file === undefined ? undefined : lacking(read(file));
  }
  if (program === "pulumi" && words.length === 0) return undefined;
  const known = others[program];
  if (known === undefined) return shellWords.includes(program) ? undefined : "no known program";
  const isOption = (word: string) => word.startsWith("-");
  const plain = words.filter((word) => !isOption(word));
  const match = known.find((entry) =>
    entry
      .split(" ")
      .filter((word) => !isOption(word))
      .every((word, at) => plain[at] === word),
  );
  return match === undefined ? "no such command" : lacking(match);
}

describe.each(documents)("%s", (document) => {
  const text =
    document === "CHANGELOG.md" ? read(document).split(/^## (?=\d)/m)[0]! : read(document);

  test("names only commands and options that exist", () => {
    const faults = commandsIn(text).flatMap((command) => {
      const why = fault(command);
      return why === undefined ? [] : [`${command}: ${why}`];
    });
    expect(faults).toEqual([]);
  });

  // What others print stands in the table of errors, and looks like settings.
  test.skipIf(document.includes("troubleshooting"))("names only settings that exist", () => {
    const named = [...text.matchAll(/`([a-zA-Z]+)((?:\.[a-zA-Z]+)*): [^`\n]+`/g)]
      .filter(([, root]) => !notOurs.includes(root!))
      .map(([, root, rest]) => root! + rest!);
    expect(named.filter((name) => !isSetting(name))).toEqual([]);
  });

  test.skipIf(launcher === undefined)("names only variables that the launcher reads", () => {
    const named = text.match(/\bIMMICH_ML_[A-Z_]+\b/g) ?? [];
    expect(named.filter((name) => !launcher!.includes(name))).toEqual([]);
  });
});

test.skipIf(launcher === undefined)("the launcher has exactly these commands", () => {
  const [, words = ""] = /^case \$\{1-\} in\n\s+([\w| ]+)\) ;;/m.exec(launcher!) ?? [];
  expect(words.split(" | ").sort()).toEqual([...launcherCommands].sort());
});

/** Words before a colon that are no settings of ours: of test names and of compose files. */
const notOurs = ["fault", "external"];

/** The names in a schema, with those of the objects in it. */
function namesIn(schema: z.ZodType): string[] {
  const inner = schema as unknown as {
    shape?: Record<string, z.ZodType>;
    unwrap?: () => z.ZodType;
    options?: readonly z.ZodType[];
    element?: z.ZodType;
  };
  if (inner.shape)
    return Object.entries(inner.shape).flatMap(([name, child]) => [name, ...namesIn(child)]);
  if (inner.options) return inner.options.flatMap(namesIn);
  if (inner.element) return namesIn(inner.element);
  return typeof inner.unwrap === "function" ? namesIn(inner.unwrap()) : [];
}

const settings = new Set([
  ...[stackSchema, hostSchema, immichSchema, buildSchema].flatMap(namesIn),
  // Settings of the ML server and of the models: free names whose tables have tests of their own.
  ...["environment", "models", "clip", "ocr", "facialRecognition", "concurrency"],
  ...["requestThreads", "workers", "modelTtl", "maxBatchSizeFacialRecognition", "preset"],
]);

function isSetting(name: string): boolean {
  return name.split(".").every((part) => settings.has(part));
}
