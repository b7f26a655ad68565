import { type AcceleratorName, accelerators } from "./accelerators";

/** What of a machine-learning server a service of a Docker Swarm cannot have. */
export interface SwarmProblem {
  /** The setting's name. */
  readonly setting: "accelerator" | "endpointMode";
  readonly value: string;
  /** What is allowed, and why. */
  readonly message: string;
}

/** Why a server cannot run as a service of a Docker Swarm. */
export function swarmProblems(server: {
  readonly accelerator: AcceleratorName;
  readonly endpointMode: "vip" | "dnsrr";
  /** Whether a port is open on the nodes. */
  readonly isPublished: boolean;
}): SwarmProblem[] {
  const { accelerator, endpointMode, isPublished } = server;
  const { devices } = accelerators[accelerator];
  const problems: SwarmProblem[] = [];
  if (devices.length > 0) {
    const message = `needs the device nodes ${devices.join(", ")}, which Docker gives to no service of a swarm; it must be cpu or cuda`;
    problems.push({ setting: "accelerator", value: accelerator, message });
  }
  if (isPublished && endpointMode === "dnsrr") {
    const message =
      "must be vip where a port is published: Docker opens one for a virtual address only";
    problems.push({ setting: "endpointMode", value: endpointMode, message });
  }
  return problems;
}
