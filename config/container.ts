import { accelerators, type AcceleratorName } from "../catalog/accelerators";
import { fileLogDrivers, logOptionProblem } from "../catalog/logDrivers";
import { isNamespace, networkProblem } from "../catalog/networks";
import type { Problem } from "../util/problem";
import type { HostEntry, ImmichEntry } from "./schema";
import type { ImageSource } from "./settings";

/** Groups that Debian gives every image; others have no name in ours and Immich's. */
const imageGroups: readonly string[] = ["root", "video", "audio", "users", "disk", "nogroup"];

function isNoImageGroup(group: string): boolean {
  return /\D/.test(group) && !imageGroups.includes(group);
}

/** Whether the server runs as root, by the entry's `user`. */
export function isRoot(user: string | undefined): boolean {
  return user === undefined || /^(0|root)(:|$)/.test(user);
}

type Contradiction = readonly [field: string, isWrong: unknown, expected: string];

/** What of a host's container settings contradicts another. */
export function containerProblems(
  host: HostEntry,
  key: string,
  accelerator: AcceleratorName,
  image: ImageSource | undefined,
): Problem[] {
  if (host.placement === "swarm") return [];
  const { limits, hardening, log, gpus, user, cache, labels, groups = [] } = host;
  const { healthcheck, environment, uncheckedEnvironment } = host;
  const isOwnImage = image?.kind === "given";
  const isOwnCheck = healthcheck === false || healthcheck?.test !== undefined;
  const nameless = groups.find(isNoImageGroup);
  const [, userGroup = "0"] = user?.split(":") ?? [];
  const reserved = Object.keys(labels).find((label) =>
    /^(org\.immich-ml|com\.docker\.(compose|swarm|stack))\./.test(label),
  );
  const cards = ["NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES"].find(
    (name) => Object.hasOwn(environment, name) || Object.hasOwn(uncheckedEnvironment, name),
  );
  const wrongOption = log && logOptionProblem(log.driver, log.options);
  const contradictions: readonly Contradiction[] = [
    [
      "limits.swap",
      limits.swap !== undefined && limits.memory === undefined,
      "needs limits.memory",
    ],
    [
      "log",
      log && hardening.limitLog === true && !fileLogDrivers.includes(log.driver),
      `cannot be used with hardening.limitLog: true, since Docker does not rotate what ${log?.driver} keeps`,
    ],
    ["log.options", log && wrongOption, wrongOption ?? ""],
    [
      "renderNode",
      host.renderNode && !accelerators[accelerator].needsRenderNode,
      `is for accelerators that compute on one (${renderNodeAccelerators.join(", ")}), not ${accelerator}`,
    ],
    [
      "healthcheck",
      isOwnCheck && image && !isOwnImage,
      "may replace the test or switch it off only for an image of your own (image), because the other images have the right test; you can set interval, timeout, retries and startPeriod",
    ],
    [
      "groups",
      nameless !== undefined && image && !isOwnImage,
      `names the group ${nameless}, which the image does not have; use its number on the host (getent group ${nameless})`,
    ],
    [
      "user",
      isNoImageGroup(userGroup) && image && !isOwnImage,
      `names the group ${userGroup}, which the image does not have; use its number on the host (getent group ${userGroup})`,
    ],
    [
      "user",
      !isRoot(user) && cache.path === undefined && cache.volume === undefined,
      "cannot be used with a new volume, which belongs to root: keep the models in a folder of that user (cache: { path: … }), or name a volume that it may write into (cache.volume)",
    ],
    [
      `labels.${reserved}`,
      reserved !== undefined,
      "is reserved for this program or Docker's tools, which find their containers by it; choose another name",
    ],
    [
      `environment.${cards}`,
      gpus?.runtime && cards !== undefined,
      "is set from gpus with runtime: nvidia; leave it out and write gpus: { runtime: nvidia, ids: […] }",
    ],
  ];
  return [...problemsOf(host, key, contradictions), ...passwordProblems(host, key)];
}

/** An address with a password, where nothing needs one: the state would keep it in plain text. */
function passwordProblems({ labels, log, healthcheck }: HostEntry, key: string): Problem[] {
  const test = healthcheck === false ? undefined : healthcheck?.test;
  const texts = Object.entries({
    ...prefixed("labels", labels),
    ...prefixed("log.options", log?.options ?? {}),
    ...prefixed("healthcheck", { test: [test ?? []].flat().join(" ") }),
  });
  return texts
    .filter(([, text]) => /\/\/[^/\s@]*:[^/\s@]+@/.test(text))
    .map(([field]) => ({
      key: `${key}.${field}`,
      expected: "must not contain an address with a password: the state keeps it in plain text",
    }));
}

function prefixed(prefix: string, texts: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(texts).map(([name, text]) => [`${prefix}.${name}`, text]),
  );
}

function problemsOf(
  host: HostEntry,
  key: string,
  contradictions: readonly Contradiction[],
): Problem[] {
  return contradictions
    .filter(([, isWrong]) => Boolean(isWrong))
    .map(([field, , expected]) => ({
      key: `${key}.${field}`,
      value: valueAt(host, field),
      expected,
    }));
}

const renderNodeAccelerators = Object.values(accelerators)
  .filter(({ needsRenderNode }) => needsRenderNode)
  .map(({ name }) => name);

export function containerNameOf({ containerName, name }: HostEntry): string {
  return containerName ?? `immich-ml-${name}`;
}

/** What a network of Docker's own allows. */
export function networkProblems(
  host: HostEntry,
  key: string,
  network: string | undefined,
  immich: ImmichEntry | undefined,
): Problem[] {
  const given = { [`${key}.network`]: host.network, "immich.network": immich?.network };
  const refused = Object.entries(given).flatMap(([setting, value]): Problem[] => {
    const expected = value === undefined ? undefined : networkProblem(value);
    return expected ? [{ key: setting, value, expected }] : [];
  });
  for (const [index, other] of (host.networks ?? []).entries()) {
    const expected = networkProblem(other) ?? (isNamespace(other) ? onlyAlone : undefined);
    if (expected) refused.push({ key: `${key}.networks[${index}]`, value: other, expected });
  }
  const joined = [network, ...(host.networks ?? [])];
  const twice = joined.find((name, index) => name && joined.indexOf(name) !== index);
  if (twice) {
    refused.push({
      key: `${key}.networks`,
      value: host.networks,
      expected: `names ${twice} twice; network and networks together name each once`,
    });
  }
  if (network === `container:${containerNameOf(host)}`) {
    refused.push({
      key: `${key}.network`,
      value: network,
      expected: "is this container itself; name the one whose network it should share",
    });
  }
  if (host.networks && network === undefined) {
    refused.push({ key: `${key}.networks`, value: host.networks, expected: "needs network" });
  }
  if (network === undefined || !isNamespace(network) || host.placement === "swarm") return refused;
  const whose = network === "host" ? "the host" : network.replace("container:", "container ");
  const beside: readonly Contradiction[] = [
    [
      "networks",
      host.networks,
      `cannot be used with network: ${network}, the network of ${whose} alone`,
    ],
    [
      "networkAlias",
      host.networkAlias,
      `cannot be used with network: ${network}, where it has no name`,
    ],
    [
      "publish",
      host.publish,
      `cannot be used with network: ${network}: the server listens there itself, on environment.host and environment.port`,
    ],
    [
      "extraHosts",
      network !== "host" && host.extraHosts,
      `cannot be used with network: ${network}, whose names are those of ${whose}`,
    ],
    [
      "dns",
      network !== "host" && host.dns,
      `cannot be used with network: ${network}, whose names are those of ${whose}`,
    ],
    [
      "url",
      host.url === undefined,
      `is missing: the address at which Immich reaches the server in the network of ${whose}, such as http://192.168.1.20:3003`,
    ],
  ];
  return [...refused, ...problemsOf(host, key, beside)];
}

const onlyAlone =
  "must be set as network, because a container can have only one network of that kind";

function valueAt(host: HostEntry, field: string): unknown {
  return field
    .split(".")
    .reduce<unknown>((value, step) => (value as Record<string, unknown> | undefined)?.[step], host);
}

/** Fields of a container that a service of a swarm does not have. */
export const containerOnly = [
  "user",
  "groups",
  "networks",
  "healthcheck",
  "renderNode",
  "log",
  "extraHosts",
  "dns",
  "ulimits",
  "shmSize",
] as const;
