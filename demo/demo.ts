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
import type { Log } from "./progress";
import { loadProgram } from "./program";
import { showDemo, type HostOutput } from "./report";
import { findEngine, hasDemoStack, openStack } from "./withEngine";
import { createWithoutEngine, removeWithoutEngine } from "./withoutEngine";

const log: Log = (line) => console.log(line);

async function demo(withoutEngine: boolean): Promise<void> {
  await ensureDockerEngine(log);
  const config = await withReachableImages(await readDemoConfig(), log);
  const environment = await startDemoEnvironment(config, log);
  config["immich-ml:immich"].database.port = environment.server.port;

  const search = withoutEngine ? { missing: "--without-engine was given" } : await findEngine(log);
  const hosts =
    "engine" in search
      ? await upWithEngine(search.engine, config, environment)
      : await upWithoutEngine(search.missing, config, environment);
  await showDemo(hosts, environment, log);
}

async function upWithEngine(
  engine: Parameters<typeof openStack>[0]["engine"],
  config: DemoConfig,
  { server, database }: DemoEnvironment,
): Promise<HostOutput[]> {
  if (existsSync(demoJournal)) await removeWithoutEngine(demoJournal, log);
  const secrets = { databasePassword: server.password };
  const text = stackFile(config);
  const opened = await openStack({ engine, project, stack, stackFile: text, secrets, log });

  if (opened.isNew) {
    log("\nWhat would be created");
    await opened.preview();
  }
  log("\nCreating it");
  const outputs = await opened.up();
  log("\nA second preview is empty");
  await expectChanges(0, opened.preview());
  log("\nSomeone changes the CLIP model in Immich's configuration by hand");
  await database.query(
    `UPDATE system_metadata
     SET value = jsonb_set(value, '{machineLearning,clip}', '{"modelName": "RN50__openai"}')
     WHERE key = 'system-config'`,
  );
  await expectChanges(1, opened.preview(true));
  log("\nRepairing it");
  await opened.up(true);
  return (outputs["machineLearning"]?.value ?? []) as HostOutput[];
}

async function expectChanges(expected: number, preview: Promise<number>): Promise<void> {
  const changes = await preview;
  if (expected === 0 ? changes > 0 : changes < expected)
    throw new Error(`the preview shows ${changes} changes, expected ${expected}`);
}

async function upWithoutEngine(
  reason: string,
  config: DemoConfig,
  { server }: DemoEnvironment,
): Promise<HostOutput[]> {
  if (hasDemoStack())
    throw new Error("An earlier demo used Pulumi. Remove it first: npm run demo:down");
  log(`Running without Pulumi, so without state and diff: ${reason}.`);
  if (existsSync(demoJournal)) await removeWithoutEngine(demoJournal, log);
  const outputs = await createWithoutEngine({
    project,
    stack,
    config: { ...config, [`${project}:databasePassword`]: server.password },
    program: loadProgram,
    journal: demoJournal,
    log,
  });
  return outputs["machineLearning"] as HostOutput[];
}

demo(process.argv.includes("--without-engine")).catch((error: Error) => {
  console.error(`\n${error.message}\nnpm run demo:down removes what was created so far.`);
  process.exitCode = 1;
});
