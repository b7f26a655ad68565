import type Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { createImmichDatabase, type ImmichDatabase } from "../../demo/immichDatabase";
import { type PostgresServer } from "../../demo/postgres";
import { startedDocker, testName } from "../support/docker";
import { missingEngine, openEngineStack, type EngineStack } from "../support/engineStack";
import { startTestPostgres } from "../support/postgres";
import { buildSmallService, smallHost, type TestImage } from "../support/smallService";

/** A host is known by its name, wherever it stands in the list. Each step follows on the last. */
describe.skipIf(missingEngine)("a list of hosts that changes", () => {
  const network = testName("network");
  const stem = testName("identity");
  const ids: Record<string, string> = {};
  let docker: Docker;
  let image: TestImage;
  let postgres: PostgresServer;
  let database: ImmichDatabase;
  let stack: EngineStack;

  const config = (...names: string[]) => ({
    immich: {
      version: "v2.7.5",
      network,
      database: {
        host: database.host,
        port: database.port,
        name: database.name,
        user: database.user,
      },
    },
    preset: "legacy-2gb",
    hosts: names.map((name) => smallHost(image, stem, name)),
  });
  const upWith = async (...names: string[]) => {
    await stack.configure(config(...names));
    const { steps } = await stack.up();
    return steps.filter((step) => !step.includes("preset-"));
  };
  const idOf = async (host: string) => (await docker.getContainer(`${stem}-${host}`).inspect()).Id;
  const addresses = async () =>
    (
      JSON.parse((await database.configurationText())!) as { machineLearning: { urls: string[] } }
    ).machineLearning.urls.map((url) => url.slice("http://".length, -":3003".length));

  beforeAll(async () => {
    docker = await startedDocker();
    await docker.createNetwork({ Name: network });
    image = await buildSmallService();
    postgres = await startTestPostgres();
    database = await createImmichDatabase(postgres);
    stack = await openEngineStack({
      name: "identity",
      config: config("attic", "cellar"),
      secrets: { databasePassword: database.password },
    });
    await stack.up();
    for (const name of ["attic", "cellar"]) ids[name] = await idOf(name);
    expect(await addresses()).toEqual(["immich-machine-learning", "cellar"]);
  });

  afterAll(async () => {
    await stack?.dispose();
    await postgres?.remove();
    await docker?.getNetwork(network).remove();
    await image?.remove();
  });

  it("keeps every container when a host is put before the first", async () => {
    const steps = await upWith("loft", "attic", "cellar");
    expect(steps.filter((step) => !step.startsWith("create loft"))).toEqual([]);
    for (const name of ["attic", "cellar"]) expect(await idOf(name)).toBe(ids[name]);
    expect(await addresses()).toEqual(["loft", "immich-machine-learning", "cellar"]);
    expect((await stack.preview()).steps).toEqual([]);
  });

  it("changes nothing but the order of the addresses when the order changes", async () => {
    expect(await upWith("cellar", "attic", "loft")).toEqual([]);
    expect(await addresses()).toEqual(["cellar", "immich-machine-learning", "loft"]);
  });

  it("keeps the others when the host with Immich's default name is removed", async () => {
    const steps = await upWith("cellar", "loft");
    expect(steps.filter((step) => !step.startsWith("delete attic"))).toEqual([]);
    expect(await idOf("cellar")).toBe(ids["cellar"]);
    expect(await addresses()).toEqual(["cellar", "loft"]);
    expect((await stack.preview()).steps).toEqual([]);
  });

  it("takes a renamed host for another one, and keeps the rest", async () => {
    const steps = await upWith("cellar", "vault");
    expect(steps.filter((step) => !/^(create vault|delete loft)/.test(step))).toEqual([]);
    expect(await idOf("cellar")).toBe(ids["cellar"]);
    expect(await addresses()).toEqual(["cellar", "vault"]);
    await expect(idOf("loft")).rejects.toThrow(/no such container/i);
  });
});
