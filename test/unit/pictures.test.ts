import { readdirSync, readFileSync } from "node:fs";
import { homedir, hostname } from "node:os";
import path from "node:path";

import { describe, expect, it, test } from "vitest";

import { finalScreen, withoutColours, withoutPlugins } from "../../docs/pictures/screen";

const repository = path.join(__dirname, "..", "..");
const folder = path.join(repository, "docs", "pictures");

/** Each picture of a terminal: its text and the pages that show it, in both languages. */
const terminals = [
  {
    name: "up",
    shows: /^\$ pulumi up[^]*\nResources:\n[^]*\n\$ npm run status\nHOST +HEALTH[^]* MILLISECONDS/,
    page: "README",
  },
  { name: "preview", shows: /^\$ pulumi preview[^]*\nResources:\n/, page: "presets" },
  { name: "status", shows: /^\$ npm run status\nHOST +HEALTH/, page: "daily-use" },
  { name: "drift", shows: /^\$ pulumi preview[^]*\nResources:\n/, page: "daily-use" },
  { name: "repair", shows: /^\$ pulumi up[^]*\nResources:\n/, page: "daily-use" },
] as const;

/** The pictures of the report; the pages show the first and link to the others. */
const reports = ["report-light", "report-dark", "report-phone"] as const;

const pagesOf = (page: string) =>
  page === "README"
    ? [`${page}.md`, `${page}.zh-CN.md`]
    : [`docs/${page}.md`, `docs/zh-CN/${page}.md`];

function descriptionIn(page: string, name: string): string {
  const document = readFileSync(path.join(repository, page), "utf8");
  const target = path.relative(path.dirname(page), `docs/pictures/${name}.png`);
  return (
    new RegExp(`\\[([^\\]]*)\\]\\(${target.replaceAll(".", "\\.")}\\)`).exec(document)?.[1] ?? ""
  );
}

describe.each(terminals)("docs/pictures/$name.png", ({ name, shows, page }) => {
  const text = readFileSync(path.join(folder, `${name}.txt`), "utf8");

  it("shows a whole run and nothing of the machine", () => {
    expect(text).toMatch(shows);
    const ofTheMachine = [hostname(), homedir(), repository].filter((word) => word.length > 3);
    for (const word of ofTheMachine) expect(text).not.toContain(word);
    const paths = text.match(/(?<![\w:/.])\/[a-z]+\/[\w./-]+/g) ?? [];
    expect(paths.filter((each) => !each.startsWith("/home/you/"))).toEqual([]);
    expect(text).not.toMatch(/password(?!.*encrypted)|pulumi-resource-|not asked/i);
  });

  test.each(pagesOf(page))("is in %s with a description", (each) => {
    expect(descriptionIn(each, name).length).toBeGreaterThan(40);
  });
});

describe.each(reports)("docs/pictures/%s.png", (name) => {
  test.each(pagesOf("daily-use"))("is in %s", (page) => {
    const isShown = name === "report-light";
    expect(descriptionIn(page, name).length).toBeGreaterThan(isShown ? 40 : 1);
  });
});

it("there are no other pictures", () => {
  const files = readdirSync(folder).filter((file) => file.endsWith(".png"));
  const names = [...terminals.map(({ name }) => name), ...reports];
  expect(files.sort()).toEqual(names.map((name) => `${name}.png`).sort());
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
