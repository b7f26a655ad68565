import type Docker from "dockerode";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { createImmichDatabase, type ImmichDatabase } from "../../demo/immichDatabase";
import type { PostgresServer } from "../../demo/postgres";
import { fakes, startedDocker, testName } from "../support/docker";
import { missingEngine, openEngineStack, resourcesIn } from "../support/engineStack";
import { startTestPostgres } from "../support/postgres";

describe.skipIf(missingEngine)("a stack that is refused before anything is changed", () => {
  const containerName = testName("taken");
  let docker: Docker;
  let postgres: PostgresServer;
  let database: ImmichDatabase;
  let pythonImage: string;
  let good: Record<string, unknown>;

  beforeAll(async () => {
    docker = await startedDocker();
    pythonImage = (await fakes()).python310;
    postgres = await startTestPostgres();
    database = await createImmichDatabase(postgres);
    const { host, port, name, user } = database;
    good = {
      immich: { version: "v2.7.5", database: { host, port, name, user } },
      preset: "legacy-2gb",
      hosts: [
        {
          name: "attic",
          accelerator: "cpu",
          imageVariant: "kepler-maxwell",
          containerName: testName("refused"),
          publish: { address: "127.0.0.1", port: 13999 },
        },
      ],
    };
  });

  afterAll(async () => {
    await docker
      ?.getContainer(containerName)
      .remove({ force: true })
      .catch(() => undefined);
    await postgres?.remove();
  });

  /** The message of an `up` that must fail without creating anything. */
  async function refusal(config: Record<string, unknown>, password = database.password) {
    const before = await database.configurationText();
    const stack = await openEngineStack({
      name: "refused",
      config,
      secrets: { databasePassword: password },
    });
    try {
      const message = await stack.up().then(
        () => "",
        (error: Error) => error.message,
      );
      const made = resourcesIn(await stack.readState()).map(({ type }) => type);
      expect(made.filter((type) => type !== "pulumi:pulumi:Stack")).toEqual([]);
      expect(await database.configurationText()).toBe(before);
      expect(message).not.toContain(password);
      return message;
    } finally {
      await stack.dispose();
    }
  }

  const withImmich = (fields: object) => ({
    ...good,
    immich: {
      version: "v2.7.5",
      database: { ...(good["immich"] as { database: object }).database, ...fields },
    },
  });
  const withHost = (fields: object) => ({
    ...good,
    hosts: [{ ...(good["hosts"] as object[])[0], ...fields }],
  });

  it("for three errors in the stack file, all named at once", async () => {
    const message = await refusal({
      ...withHost({ accelerator: "cudda", limits: { memory: -5 } }),
      preset: "legacy-2bg",
    });
    expect(message).toContain("3 errors; nothing was changed");
    expect(message).toContain('immich-ml:hosts[0].accelerator: "cudda"');
    expect(message).toContain("immich-ml:hosts[0].limits.memory: -5");
    expect(message).toContain('did you mean "legacy-2gb"');
  });

  it("for a database that does not answer", async () => {
    const message = await refusal(withImmich({ port: 1 }));
    expect(message).toMatch(/127\.0\.0\.1.*port 1|127\.0\.0\.1:1/);
  });

  it("for a wrong password", async () => {
    const message = await refusal(good, "not the password");
    expect(message).toMatch(/password/i);
  });

  it("for a database that is not Immich's", async () => {
    const client = new Client({
      host: database.host,
      port: database.port,
      user: "postgres",
      password: postgres.password,
      database: "postgres",
    });
    await client.connect();
    await client.query("CREATE DATABASE other");
    await client.end();
    const message = await refusal(withImmich({ name: "other" }));
    expect(message).toMatch(/system_metadata/);
  });

  it("for a Docker engine that does not answer", async () => {
    const message = await refusal(withHost({ dockerHost: "unix:///nowhere/docker.sock" }));
    expect(message).toContain("unix:///nowhere/docker.sock");
    expect(message).toContain("attic");
  });

  it("for a container name that compose uses, with the way to take over", async () => {
    await docker.createContainer({ Image: pythonImage, name: containerName, Cmd: ["true"] });
    const message = await refusal(withHost({ containerName }));
    expect(message).toContain(containerName);
    expect(message).toContain(`takeOver: ${containerName}`);
  });
});
