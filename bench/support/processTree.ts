import { readdirSync, readFileSync } from "node:fs";

/** Peak memory of a process and all that it started, in MB. */
export interface PeakMemory {
  /** Of all processes together at one moment. Shared memory counts in each. */
  readonly tree: number;
  /** Of the Node.js process that runs the program. */
  readonly program: number;
}

const pageSize = 4096;
const isProgram = (commandLine: string) => commandLine.includes("@pulumi/pulumi/cmd/run");

/** Measures the processes below `root` every 25 ms until `stop()`. Linux only. */
export function watchMemory(root: number): { stop(): PeakMemory } {
  let tree = 0;
  let program = 0;
  const look = () => {
    const processes = descendants(root);
    tree = Math.max(
      tree,
      processes.reduce((sum, { memory }) => sum + memory, 0),
    );
    for (const { commandLine, memory } of processes)
      if (isProgram(commandLine)) program = Math.max(program, memory);
  };
  const timer = setInterval(look, 25);
  return {
    stop() {
      clearInterval(timer);
      return { tree: tree / 1e6, program: program / 1e6 };
    },
  };
}

/**
 * Seconds of CPU time of this process's ended children and theirs. Unlike wall time it does not count
 * other work on the machine. Linux only.
 */
export function cpuTimeOfChildren(): number {
  const fields = statusOf("self");
  return (Number(fields[13]) + Number(fields[14])) / ticksPerSecond;
}

const ticksPerSecond = 100;

/** The fields of `/proc/<id>/stat` after the command's name, which may contain blanks. */
function statusOf(id: string): readonly string[] {
  return readFileSync(`/proc/${id}/stat`, "utf8")
    .replace(/^.*\) /s, "")
    .split(" ");
}

interface Process {
  readonly parent: number;
  readonly memory: number;
  readonly commandLine: string;
}

function descendants(root: number): Process[] {
  const all = new Map<number, Process>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const read = (file: string) => readFileSync(`/proc/${name}/${file}`, "utf8");
      const [, parent] = statusOf(name);
      const [, pages] = read("statm").split(" ");
      const commandLine = read("cmdline").replaceAll("\0", " ");
      const memory = Number(pages) * pageSize;
      all.set(Number(name), { parent: Number(parent), memory, commandLine });
    } catch {
      // It has ended.
    }
  }
  const belongs = (id: number): boolean =>
    id === root || (all.has(id) && belongs(all.get(id)!.parent));
  return [...all].filter(([id]) => belongs(id)).map(([, process]) => process);
}
