import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";

import type Docker from "dockerode";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { repositoryFolder } from "../../demo/folders";
import { fakes, startedDocker, testName } from "../support/docker";

const execute = promisify(execFile);
const script = path.join(repositoryFolder, "components", "pulledImage.sh");

/** A further name of an image stands for a pulled image: removing it asks Docker the same questions. */
describe("an image that a host pulled", () => {
  let docker: Docker;
  let source: string;
  let image: string;

  beforeAll(async () => {
    docker = await startedDocker();
    const { python310 } = await fakes();
    // An image of its own, or its other names would keep it.
    const { stdout } = await execute("docker", ["create", python310]);
    source = `${testName("source")}:latest`;
    await execute("docker", ["commit", "--change", "LABEL test=pulled", stdout.trim(), source]);
    await execute("docker", ["rm", stdout.trim()]);
    return () => execute("docker", ["image", "rm", source]);
  });
  beforeEach(() => {
    image = `${testName("pulled")}:latest`;
  });
  afterEach(async () => {
    await docker
      .getImage(image)
      .remove({ force: true })
      .catch(() => undefined);
  });

  const run = (action: string, environment: Readonly<Record<string, string>> = {}) =>
    execute("sh", [script, action], { env: { ...process.env, IMAGE: image, ...environment } });
  const before = async () => (await run("before")).stdout.trim();
  const pull = () => execute("docker", ["tag", source, image]);
  const exists = () =>
    docker
      .getImage(image)
      .inspect()
      .then(
        () => true,
        () => false,
      );

  it("is removed when nothing needs it any more", async () => {
    const found = await before();
    expect(found).toBe("absent");
    await pull();
    const { stderr } = await run("after", { PULUMI_COMMAND_STDOUT: found });
    expect(stderr).toBe("");
    expect(await exists()).toBe(false);
  });

  it("stays where it was there before", async () => {
    await pull();
    const found = await before();
    expect(found).toBe("present");
    await run("after", { PULUMI_COMMAND_STDOUT: found });
    expect(await exists()).toBe(true);
  });

  it("stays where a container of somebody else uses it, and says so", async () => {
    await pull();
    const { stdout } = await execute("docker", ["create", image]);
    await execute("docker", ["image", "rm", source]);
    try {
      const { stderr } = await run("after", { PULUMI_COMMAND_STDOUT: "absent" });
      expect(stderr).toMatch(/^the image \S+ stays: .*conflict/);
      expect(await exists()).toBe(true);
    } finally {
      await execute("docker", ["tag", image, source]);
      await execute("docker", ["rm", stdout.trim()]);
    }
  });

  it("is neither looked for nor removed where the engine does not answer", async () => {
    const off = { DOCKER_HOST: "tcp://127.0.0.1:1" };
    expect((await run("before", off)).stdout.trim()).toBe("unknown");
    const { stderr } = await run("after", { ...off, PULUMI_COMMAND_STDOUT: "absent" });
    expect(stderr).toContain(`the image ${image} stays: `);
  });
});
