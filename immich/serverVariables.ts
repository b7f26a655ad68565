import { dockerClientEnvironment, type EngineAddress } from "../util/dockerClient";
import { type Answer, lines, reasonOf, timeout, unanswered } from "../util/docker";
import type { Run } from "../util/run";
import type { SettingValue } from "../catalog/systemConfigKeys";
import { environmentOf } from "./serverVersion";

/** The variables of a server's container that decide over its configuration. */
export interface ServerVariables {
  /** The server's container. */
  readonly container: string;
  /** Path of the file that the server reads its whole configuration from; its database is ignored then. */
  readonly configFile: string | undefined;
  /** Defaults that take the place of the release's. */
  readonly defaults: Readonly<Record<string, SettingValue>>;
}

const names = [
  "IMMICH_CONFIG_FILE",
  "IMMICH_MACHINE_LEARNING_ENABLED",
  "IMMICH_MACHINE_LEARNING_URL",
] as const;

/** Only these variables leave the engine: the others hold passwords. */
const format = [
  "{{range .Config.Env}}",
  ...names.map((name) => `{{if eq (index (split . "=") 0) "${name}"}}{{println .}}{{end}}`),
  "{{end}}",
].join("");

/**
 * Reads what a server's own variables say of its configuration. Without its name the server is looked
 * for beside the database's container, in the same compose project.
 *
 * @returns undefined where there is no such container
 */
export async function readServerVariables(
  containers: { readonly server?: string | undefined; readonly database?: string | undefined },
  engine: EngineAddress,
  run: Run,
): Promise<Answer<ServerVariables | undefined>> {
  const docker = (...parameters: string[]) =>
    run("docker", parameters, { environment: dockerClientEnvironment(engine), timeout });
  const container = containers.server ?? (await beside(containers.database, docker));
  if (container === undefined) return { ok: true, value: undefined };
  const found = await docker("container", "inspect", "--format", format, container);
  if (/no such container/i.test(found.stderr)) return { ok: true, value: undefined };
  if (found.code !== 0) {
    return unanswered(`the variables of ${container} could not be read: ${reasonOf(found)}`);
  }
  const variables = environmentOf(lines(found.stdout));
  const url = variables["IMMICH_MACHINE_LEARNING_URL"];
  const isOff = variables["IMMICH_MACHINE_LEARNING_ENABLED"] === "false";
  return {
    ok: true,
    value: {
      container,
      configFile: variables["IMMICH_CONFIG_FILE"] || undefined,
      defaults: {
        ...(url && { "machineLearning.urls": [url], "machineLearning.url": url }),
        ...(isOff && { "machineLearning.enabled": false }),
      },
    },
  };
}

const project = '{{index .Config.Labels "com.docker.compose.project"}}';

async function beside(
  database: string | undefined,
  docker: (...parameters: string[]) => ReturnType<Run>,
): Promise<string | undefined> {
  if (database === undefined) return undefined;
  const own = await docker("container", "inspect", "--format", project, database);
  const name = own.code === 0 ? own.stdout.trim() : "";
  if (name === "") return undefined;
  const listed = await docker(
    ...["ps", "--filter", `label=com.docker.compose.project=${name}`],
    ...["--format", "{{.Names}}|{{.Image}}"],
  );
  const isServer = (image = "") => /(^|\/)immich-server(:|@|$)/.test(image);
  const rows = lines(listed.stdout).map((line) => line.split("|"));
  return rows.find(([, image]) => isServer(image))?.[0];
}
