import { expect, it } from "vitest";

import type { HostSettings, Settings } from "../../config/load";
import { preflight } from "../../preflight";
import { checkHost } from "../../preflight/hostChecks";
import { parseProbe } from "../../preflight/hostProbe";
import { DockerClient } from "../../util/docker";
import { parseDockerInfo } from "../../util/dockerAnswers";
import type { Run } from "../../util/run";

/*
 * Machines as people have them: what docker info and the machine answer, and what the preflight says.
 */

const debian = {
  ServerVersion: "27.5.1",
  Architecture: "x86_64",
  Runtimes: { runc: {} },
  DockerRootDir: "/var/lib/docker",
  OperatingSystem: "Debian GNU/Linux 12 (bookworm)",
};
const withToolkit = { ...debian, Runtimes: { nvidia: {}, runc: {} } };
const rootless = { ...debian, SecurityOptions: ["name=seccomp,profile=builtin", "name=rootless"] };

const [uuid, otherUuid] = [
  "GPU-8e5e22a2-43f2-1f6d-52f6-0d3bb5e0a5f4",
  "GPU-0c1f7f0e-11aa-2bb3-44cc-55dd66ee77ff",
];
const gtx750ti = `nvidia 0, ${uuid}, NVIDIA GeForce GTX 750 Ti, 570.133.07, 2048, 5.0`;
const gtx1070 = `nvidia 1, ${otherUuid}, NVIDIA GeForce GTX 1070, 570.133.07, 8192, 6.1`;
const machine = (...lines: string[]) =>
  ["free 52428800", "toolkit nvidia-ctk", ...lines, "nvidia-exit 0"].join("\n");

const attic = {
  name: "attic",
  dockerHost: "unix:///var/run/docker.sock",
  accelerator: "cuda",
  gpu: { name: "GeForce GTX 750 Ti", computeCapability: "5.0", videoMemory: 2048 },
  image: { kind: "legacy", gpuFamily: "kepler-maxwell" },
  containerName: "immich_machine_learning",
  cache: { kind: "volume", volume: "model-cache", keep: true },
  hardening: {},
  limits: {},
  network: "immich_default",
};

it.each([
  [
    "only nvidia-ctk, and Docker without it",
    debian,
    machine(gtx750ti),
    {},
    /nvidia-ctk.*neither its runtime nor its hook nor its CDI devices: sudo nvidia-ctk runtime configure/,
  ],
  [
    "the same on rootless Docker",
    rootless,
    machine(gtx750ti),
    {},
    /--config=\$HOME\/\.config\/docker\/daemon\.json.*no-cgroups/,
  ],
  [
    "Docker 20.10.3",
    { ...withToolkit, ServerVersion: "20.10.3" },
    machine(gtx750ti),
    {},
    /Docker 20\.10\.3 is too old; 20\.10\.10/,
  ],
  [
    "two cards, the second one meant",
    withToolkit,
    machine(gtx750ti, gtx1070),
    { gpu: { name: "GeForce GTX 1070", computeCapability: "6.1", videoMemory: 8192 } },
    /gpus: \{ ids: \[1\] \}/,
  ],
  [
    "a UUID of no card",
    withToolkit,
    machine(gtx750ti),
    { gpus: { ids: ["GPU-ffffffff"] } },
    /gpus\.ids names GPU-ffffffff, but the host has 0 \(NVIDIA GeForce GTX 750 Ti\)/,
  ],
  [
    "no devices were found",
    withToolkit,
    "free 52428800\ntoolkit nvidia-ctk\nnvidia No devices were found\nnvidia-exit 6",
    {},
    /nvidia-driver, not nvidia-open/,
  ],
  [
    "Docker from the snap store",
    { ...debian, DockerRootDir: "/var/snap/docker/common/var-lib-docker" },
    machine(gtx750ti),
    {},
    /snap store does not see the machine's NVIDIA Container Toolkit/,
  ],
  [
    "Podman 4.9",
    { ...debian, ServerVersion: "4.9.3", DockerRootDir: "/var/lib/containers/storage" },
    machine(gtx750ti),
    {},
    /Podman 4\.9\.3 answers .*, not Docker: .*set gpus: \{ cdi:/,
  ],
  [
    "Podman 5 whose storage was moved",
    {
      ...debian,
      ServerVersion: "5.2.2",
      DockerRootDir: "/mnt/tank/podman",
      ProductLicense: "Apache-2.0",
    },
    machine(gtx750ti),
    {},
    /Podman 5\.2\.2 answers .*, not Docker: .*set gpus: \{ cdi:/,
  ],
  [
    "an image of one's own on a Jetson",
    { ...debian, Architecture: "aarch64", Runtimes: { nvidia: {}, runc: {} } },
    "free 52428800\nnvidia-exit 127",
    { image: { kind: "given", reference: "me/ml@sha256:0" } },
    /^the machine is \S+ and nvidia-smi does not answer there, so its GPU was not checked.*yours$/,
  ],
  [
    "a Synology, whose kernel limits no CPU time",
    { ...withToolkit, CpuCfsQuota: false },
    machine(gtx750ti),
    { limits: { cpus: 2 } },
    /^the host's kernel does not support limits\.cpus, and Docker refuses the container: leave it out$/,
  ],
  [
    "a Raspberry Pi without the memory cgroup",
    { ...withToolkit, MemoryLimit: false },
    machine(gtx750ti),
    { limits: { memory: 2048 } },
    /does not support limits\.memory, so it has no effect/,
  ],
  [
    "more cores than there are",
    { ...withToolkit, NCPU: 4 },
    machine(gtx750ti),
    { limits: { cpus: 8, cpuset: "0-3" } },
    /^limits\.cpus is 8, but the host has 4 cores$/,
  ],
  [
    "a core that is not there",
    { ...withToolkit, NCPU: 4 },
    machine(gtx750ti),
    { limits: { cpuset: "0,2-7" } },
    /limits\.cpuset is 0,2-7, but the host has the cores 0-3/,
  ],
  [
    "more memory than there is",
    { ...withToolkit, MemTotal: 8 * 1024 ** 3 },
    machine(gtx750ti),
    { limits: { memory: 16384 } },
    /limits\.memory is 16384 MiB, but the host has 8192 MiB/,
  ],
  [
    "a log driver that Docker does not have there",
    { ...withToolkit, Plugins: { Log: ["json-file", "local"] } },
    machine(gtx750ti),
    { log: { driver: "journald" } },
    /log\.driver is journald, but Docker has json-file, local there/,
  ],
  [
    "Windows containers",
    { ...withToolkit, OSType: "windows" },
    machine(gtx750ti),
    {},
    /switch Docker Desktop to Linux containers/,
  ],
  [
    "a CDI device that nothing describes",
    { ...debian, ServerVersion: "28.3.0", CDISpecDirs: ["/etc/cdi"] },
    machine(gtx750ti),
    { gpus: { cdi: ["nvidia.com/gpu=0"] } },
    /does not know the CDI device nvidia\.com\/gpu=0 \(it has none\).*nvidia-ctk cdi generate/,
  ],
  [
    "Podman before CDI",
    { ...debian, ServerVersion: "3.4.4", DockerRootDir: "/var/lib/containers/storage" },
    machine(gtx750ti),
    { image: undefined, gpus: { cdi: ["nvidia.com/gpu=0"] } },
    /^Podman 3\.4\.4 answers .*CDI devices need Podman 4\.1 or newer: update it$/,
  ],
  [
    "rootless Podman and OpenVINO's rule for USB",
    { ...rootless, ServerVersion: "5.4.0", DockerRootDir: "/home/pi/.local/containers/storage" },
    "free 52428800\npath /dev/dri\nrender /dev/dri/renderD128\nnvidia-exit 127",
    { accelerator: "openvino", gpu: undefined, image: undefined },
    /^Podman 5\.4\.0 answers .*set renderNode: \/dev\/dri\/renderD128$/,
  ],
])("%s: says what to do", (_what, docker, probed, more, expected) => {
  expect(said(docker, probed, more)).toMatch(expected);
});

it.each<readonly [what: string, docker: object, probed: string, more: object]>([
  [
    "a build of Docker of one's own",
    { ...withToolkit, ServerVersion: "dev" },
    machine(gtx750ti),
    {},
  ],
  ["Docker 20.10.10", { ...withToolkit, ServerVersion: "20.10.10" }, machine(gtx750ti), {}],
  [
    "a card whose infoROM is damaged",
    withToolkit,
    [
      "free 52428800\ntoolkit nvidia-ctk",
      gtx750ti,
      "nvidia WARNING: infoROM is corrupted at gpu 0000:01:00.0",
      "nvidia-exit 14",
    ].join("\n"),
    {},
  ],
  [
    "Docker that knows crun, too",
    {
      ...withToolkit,
      ServerVersion: "27.3.1",
      Runtimes: { crun: {}, "io.containerd.runc.v2": {}, nvidia: {}, runc: {} },
    },
    machine(gtx750ti),
    {},
  ],
  ["the beginning of a UUID", withToolkit, machine(gtx750ti), { gpus: { ids: ["GPU-8e5e22a2"] } }],
  [
    "CDI devices alone",
    {
      ...debian,
      ServerVersion: "29.0.2",
      CDISpecDirs: ["/etc/cdi"],
      DiscoveredDevices: [{ Source: "cdi", ID: "nvidia.com/gpu=0" }],
    },
    machine(gtx750ti),
    {},
  ],
  ...["MIG-4e5e22a2-43f2-1f6d-52f6-0d3bb5e0a5f4", `MIG-${uuid}/1/0`, "0:1"].map(
    (id) =>
      [
        `the part ${id} of a card`,
        withToolkit,
        machine(`nvidia 0, ${uuid}, NVIDIA A100-PCIE-40GB, 570.133.07, 40960, 8.0`),
        { gpu: undefined, image: { kind: "given", reference: "me/ml:1" }, gpus: { ids: [id] } },
      ] as const,
  ),
  [
    "Docker beside crun",
    { ...withToolkit, Runtimes: { crun: {}, nvidia: {}, runc: {} } },
    machine(gtx750ti),
    {},
  ],
])("%s: is nothing to complain about", (_what, docker, probed, more) => {
  expect(said(docker, probed, more)).toBe("");
});

it("a storage driver that copies every layer, and Podman under any storage, are named", () => {
  expect(said({ ...withToolkit, Driver: "vfs" }, machine(gtx750ti), {})).toMatch(/vfs .*overlay2/);
  const podman = { ...withToolkit, ServerVersion: "4.9.3", Runtimes: { runc: {} } };
  expect(said(podman, machine(gtx750ti), {})).toMatch(/^Podman 4\.9\.3 answers/);
});

/** How an engine's failure is told, by what the docker client prints. */
const failure = async (stderr: string) => {
  const run: Run = () => Promise.resolve({ code: 1, stdout: "", stderr });
  return new DockerClient({ dockerHost: "ssh://pi@box" }, run).info();
};

it("an ssh key that is not accepted is told as that, and not as the group docker", async () => {
  const found = await failure(
    "error during connect: Get http://docker.example.com/v1.41/info: command [ssh -l pi -- box docker system dial-stdio] has exited with exit status 255, please make sure the URL is valid, and Docker 18.09 or later is installed on the remote host: stderr=pi@box: Permission denied (publickey,password).",
  );
  expect(found).toMatchObject({ ok: false, message: expect.stringMatching(/key/) as string });
  expect((found as { message: string }).message).not.toContain("group docker");
  expect((found as { unreachable?: boolean }).unreachable).not.toBe(true);
});

it.each([
  ["Unable to negotiate with 192.168.1.5 port 22: no matching host key type found.", /\+ssh-rsa/],
  ["bash: line 1: docker: command not found", /finds no docker .*ln -s/],
  ["docker: 'system dial-stdio' is not a docker command.", /18\.09 or newer/],
  ["sudo: a terminal is required to read the password", /may not run commands/],
  ["Your password has expired. Password change required but no TTY available.", /with that user/],
  ['exec: "ssh": executable file not found in $PATH', /ssh, which is not installed/],
  ["http: server gave HTTP response to HTTPS client", /does not use TLS: leave tls out/],
  ["pi@box: Permission denied (gssapi-keyex,publickey).", /needs a key/],
  ["Host key verification failed.", /connect once by hand/],
])("a mistake on the way to the engine is no machine that is off: %s", async (stderr, expected) => {
  const found = await failure(
    `error during connect: Get http://docker.example.com/v1.41/info: command [ssh -l pi -- box docker system dial-stdio] has exited with exit status 255, please make sure the URL is valid, and Docker 18.09 or later is installed on the remote host: stderr=${stderr}`,
  );
  expect(found).toMatchObject({ ok: false, message: expect.stringMatching(expected) as string });
  expect((found as { unreachable?: boolean }).unreachable).not.toBe(true);
});

it("a client that is too old is a mistake, and its host is not off", async () => {
  const found = await failure(
    "Error response from daemon: client version 1.41 is too old. Minimum supported API version is 1.44, please upgrade your client to a newer version",
  );
  expect(found).toMatchObject({ ok: false, message: expect.stringMatching(/client/) as string });
  expect((found as { unreachable?: boolean }).unreachable).not.toBe(true);
});

it("a name that no machine has is told apart from a machine that is off", async () => {
  const found = await failure(
    "error during connect: Get http://docker.example.com/v1.41/info: command [ssh -l pi -- towr docker system dial-stdio] has exited with exit status 255, please make sure the URL is valid, and Docker 18.09 or later is installed on the remote host: stderr=ssh: Could not resolve hostname towr: Name or service not known",
  );
  expect(found).toMatchObject({ ok: false, unresolved: true });
});

/** The preflight of two hosts, where nobody knows the name of the second. */
function withMistypedName(hostsSetUp: readonly string[]) {
  const run: Run = (program, parameters, options) => {
    const isSecond = options?.environment?.["DOCKER_HOST"] === "ssh://root@towr";
    if (isSecond) {
      const stderr = "stderr=ssh: Could not resolve hostname towr: Name or service not known";
      return Promise.resolve({ code: 1, stdout: "", stderr });
    }
    const probed = `${machine(gtx750ti)}\nno ipv6`;
    const answers: Record<string, string> = {
      info: JSON.stringify(withToolkit),
      network: "bridge\nimmich_default",
      volume: '[{"Name":"model-cache"}]',
    };
    const stdout = program === "docker" ? (answers[parameters[0]!] ?? "") : probed;
    return Promise.resolve({ code: 0, stdout, stderr: "" });
  };
  const second = { ...attic, name: "tower", dockerHost: "ssh://root@towr" };
  const settings = { project: "p", stack: "s", preflight: "enforce", hosts: [attic, second] };
  return preflight(settings as unknown as Settings, run, () =>
    Promise.resolve(new Set(hostsSetUp)),
  );
}

it("a mistyped name is a mistake at first, and off once the host was set up", async () => {
  await expect(withMistypedName(["attic"])).rejects.toThrow(
    /tower: the host name in ssh:\/\/root@towr cannot be resolved: correct dockerHost/,
  );
  const found = await withMistypedName(["attic", "tower"]);
  expect([...found.unreachableHosts]).toEqual(["tower"]);
});

it("a kernel without IPv6 is told to the container", async () => {
  const { hostsWithoutIpv6 } = await withMistypedName(["tower"]);
  expect([...hostsWithoutIpv6!]).toEqual(["attic"]);
});

function said(docker: object, probed: string, more: object): string {
  const info = parseDockerInfo(JSON.stringify(docker))!;
  const host = { ...attic, ...more } as unknown as HostSettings;
  const found = checkHost(host, { docker: info, machine: { ok: true, value: parseProbe(probed) } });
  return found.map(({ message }) => message).join("\n");
}
