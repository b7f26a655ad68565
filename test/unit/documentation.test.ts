import { existsSync, readdirSync } from "node:fs";
import path from "node:path";

import { describe, expect, it, test } from "vitest";
import { z } from "zod";

import { accelerators } from "../../catalog/accelerators";
import { findClipModel } from "../../catalog/clipModels";
import { gpuFamilies } from "../../catalog/gpuFamilies";
import { presets } from "../../catalog/presets";
import { generatedFiles } from "../../docs/generate";
import { hostSettings, stackSettings } from "../../docs/settings/render";
import { buildSchema, hostSchema, immichSchema, stackSchema } from "../../config/schema";
import { requirementsOf } from "../../immich/modelSelection";
import { containerType, privileges, unconfined } from "../../policy/checks";
import { chinese, documents, english, read, repository } from "../support/pages";

/** A page of docs/ in every language it exists in. */
const languagesOf = (name: string) => [`docs/${name}`, `docs/zh-CN/${name}`];

/** Each Chinese page with the English one of the same content. */
const translations: readonly (readonly [string, string])[] = [
  ["README.md", "README.zh-CN.md"],
  ...chinese.map((page) => [path.join("docs", path.basename(page)), page] as const),
];

/** Everything between backticks on one line. */
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

describe.each(languagesOf("settings.md"))("%s", (document) => {
  const rows = rowsOf(read(document));

  test("is what the schema and the texts give, with a row for each setting and no other", () => {
    expect(read(document)).toBe(generatedFiles()[document]);
    const settings = [...stackSettings, ...hostSettings].map(({ name }) => name);
    const secrets = ["databasePassword", "immichApiKey"];
    expect(rows.flatMap(({ names }) => names).sort()).toEqual([...settings, ...secrets].sort());
  });

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
});

test.each([...english, ...chinese])(
  "%s names no setting of Immich or the build that does not exist",
  (document) => {
    const known = new Set(documentedSettings().map(({ name }) => name));
    const invented = codeOf(read(document))
      .filter((name) => /^(immich|build)\.[a-zA-Z.]+$/.test(name))
      .filter((name) => !known.has(name.split(".").slice(0, 2).join(".")));
    expect(invented).toEqual([]);
  },
);

describe.each(languagesOf("presets.md"))("%s", (document) => {
  const rows = rowsOf(read(document));

  test("has a row for every preset, with its models, concurrency and memory", () => {
    for (const [name, { clip, facialRecognition, ocr, concurrency }] of Object.entries(presets)) {
      const part = (model: string | false) => (model === false ? model : { modelName: model });
      const { videoMemory } = requirementsOf({
        clip: part(clip),
        facialRecognition: part(facialRecognition),
        ocr: part(ocr),
      });
      const { row = "" } = rows.find(({ names }) => names[0] === name) ?? {};
      const models = [clip, facialRecognition, ocr].filter((model) => model !== false);
      expect(codeOf(row), name).toEqual([name, ...models]);
      const { smartSearch, faceDetection, ocr: ocrJobs } = concurrency;
      expect(row).toContain(`| ${smartSearch}, ${faceDetection}, ${ocrJobs} |`);
      expect(row).toContain(`| ${videoMemory} MiB |`);
    }
  });

  test("has the published figures of every preset's CLIP model", () => {
    for (const { clip } of Object.values(presets)) {
      const { recall, embeddingDimension, multilingual } = findClipModel(clip as string)!;
      const { row = "" } = rows.find(({ names }) => names[0] === clip) ?? {};
      expect(row, clip as string).toContain(`| ${recall!.toFixed(1)} % | ${embeddingDimension} |`);
      expect(/\| (English|英文) \|/.test(row), clip as string).toBe(!multilingual);
    }
  });
});

describe.each(Object.values(gpuFamilies))("the GPU family $name", (family) => {
  const { name, computeCapabilities, python, onnxRuntime, cuda, cudnn, minimumDriver } = family;

  test.each(["README.md", "README.zh-CN.md"])("is in the table of cards in %s", (document) => {
    const rows = rowsOf(read(document)).filter(({ row }) => row.includes(`\`${name}\``));
    const text = rows.map(({ row }) => row).join("\n");
    for (const capability of computeCapabilities) expect(text).toContain(capability);
    expect(text).toMatch(
      new RegExp(
        `\`${name}\`(: |：)Python ${python}(, |、)ONNX Runtime ${onnxRuntime}(, |、)CUDA ${cuda}`,
      ),
    );
  });

  test("is in the table of image variants", () => {
    const { row = "" } =
      rowsOf(read("docs/images.md")).find(({ names }) => names[0] === name) ?? {};
    const cells = row.split("|").map((cell) => cell.trim());
    expect(cells.slice(2, 4)).toEqual([computeCapabilities.join(", "), python]);
    expect(cells[4]).toMatch(new RegExp(`^${onnxRuntime}(,|$)`));
    expect(cells[5]).toBe(`${cuda} / ${cudnn}`);
  });

  test.each(languagesOf("install.md"))("has its oldest driver in %s", (document) => {
    const { row = "" } = rowsOf(read(document)).find(({ names }) => names[0] === "cuda") ?? {};
    expect(row).toContain(minimumDriver);
    expect(row).toContain(`CUDA ${cuda}`);
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

describe.each(languagesOf("faults.md"))("%s", (document) => {
  test("has a row for every tested fault, and no other", () => {
    const rows = rowsOf(read(document))
      .map(({ row }) => row.split("|").map((cell) => cell.trim()))
      .filter(([, , , , test]) => test?.startsWith("`test/e2e/faults"))
      .map(([, fault, , , test]) => ({ file: test!.replaceAll("`", ""), fault: fault! }));
    const inOrder = (file: string) => rows.filter((row) => row.file === file);
    for (const file of new Set([...faults, ...rows].map((entry) => entry.file))) {
      const tested = faults.filter((entry) => entry.file === file);
      expect(inOrder(file), file).toHaveLength(tested.length);
      if (english.includes(document)) expect(inOrder(file)).toEqual(tested);
    }
  });
});

test("the policy pack's page has a row for every policy, with its level", () => {
  const pack = read("policy/index.ts");
  const policies = [...pack.matchAll(/name: "([\w-]+)",\s+enforcementLevel: "(\w+)"/g)];
  expect(policies.length).toBeGreaterThan(0);
  for (const page of languagesOf("policy.md")) {
    const rows = rowsOf(read(page)).map(({ row }) => row);
    for (const [, name, level] of policies) {
      expect(
        rows.filter((row) => row.startsWith(`| \`${name}\` | ${level} |`)),
        name,
      ).toHaveLength(1);
    }
  }
});

test.each(languagesOf("policy.md"))(
  "%s names each accelerator that a policy refuses, and no other",
  (document) => {
    const refused = Object.values(accelerators).filter(({ devices, mounts, securityOptions }) => {
      const inputs = {
        devices: devices.map((hostPath) => ({ hostPath })),
        mounts: mounts.map(({ hostPath, readOnly }) => ({ source: hostPath, readOnly })),
        securityOpts: securityOptions,
      };
      return [privileges, unconfined].some((check) => check(containerType, inputs).length > 0);
    });
    const named = [...read(document).matchAll(/`accelerator: ([\w-]+)`/g)].map(([, name]) => name);
    expect(named.sort()).toEqual(refused.map(({ name }) => name).sort());
  },
);

describe.each(["README.md", "README.zh-CN.md"])("%s", (document) => {
  it("is short", () => {
    expect(read(document).trimEnd().split("\n").length).toBeLessThanOrEqual(110);
  });

  it("leads to every page, in its own language where there is one", () => {
    const translated = chinese.map((page) => path.join("docs", path.basename(page)));
    const expected =
      document === "README.md"
        ? english
        : [...chinese, ...english.filter((page) => !translated.includes(page))];
    expect(linksOf(document).map(({ file }) => file)).toEqual(expect.arrayContaining(expected));
  });
});

describe.each(translations)("%s and %s", (original, translation) => {
  it("have the same headings, tables, rows, columns and pictures", () => {
    expect(shapeOf(read(translation))).toEqual(shapeOf(read(original)));
  });

  it("have the same commands and examples", () => {
    expect(commandsOf(read(translation))).toEqual(commandsOf(read(original)));
  });
});

/** A line each: `##` for a heading, `| 3` for a row of three columns, `-` for an item, `!` for a picture. */
function shapeOf(text: string): string[] {
  return withoutBlocks(text)
    .split("\n")
    .flatMap((line) => {
      if (line.startsWith("|")) return [`| ${line.split("|").length - 2}`];
      return /^(#+(?= )|- |!(?=\[))/.exec(line)?.[0] ?? [];
    });
}

/** The blocks of code, without comments and blanks. */
function commandsOf(text: string): string[] {
  return [...text.matchAll(/^ *```\w+\n([^]*?)^ *```$/gm)]
    .flatMap(([, block]) => block!.split("\n"))
    .map((line) =>
      line
        .replace(/(^|\s)#.*$/, "")
        .replaceAll(/<[^>]*>|\s+/g, " ")
        .trim(),
    )
    .filter((line) => line !== "" && !line.startsWith("printf") && !line.startsWith("(umask"));
}

function withoutBlocks(text: string): string {
  return text.replaceAll(/^ *```[^]*?^ *```$/gm, "");
}

describe.each(documents)("%s", (document) => {
  // What the changelog records of released versions keeps its words.
  const text =
    document === "CHANGELOG.md" ? read(document).split(/^## (?=\d)/m)[0]! : read(document);

  test("names only npm scripts that exist", () => {
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    const named = [...text.matchAll(/\bnpm run ([\w:-]+)/g)].map((match) => match[1]!);
    expect(named.filter((name) => !Object.hasOwn(scripts, name))).toEqual([]);
  });

  test("names only files of this repository that exist", () => {
    const missing = codeOf(text).filter(
      (name) =>
        isFileOfOurs(name) && !exists(name) && !exists(path.join(path.dirname(document), name)),
    );
    expect(missing).toEqual([]);
  });

  test("links only to files and headings that exist", () => {
    const broken = linksOf(document).filter(
      ({ file, anchor }) =>
        !exists(file) || (anchor !== undefined && !headingsOf(read(file)).includes(anchor)),
    );
    expect(broken).toEqual([]);
  });
});

/** The links to files of this repository, by their path from its root. */
function linksOf(document: string): { readonly file: string; readonly anchor?: string }[] {
  return [...read(document).matchAll(/\]\(([^)#\s]*)(?:#([^)\s]+))?\)/g)]
    .filter(([, target]) => !/^\w+:/.test(target!))
    .map(([, target, anchor]) => ({
      file: target === "" ? document : path.join(path.dirname(document), target!),
      ...(anchor !== undefined && { anchor }),
    }));
}

/** The headings as links name them. */
function headingsOf(text: string): string[] {
  return [...withoutBlocks(text).matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\p{Letter}\p{Number}\s_-]/gu, "")
      .replaceAll(" ", "-"),
  );
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
