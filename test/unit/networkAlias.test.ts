import { describe, expect, it } from "vitest";

import { keepAliases, type PresentAliases } from "../../config/networkAlias";
import { readSettings } from "../../config/read";

const lab = { accelerator: "cpu", network: "immich_default" };
const attic = { name: "attic", ...lab };
const loft = { name: "loft", ...lab };
const immichDefault = ["immich-machine-learning", "0123456789ab"];

/** Where Immich reaches each host, by name. */
function urls(hosts: object[], present: PresentAliases, preset = "legacy-2gb") {
  const database = { host: "127.0.0.1" };
  const { value, problems } = readSettings(
    { immich: { version: "v2.7.5", database }, hosts, preset },
    { project: "immich-ml", stack: "test", secrets: { databasePassword: "secret" } },
  );
  expect(problems).toEqual([]);
  return keepAliases(value!, present).hosts.map(({ url }) => url);
}

const asFirst = "http://immich-machine-learning:3003";

describe("the name that Immich asks by default", () => {
  it("is that of the first host where nothing runs yet, or nothing is known", () => {
    expect(urls([attic, loft], {})).toEqual([asFirst, "http://loft:3003"]);
  });

  it("stays with the host that has it when another one is put before it", () => {
    expect(urls([loft, attic], { attic: immichDefault })).toEqual(["http://loft:3003", asFirst]);
  });

  it("goes to nobody when its host is removed and Immich is told every address", () => {
    expect(urls([loft], { loft: ["loft"] })).toEqual(["http://loft:3003"]);
  });

  it("goes to the first host when its host is removed and Immich asks by default", () => {
    expect(urls([loft], { loft: ["loft"] }, "none")).toEqual([asFirst]);
  });

  it("goes to the host that asks for it", () => {
    const chosen = { ...loft, networkAlias: "immich-machine-learning" };
    expect(urls([{ ...attic, networkAlias: "ml" }, chosen], {})).toEqual([
      "http://ml:3003",
      asFirst,
    ]);
  });

  it("is not taken from a host on another network", () => {
    const other = { ...attic, network: "elsewhere" };
    expect(urls([loft, other], { attic: immichDefault })).toEqual([asFirst, asFirst]);
  });

  it("changes no published address", () => {
    const published = { ...loft, network: undefined, publish: { address: "192.168.1.20" } };
    expect(urls([published, attic], { attic: immichDefault })).toEqual([
      "http://192.168.1.20:3003",
      asFirst,
    ]);
  });
});
