import * as pulumi from "@pulumi/pulumi";
import { beforeEach, describe, expect, it, vi } from "vitest";

import { findGoneHosts, hostsOf, keepGoneHost } from "../../components/goneHosts";
import type { Settings } from "../../config/load";
import type { Run } from "../../util/run";

const urn = (chain: string, name: string) => `urn:pulumi:dev::immich-ml::${chain}::${name}`;
const service = "immich-ml:index:MachineLearning";

/** What the state has of a host at an address. */
const stored = (name: string, dockerHost: string, retained = true) => ({
  [urn("command:local:Command", `${name}-pulled`)]: { type: "command:local:Command" },
  [urn("immich-ml:index:ModelCache", `${name}-cache`)]: {
    type: "immich-ml:index:ModelCache",
    outputs: { retained },
  },
  [urn("immich-ml:index:ModelCache$docker:index/volume:Volume", `${name}-cache`)]: {
    type: "docker:index/volume:Volume",
  },
  [urn(service, name)]: { type: service },
  [urn(`${service}$docker:index/container:Container`, name)]: {
    type: "docker:index/container:Container",
  },
  [urn(`${service}$command:local:Command`, `${name}-check`)]: {
    type: "command:local:Command",
    outputs: { environment: { DOCKER_HOST: dockerHost } },
  },
});

const settings = (...hosts: (readonly [name: string, dockerHost: string])[]) =>
  ({ hosts: hosts.map(([name, dockerHost]) => ({ name, dockerHost })) }) as unknown as Settings;

const off: Run = () => Promise.resolve({ code: 124, stdout: "", stderr: "" });
const on: Run = () =>
  Promise.resolve({ code: 0, stdout: '{"ServerVersion": "20.10.24"}', stderr: "" });

describe("hosts of the state that are not in the stack file", () => {
  const warn = vi.spyOn(pulumi.log, "warn").mockResolvedValue();
  const all = { ...stored("attic", "unix:///a"), ...stored("attic-check", "tcp://b:2375", false) };

  beforeEach(() => {
    warn.mockClear();
  });

  it("have their own resources, whatever their names are like", () => {
    const [attic, other] = hostsOf(all);
    expect(attic).toMatchObject({ name: "attic", dockerHost: "unix:///a" });
    expect(other).toMatchObject({ name: "attic-check", dockerHost: "tcp://b:2375" });
    expect(Object.keys(attic!.resources)).toHaveLength(6);
    expect(Object.keys(other!.resources)).toHaveLength(6);
  });

  it("are left to the engine where they answer, and kept where they do not", async () => {
    const declared = settings(["attic", "unix:///a"]);
    expect(await findGoneHosts(declared, all, on)).toMatchObject([{ isOff: false }]);
    expect(warn).not.toHaveBeenCalled();
    expect(await findGoneHosts(declared, all, off)).toMatchObject([
      { name: "attic-check", isOff: true },
    ]);
    expect(warn.mock.calls[0]![0]).toMatch(
      /^attic-check: is no longer in the stack file.*does not answer.*forget attic-check/,
    );
  });

  it("are not asked while they are in the stack file", async () => {
    const asked = vi.fn(off);
    const declared = settings(["attic", "unix:///a"], ["attic-check", "tcp://b:2375"]);
    expect(await findGoneHosts(declared, all, asked)).toEqual([]);
    expect(asked).not.toHaveBeenCalled();
  });

  it("must answer before they move", async () => {
    const declared = settings(["attic", "unix:///a"], ["attic-check", "tcp://c:2375"]);
    await expect(findGoneHosts(declared, all, off)).rejects.toThrow(
      /nothing was changed:\n {2}attic-check: moves to tcp:\/\/c:2375.*forget attic-check/,
    );
    expect(await findGoneHosts(declared, all, on)).toMatchObject([{ isOff: false }]);
  });

  it("keep their addresses in the state", async () => {
    const registered: string[] = [];
    await pulumi.runtime.setMocks({
      newResource: ({ type, name, inputs }) => {
        registered.push(`${type}::${name}`);
        return { id: name, state: inputs as object };
      },
      call: () => ({}),
    });
    const { Provider } = await import("@pulumi/docker");
    for (const host of hostsOf(all).slice(1))
      keepGoneHost({ ...host, isOff: true }, new Provider("engine", {}));
    await vi.waitFor(() =>
      expect(registered).toContain("command:local:Command::attic-check-check"),
    );
    expect(registered).toContain("docker:index/container:Container::attic-check");
    expect(registered).toContain("docker:index/volume:Volume::attic-check-cache");
    expect(registered).toContain("command:local:Command::attic-check-pulled");
  });
});
