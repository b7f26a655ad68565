import { writeFile } from "node:fs/promises";
import path from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { missingEngine } from "../support/engineStack";
import {
  addressesOf,
  addressesOfFirstRelease,
  asOfFirstRelease,
  type Deployment,
  renamed,
} from "./firstRelease/asOfFirstRelease";
import { openEnvironment, type World } from "./firstRelease/environment";

/**
 * What release 0.1.0 stored of a stack, on a world that is made anew: its inputs, and the code of the
 * preset's resource, which the engine keeps in the state and runs from there.
 */
describe.skipIf(missingEngine)("a stack of the first release", () => {
  let world: World;
  let before: string | undefined;

  beforeAll(async () => {
    world = await openEnvironment();
    before = await world.database.configurationText();
    await world.stack.up();
  });
  afterAll(() => world?.remove());

  const deployment = async () =>
    (
      JSON.parse(await world.stack.readState()) as {
        checkpoint: { latest: Deployment };
      }
    ).checkpoint.latest;

  async function takeBackToFirstRelease(): Promise<void> {
    const { stack } = world;
    const file = path.join(path.dirname(stack.configFile), "state.json");
    const previous = { version: 3, deployment: asOfFirstRelease(await deployment()) };
    await writeFile(file, JSON.stringify(previous));
    const { ended } = stack.command("stack", "import", "--file", file);
    const { code, text } = await ended;
    expect(code, text).toBe(0);
  }

  it("has every resource that a stack of today has, at the same address but for those with an alias", async () => {
    const former = addressesOf(await deployment()).map((address) => renamed[address] ?? address);
    expect(former.sort()).toEqual(addressesOfFirstRelease);
  });

  /**
   * Only code that is stored in the state may differ: the preset's resource takes today's along, and a
   * changed check runs once more. When this list grows, the change does more to the stacks out there.
   */
  it("is changed by today's program in nothing but the code it has stored", async () => {
    await takeBackToFirstRelease();
    const { steps, differences } = await world.stack.preview();
    expect([...steps].sort()).toEqual(["update attic-check", "update preset-settings"]);
    expect(
      differences["attic-check"]!.filter((path) => !path.startsWith("environment.")).sort(),
    ).toEqual(["create", "stdin"]);
    const container = await containerId();
    const configuration = await world.database.configurationText();
    await world.stack.up();
    expect(await containerId()).toBe(container);
    expect(await world.database.configurationText()).toBe(configuration);
    expect((await world.stack.preview()).steps).toEqual([]);
    expect((await world.stack.preview({ refresh: true })).steps).toEqual([]);
  });

  it("sees a change by hand, and gives the configuration back, with the code it has stored", async () => {
    await takeBackToFirstRelease();
    const path = "{machineLearning,clip,modelName}";
    const set = (model: string) =>
      world.database.query(
        `UPDATE system_metadata SET value = jsonb_set(value, '${path}', '"${model}"') WHERE key = 'system-config'`,
      );
    await set("RN50__openai");
    const { text } = await world.stack.preview({ refresh: true });
    expect(text).toMatch(/clip\.modelName.*"RN50__openai" => "ViT-B-32__openai"/);
    await set("ViT-B-32__openai");
    await world.stack.destroy();
    expect(await world.database.configurationText()).toBe(before);
  });

  async function containerId(): Promise<unknown> {
    const { resources } = await deployment();
    const container = resources.find(({ urn }) => urn.endsWith("Container::attic"));
    return (container?.outputs as { id?: unknown } | undefined)?.id;
  }
});
