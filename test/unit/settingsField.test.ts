import { describe, expect, it } from "vitest";

import { formatProblem } from "../../config/errors";
import { readSettings } from "../../config/read";
import { isSameEngine } from "../../util/dockerClient";

/*
 * Settings as people write them, after what compose and Docker taught them.
 */

interface File {
  readonly immich?: object;
  readonly hosts: readonly object[];
}

function read({ immich, hosts }: File) {
  const { value, problems, notes } = readSettings(
    { immich: { version: "v2.7.5", network: "immich_default", ...immich }, hosts },
    { project: "immich-ml", stack: "home", secrets: {} },
  );
  expect(value === undefined).toBe(problems.length > 0);
  return { problems: problems.map((problem) => formatProblem(problem)), notes };
}

const attic = { name: "attic", gpu: "GTX 1060" };
const told = (host: object, immich?: object) =>
  read({ hosts: [{ ...attic, ...host }], ...(immich && { immich }) });

const lan = { publish: { address: "192.168.1.5" } };
const onHost = { network: "host" };

describe("an address that Immich cannot reach is refused", () => {
  it.each<[host: object, expected: RegExp, immich?: object]>([
    [
      { ...onHost, url: "http://localhost:3003" },
      /url: "http:\/\/localhost:3003": leads Immich's server to its own container/,
    ],
    [{ ...onHost, url: "http://127.0.0.1:3003" }, /its own container/],
    [{ ...onHost, url: "http://[::1]:3003" }, /its own container/],
    [{ ...lan, url: "http://localhost:3003" }, /its own container/],
    [
      { ...lan, dockerHost: "ssh://pi@box", url: "http://localhost:3003" },
      /its own container/,
      { network: undefined },
    ],
    [{ ...onHost, url: "http://0.0.0.0:3003" }, /is no address to reach/],
    [{ ...lan, url: "http://[::]:3003" }, /is no address to reach/],
    [{ ...onHost, url: "http://nas.lan/ml/" }, /Immich before v3\.0\.0 drops/],
    [{ ...onHost, url: "http://nas.lan/ml" }, /does not end with "\/"/, { version: "v3.1.0" }],
    [{ ...onHost, url: "http://192.168.1.5:3003/predict" }, /drops/],
    [{ ...onHost, url: "http://192.168.1.5:3003?x=1" }, /must end with the host, port or path/],
    [
      { dockerHost: "ssh://pi@box", publish: { address: "127.0.0.1" } },
      /publish\.address: "127\.0\.0\.1": is reached on that machine alone/,
    ],
    [
      { environment: { IMMICH_HOST: "127.0.0.1" } },
      /environment\.IMMICH_HOST: "127\.0\.0\.1": is reached from inside/,
    ],
    [{ environment: { host: "localhost" } }, /is reached from inside the container only/],
  ])("%j", (host, expected, immich) => {
    const { problems } = told(host, immich);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(expected);
  });

  it.each<[host: object, immich?: object]>([
    // Immich's server may be on the host's network, or share that of the same container.
    [{ ...onHost, url: "http://localhost:3003" }, { network: undefined }],
    [{ ...onHost, url: "http://localhost:3003" }, { network: "host" }],
    [{ publish: { address: "127.0.0.1" } }, { network: undefined }],
    [{ network: "container:holder", url: "http://localhost:3003" }],
    [{ ...onHost, url: "http://nas.lan/ml/" }, { version: "v3.1.0" }],
    [{ ...onHost, url: "http://192.168.1.5:3003/" }],
    [{ publish: { address: "127.0.0.1" } }],
    [{ ...onHost, url: "http://192.168.1.5:3003", environment: { host: "192.168.1.5" } }],
  ])("but not %j", (host, immich) => {
    expect(told(host, immich).problems).toEqual([]);
  });
});

describe("one engine under two spellings is one engine", () => {
  it.each([
    ["ssh://root@NAS", "ssh://root@nas", true],
    ["ssh://root@nas:22", "ssh://root@nas/", true],
    ["unix:///run/docker.sock", "unix:///var/run/docker.sock", true],
    ["tcp://NAS:2376", "tcp://nas:2376", true],
    ["ssh://root@nas", "ssh://me@nas", false],
    ["ssh://nas:2222", "ssh://nas", false],
    ["unix:///run/user/1000/docker.sock", "unix:///run/docker.sock", false],
  ])("%s and %s: %s", (left, right, expected) => {
    expect(isSameEngine(left, right)).toBe(expected);
  });

  const two = (one: object, other: object) =>
    read({
      hosts: [
        { ...attic, ...one },
        { ...attic, name: "cellar", ...other },
      ],
    }).problems;

  it("and a port or container of it belongs to one host", () => {
    expect(
      two({ ...lan, dockerHost: "ssh://root@NAS" }, { ...lan, dockerHost: "ssh://root@nas" }),
    ).toEqual([expect.stringMatching(/hosts\[1\]\.publish: .* is already used by hosts\[0\]/)]);
    const named = { containerName: "ml" };
    expect(two({ ...named, dockerHost: "unix:///run/docker.sock" }, named)).toEqual([
      expect.stringMatching(/hosts\[1\]\.containerName/),
    ]);
  });

  it("and Immich's network holds there", () => {
    expect(told({ dockerHost: "unix:///run/docker.sock" }).problems).toEqual([]);
  });

  it("and a port on every address is taken on each", () => {
    expect(two({ publish: { address: "0.0.0.0" } }, lan)).toEqual([
      expect.stringMatching(
        /hosts\[1\]\.publish: .*hosts\[0\]\.publish opens already on every address/,
      ),
    ]);
    expect(two(lan, { publish: { address: "192.168.1.6" } })).toEqual([]);
  });
});

it.each([
  "docker://ghcr.io/immich-app/immich-machine-learning:v2.7.5",
  "ghcr.io/Immich-App/immich-machine-learning:v2.7.5",
  "immich-ml:",
  "immich-ml:-x",
  "immich//ml:1",
  "immich-ml:a:b",
  "a/b/:tag",
  "immich-ml@sha256:abc",
  "-immich-ml:1",
])("image: %s is refused, as Docker would", (image) => {
  const { problems } = told({ gpu: undefined, image });
  expect(problems).toEqual([expect.stringMatching(/image: .*must be an image reference/)]);
});

it.each([
  "registry.lan:5000/immich-ml:v2.7.5",
  "localhost/immich-ml",
  "Registry.LAN/immich/ml__x:1",
  `ghcr.io/immich-app/immich-machine-learning:v2.7.5-cuda@sha256:${"a".repeat(64)}`,
])("image: %s is taken", (image) => {
  expect(told({ gpu: undefined, image }).problems).toEqual([]);
});

it.each<[host: object, expected: RegExp]>([
  [{ cache: { volume: "/mnt/user/appdata/ml" } }, /cache\.path/],
  [{ cache: { path: "/mnt/$USER/cache" } }, /contains a variable/],
  [{ cache: { path: "/home" } }, /system folder/],
  [{ cache: { name: "model-cache" } }, /volume: model-cache/],
  [{ cache: { source: "/mnt/cache" } }, /path: \/folder/],
  [{ publish: { ...lan.publish, host_ip: "0.0.0.0" } }, /address: 192/],
  [{ publish: { ...lan.publish, published: 3003 } }, /port: 3003/],
  [{ limits: { pids: 100 } }, /hardening\.limitProcesses/],
  [{ limits: { shm: 128 } }, /shmSize/],
  [{ networks: { immich_default: { ipv4_address: "172.20.0.5" } } }, /no fixed address/],
  [{ ipv4_address: "172.20.0.5" }, /no fixed address/],
  [{ devices: ["nvidia.com/gpu=all"] }, /gpus: \{ cdi:/],
  [{ develop: {} }, /docker compose's name/],
  [{ use_api_socket: true }, /docker compose's name/],
  [{ log: { driver: "syslog", options: { "syslog-address": "192.168.1.5:514" } } }, /udp:\/\//],
  [{ log: { driver: "gelf", options: { "gelf-address": "192.168.1.5:12201" } } }, /udp:\/\//],
  [{ environment: { TZ: "$TZ" } }, /contains a variable of docker compose/],
  [{ environment: { workers: "${WORKERS:-1}" } }, /contains a variable of docker compose/],
])("%j: one message says what to write", (host, expected) => {
  const { problems } = told(host);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toMatch(expected);
});

it.each<[immich: object, expected: RegExp]>([
  [{ database: { container: "db", password: "geheim" } }, /--secret immich-ml:databasePassword/],
  [{ api: { url: "http://nas:2283", key: "geheim" } }, /--secret immich-ml:immichApiKey/],
  [{ database: { host: "192.168.1.5:5433" } }, /port stands apart/],
  [{ database: { host: "/run/postgresql" } }, /host name or address/],
])("immich: %j is told where it belongs, without the secret", (immich, expected) => {
  const { problems } = told({}, immich);
  expect(problems).toEqual([expect.stringMatching(expected)]);
  expect(problems.join()).not.toContain("geheim");
});

it("a database's host may be an address of any kind", () => {
  for (const host of ["192.168.1.5", "fd00::5", "db.lan", "db_1"]) {
    expect(told({}, { database: { host } }).problems).toEqual([]);
  }
});

it("what works otherwise than it looks is noted", () => {
  const image = "ghcr.io/immich-app/immich-machine-learning:v2.6.0-cuda";
  expect(told({ image }).notes.join()).toMatch(
    /image is Immich's v2\.6\.0, but the server runs v2\.7\.5/,
  );
  expect(told({ image: image.replace("2.6.0", "2.7.5") }).notes).toEqual([]);
  const { notes } = told({ environment: { cacheFolder: "/models" } });
  expect(notes.join()).toMatch(
    /MACHINE_LEARNING_CACHE_FOLDER=\/models keeps the models in the container/,
  );
});

it.each([
  ["/var/run/docker.sock", "unix:///var/run/docker.sock"],
  ["unix://var/run/docker.sock", "unix:///var/run/docker.sock"],
  ["unix:/run/user/1000/docker.sock", "unix:///run/user/1000/docker.sock"],
  ["192.168.1.5:2375", "tcp://192.168.1.5:2375"],
  ["http://192.168.1.5:2375", "tcp://192.168.1.5:2375"],
  ["pi@box.lan", "ssh://pi@box.lan"],
  ["npipe:////./pipe/docker_engine", "unix:///var/run/docker.sock"],
])("dockerHost: %s means %s", (dockerHost, meant) => {
  const message = `did you mean "${meant}"?`;
  expect(told({ dockerHost }).problems).toEqual([expect.stringContaining(message)]);
  expect(told({}, { dockerHost }).problems.join("\n")).toContain(message);
});
