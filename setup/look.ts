import { parseImmichVersion } from "../catalog/immichVersion";
import { databaseFiles } from "../immich/serverDatabase";
import { locateDatabase } from "../immich/databaseAddress";
import { connectToDatabase } from "../immich/databaseConnection";
import { probeDatabase } from "../immich/databaseProbe";
import { containerVersion, environmentOf } from "../immich/serverVersion";
import type { DatabaseAddress } from "../immich/store";
import { probeHost } from "../preflight/hostProbe";
import { dockerClientEnvironment } from "../util/dockerClient";
import { reasonOf, timeout } from "../util/docker";
import { parseDockerInfo } from "../util/dockerAnswers";
import { memoize, type Run } from "../util/run";
import { sanitize } from "../util/sanitize";
import { type Container, readContainers } from "./containers";
import { findImmich, type FoundImmich } from "./findImmich";
import type { Situation } from "./plan";

/** What setup found, and what it must not print. */
export interface Look {
  readonly situation: Situation;
  readonly password: string;
  /** What the owner should know: of the engine, or of what could not be asked. */
  readonly remarks: readonly string[];
}

/**
 * Asks an engine about Immich, the cards and the models in use. Changes nothing.
 *
 * @param chosen a server's container or a compose project
 * @throws with one sentence where setup cannot serve what it finds
 */
export async function look(
  dockerHost: string,
  chosen: string | undefined,
  anyRun: Run,
): Promise<Look> {
  const run = memoize(anyRun);
  const ask = (...words: string[]) =>
    run("docker", words, { environment: dockerClientEnvironment({ dockerHost }), timeout });
  const docker = async (...words: string[]) => {
    const ended = await ask(...words);
    if (ended.code !== 0) throw new Error(`docker ${words[0]}: ${reasonOf(ended)}`);
    return ended.stdout;
  };
  const host = await probeHost({ dockerHost }, run);
  if (!host.ok) throw new Error(host.message);
  const engine = JSON.parse(await docker("info", "--format", "{{json .}}")) as EngineAnswer;
  const remarks = remarksOn(engine);
  const all = await readContainers(ask);
  const found = await findWithFiles(all, chosen, docker);
  if (!found.ok) throw new Error(found.message);
  const immich = found.value;
  if (immich.isAllInOne && !immich.machineLearning) {
    remarks.push(
      `${immich.server.name} has a built-in machine learning: use the image tagged noml, or set its variable IMMICH_MACHINE_LEARNING_URL to the new one's address; Immich will use that`,
    );
  }

  const [version, models, image] = await Promise.all([
    versionOf(immich, dockerHost, run),
    modelsOf(immich, dockerHost, docker, run),
    imageOf(immich.machineLearning, docker),
  ]);
  const machine = host.value.machine;
  const nvidia = machine?.ok ? machine.value.nvidia : machine;
  return {
    situation: {
      immich,
      version,
      dockerHost,
      machine: engine.Name ?? "host",
      gpus: nvidia?.ok ? nvidia.value : [],
      gpuProblem: nvidia && !nvidia.ok ? nvidia.message : undefined,
      ...image,
      models: models.found,
    },
    password: models.password,
    remarks: [...remarks, ...models.remarks],
  };
}

/** Finds Immich, with the variables that its start script takes from files. */
async function findWithFiles(
  all: readonly Container[],
  chosen: string | undefined,
  docker: (...words: string[]) => Promise<string>,
): Promise<ReturnType<typeof findImmich>> {
  const found = findImmich(all, chosen);
  if (!found.ok) return found;
  const { server } = found.value;
  const files = Object.entries(databaseFiles(server.environment));
  if (files.length === 0) return found;
  const texts = await Promise.all(
    files.map(([, file]) => docker("exec", server.name, "cat", "--", file)),
  );
  const read = files.map(
    ([name], index) => [name, texts[index]!.replace(/(\r?\n)+$/, "")] as const,
  );
  const environment = { ...server.environment, ...Object.fromEntries(read) };
  return findImmich(
    all.map((each) => (each === server ? { ...each, environment } : each)),
    chosen,
  );
}

/** What `docker info` says and no check reads. */
interface EngineAnswer {
  readonly Name?: string;
  readonly OperatingSystem?: string;
  readonly ServerVersion?: string;
  readonly SecurityOptions?: readonly string[] | null;
  readonly buildahVersion?: string;
}

/** @throws where the engine is one that the program does not serve */
export function remarksOn(answer: EngineAnswer) {
  const { OperatingSystem = "", SecurityOptions, ...engine } = answer;
  const isPodman = parseDockerInfo(JSON.stringify(answer))?.isPodman === true;
  if (isPodman || engine.buildahVersion !== undefined || /podman/i.test(OperatingSystem)) {
    throw new Error(
      "this engine is Podman, which immich-ml does not support: it needs Docker itself",
    );
  }
  const remarks: string[] = [];
  if (/OrbStack/.test(OperatingSystem) || engine.Name === "colima") {
    remarks.push("Docker on a Mac: no container there can use a card");
  }
  if (OperatingSystem === "Docker Desktop") {
    remarks.push("Docker Desktop: it can use an NVIDIA card only on Windows, through WSL 2");
  }
  if (SecurityOptions?.some((option) => option.includes("rootless"))) {
    remarks.push(
      "rootless Docker: a card needs no-cgroups = true in /etc/nvidia-container-runtime/config.toml",
    );
  }
  return remarks;
}

async function versionOf(immich: FoundImmich, dockerHost: string, run: Run): Promise<string> {
  if (immich.version !== undefined) return immich.version;
  const asked = await containerVersion(immich.server.name, { dockerHost }, run);
  if (asked.ok && parseImmichVersion(asked.value)) return asked.value;
  throw new Error(asked.ok ? `${asked.value} is not a release of Immich` : asked.message);
}

interface Models {
  readonly found: Situation["models"];
  readonly password: string;
  readonly remarks: readonly string[];
}

/** The CLIP model in use and the number of photos indexed with it. */
async function modelsOf(
  immich: FoundImmich,
  dockerHost: string,
  docker: (...words: string[]) => Promise<string>,
  run: Run,
): Promise<Models> {
  const { database, databaseContainer, network, server } = immich;
  const password = database.passwordFile
    ? (await docker("exec", server.name, "cat", "--", database.passwordFile)).replace(/\r?\n$/, "")
    : database.password;
  const unknown = (message: string) => ({
    found: undefined,
    password,
    remarks: [sanitize(message, 500)],
  });
  const located = databaseContainer
    ? await locateDatabase({ name: databaseContainer.name, port: 5432, network, dockerHost }, run)
    : ({ ok: true, value: { host: database.host, port: database.port } } as const);
  if (!located.ok) return unknown(located.message);
  const { name, user, sslMode } = database;
  const address = { ...located.value, database: name, user, password, sslMode };
  const probe = await probeDatabase(address);
  if (!probe.ok) return unknown(probe.message);
  const photos = probe.hasEmbeddings ? await countEmbeddings(address) : 0;
  const urls = urlsIn(probe.settings);
  return { found: { clip: probe.clipModel, photos, ...(urls && { urls }) }, password, remarks: [] };
}

/** Where Immich's own settings look for machine learning; undefined where they leave that to its variables. */
function urlsIn(settings: Readonly<Record<string, unknown>>): readonly string[] | undefined {
  const stored = settings["machineLearning.urls"] ?? settings["machineLearning.url"];
  const urls = [stored].flat().filter((url) => typeof url === "string");
  return urls.length > 0 ? urls : undefined;
}

async function countEmbeddings(address: DatabaseAddress): Promise<number> {
  const client = await connectToDatabase(address);
  try {
    const { rows } = await client.query<{ count: number }>(
      "SELECT count(*)::int AS count FROM public.smart_search",
    );
    return rows[0]?.count ?? 0;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** What is in the image anyway need not stand in a stack file. */
async function imageOf(
  container: Container | undefined,
  docker: (...words: string[]) => Promise<string>,
): Promise<Pick<Situation, "imageEnvironment" | "imageLabels">> {
  if (!container) return { imageEnvironment: {} };
  // An image removed from under its container is no reason to stop.
  const text = await docker(
    "image",
    "inspect",
    "--format",
    "{{json .Config}}",
    container.imageId,
  ).catch(() => "{}");
  const { Env, Labels } = (JSON.parse(text) ?? {}) as {
    readonly Env?: string[] | null;
    readonly Labels?: Record<string, string> | null;
  };
  return { imageEnvironment: environmentOf(Env ?? []), imageLabels: Labels ?? {} };
}
