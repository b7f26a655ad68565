import * as pulumi from "@pulumi/pulumi";
import { afterEach, describe, expect, it, vi } from "vitest";

import { loadSettings } from "../../config/load";

const attic = { name: "attic", gpu: "GeForce GTX 750 Ti" };
const rack = { ...attic, name: "rack", dockerHost: "ssh://me@manager", placement: "swarm" };
const apiKey = "planted-api-key";

/** What is warned of when a stack file is loaded. */
async function warningsOf(file: object): Promise<string[]> {
  const whole = { immich: { version: "v2.7.5", network: "immich_default" }, ...file };
  const entries = Object.entries(whole).map(([key, value]) => [
    `immich-ml:${key}`,
    typeof value === "string" ? value : JSON.stringify(value),
  ]);
  pulumi.runtime.setAllConfig({
    ...(Object.fromEntries(entries) as Record<string, string>),
    "immich-ml:immichApiKey": apiKey,
  });
  vi.spyOn(pulumi, "getProject").mockReturnValue("immich-ml");
  const warn = vi.spyOn(pulumi.log, "warn").mockResolvedValue();
  await loadSettings(() => Promise.resolve({}));
  return warn.mock.calls.map(([message]) => message);
}

afterEach(() => {
  vi.restoreAllMocks();
  pulumi.runtime.setAllConfig({});
});

describe("preview warns", () => {
  it.each(["0.0.0.0", "::", "0:0:0:0:0:0:0:0", "::0.0.0.0", "::ffff:0.0.0.0", "::%eth0"])(
    "that a port published on %s is open to everybody",
    async (address) => {
      const publish = { address, port: 3005 };
      expect(await warningsOf({ hosts: [{ ...attic, publish }] })).toEqual([
        expect.stringMatching(
          /^attic: publish opens port 3005 on every address of the host.*has no authentication: set publish.address/,
        ),
      ]);
    },
  );

  it("that a published port of a service is open on every node", async () => {
    const swarm = { registry: "registry.lan:5000" };
    const publish = { address: "0.0.0.0" };
    const hosts = [{ ...rack, network: "ml", swarm, publish }];
    expect(await warningsOf({ hosts })).toEqual([
      expect.stringMatching(/^rack: publish opens port 3003 on every address of every node/),
    ]);
  });

  it.each([
    ["vip", "every node"],
    ["dnsrr", "its node"],
  ])("that its own registry is open to everybody: %s, on %s", async (endpointMode, where) => {
    const swarm = { endpointMode, registry: { port: 5005 } };
    expect(await warningsOf({ hosts: [{ ...rack, swarm }] })).toEqual([
      `rack: the registry this program runs on a manager of the swarm has neither password nor TLS, and its port 5005 is open on ${where}: let a firewall admit only the nodes, or set swarm.registry`,
    ]);
  });

  const withApi = (url: string, preset = "legacy-2gb") =>
    warningsOf({
      immich: { version: "v2.7.5", network: "immich_default", api: { url } },
      preset,
      hosts: [attic],
    });

  it.each(["http://192.168.1.2:2283", "http://immich.lan/api", "http://[fd00::1]"])(
    "that an API key for %s can be read on the way, without repeating it",
    async (url) => {
      const [warning = "", ...more] = await withApi(url);
      expect(warning).toMatch(/^immich.api.url http:.* is not encrypted: .*use https/);
      expect(warning).not.toContain(apiKey);
      expect(more).toEqual([]);
    },
  );

  it.each(["https://immich.lan", "http://127.1:2283", "http://[::1]:2283", "http://localhost"])(
    "not of an API key for %s",
    async (url) => expect(await withApi(url)).toEqual([]),
  );

  it("not of a key that is not sent, nor of a port on one address", async () => {
    expect(await withApi("http://immich.lan", "none")).toEqual([]);
    const publish = { address: "192.168.1.2" };
    expect(await warningsOf({ hosts: [{ ...attic, publish }] })).toEqual([]);
  });
});
