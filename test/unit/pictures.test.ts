import { readdirSync, readFileSync } from "node:fs";
import { homedir, hostname } from "node:os";
import path from "node:path";

import { describe, expect, it, test } from "vitest";

import { finalScreen, withoutColours, withoutPlugins } from "../../docs/pictures/screen";

const repository = path.join(__dirname, "..", "..");
const folder = path.join(repository, "docs", "pictures");

/** Each picture with the pages that show it, in both languages. */
const pictures = [
  { name: "preview", pages: ["README.md", "README.zh-CN.md"] },
  { name: "up", pages: ["README.md", "README.zh-CN.md"] },
  { name: "status", pages: ["docs/daily-use.md", "docs/zh-CN/daily-use.md"] },
  { name: "drift", pages: ["docs/daily-use.md", "docs/zh-CN/daily-use.md"] },
  { name: "repair", pages: ["docs/daily-use.md", "docs/zh-CN/daily-use.md"] },
];

describe.each(pictures)("docs/pictures/$name.png", ({ name, pages }) => {
  const text = readFileSync(path.join(folder, `${name}.txt`), "utf8");

  it("shows a whole run and nothing of the machine", () => {
    expect(text).toMatch(
      name === "status"
        ? /^\$ npm run status\nHOST +HEALTH/
        : /^\$ pulumi (preview|up)[^]*\nResources:\n/,
    );
    const ofTheMachine = [hostname(), homedir(), repository].filter((word) => word.length > 3);
    for (const word of ofTheMachine) expect(text).not.toContain(word);
    const paths = text.match(/(?<![\w:/.])\/[a-z]+\/[\w./-]+/g) ?? [];
    expect(paths).toEqual([]);
    expect(text).not.toMatch(/password|pulumi-resource-/i);
  });

  test.each(pages)("is in %s with a description", (page) => {
    const document = readFileSync(path.join(repository, page), "utf8");
    const target = path.relative(path.dirname(page), `docs/pictures/${name}.png`);
    const [, words = ""] =
      new RegExp(`!\\[([^\\]]*)\\]\\(${target.replaceAll(".", "\\.")}\\)`).exec(document) ?? [];
    expect(words.length).toBeGreaterThan(40);
  });
});

it("there are no other pictures", () => {
  const files = readdirSync(folder).filter((file) => file.endsWith(".png"));
  expect(files.sort()).toEqual(pictures.map(({ name }) => `${name}.png`).sort());
});

describe("the final screen of a terminal", () => {
  it("has the last version of each line, with its colours", () => {
    const output =
      "\u001b]11;?\u001b\\\u001b[6nHead\r\n\u001b[?25l\ra \u001b[32mone\u001b[0m\u001b[K\r\n\rb\u001b[K\r\n\r\u001b[2Aa \u001b[32mtwo\u001b[0m\u001b[K\r\n\rb done\u001b[K\r\n\u001b[?25h";
    expect(finalScreen(output)).toBe("Head\na \u001b[32mtwo\u001b[0m\nb done");
    expect(withoutColours(finalScreen(output))).toBe("Head\na two\nb done");
  });

  it("without plugins lacks only the warnings about them", () => {
    const screen = [
      "     pulumi:pulumi:Stack  immich-ml-dev  8 warnings",
      " +   └─ docker:index:Volume  attic",
      "",
      "Diagnostics:",
      "  pulumi:pulumi:Stack (immich-ml-dev):",
      "    warning: using pulumi-resource-docker from $PATH at /somewhere/pulumi-resource-docker",
      "",
      "  immich-ml:index:ModelPreset (preset):",
      "    warning: search finds nothing",
    ];
    expect(withoutPlugins(screen.join("\n")).split("\n")).toEqual([
      "     pulumi:pulumi:Stack  immich-ml-dev",
      " +   └─ docker:index:Volume  attic",
      "",
      "Diagnostics:",
      "  immich-ml:index:ModelPreset (preset):",
      "    warning: search finds nothing",
    ]);
  });
});
