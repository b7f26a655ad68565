import { parseArgs } from "node:util";

import { dockerClientEnvironment } from "../util/dockerClient";
import { getFromApi, type ImmichApi } from "../immich/immichApi";
import { sameSetting, settingOf } from "../immich/settings";
import { run } from "../util/run";
import { type DeployedHost, type Deployment, readDeployment } from "../verify/deployment";
import type { ModelCheck } from "../verify/check";
import { asTable, modelCells, modelHeading } from "./table";

const usage = `Shows how the hosts of a stack are.

  npm run status -- [--stack NAME] [--json]

With Immich's API (immich.api.url and the secret immichApiKey of the stack) also what Immich really
uses beside what the stack declares, and how long its queues are.`;

/** How one host is now. What could not be learnt is absent. */
export interface HostStatus {
  readonly host: string;
  readonly accelerator: string;
  /** `healthy`, `unhealthy`, `starting`, or the container's state where it does not run. */
  readonly health: string;
  readonly restarts?: number;
  readonly image?: string;
  readonly immichVersion?: string;
  /** What computed when it was last verified. */
  readonly provider?: string;
  readonly cards?: readonly GpuStatus[];
  readonly models?: readonly CachedModel[];
  /** The models Immich is told to use, as they were last verified. */
  readonly verified?: readonly ModelCheck[];
  /** Why nothing more is known. */
  readonly problem?: string;
}

export interface GpuStatus {
  readonly name: string;
  /** MiB. */
  readonly used: number;
  /** MiB. */
  readonly free: number;
}

export interface CachedModel {
  /** Task and model, such as `clip/ViT-B-32__openai`. */
  readonly name: string;
  /** MiB. */
  readonly size: number;
}

/** One of Immich's settings, as the stack declares it and as Immich has it. */
export interface SettingStatus {
  readonly key: string;
  readonly declared: unknown;
  readonly actual?: unknown;
  readonly agrees?: boolean;
}

export interface QueueStatus {
  readonly queue: string;
  readonly waiting: number;
  readonly active: number;
  readonly failed: number;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      stack: { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return;
  }
  const status = await readStatus(values.stack);
  console.log(values.json ? JSON.stringify(status, null, 2) : asText(status));
}

/** How the hosts of a stack are and what Immich uses, asked at the same time. */
export interface StackStatus extends ImmichStatus {
  readonly hosts: readonly HostStatus[];
}

/**
 * @param stack its name; nothing for the selected one
 * @throws when there is no Pulumi engine or no such stack, with what to do
 */
export async function readStatus(stack: string | undefined): Promise<StackStatus> {
  const deployment = await readDeployment(stack);
  const [hosts, immich] = await Promise.all([
    Promise.all(deployment.hosts.map(statusesOf)).then((statuses) => statuses.flat()),
    readApi(stack).then((api) => immichStatus(deployment, api)),
  ]);
  return { hosts, ...immich };
}

const dockerOf =
  (host: DeployedHost) =>
  (...parameters: string[]) =>
    run("docker", parameters, { environment: dockerClientEnvironment(host) });

/** A container's, or one for each task of a service, which are called `rack.1`, `rack.2` and so on. */
async function statusesOf(host: DeployedHost): Promise<HostStatus[]> {
  const { serviceName: service, containerName = "", accelerator } = host;
  if (service === undefined) return [await statusOf(host, host.host, containerName)];
  const docker = dockerOf(host);
  const [tasks, containers] = await Promise.all([
    docker("service", "ps", ...taskQuery, service),
    docker(
      "ps",
      ...taskContainerQuery,
      "--filter",
      `label=com.docker.swarm.service.name=${service}`,
    ),
  ]);
  if (tasks.code !== 0) {
    const problem = tasks.stderr.trim().split("\n").at(-1) ?? "no answer";
    return [{ host: host.host, accelerator, health: "unknown", problem }];
  }
  return Promise.all(
    parseTasks(tasks.stdout, containers.stdout).map(async (task): Promise<HostStatus> => {
      const name = `${host.host}.${task.slot}`;
      if (task.container !== undefined) return statusOf(host, name, task.container);
      const where = task.node ? `runs on node ${task.node}, which was not asked` : "runs nowhere";
      const problem = task.error ? `${where}: ${task.error}` : where;
      return { host: name, accelerator, health: task.state, problem };
    }),
  );
}

/** A task of a service, as the manager tells it. */
export interface TaskStatus {
  readonly slot: string;
  readonly node: string;
  /** Such as `running` or `pending`. */
  readonly state: string;
  readonly error: string;
  /** Id of its container, where that is on the engine asked. */
  readonly container: string | undefined;
}

const taskQuery = [
  "--no-trunc",
  "--filter=desired-state=running",
  "--format={{.ID}}|{{.Name}}|{{.Node}}|{{.CurrentState}}|{{.Error}}",
];
const taskContainerQuery = ["--no-trunc", '--format={{.Label "com.docker.swarm.task.id"}}|{{.ID}}'];

/** @internal Exported for tests. */
export function parseTasks(tasks: string, containers: string): TaskStatus[] {
  const rows = (text: string) =>
    text
      .split("\n")
      .filter((line) => line.includes("|"))
      .map((line) => line.split("|"));
  const containerOf = new Map(rows(containers).map(([task, container]) => [task, container]));
  return rows(tasks)
    .map(([id = "", name = "", node = "", state = "", error = ""]) => ({
      slot: name.replace(/^.*\./, ""),
      node,
      state: state.replace(/ .*/, "").toLowerCase(),
      error,
      container: containerOf.get(id),
    }))
    .sort((left, right) => Number(left.slot) - Number(right.slot));
}

async function statusOf(
  host: DeployedHost,
  name: string,
  containerName: string,
): Promise<HostStatus> {
  const known = { host: name, accelerator: host.accelerator };
  const docker = dockerOf(host);

  const inspected = await docker("container", "inspect", containerName);
  if (inspected.code !== 0) {
    const problem = inspected.stderr.trim().split("\n").at(-1) ?? "no answer";
    return { ...known, health: "unknown", problem };
  }
  const [container] = JSON.parse(inspected.stdout) as [InspectedContainer];
  const [cards, models] = container.State.Running
    ? await Promise.all([
        docker("exec", containerName, ...memoryQuery),
        docker("exec", containerName, "sh", "-c", cacheQuery),
      ])
    : [undefined, undefined];
  const version = container.Config.Labels?.["org.opencontainers.image.version"];
  return {
    ...known,
    health: container.State.Health?.Status ?? container.State.Status,
    restarts: container.RestartCount,
    image: container.Config.Image,
    ...(version !== undefined && { immichVersion: version }),
    ...(host.executionProvider !== undefined && { provider: host.executionProvider }),
    ...(host.models !== undefined && { verified: host.models }),
    ...(cards?.code === 0 && { cards: parseGpus(cards.stdout) }),
    ...(models?.code === 0 && { models: parseModels(models.stdout) }),
  };
}

interface InspectedContainer {
  readonly RestartCount: number;
  readonly State: {
    readonly Status: string;
    readonly Running: boolean;
    readonly Health?: { readonly Status: string };
  };
  readonly Config: { readonly Image: string; readonly Labels?: Record<string, string> };
}

const memoryQuery = [
  "nvidia-smi",
  "--query-gpu=name,memory.used,memory.free",
  "--format=csv,noheader,nounits",
];

/** Immich keeps a model in `<cache>/<task>/<model>`. */
const cacheQuery =
  'cd "${MACHINE_LEARNING_CACHE_FOLDER:-/cache}" && du -sk */*/ 2>/dev/null || true';

/** @internal Exported for tests. */
export function parseGpus(text: string): GpuStatus[] {
  return text
    .trim()
    .split("\n")
    .map((line) => line.split(",").map((field) => field.trim()))
    .map(([name = "", used, free]) => ({ name, used: Number(used), free: Number(free) }));
}

/** @internal Exported for tests. */
export function parseModels(text: string): CachedModel[] {
  const tasks = ["clip", "facial-recognition", "ocr"];
  return text.split("\n").flatMap((line) => {
    const [, kibibytes, name = ""] = /^(\d+)\s+(\S.*?)\/?$/.exec(line) ?? [];
    return tasks.includes(name.replace(/\/.*/, ""))
      ? [{ name, size: Math.ceil(Number(kibibytes) / 1024) }]
      : [];
  });
}

/** The stack's way into Immich's API, where it has one. */
async function readApi(stack: string | undefined): Promise<ImmichApi | undefined> {
  const chosen = stack === undefined ? [] : ["--stack", stack];
  const ended = await run("pulumi", ["config", "--json", "--show-secrets", ...chosen]);
  if (ended.code !== 0) return undefined;
  const config = JSON.parse(ended.stdout) as Record<string, ConfigValue | undefined>;
  const immich = config["immich-ml:immich"];
  const url = settingOf(immich?.objectValue ?? JSON.parse(immich?.value ?? "{}"), "api.url");
  const apiKey = config["immich-ml:immichApiKey"]?.value;
  return typeof url === "string" && apiKey ? { url, apiKey } : undefined;
}

interface ConfigValue {
  readonly value?: string;
  readonly objectValue?: unknown;
}

interface ImmichStatus {
  readonly settings?: readonly SettingStatus[];
  readonly queues?: readonly QueueStatus[];
  readonly immichProblem?: string;
}

async function immichStatus(
  { systemConfig }: Deployment,
  api: ImmichApi | undefined,
): Promise<ImmichStatus> {
  const declared = Object.entries(systemConfig ?? {});
  if (!api) return { settings: declared.map(([key, value]) => ({ key, declared: value })) };
  try {
    const [actual, jobs] = await Promise.all([
      getFromApi<unknown>(api, "/system-config"),
      getFromApi<Record<string, JobAnswer>>(api, "/jobs"),
    ]);
    return { settings: compareSettings(declared, actual), queues: parseQueues(jobs) };
  } catch (error) {
    return {
      settings: declared.map(([key, value]) => ({ key, declared: value })),
      immichProblem: (error as Error).message,
    };
  }
}

interface JobAnswer {
  readonly jobCounts?: {
    readonly waiting?: number;
    readonly active?: number;
    readonly failed?: number;
  };
}

/** @internal Exported for tests. */
export function compareSettings(
  declared: readonly (readonly [string, unknown])[],
  configuration: unknown,
): SettingStatus[] {
  return declared.map(([key, value]) => {
    const actual = settingOf(configuration, key);
    return { key, declared: value, actual, agrees: sameSetting(key, value, actual) };
  });
}

/** @internal Exported for tests. */
export function parseQueues(jobs: Readonly<Record<string, JobAnswer>>): QueueStatus[] {
  const ours = ["smartSearch", "faceDetection", "facialRecognition", "ocr", "duplicateDetection"];
  return ours.flatMap((queue) => {
    const counts = jobs[queue]?.jobCounts;
    return counts
      ? [
          {
            queue,
            waiting: counts.waiting ?? 0,
            active: counts.active ?? 0,
            failed: counts.failed ?? 0,
          },
        ]
      : [];
  });
}

function asText({ hosts, ...immich }: StackStatus): string {
  const parts = [
    asTable([
      [
        "HOST",
        "HEALTH",
        "RESTARTS",
        "ACCELERATOR",
        "PROVIDER",
        "IMAGE",
        "IMMICH",
        "CARD",
        "MEMORY USED/FREE",
      ],
      ...hosts.map((host) => [
        host.host,
        host.health,
        String(host.restarts ?? ""),
        host.accelerator,
        host.provider ?? "not verified",
        host.image?.replace(/^sha256:(.{12}).*/, "$1") ?? "",
        host.immichVersion ?? "",
        host.cards?.map(({ name }) => name).join(", ") ?? "",
        host.cards?.map(({ used, free }) => `${used}/${free} MiB`).join(", ") ?? "",
      ]),
    ]),
    ...hosts.flatMap(({ host, problem }) => (problem ? [`${host}: ${problem}`] : [])),
    asTable([
      ["HOST", "MODEL IN THE CACHE", "SIZE"],
      ...hosts.flatMap(({ host, models = [] }) =>
        models.map(({ name, size }) => [host, name, `${size} MiB`]),
      ),
    ]),
  ];
  const verified = hosts.flatMap(({ host, verified: models = [] }) =>
    models.map((model) => [host, ...modelCells(model)]),
  );
  if (verified.length > 0) parts.push(asTable([["HOST", ...modelHeading], ...verified]));
  if (immich.settings?.length) {
    parts.push(
      asTable([
        ["IMMICH'S SETTING", "DECLARED", "ACTUAL"],
        ...immich.settings.map(({ key, declared, actual, agrees }) => [
          key,
          JSON.stringify(declared),
          agrees === undefined ? "not asked" : agrees ? "the same" : JSON.stringify(actual),
        ]),
      ]),
    );
  }
  if (immich.queues?.length) {
    parts.push(
      asTable([
        ["QUEUE", "WAITING", "ACTIVE", "FAILED"],
        ...immich.queues.map(({ queue, waiting, active, failed }) => [
          queue,
          String(waiting),
          String(active),
          String(failed),
        ]),
      ]),
    );
  }
  if (immich.immichProblem) parts.push(immich.immichProblem);
  return parts.join("\n\n");
}

if (require.main === module) {
  main().catch((error: unknown) => {
    console.error((error as Error).message);
    process.exit(2);
  });
}
