import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import {
  demoFolder,
  demoJournal,
  findDemoEnvironment,
  project,
  readDemoConfig,
  stack,
  stackFile,
} from "./environment";
import { ensureDockerEngine } from "./engine";
import type { Log } from "./progress";
import { findEngine, hasDemoStack, openStack } from "./withEngine";
import { removeWithoutEngine } from "./withoutEngine";

const log: Log = (line) => console.log(line);

async function demoDown(anyway: boolean): Promise<void> {
  const config = await readDemoConfig();
  const environment = await findDemoEnvironment(config, log);
  if (environment === undefined) {
    log("There is no demo to remove.");
    return;
  }
  await ensureDockerEngine(log);
  if (existsSync(demoJournal)) await removeWithoutEngine(demoJournal, log);
  if (hasDemoStack()) {
    const search = await findEngine(log);
    if (!("engine" in search))
      throw new Error(`Only Pulumi can destroy the demo's stack, but ${search.missing}.`);
    const { engine } = search;
    const secrets = { databasePassword: environment.server.password };
    config["immich-ml:immich"].database.port = environment.server.port;
    const text = stackFile(config);
    const opened = await openStack({ engine, project, stack, stackFile: text, secrets, log });
    await opened.destroy();
  }

  const row = await environment.database.configurationText();
  if (row !== environment.before) {
    log(`before: ${environment.before}\nnow:    ${row}`);
    if (!anyway)
      throw new Error(
        "Immich's configuration row was not restored. The demo's database stays;\n" +
          "`npm run demo:down -- --anyway` removes it.",
      );
  } else log(`Immich's configuration row is restored byte for byte (${row?.length} bytes).`);
  await environment.server.remove();
  await rm(demoFolder, { recursive: true });
  log(
    "Fake images, build cache and npm packages stay, so the next demo is quick. To remove them, too:\n" +
      "  docker image rm --force $(docker image ls --quiet 'immich-ml-demo/*')\n" +
      "  docker builder prune\n" +
      "  rm -r node_modules",
  );
}

demoDown(process.argv.includes("--anyway")).catch((error: Error) => {
  console.error(`\n${error.message}`);
  process.exitCode = 1;
});
