import { afterEach, expect, test, vi } from "vitest";

import { ensureDockerEngine } from "../../demo/engine";
import { startedDocker } from "../support/docker";

afterEach(() => {
  vi.unstubAllEnvs();
});

test("an engine that answers is used, without a log line", async () => {
  await startedDocker();
  const lines: string[] = [];
  await ensureDockerEngine((line) => lines.push(line));

  expect(lines).toEqual([]);
});

test("a DOCKER_HOST that does not answer is named, and no other engine is started", async () => {
  await startedDocker();
  vi.stubEnv("DOCKER_HOST", "unix:///nonexistent/docker.sock");

  await expect(ensureDockerEngine(() => undefined)).rejects.toThrow(
    "DOCKER_HOST is unix:///nonexistent/docker.sock, and no Docker engine answers there.",
  );
});
