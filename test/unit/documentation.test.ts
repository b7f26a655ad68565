import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";

import { describe, expect, test } from "vitest";
import { z } from "zod";

import { buildSchema, hostSchema, immichSchema, stackSchema } from "../../config/schema";

const repository = path.join(__dirname, "..", "..");
const languages = ["README.md", "README.zh-CN.md"];
const documents = readdirSync(repository).filter((name) => name.endsWith(".md"));
const read = (name: string) => readFileSync(path.join(repository, name), "utf8");

/** The text without what the changelog records of released versions, which keeps its words. */
const readCurrent = (name: string) =>
  name === "CHANGELOG.md" ? read(name).split(/^## \d/m)[0]! : read(name);

/** Everything between backticks. */
function codeOf(text: string): string[] {
  return [...text.matchAll(/`([^`\n]+)`/g)].map((match) => match[1]!);
}

/** The rows of all tables, with the names in the first column. */
function rowsOf(text: string): { readonly names: readonly string[]; readonly row: string }[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .map((row) => ({ names: codeOf(row.split("|")[1] ?? ""), row }));
}

/** Every setting as the table calls it, with the parts that its row must name. */
function documentedSettings(): { readonly name: string; readonly parts: readonly string[] }[] {
  const named = (schema: z.ZodObject, prefix = "") =>
    Object.entries(schema.shape).map(([key, value]) => ({
      name: prefix + key,
      parts: partsOf(value as z.ZodType),
    }));
  const sections = ["hosts", "immich", "build"];
  return [
    ...named(stackSchema).filter(({ name }) => !sections.includes(name)),
    ...named(immichSchema, "immich."),
    ...named(buildSchema, "build."),
    ...named(hostSchema),
    { name: "databasePassword", parts: [] },
    { name: "immichApiKey", parts: [] },
  ];
}

function partsOf(schema: z.ZodType): string[] {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault) {
    return partsOf(schema.unwrap() as z.ZodType);
  }
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

describe.each(languages)("%s", (document) => {
  const rows = rowsOf(read(document));

  test("has a row for every setting that names its parts", () => {
    const missing = documentedSettings().flatMap(({ name, parts }) => {
      const found = rows.filter(({ names }) =>
        // A setting with one part is named by it: immich.api.url.
        names.some((candidate) => candidate === name || candidate.startsWith(`${name}.`)),
      );
      if (found.length === 0) return [name];
      const text = found.map(({ row }) => row).join("\n");
      return parts
        .filter((part) => !new RegExp(`\\b${part}\\b`).test(text))
        .map((part) => `${name}: ${part}`);
    });
    expect(missing).toEqual([]);
  });

  test("names no unknown setting of a host, of Immich or of the build", () => {
    const known = new Set(documentedSettings().map(({ name }) => name));
    const invented = rows
      .flatMap(({ names }) => names)
      .filter((name) => /^(immich|build)\.[a-zA-Z.]+$/.test(name))
      .filter((name) => !known.has(name.split(".").slice(0, 2).join(".")));
    expect(invented).toEqual([]);
  });
});

/** The tests that inject a fault, by file: `fault: the fault; its outcome`. */
const faults = readdirSync(path.join(repository, "test", "e2e"))
  .filter((name) => name.startsWith("faults"))
  .flatMap((name) => {
    const file = `test/e2e/${name}`;
    const tests = [...read(file).matchAll(/"fault: ([^;"]+);/g)];
    return tests.map(([, fault]) => ({ file, fault: fault! }));
  });

describe.each(languages)("%s", (document) => {
  test("has a row for every tested fault, and no other", () => {
    const rows = rowsOf(read(document))
      .map(({ row }) => row.split("|").map((cell) => cell.trim()))
      .filter(([, , , , test]) => test?.startsWith("`test/e2e/faults"))
      .map(([, fault, , , test]) => ({ file: test!.replaceAll("`", ""), fault: fault! }));
    const inOrder = (file: string) => rows.filter((row) => row.file === file);
    for (const file of new Set([...faults, ...rows].map((entry) => entry.file))) {
      const tested = faults.filter((entry) => entry.file === file);
      expect(inOrder(file), file).toHaveLength(tested.length);
      if (document === "README.md") expect(inOrder(file)).toEqual(tested);
    }
  });
});

describe.each(documents)("%s", (document) => {
  test("names only npm scripts that exist", () => {
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    const named = [...readCurrent(document).matchAll(/\bnpm run ([\w:-]+)/g)].map(
      (match) => match[1]!,
    );
    expect(named.filter((name) => !Object.hasOwn(scripts, name))).toEqual([]);
  });

  test("names only files of this repository that exist", () => {
    const missing = [...codeOf(readCurrent(document)), ...linksOf(readCurrent(document))].filter(
      (name) => isFileOfOurs(name) && !exists(name),
    );
    expect(missing).toEqual([]);
  });
});

function linksOf(text: string): string[] {
  return [...text.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map((match) => match[1]!);
}

const rooms = readdirSync(repository, { withFileTypes: true })
  .filter(({ name }) => !name.startsWith(".") && name !== "node_modules")
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

/** A path in one of the rooms, or the name of a source file or page. */
function isFileOfOurs(name: string): boolean {
  if (!/^[\w.*/-]+$/.test(name)) return false;
  const liesInARoom = name.includes("/") && rooms.includes(name.split("/")[0]!);
  return liesInARoom || /\.(ts|mts|mjs|sh|sql)$/.test(name) || /^[\w.-]+\.md$/.test(name);
}

/** A name may have one `*` in its last part. */
function exists(name: string): boolean {
  const whole = path.join(repository, name);
  if (!name.includes("*")) return existsSync(whole);
  const [before, after] = path.basename(name).split("*") as [string, string];
  const folder = path.dirname(whole);
  return (
    existsSync(folder) &&
    readdirSync(folder).some((file) => file.startsWith(before) && file.endsWith(after))
  );
}
