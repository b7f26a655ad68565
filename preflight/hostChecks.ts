import { type Accelerator, accelerators } from "../catalog/accelerators";
import { gpuFamilies, parseComputeCapability } from "../catalog/gpuFamilies";
import type { HostSettings } from "../config/load";
import type { ContainerInfo } from "../util/dockerContainer";
import type { DockerInfo } from "./docker";
import type { HostInfo } from "./hostProbe";
import { isDriverAtLeast, type NvidiaGpu } from "./nvidia";

/**
 * What was found wrong: an error stops the deployment, a warning is only told. A host that is off
 * is an error too, unless it is all that is wrong and another host answers.
 */
export interface Diagnostic {
  readonly severity: "error" | "off" | "warning";
  readonly message: string;
}

/** The oldest engine the program was tried on; device requests for GPUs need 19.03. */
export const minimumEngineVersion = "20.10";

/**
 * The oldest NVIDIA driver Immich's documentation names for its `-cuda` images since they were
 * built on CUDA 12.2 (v1.106).
 */
const officialMinimumDriver = "535";

/** Whose container may be touched: this stack's. */
export interface Owner {
  readonly project: string;
  readonly stack: string;
}

/** Checks one host against what its engine and the machine itself said. */
export function checkHost(
  host: HostSettings,
  engine: DockerInfo,
  machine: HostInfo | undefined,
): Diagnostic[] {
  const accelerator = accelerators[host.accelerator];
  return [
    ...checkEngine(host, accelerator, engine),
    ...(machine
      ? checkMachine(host, accelerator, engine, machine)
      : host.accelerator === "cpu"
        ? []
        : [
            warning(
              `${host.dockerHost} leads to the engine only, so the ${accelerator.title} of its machine was not checked`,
            ),
          ]),
  ];
}

function checkEngine(
  host: HostSettings,
  accelerator: Accelerator,
  engine: DockerInfo,
): Diagnostic[] {
  const diagnostics: Diagnostic[] = [];
  if (!isDriverAtLeast(engine.version, minimumEngineVersion)) {
    diagnostics.push(
      error(
        `Docker ${engine.version} is too old; ${minimumEngineVersion} or newer is needed: https://docs.docker.com/engine/install`,
      ),
    );
  }
  if (host.dockerHost.startsWith("tcp://") && host.tls === undefined) {
    diagnostics.push(
      warning(
        `${host.dockerHost} is not encrypted and asks for no key: whoever reaches it has root on that machine. Set tls, or use ssh:// (https://docs.docker.com/engine/security/protect-access)`,
      ),
    );
  }
  const architectures = architecturesOf(host, accelerator);
  if (architectures && !architectures.includes(engine.architecture)) {
    diagnostics.push(
      error(
        `the machine is ${engine.architecture}, but the image for ${accelerator.name} exists only for ${architectures.join(" and ")}`,
      ),
    );
  }
  if (host.gpus?.cdi && !engine.hasCdi) {
    diagnostics.push(
      error(
        `gpus.cdi needs Docker 25 or newer with the Container Device Interface switched on; this is ${engine.version}: https://docs.docker.com/build/building/cdi`,
      ),
    );
  }
  return diagnostics;
}

/** Nothing is known of an image of the user's own. */
function architecturesOf(
  host: HostSettings,
  accelerator: Accelerator,
): readonly string[] | undefined {
  // The wheels our images are made of are for this architecture only.
  if (host.image?.kind === "legacy") return ["amd64"];
  return unreachableicialImage(host) ? accelerator.architectures : undefined;
}

function unreachableicialImage({ image }: HostSettings): boolean {
  if (!image || image.kind === "legacy") return false;
  return (
    image.kind === "official" || image.reference.includes("immich-app/immich-machine-learning")
  );
}

function checkMachine(
  host: HostSettings,
  accelerator: Accelerator,
  engine: DockerInfo,
  machine: HostInfo,
): Diagnostic[] {
  const diagnostics: Diagnostic[] = accelerator.prerequisites
    .filter(({ path }) => path !== undefined && !machine.paths.includes(path))
    .map(({ what, fix }) => error(`${what} is missing: ${fix}`));
  const needsRenderNode = ["openvino", "openvino-wsl", "rocm"].includes(host.accelerator);
  if (needsRenderNode && machine.paths.includes("/dev/dri") && !machine.hasRenderNode) {
    diagnostics.push(
      error(
        "/dev/dri has no render node (renderD128): the kernel's driver does not serve this GPU; a newer kernel may",
      ),
    );
  }
  if (host.accelerator === "cuda") diagnostics.push(...checkNvidia(host, engine, machine));
  if (machine.freeDisk !== undefined && machine.freeDisk < accelerator.imageDisk) {
    diagnostics.push(
      warning(
        `only ${machine.freeDisk.toFixed(1)} GiB are free in ${engine.root}; an image for ${accelerator.name} takes up to ${accelerator.imageDisk} GiB unless it is there already`,
      ),
    );
  }
  return diagnostics;
}

function checkNvidia(host: HostSettings, engine: DockerInfo, machine: HostInfo): Diagnostic[] {
  const diagnostics: Diagnostic[] = [];
  const hasToolkit =
    engine.runtimes.includes("nvidia") ||
    machine.toolkit.length > 0 ||
    engine.cdiDevices.some((device) => device.startsWith("nvidia.com/"));
  if (!hasToolkit) {
    diagnostics.push(
      error(
        "the NVIDIA Container Toolkit is missing: https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html",
      ),
    );
  }
  if (machine.nvidia.kind === "absent") {
    diagnostics.push(
      error(
        "NVIDIA's driver is missing (there is no nvidia-smi): install the proprietary one; open kernel modules do not serve cards before Turing",
      ),
    );
    return diagnostics;
  }
  if (machine.nvidia.kind === "failed") {
    diagnostics.push(
      error(
        `NVIDIA's driver does not work (nvidia-smi: ${machine.nvidia.message}): restart the machine after a driver update, and check that the driver still supports the card`,
      ),
    );
    return diagnostics;
  }
  const { cards } = machine.nvidia;
  diagnostics.push(...checkSelection(host, cards));
  const chosen = selectedGpus(host.gpus, cards);
  for (const card of chosen) diagnostics.push(...checkGpu(host, card));
  diagnostics.push(...checkDeclaredGpu(host, chosen));
  return diagnostics;
}

function checkSelection(host: HostSettings, cards: readonly NvidiaGpu[]): Diagnostic[] {
  const present = cards.map((card) => `${card.index} (${card.name})`).join(", ");
  const unknown = (host.gpus?.ids ?? []).filter((id) => !cards.some((card) => isGpu(card, id)));
  const diagnostics = unknown.map((id) =>
    error(`gpus.ids names ${id}, but the host has ${present}`),
  );
  const count = host.gpus?.count;
  if (count !== undefined && count > cards.length) {
    diagnostics.push(error(`gpus.count asks for ${count} cards, but the host has ${present}`));
  }
  return diagnostics;
}

function checkGpu(host: HostSettings, card: NvidiaGpu): Diagnostic[] {
  const gpuFamily = host.image?.kind === "legacy" ? gpuFamilies[host.image.gpuFamily] : undefined;
  const diagnostics: Diagnostic[] = [];
  const minimumDriver =
    gpuFamily?.minimumDriver ?? (unreachableicialImage(host) ? officialMinimumDriver : undefined);
  if (minimumDriver && !isDriverAtLeast(card.driver, minimumDriver)) {
    diagnostics.push(
      error(
        `the NVIDIA driver ${card.driver} is too old for CUDA ${gpuFamily?.cuda ?? "12.2"}; ${minimumDriver} or newer is needed`,
      ),
    );
  }
  const oldest = gpuFamily && parseComputeCapability(gpuFamily.computeCapabilities[0]!);
  const own = card.computeCapability && parseComputeCapability(card.computeCapability);
  if (gpuFamily && oldest && own && own < oldest) {
    diagnostics.push(
      error(
        `runtime ${gpuFamily.name} has no code for ${card.name} (compute capability ${card.computeCapability}); leave runtime out of the stack file and set gpu: auto`,
      ),
    );
  }
  return diagnostics;
}

/** The stack file must not say one card while the host has another. */
function checkDeclaredGpu(host: HostSettings, chosen: readonly NvidiaGpu[]): Diagnostic[] {
  const declared = host.card;
  const [first] = chosen;
  if (!declared || !first || chosen.some((card) => card.computeCapability === undefined)) return [];
  const diagnostics: Diagnostic[] = [];
  const isThere = chosen.some((card) => card.computeCapability === declared.computeCapability);
  if (!isThere) {
    const said = declared.name ?? `compute capability ${declared.computeCapability}`;
    diagnostics.push(
      error(
        `the stack file says ${said}, but the host has ${first.name} (compute capability ${first.computeCapability}); correct gpu, or set gpu: auto`,
      ),
    );
  }
  const smallest = Math.min(...chosen.map((card) => card.videoMemory ?? Infinity));
  // A card reports a little less than what is printed on its box.
  if (isThere && declared.videoMemory !== undefined && smallest < declared.videoMemory * 0.9) {
    diagnostics.push(
      error(
        `the stack file counts on ${declared.videoMemory} MiB of video memory, but ${first.name} has ${smallest} MiB; set videoMemory: ${smallest}`,
      ),
    );
  }
  return diagnostics;
}

/** The cards the container will be given. The engine takes the first ones when only a count is asked. */
export function selectedGpus(
  gpus: HostSettings["gpus"],
  cards: readonly NvidiaGpu[],
): readonly NvidiaGpu[] {
  const ids = gpus?.ids;
  if (ids) return cards.filter((card) => ids.some((id) => isGpu(card, id)));
  if (gpus?.cdi) return cards;
  const count = gpus?.count ?? 1;
  return count === -1 ? cards : cards.slice(0, count);
}

function isGpu(card: NvidiaGpu, id: string): boolean {
  return String(card.index) === id || card.uuid === id;
}

/** Whether the container's name is free for this stack. */
export function checkContainerName(
  host: HostSettings,
  existing: ContainerInfo | undefined,
  owner: Owner,
): Diagnostic[] {
  if (!existing) return [];
  const { labels } = existing;
  const stack = labels["org.immich-ml.stack"];
  const project = labels["org.immich-ml.project"];
  if (stack === owner.stack && project === owner.project) return [];
  const taken = `the container name ${host.containerName} is taken`;
  if (stack !== undefined) {
    return [
      error(
        `${taken} by stack ${project}/${stack}: give this host another containerName, or destroy that stack first`,
      ),
    ];
  }
  const service = labels["com.docker.compose.service"];
  if (service === undefined) {
    return [
      error(
        `${taken} by a container that is not ours: remove it (docker rm -f ${host.containerName}), or give this host another containerName`,
      ),
    ];
  }
  const files = labels["com.docker.compose.project.config_files"];
  const folder = labels["com.docker.compose.project.working_dir"];
  const inFolder = folder ? `in ${folder} run ` : "";
  return [
    error(
      `${taken} by docker compose's service ${service}. To hand it over: ${inFolder}docker compose rm --stop --force ${service}, then delete the service from ${files ?? "the compose file"}; its volume and models stay. Or give this host another containerName`,
    ),
  ];
}

/** Whether the network to join is there. */
export function checkNetwork(host: HostSettings, networks: readonly string[]): Diagnostic[] {
  if (host.network === undefined || networks.includes(host.network)) return [];
  const others = networks.filter((name) => !["host", "none"].includes(name)).join(", ");
  return [
    error(
      `the network ${host.network} does not exist; there are ${others}. Start Immich first (docker compose up -d), or correct network (immich.network)`,
    ),
  ];
}

export function error(message: string): Diagnostic {
  return { severity: "error", message };
}

export function warning(message: string): Diagnostic {
  return { severity: "warning", message };
}
