import { connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

import type Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { freePort } from "../../demo/postgres";
import { startedDocker, testName } from "../support/docker";
import { missingEngine, openEngineStack, type EngineStack } from "../support/engineStack";
import { buildSmallService, smallHost, type TestImage } from "../support/smallService";

/** Two hosts, one of them at `tcp://`: switched off, and at last for good. Each step follows on the last. */
describe.skipIf(missingEngine)("a host at tcp:// that is gone", () => {
  const stem = testName("gone");
  let docker: Docker;
  let image: TestImage;
  let port: number;
  let cellarEngine: Forwarder;
  let stack: EngineStack;

  const host = (name: string, published: number, more: object = {}) => ({
    ...smallHost(image, stem, name),
    publish: { address: "127.0.0.1", port: published },
    ...more,
  });
  const config = (...hosts: object[]) => ({ immich: { version: "v2.7.5" }, hosts });
  const inspect = (name: string) => docker.getContainer(`${stem}-${name}`).inspect();
  const withoutProviders = (steps: readonly string[]) =>
    steps.filter((step) => !/ docker-/.test(step));
  let attic: object;
  let cellar: object;

  beforeAll(async () => {
    docker = await startedDocker();
    image = await buildSmallService();
    port = await freePort();
    cellarEngine = await startForwarder(port);
    attic = host("attic", await freePort());
    cellar = host("cellar", await freePort(), { dockerHost: `tcp://127.0.0.1:${port}` });
    stack = await openEngineStack({ name: "gone", config: config(attic, cellar) });
    await stack.up();
  });

  afterAll(async () => {
    await stack?.dispose();
    await cellarEngine?.stop();
    await docker
      ?.getContainer(`${stem}-cellar`)
      .remove({ force: true })
      .catch(() => undefined);
    await docker
      ?.getVolume(`${stem}-cellar`)
      .remove()
      .catch(() => undefined);
    await image?.remove();
  });

  it("fault: a host at tcp:// is switched off; up changes the others and leaves it as it is", async () => {
    const before = (await inspect("cellar")).Id;
    await cellarEngine.stop();
    await stack.configure(config({ ...attic, environment: { modelTtl: 10 } }, cellar));
    const { steps, text } = await stack.up();
    expect(text).toMatch(/warning: cellar: Docker at tcp:.* does not answer/);
    expect(withoutProviders(steps).length).toBeGreaterThan(0);
    expect(withoutProviders(steps).filter((step) => !step.includes("attic"))).toEqual([]);
    expect((await inspect("attic")).Config.Env).toContain("MACHINE_LEARNING_MODEL_TTL=10");
    expect((await inspect("cellar")).Id).toBe(before);
    expect((await stack.preview()).steps).toEqual([]);
  });

  it("is changed again by the first up after it answers", async () => {
    cellarEngine = await startForwarder(port);
    await stack.configure(config(attic, { ...cellar, environment: { modelTtl: 10 } }));
    await stack.up();
    expect((await inspect("cellar")).Config.Env).toContain("MACHINE_LEARNING_MODEL_TTL=10");
    expect((await stack.preview()).steps).toEqual([]);
  });

  it("fault: the terminal is closed in the middle of up; one command makes the stack ready, the next up finishes it", async () => {
    const changed = { ...cellar, environment: { modelTtl: 10 } };
    await stack.configure(config({ ...attic, environment: { modelTtl: 20 } }, changed));
    const { child, ended } = stack.command(
      ...["up", "--yes", "--skip-preview", "--config-file", stack.configFile],
    );
    const isReplaced = async () => {
      const found = await inspect("attic").catch(() => undefined);
      return found?.State.Running && found.Config.Env.includes("MACHINE_LEARNING_MODEL_TTL=20");
    };
    while (!(await isReplaced())) await pause(50);
    // It has its name, so the check beside it is still to come: a pause here could outlast the run.
    process.kill(-child.pid!, "SIGHUP");
    await ended;
    await expect(stack.up()).rejects.toThrow(/currently locked/);
    const { code, text } = await stack.script("recover");
    expect(code, text).toBe(0);
    expect(text).toContain("removed the lock of a run that has ended");
    expect(text).toContain("no longer pending: ");
    expect((await stack.up()).text).not.toContain("pending operations");
    expect((await stack.preview()).steps).toEqual([]);
  });

  it("fault: a host is off and no longer in the stack file; up leaves it as it is, and removes what runs there once it answers", async () => {
    await cellarEngine.stop();
    await stack.configure(config({ ...attic, environment: { modelTtl: 30 } }));
    const { steps, text } = await stack.up();
    expect(text).toMatch(
      /warning: cellar: is no longer in the stack file, but .*Docker at tcp:.* does not answer.*forget cellar/,
    );
    expect(withoutProviders(steps).length).toBeGreaterThan(0);
    expect(withoutProviders(steps).filter((step) => !step.includes("attic"))).toEqual([]);
    expect((await inspect("attic")).Config.Env).toContain("MACHINE_LEARNING_MODEL_TTL=30");
    expect((await inspect("cellar")).State.Running).toBe(true);
    expect((await stack.preview()).steps).toEqual([]);
    cellarEngine = await startForwarder(port);
    await stack.up();
    await expect(inspect("cellar")).rejects.toThrow(/no such container/i);
    await expect(docker.getVolume(`${stem}-cellar`).inspect()).rejects.toThrow(/no such volume/i);
    expect(await stack.readState()).not.toContain("::cellar");
  });

  it("fault: a host is off and moves to another address; up refuses before anything is changed", async () => {
    await stack.configure(config(attic, cellar));
    await stack.up();
    await cellarEngine.stop();
    const elsewhere = { ...cellar, dockerHost: "unix:///var/run/docker.sock" };
    await stack.configure(config({ ...attic, environment: { modelTtl: 40 } }, elsewhere));
    await expect(stack.up()).rejects.toThrow(
      /a host is moved; nothing was changed:\s+cellar: moves to unix:.*does not answer.*forget cellar/,
    );
    expect((await inspect("attic")).Config.Env).not.toContain("MACHINE_LEARNING_MODEL_TTL=40");
  });

  it("fault: a host is off when the stack is destroyed; the others are removed, and it is forgotten by one command", async () => {
    await stack.configure(config(attic, cellar));
    const down = await stack.script("engine", "destroy", "--yes", "--refresh");
    expect(down.code, down.text).toBe(1);
    expect(down.text).toMatch(/cellar: Docker at tcp:.* does not answer/);
    expect(down.text).toContain("cellar: what runs there stays");
    await expect(inspect("attic")).rejects.toThrow(/no such container/i);
    expect((await inspect("cellar")).State.Running).toBe(true);
    const unknown = await stack.script("forget", "celar");
    expect(unknown).toMatchObject({ code: 2 });
    expect(unknown.text).toContain("the stack has no host celar; there are: cellar");
    const { code, text } = await stack.script("forget", "cellar");
    expect(code, text).toBe(0);
    expect(text).toContain(`docker rm --force ${stem}-cellar`);
    expect(text).toContain(`docker volume rm ${stem}-cellar`);
    // The host itself is gone from the stack file, too.
    await stack.configure(config(attic));
    await stack.up();
    expect((await stack.preview({ refresh: true })).steps).toEqual([]);
    await stack.destroy();
    await expect(inspect("attic")).rejects.toThrow(/no such container/i);
    expect((await inspect("cellar")).State.Running).toBe(true);
  });
});

interface Forwarder {
  stop(): Promise<void>;
}

/** This machine's engine at a port, as another machine's would be. */
async function startForwarder(port: number): Promise<Forwarder> {
  const connections = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (client) => {
    const engine = connect({ path: "/var/run/docker.sock", allowHalfOpen: true });
    for (const side of [client, engine]) {
      connections.add(side);
      side.on("error", () => [client, engine].forEach((each) => each.destroy()));
      side.once("close", () => connections.delete(side));
    }
    client.pipe(engine).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    stop: async () => {
      for (const connection of connections) connection.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
