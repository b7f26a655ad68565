import { readFileSync } from "node:fs";
import path from "node:path";

import { describe, expect, test } from "vitest";
import { parse } from "yaml";

import { acceleratorNames, accelerators } from "../../catalog/accelerators";
import { gpuFamilies, gpuFamilyNames } from "../../catalog/gpuFamilies";
import { findGpu } from "../../catalog/gpuNames";
import { presets } from "../../catalog/presets";

/*
 * What the documents repeat of the catalog's tables.
 */

const read = (name: string) => readFileSync(path.join(__dirname, "..", "..", name), "utf8");

const pages = {
  English: ["README.md", "docs/install.md", "docs/settings.md"],
  Chinese: ["README.zh-CN.md", "docs/zh-CN/install.md", "docs/zh-CN/settings.md"],
};

describe.each(Object.entries(pages))("the pages in %s", (_language, documents) => {
  const rows = documents
    .map(read)
    .join("\n")
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .map((line) => line.split("|").map((cell) => cell.trim()));
  const rowsOf = (name: string) => rows.filter(([, first]) => first?.startsWith(`\`${name}\``));
  const codesOf = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, code]) => code);

  test.each([
    ["preset", [...Object.keys(presets), "none"]],
    ["accelerator", acceleratorNames],
    ["imageVariant", [...gpuFamilyNames, "official"]],
  ])("lists every value of %s", (setting, names) => {
    expect(rowsOf(setting).map(([, , , values]) => codesOf(values!))).toEqual([names]);
  });

  test.each(acceleratorNames.filter((name) => name !== "cpu"))(
    "names what a host needs for %s",
    (name) => {
      const [row] = rowsOf(name);
      expect(row).toBeDefined();
      const needed = [
        ...accelerators[name].devices,
        ...accelerators[name].prerequisites.flatMap((prerequisite) => prerequisite.path ?? []),
      ];
      for (const node of needed) expect(row![2]).toContain(`\`${node}\``);
    },
  );

  test.each(gpuFamilyNames)("has a row for the GPUs of %s, by compute capability", (name) => {
    const { computeCapabilities, onnxRuntime, python, cuda } = gpuFamilies[name];
    for (const capability of computeCapabilities) {
      const row = rows.find(([, , second]) => second!.split(/[,、] ?/).includes(capability));
      expect(row?.[3], capability).toContain(`\`${name}\``);
    }
    const described = rows.find(
      ([, , , third]) => third?.startsWith(`\`${name}\`：`) || third?.startsWith(`\`${name}\`:`),
    );
    if (described) {
      for (const part of [`Python ${python}`, `ONNX Runtime ${onnxRuntime}`, `CUDA ${cuda}`]) {
        expect(described[3]).toContain(part);
      }
    }
  });

  test("names no GPU beside another's compute capability", () => {
    const named = rows.flatMap(([, gpus, capabilities]) => {
      if (!/^\d\.\d/.test(capabilities ?? "")) return [];
      const known = gpus!
        .split(/[,、，]/)
        .flatMap((name) => findGpu(name) ?? findGpu(`GTX ${name}`) ?? []);
      return known.map((gpu) => ({ ...gpu, capabilities }));
    });
    expect(named.length).toBeGreaterThan(5);
    for (const { name, computeCapability, capabilities } of named) {
      expect(capabilities, name).toContain(computeCapability);
    }
  });

  test("names the oldest driver of every CUDA", () => {
    const [row] = rowsOf("cuda");
    for (const { cuda, minimumDriver } of Object.values(gpuFamilies)) {
      expect(row![2]).toContain(`CUDA ${cuda}`);
      expect(row![2]).toContain(minimumDriver);
    }
  });
});

test("Pulumi.yaml lists every preset", () => {
  const { config } = parse(read("Pulumi.yaml")) as {
    config: { preset: { description: string } };
  };
  expect(config.preset.description).toContain(`(${Object.keys(presets).join(", ")})`);
});
