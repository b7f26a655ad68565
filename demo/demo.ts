import { existsSync } from "node:fs";
import {
  type DemoConfig,
  demoJournal,
  type DemoEnvironment,
  startDemoEnvironment,
  project,
  readDemoConfig,
  stack,
  stackFile,
  withReachableImages,
} from "./environment";
import { ensureDockerEngine } from "./engine";
import type { Say } from "./progress";
import { loadProgram } from "./program";
import { showDemo, type HostOutput } from "./report";
import { findEngine, hasDemoStack, openStack } from "./withEngine";
import { createWithoutEngine, removeWithoutEngine } from "./withoutEngine";

const say: Say = (line) => console.log(line);

async function demo(withoutEngine: boolean): Promise<void> {
  await ensureDockerEngine(say);
  const config = await withReachableImages(await readDemoConfig(), say);
  const world = await startDemoEnvironment(config, say);
  config["immich-ml:immich"].database.port = world.server.port;

  const search = withoutEngine ? { missing: "it was asked for" } : await findEngine(say);
  const hosts =
    "engine" in search
      ? await bringUpWithEngine(search.engine, config, world)
      : await bringUpWithoutEngine(search.missing, config, world);
  await showDemo(hosts, world, say);
}

async function bringUpWithEngine(
  engine: Parameters<typeof openStack>[0]["engine"],
  config: DemoConfig,
  world: DemoEnvironment,
): Promise<HostOutput[]> {
  if (existsSync(demoJournal)) await removeWithoutEngine(demoJournal, say);
  const secrets = { databasePassword: world.server.password };
  const text = stackFile(config);
  const rehearsed = await openStack({ engine, project, stack, stackFile: text, secrets, say });

  if (rehearsed.isNew) {
    say("\nWhat would be done");
    await rehearsed.preview();
  }
  say("\nDoing it");
  const outputs = await rehearsed.up();
  say("\nA second look: nothing is left to do");
  await expectChanges(0, rehearsed.preview());
  say("\nSomebody changes the CLIP model in Immich's configuration by hand");
  await world.database.query(
    `UPDATE system_metadata
     SET value = jsonb_set(value, '{machineLearning,clip}', '{"modelName": "RN50__openai"}')
     WHERE key = 'system-config'`,
  );
  await expectChanges(1, rehearsed.preview(true));
  say("\nRepairing it");
  await rehearsed.up(true);
  return (outputs["machineLearning"]?.value ?? []) as HostOutput[];
}

async function expectChanges(expected: number, preview: Promise<number>): Promise<void> {
  const changes = await preview;
  if (expected === 0 ? changes > 0 : changes < expected)
    throw new Error(`the preview shows ${changes} changes where ${expected} were expected`);
}

async function bringUpWithoutEngine(
  reason: string,
  config: DemoConfig,
  world: DemoEnvironment,
): Promise<HostOutput[]> {
  if (hasDemoStack())
    throw new Error("An earlier demo used Pulumi; take it away first: npm run demo:down");
  say(`Running without state and diff, since ${reason}.`);
  if (existsSync(demoJournal)) await removeWithoutEngine(demoJournal, say);
  const outputs = await createWithoutEngine({
    project,
    stack,
    config: { ...config, [`${project}:databasePassword`]: world.server.password },
    program: loadProgram,
    journal: demoJournal,
    say,
  });
  return outputs["machineLearning"] as HostOutput[];
}

demo(process.argv.includes("--without-engine")).catch((error: Error) => {
  console.error(`\n${error.message}\nnpm run demo:down takes away what was created so far.`);
  process.exitCode = 1;
});
