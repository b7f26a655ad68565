import path from "node:path";

import { serverDatabase, type ServerDatabase } from "../immich/serverDatabase";
import { versionOfImage } from "../immich/serverVersion";
import { sanitize } from "../util/sanitize";
import type { Container } from "./containers";

/*
 * Which of an engine's containers are Immich, and how they belong together. Pure: it judges what
 * Docker answered.
 */

/** Who started Immich's containers, which decides how one of them is kept from coming back. */
export type Manager =
  "compose" | "portainer" | "truenas" | "unraid" | "app platform" | "docker run";

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
  /** The names of others that run beside it. */
  readonly otherMachineLearning: readonly string[];
  /** The address in the server's own variables where it looks for machine learning; undefined for its default. */
  readonly ownUrl: string | undefined;
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
  const everyServer = all.filter(isServer);
  const running = everyServer.filter((each) => each.running);
  // One that an update left behind is none.
  const servers = running.length === 1 && chosen === undefined ? running : everyServer;
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
  const orchestrated = orchestratorOf(server);
  if (orchestrated) return refused(orchestrated);
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
  const ownUrl = server.environment["IMMICH_MACHINE_LEARNING_URL"] || undefined;
  const [machineLearning, ...others] = machineLearningOf(all, server, neighbours, ownUrl);
  const { labels } = server;
  return {
    ok: true,
    value: {
      server,
      version: versionOfImage(server),
      manager: managerOf(server),
      project: labels[projectLabel],
      composeFiles: composeFilesOf(server),
      network: networkOf(server, [machineLearning, databaseContainer]),
      database,
      databaseContainer: databaseContainer && networkOwner(databaseContainer, all),
      machineLearning,
      otherMachineLearning: others.filter((each) => each.running).map(({ name }) => name),
      ownUrl,
      hasConfigFile: Boolean(server.environment["IMMICH_CONFIG_FILE"]),
      isAllInOne: isAllInOne(server),
    },
  };
}

const projectLabel = "com.docker.compose.project";
const serviceLabel = "com.docker.compose.service";
const filesLabel = "com.docker.compose.project.config_files";
const folderLabel = "com.docker.compose.project.working_dir";

/** Why a server cannot be named in a stack file; undefined where it can. */
function orchestratorOf({ name, labels }: Container): string | undefined {
  const what =
    labels["com.docker.swarm.task.id"] !== undefined
      ? "a Docker Swarm"
      : labels["io.kubernetes.pod.name"] !== undefined
        ? "Kubernetes"
        : undefined;
  return (
    what &&
    `${name} belongs to ${what}, which gives the server's container another name at each start: write the stack file by hand, with immich.api (docs/settings.md)`
  );
}

/** Those that serve machine learning to a server, the one it asks first. */
function machineLearningOf(
  all: readonly Container[],
  server: Container,
  neighbours: readonly Container[],
  ownUrl: string | undefined,
): Container[] {
  const asked = ownUrl && URL.canParse(ownUrl) ? new URL(ownUrl) : undefined;
  const port = asked && Number(asked.port || "80");
  // One of another compose project is reached at a port of the host.
  const found = all.filter(
    (each) =>
      isMachineLearning(each) &&
      (neighbours.includes(each) ||
        Object.values(each.published).some((open) => open.port === port)),
  );
  const isAsked = (each: Container) =>
    namesOf(each, server).includes(asked?.hostname ?? "immich-machine-learning");
  const rank = (each: Container) => Number(each.running) * 2 + Number(isAsked(each));
  return found.sort((left, right) => rank(right) - rank(left));
}

/** The names and addresses by which a server reaches a container. */
export function namesOf(container: Container, server: Container): string[] {
  const aliases = Object.entries(container.networks)
    .filter(([network]) => network in server.networks)
    .flatMap(([, names]) => names);
  const own = container.sharedWith ?? container.name;
  const service = container.sharedWith ? undefined : container.labels[serviceLabel];
  const local = isOneNetwork(container, server) ? ["localhost", "127.0.0.1", "::1"] : [];
  return [own, ...(service ? [service] : []), ...aliases, ...container.addresses, ...local];
}

/** Whether two containers have one network of one kind, and so reach each other at localhost. */
function isOneNetwork(left: Container, right: Container): boolean {
  const of = ({ sharedWith, networkMode, name }: Container) =>
    networkMode === "host" ? "host" : `container ${sharedWith ?? name}`;
  return of(left) === of(right);
}

/** The container that has the address; another one where the network is shared. */
function networkOwner(container: Container, all: readonly Container[]): Container {
  return all.find(({ name }) => name === container.sharedWith) ?? container;
}

/** Compose of version 1 noted paths from the project's folder. */
function composeFilesOf({ labels }: Container): string[] {
  const folder = labels[folderLabel];
  return (labels[filesLabel]?.split(",") ?? []).map((file) =>
    folder === undefined || file === "" ? file : path.resolve(folder, file),
  );
}

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
  const { IMMICH_WORKERS_INCLUDE: only, IMMICH_WORKERS_EXCLUDE: without } = container.environment;
  if ((only && !listed(only).includes("api")) || listed(without ?? "").includes("api"))
    return false;
  return (
    imageName(container) === "immich-server" ||
    isAllInOne(container) ||
    container.labels[serviceLabel] === "immich-server"
  );
}

function listed(text: string): string[] {
  return text.split(",").map((word) => word.trim());
}

/** The images of other makers that hold everything but the database. */
function isAllInOne(container: Container): boolean {
  return /(^|\/)(imagegenius|martabal|vcxpz|lscr\.io\/.*|hotio)\/immich(:|@|$)/.test(
    container.image,
  );
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
  if (isOneNetwork(left, right)) return true;
  return Object.keys(left.networks).some((name) => name in right.networks);
}

function hasName(container: Container, server: Container, name: string): boolean {
  const isLocal = ["localhost", "127.0.0.1", "::1"].includes(name);
  // In one network everything answers at localhost.
  return (!isLocal || isDatabase(container)) && namesOf(container, server).includes(name);
}

function isDatabase({ image }: Container): boolean {
  return /postgres|pgvec/.test(image);
}

/** What Docker and Podman call the host in containers. */
const hostNames = ["host.docker.internal", "gateway.docker.internal", "host.containers.internal"];

/** A database that the server reaches at a port of the host, as without a common network. */
function publishedHere(
  all: readonly Container[],
  { host, port }: ServerDatabase,
): Container | undefined {
  const isIp = /^[\d.]+$/.test(host) || host.includes(":") || host === "localhost";
  if (!isIp && !hostNames.includes(host)) return undefined;
  const candidates = all.filter(
    (each) => each.running && isDatabase(each) && each.published["5432"]?.port === port,
  );
  return candidates.length === 1 ? candidates[0] : undefined;
}

/** Docker's own networks know no names. */
const withoutNames = ["bridge", "host", "none"];

/** The server's network that the others are on, too; a reverse proxy's may stand before it. */
function networkOf(
  server: Container,
  others: readonly (Container | undefined)[],
): string | undefined {
  const usable = Object.keys(server.networks).filter((name) => !withoutNames.includes(name));
  const common = others.flatMap(
    (other) => usable.find((name) => other && name in other.networks) ?? [],
  );
  return common[0] ?? usable[0];
}

/** Where programs keep the compose files that they write themselves; they start them with `-f`, so no override is read. */
const platformFolders =
  /(^|,)(\/var\/lib\/casaos\/apps|\/etc\/komodo|\/data\/coolify|\/etc\/dokploy)\/|\/(umbrel\/app-data|runtipi\/(apps|app-data))\//;

function managerOf({ labels }: Container): Manager {
  const files = labels[filesLabel] ?? "";
  if (labels["net.unraid.docker.managed"] === "dockerman") return "unraid";
  if (/(^|,)\/data\/compose\/\d+\//.test(files)) return "portainer";
  if (/^ix-/.test(labels[projectLabel] ?? "")) return "truenas";
  if (platformFolders.test(files)) return "app platform";
  return labels[projectLabel] === undefined ? "docker run" : "compose";
}
