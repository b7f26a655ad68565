import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { hostname, tmpdir, userInfo } from "node:os";
import path from "node:path";

import type Docker from "dockerode";
import { stringify } from "yaml";

import { repositoryFolder } from "../../demo/folders";
import { createImmichDatabase } from "../../demo/immichDatabase";
import { startPostgres } from "../../demo/postgres";
import { run } from "../../demo/shell";
import { findEngine } from "../../demo/withEngine";
import { startedDocker } from "../../test/support/docker";
import { fakeStack } from "../../test/support/fakeStack";
import { reportPictures } from "./reportPictures";
import { finalScreen, withoutColours, withoutPlugins } from "./screen";
import { setupScreen } from "./setupPicture";
import { type Shown, terminalPicture } from "./terminalPicture";

/**
 * `npm run pictures` takes the pictures in the pages from runs of the real engine, of a stack like
 * Pulumi.dev.yaml on fakes, and of the launcher. Each picture of a terminal has a file with its text.
 */
const columns = 126;
const containerName = "immich-ml-pictures";

async function main(): Promise<void> {
  const docker = await startedDocker();
  const found = await findEngine(console.log);
  if ("missing" in found) throw new Error(found.missing);
  const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-pictures-"));
  const server = await startPostgres({ folder: path.join(folder, "database") });
  const pulumi = await terminal(found.engine.command, folder);
  try {
    const database = await createImmichDatabase(server);
    const config = await fakeStack(database, containerName, {
      url: "http://attic:3003",
      cacheVolume: undefined,
      keepCache: undefined,
      cache: { volume: `${containerName}-cache`, keep: false },
    });
    await pulumi.prepare(config, database.password);

    // The outputs are long; the status explains them.
    const shown = async (...words: string[]): Promise<Shown> => ({
      command: ["pulumi", ...words, "--suppress-outputs"].join(" "),
      screen: await pulumi.run(...words, "--suppress-outputs"),
    });

    // First, while all photos are indexed with the model that Immich had before.
    await take("setup", await setupScreen(database, folder, columns));
    await take("preview", await shown("preview"));
    const up = await shown("up", "--yes", "--skip-preview");
    const status = { command: "npm run status", screen: await pulumi.npmScript("status") };
    await take("up", up, status);
    await take("status", status);
    await docker.getContainer(containerName).remove({ force: true });
    await database.query(
      `UPDATE system_metadata SET value = jsonb_set(value, '{machineLearning,clip}', '{"modelName": "RN50__openai"}')
       WHERE key = 'system-config'`,
    );
    await take("drift", await shown("preview"));
    await take("repair", await shown("up", "--yes", "--skip-preview"));
    await healthy(docker, 60);
    const report = path.join(folder, "report.html");
    await pulumi.npmScript("report/report", "--output", report);
    await reportPictures(report);
  } finally {
    await pulumi.run("destroy", "--yes", "--skip-preview").catch(console.error);
    await server.remove();
    await rm(folder, { recursive: true, force: true });
  }
}

/** The engine's command line in a terminal, with project and state in a folder. */
async function terminal(engine: string, folder: string) {
  const project = path.join(folder, "project");
  await mkdir(project);
  // The engine writes beside the project file, so this is a copy.
  const text = await readFile(path.join(repositoryFolder, "Pulumi.yaml"), "utf8");
  await writeFile(path.join(project, "Pulumi.yaml"), `${text}main: program\n`);
  await symlink(repositoryFolder, path.join(project, "program"));
  const environment = {
    PULUMI_BACKEND_URL: `file://${folder}`,
    PULUMI_CONFIG_PASSPHRASE: "pictures",
    PULUMI_SKIP_UPDATE_CHECK: "true",
    TERM: "xterm-256color",
  };
  const plain = (...words: string[]) =>
    run(engine, [...words, "--non-interactive"], { environment, directory: project });
  return {
    async prepare(config: Readonly<Record<string, unknown>>, password: string): Promise<void> {
      await plain("stack", "init", "dev");
      await plain("config", "set", "--secret", "databasePassword", password);
      const file = path.join(project, "Pulumi.dev.yaml");
      const encrypted = await readFile(file, "utf8");
      const more = Object.entries(config).map(([key, value]) => [`immich-ml:${key}`, value]);
      // The file that the engine wrote ends with the block `config`.
      const lines = stringify(Object.fromEntries(more)).trimEnd().split("\n");
      await writeFile(file, `${encrypted}${lines.map((line) => `  ${line}\n`).join("")}`);
    },
    /** Runs the program of an npm script. @returns what it prints */
    npmScript(name: string, ...words: string[]): Promise<string> {
      const program = path.join(repositoryFolder, "cli", `${name}.ts`);
      return run(
        path.join(repositoryFolder, "node_modules", ".bin", "tsx"),
        [program, "--stack", "dev", ...words],
        { environment: { ...environment, IMMICH_ML_HOME: folder }, directory: project },
      );
    },
    /** Runs a command in the terminal. @returns what it shows at the end */
    async run(...words: string[]): Promise<string> {
      const line = `stty cols ${columns} rows 200; exec "$0" "$@"`;
      const shell = ["sh", "-c", line, engine, ...words].map(quoted).join(" ");
      const output = await run("script", ["-qefc", shell, "/dev/null"], {
        environment,
        directory: project,
      });
      return withoutPlugins(finalScreen(output));
    },
  };
}

/** Waits until Docker's own health check has asked for the first time. */
async function healthy(docker: Docker, seconds: number): Promise<void> {
  const deadline = Date.now() + 1000 * seconds;
  for (;;) {
    const { State } = await docker.getContainer(containerName).inspect();
    if (State.Health?.Status === "healthy") return;
    if (Date.now() > deadline)
      throw new Error(`the service is ${State.Health?.Status} after ${seconds} s`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

async function take(name: string, ...shown: readonly Shown[]): Promise<void> {
  const text = shown
    .map(({ command, screen }) => `$ ${command}\n${withoutColours(screen).trimEnd()}\n`)
    .join("\n");
  for (const secret of [hostname(), repositoryFolder, tmpdir(), userInfo().homedir])
    if (text.includes(secret)) throw new Error(`the picture ${name} would show ${secret}`);
  await writeFile(path.join(__dirname, `${name}.txt`), text);
  await writeFile(path.join(__dirname, `${name}.png`), await terminalPicture(shown, columns));
  console.log(text);
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

main().catch((error: Error) => {
  console.error(error.stack);
  process.exitCode = 1;
});
