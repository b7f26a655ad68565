import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";

import { describe, expect, it } from "vitest";

import { findKnownError, hintOf, knownErrors } from "../../catalog/knownErrors";
import { generatedFiles } from "../../docs/generate";
import { type Sample, samples, unknown } from "./knownErrors.samples";

const folder = path.join(__dirname, "..", "..");
const read = (file: string) => readFileSync(path.join(folder, file), "utf8");

const shortened = (text: string) => text.replace(/\s+/g, " ").slice(-90);
const cases = samples.map(
  (sample) => [sample.row, sample.place, shortened(sample.text), sample] as const,
);

describe("the table of known errors", () => {
  it.each(cases)("finds %s in a %s: %s", (_row, _place, _words, { text, place, row }) => {
    expect(findKnownError(text, place)?.name).toBe(row);
  });

  it.each(unknown)("finds nothing in a %s: %s", (place, text) => {
    expect(findKnownError(text, place)).toBeUndefined();
  });

  it("finds the end of a text of any length, in no time", () => {
    const text = `${"permission denied ".repeat(200_000)}\nCUDA failure 222: x`;
    const begin = Date.now();
    expect(findKnownError(text, "log")?.name).toBe("ptx-too-new");
    expect(Date.now() - begin).toBeLessThan(2000);
  });

  it("has a real text for every row", () => {
    const shown = new Set(samples.map(({ row }) => row));
    expect(knownErrors.map(([name]) => name).filter((name) => !shown.has(name))).toEqual([]);
  });

  it("is written in the expressions that JavaScript, Python and awk read alike", () => {
    for (const [name, { pattern, cause, cure }] of knownErrors) {
      expect(pattern, name).toBe(pattern.toLowerCase());
      expect(pattern, name).not.toMatch(/\[\[|[\\{}\t\n]|'''|\(\?/);
      expect(hintOf({ cause, cure } as never), name).not.toMatch(/[\t\n]|'''/);
    }
  });

  it("is what the check sends into the container, and what both pages show", () => {
    for (const [file, content] of Object.entries(generatedFiles())) {
      expect(read(file), `${file}: run npm run docs:generate`).toBe(content);
    }
  });
});

describe("the check looks the same rows up", () => {
  const hint = ({ text, place }: Sample) => hintOf(findKnownError(text, place)!);

  it("in Python", () => {
    const program = read("verify/inference.py").replace(/\nmain\(\)\n$/, "\n");
    const asked = JSON.stringify(samples.map(({ text, place }) => [text.split("\n"), place]));
    const code = `KNOWN_ERRORS = open("verify/knownErrors.tsv").read()\nexec(open(0).read())`;
    const answers = execFileSync(
      "python3",
      [
        "-c",
        `${code}\nprint(json.dumps([hint_for(*each) for each in json.loads(sys.argv[1])]))`,
        asked,
      ],
      { cwd: folder, input: program, encoding: "utf8" },
    );
    expect(JSON.parse(answers)).toEqual(samples.map(hint));
  });

  it("in the shell", () => {
    const script = `folder=verify; . verify/common.sh
      while read -r place text; do printf '%b' "$text" | known_error "$place"; done`;
    const lines = samples.map(({ place, text }) => {
      const escaped = text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
      return `${place} ${escaped.replaceAll("\\", "\\\\")}`;
    });
    const answers = execFileSync("sh", ["-c", script.replace("read -r", "read")], {
      cwd: folder,
      input: `${lines.join("\n")}\n`,
      encoding: "utf8",
    });
    expect(answers.trimEnd().split("\n")).toEqual(samples.map(hint));
  });
});
