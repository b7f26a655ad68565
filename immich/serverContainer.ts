import { dockerClientEnvironment } from "../util/dockerClient";
import type { CommandResult, Run } from "../util/run";
import { sanitize } from "../util/sanitize";

/** The container of the Immich server. */
export interface ServerContainer {
  readonly name: string;
  /** The Docker engine it runs on; undefined for the client's own choice. */
  readonly dockerHost?: string | undefined;
  readonly tls?: string | undefined;
  /** Seconds until it must be up again. */
  readonly timeout: number;
}

export interface RestartOptions {
  /** When a setting changed last (ISO 8601): a server that started later has read it. @default always restart */
  readonly changedAt?: string;
  /** Whether a container that does not exist is an error. */
  readonly whenMissing: "fail" | "ignore";
  /** Done while no server runs, where every one of them started before that time (ISO 8601). */
  readonly whileStopped?: { readonly startedBefore: string; readonly act: () => Promise<void> };
}

/** The server among a command's variables, where one is named. */
export function serverFrom(
  fields: Readonly<Record<string, string | undefined>>,
): ServerContainer | undefined {
  const { name, dockerHost, tls, timeout } = fields;
  return name === undefined ? undefined : { name, dockerHost, tls, timeout: Number(timeout) };
}

/** Without a health check a server counts as up when it still runs after this many seconds. */
const secondsWithoutCheck = 6;
const secondsBetweenLooks = 2;
/** Docker gives a container 10 s to stop, and answers only when it has started again. */
const restartTimeout = 120;

type Docker = (...parameters: string[]) => Promise<CommandResult>;

/** A container of Immich's server or of its workers. */
interface FoundServer {
  readonly name: string;
  readonly status: string;
  readonly startedAt: string;
}

/**
 * Restarts the Immich server, which reads settings from its database only at its start, and waits until
 * it is up. Servers that share its work (IMMICH_WORKERS_INCLUDE) are restarted with it.
 *
 * @returns the outcome, in one sentence for each
 */
export async function restartServers(
  server: ServerContainer,
  options: RestartOptions,
  log: (line: string) => void,
  run: Run,
): Promise<string> {
  const { name, dockerHost, tls } = server;
  const environment = dockerHost === undefined ? {} : dockerClientEnvironment({ dockerHost, tls });
  const docker: Docker = (...parameters) =>
    run("docker", parameters, { environment, timeout: restartTimeout });

  const found = await findServers(name, docker);
  if (typeof found === "string") {
    if (options.whenMissing === "ignore") {
      return `No container ${name} to restart (${found}); the next one starts with the new settings.`;
    }
    throw new Error(
      `immich.serverContainer: ${name} cannot be inspected: ${found}\n` +
        "The settings are written. Restart the Immich server yourself, or correct the name and run again.",
    );
  }
  const { changedAt } = options;
  const lag = changedAt === undefined ? 0 : await clockLag(docker);
  const startedAfter = ({ startedAt }: FoundServer, time: string) =>
    Date.parse(startedAt) + lag > Date.parse(time);
  const outcomes: string[] = [];
  const due: FoundServer[] = [];
  for (const each of found) {
    if (each.status !== "running") {
      outcomes.push(
        `${each.name} is ${sanitize(each.status, 100)}: it reads the new settings when it starts.`,
      );
    } else if (changedAt !== undefined && startedAfter(each, changedAt)) {
      outcomes.push(`${each.name} has started since the last change: it is not restarted.`);
    } else due.push(each);
  }
  const { whileStopped } = options;
  const running = found.filter(({ status }) => status === "running");
  const isCleared =
    whileStopped !== undefined &&
    due.length > 0 &&
    running.every((each) => !startedAfter(each, whileStopped.startedBefore));
  for (const each of due)
    log(`Restarting ${each.name}: Immich reads settings from its database only at its start.`);
  await again(
    due.map((each) => each.name),
    isCleared ? whileStopped.act : undefined,
    docker,
  );
  for (const each of due) {
    const seconds = await secondsUntilUp({ ...server, name: each.name }, docker, log);
    outcomes.push(`${each.name} is back after ${seconds} s.`);
  }
  return outcomes.join(" ");
}

/** Restarts the containers; with something to do while none runs, stops and starts them. */
async function again(
  names: readonly string[],
  act: (() => Promise<void>) | undefined,
  docker: Docker,
): Promise<void> {
  if (names.length === 0) return;
  const order = async (verb: string) => {
    const { code, stderr } = await docker(verb, ...names);
    if (code !== 0) {
      const doing = verb === "restart" ? "restarted" : verb === "stop" ? "stopped" : "started";
      throw new Error(`${names.join(", ")} cannot be ${doing}: ${sanitize(stderr.trim(), 300)}`);
    }
  };
  if (!act) return order("restart");
  try {
    await order("stop");
    await act();
  } finally {
    await order("start");
  }
}

const separator = "|";
const format = [
  "{{.Name}}",
  "{{.State.Status}}",
  "{{.State.StartedAt}}",
  '{{index .Config.Labels "com.docker.compose.project"}}',
  "{{.Config.Image}}",
].join(separator);

/**
 * The named container, and those of the same compose project with an image of the same repository: a
 * server whose workers are split runs in several.
 *
 * @returns why the named one cannot be inspected
 */
async function findServers(name: string, docker: Docker): Promise<FoundServer[] | string> {
  const inspected = await docker("container", "inspect", "--format", format, name);
  if (inspected.code !== 0) return sanitize(inspected.stderr.trim(), 300);
  const [own, project, image] = parse(inspected.stdout.trim());
  const named = { ...own, name };
  if (!project || !image) return [named];
  const listed = await docker(
    ...["ps", "--filter", `label=com.docker.compose.project=${project}`, "--format", "{{.Names}}"],
  );
  const names = listed.stdout.split("\n").filter((other) => other !== "" && other !== name);
  if (listed.code !== 0 || names.length === 0) return [named];
  const others = await docker("container", "inspect", "--format", format, ...names);
  const siblings = others.stdout
    .split("\n")
    .filter((line) => line !== "")
    .map(parse)
    .filter(([, , other]) => other !== undefined && repositoryOf(other) === repositoryOf(image))
    .map(([container]) => container)
    .filter((container) => container.name !== named.name);
  return [named, ...siblings];
}

function parse(
  line: string,
): [container: FoundServer, project: string | undefined, image: string | undefined] {
  const [name = "", status = "", startedAt = "", project, image] = line.split(separator);
  return [{ name: name.replace(/^\//, ""), status, startedAt }, project, image];
}

/** `ghcr.io/immich-app/immich-server:v2.7.5@sha256:…` without tag and digest. */
function repositoryOf(image: string): string {
  return image.split("@")[0]!.replace(/:[^/:]*$/, "");
}

/** Milliseconds by which the engine's clock is behind ours. */
async function clockLag(docker: Docker): Promise<number> {
  const { stdout } = await docker("info", "--format", "{{.SystemTime}}");
  return Date.now() - (Date.parse(stdout.trim()) || Date.now());
}

async function secondsUntilUp(
  { name, timeout }: ServerContainer,
  docker: Docker,
  log: (line: string) => void,
): Promise<number> {
  const state = "{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}";
  const begin = Date.now();
  for (;;) {
    const { stdout } = await docker("container", "inspect", "--format", state, name);
    const now = sanitize(stdout.trim(), 100);
    const waited = Math.round((Date.now() - begin) / 1000);
    if (now === "running healthy") return waited;
    if (now === "running none" && waited >= secondsWithoutCheck) return waited;
    if (/^(exited|dead)/.test(now)) {
      throw new Error(`${name} does not come back up (${now}): docker logs ${name}`);
    }
    if (waited >= timeout) {
      throw new Error(`${name} did not answer within ${timeout} s (${now}): docker logs ${name}`);
    }
    log(`${name}: ${now}, ${waited} s`);
    await new Promise((resolve) => setTimeout(resolve, secondsBetweenLooks * 1000));
  }
}
