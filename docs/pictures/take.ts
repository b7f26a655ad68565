import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { hostname, tmpdir, userInfo } from "node:os";
import path from "node:path";

import { stringify } from "yaml";

import { repositoryFolder } from "../../demo/folders";
import { createImmichDatabase } from "../../demo/immichDatabase";
import { startPostgres } from "../../demo/postgres";
import { run } from "../../demo/shell";
import { findEngine } from "../../demo/withEngine";
import { startedDocker } from "../../test/support/docker";
import { fakeStack } from "../../test/support/fakeStack";
import { finalScreen, withoutColours, withoutPlugins } from "./screen";
import { terminalPicture } from "./terminalPicture";

/**
 * `npm run pictures` takes the pictures of a terminal in the pages from runs of the real engine, of a stack
 * like Pulumi.dev.yaml on fakes. Each picture has a file with its text.
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
    const picture = (name: string, ...words: string[]) =>
      pulumi
        .run(...words, "--suppress-outputs")
        .then((screen) => take(name, ["pulumi", ...words, "--suppress-outputs"].join(" "), screen));

    await picture("preview", "preview");
    await picture("up", "up", "--yes", "--skip-preview");
    await take("status", "npm run status", await pulumi.status());
    await docker.getContainer(containerName).remove({ force: true });
    await database.query(
      `UPDATE system_metadata SET value = jsonb_set(value, '{machineLearning,clip}', '{"modelName": "RN50__openai"}')
       WHERE key = 'system-config'`,
    );
    await picture("drift", "preview");
    await picture("repair", "up", "--yes", "--skip-preview");
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
    /** @returns what `npm run status` shows */
    status(): Promise<string> {
      const program = path.join(repositoryFolder, "cli", "status.ts");
      return run(
        path.join(repositoryFolder, "node_modules", ".bin", "tsx"),
        [program, "--stack", "dev"],
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

async function take(name: string, command: string, screen: string): Promise<void> {
  const text = `$ ${command}\n${withoutColours(screen).trimEnd()}\n`;
  for (const secret of [hostname(), repositoryFolder, tmpdir(), userInfo().homedir])
    if (text.includes(secret)) throw new Error(`the picture ${name} would show ${secret}`);
  await writeFile(path.join(__dirname, `${name}.txt`), text);
  await writeFile(
    path.join(__dirname, `${name}.png`),
    await terminalPicture(command, screen, columns),
  );
  console.log(text);
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

main().catch((error: Error) => {
  console.error(error.stack);
  process.exitCode = 1;
});
