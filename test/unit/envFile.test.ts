import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { parseEnvFile } from "../../config/envFile";
import vectors from "./envFile.vectors.json";

const environment = { HOST_VAR: "host", EMPTY_VAR: "" };

describe(".env files", () => {
  it.each(vectors.accepted)("reads $text as docker compose does", ({ text, variables }) => {
    const read = parseEnvFile(text, environment);
    expect(read.problems).toEqual([]);
    expect(Object.fromEntries(read.variables)).toEqual(variables);
  });

  it.each(vectors.refused)("refuses $text with the line it stands in", ({ text }) => {
    const read = parseEnvFile(`GOOD=1\n${text}\n`, environment);
    expect(read.problems).toHaveLength(1);
    expect(read.problems[0]!.line).toBe(2);
    expect(read.variables.get("GOOD")).toBe("1");
  });

  it("counts lines across values that span several", () => {
    const read = parseEnvFile(`A="one\ntwo"\n=broken\n`);
    expect(read.problems).toEqual([{ line: 3, message: "expected NAME=value" }]);
  });

  it("restores any value that was written in single quotes", () => {
    const value = fc.string().filter((text) => !/['\\\r]/.test(text));
    fc.assert(
      fc.property(value, (text) => {
        expect(parseEnvFile(`A='${text}'\nB=2`).variables.get("A")).toBe(text);
        expect(parseEnvFile(`A='${text}'\nB=2`).variables.get("B")).toBe("2");
      }),
    );
  });

  it("never throws, whatever stands in the file", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => void parseEnvFile(text)));
  });
});
