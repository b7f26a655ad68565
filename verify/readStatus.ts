import { getFromApi, type ImmichApi } from "../immich/immichApi";
import { settingOf } from "../immich/settings";
import { dockerClientEnvironment, isDockerName } from "../util/dockerClient";
import { type CommandResult, run } from "../util/run";
import { containerProblem, gpuProblem, isTroubled } from "./containerProblem";
import {
  askEngine,
  type DeployedHost,
  type Deployment,
  parseConfig,
  readDeployment,
} from "./deployment";
import {
  compareSettings,
  containerStatus,
  type HostStatus,
  type ImmichStatus,
  type InspectedContainer,
  type JobsAnswer,
  parseCardLoss,
  parseGpus,
  parseModels,
  parseQueues,
  parseTasks,
  type StackStatus,
  unreachedTaskStatus,
} from "./status";

/**
 * Reads the state of a stack's hosts and of Immich, all at the same time.
 *
 * @param stack its name; undefined for the selected one
 * @throws when there is no Pulumi engine or no such stack, with what to do
 */
export async function readStatus(stack: string | undefined): Promise<StackStatus> {
  const deployment = await readDeployment(stack);
  const [hosts, immich] = await Promise.all([
    Promise.all(deployment.hosts.map(readHost)).then((statuses) => statuses.flat()),
    readApi(stack).then((api) => readImmich(deployment, api)),
  ]);
  return { hosts, ...immich };
}

const dockerOf =
  (host: DeployedHost) =>
  (...parameters: string[]) =>
    run("docker", parameters, { environment: dockerClientEnvironment(host), timeout });

/** Seconds for one answer of an engine. A lost card can make nvidia-smi hang. */
const timeout = 30;

/** One status for a container, and one for each task of a service: `rack.1`, `rack.2` and so on. */
async function readHost(host: DeployedHost): Promise<HostStatus[]> {
  const { serviceName: service, containerName = "" } = host;
  if (service === undefined) return [await readContainer(host, host.host, containerName)];
  if (!isDockerName(service)) return [unknown(host, host.host, `${service} is not a name`)];
  const docker = dockerOf(host);
  const ofService = `--filter=label=com.docker.swarm.service.name=${service}`;
  const [tasks, containers] = await Promise.all([
    docker("service", "ps", ...taskQuery, "--", service),
    docker("ps", ...taskContainerQuery, ofService),
  ]);
  if (tasks.code !== 0) return [unknown(host, host.host, tasks.stderr)];
  return Promise.all(
    parseTasks(tasks.stdout, containers.stdout).map(async (task) =>
      task.container === undefined
        ? unreachedTaskStatus(host, task)
        : await readContainer(host, `${host.host}.${task.slot}`, task.container),
    ),
  );
}

const taskQuery = [
  "--no-trunc",
  "--filter=desired-state=running",
  "--format={{.ID}}|{{.Name}}|{{.Node}}|{{.CurrentState}}|{{.Error}}",
];
const taskContainerQuery = ["--no-trunc", '--format={{.Label "com.docker.swarm.task.id"}}|{{.ID}}'];

async function readContainer(
  host: DeployedHost,
  name: string,
  container: string,
): Promise<HostStatus> {
  if (!isDockerName(container)) return unknown(host, name, `${container} is not a name`);
  const docker = dockerOf(host);
  const inspected = await docker("container", "inspect", "--", container);
  if (inspected.code !== 0) return unknown(host, name, inspected.stderr);
  const [facts] = JSON.parse(inspected.stdout) as [InspectedContainer];
  const status = containerStatus(host, name, facts);
  if (isTroubled(facts)) {
    const log = await docker("logs", "--tail", "60", "--", container);
    return { ...status, problem: containerProblem(facts, log.stdout + log.stderr) };
  }
  const [gpus, models, losses] = await Promise.all([
    docker("exec", "--", container, ...memoryQuery),
    docker("exec", "--", container, "sh", "-c", cacheQuery),
    facts.RestartCount > 0 ? docker("exec", "--", container, "cat", cardsFile) : undefined,
  ]);
  const cardLoss = losses && parseCardLoss(losses.stdout);
  // The other accelerators have no nvidia-smi.
  const problem =
    host.accelerator === "cuda" &&
    gpuProblem(complaintOf(gpus), host.executionProvider !== undefined);
  return {
    ...status,
    ...(gpus.code === 0 && { gpus: parseGpus(gpus.stdout) }),
    ...(models.code === 0 && { models: parseModels(models.stdout) }),
    ...(cardLoss && { cardLoss }),
    ...(problem && { problem }),
  };
}

/** What nvidia-smi says, which it says on either output and sometimes with exit code 0. */
function complaintOf({ code, stdout, stderr }: CommandResult): string {
  return code === 124 ? `nvidia-smi has not answered for ${timeout} s` : stdout + stderr;
}

/** @param stderr its last line is the problem */
function unknown({ accelerator }: DeployedHost, host: string, stderr: string): HostStatus {
  const problem = stderr.trim().split("\n").at(-1) || "no answer";
  return { host, accelerator, health: "unknown", problem };
}

/** Of verify/gpuHealthcheck.py. */
const cardsFile = "/tmp/immich-ml-cards.json";

const memoryQuery = [
  "nvidia-smi",
  "--query-gpu=name,memory.used,memory.free",
  "--format=csv,noheader,nounits",
];

/** Immich keeps a model in `<cache>/<task>/<model>`. */
const cacheQuery =
  'cd "${MACHINE_LEARNING_CACHE_FOLDER:-/cache}" && du -sk */*/ 2>/dev/null || true';

/** The stack's access to Immich's API, where it has one. */
async function readApi(stack: string | undefined): Promise<ImmichApi | undefined> {
  const text = await askEngine(stack, "config", "--json", "--show-secrets").catch(() => undefined);
  if (text === undefined) return undefined;
  const valueOf = parseConfig(text);
  const { url, caCertificate } = (settingOf(valueOf("immich"), "api") ?? {}) as Record<
    string,
    unknown
  >;
  const apiKey = valueOf("immichApiKey");
  if (typeof url !== "string" || typeof apiKey !== "string") return undefined;
  return { url, apiKey, ...(typeof caCertificate === "string" && { caCertificate }) };
}

async function readImmich(
  { systemConfig }: Deployment,
  api: ImmichApi | undefined,
): Promise<ImmichStatus> {
  const declared = Object.entries(systemConfig ?? {});
  const settings = declared.map(([key, value]) => ({ key, declared: value }));
  if (!api) return { settings };
  try {
    const [actual, jobs] = await Promise.all([
      getFromApi<unknown>(api, "/system-config"),
      // A key that may not read jobs still compares the settings.
      getFromApi<JobsAnswer>(api, "/jobs").catch((error: Error) => error),
    ]);
    const compared = { settings: compareSettings(declared, actual) };
    return jobs instanceof Error
      ? { ...compared, immichProblem: jobs.message }
      : { ...compared, queues: parseQueues(jobs) };
  } catch (error) {
    return { settings, immichProblem: (error as Error).message };
  }
}
