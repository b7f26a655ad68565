import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";

import type Docker from "dockerode";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { createImmichDatabase, type ImmichDatabase } from "../../demo/immichDatabase";
import { freePort, type PostgresServer, startPostgres } from "../../demo/postgres";
import { installDebianPackages, isRoot, run } from "../../demo/shell";
import { expectDeclaredToRun } from "../support/declared";
import { startedDocker, testName } from "../support/docker";
import {
  missingEngine,
  openEngineStack,
  resourcesIn,
  type EngineStack,
} from "../support/engineStack";
import { startTestPostgres } from "../support/postgres";
import { fakeStack } from "../support/fakeStack";

const fakeClock = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
const missingClock =
  isRoot() || existsSync(fakeClock)
    ? undefined
    : "Debian's faketime is missing, and only root installs it";
if (missingClock) console.log(`SKIPPED: ${missingClock}`);

/** Faults of Immich's database, the clock and the service. Each step follows on the last. */
describe.skipIf(missingEngine)("a stack with faults around it", () => {
  const containerName = testName("faults-immich");
  let docker: Docker;
  let postgres: PostgresServer & { folder: string };
  let database: ImmichDatabase;
  let port: number;
  let config: Record<string, unknown>;
  let stack: EngineStack;

  beforeAll(async () => {
    docker = await startedDocker();
    postgres = await startTestPostgres();
    database = await createImmichDatabase(postgres);
    port = await freePort();
    config = await fakeStack(database, containerName, {
      publish: { address: "127.0.0.1", port },
    });
    stack = await openEngineStack({
      name: "faults-immich",
      config,
      secrets: { databasePassword: database.password },
    });
  });

  afterAll(async () => {
    await stack?.dispose();
    // Destroying a stack needs its database.
    await docker
      ?.getContainer(containerName)
      .remove({ force: true })
      .catch(() => undefined);
    await postgres?.remove();
  });

  const asDeclared = () => expectDeclaredToRun(stack, { docker, database });
  const withPreset = (preset: string) => stack.configure({ ...config, preset });

  /** Runs `up`, and kills PostgreSQL when it waits for a lock that is held against it. */
  async function upWithPostgresKilled(lock: string): Promise<string> {
    const holder = new Client({ ...postgres, database: database.name });
    holder.on("error", () => undefined);
    await holder.connect();
    await holder.query("BEGIN");
    await holder.query(lock);
    const { rows } = await holder.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
    const failed = stack.up().then(
      () => "up did not fail",
      (error: Error) => error.message,
    );
    // On another connection, since a transaction sees the activity as it began.
    const waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    while ((await database.query(waiting)).length === 0) await pause(50);
    const status = await readFile(`/proc/${rows[0]!.pid}/status`, "utf8");
    const server = Number(/^PPid:\s*(\d+)$/m.exec(status)![1]);
    killProcess(server);
    while (existsSync(`/proc/${server}`)) await pause(50);
    const message = await failed;
    await holder.end().catch(() => undefined);
    postgres = await startPostgres({ folder: postgres.folder });
    return message;
  }

  it("fault: PostgreSQL is killed while up makes the functions; the next up finishes it", async () => {
    const before = await database.configurationText();
    const message = await upWithPostgresKilled("LOCK TABLE pg_catalog.pg_proc IN SHARE MODE");
    expect(message).toMatch(/preset-\S+[^]*(connection|EOF|terminat)/);
    expect(await database.configurationText()).toBe(before);
    await stack.up();
    await asDeclared();
  });

  it("fault: PostgreSQL is killed while up writes the settings; the configuration is unchanged, the next up finishes it", async () => {
    const before = await database.configurationText();
    await withPreset("balanced");
    const message = await upWithPostgresKilled("SELECT FROM system_metadata FOR UPDATE");
    expect(message).toMatch(/the connection to the database at .* was lost.*nothing was changed/);
    expect(await database.configurationText()).toBe(before);
    await stack.up();
    await asDeclared();
  });

  it.skipIf(missingClock)(
    "fault: the clock jumps two days ahead and back; every change is applied, and nothing else",
    async () => {
      await withClock("+2d", () => withPreset("legacy-2gb").then(() => stack.up()));
      const ahead = await changedAt(stack);
      expect(Date.parse(ahead)).toBeGreaterThan(Date.now() + 24 * 3600_000);
      await asDeclared();
      expect((await withClock("-2d", () => stack.up())).steps).toEqual([]);
      await withClock("-2d", () => withPreset("balanced").then(() => stack.up()));
      expect(Date.parse(await changedAt(stack))).toBeGreaterThan(Date.parse(ahead));
      await asDeclared();
    },
  );

  it("fault: the state is lost; the next up takes the container, the cache and the functions over", async () => {
    await docker
      .getContainer(containerName)
      .exec({ Cmd: ["touch", "/cache/marker"] })
      .then((made) => made.start({}));
    await stack.loseState();
    const warning =
      /attic: the container \S+: created by this stack[^]*functions in schema immich_ml .*\(read_settings, write_settings\): created by this stack, but missing from its state/;
    expect((await stack.preview()).text).toMatch(warning);
    const { text } = await stack.up();
    expect(text).toMatch(warning);
    await run("docker", ["exec", containerName, "ls", "/cache/marker"]);
    expect(text).not.toMatch(/error/i);
    const listed = await docker.listContainers({ all: true });
    expect(listed.filter(({ Names }) => Names[0]!.includes(containerName))).toHaveLength(1);
    await asDeclared();
  });

  it("fault: another stack keeps its functions in Immich's database; up names it before anything is changed", async () => {
    const other = await openEngineStack({
      name: "faults-other",
      config: {
        ...config,
        hosts: (config["hosts"] as object[]).map((host) => ({
          ...host,
          containerName: `${containerName}-other`,
          publish: { address: "127.0.0.1", port: port + 1 },
        })),
      },
      secrets: { databasePassword: database.password },
    });
    try {
      await expect(other.preview()).rejects.toThrow(
        new RegExp(
          `already has the functions of stack immich-ml/${stack.name}; nothing was changed`,
        ),
      );
    } finally {
      await other.dispose();
    }
  });

  it("fault: the service is killed again and again under load; every request is answered in the end, and up changes nothing", async () => {
    const kills = 5;
    const kill = async () => {
      for (let count = 0; count < kills; count += 1) {
        await pause(2000);
        const { State } = await docker.getContainer(containerName).inspect();
        // A crash: Docker does not restart what `docker kill` ends. While it restarts a container
        // it says "running" with process 0.
        if (State.Pid > 0) killProcess(State.Pid);
      }
      return true;
    };
    let isOver = false;
    const killing = kill().finally(() => (isOver = true));
    const attempts: number[] = [];
    const asking = Array.from({ length: 3 }, async () => {
      while (!isOver) attempts.push(await embedding(port));
    });
    await Promise.all([killing, ...asking]);
    expect(Math.max(...attempts)).toBeGreaterThan(1);
    expect(await embedding(port)).toBeGreaterThan(0);
    const { RestartCount } = await docker.getContainer(containerName).inspect();
    expect(RestartCount).toBeGreaterThanOrEqual(3);
    expect((await stack.up()).steps).toEqual([]);
    await asDeclared();
  });
});

/** Kills one process. 0 and negative numbers mean groups, one of them the tests' own. */
function killProcess(id: number): void {
  if (!(id > 1)) throw new RangeError(`not a process of a test: ${id}`);
  process.kill(id, "SIGKILL");
}

/** Requests an embedding until there is one. @returns the number of attempts */
async function embedding(port: number): Promise<number> {
  const body = new FormData();
  body.set("entries", JSON.stringify({ clip: { textual: { modelName: "ViT-B-32__openai" } } }));
  body.set("text", "a cat");
  for (let attempt = 1; attempt <= 300; attempt += 1) {
    try {
      const answer = await fetch(`http://127.0.0.1:${port}/predict`, { method: "POST", body });
      if (answer.ok && "clip" in ((await answer.json()) as object)) return attempt;
    } catch {
      // It is restarting.
    }
    await pause(200);
  }
  throw new Error("the service does not answer again");
}

/** Every process started meanwhile sees another time. */
async function withClock<T>(offset: string, work: () => Promise<T>): Promise<T> {
  if (!existsSync(fakeClock)) await installDebianPackages(["faketime"], console.log);
  const clock = { LD_PRELOAD: fakeClock, FAKETIME: offset, FAKETIME_DONT_FAKE_MONOTONIC: "1" };
  Object.assign(process.env, clock);
  try {
    return await work();
  } finally {
    for (const name of Object.keys(clock)) delete process.env[name];
  }
}

/** When a setting changed last, as the stack saved it. */
async function changedAt(stack: EngineStack): Promise<string> {
  const settings = resourcesIn(await stack.readState()).find(({ urn }) =>
    urn.endsWith("command:local:Command::preset-settings"),
  );
  return (JSON.parse(settings!.outputs!["stdout"] as string) as { changedAt: string }).changedAt;
}
