import type { HostSettings } from "../config/load";
import type { DockerInfo } from "../util/dockerAnswers";
import { type Diagnostic, error, warning } from "./diagnostics";

/** Checks whether the engine can limit the container as its entry asks, and log where it asks. */
export function checkLimits(host: HostSettings, docker: DockerInfo): Diagnostic[] {
  return [
    ...unknownLimits(host, docker),
    ...tooMuch(host, docker),
    ...(host.log && docker.logDrivers.length > 0 && !docker.logDrivers.includes(host.log.driver)
      ? [
          error(
            `log.driver is ${host.log.driver}, but Docker has ${docker.logDrivers.join(", ")} there`,
          ),
        ]
      : []),
  ];
}

/** Docker refuses a container for the first, and forgets the others. */
function unknownLimits({ limits }: HostSettings, { canLimit }: DockerInfo): Diagnostic[] {
  const names = ["cpus", "cpuset", "memory", "swap"] as const;
  return names
    .filter((name) => limits[name] !== undefined && !canLimit[name])
    .map((name) => {
      const what = `the host's kernel does not support limits.${name}`;
      return name === "cpus"
        ? error(`${what}, and Docker refuses the container: leave it out`)
        : warning(`${what}, so it has no effect`);
    });
}

function tooMuch({ limits }: HostSettings, { cores, memory }: DockerInfo): Diagnostic[] {
  const found: Diagnostic[] = [];
  const { cpus = 0, cpuset = "", memory: wanted = 0 } = limits;
  const last = Math.max(...cpuset.split(/[,-]/).map(Number));
  if (cores !== undefined && cpus > cores) {
    found.push(error(`limits.cpus is ${cpus}, but the host has ${cores} cores`));
  }
  if (cores !== undefined && last >= cores) {
    found.push(error(`limits.cpuset is ${cpuset}, but the host has the cores 0-${cores - 1}`));
  }
  if (memory !== undefined && wanted > memory) {
    found.push(warning(`limits.memory is ${wanted} MiB, but the host has ${memory} MiB`));
  }
  return found;
}
