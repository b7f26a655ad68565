import { type Accelerator, accelerators } from "../catalog/accelerators";
import { legacyArchitectures } from "../catalog/gpuFamilies";
import { isOfficialImage } from "../config/image";
import type { HostSettings } from "../config/load";
import { checkCacheFolder, checkCacheLabel } from "./cacheChecks";
import {
  type Check,
  checkAnswer,
  type Diagnostic,
  error,
  type Found,
  runChecks,
  warning,
} from "./diagnostics";
import type { DockerInfo } from "../util/dockerAnswers";
import type { HostInfo, MachineInfo } from "./hostProbe";
import { checkLimits } from "./limitChecks";
import { isVersionAtLeast } from "./nvidia";
import { checkGpus } from "./nvidiaChecks";

/**
 * The first whose seccomp profile lets a newer C library start threads (clone3); before it Python ends
 * with "can't start new thread" (moby/moby#42681).
 */
const minimumEngineVersion = "20.10.10";

/** Checks whether a host can run what its entry asks for. */
export function checkHost(host: HostSettings, { docker, machine }: HostInfo): Diagnostic[] {
  const accelerator = accelerators[host.accelerator];
  const subject = { host, accelerator, docker };
  const known = machine?.ok ? machine.value : undefined;
  const folder = [
    checkCacheFolder(host, docker, known),
    checkCacheLabel(host, docker, known),
  ].filter((each) => each !== undefined);
  const engine = [...runChecks(engineChecks, subject), ...folder];
  if (machine?.ok) {
    return [...engine, ...runChecks(machineChecks, { ...subject, machine: machine.value })];
  }
  const needsMachine = accelerator.prerequisites.length > 0;
  if (machine) return [...engine, (needsMachine ? error : warning)(machine.message)];
  if (!needsMachine) return engine;
  const unchecked = `${host.dockerHost} reaches only the Docker engine, so the ${accelerator.title} of its machine was not checked`;
  return [...engine, warning(unchecked)];
}

interface EngineSubject {
  readonly host: HostSettings;
  readonly accelerator: Accelerator;
  readonly docker: DockerInfo;
}

const engineChecks: readonly Check<EngineSubject>[] = [
  checkPodman,
  ({ docker }) =>
    docker.containerSystem === "windows" &&
    error(
      "Docker runs Windows containers there, and Immich's are for Linux: switch Docker Desktop to Linux containers",
    ),
  ({ host, docker }) => checkLimits(host, docker),
  ({ host, docker }) =>
    docker.isSnap &&
    host.cache.kind === "folder" &&
    !host.cache.path.startsWith("/home/") &&
    error(
      `Docker from the snap store sees only folders under /home, not ${host.cache.path} (cache.path): move it there, or install Docker's own packages (https://docs.docker.com/engine/install)`,
    ),
  ({ docker }) =>
    !docker.isPodman &&
    // A build of one's own may have any name for a version.
    /^\d/.test(docker.version) &&
    !isVersionAtLeast(docker.version, minimumEngineVersion) &&
    error(
      `Docker ${docker.version} is too old; ${minimumEngineVersion} or newer is needed: https://docs.docker.com/engine/install`,
    ),
  ({ docker }) =>
    docker.storageDriver === "vfs" &&
    warning(
      "Docker's storage driver is vfs there, which copies every layer whole: an image takes many times its size. Use overlay2, or fuse-overlayfs in an LXC guest (https://docs.docker.com/engine/storage/drivers)",
    ),
  ({ host }) =>
    host.dockerHost.startsWith("tcp://") &&
    host.tls === undefined &&
    warning(
      `${host.dockerHost} is not encrypted and needs no key: whoever reaches it has root on that machine. Set tls, or use ssh:// (https://docs.docker.com/engine/security/protect-access)`,
    ),
  ({ host, accelerator, docker }) => {
    const architectures = architecturesOf(host, accelerator);
    if (!architectures || architectures.includes(docker.architecture)) return undefined;
    return error(
      `the machine is ${docker.architecture}, but the image for ${accelerator.name} exists only for ${architectures.join(" and ")}`,
    );
  },
  checkCdi,
];

function checkCdi({ host, docker }: EngineSubject): Found {
  const { cdi } = host.gpus ?? {};
  if (!cdi || docker.isPodman) return undefined;
  if (!docker.hasCdi) {
    return error(
      `gpus.cdi needs Docker 25 or newer with the Container Device Interface switched on; this is ${docker.version}: https://docs.docker.com/build/building/cdi`,
    );
  }
  const missing = cdi.filter((device) => !docker.cdiDevices.includes(device));
  const isListed = isVersionAtLeast(docker.version, "28.2");
  if (!isListed || missing.length === 0) return undefined;
  const known = docker.cdiDevices.length > 0 ? docker.cdiDevices.join(", ") : "none";
  return error(
    `Docker does not know the CDI device ${missing.join(", ")} (it has ${known}): correct gpus.cdi, or run sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml there`,
  );
}

function checkPodman({ host, accelerator, docker }: EngineSubject): Diagnostic[] {
  if (!docker.isPodman) return [];
  const what = `Podman ${docker.version} answers at ${host.dockerHost}, not Docker`;
  const problems = [
    ...(host.image?.kind === "legacy"
      ? [
          "it does not build images as Docker's BuildKit does: build the image on Docker and name it",
        ]
      : []),
    ...(accelerator.gpuRequest && !host.gpus?.cdi
      ? ["it passes on cards only by their CDI names: set gpus: { cdi: [nvidia.com/gpu=all] }"]
      : []),
    ...(host.gpus?.cdi && !isVersionAtLeast(docker.version, "4.1")
      ? ["CDI devices need Podman 4.1 or newer: update it"]
      : []),
    ...(docker.isRootless && accelerator.deviceCgroupRules.length > 0 && !host.renderNode
      ? [
          "without root it does not accept rules for USB devices: set renderNode: /dev/dri/renderD128",
        ]
      : []),
    ...(host.swarm ? ["it has no swarm: set placement: container"] : []),
  ];
  if (problems.length > 0) return [error(`${what}: ${problems.join("; ")}`)];
  return [
    warning(
      `${what}: containers with networks, volumes and CDI devices should work there, but this program was tried on Docker only`,
    ),
  ];
}

/** Undefined for an image of the user's own, of which nothing is known. */
function architecturesOf(
  host: HostSettings,
  accelerator: Accelerator,
): readonly string[] | undefined {
  if (host.image?.kind === "legacy") return legacyArchitectures;
  return isOfficialImage(host.image) ? accelerator.architectures : undefined;
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
    machine.renderNodes.length === 0 &&
    error(
      "/dev/dri has no render node (renderD128): the kernel's driver does not support this GPU; a newer kernel may",
    ),
  ({ host: { renderNode }, machine: { renderNodes } }) =>
    renderNode !== undefined &&
    renderNodes.length > 0 &&
    !renderNodes.includes(renderNode) &&
    error(`renderNode is ${renderNode}, but the host has ${renderNodes.join(", ")}`),
  checkToolkit,
  ({ host, accelerator, docker, machine }) =>
    accelerator.gpuRequest?.driver === "nvidia" &&
    docker.cgroupDriver === "systemd" &&
    !machine.hasCardLinks &&
    !host.gpus?.cdi &&
    warning(
      "updates run systemctl daemon-reload, which takes the card away from containers on this host (Docker's cgroup driver is systemd, and /dev/char has no links to the card); run sudo nvidia-ctk system create-dev-char-symlinks --create-all now and at each boot",
    ),
  ({ host, accelerator, machine, docker }) => {
    if (accelerator.gpuRequest?.driver !== "nvidia") return undefined;
    const { nvidia } = machine;
    // Boards such as NVIDIA's Jetson have a driver of their own and no nvidia-smi.
    if (!nvidia.ok && isOwnImage(host) && docker.architecture !== "amd64") {
      return warning(
        `the machine is ${docker.architecture} and nvidia-smi does not answer there, so its GPU was not checked; the image (${nameOf(host)}) is yours`,
      );
    }
    return checkAnswer(nvidia, (gpus) => checkGpus(host, gpus));
  },
  ({ accelerator, docker, machine: { freeDisk } }) =>
    freeDisk !== undefined &&
    freeDisk < accelerator.imageDisk &&
    warning(
      `only ${freeDisk.toFixed(1)} GiB are free in ${docker.root}; an image for ${accelerator.name} takes up to ${accelerator.imageDisk} GiB unless it is there already`,
    ),
];

function isOwnImage(host: HostSettings): boolean {
  return host.image?.kind === "given" && !isOfficialImage(host.image);
}

function nameOf({ image }: HostSettings): string {
  return image?.kind === "given" ? image.reference : "";
}

const toolkitGuide =
  "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html";

/** Whether the engine itself can give NVIDIA's cards; programs on the machine alone do not. */
function checkToolkit({ host, accelerator, docker, machine }: MachineSubject): Found {
  if (accelerator.gpuRequest?.driver !== "nvidia" || docker.isPodman) return undefined;
  const hasRuntime = docker.runtimes.includes("nvidia");
  if (host.gpus?.runtime && !hasRuntime) {
    return error(
      `gpus.runtime is nvidia, but Docker has the runtimes ${docker.runtimes.join(", ")}: ${configure(docker)}`,
    );
  }
  const hasDevices = docker.cdiDevices.some((device) => device.startsWith("nvidia.com/"));
  const hasHook = machine.toolkit.includes("nvidia-container-runtime-hook");
  // The snap sees none of the machine's programs, and no list of the devices came before Docker 28.2.
  if (hasRuntime || hasDevices || host.gpus?.cdi || (hasHook && !docker.isSnap)) return undefined;
  if (docker.isSnap) {
    return error(
      "Docker from the snap store does not see the machine's NVIDIA Container Toolkit: install Docker's own packages (https://docs.docker.com/engine/install), then the toolkit",
    );
  }
  if (machine.toolkit.length === 0) {
    return error(`the NVIDIA Container Toolkit is missing: ${toolkitGuide}`);
  }
  return error(
    `the NVIDIA Container Toolkit is there (${machine.toolkit.join(", ")}), but Docker has neither its runtime nor its hook nor its CDI devices: ${configure(docker)}`,
  );
}

function configure({ isRootless }: DockerInfo): string {
  return isRootless
    ? "nvidia-ctk runtime configure --runtime=docker --config=$HOME/.config/docker/daemon.json, then systemctl --user restart docker, and sudo nvidia-ctk config --set nvidia-container-cli.no-cgroups --in-place"
    : "sudo nvidia-ctk runtime configure --runtime=docker, then sudo systemctl restart docker";
}
