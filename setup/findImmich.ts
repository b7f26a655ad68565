import { serverDatabase, type ServerDatabase } from "../immich/serverDatabase";
import { versionOfImage } from "../immich/serverVersion";
import { sanitize } from "../util/sanitize";
import type { Container } from "./containers";

/*
 * Which of an engine's containers are Immich, and how they belong together. Pure: it judges what
 * Docker answered.
 */

/** Who started Immich's containers, which decides how one of them is kept from coming back. */
export type Manager = "compose" | "portainer" | "truenas" | "unraid" | "docker run";

/** An Immich as it runs now. */
export interface FoundImmich {
  readonly server: Container;
  /** Such as v2.7.5; undefined where its image does not tell. */
  readonly version: string | undefined;
  readonly manager: Manager;
  /** The compose project; undefined without compose. */
  readonly project: string | undefined;
  readonly composeFiles: readonly string[];
  /** The network that the new service joins; undefined where the server is on the host's own. */
  readonly network: string | undefined;
  readonly database: ServerDatabase;
  /** Undefined for a database that no container of this engine runs. */
  readonly databaseContainer: Container | undefined;
  /** What serves machine learning now, of whatever name; not what immich-ml runs. */
  readonly machineLearning: Container | undefined;
  /** Whether Immich reads its settings from a file, which no preset changes. */
  readonly hasConfigFile: boolean;
  /** Whether the server's own container also holds the machine learning. */
  readonly isAllInOne: boolean;
}

export type Search =
  | { readonly ok: true; readonly value: FoundImmich }
  | { readonly ok: false; readonly message: string };

/**
 * Finds Immich among an engine's containers.
 *
 * @param chosen a server's container or a compose project; undefined where there is only one
 */
export function findImmich(all: readonly Container[], chosen?: string): Search {
  const refused = (message: string): Search => ({ ok: false, message: sanitize(message, 1000) });
  const servers = all.filter(isServer);
  const named = ({ name, labels }: Container) =>
    chosen === undefined || chosen === name || chosen === labels[projectLabel];
  const fitting = servers.filter(named);
  const names = servers.map(({ name }) => name).join(", ");
  if (servers.length === 0) {
    return refused(
      "this Docker engine has no Immich server: start Immich first, or set DOCKER_HOST to the engine that runs it",
    );
  }
  if (fitting.length === 0)
    return refused(`there is no Immich called ${chosen}; there are: ${names}`);
  if (fitting.length > 1) {
    return refused(`there is more than one Immich: ${names}; choose with --immich NAME`);
  }
  const server = fitting[0]!;
  if (!server.running) {
    return refused(
      `Immich is stopped: start it (docker start ${server.name}) and its database, then run setup again`,
    );
  }
  let database: ServerDatabase;
  try {
    database = serverDatabase(server.environment);
  } catch (error) {
    return refused((error as Error).message);
  }
  const neighbours = all.filter((each) => each !== server && sharesNetwork(each, server));
  const databaseContainer =
    neighbours.find((each) => hasName(each, server, database.host)) ?? publishedHere(all, database);
  const machineLearning = neighbours.find(isMachineLearning);
  const { labels } = server;
  return {
    ok: true,
    value: {
      server,
      version: versionOfImage(server),
      manager: managerOf(server),
      project: labels[projectLabel],
      composeFiles: labels[filesLabel]?.split(",") ?? [],
      network: networkOf(server, machineLearning),
      database,
      databaseContainer,
      machineLearning,
      hasConfigFile: Boolean(server.environment["IMMICH_CONFIG_FILE"]),
      isAllInOne: isAllInOne(server),
    },
  };
}

const projectLabel = "com.docker.compose.project";
const serviceLabel = "com.docker.compose.service";
const filesLabel = "com.docker.compose.project.config_files";

/** The last part of an image's name, without tag and digest. */
function imageName({ image }: Container): string {
  return (
    image
      .replace(/@sha256:.*$/, "")
      .replace(/:[^/]*$/, "")
      .split("/")
      .at(-1) ?? ""
  );
}

function isServer(container: Container): boolean {
  // Releases before v1.118 ran the same image twice.
  if (container.command.some((word) => word.includes("microservices"))) return false;
  if (/microservices/.test(container.labels[serviceLabel] ?? "")) return false;
  return (
    imageName(container) === "immich-server" ||
    isAllInOne(container) ||
    container.labels[serviceLabel] === "immich-server"
  );
}

/** The images of other makers that hold everything but the database. */
function isAllInOne(container: Container): boolean {
  return /(^|\/)(imagegenius|lscr\.io\/.*|hotio)\/immich(:|@|$)/.test(container.image);
}

function isMachineLearning(container: Container): boolean {
  if (container.labels["org.immich-ml.project"] !== undefined) return false;
  return (
    imageName(container).startsWith("immich-machine-learning") ||
    container.labels[serviceLabel] === "immich-machine-learning" ||
    Object.values(container.networks).flat().includes("immich-machine-learning") ||
    Object.keys(container.environment).includes("MACHINE_LEARNING_CACHE_FOLDER")
  );
}

function sharesNetwork(left: Container, right: Container): boolean {
  if (left.networkMode === "host" && right.networkMode === "host") return true;
  return Object.keys(left.networks).some((name) => name in right.networks);
}

function hasName(container: Container, server: Container, name: string): boolean {
  const aliases = Object.entries(container.networks)
    .filter(([network]) => network in server.networks)
    .flatMap(([, names]) => names);
  return [container.name, container.labels[serviceLabel], ...aliases].includes(name);
}

/** A database that the server reaches at a port of the host, as without a common network. */
function publishedHere(
  all: readonly Container[],
  { host, port }: ServerDatabase,
): Container | undefined {
  const isIp = /^[\d.]+$/.test(host) || host.includes(":") || host === "localhost";
  if (!isIp) return undefined;
  const candidates = all.filter(
    ({ published, running, image }) =>
      running && /postgres|pgvec/.test(image) && published["5432"]?.port === port,
  );
  return candidates.length === 1 ? candidates[0] : undefined;
}

/** Docker's own networks know no names. */
const withoutNames = ["bridge", "host", "none"];

function networkOf(server: Container, other: Container | undefined): string | undefined {
  const usable = Object.keys(server.networks).filter((name) => !withoutNames.includes(name));
  return usable.find((name) => other && name in other.networks) ?? usable[0];
}

function managerOf({ labels }: Container): Manager {
  const files = labels[filesLabel] ?? "";
  if (labels["net.unraid.docker.managed"] === "dockerman") return "unraid";
  if (/(^|,)\/data\/compose\/\d+\//.test(files)) return "portainer";
  if (/^ix-/.test(labels[projectLabel] ?? "")) return "truenas";
  return labels[projectLabel] === undefined ? "docker run" : "compose";
}
