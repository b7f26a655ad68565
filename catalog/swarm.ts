import type { Problem } from "../util/problem";
import { type AcceleratorName, accelerators } from "./accelerators";

/** Why a server cannot run as a service of a Docker Swarm. */
export function swarmProblems(server: {
  readonly accelerator: AcceleratorName;
  readonly endpointMode: "vip" | "dnsrr";
  /** Whether a port is open on the nodes. */
  readonly isPublished: boolean;
}): Problem[] {
  const { accelerator, endpointMode, isPublished } = server;
  const { devices } = accelerators[accelerator];
  const problems: Problem[] = [];
  if (devices.length > 0) {
    const expected = `needs the device nodes ${devices.join(", ")}, which Docker cannot pass to a service of a swarm; it must be cpu or cuda`;
    problems.push({ key: "accelerator", value: accelerator, expected });
  }
  if (isPublished && endpointMode === "dnsrr") {
    const expected =
      "must be vip where a port is published: Docker opens one for a virtual address only";
    problems.push({ key: "endpointMode", value: endpointMode, expected });
  }
  return problems;
}
