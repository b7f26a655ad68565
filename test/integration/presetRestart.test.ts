import type Docker from "dockerode";
import { afterEach, beforeAll, describe, expect, test } from "vitest";

import { readServerVariables } from "../../immich/serverVariables";
import { restartServers } from "../../immich/serverContainer";
import { run } from "../../util/run";
import { runProgram } from "../support/commandProgram";
import { fakes, startedDocker, testName } from "../support/docker";

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
async function start(
  command: string,
  healthCheck?: string,
  labels: Record<string, string> = {},
  variables: string[] = [],
): Promise<string> {
  const name = testName("server");
  const container = await docker.createContainer({
    name,
    Image: image,
    Entrypoint: ["sh", "-c", command],
    Labels: labels,
    Env: variables,
    ...(healthCheck === undefined
      ? {}
      : { Healthcheck: { Test: ["CMD-SHELL", healthCheck], ...soon } }),
    StopTimeout: 1,
  });
  containers.push(name);
  await container.start();
  return name;
}

/** When a setting changed: in the future, so that no server has started since. */
const changedAt = new Date(Date.now() + 3_600_000).toISOString();

/** Runs the program as Pulumi's command does. */
function restart(container: string, variables: Record<string, string> = {}) {
  return runProgram("applyProgram.ts", "create", {
    "server.name": container,
    "server.timeout": "30",
    "changed.at": changedAt,
    ...variables,
  });
}

/** The sentence that becomes the preset's output `restart`. */
const outcomeOf = (output: string) => (JSON.parse(output) as { restart: string }).restart;

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
    expect(outcomeOf(output)).toMatch(/is back after \d+ s\.$/);
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
    const { code, output } = await restart(name, { "changed.at": "" });
    expect(code).toBe(0);
    expect(outcomeOf(output)).toBe("not needed: no change has an effect");
    expect(await startedAt(name)).toBe(before);
  });

  test("leaves a stopped server stopped, since it reads the settings when it is started", async () => {
    const name = await start("true");
    await docker.getContainer(name).wait();
    const { code, output } = await restart(name);
    expect(code).toBe(0);
    expect(outcomeOf(output)).toBe(`${name} is exited: it reads the new settings when it starts.`);
  });

  test("fails when the server does not come back up, and names the logs", async () => {
    const name = await start(
      "if test -f /tmp/second; then sleep 1; exit 1; fi; touch /tmp/second; sleep 600",
    );
    const { code, errors } = await restart(name);
    expect(code).toBe(1);
    expect(errors).toContain(`${name} does not come back up (exited none): docker logs ${name}`);
  });

  test("fails when the server does not get healthy in time", async () => {
    const name = await start("sleep 600", "false");
    const { code, errors } = await restart(name, { "server.timeout": "4" });
    expect(code).toBe(1);
    expect(errors).toContain(
      `${name} did not answer within 4 s (running starting): docker logs ${name}`,
    );
  });

  test("names a container that is not there", async () => {
    const missing = await restart("immich-ml-test-no-such-container");
    expect(missing.code).toBe(1);
    expect(missing.errors).toContain(
      "immich.serverContainer: immich-ml-test-no-such-container cannot be inspected",
    );
    expect(missing.errors).toContain("The settings are written.");
  });

  test("is left out when the server has started since the change", async () => {
    const name = await start("sleep 600");
    const before = await startedAt(name);
    const { code, output } = await restart(name, {
      "changed.at": new Date(Date.now() - 3_600_000).toISOString(),
    });
    expect(code).toBe(0);
    expect(outcomeOf(output)).toBe(
      `${name} has started since the last change: it is not restarted.`,
    );
    expect(await startedAt(name)).toBe(before);
  });

  test("is done once for each change, whatever else of the command changes", async () => {
    const name = await start("sleep 600");
    const first = await restart(name);
    const before = await startedAt(name);
    const { code, output } = await runProgram("applyProgram.ts", "update", {
      "server.name": name,
      "server.timeout": "31",
      "changed.at": changedAt,
      PULUMI_COMMAND_STDOUT: first.output,
    });
    expect(code).toBe(0);
    expect(outcomeOf(output)).toBe(outcomeOf(first.output));
    expect(await startedAt(name)).toBe(before);
  });
});

describe("a server whose workers are split over containers", () => {
  const project = testName("project");
  const compose = (name: string) => ({ "com.docker.compose.project": name });

  test("is restarted as a whole, and no other server", async () => {
    const labels = compose(project);
    const [api, workers] = [
      await start("sleep 600", undefined, labels),
      await start("sleep 600", undefined, labels),
    ];
    const other = await start("sleep 600", undefined, compose(`${project}-other`));
    const before = [await startedAt(api), await startedAt(workers), await startedAt(other)];
    const { code, output } = await restart(api);
    expect(code).toBe(0);
    expect(outcomeOf(output)).toMatch(new RegExp(`^${api} is back .*${workers} is back after`));
    expect(await startedAt(api)).not.toBe(before[0]);
    expect(await startedAt(workers)).not.toBe(before[1]);
    expect(await startedAt(other)).toBe(before[2]);
  });

  test("is stopped as a whole while the embeddings of the former model are cleared", async () => {
    const labels = compose(project);
    const [api, workers] = [
      await start("sleep 600", undefined, labels),
      await start("sleep 600", undefined, labels),
    ];
    const seen: boolean[] = [];
    const act = async () => {
      for (const name of [api, workers])
        seen.push((await docker.getContainer(name).inspect()).State.Running);
    };
    const whileStopped = { startedBefore: changedAt, act };
    const options = { changedAt, whenMissing: "fail", whileStopped } as const;
    await restartServers({ name: api, timeout: 30 }, options, () => {}, run);
    expect(seen).toEqual([false, false]);
    for (const name of [api, workers])
      expect((await docker.getContainer(name).inspect()).State.Running).toBe(true);
  });

  test("starts again when the clearing fails, and a server that ran with the new model loses nothing", async () => {
    const name = await start("sleep 600");
    const act = () => Promise.reject(new Error("no database"));
    const options = {
      changedAt,
      whenMissing: "fail",
      whileStopped: { startedBefore: changedAt, act },
    } as const;
    await expect(restartServers({ name, timeout: 30 }, options, () => {}, run)).rejects.toThrow(
      "no database",
    );
    expect((await docker.getContainer(name).inspect()).State.Running).toBe(true);
    const before = new Date(Date.now() - 3_600_000).toISOString();
    const later = { ...options, whileStopped: { startedBefore: before, act } };
    expect(await restartServers({ name, timeout: 30 }, later, () => {}, run)).toContain("is back");
  });
});

test("the variables of a server: a configuration file, the default address, machine learning off, and nothing secret", async () => {
  const variables = [
    "IMMICH_CONFIG_FILE=/config.yml",
    "IMMICH_MACHINE_LEARNING_URL=http://attic:3003",
    "IMMICH_MACHINE_LEARNING_ENABLED=false",
    "DB_PASSWORD=secret",
  ];
  const name = await start("sleep 600", undefined, {}, variables);
  const engine = { dockerHost: "unix:///var/run/docker.sock" };
  const answers: string[] = [];
  const watched: typeof run = async (...question) => {
    const answer = await run(...question);
    answers.push(answer.stdout);
    return answer;
  };
  expect(await readServerVariables({ server: name }, engine, watched)).toEqual({
    ok: true,
    value: {
      container: name,
      configFile: "/config.yml",
      defaults: {
        "machineLearning.urls": ["http://attic:3003"],
        "machineLearning.url": "http://attic:3003",
        "machineLearning.enabled": false,
      },
    },
  });
  expect(answers.join()).not.toContain("secret");
  const missing = { server: "immich-ml-test-no-such-container" };
  expect(await readServerVariables(missing, engine, run)).toEqual({ ok: true, value: undefined });
});

test("after a destroy, a server that is not there is no error", async () => {
  const name = "immich-ml-test-no-such-container";
  const options = { whenMissing: "ignore" } as const;
  const log = (line: string) => expect.fail(line);
  expect(await restartServers({ name, timeout: 30 }, options, log, run)).toContain(
    `No container ${name} to restart`,
  );
});
