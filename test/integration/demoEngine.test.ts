import { afterEach, expect, test, vi } from "vitest";

import { ensureDockerEngine } from "../../demo/engine";
import { startedDocker } from "../support/docker";

afterEach(() => {
  vi.unstubAllEnvs();
});

test("an engine that answers is left as it is, without a word", async () => {
  await startedDocker();
  const said: string[] = [];
  await ensureDockerEngine((line) => said.push(line));

  expect(said).toEqual([]);
});

test("a DOCKER_HOST where nothing answers is named, and no other engine is started for it", async () => {
  await startedDocker();
  vi.stubEnv("DOCKER_HOST", "unix:///nonexistent/docker.sock");

  await expect(ensureDockerEngine(() => undefined)).rejects.toThrow(
    "DOCKER_HOST is unix:///nonexistent/docker.sock, and no Docker engine answers there.",
  );
});
