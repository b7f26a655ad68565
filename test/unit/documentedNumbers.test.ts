import { readFileSync } from "node:fs";
import path from "node:path";

import { describe, expect, it, test } from "vitest";
import type { z } from "zod";

import { parseResults } from "../../bench/support/results";
import { gpuFamilyFor } from "../../catalog/gpuFamilies";
import { parseImmichVersion } from "../../catalog/immichVersion";
import { buildSchema, hostSchema, immichSchema, stackSchema } from "../../config/schema";
import { databaseFunctions } from "../../immich/databaseFunctions";

/*
 * Numbers in the documents that the code, a lock or a benchmark gives.
 */

const repository = path.join(__dirname, "..", "..");
const read = (name: string) => readFileSync(path.join(repository, name), "utf8");

const inBothLanguages = (name: string) => [`docs/${name}`, `docs/zh-CN/${name}`];

describe("figures of the benchmarks", () => {
  const figures = new Map(
    parseResults(read("bench/RESULTS.md")).flatMap((result) =>
      result.figures.map((figure) => [figure.name, figure] as const),
    ),
  );
  const value = (name: string) => Number(figures.get(name)!.value);

  /** The first cell of the English row, and what it must say. */
  const rows: readonly (readonly [string, ...string[]])[] = [
    [
      "a run that changes nothing,",
      value("noop.up").toFixed(1),
      value("noop.floor").toFixed(1),
      value("noop.ratio.floor").toFixed(2),
      value("noop.ratio.plainFloor").toFixed(2),
    ],
    [
      "from `up` to a verified service",
      value("start.upToVerified").toFixed(1),
      value("start.composeUpToHealthy").toFixed(1),
      value("start.ratio").toFixed(2),
    ],
    [
      "creating 50 hosts",
      value("scale.50.create.compose.ratio").toFixed(1),
      value("scale.50.create.bare.ratio").toFixed(1),
      value("scale.1.create.bare.ratio").toFixed(1),
    ],
    [
      "each host more",
      `${value("scale.noOp.cpuTime.perAddedHost").toFixed(0)} `,
      value("scale.noOp.cpuTime.perAddedHost.ratio").toFixed(1),
      value("scale.10.noOp.bare.ratio").toFixed(1),
    ],
    [
      "writing, reading and a no-op",
      `${Math.round(value("preset.read"))} `,
      ` ${Math.round(value("preset.noOp"))} `,
    ],
    [
      "opening a converted model",
      value("bridge.open.ratio[textual:512, 253 MB]").toFixed(2),
      value("bridge.open.ratio[visual:1088, 696 MB]").toFixed(2),
      value("bridge.open.ratio[visual:768, 350 MB]").toFixed(2),
      value("bridge.open.ratio.withoutPacking[visual:768, 350 MB]").toFixed(2),
    ],
    ["the first `/predict`", value("predict.first.ratio[visual:768, 350 MB]").toFixed(2)],
  ];
  const tableIn = (page: string) =>
    read(page)
      .split(/^## (?:Benchmarks|基准测试|性能)/m)
      .at(-1)!
      .split("\n")
      .filter((line) => line.startsWith("|"))
      .slice(2);

  test.each(inBothLanguages("verification.md"))("in %s are those of the last run", (page) => {
    const english = tableIn("docs/verification.md");
    const found = tableIn(page);
    expect(found).toHaveLength(english.length);
    for (const [begin, ...numbers] of rows) {
      const at = english.findIndex((line) => line.startsWith(`| ${begin}`));
      expect(at, begin).toBeGreaterThanOrEqual(0);
      for (const number of numbers) expect(found[at]).toContain(number);
    }
  });

  it("give the sizes of the images", () => {
    const gigabytes = (name: RegExp) =>
      [...figures.values()]
        .filter((figure) => name.test(figure.name))
        .reduce((sum, figure) => sum + Number(figure.value), 0) / 1000;
    const [cuda, python] = [
      gigabytes(/layer\[COPY \/opt\/cuda/),
      gigabytes(/layer\[COPY \/opt\/venv/),
    ];
    expect(read("docs/images.md")).toContain(
      `${(cuda + python).toFixed(1)} GB: CUDA libraries without those for training ${cuda.toFixed(1)} GB, Python packages ${python.toFixed(1)} GB`,
    );
    expect(read("docs/images.md")).toContain(
      `took ${value("seed.build.immichVersionChanged").toFixed(0)} s`,
    );
  });
});

describe.each(["README.md", "README.zh-CN.md", "docs/images.md"])("%s", (page) => {
  const isOfficial = (capability: string, version: string) =>
    gpuFamilyFor(capability, parseImmichVersion(version)!).kind === "official";
  const after = (version: string) =>
    version.replace(/\d+\.\d+$/, (rest) => `${Number(rest.split(".")[0]) + 1}.0`);

  it("names the last release whose official image runs on an old card, and the exception", () => {
    const text = read(page);
    const named = [...text.matchAll(/v(\d+\.\d+\.\d+)/g)].map(([, version]) => version!);
    for (const capability of ["5.2", "6.1"]) {
      const last = named.find(
        (version) => isOfficial(capability, version) && !isOfficial(capability, after(version)),
      );
      expect(last, capability).toBeDefined();
      expect(isOfficial(capability, "2.1.0")).toBe(false);
    }
    expect(text).toMatch(/v2\.1\.x/);
  });
});

test("the changelog's last release is the version of package.json", () => {
  const { version } = JSON.parse(read("package.json")) as { version: string };
  const [, released] = /^## (\d\S*)/m.exec(read("CHANGELOG.md"))!;
  expect(released).toBe(version);
});

test("the oldest Node.js is that of package.json, wherever one is named", () => {
  const { engines } = JSON.parse(read("package.json")) as { engines: { node: string } };
  const oldest = engines.node.replace(">=", "");
  const pages = ["README.md", "README.zh-CN.md", ...inBothLanguages("pulumi.md")];
  for (const page of pages)
    for (const [, named] of read(page).matchAll(/Node\.js (\d+\.\d+)/g)) expect(named).toBe(oldest);
});

test("the database gets as many functions as the pages say", () => {
  const words: Readonly<Record<number, RegExp>> = { 2: /\b(two|2) functions|两个函数/ };
  const expected = words[databaseFunctions.length]!;
  for (const page of [...inBothLanguages("install.md"), "docs/how-it-works.md", "SECURITY.md"])
    expect(read(page)).toMatch(expected);
});

test.each(inBothLanguages("mirrors.md"))("the plugin in %s is the one of package.json", (page) => {
  const { dependencies } = JSON.parse(read("package.json")) as {
    dependencies: Record<string, string>;
  };
  expect(read(page)).toContain(`resource docker ${dependencies["@pulumi/docker"]} `);
});

describe.each(inBothLanguages("settings.md"))("the defaults in %s", (page) => {
  /** Each row's default, by the setting in the first cell. */
  const rows = read(page)
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .map((line) => line.split("|").map((cell) => cell.trim()))
    .map((cells) => ({ names: cells[1]!, standard: cells.at(-3)! }));

  const schemas: readonly (readonly [string, z.ZodObject])[] = [
    ["", stackSchema],
    ["", hostSchema],
    ["immich.", immichSchema],
    ["build.", buildSchema],
  ];
  const defaults = schemas.flatMap(([prefix, schema]) =>
    Object.entries(schema.shape).flatMap(([name, child]) => {
      const { type, defaultValue } = (child as z.ZodType).def as {
        type: string;
        defaultValue?: unknown;
      };
      const isSimple = ["string", "number", "boolean"].includes(typeof defaultValue);
      return type === "default" && isSimple ? [[prefix + name, String(defaultValue)] as const] : [];
    }),
  );

  test.each(defaults)("%s is %s, as in the schema", (name, value) => {
    const row = rows.find(({ names }) => names.includes(`\`${name}\``));
    expect(row, name).toBeDefined();
    const words = value === "unix:///var/run/docker.sock" ? "the local engine|本机引擎" : "-";
    const literal = value.replaceAll(/\W/g, "\\$&");
    expect(row!.standard).toMatch(new RegExp(`(^|\\W)(${literal}|${words})(\\W|$)`));
  });
});
