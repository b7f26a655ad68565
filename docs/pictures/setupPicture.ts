import { mkdir, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import path from "node:path";

import { stringify } from "yaml";

import { repositoryFolder } from "../../demo/folders";
import type { ImmichDatabase } from "../../demo/immichDatabase";
import { run } from "../../demo/shell";
import { fakes } from "../../test/support/docker";
import { runnerBases } from "../../test/support/runnerBase";
import { atTerminal } from "../../test/support/terminal";
import { finalScreen } from "./screen";

/** A release without a digest in the catalog, so that an image of this engine stands for Immich's. */
const version = "v2.7.4";
const network = "immich_default";
const server = "immich_server";
const machineLearning = "immich_machine_learning";
const volume = "immich_model-cache";

/**
 * `./immich-ml setup` at a terminal, beside an Immich as its compose file starts it.
 *
 * @param folder for the stack file and the compose file; the picture shows it as /home/you, and this machine as attic
 * @returns what the terminal shows at the end
 */
export async function setupScreen(
  database: ImmichDatabase,
  folder: string,
  columns: number,
): Promise<string> {
  await refuseAnOwnersImmich();
  const bases = await runnerBases();
  const { python310 } = await fakes();
  const images = [`immich-server:${version}`, `immich-machine-learning:${version}`].map(
    (name) => `ghcr.io/immich-app/${name}`,
  );
  const compose = path.join(folder, "immich", "docker-compose.yml");
  const environment = {
    IMMICH_ML_HOME: path.join(folder, ".immich-ml"),
    IMMICH_ML_BASE_IMAGE: bases.base,
    IMMICH_ML_DOCKER_IMAGE: bases.docker,
  };
  const launcher = path.join(repositoryFolder, "immich-ml");
  await mkdir(path.dirname(compose), { recursive: true });
  await writeFile(compose, stringify({ services: { "immich-machine-learning": {} } }));
  try {
    for (const image of images) await run("docker", ["tag", python310, image]);
    await run("docker", ["network", "create", network]);
    await start(server, images[0]!, compose, [
      ...["--env", `DB_HOSTNAME=${database.host}`, "--env", `DB_PORT=${database.port}`],
      ...["--env", `DB_PASSWORD=${database.password}`],
    ]);
    await start(machineLearning, images[1]!, compose, [
      ...["--network-alias", "immich-machine-learning", "--volume", `${volume}:/cache`],
    ]);
    // The first command of all builds the runner, which is no part of the picture.
    await run(launcher, ["pulumi", "version"], { environment });
    const { code, text, raw } = await atTerminal(
      [launcher, "setup"],
      [
        ["Which languages", "\r"],
        ["Mirrors, if your network", "\r"],
        ["Replace ", "\r"],
        ["docker-compose.override.yml?", "\r"],
      ],
      environment,
      columns,
    );
    if (code !== 0) throw new Error(`setup ended with ${code}:\n${text}`);
    return finalScreen(raw)
      .replaceAll(folder, "/home/you")
      .replaceAll(new RegExp(`\\b${hostname()}\\b`, "g"), "attic");
  } finally {
    for (const name of [server, machineLearning]) await ignore("rm", "--force", "--volumes", name);
    await ignore("volume", "rm", volume);
    await ignore("network", "rm", network);
    for (const image of images) await ignore("rmi", image);
  }
}

/** The names are those of a real Immich, and all of it is removed at the end. */
async function refuseAnOwnersImmich(): Promise<void> {
  for (const [kind, name] of [
    ["container", server],
    ["container", machineLearning],
    ["network", network],
    ["volume", volume],
  ] as const) {
    const found = await run("docker", [kind, "inspect", name]).catch(() => undefined);
    if (found !== undefined)
      throw new Error(`the ${kind} ${name} exists here: take the pictures on another engine`);
  }
}

async function start(name: string, image: string, compose: string, words: readonly string[]) {
  await run("docker", [
    ...["run", "--detach", "--name", name, "--network", network],
    ...["--label", "com.docker.compose.project=immich"],
    ...["--label", `com.docker.compose.service=${name.replaceAll("_", "-")}`],
    ...["--label", `com.docker.compose.project.config_files=${compose}`],
    ...[...words, image, "sleep", "infinity"],
  ]);
}

async function ignore(...words: string[]): Promise<void> {
  await run("docker", words).catch(() => undefined);
}
