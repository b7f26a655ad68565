import { describe, expect, it } from "vitest";

import {
  commandTypes,
  containerType,
  type Inputs,
  missingHealthCheck,
  movingImage,
  openPorts,
  plainSecrets,
  privileges,
  serviceType,
  type StackResource,
  unconfined,
  unkeptVolumes,
  volumeOfHost,
  volumeType,
} from "../../policy/checks";
import { recordProgram, stackConfiguration } from "../support/recordedProgram";

const digest = `sha256:${"0123456789abcdef".repeat(4)}`;
const service = (containerSpec: object, more: object = {}): Inputs => ({
  taskSpec: { containerSpec },
  ...more,
});

type Check = (type: string, props: Inputs) => string[];
type Case = readonly [what: string, type: string, props: Inputs];

const checks: readonly (readonly [
  name: string,
  check: Check,
  bad: readonly Case[],
  good: readonly Case[],
])[] = [
  [
    "nothing privileged",
    privileges,
    [
      ["privileged", containerType, { privileged: true }],
      ["every capability", containerType, { capabilities: { adds: ["ALL"] } }],
      ["a strong capability", containerType, { capabilities: { adds: ["CAP_SYS_ADMIN"] } }],
      ["the host's processes", containerType, { pidMode: "host" }],
      [
        "the engine's socket",
        containerType,
        { volumes: [{ hostPath: "/var/run/docker.sock", containerPath: "/s" }] },
      ],
      [
        "a service with the socket",
        serviceType,
        service({ mounts: [{ source: "/run/docker.sock" }] }),
      ],
      ...["/", "//", "/etc", "/var/run", "/run/../etc/", "/boot", "/var/lib/docker", "/proc"].map(
        (hostPath): Case => [`the host's ${hostPath}`, containerType, { volumes: [{ hostPath }] }],
      ),
      ...[
        "/var/run/docker.sock/",
        "/run/containerd/containerd.sock",
        "/mnt/../run/podman/podman.sock",
      ].map((source): Case => [`the socket ${source}`, containerType, { mounts: [{ source }] }]),
      ["a data folder's parent", containerType, { mounts: [{ source: "/mnt" }] }],
      ["a way out of a data folder", containerType, { mounts: [{ source: "/mnt/a/../../etc" }] }],
      [
        "a library that can be written",
        containerType,
        { mounts: [{ source: "/usr/lib/libmali.so" }] },
      ],
      [
        "a service with a folder of the host",
        serviceType,
        service({ mounts: [{ source: "/etc" }] }),
      ],
      [
        "volumes of another container",
        containerType,
        { volumes: [{ fromContainer: "immich_server" }] },
      ],
      [
        "a folder of the host as a volume's device",
        containerType,
        { mounts: [{ source: "cache", volumeOptions: { driverOptions: { device: "/etc" } } }] },
      ],
      ...["/dev/sda", "/dev/mem", "/dev/kmsg", "/dev/fuse", "/dev/dri/../sda", "/dev"].map(
        (hostPath): Case => [`the device ${hostPath}`, containerType, { devices: [{ hostPath }] }],
      ),
      ["any device by a rule", containerType, { deviceCgroupRules: ["a *:* rwm"] }],
      ...["DAC_READ_SEARCH", "BPF", "MKNOD", "sys_admin", "cap_sys_admin", "all", " ALL "].map(
        (name): Case => [
          `the capability ${name}`,
          containerType,
          { capabilities: { adds: [name] } },
        ],
      ),
      ["a service's capability", serviceType, service({ capAdds: ["NET_ADMIN"] })],
      ["another container's processes", containerType, { pidMode: "container:immich_server" }],
      ["another container's memory", containerType, { ipcMode: "container:immich_server" }],
      ["the host's cgroups", containerType, { cgroupnsMode: "host" }],
      ["privileged in another form", containerType, { privileged: "true" }],
    ],
    [
      ["nothing of the kind", containerType, {}],
      ["single devices", containerType, { devices: [{ hostPath: "/dev/dri" }], privileged: false }],
      ["a weak capability", containerType, { capabilities: { adds: ["CHOWN"], drops: ["ALL"] } }],
      ["a service", serviceType, service({ mounts: [{ source: "cache" }] })],
      ["a data folder", containerType, { volumes: [{ hostPath: "/mnt/user/appdata/immich/" }] }],
      ["namespaces of its own", containerType, { ipcMode: "private", cgroupnsMode: "private" }],
      [
        "a library to read",
        containerType,
        { mounts: [{ source: "/usr/lib/wsl", readOnly: true }] },
      ],
      ["the rule for USB devices", containerType, { deviceCgroupRules: ["c 189:* rmw"] }],
      ["a render node", containerType, { devices: [{ hostPath: "/dev/dri/renderD128" }] }],
    ],
  ],
  [
    "confined",
    unconfined,
    [
      ...[
        "seccomp=unconfined",
        "apparmor=unconfined",
        "systempaths=unconfined",
        "label=disable",
      ].map((option): Case => [option, containerType, { securityOpts: [option] }]),
      ["another spelling", containerType, { securityOpts: [" SECCOMP=Unconfined"] }],
      ["a profile of one's own", containerType, { securityOpts: ["seccomp=/tmp/open.json"] }],
    ],
    [
      ["none", containerType, {}],
      ["no new privileges", containerType, { securityOpts: ["no-new-privileges:true"] }],
      ["a service", serviceType, service({})],
    ],
  ],
  [
    "volumes that are the host's",
    volumeOfHost,
    [["one", volumeType, { driverOpts: { type: "none", o: "bind", device: "/etc" } }]],
    [
      ["a plain one", volumeType, {}],
      ["a share", volumeType, { driverOpts: { type: "nfs", device: ":/models" } }],
      ["a data folder", volumeType, { driverOpts: { o: "bind", device: "/srv/models/immich" } }],
    ],
  ],
  [
    "no port on all interfaces",
    openPorts,
    [
      ["no ip", containerType, { ports: [{ internal: 3003, external: 3003 }] }],
      ["0.0.0.0", containerType, { ports: [{ internal: 3003, ip: "0.0.0.0" }] }],
      ["::", containerType, { ports: [{ internal: 3003, ip: "::" }] }],
      ["every port", containerType, { publishAllPorts: true }],
      ["the host's network", containerType, { networkMode: "host" }],
      ["a service's port", serviceType, { endpointSpec: { ports: [{ publishedPort: 3003 }] } }],
      ...[
        "0",
        "0:0:0:0:0:0:0:0",
        "::ffff:0.0.0.0",
        "000.000.000.000",
        "0.0.0.1",
        "[::]",
        "*",
        "any",
      ].map((ip): Case => [
        `the address ${ip}`,
        containerType,
        { ports: [{ internal: 3003, ip }] },
      ]),
      [
        "a service on the host's network",
        serviceType,
        { taskSpec: { networksAdvanceds: [{ name: "host" }] } },
      ],
      ["the host's network by its name", containerType, { networksAdvanced: [{ name: "host" }] }],
    ],
    [
      ["no port", containerType, { networkMode: "bridge" }],
      ["an address", containerType, { ports: [{ internal: 3003, ip: "192.168.1.2" }] }],
      ["an address of IPv6", containerType, { ports: [{ internal: 3003, ip: "fd00::2" }] }],
      ["the machine's own", containerType, { ports: [{ internal: 3003, ip: "::1" }] }],
      ["a service without", serviceType, service({})],
    ],
  ],
  [
    "a health check",
    missingHealthCheck,
    [
      ["none", containerType, {}],
      ["switched off", containerType, { healthcheck: { tests: ["NONE"] } }],
      ["a shell without a command", containerType, { healthcheck: { tests: ["CMD-SHELL"] } }],
      ["an empty command", containerType, { healthcheck: { tests: ["CMD", " "] } }],
      ["a word that is no form", containerType, { healthcheck: { tests: ["true"] } }],
      ["a service without", serviceType, service({ image: digest })],
    ],
    [
      ["one", containerType, { healthcheck: { tests: ["CMD", "true"] } }],
      ["a service's", serviceType, service({ healthcheck: { tests: ["CMD", "true"] } })],
    ],
  ],
  [
    "images by id or digest",
    movingImage,
    [
      ["a tag", containerType, { image: "immich-machine-learning:release" }],
      ["a name", containerType, { image: "redis" }],
      ["a short id", containerType, { image: "sha256:0123" }],
      ["a service's tag", serviceType, service({ image: "redis:7" })],
    ],
    [
      ["an id", containerType, { image: digest }],
      ["a digest", containerType, { image: `redis:7@${digest}` }],
      ["a service's digest", serviceType, service({ image: `redis@${digest}` })],
    ],
  ],
  [
    "no plain secrets",
    plainSecrets,
    [
      ["a password", containerType, { envs: ["DB_PASSWORD=hunter2"] }],
      ["a token", containerType, { envs: ["HF_TOKEN=a=b"] }],
      ["a service's key", serviceType, service({ env: { API_KEY: "hunter2" } })],
      ["a command's", commandTypes[0]!, { environment: { immichApiKey: "hunter2" } }],
      ["a remote command's", commandTypes[1]!, { environment: { CLIENT_SECRET: "hunter2" } }],
    ],
    [
      ["an empty one", containerType, { envs: ["DB_PASSWORD="] }],
      ["a file's name", containerType, { envs: ["DB_PASSWORD_FILE=/run/secrets/p"] }],
      ["other variables", containerType, { envs: ["KEYBOARD=us", "TOKENIZERS_PARALLELISM=0"] }],
      ["none", serviceType, service({})],
      ["a command without", commandTypes[0]!, { create: "true" }],
    ],
  ],
];

describe.each(checks)("%s", (_name, check, bad, good) => {
  it.each(bad)("finds %s", (_what, type, props) => {
    const violations = check(type, props);
    expect(violations).toHaveLength(1);
    expect(violations[0]).not.toContain("hunter2");
  });
  it.each(good)("lets %s through", (_what, type, props) => {
    expect(check(type, props)).toEqual([]);
  });
});

describe("volumes", () => {
  const resource = (
    type: string,
    name: string,
    more: Partial<StackResource> = {},
  ): StackResource => ({
    type,
    name,
    urn: `urn:${name}`,
    props: {},
    isProtected: false,
    parentUrn: undefined,
    ...more,
  });
  const volume = "docker:index/volume:Volume";

  it("one that goes with the stack is named, one that is protected or kept by its component is not", () => {
    const cache = "immich-ml:index:ModelCache";
    const names = unkeptVolumes([
      resource(volume, "bare"),
      resource(volume, "protected", { isProtected: true }),
      resource(cache, "kept-cache", { props: { retained: true } }),
      resource(volume, "kept", { parentUrn: "urn:kept-cache" }),
      resource(cache, "lost-cache", { props: { retained: false } }),
      resource(volume, "lost", { parentUrn: "urn:lost-cache" }),
    ]).map(({ name }) => name);
    expect(names).toEqual(["bare", "lost"]);
  });
});

it("the demo's own container breaks none of it", async () => {
  const { resources } = await recordProgram("demo", {
    ...stackConfiguration("Pulumi.demo.yaml"),
    "immich-ml:databasePassword": "a password",
    "immich-ml:preflight": "off",
    "immich-ml:preset": "none",
  });
  const containers = resources.filter(({ type }) => type === containerType);
  expect(containers).not.toEqual([]);
  for (const { inputs } of containers) {
    for (const check of [privileges, openPorts, missingHealthCheck, plainSecrets]) {
      expect(check(containerType, inputs)).toEqual([]);
    }
  }
});
