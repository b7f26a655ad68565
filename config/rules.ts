import { type AcceleratorName, accelerators } from "../catalog/accelerators";

/*
 * Rules that hold for a stack file and for a component used alone. Each returns what is wrong with a
 * value, without naming it, or nothing.
 */

export const httpUrlAllowed = "a URL that begins with http:// or https://";

export function isHttpUrl(value: string): boolean {
  return /^https?:\/\/[^\s/]\S*$/.test(value) && URL.canParse(value);
}

/** Linux passes no single argument or environment variable longer than this. */
const maxCertificateLength = 128 * 1024;

/** A certificate for an image build, in PEM form. */
export function certificateProblem(pem: string): string | undefined {
  if (!pem.includes("-----BEGIN CERTIFICATE-----")) {
    return "is not PEM text: it has no line BEGIN CERTIFICATE";
  }
  if (pem.length < maxCertificateLength) return undefined;
  return (
    `has ${pem.length} characters, at most ${maxCertificateLength} are possible: ` +
    "give the one certificate that is missing, not the whole bundle"
  );
}

/** Which NVIDIA GPUs a container is given. */
export function gpuProblem(
  gpus: object | undefined,
  accelerator: AcceleratorName,
): string | undefined {
  if (!gpus) return undefined;
  if (accelerator !== "cuda") return `is for accelerator cuda only, not ${accelerator}`;
  const given = Object.values(gpus).filter((value: unknown) => value !== undefined);
  return given.length === 1 ? undefined : "must be one of count, ids, cdi";
}

/** Whether a service of a swarm can be given the accelerator. */
export function serviceAcceleratorProblem(accelerator: AcceleratorName): string | undefined {
  const { devices } = accelerators[accelerator];
  return devices.length === 0
    ? undefined
    : `needs the device nodes ${devices.join(", ")}, which Docker gives to no service of a swarm: it must be cpu or cuda, or run in a container on each machine (placement: container)`;
}

/** Whether a service that publishes a port can be reached in this way. */
export function endpointModeProblem(
  endpointMode: string | undefined,
  isPublished: boolean,
): string | undefined {
  return isPublished && endpointMode === "dnsrr"
    ? "must be vip where a port is published: a port is opened for a virtual address only"
    : undefined;
}
