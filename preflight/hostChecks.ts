import { type Accelerator, accelerators } from "../catalog/accelerators";
import { legacyArchitectures } from "../catalog/gpuFamilies";
import type { HostSettings } from "../config/load";
import { checkCacheFolder } from "./cacheChecks";
import { type Check, checkAnswer, type Diagnostic, error, runChecks, warning } from "./diagnostics";
import type { DockerInfo } from "../util/dockerAnswers";
import type { HostInfo, MachineInfo } from "./hostProbe";
import { isVersionAtLeast } from "./nvidia";
import { checkGpus, usesOfficialImage } from "./nvidiaChecks";

/** The oldest engine the program was tried on; device requests for GPUs need 19.03. */
const minimumEngineVersion = "20.10";

/** Checks whether a host can run what its entry asks for. */
export function checkHost(host: HostSettings, { docker, machine }: HostInfo): Diagnostic[] {
  const accelerator = accelerators[host.accelerator];
  const subject = { host, accelerator, docker };
  const folder = checkCacheFolder(host, docker, machine?.ok ? machine.value : undefined);
  const engine = [...runChecks(engineChecks, subject), ...(folder ? [folder] : [])];
  if (machine?.ok) {
    return [...engine, ...runChecks(machineChecks, { ...subject, machine: machine.value })];
  }
  const needsMachine = accelerator.prerequisites.length > 0;
  if (machine) return [...engine, (needsMachine ? error : warning)(machine.message)];
  if (!needsMachine) return engine;
  const unchecked = `${host.dockerHost} leads to the engine only, so the ${accelerator.title} of its machine was not checked`;
  return [...engine, warning(unchecked)];
}

interface EngineSubject {
  readonly host: HostSettings;
  readonly accelerator: Accelerator;
  readonly docker: DockerInfo;
}

const engineChecks: readonly Check<EngineSubject>[] = [
  ({ docker }) =>
    !isVersionAtLeast(docker.version, minimumEngineVersion) &&
    error(
      `Docker ${docker.version} is too old; ${minimumEngineVersion} or newer is needed: https://docs.docker.com/engine/install`,
    ),
  ({ host }) =>
    host.dockerHost.startsWith("tcp://") &&
    host.tls === undefined &&
    warning(
      `${host.dockerHost} is not encrypted and asks for no key: whoever reaches it has root on that machine. Set tls, or use ssh:// (https://docs.docker.com/engine/security/protect-access)`,
    ),
  ({ host, accelerator, docker }) => {
    const architectures = architecturesOf(host, accelerator);
    if (!architectures || architectures.includes(docker.architecture)) return undefined;
    return error(
      `the machine is ${docker.architecture}, but the image for ${accelerator.name} exists only for ${architectures.join(" and ")}`,
    );
  },
  ({ host, docker }) =>
    host.gpus?.cdi &&
    !docker.hasCdi &&
    error(
      `gpus.cdi needs Docker 25 or newer with the Container Device Interface switched on; this is ${docker.version}: https://docs.docker.com/build/building/cdi`,
    ),
];

/** Undefined for an image of the user's own, of which nothing is known. */
function architecturesOf(
  host: HostSettings,
  accelerator: Accelerator,
): readonly string[] | undefined {
  if (host.image?.kind === "legacy") return legacyArchitectures;
  return usesOfficialImage(host) ? accelerator.architectures : undefined;
}

interface MachineSubject extends EngineSubject {
  readonly machine: MachineInfo;
}

const machineChecks: readonly Check<MachineSubject>[] = [
  ({ accelerator, machine }) =>
    accelerator.prerequisites
      .filter(({ path }) => path !== undefined && !machine.paths.includes(path))
      .map(({ what, fix }) => error(`${what} is missing: ${fix}`)),
  ({ accelerator, machine }) =>
    accelerator.prerequisites.some(
      ({ path, needsRenderNode }) => needsRenderNode && path && machine.paths.includes(path),
    ) &&
    !machine.hasRenderNode &&
    error(
      "/dev/dri has no render node (renderD128): the kernel's driver does not serve this GPU; a newer kernel may",
    ),
  ({ accelerator, docker, machine }) =>
    accelerator.gpuRequest?.driver === "nvidia" &&
    !docker.runtimes.includes("nvidia") &&
    !docker.cdiDevices.some((device) => device.startsWith("nvidia.com/")) &&
    machine.toolkit.length === 0 &&
    error(
      "the NVIDIA Container Toolkit is missing: https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html",
    ),
  ({ host, accelerator, machine }) =>
    accelerator.gpuRequest?.driver === "nvidia" &&
    checkAnswer(machine.nvidia, (gpus) => checkGpus(host, gpus)),
  ({ accelerator, docker, machine: { freeDisk } }) =>
    freeDisk !== undefined &&
    freeDisk < accelerator.imageDisk &&
    warning(
      `only ${freeDisk.toFixed(1)} GiB are free in ${docker.root}; an image for ${accelerator.name} takes up to ${accelerator.imageDisk} GiB unless it is there already`,
    ),
];
