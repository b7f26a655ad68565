import { describe, expect, it } from "vitest";

import { formatProblem } from "../../config/errors";
import { readSettings } from "../../config/read";

const rack = {
  name: "rack",
  placement: "swarm",
  dockerHost: "ssh://me@manager",
  gpu: "GeForce GTX 750 Ti",
};

function read(host: object, more: object = {}) {
  const file = { immich: { version: "v2.7.5" }, hosts: [{ ...rack, ...host }], ...more };
  const context = { project: "immich-ml", stack: "test", secrets: {} };
  const { value: settings, problems, notes } = readSettings(file, context);
  return {
    host: settings?.hosts[0],
    notes,
    lines: problems.map((problem) => formatProblem(problem)),
  };
}

describe("a host of placement swarm", () => {
  it("has two tasks, start-first, behind one virtual address, and a registry for what is built", () => {
    const { host, lines } = read({});
    expect(lines).toEqual([]);
    expect(host).toMatchObject({
      containerName: "immich-ml-rack",
      network: undefined,
      url: "http://immich-machine-learning:3003",
      swarm: {
        replicas: 2,
        nodeLabels: {},
        genericResources: {},
        reservations: {},
        updateOrder: "start-first",
        endpointMode: "vip",
        registry: "127.0.0.1:5000",
        ownRegistry: {
          port: 5000,
          image: expect.stringMatching(
            /^docker\.io\/library\/registry@sha256:[0-9a-f]{64}$/,
          ) as string,
        },
      },
    });
  });

  it("runs no registry where one is given, or where nothing is built", () => {
    const given = read({ swarm: { registry: "registry.lan:5000/immich" } }).host!.swarm!;
    expect(given).toMatchObject({ registry: "registry.lan:5000/immich", ownRegistry: undefined });
    const official = read({ imageVariant: "official" }).host!.swarm!;
    expect(official).toMatchObject({ registry: undefined, ownRegistry: undefined });
  });

  it("takes its registry's image from the mirror and its port from the stack file", () => {
    const build = { imageMirror: "mirror.example" };
    const { host } = read({ swarm: { registry: { port: 5005 } } }, { build });
    expect(host!.swarm!.registry).toBe("127.0.0.1:5005");
    expect(host!.swarm!.ownRegistry!.image).toMatch(
      /^mirror\.example\/docker\.io\/library\/registry@/,
    );
  });

  it("is told which network Immich's server has to join", () => {
    expect(read({}).notes.join()).toContain("docker network connect immich-ml-rack");
    expect(read({ network: "immich" }).notes.join()).not.toContain("docker network connect");
  });

  it("does not take over Immich's own bridge network", () => {
    const immich = { version: "v2.7.5", network: "immich_default" };
    const { host } = read({ dockerHost: "unix:///var/run/docker.sock" }, { immich });
    expect(host!.network).toBeUndefined();
  });

  it.each([
    [
      { accelerator: "openvino", gpu: undefined },
      'hosts[0].accelerator: "openvino": needs the device nodes /dev/dri, which Docker cannot pass to a service',
    ],
    [
      { accelerator: "rocm", gpu: undefined },
      'hosts[0].accelerator: "rocm": needs the device nodes /dev/dri, /dev/kfd',
    ],
    [{ gpus: { count: 1 } }, 'hosts[0].gpus: {"count":1}: cannot be given to a service of a swarm'],
    [{ containerName: "ml" }, 'hosts[0].containerName: "ml": must be left out'],
    [
      { restart: "unless-stopped" },
      'hosts[0].restart: "unless-stopped": must be one of no, on-failure, always',
    ],
    [
      { hardening: { noNewPrivileges: true } },
      "hosts[0].hardening.noNewPrivileges: true: must be left out",
    ],
    [
      { publish: { address: "192.168.1.20" } },
      'hosts[0].publish.address: "192.168.1.20": must be 0.0.0.0',
    ],
    [
      {
        publish: { address: "0.0.0.0" },
        url: "http://192.168.1.20:3003",
        swarm: { endpointMode: "dnsrr" },
      },
      'hosts[0].swarm.endpointMode: "dnsrr": must be vip where a port is published: Docker opens one for a virtual address only',
    ],
    [{ publish: { address: "0.0.0.0" } }, "hosts[0].url: is missing"],
    [
      { placement: "container", swarm: { replicas: 3 }, publish: { address: "127.0.0.1" } },
      'hosts[0].placement: "container": must be swarm, because swarm is set',
    ],
    [
      { placement: "kubernetes" },
      'hosts[0].placement: "kubernetes": must be one of container, swarm',
    ],
    [
      { swarm: { replicas: 0 } },
      "hosts[0].swarm.replicas: 0: must be a whole number from 1 to 1000",
    ],
    [
      { swarm: { genericResources: { "NVIDIA-GPU": "GPU-1234" } } },
      'hosts[0].swarm.genericResources.NVIDIA-GPU: "GPU-1234": must be a whole number',
    ],
    [
      { swarm: { registry: "https://registry.lan" } },
      'hosts[0].swarm.registry: "https://registry.lan": must be a registry such as',
    ],
    [{ swarm: { replica: 2 } }, "hosts[0].swarm.replica: there is no such setting"],
  ])("is refused with one line: %o", (host, line) => {
    const { lines } = read(host);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(`immich-ml:${line}`);
  });

  it("refuses two registries on one port of one engine", () => {
    const hosts = [rack, { ...rack, name: "shelf" }];
    const { lines } = read({}, { hosts });
    expect(lines).toEqual([
      "immich-ml:hosts[1].swarm.registry.port: 5000: is already used by hosts[0].swarm.registry.port",
    ]);
  });
});
