import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { beforeAll, describe, expect, it } from "vitest";

import { MachineLearning, type MachineLearningArgs } from "../../components/machineLearning";
import { ModelCache } from "../../components/modelCache";
import { machineLearning } from "../../components/wiring";
import { formatProblem } from "../../config/errors";
import { exposures } from "../../config/exposures";
import { readSettings } from "../../config/read";

const context = { project: "immich-ml", stack: "test", secrets: {} };

function read(more: object, build: object = {}) {
  const immich = { version: "v3.1.0", network: "immich_default" };
  const { value, problems, notes } = readSettings(
    { immich, build, hosts: [{ name: "attic", ...more }] },
    context,
  );
  const lines = problems.map((problem) => formatProblem(problem));
  return { settings: value, host: value?.hosts[0], lines, notes };
}

const own = { image: "my/own:1" };

describe("container settings", () => {
  it.each([
    [{ user: 1000, cache: { path: "/c" } }, { user: "1000" }],
    [{ user: "1000:1000", cache: { volume: "mine" } }, { user: "1000:1000" }],
    [{ user: "0:0" }, { user: "0:0" }],
    [{ groups: [992, "video"] }, { groups: ["992", "video"] }],
    [{ networks: ["proxy", "tailnet"] }, { networks: ["proxy", "tailnet"] }],
    [{ labels: { "com.example.update": false } }, { labels: { "com.example.update": "false" } }],
    [{ labels: { "traefik.http.routers.ml.middlewares": "auth@file,crowdsec@docker" } }, {}],
    [{ ...own, healthcheck: "off" }, { healthcheck: false }],
    [{ ...own, healthcheck: false }, { healthcheck: false }],
    [{ healthcheck: { interval: 60 } }, { healthcheck: { interval: 60 } }],
    [{ limits: { memory: 512, swap: 0, cpuset: "0-1,3" } }, { limits: { swap: 0 } }],
    [{ log: { driver: "journald" } }, { log: { driver: "journald" } }],
    [{ restart: "on-failure:5" }, { restart: "on-failure:5" }],
    [{ extraHosts: { "immich.lan": "host-gateway" } }, {}],
    [{ dns: ["1.1.1.1", "2606:4700::1111"] }, {}],
    [{ ulimits: { nofile: 4096 } }, { ulimits: { nofile: { soft: 4096, hard: 4096 } } }],
    [{ shmSize: 128 }, { shmSize: 128 }],
    [{ accelerator: "openvino", renderNode: "/dev/dri/renderD129" }, {}],
    [{ gpu: "5.0", gpus: { runtime: "nvidia" } }, { gpus: { count: 1, runtime: "nvidia" } }],
    [{ gpu: "sm_61" }, { gpu: { computeCapability: "6.1" } }],
    [{ gpu: "5.0", gpus: { ids: ["MIG-GPU-8e5e22a2-43f2/1/0"] } }, {}],
    [{ log: { driver: "syslog", options: { "syslog-address": "udp://192.168.1.5:514" } } }, {}],
    [{ log: { driver: "local", options: { mode: "non-blocking" } } }, {}],
    [{ dockerHost: "ssh://LAN%5Cpi@box", network: "immich_default" }, {}],
    [{ cache: { path: "/var/lib/immich-ml" } }, { cache: { path: "/var/lib/immich-ml" } }],
    [{ network: "host", url: "http://192.168.1.20:3003" }, { network: "host" }],
    [{ network: "container:tailscale", url: "http://ml:3003" }, { network: "container:tailscale" }],
  ])("%j", (more, expected) => {
    const { host, lines } = read(more);
    expect(lines).toEqual([]);
    expect(host).toMatchObject(expected);
  });

  it.each([
    [{ user: "1000" }, "user", "cannot be used with a new volume"],
    [{ user: "Me You" }, "user", 'such as 1000 or "1000:1000"'],
    [{ groups: ["render"] }, "groups", "getent group render"],
    [
      { labels: { "com.docker.compose.project": "x" } },
      "labels.com.docker.compose.project",
      "reserved",
    ],
    [{ labels: ["a=b"] }, "labels", "an object of labels"],
    [{ healthcheck: "off" }, "healthcheck", "only for an image of your own"],
    [{ healthcheck: { test: "true" } }, "healthcheck", "only for an image of your own"],
    [{ healthcheck: { interval: "10s" } }, "healthcheck", "times in seconds"],
    [{ groups: [{}] }, "groups[0]", "a group by number or name"],
    [{ limits: { swap: 512 } }, "limits.swap", "needs limits.memory"],
    [{ limits: { cpuset: "two" } }, "limits.cpuset", "CPU cores such as 0-3,6"],
    [{ log: { driver: "none" } }, "log.driver", "one of json-file, local, journald"],
    [{ log: { driver: "journald" }, hardening: { limitLog: true } }, "log", "does not rotate"],
    [{ restart: "on-failure:many" }, "restart", "on-failure:5"],
    [{ extraHosts: { a: "b" } }, "extraHosts.a", "an address such as 192.168.1.5"],
    [{ dns: ["one"] }, "dns[0]", "addresses of name servers"],
    [{ ulimits: { nofile: "many" } }, "ulimits.nofile", "a whole number (-1 for no limit)"],
    [{ shmSize: "128m" }, "shmSize", "MiB"],
    [{ renderNode: "/dev/dri/renderD129" }, "renderNode", "openvino, openvino-wsl, rocm"],
    [{ renderNode: "/dev/dri/card0" }, "renderNode", "a render node such as"],
    [
      { gpu: "5.0", gpus: { runtime: "nvidia", cdi: ["nvidia.com/gpu=0"] } },
      "gpus",
      "cannot have both cdi and runtime",
    ],
    [{ gpus: { runtime: "nvidia" } }, "gpus", "is for accelerator cuda only"],
    [
      { gpu: "5.0", gpus: { runtime: "nvidia" }, environment: { NVIDIA_VISIBLE_DEVICES: "0" } },
      "environment.NVIDIA_VISIBLE_DEVICES",
      "is set from gpus",
    ],
    [{ gpu: "5.0", gpus: "all" }, "gpus", "such as { count: all }"],
    [{ runtime: "nvidia" }, "runtime", "write gpus: { runtime: nvidia }"],
    [{ gpu: "5.0", gpus: { ids: ["all"] } }, "gpus.ids[0]", "count: all gives every card"],
    [{ gpu: "5.0", gpus: { ids: ["0,1"] } }, "gpus.ids[0]", "such as [0, 1]"],
    [{ gpu: "5.0", gpus: { ids: ["/dev/nvidia0"] } }, "gpus.ids[0]", "numbers or UUIDs"],
    [{ gpu: "5.0", gpus: { ids: [0, "0"] } }, "gpus", "names card 0 twice"],
    [{ gpu: "5.0", gpus: { count: 0 } }, "gpus.count", "from 1 to 16"],
    [{ gpu: "5.0", gpus: { device_ids: ["0"] } }, "gpus.device_ids", "ids: [0]"],
    [{ gpu: "none" }, "gpu", "set accelerator: cpu"],
    [{ gpu: "Radeon RX 580" }, "gpu", "set accelerator: rocm"],
    [{ gpu: "Intel UHD 630" }, "gpu", "set accelerator: openvino"],
    [{ gpu: "Arc A380" }, "gpu", "set accelerator: openvino"],
    [{ gpu: "RK3588" }, "gpu", "set accelerator: rknn"],
    [{ accelerator: "quicksync" }, "accelerator", 'did you mean "openvino"?'],
    [{ accelerator: "AMD" }, "accelerator", 'did you mean "rocm"?'],
    [{ dockerHost: "tcp://192.168.1.5", network: "x" }, "dockerHost", "tcp://host:port"],
    [{ dockerHost: "ssh://pi@box?x=1", network: "x" }, "dockerHost", "ssh://user@host"],
    [{ limits: { cpuset: "3-0" } }, "limits.cpuset", "CPU cores such as 0-3,6"],
    [
      { log: { driver: "journald", options: { "max-size": "10m" } } },
      "log.options",
      "max-size, which journald does not know",
    ],
    [
      { log: { driver: "local", options: { "max-sise": "10m" } } },
      "log.options",
      "it knows max-size, max-file, compress",
    ],
    [{ ...own, healthcheck: { disable: true } }, "healthcheck.disable", "healthcheck: off"],
    [{ healthcheck: { start_period: "60s" } }, "healthcheck.start_period", "startPeriod: 60"],
    [{ ...own, healthcheck: { test: ["NONE"] } }, "healthcheck.test", "healthcheck: off"],
    [{ ulimits: { nofile: { soft: 2, hard: 1 } } }, "ulimits.nofile", "soft at most hard"],
    [{ ulimits: { nofiles: 4096 } }, "ulimits.nofiles", "known here: core, cpu"],
    [{ user: "root:render" }, "user", "getent group render"],
    [{ image: "https://ghcr.io/me/ml:1" }, "image", "an image reference such as"],
    [
      { labels: { note: "http://me:hidden@box" } },
      "labels.note",
      "must not contain an address with a password",
    ],
    [
      { log: { driver: "syslog", options: { "syslog-address": "tcp://me:hidden@box:514" } } },
      "log.options.syslog-address",
      "must not contain an address with a password",
    ],
    [
      { ...own, healthcheck: { test: ["curl", "http://me:hidden@box"] } },
      "healthcheck.test",
      "must not contain an address with a password",
    ],
    [{ log: { driver: "gelf" } }, "log.options", "needs gelf-address with gelf"],
    [{ cache: { path: "/etc/" } }, "cache.path", "a system folder"],
    [
      { cache: { path: "/var/lib/docker/volumes/immich_model-cache/_data" } },
      "cache.path",
      "set cache: { volume: immich_model-cache }",
    ],
    [{ cache: { path: "/mnt/${SHARE}" } }, "cache.path", "which a stack file does not replace"],
    [{ environment: { TZ: "${TZ}" } }, "environment.TZ", "which a stack file does not replace"],
    [{ networks: ["immich_default"] }, "networks", "names immich_default twice"],
    [{ network: "container:immich-ml-attic", url: "http://a:1" }, "network", "this container"],
    [{ network: "pasta" }, "network", "rootless Podman's own network"],
    [{ network: "bridge" }, "network", "where containers have no names"],
    [{ network: "none" }, "network", "no network at all"],
    [{ networks: ["host"] }, "networks[0]", "must be set as network"],
    [{ network: "host" }, "url", "is missing: the address at which Immich reaches the server"],
    [
      { network: "host", url: "http://a:1", publish: { address: "127.0.0.1" } },
      "publish",
      "the server listens there itself",
    ],
    [{ network: "host", url: "http://a:1", networks: ["b"] }, "networks", "the host alone"],
    [{ network: "host", url: "http://a:1", networkAlias: "b" }, "networkAlias", "has no name"],
    [{ network: "container:x", url: "http://a:1", dns: ["1.1.1.1"] }, "dns", "container x"],
    [{ placement: "swarm", shmSize: 128 }, "shmSize", "must be left out with placement: swarm"],
    [{ placement: "swarm", restart: "on-failure:5" }, "restart", "must be one of no, on-failure"],
    [{ placement: "swarm", network: "host" }, "network", "an overlay network"],
  ])("%j is refused", (more, key, message) => {
    const { lines } = read(more);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(`immich-ml:hosts[0].${key}: `);
    expect(lines[0]).toContain(message);
    expect(lines[0]).not.toContain("hidden");
  });

  it.each([
    ["cpu_quota", "limits.cpus"],
    ["restart_policy", "restart: on-failure:5"],
    ["extends", "accelerator"],
    ["volumes_from", "cache: { path"],
    ["container_name", "containerName"],
    ["env_file", "envFiles"],
    ["mem_limit", "limits: { memory: 4096 } (MiB)"],
    ["shm_size", "shmSize: 128 (MiB)"],
    ["volumes", "cache: { path: /folder/of/the/host }"],
    ["ports", "publish"],
    ["deploy", "gpus: { count: 1 }"],
    ["network_mode", "network: host"],
    ["group_add", "groups: [992]"],
    ["logging", "log: { driver: local"],
  ])("compose's %s is answered with ours", (name, message) => {
    const { lines } = read({ [name]: "x" });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(`hosts[0].${name}: is docker compose's name; here it is: `);
    expect(lines[0]).toContain(message);
  });

  it("gives a user that the image does not know a home where it may write", () => {
    const cache = { path: "/c" };
    expect(read({ user: 1000, cache }).host!.environment).toEqual({ HOME: "/tmp" });
    const environment = { HOME: "/cache" };
    expect(read({ user: 1000, cache, environment }).host!.environment).toEqual(environment);
    expect(read({ user: "root" }).host!.environment).toEqual({});
  });

  it("warns that network: host opens the port, unless the server listens on one address", () => {
    const url = "http://192.168.1.20:3003";
    const warned = (environment: object) =>
      exposures(read({ network: "host", url, environment }).settings!);
    expect(warned({})).toEqual([expect.stringContaining("network: host opens the server's port")]);
    expect(warned({ host: "192.168.1.20" })).toEqual([]);
  });
});

describe("imageMirror", () => {
  it.each([
    ["https://mirror.example.org", false],
    ["http://mirror.example.org", false],
    ["me:secret@mirror.example.org", false],
    ["mirror.example.org:5000/proxy", true],
    [{ "ghcr.io": "mirror.example.org" }, true],
    [{ "ghcr.io": "https://mirror.example.org" }, false],
    ["mirror", false],
    ["my-user/images", false],
    ["localhost:5000", true],
  ])("%j: accepted %s", (imageMirror, isAccepted) => {
    const { lines, host } = read({}, { imageMirror });
    expect(lines.length === 0).toBe(isAccepted);
    if (isAccepted) {
      expect(host!.image).toMatchObject({
        reference: expect.stringMatching(/^(mirror\.example\.org|localhost:5000)/) as string,
      });
    } else expect(lines[0]).toContain("without https://");
  });

  it("is for the registries that images come from", () => {
    const { lines } = read({}, { imageMirror: { "gchr.io": "mirror.example.org" } });
    expect(lines).toEqual([
      'immich-ml:build.imageMirror.gchr.io: there is no such setting; known here: docker.io, ghcr.io; did you mean "ghcr.io"?',
    ]);
  });
});

describe("a container with many settings", () => {
  let inputs: Record<string, unknown> = {};

  beforeAll(async () => {
    await pulumi.runtime.setMocks({
      newResource: ({ type, name, inputs: given }) => {
        if (type === "docker:index/container:Container") inputs = given as typeof inputs;
        return { id: name, state: given as object };
      },
      call: () => ({}),
    });
  });

  async function create(args: Partial<MachineLearningArgs>) {
    const service = new MachineLearning("attic", {
      image: "sha256:abc",
      immichVersion: "v3.1.0",
      cacheFolder: "/c",
      network: "immich_default",
      check: "off",
      ...args,
    });
    await new Promise((resolve) => service.containerId.apply(resolve));
    return inputs;
  }

  it("is registered with them", async () => {
    expect(
      await create({
        user: "1000:1000",
        groups: ["992"],
        networks: ["proxy"],
        limits: { memory: 512 },
        swap: 128,
        cpuset: "0",
        log: { driver: "local" },
        restart: "on-failure:5",
        extraHosts: { "immich.lan": "192.168.1.5" },
        dns: ["1.1.1.1"],
        ulimits: { nofile: { soft: 1, hard: 2 } },
        shmSize: 128,
        labels: { a: "b" },
        healthcheck: { interval: 90, startPeriod: 3600 },
      }),
    ).toMatchObject({
      user: "1000:1000",
      groupAdds: ["992"],
      networksAdvanced: [
        { name: "immich_default", aliases: ["immich-machine-learning"] },
        { name: "proxy", aliases: ["immich-machine-learning"] },
      ],
      memorySwap: 640,
      cpuSet: "0",
      logDriver: "local",
      logOpts: { "max-size": "10m", "max-file": "3" },
      restart: "on-failure",
      maxRetryCount: 5,
      hosts: [{ host: "immich.lan", ip: "192.168.1.5" }],
      dns: ["1.1.1.1"],
      ulimits: [{ name: "nofile", soft: 1, hard: 2 }],
      shmSize: 128,
      labels: expect.arrayContaining([{ label: "a", value: "b" }]) as unknown,
      healthcheck: { interval: "1m30s", timeout: "10s", startPeriod: "1h0m0s" },
    });
  });

  it.each([
    [{}, "IMMICH_HOST=0.0.0.0"],
    [{ environment: { host: "192.168.1.20" } }, "IMMICH_HOST=192.168.1.20"],
  ])("listens on IPv4 where the host has no IPv6, unless told: %j", async (more, variable) => {
    const settings = read({ check: "off", ...more }).settings!;
    const service = machineLearning(
      settings.hosts[0]!,
      settings,
      {
        image: pulumi.output("sha256:abc"),
        cache: new ModelCache("attic", { path: "/c" }),
        found: { hostsWithoutIpv6: new Set(["attic"]), optionalMounts: {} } as never,
      },
      { provider: new docker.Provider("engine", {}) },
    );
    await new Promise((resolve) => (service as MachineLearning).containerId.apply(resolve));
    expect(inputs["envs"]).toContain(variable);
  });

  it("shares the network of the host without a name there, and needs its address", async () => {
    const shared = await create({ network: "host", url: "http://192.168.1.20:3003" });
    expect(shared).toMatchObject({ networkMode: "host" });
    expect(shared).not.toHaveProperty("networksAdvanced");
    const args = { image: "i", immichVersion: "v3.1.0", cacheVolume: "c", network: "host" };
    expect(() => new MachineLearning("x", args)).toThrow("x:url: is missing");
  });

  it("gives cards by NVIDIA's runtime where that is asked for", async () => {
    const given = await create({ accelerator: "cuda", gpus: { ids: ["1"], runtime: "nvidia" } });
    expect(given).toMatchObject({
      runtime: "nvidia",
      envs: ["NVIDIA_DRIVER_CAPABILITIES=compute,utility", "NVIDIA_VISIBLE_DEVICES=1"],
    });
    expect(given).not.toHaveProperty("deviceRequests");
    const all = await create({ accelerator: "cuda", gpus: { count: -1, runtime: "nvidia" } });
    expect(all["envs"]).toContain("NVIDIA_VISIBLE_DEVICES=all");
  });

  it("computes on one render node, without USB", async () => {
    const given = await create({
      accelerator: "openvino",
      renderNode: "/dev/dri/renderD129",
      optionalMounts: ["/dev/bus/usb"],
    });
    expect(given["devices"]).toMatchObject([{ hostPath: "/dev/dri/renderD129" }]);
    expect(given).not.toHaveProperty("mounts");
    expect(given).not.toHaveProperty("deviceCgroupRules");
  });

  it("has no health check, or one of its own", async () => {
    expect(await create({ healthcheck: false })).toMatchObject({
      healthcheck: { tests: ["NONE"] },
    });
    const command = ["CMD", "curl", "-f", "localhost:3003/ping"];
    for (const given of [command, command.slice(1)]) {
      expect(await create({ healthcheck: { test: given } })).toMatchObject({
        healthcheck: { tests: command },
      });
    }
    const test = "curl -f localhost:3003/ping";
    expect(await create({ healthcheck: { test } })).toMatchObject({
      healthcheck: { tests: ["CMD-SHELL", test], startPeriod: "2m0s" },
    });
  });
});
