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
import type { Say } from "./progress";
import { findEngine, hasDemoStack, openStack } from "./withEngine";
import { removeWithoutEngine } from "./withoutEngine";

const say: Say = (line) => console.log(line);

async function demoDown(anyway: boolean): Promise<void> {
  const config = await readDemoConfig();
  const world = await findDemoEnvironment(config, say);
  if (world === undefined) {
    say("There is no demo to take away.");
    return;
  }
  await ensureDockerEngine(say);
  if (existsSync(demoJournal)) await removeWithoutEngine(demoJournal, say);
  if (hasDemoStack()) {
    const search = await findEngine(say);
    if (!("engine" in search))
      throw new Error(`A stack is there that only Pulumi can destroy, but ${search.missing}.`);
    const secrets = { databasePassword: world.server.password };
    const { engine } = search;
    config["immich-ml:immich"].database.port = world.server.port;
    const text = stackFile(config);
    const rehearsed = await openStack({ engine, project, stack, stackFile: text, secrets, say });
    await rehearsed.destroy();
  }

  const row = await world.database.configurationText();
  if (row !== world.before) {
    say(`before: ${world.before}\nnow:    ${row}`);
    if (!anyway)
      throw new Error(
        "Immich's configuration row is not what it was. The demo's database is left as it is;\n" +
          "`npm run demo:down -- --anyway` removes it.",
      );
  } else say(`Immich's configuration row is byte for byte what it was (${row?.length} bytes).`);
  await world.server.remove();
  await rm(demoFolder, { recursive: true });
  say("Fake images, build cache and npm packages stay, so that the next demo is quick.");
}

demoDown(process.argv.includes("--anyway")).catch((error: Error) => {
  console.error(`\n${error.message}`);
  process.exitCode = 1;
});
