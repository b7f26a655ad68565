import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

import { type KnownError, knownErrors, renderRows, sections } from "../catalog/knownErrors";
import { knownErrorsChinese } from "../catalog/knownErrorsChinese";
import { settingTables } from "./settings/render";

/*
 * Writes what is made of catalog/knownErrors.ts: the tables in both pages on troubleshooting, between the
 * comments `<!-- known errors: SECTION -->` and `<!-- end -->`, and the rows that the check searches. Likewise
 * what both pages on settings say of config/schema.ts, after `<!-- settings: PART -->`.
 */

const repository = path.join(__dirname, "..");
const read = (file: string) => readFileSync(path.join(repository, file), "utf8");

/** The generated files and their content. */
export function generatedFiles(): Readonly<Record<string, string>> {
  return {
    "verify/knownErrors.tsv": renderRows(),
    "docs/troubleshooting.md": withTables(
      read("docs/troubleshooting.md"),
      "| What you see | Why | What to do |",
      (_name, { shown, cause, cure }) => [shown, cause, cure],
    ),
    "docs/zh-CN/troubleshooting.md": withTables(
      read("docs/zh-CN/troubleshooting.md"),
      "| 现象 | 原因 | 怎么办 |",
      (name, { shown }) => {
        const { cause, cure } = knownErrorsChinese[name];
        return [quotedIn(shown).join("、"), cause, cure];
      },
    ),
    "docs/settings.md": withSettings(read("docs/settings.md"), "English"),
    "docs/zh-CN/settings.md": withSettings(read("docs/zh-CN/settings.md"), "Chinese"),
  };
}

type Row = (name: keyof typeof knownErrorsChinese, error: KnownError) => readonly string[];

function withTables(page: string, heading: string, row: Row): string {
  return sections.reduce((text, section) => {
    const rows = knownErrors
      .filter(([, error]) => error.section === section)
      .map(([name, error]) => `| ${row(name, error).map(asMarkdown).join(" | ")} |`);
    const table = [heading, "|---|---|---|", ...rows].join("\n");
    return replaced(text, `<!-- known errors: ${section} -->`, table);
  }, page);
}

function withSettings(page: string, language: "English" | "Chinese"): string {
  return (["stack", "host"] as const).reduce(
    (text, part) => replaced(text, `<!-- settings: ${part} -->`, settingTables(part, language)),
    page,
  );
}

/** The page with a text between a comment and the next `<!-- end -->`. */
function replaced(page: string, begin: string, content: string): string {
  const [before, rest] = page.split(`${begin}\n`);
  if (rest === undefined) throw new Error(`a page has no ${begin}`);
  return `${before}${begin}\n\n${content}\n\n${rest.slice(rest.indexOf("<!-- end -->"))}`;
}

function quotedIn(text: string): string[] {
  return text.match(/«[^»]*»/g) ?? [text];
}

/** What is quoted becomes code; the rest must not be read as a tag. */
function asMarkdown(text: string): string {
  return text
    .replace(/«([^»]*)»/g, (_all, quoted: string) => `\`${quoted}\``)
    .replaceAll("|", "\\|")
    .split("`")
    .map((part, index) => (index % 2 === 1 ? part : part.replaceAll("<", "&lt;")))
    .join("`");
}

if (require.main === module) {
  for (const [file, content] of Object.entries(generatedFiles())) {
    writeFileSync(path.join(repository, file), content);
  }
}
