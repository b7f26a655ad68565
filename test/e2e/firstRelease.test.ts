import { writeFile } from "node:fs/promises";
import path from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { missingEngine } from "../support/engineStack";
import {
  addressesOf,
  addressesOfFirstRelease,
  asOfFirstRelease,
  databaseOfFirstRelease,
  type Deployment,
} from "./firstRelease/asOfFirstRelease";
import { openEnvironment, type World } from "./firstRelease/environment";

/**
 * What release 0.1.0 stored of a stack, in a world that is made anew: its inputs, and the code of the
 * preset's dynamic resource, which the engine keeps in the state and would run from there.
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

  const settingsAddress =
    "immich-ml:index:ModelPreset$pulumi-nodejs:dynamic/immich-ml:SystemConfig::preset-settings";
  const rolePassword = "the role's password";

  /** The state and the database as that release left them. */
  async function takeBackToFirstRelease(): Promise<void> {
    const { stack, database } = world;
    for (const statement of databaseOfFirstRelease(rolePassword.replace("'", "''"))) {
      await database.query(statement);
    }
    const today = await deployment();
    const url = (await stack.outputs())["systemConfig"]!.value as Record<string, string[]>;
    const urls = url["machineLearning.urls"]!;
    const at = new Date().toISOString();
    const gone = {
      [settingsAddress]: {
        settings: { "machineLearning.urls": urls },
        former: { "machineLearning.urls": { written: JSON.stringify(urls) } },
        store: { port: database.port, password: rolePassword },
        changedAt: at,
        clipChangedAt: at,
        faceChangedAt: at,
      },
    };
    const file = path.join(path.dirname(stack.configFile), "state.json");
    const previous = { version: 3, deployment: asOfFirstRelease(today, gone) };
    await writeFile(file, JSON.stringify(previous));
    const { ended } = stack.command("stack", "import", "--file", file);
    const { code, text } = await ended;
    expect(code, text).toBe(0);
  }

  const preset = "immich-ml:index:ModelPreset$";
  const goneSince = [
    `${preset}postgresql:index/function:Function::preset-check-store`,
    `${preset}postgresql:index/function:Function::preset-settings-keys`,
    `${preset}postgresql:index/grant:Grant::preset-public-functions`,
    `${preset}postgresql:index/grant:Grant::preset-role-functions`,
    `${preset}postgresql:index/grant:Grant::preset-role-schema`,
    `${preset}postgresql:index/role:Role::preset-role`,
    settingsAddress,
    "pulumi:providers:pulumi-nodejs::default",
    "immich-ml:index:MachineLearning$command:local:Command::attic-proof",
  ];

  it("has every resource that a stack of today has, but for what came and went since", async () => {
    const since = [
      "command:local:Command::attic-pulled",
      "immich-ml:index:MachineLearning$command:local:Command::attic-check",
      `${preset}command:local:Command::preset-settings`,
      "pulumi:providers:pulumi::default",
    ];
    const kept = addressesOfFirstRelease.filter((address) => !goneSince.includes(address));
    expect(addressesOf(await deployment())).toEqual([...kept, ...since].sort());
  });

  /** When this list grows, the change does more to the stacks out there. */
  it("is taken over without the code it has stored ever running", async () => {
    await takeBackToFirstRelease();
    await world.database.query(
      "INSERT INTO smart_search SELECT gen_random_uuid(), '[0.5]' FROM generate_series(1, 3)",
    );
    const { steps } = await world.stack.preview();
    expect([...steps].sort()).toEqual([
      "create attic-pulled",
      "create preset-settings",
      // Once, without an outage: a container has no fixed name in the state any more.
      "create-replacement attic",
      "create-replacement attic-check",
      "delete preset-check-store",
      "delete preset-public-functions",
      "delete preset-role",
      "delete preset-role-functions",
      "delete preset-role-schema",
      "delete preset-settings-keys",
      "delete-replaced attic",
      "delete-replaced attic-proof",
      "replace attic",
      "replace attic-check",
      "update preset-read-settings",
      "update preset-write-settings",
    ]);
    const container = await containerId();
    expect(container).toBeDefined();
    const configuration = await world.database.configurationText();
    await world.stack.up();
    expect(await containerId()).not.toBe(container);
    expect(await world.database.configurationText()).toBe(configuration);
    expect(await world.database.query("SELECT FROM smart_search")).toHaveLength(3);
    expect(await world.database.query("SELECT FROM pg_roles WHERE rolname = 'immich_ml'")).toEqual(
      [],
    );
    expect((await world.stack.preview()).steps).toEqual(["discard preset-settings"]);
    expect((await world.stack.up()).steps).toEqual(["discard preset-settings"]);
    expect((await world.stack.preview({ refresh: true })).steps).toEqual([]);
    expect(await world.database.configurationText()).toBe(configuration);
  });

  it("gets its former settings back by a later destroy, but for the CLIP model: search goes on", async () => {
    await world.stack.destroy();
    const kept = before!.replace("ViT-B-16-SigLIP2__webli", "ViT-B-32__openai");
    expect(await world.database.configurationText()).toBe(kept);
    expect(
      await world.database.query("SELECT FROM pg_namespace WHERE nspname = 'immich_ml'"),
    ).toEqual([]);
  });

  it("gives the configuration back with the code it has stored, when it is destroyed as it is", async () => {
    await world.stack.up();
    await takeBackToFirstRelease();
    await world.stack.destroy();
    expect(await world.database.configurationText()).toBe(before);
  });

  async function containerId(): Promise<unknown> {
    const { resources } = await deployment();
    const container = resources.find(({ urn }) => urn.endsWith("Container::attic"));
    return (container?.outputs as { id?: unknown } | undefined)?.id;
  }
});
