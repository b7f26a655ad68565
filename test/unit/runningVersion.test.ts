import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

import * as pulumi from "@pulumi/pulumi";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { loadSettings } from "../../config/load";
import type { CommandResult, Run } from "../../util/run";

const ended = (code: number, stdout: string, stderr = ""): CommandResult => ({
  code,
  stdout,
  stderr,
});

/** `docker container inspect --format '{{json .Config}}'` of a server. */
const config = (image: string, more: object = {}) =>
  ended(0, JSON.stringify({ Image: image, Env: ["NODE_ENV=production"], Labels: null, ...more }));

describe("immich.version: auto", () => {
  let notes: string[];

  beforeEach(() => {
    notes = [];
    vi.spyOn(pulumi.log, "info").mockImplementation((note) => {
      notes.push(note);
      return Promise.resolve();
    });
  });
  afterEach(() => vi.restoreAllMocks());

  const load = (immich: object, ask: Run) => {
    const project = pulumi.getProject();
    pulumi.runtime.setAllConfig({
      [`${project}:immich`]: JSON.stringify({
        version: "auto",
        network: "immich_default",
        ...immich,
      }),
      [`${project}:hosts`]: JSON.stringify([{ name: "attic" }]),
    });
    return loadSettings(() => Promise.resolve({}), ask);
  };

  it("is the release of the server's image: the same settings as with the version written down", async () => {
    const asked: string[] = [];
    const { immich, version } = await load(
      { serverContainer: "immich_server" },
      (program, words) => {
        asked.push([program, ...words].join(" "));
        return Promise.resolve(
          config("immich-server:release", {
            Labels: { "org.opencontainers.image.version": "v3.1.0" },
          }),
        );
      },
    );
    expect(immich.version).toBe("v3.1.0");
    expect(version).toEqual({ major: 3, minor: 1, patch: 0 });
    expect(notes).toContain("Immich runs v3.1.0 (immich.version: auto)");
    expect(asked).toHaveLength(1);
  });

  it("asks the server itself where its image does not tell", async () => {
    const { immich } = await load({ serverContainer: "immich_server" }, (_, words) =>
      Promise.resolve(words[0] === "exec" ? ended(0, "2.7.5\n") : config("own-build:latest")),
    );
    expect(immich.version).toBe("v2.7.5");
  });

  it("asks Immich's API where that is declared", async () => {
    const server: Server = createServer((request, response) => {
      const isVersion = request.url === "/api/server/version";
      response.end(isVersion ? JSON.stringify({ major: 2, minor: 7, patch: 5 }) : "{}");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const nobody: Run = () => Promise.reject(new Error("docker is not asked"));
    const { immich } = await load({ api: { url: `http://127.0.0.1:${port}/api` } }, nobody);
    expect(immich.version).toBe("v2.7.5");
    server.close();
  });

  it.each([
    ["nobody to ask", {}, ended(0, ""), /needs serverContainer, or api\.url/],
    [
      "no such container",
      { serverContainer: "nobody" },
      ended(1, "", "Error: No such container: nobody"),
      /immich\.version: "auto": nobody at unix:.*No such container.*set the version/,
    ],
    [
      "a silent image and a stopped server",
      { serverContainer: "immich_server" },
      undefined,
      /does not tell its release \(.*is not running/,
    ],
  ])(
    "an unknown release is an error before anything changes: %s",
    async (_name, immich, answer, message) => {
      const ask: Run = (_program, words) =>
        Promise.resolve(
          answer ??
            (words[0] === "exec" ? ended(1, "", "container is not running") : config("x:latest")),
        );
      await expect(load(immich, ask)).rejects.toThrow(message);
      await expect(load(immich, ask)).rejects.toThrow(/has an error; nothing was changed/);
    },
  );
});
