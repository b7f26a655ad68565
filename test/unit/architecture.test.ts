import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";

import { expect, it } from "vitest";
import { parse } from "yaml";

const repository = path.join(__dirname, "..", "..");
const read = (name: string) => readFileSync(path.join(repository, name), "utf8");

/** The table in eslint.config.mjs: each room and the rooms it may import from. */
function mayImport(): Map<string, readonly string[]> {
  const [, table = ""] = /const mayImport = (\{[^]*?\n\});/.exec(read("eslint.config.mjs")) ?? [];
  return new Map(Object.entries(parse(table) as Record<string, string[]>));
}

/** The arrows of the picture in CONTRIBUTING.md. */
function arrows(): Map<string, readonly string[]> {
  const [, picture = ""] =
    /```mermaid\nflowchart TD\n([^]*?)```/.exec(read("CONTRIBUTING.md")) ?? [];
  return new Map(
    picture
      .trim()
      .split("\n")
      .map((line) => line.trim().split(" --> "))
      .map(([from, to]) => [from!, to?.split(" & ") ?? []]),
  );
}

function reachable(room: string, edges: ReadonlyMap<string, readonly string[]>): Set<string> {
  const found = new Set<string>();
  const open = [...(edges.get(room) ?? [])];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (found.has(next)) continue;
    found.add(next);
    open.push(...(edges.get(next) ?? []));
  }
  return found;
}

it("the picture of the architecture is what ESLint allows", () => {
  const allowed = mayImport();
  const drawn = arrows();
  expect(allowed.size).toBeGreaterThan(5);
  const rooms = new Set([...drawn.keys(), ...[...drawn.values()].flat()]);
  expect([...rooms].sort()).toEqual([...allowed.keys()].sort());
  for (const [room, may] of allowed)
    expect([...reachable(room, drawn)].sort(), room).toEqual([...may].sort());
});

it("the table of the rooms says the same, and names every folder", () => {
  const rows = new Map(
    [...read("CONTRIBUTING.md").matchAll(/^\| `(\w+)\/` \| [^|]+ \| ([^|]+) \|$/gm)].map(
      ([, room, may]) => [room!, may!] as const,
    ),
  );
  for (const [room, may] of mayImport()) {
    const text = rows.get(room) ?? "";
    const named = [...text.matchAll(/`(\w+)\/`/g)].map(([, name]) => name!);
    if (/^(all above|everything)/.test(text)) continue;
    expect(named.sort(), room).toEqual([...may].sort());
  }
  const folders = readdirSync(repository, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !/^\.|node_modules/.test(entry.name))
    .map(({ name }) => name);
  for (const folder of folders) expect(read("CONTRIBUTING.md")).toContain(`\`${folder}/\``);
});
