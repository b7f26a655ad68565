import { readFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";

import type Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { createImmichDatabase, type ImmichDatabase } from "../../demo/immichDatabase";
import { type PostgresServer } from "../../demo/postgres";
import { expectDeclaredToRun } from "../support/declared";
import { startedDocker, testName } from "../support/docker";
import { missingEngine, openEngineStack, type EngineStack } from "../support/engineStack";
import { startTestPostgres } from "../support/postgres";
import { fakeStack } from "../support/fakeStack";

/** Faults of a run of the engine. Each step follows on the last. */
describe.skipIf(missingEngine)("a run of the engine that is interrupted", () => {
  const containerName = testName("faults");
  let docker: Docker;
  let postgres: PostgresServer;
  let database: ImmichDatabase;
  let config: Record<string, unknown>;
  let before: string | undefined;
  let stack: EngineStack;

  beforeAll(async () => {
    docker = await startedDocker();
    postgres = await startTestPostgres();
    database = await createImmichDatabase(postgres);
    before = await database.configurationText();
    config = await fakeStack(database, containerName);
    stack = await openEngineStack({
      name: "faults",
      config,
      secrets: { databasePassword: database.password },
    });
  });

  afterAll(async () => {
    await stack?.dispose();
    await docker
      ?.getContainer(containerName)
      .remove({ force: true })
      .catch(() => undefined);
    await postgres?.remove();
  });

  const up = () =>
    stack.command("up", "--yes", "--skip-preview", "--config-file", stack.configFile);
  const containerExists = async () => {
    for (;;) {
      const found = await docker.listContainers({ all: true, filters: { name: [containerName] } });
      if (found.length > 0) return;
      await pause(20);
    }
  };

  it("fault: Ctrl-C in the middle of up; the next up finishes it", async () => {
    const { child, ended } = up();
    await containerExists();
    process.kill(-child.pid!, "SIGINT");
    const { code, text } = await ended;
    expect(code).not.toBe(0);
    expect(text).toMatch(/cancell?ed/i);
    expect(await database.configurationText()).toBe(before);
    await stack.up();
    await expectDeclaredToRun(stack, { docker, database });
  });

  it("fault: Ctrl-C twice while the image is built; it ends at once, one command makes the stack ready, and the next up builds it", async () => {
    // Nobody listens there, and pip tries again for ten seconds and more.
    const build = { ...(config["build"] as object), packageIndex: "http://localhost:9/simple" };
    await stack.configure({ ...config, build });
    const log = `.build-${stack.name}-attic-image.log`;
    const buildLog = () => readFile(log, "utf8").catch(() => "");
    const { child, ended } = up();
    while (!(await buildLog()).includes("Retrying")) await pause(50);
    process.kill(-child.pid!, "SIGINT");
    await pause(300);
    process.kill(-child.pid!, "SIGINT");
    const { code, text } = await ended;
    expect(code, text).not.toBe(0);
    expect(await buildLog()).not.toMatch(/ERROR: No matching|did not complete successfully/);
    await stack.configure(config);
    const recovered = await stack.script("recover");
    expect(recovered.code, recovered.text).toBe(0);
    await stack.up();
    await expectDeclaredToRun(stack, { docker, database });
  });

  it("fault: Pulumi is killed while it creates the container; one command makes the stack ready, the next up finishes it", async () => {
    await stack.destroy();
    const { child, ended } = up();
    await containerExists();
    process.kill(-child.pid!, "SIGKILL");
    await ended;
    await expect(stack.up()).rejects.toThrow(/pulumi cancel/);
    const { code, text } = await stack.script("recover");
    expect(code, text).toBe(0);
    await stack.up();
    await expectDeclaredToRun(stack, { docker, database });
  });

  it("destroy removes the interrupted stack like any other", async () => {
    await stack.destroy();
    expect(await database.configurationText()).toBe(before);
    await expect(docker.getContainer(containerName).inspect()).rejects.toThrow(
      /no such container/i,
    );
  });
});
