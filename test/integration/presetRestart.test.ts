import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";

import type Docker from "dockerode";
import { afterEach, beforeAll, describe, expect, test } from "vitest";

import { fakes, startedDocker, testName } from "../support/docker";

const script = readFileSync(path.join(__dirname, "..", "..", "immich", "restartServer.sh"), "utf8");
const soon = { Interval: 500_000_000, Timeout: 2_000_000_000, Retries: 100 };

let docker: Docker;
let image: string;
const containers: string[] = [];

beforeAll(async () => {
  docker = await startedDocker();
  image = (await fakes()).python310;
});
afterEach(async () => {
  for (const name of containers.splice(0)) await docker.getContainer(name).remove({ force: true });
});

/** A container whose main process is that shell command. */
async function start(command: string, healthCheck?: string): Promise<string> {
  const name = testName("server");
  const container = await docker.createContainer({
    name,
    Image: image,
    Entrypoint: ["sh", "-c", command],
    ...(healthCheck === undefined
      ? {}
      : { Healthcheck: { Test: ["CMD-SHELL", healthCheck], ...soon } }),
    StopTimeout: 1,
  });
  containers.push(name);
  await container.start();
  return name;
}

/** Runs the script as the program's command does. */
function restart(
  container: string,
  environment: Record<string, string> = {},
): Promise<{ code: number; output: string; errors: string }> {
  return new Promise((resolve) => {
    const child = execFile(
      "/bin/sh",
      ["-c", script],
      {
        env: {
          ...process.env,
          SERVER_CONTAINER: container,
          CHANGED_AT: "2026-01-02T03:04:05.000Z",
          WHEN_MISSING: "fail",
          TIMEOUT: "30",
          ...environment,
        },
      },
      (_error, output, errors) => resolve({ code: child.exitCode ?? -1, output, errors }),
    );
  });
}

const startedAt = async (name: string) =>
  (await docker.getContainer(name).inspect()).State.StartedAt;

describe("the restart of the Immich server", () => {
  test("waits until the server is healthy again", async () => {
    const name = await start(
      "rm -f /tmp/ready; sleep 2; touch /tmp/ready; sleep 600",
      "test -f /tmp/ready",
    );
    const before = await startedAt(name);
    const { code, output } = await restart(name);
    expect(output).toMatch(/is back after \d+ s\.\n$/);
    expect(code).toBe(0);
    expect(await startedAt(name)).not.toBe(before);
    expect((await docker.getContainer(name).inspect()).State.Health?.Status).toBe("healthy");
  });

  test("is content with a running server where there is no health check", async () => {
    const name = await start("sleep 600");
    const before = await startedAt(name);
    expect((await restart(name)).code).toBe(0);
    expect(await startedAt(name)).not.toBe(before);
  });

  test("is left out when no setting has another effect", async () => {
    const name = await start("sleep 600");
    const before = await startedAt(name);
    const { code, output } = await restart(name, { CHANGED_AT: "" });
    expect({ code, output }).toEqual({
      code: 0,
      output: `No setting has another effect than before: ${name} is not restarted.\n`,
    });
    expect(await startedAt(name)).toBe(before);
  });

  test("leaves a stopped server stopped, since it reads the settings when it is started", async () => {
    const name = await start("true");
    await docker.getContainer(name).wait();
    const { code, output } = await restart(name);
    expect({ code, output }).toEqual({
      code: 0,
      output: `${name} is exited: it reads the new settings when it is started.\n`,
    });
  });

  test("fails when the server does not come up again, and names the logs", async () => {
    const name = await start(
      "if test -f /tmp/second; then sleep 1; exit 1; fi; touch /tmp/second; sleep 600",
    );
    const { code, errors } = await restart(name);
    expect(code).toBe(1);
    expect(errors).toContain(`${name} does not come up again (exited none): docker logs ${name}`);
  });

  test("fails when the server does not get healthy in time", async () => {
    const name = await start("sleep 600", "false");
    const { code, errors } = await restart(name, { TIMEOUT: "4" });
    expect(code).toBe(1);
    expect(errors).toContain(
      `${name} did not answer within 4 s (running starting): docker logs ${name}`,
    );
  });

  test("names a container that is not there; after a destroy that is no error", async () => {
    const missing = await restart("immich-ml-test-no-such-container");
    expect(missing.code).toBe(1);
    expect(missing.errors).toContain(
      "immich.serverContainer: immich-ml-test-no-such-container cannot be looked at",
    );
    expect(missing.errors).toContain("The settings are written.");
    const ignored = await restart("immich-ml-test-no-such-container", { WHEN_MISSING: "ignore" });
    expect(ignored.code).toBe(0);
    expect(ignored.output).toContain("No container immich-ml-test-no-such-container to restart");
  });
});
