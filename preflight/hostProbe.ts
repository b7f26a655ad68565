import { accelerators } from "../catalog/accelerators";
import type { HostSettings } from "../config/load";
import type { EngineAddress } from "../util/dockerClient";
import type { Run } from "../util/run";
import { type Answer, DockerClient, lines, reasonOf, timeout, unanswered } from "../util/docker";
import type { DockerInfo } from "../util/dockerAnswers";
import {
  type NvidiaGpu,
  nvidiaFields,
  nvidiaFieldsOfOldDrivers,
  nvidiaTimeout,
  parseNvidiaSmi,
} from "./nvidia";

/** A host: its Docker engine and the machine under it. */
export interface HostInfo {
  readonly docker: DockerInfo;
  /** Undefined behind `tcp://`, which leads to the engine and nothing else. */
  readonly machine: Answer<MachineInfo> | undefined;
}

export interface MachineInfo {
  /** Those of the accelerators' paths that exist. */
  readonly paths: readonly string[];
  /** The render nodes in /dev/dri. */
  readonly renderNodes: readonly string[];
  /** Whether the kernel knows IPv6 at all. */
  readonly hasIpv6: boolean;
  /** Whether systemd can find NVIDIA's devices by their numbers; true without such devices. */
  readonly hasCardLinks: boolean;
  readonly nvidia: Answer<readonly NvidiaGpu[]>;
  /** The programs of the NVIDIA Container Toolkit that exist. */
  readonly toolkit: readonly string[];
  /** GiB free where the engine keeps its images. */
  readonly freeDisk: number | undefined;
  /** The folder of the cache, or why it is not known; undefined where the cache is a volume. */
  readonly cacheFolder?:
    FolderInfo | "absent" | "no parent" | "no folder" | "unreadable" | undefined;
  /** Its SELinux label, such as `unconfined_u:object_r:mnt_t:s0`; undefined where there is none. */
  readonly cacheLabel?: string | undefined;
}

/** Who may do what in a folder. */
export interface FolderInfo {
  readonly owner: number;
  readonly group: number;
  /** Permission bits, such as 0o755. */
  readonly mode: number;
}

/** What leads to a host, and what is asked there beside the usual. */
export type Probed = EngineAddress & Partial<Pick<HostSettings, "cache">>;

/** Asks a host's engine and its machine everything that the checks need. Changes nothing. */
export async function probeHost(address: Probed, run: Run): Promise<Answer<HostInfo>> {
  const info = await new DockerClient(address, run).info();
  if (!info.ok) return info;
  const docker = info.value;
  return { ok: true, value: { docker, machine: await probeMachine(address, docker.root, run) } };
}

/** One short script that only reads: nothing is pulled and no container started. */
async function probeMachine(
  { dockerHost, cache }: Probed,
  dockerRoot: string,
  run: Run,
): Promise<Answer<MachineInfo> | undefined> {
  const shell = shellOn(dockerHost);
  if (!shell) return undefined;
  const [program, ...parameters] = shell;
  const result = await run(program, parameters, {
    stdin: probeScript(dockerRoot, cache?.kind === "folder" ? cache.path : undefined),
    timeout,
  });
  // All but nvidia-smi has answered: not even SIGKILL ends it while its driver hangs.
  const hangs = result.code === 124 && /^ask nvidia-smi$/m.test(result.stdout);
  if (result.code === 0 || hangs) return { ok: true, value: parseProbe(result.stdout) };
  const cure = program === "ssh" ? `: make sure that ssh ${parameters.at(-3)} true works` : "";
  return unanswered(
    `the machine of ${dockerHost} could not be probed (${reasonOf(result)})${cure}`,
  );
}

/** A shell on the machine of an engine: by ssh for `ssh://`, none for `tcp://`. */
export function shellOn(endpoint: string): readonly [string, ...string[]] | undefined {
  const runner = process.env["IMMICH_ML_RUNNER"];
  if (endpoint.startsWith("unix://")) return runner ? shellOutOf(runner, endpoint) : ["sh", "-s"];
  if (!endpoint.startsWith("ssh://")) return undefined;
  const { username, hostname, port } = new URL(endpoint);
  const target = username ? `${decodeURIComponent(username)}@${hostname}` : hostname;
  const portOption = port ? ["-p", port] : [];
  // Nobody is there to type a password.
  const quiet = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=10"];
  return ["ssh", ...quiet, ...portOption, "--", target, "sh", "-s"];
}

/**
 * In the runner of ./immich-ml the machine is the one outside: a container that is thrown away sees its
 * files, devices and driver.
 */
function shellOutOf(runner: string, endpoint: string): readonly [string, ...string[]] {
  const container = ["--rm", "--interactive", "--privileged", "--pid", "host", "--userns", "host"];
  const machine = ["--network", "none", "--volume", "/:/machine:ro", "--entrypoint", "chroot"];
  return [
    "docker",
    "--host",
    endpoint,
    "run",
    ...container,
    ...machine,
    runner,
    "/machine",
    "sh",
    "-s",
  ];
}

/** Every path of a host that an accelerator names. */
const acceleratorPaths = [
  ...new Set(
    Object.values(accelerators).flatMap(({ devices, mounts, prerequisites }) => [
      ...devices,
      ...mounts.map(({ hostPath }) => hostPath),
      ...prerequisites.flatMap(({ path }) => path ?? []),
    ]),
  ),
];

/** The script. Each line of its output begins with what it is about. */
export function probeScript(dockerRoot: string, cacheFolder?: string): string {
  const query = (fields: string) =>
    `$limit nvidia-smi --query-gpu=${fields} --format=csv,noheader,nounits 2>&1`;
  return [
    // WSL2 keeps the driver's programs apart.
    'PATH="$PATH:/usr/sbin:/sbin:/usr/lib/wsl/lib"',
    `for path in ${acceleratorPaths.map(quoted).join(" ")}; do [ ! -e "$path" ] || echo "path $path"; done`,
    'for node in /dev/dri/renderD*; do [ ! -e "$node" ] || echo "render $node"; done',
    '[ ! -r /proc/net ] || [ -e /proc/net/if_inet6 ] || echo "no ipv6"',
    '[ ! -e /dev/nvidiactl ] || [ -e /dev/char/195:255 ] || echo "no card links"',
    'for program in nvidia-container-runtime-hook nvidia-container-runtime nvidia-ctk; do ! command -v "$program" >/dev/null || echo "toolkit $program"; done',
    `df -Pk -- ${quoted(dockerRoot)} 2>/dev/null | awk 'NR == 2 { print "free", $4 }'`,
    ...(cacheFolder === undefined ? [] : [folderQuestion(quoted(cacheFolder))]),
    "if command -v nvidia-smi >/dev/null; then",
    // BusyBox before 1.30 has another syntax.
    `  limit="timeout ${nvidiaTimeout}"; $limit true 2>/dev/null || limit=`,
    "  echo ask nvidia-smi",
    `  output=$(${query(nvidiaFields)}); code=$?`,
    `  case $output in *"not a valid field"*) output=$(${query(nvidiaFieldsOfOldDrivers)}); code=$? ;; esac`,
    '  printf "%s\\n" "$output" | sed "s/^/nvidia /"; echo "nvidia-exit $code"',
    "else echo nvidia-exit 127; fi",
    "",
  ].join("\n");
}

function folderQuestion(folder: string): string {
  return [
    `folder=${folder}`,
    'if [ -d "$folder" ]; then echo "folder $(stat -L -c "%u %g %a" -- "$folder" 2>/dev/null || echo unreadable)"; echo "label $(stat -L -c %C -- "$folder" 2>/dev/null)"',
    'elif [ -e "$folder" ]; then echo "folder no folder"',
    'elif [ -d "$(dirname -- "$folder")" ]; then echo "folder absent"; else echo "folder no parent"; fi',
  ].join("; ");
}

function folderIn(answer: string | undefined): MachineInfo["cacheFolder"] {
  const [, owner, group, mode] = /^(\d+) (\d+) ([0-7]+)$/.exec(answer ?? "") ?? [];
  if (mode !== undefined) {
    return { owner: Number(owner), group: Number(group), mode: Number.parseInt(mode, 8) };
  }
  const states = ["absent", "no parent", "no folder"] as const;
  return answer === undefined
    ? undefined
    : (states.find((state) => state === answer) ?? "unreadable");
}

/** Reads what the script printed. Without the last line nvidia-smi did not end in time. */
export function parseProbe(output: string): MachineInfo {
  const about = (subject: string) =>
    lines(output)
      .filter((line) => line.startsWith(`${subject} `))
      .map((line) => line.slice(subject.length + 1));
  const [free] = about("free");
  const [folder] = about("folder");
  const [label] = about("label").filter((text) => /^\w+:\w+:\w+:/.test(text));
  return {
    paths: about("path"),
    renderNodes: about("render"),
    hasIpv6: !lines(output).includes("no ipv6"),
    hasCardLinks: !lines(output).includes("no card links"),
    toolkit: about("toolkit"),
    nvidia: parseNvidiaSmi(about("nvidia").join("\n"), Number(about("nvidia-exit")[0] ?? 124)),
    freeDisk: free === undefined ? undefined : Number(free) / 1024 / 1024,
    cacheFolder: folderIn(folder),
    ...(label !== undefined && { cacheLabel: label }),
  };
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
