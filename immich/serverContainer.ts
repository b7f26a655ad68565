import { dockerClientEnvironment } from "../util/dockerClient";
import type { Run } from "../util/run";
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

/**
 * Restarts the Immich server, which reads settings from its database only at its start, and waits
 * until it is up.
 *
 * @returns the outcome, in one sentence
 */
export async function restartServer(
  server: ServerContainer,
  { changedAt, whenMissing }: RestartOptions,
  log: (line: string) => void,
  run: Run,
): Promise<string> {
  const { name, dockerHost, tls } = server;
  const environment = dockerHost === undefined ? {} : dockerClientEnvironment({ dockerHost, tls });
  const docker = (...parameters: string[]) =>
    run("docker", parameters, { environment, timeout: restartTimeout });

  const inspected = await docker(
    ...["container", "inspect", "--format", "{{.State.Status}} {{.State.StartedAt}}", name],
  );
  if (inspected.code !== 0) {
    const reason = sanitize(inspected.stderr.trim(), 300);
    if (whenMissing === "ignore") {
      return `No container ${name} to restart (${reason}); the next one starts with the new settings.`;
    }
    throw new Error(
      `immich.serverContainer: ${name} cannot be inspected: ${reason}\n` +
        "The settings are written. Restart the Immich server yourself, or correct the name and run again.",
    );
  }
  const [status, startedAt] = inspected.stdout.trim().split(" ") as [string, string];
  if (status !== "running") {
    return `${name} is ${sanitize(status, 100)}: it reads the new settings when it starts.`;
  }
  if (changedAt !== undefined) {
    const { stdout: clock } = await docker("info", "--format", "{{.SystemTime}}");
    const lag = Date.now() - (Date.parse(clock.trim()) || Date.now());
    if (Date.parse(startedAt) + lag > Date.parse(changedAt)) {
      return `${name} has started since the last change: it is not restarted.`;
    }
  }
  log(`Restarting ${name}: Immich reads settings from its database only at its start.`);
  const restarted = await docker("restart", name);
  if (restarted.code !== 0) {
    throw new Error(`${name} cannot be restarted: ${sanitize(restarted.stderr.trim(), 300)}`);
  }
  return `${name} is back after ${await secondsUntilUp(server, docker, log)} s.`;
}

async function secondsUntilUp(
  { name, timeout }: ServerContainer,
  docker: (...parameters: string[]) => ReturnType<Run>,
  log: (line: string) => void,
): Promise<number> {
  const format =
    "{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}";
  const begin = Date.now();
  for (;;) {
    const { stdout } = await docker("container", "inspect", "--format", format, name);
    const now = sanitize(stdout.trim(), 100);
    const waited = Math.round((Date.now() - begin) / 1000);
    if (now === "running healthy") return waited;
    if (now === "running none" && waited >= secondsWithoutCheck) return waited;
    if (/^(exited|dead)/.test(now)) {
      throw new Error(`${name} does not come up again (${now}): docker logs ${name}`);
    }
    if (waited >= timeout) {
      throw new Error(`${name} did not answer within ${timeout} s (${now}): docker logs ${name}`);
    }
    log(`${name}: ${now}, ${waited} s`);
    await new Promise((resolve) => setTimeout(resolve, secondsBetweenLooks * 1000));
  }
}
