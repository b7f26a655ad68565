import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { local } from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as postgresql from "@pulumi/postgresql";
import * as pulumi from "@pulumi/pulumi";
import type Dockerode from "dockerode";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";

import { createImmichDatabase, type ImmichDatabase } from "../../demo/immichDatabase";
import type { PostgresServer } from "../../demo/postgres";
import { createWithoutEngine, removeWithoutEngine } from "../../demo/withoutEngine";
import { fakes, startedDocker, testName } from "../support/docker";
import { startTestPostgres } from "../support/postgres";

let engine: Dockerode;
let image: string;
let server: PostgresServer;
let database: ImmichDatabase;
let folder: string;
let journal: string;

beforeAll(async () => {
  engine = await startedDocker();
  image = (await fakes()).python311;
  server = await startTestPostgres();
  folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-journal-"));
});
beforeEach(async () => {
  database = await createImmichDatabase(server);
  journal = path.join(folder, `${testName("journal")}.json`);
});
afterAll(async () => {
  await server.remove();
  await rm(folder, { recursive: true });
});

const silent = () => undefined;

const create = (program: () => Promise<object>) =>
  createWithoutEngine({
    ...{ project: "immich-ml", stack: "test", config: { "immich-ml:list": ["a", "b"] } },
    ...{ program, journal, log: silent },
  });

function databaseProvider() {
  const { host, port, name, user, password } = database;
  return new postgresql.Provider("database", {
    ...{ host, port, database: name, username: user, sslmode: "disable" },
    password: pulumi.secret(password),
  });
}

test("containers, volumes and commands are real, and the removal leaves none of them", async () => {
  const names = { volume: testName("v"), network: testName("n"), container: testName("c") };
  const network = await engine.createNetwork({ Name: names.network });
  const outputs = await create(() => {
    const provider = new docker.Provider("docker", { host: "unix:///var/run/docker.sock" });
    const volume = new docker.Volume("volume", { name: names.volume }, { provider });
    const container = new docker.Container(
      "container",
      {
        name: names.container,
        image,
        command: ["sleep", "infinity"],
        envs: [pulumi.secret("TOKEN=s3cret")],
        volumes: [{ containerPath: "/cache", volumeName: volume.name }],
        networksAdvanced: [{ name: names.network, aliases: ["ml"] }],
        capabilities: { drops: ["ALL"] },
        memory: 64,
        restart: "always",
        healthcheck: { tests: ["CMD", "true"], interval: "1m30s", startPeriod: "500ms" },
        labels: [{ label: "org.immich-ml.stack", value: "test" }],
      },
      { provider },
    );
    const command = new local.Command("command", {
      create: 'cat; printf " %s" "$WHO"',
      stdin: "hello",
      environment: { WHO: container.name },
    });
    const list = new pulumi.Config().requireObject<string[]>("list");
    return Promise.resolve({ id: container.id, stdout: command.stdout, list });
  });

  expect(outputs["stdout"]).toBe(`hello ${names.container}`);
  expect(outputs["list"]).toEqual(["a", "b"]);
  const found = await engine.getContainer(names.container).inspect();
  expect(found.Id).toBe(outputs["id"]);
  expect(found.State.Running).toBe(true);
  expect(found.Config.Env).toContain("TOKEN=s3cret");
  expect(found.Config.Labels).toMatchObject({ "org.immich-ml.stack": "test" });
  expect(found.Config.Healthcheck).toMatchObject({ Interval: 90e9, StartPeriod: 5e8 });
  expect(found.HostConfig).toMatchObject({
    Binds: [`${names.volume}:/cache`],
    CapDrop: ["ALL"],
    Memory: 64 * 1024 * 1024,
    RestartPolicy: { Name: "always" },
  });
  expect(found.NetworkSettings.Networks[names.network]?.Aliases).toContain("ml");

  await removeWithoutEngine(journal, silent);
  await expect(engine.getContainer(names.container).inspect()).rejects.toThrow("no such container");
  await network.remove();
  await expect(engine.getVolume(names.volume).inspect()).rejects.toThrow("no such volume");
  await expect(stat(journal)).rejects.toThrow("ENOENT");
});

test("a schema and its function are there until the removal, even when something else drops them", async () => {
  await create(() => {
    const provider = databaseProvider();
    const schema = new postgresql.Schema("schema", { name: "guest" }, { provider });
    new postgresql.Function(
      "function",
      {
        ...{ name: "count_rows", schema: schema.name, args: [{ name: "least", type: "integer" }] },
        ...{ returns: "boolean", language: "sql" },
        body: "SELECT count(*) >= least FROM public.system_metadata",
      },
      { provider },
    );
    return Promise.resolve({});
  });
  expect(await database.query("SELECT guest.count_rows(2) AS enough")).toEqual([{ enough: true }]);

  await database.query("DROP SCHEMA guest CASCADE");
  await removeWithoutEngine(journal, silent);
  expect(await database.query("SELECT FROM pg_namespace WHERE nspname = 'guest'")).toEqual([]);
});

test("when something cannot be created its error is the run's, and the rest can be removed", async () => {
  const name = testName("v");
  const failing = create(() => {
    const volume = new docker.Volume("volume", { name });
    new local.Command("broken", {
      create: 'echo "no card in $VOLUME" >&2; exit 3',
      environment: { VOLUME: volume.name },
    });
    return Promise.resolve({});
  });

  await expect(failing).rejects.toThrow(`ended with 3\n\nno card in ${name}`);
  await expect(create(() => Promise.resolve({}))).rejects.toThrow("remove them first");
  await removeWithoutEngine(journal, silent);
  await expect(engine.getVolume(name).inspect()).rejects.toThrow("no such volume");
});

test("an input that the fake provider does not know is refused by name", async () => {
  const failing = create(() => {
    new docker.Container("attic", { name: testName("c"), image, privileged: true });
    return Promise.resolve({});
  });

  await expect(failing).rejects.toThrow(
    "attic: without a Pulumi engine this demo cannot set privileged of " +
      "docker:index/container:Container",
  );
});

test("only its owner can read the journal, which holds passwords", async () => {
  await create(() => {
    new local.Command("command", { create: "true" });
    return Promise.resolve({});
  });

  expect((await stat(journal)).mode & 0o777).toBe(0o600);
});
