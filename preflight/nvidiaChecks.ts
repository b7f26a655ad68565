import { gpuFamilies, parseComputeCapability } from "../catalog/gpuFamilies";
import { officialCuda } from "../catalog/immichReleases";
import { isOfficialImage } from "../config/image";
import type { HostSettings } from "../config/load";
import { type Check, type Diagnostic, error, runChecks } from "./diagnostics";
import { isVersionAtLeast, type NvidiaGpu } from "./nvidia";

/** Checks a host's NVIDIA GPUs: those asked for exist, and the image runs on them. */
export function checkGpus(host: HostSettings, gpus: readonly NvidiaGpu[]): Diagnostic[] {
  const selected = selectedGpus(host.gpus, gpus);
  return runChecks([checkSelection, checkEachGpu, checkDeclaredGpu], { host, gpus, selected });
}

interface Subject {
  readonly host: HostSettings;
  readonly gpus: readonly NvidiaGpu[];
  /** Those that the container gets. */
  readonly selected: readonly NvidiaGpu[];
}

/** The GPUs that the container gets. Docker takes the first ones where only a count is asked. */
export function selectedGpus(
  selection: HostSettings["gpus"],
  gpus: readonly NvidiaGpu[],
): readonly NvidiaGpu[] {
  if (selection?.ids) return gpus.filter((gpu) => selection.ids!.some((id) => isGpu(gpu, id)));
  if (selection?.cdi) return gpus;
  const count = selection?.count ?? 1;
  return count === -1 ? gpus : gpus.slice(0, count);
}

function checkSelection({ host, gpus }: Subject): Diagnostic[] {
  const { ids = [], count = 0 } = host.gpus ?? {};
  const present = gpus.map(({ index, name }) => `${index} (${name})`).join(", ");
  // nvidia-smi lists no parts of cards when it is asked for cards.
  const unknown = ids.filter((id) => !isPart(id) && !gpus.some((gpu) => isGpu(gpu, id)));
  const diagnostics = unknown.map((id) =>
    error(`gpus.ids names ${id}, but the host has ${present}`),
  );
  if (count <= gpus.length) return diagnostics;
  return [...diagnostics, error(`gpus.count asks for ${count} cards, but the host has ${present}`)];
}

/** By number, UUID or the beginning of one, or as the card of a part (MIG). */
function isGpu(gpu: NvidiaGpu, id: string): boolean {
  const [card] = id.replace(/^MIG-(?=GPU-)/, "").split(/[:/]/);
  const isBeginning = /^GPU-[0-9a-f]{4}/i.test(card!) && startsWith(gpu.uuid, card!);
  // The UUID of a part alone does not say whose it is.
  return String(gpu.index) === card || isBeginning || /^MIG-[0-9a-f]{8}-/i.test(id);
}

function isPart(id: string): boolean {
  return id.startsWith("MIG-");
}

function startsWith(text: string, beginning: string): boolean {
  return text.toLowerCase().startsWith(beginning.toLowerCase());
}

function checkEachGpu({ host, selected }: Subject): Diagnostic[] {
  const needed = requirements(host);
  return selected.flatMap((gpu) => runChecks(gpuChecks, { ...needed, gpu }));
}

/** What the host's image needs of a GPU and its driver; nothing is known of the user's own. */
interface Requirements {
  readonly cuda?: { readonly version: string; readonly minimumDriver: string };
  readonly variant?: { readonly name: string; readonly oldest: number };
}

function requirements(host: HostSettings): Requirements {
  if (host.image?.kind === "legacy") {
    const { name, cuda, minimumDriver, computeCapabilities } = gpuFamilies[host.image.gpuFamily];
    const oldest = parseComputeCapability(computeCapabilities[0])!;
    return { cuda: { version: cuda, minimumDriver }, variant: { name, oldest } };
  }
  return isOfficialImage(host.image) ? { cuda: officialCuda } : {};
}

const gpuChecks: readonly Check<Requirements & { readonly gpu: NvidiaGpu }>[] = [
  ({ gpu, cuda }) =>
    cuda &&
    !isVersionAtLeast(gpu.driver, cuda.minimumDriver) &&
    error(
      `the NVIDIA driver ${gpu.driver} is too old for CUDA ${cuda.version}; ${cuda.minimumDriver} or newer is needed`,
    ),
  ({ gpu, variant }) =>
    variant &&
    (parseComputeCapability(gpu.computeCapability ?? "") ?? Infinity) < variant.oldest &&
    error(
      `imageVariant ${variant.name} has no code for ${gpu.name} (compute capability ${gpu.computeCapability}); leave imageVariant out of the stack file and set gpu: auto`,
    ),
];

/** The stack file must not name one GPU while the host has another. */
function checkDeclaredGpu({ host, gpus, selected }: Subject): Diagnostic | undefined {
  const declared = host.gpu;
  const [first] = selected;
  if (!declared || !first || selected.some(({ computeCapability }) => !computeCapability)) {
    return undefined;
  }
  const { name, computeCapability, videoMemory } = declared;
  const hasIt = (gpu: NvidiaGpu) => gpu.computeCapability === computeCapability;
  // Undefined where the stack file gives the memory only.
  if (computeCapability !== undefined && !selected.some(hasIt)) {
    const says = `the stack file says ${name ?? `compute capability ${computeCapability}`}`;
    const meant = gpus.filter(hasIt);
    if (meant[0]) {
      const which = meant.map((gpu) => `${gpu.index} (${gpu.name})`).join(" and ");
      return error(
        `${says}, which is card ${which}, but Docker gives the container card ${first.index} (${first.name}): set gpus: { ids: [${meant[0].index}] }`,
      );
    }
    return error(
      `${says}, but the host has ${first.name} (compute capability ${first.computeCapability}); correct gpu, or set gpu: auto`,
    );
  }
  const smallest = Math.min(...selected.map((gpu) => gpu.videoMemory ?? Infinity));
  // A GPU reports a little less than what is printed on its box.
  if (videoMemory === undefined || smallest >= videoMemory * 0.9) return undefined;
  return error(
    `the stack file counts on ${videoMemory} MiB of video memory, but ${first.name} has ${smallest} MiB; set videoMemory: ${smallest}`,
  );
}
