import { accelerators, type AcceleratorName } from "../catalog/accelerators";
import { assignGpus, gpuChoiceProblem, protectSharedCache } from "../catalog/deviceIds";
import { renderEnvironment, servicePort } from "../catalog/renderEnvironment";
import type { Problem, Resolved } from "../util/problem";
import { hasCredentials } from "../util/sanitize";
import { gpuCount, resolveAccelerator, resolveGpu, resolveGpuChoice } from "./gpu";
import { resolveImage } from "./image";
import type { HostEntry, ImmichEntry } from "./schema";
import type { CheckedStack, DetectedGpus, HostSettings } from "./settings";
import { placementProblems, resolveSwarm } from "./swarm";
import { isEveryAddress } from "./values";

/** Immich's default for `machineLearning.urls` names this host. */
const immichDefaultAlias = "immich-machine-learning";

/**
 * What the entry of a host means.
 *
 * @param index its place in the list; the first host has the address where Immich looks by default
 * @param detected the GPUs of the hosts whose `gpu` is `auto`
 */
export function resolveHost(
  host: HostEntry,
  index: number,
  stack: CheckedStack,
  detected: DetectedGpus,
): Resolved<HostSettings> {
  const key = `hosts[${index}]`;
  const { immich, build, version } = stack.parts;
  const environmentFile = stack.environmentFiles[index] ?? {};
  const accelerator = resolveAccelerator(host, key, version);
  const gpu = resolveGpu(host, key, detected);
  const image = resolveImage(host, key, accelerator.value, gpu.value, stack.parts);
  const environment = resolveEnvironment(host, key, accelerator.value, environmentFile, stack);
  const network = resolveNetwork(host, index, immich, servicePort(environment.value.variables));
  const all = [accelerator, gpu, image, environment, network];
  return {
    value: {
      ...host,
      ...network.value,
      accelerator: accelerator.value,
      gpu: gpu.value,
      image: image.value,
      gpus: host.gpus && resolveGpuChoice(host.gpus),
      containerName: host.containerName ?? `immich-ml-${host.name}`,
      cacheVolume: host.cacheVolume ?? `immich-ml-${host.name}-cache`,
      swarm: resolveSwarm(host, image.value, build?.imageMirror),
      environment: environment.value.settings,
      environmentFile,
    },
    problems: [
      ...all.flatMap(({ problems }) => problems),
      ...gpuChoiceProblems(host, key, accelerator.value),
      ...placementProblems(host, key, accelerator.value),
    ],
    notes: all.flatMap(({ notes }) => notes).map((note) => `${host.name}: ${note}`),
  };
}

/** The environment settings, and the variables that the container will have. */
function resolveEnvironment(
  host: HostEntry,
  key: string,
  accelerator: AcceleratorName,
  environmentFile: Readonly<Record<string, string>>,
  { parts: { version } }: CheckedStack,
): Resolved<{
  readonly settings: HostEntry["environment"];
  readonly variables: Readonly<Record<string, string>>;
}> {
  const { environment } = host;
  if (!version) {
    const value = { settings: environment, variables: environmentFile };
    return { value, problems: [], notes: [] };
  }
  const rendered = renderEnvironment(environment, version, accelerator);
  const variables = { ...environmentFile, ...rendered.variables };
  const assigned = accelerators[accelerator].gpuRequest
    ? assignGpus(variables, gpuCount(host.gpus), version)
    : undefined;
  const added = renderEnvironment(assigned?.value ?? {}, version, accelerator).variables;
  const isShared = host.placement === "swarm";
  const shared = protectSharedCache({ ...variables, ...added }, isShared, version);
  return {
    value: { settings: { ...environment, ...assigned?.value, ...shared.value }, variables },
    problems: [
      ...rendered.problems.map(({ name, message }) => ({
        key: `${key}.environment.${name}`,
        expected: message,
      })),
      ...(assigned?.problems ?? []).map((problem) => ({
        ...problem,
        key: `${key}.${problem.key}`,
      })),
      ...credentialProblems(environment, `${key}.environment`),
    ],
    notes: [...rendered.notes, ...(assigned?.notes ?? []), ...shared.notes],
  };
}

/** A stack file stands in clear. */
function credentialProblems(environment: HostEntry["environment"], key: string): Problem[] {
  const expected =
    "must be an address without a user or password; put the variable with them into an env file (envFiles)";
  return Object.entries(environment).flatMap(([name, value]) =>
    hasCredentials(String(value)) ? [{ key: `${key}.${name}`, expected }] : [],
  );
}

/** How Immich reaches a host: by its name on a network both are in, or at a published port. */
function resolveNetwork(
  host: HostEntry,
  index: number,
  immich: ImmichEntry | undefined,
  port: number,
): Resolved<Pick<HostSettings, "network" | "networkAlias" | "url">> {
  const { publish, url } = host;
  const key = `hosts[${index}]`;
  const isOnSwarm = host.placement === "swarm";
  // Immich's own network exists on Immich's engine; a swarm's services join overlay networks only.
  const isBesideImmich = host.dockerHost === immich?.dockerHost && !isOnSwarm;
  const network = host.network ?? (isBesideImmich ? immich?.network : undefined);
  const networkAlias = host.networkAlias ?? (index === 0 ? immichDefaultAlias : host.name);

  const problems: Problem[] = [];
  if (immich && network === undefined && !publish && !isOnSwarm) {
    const expected =
      "needs publish, or network (immich.network on Immich's own engine), otherwise Immich's server cannot reach it";
    problems.push({ key, expected });
  }
  const isEverywhere = publish && isEveryAddress(publish.address);
  if (network === undefined && isEverywhere && url === undefined) {
    const expected = `is missing: an address where Immich reaches the host, since ${publish.address} is none`;
    problems.push({ key: `${key}.url`, expected });
  }
  const created = `immich-ml-${host.name}`;
  const note = `Immich's server reaches the service once it has joined the network ${created}, which is created: docker network connect ${created} <its container>, or in its compose file`;
  const mustJoin = isOnSwarm && network === undefined && !publish && url === undefined;

  const { address, port: publishedPort } = publish ?? {};
  const published = `http://${address?.includes(":") ? `[${address}]` : address}:${publishedPort}`;
  const byName = `http://${networkAlias}:${port}`;
  return {
    value: { network, networkAlias, url: url ?? (network || !publish ? byName : published) },
    problems,
    notes: mustJoin ? [note] : [],
  };
}

function gpuChoiceProblems(
  { gpus }: HostEntry,
  key: string,
  accelerator: AcceleratorName,
): Problem[] {
  const expected = gpus && gpuChoiceProblem(gpus, accelerator);
  return expected === undefined ? [] : [{ key: `${key}.gpus`, value: gpus, expected }];
}
