import { accelerators } from "../catalog/accelerators";
import type { Run } from "../util/run";
import { lines } from "./docker";
import {
  type NvidiaAnswer,
  nvidiaFields,
  nvidiaFieldsOfOldDrivers,
  parseNvidiaSmi,
} from "./nvidia";

/** What was seen on the machine an engine runs on. */
export interface HostInfo {
  /** Paths of the host that accelerators need or can use, as far as they exist. */
  readonly paths: readonly string[];
  /** Whether /dev/dri has a render node. */
  readonly hasRenderNode: boolean;
  readonly nvidia: NvidiaAnswer;
  /** Programs of the NVIDIA Container Toolkit that were found. */
  readonly toolkit: readonly string[];
  /** GiB free where the engine keeps its images. */
  readonly freeDisk: number | undefined;
}

/** Every path of a host that some accelerator names. */
const interestingPaths = [
  ...new Set(
    Object.values(accelerators).flatMap((accelerator) => [
      ...accelerator.devices,
      ...accelerator.mounts.map((mount) => mount.hostPath),
      ...accelerator.prerequisites.flatMap((prerequisite) => prerequisite.path ?? []),
    ]),
  ),
];

/**
 * How a command is run on the machine behind an endpoint: directly for `unix://`, by ssh for
 * `ssh://`, not at all for `tcp://`, which leads to the engine and nothing else.
 */
export function shellOn(endpoint: string): readonly [string, ...string[]] | undefined {
  if (endpoint.startsWith("unix://")) return ["sh", "-s"];
  if (!endpoint.startsWith("ssh://")) return undefined;
  const { username, hostname, port } = new URL(endpoint);
  const target = username ? `${decodeURIComponent(username)}@${hostname}` : hostname;
  const portOption = port ? ["-p", port] : [];
  // Nobody is there to answer a question.
  const quiet = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=10"];
  return ["ssh", ...quiet, ...portOption, "--", target, "sh", "-s"];
}

/**
 * Looks at the machine behind an endpoint: one short shell script that only reads. Needs nothing
 * pulled and no container started.
 *
 * @returns nothing where the machine cannot be looked at
 */
export async function probeHost(
  endpoint: string,
  dockerRoot: string,
  run: Run,
): Promise<HostInfo | undefined> {
  const shell = shellOn(endpoint);
  if (!shell) return undefined;
  const [program, ...parameters] = shell;
  const result = await run(program, parameters, { stdin: probeScript(dockerRoot) });
  return result.code === 0 ? parseProbe(result.stdout) : undefined;
}

/** The script; each line of its output begins with what the line is about. */
export function probeScript(dockerRoot: string): string {
  const query = (fields: string) =>
    `nvidia-smi --query-gpu=${fields} --format=csv,noheader,nounits 2>&1`;
  return [
    // WSL2 keeps the driver's programs apart.
    'PATH="$PATH:/usr/sbin:/sbin:/usr/lib/wsl/lib"',
    `for path in ${interestingPaths.map(quoted).join(" ")}; do [ ! -e "$path" ] || echo "path $path"; done`,
    'for node in /dev/dri/renderD*; do [ ! -e "$node" ] || echo "render $node"; done',
    'for program in nvidia-container-runtime-hook nvidia-container-runtime nvidia-ctk; do ! command -v "$program" >/dev/null || echo "toolkit $program"; done',
    `df -Pk -- ${quoted(dockerRoot)} 2>/dev/null | awk 'NR == 2 { print "free", $4 }'`,
    "if command -v nvidia-smi >/dev/null; then",
    `  output=$(${query(nvidiaFields)}); code=$?`,
    `  case $output in *"not a valid field"*) output=$(${query(nvidiaFieldsOfOldDrivers)}); code=$? ;; esac`,
    '  printf "%s\\n" "$output" | sed "s/^/nvidia /"; echo "nvidia-exit $code"',
    "else echo nvidia-exit 127; fi",
    "",
  ].join("\n");
}

/** Reads what the script printed. */
export function parseProbe(output: string): HostInfo {
  const about = (subject: string) =>
    lines(output)
      .filter((line) => line.startsWith(`${subject} `))
      .map((line) => line.slice(subject.length + 1));
  const [free] = about("free");
  return {
    paths: about("path"),
    hasRenderNode: about("render").length > 0,
    toolkit: about("toolkit"),
    nvidia: parseNvidiaSmi(about("nvidia").join("\n"), Number(about("nvidia-exit")[0] ?? 127)),
    freeDisk: free === undefined ? undefined : Number(free) / 1024 / 1024,
  };
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
