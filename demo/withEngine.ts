import { existsSync } from "node:fs";
import { mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import { LocalWorkspace, type OutputMap, PulumiCommand } from "@pulumi/pulumi/automation";
import { cacheFolder, repositoryFolder } from "./folders";
import { type Log, logProgress } from "./progress";
import { isInstalled, run } from "./shell";

/** The Pulumi engine with all that this program needs, or why there is none. */
export type EngineSearch = { engine: PulumiCommand } | { missing: string };

const providers = ["docker", "command", "postgresql"];
const engineFolder = path.join(cacheFolder, "pulumi");
/** Separate, so that the demo touches neither the user's selected stack nor a login. */
const pulumiHome = path.join(engineFolder, "home");

/**
 * Finds the Pulumi engine on the PATH. Otherwise downloads it, if get.pulumi.com answers within three
 * seconds.
 */
export async function findEngine(log: Log): Promise<EngineSearch> {
  await preparePulumiHome();
  const onPath = await isInstalled("pulumi");
  if (!onPath && !(await answers("https://get.pulumi.com")))
    return { missing: "there is no Pulumi on the PATH, and get.pulumi.com cannot be reached" };
  const engine = onPath
    ? await PulumiCommand.get({ skipVersionCheck: true })
    : await logProgress("Pulumi", log, () => PulumiCommand.install({ root: engineFolder }));
  for (const provider of providers) {
    if (await isInstalled(`pulumi-resource-${provider}`)) continue;
    const version = await packageVersion(`@pulumi/${provider}`);
    if (existsSync(path.join(pulumiHome, "plugins", `resource-${provider}-v${version}`))) continue;
    const install = ["plugin", "install", "resource", provider, version];
    const environment = { PULUMI_HOME: pulumiHome };
    try {
      if (!(await answers("https://get.pulumi.com"))) throw new Error("no answer");
      await logProgress(`Pulumi's provider ${provider}`, log, (logLine) =>
        run(engine.command, install, { log: logLine, environment }),
      );
    } catch {
      return {
        missing: `Pulumi's provider ${provider} ${version} is missing and cannot be downloaded`,
      };
    }
  }
  return { engine };
}

/** A stack of this repository whose state is in a folder: no login, no changed file in the repository. */
export interface DemoStack {
  /** Whether no earlier demo left it. */
  isNew: boolean;
  /** @returns the number of resources that would change */
  preview(refresh?: boolean): Promise<number>;
  up(refresh?: boolean): Promise<OutputMap>;
  /** Destroys the resources and removes the stack. */
  destroy(): Promise<void>;
}

export interface StackOptions {
  engine: PulumiCommand;
  project: string;
  stack: string;
  /** The text of the stack file, instead of the repository's. */
  stackFile: string;
  /** Set as encrypted configuration. */
  secrets: Readonly<Record<string, string>>;
  log: Log;
}

export async function openStack(options: StackOptions): Promise<DemoStack> {
  const { engine: pulumiCommand, stack: stackName, log } = options;
  const state = path.join(engineFolder, "state");
  const projectFolder = path.join(engineFolder, "project");
  const configFile = path.join(projectFolder, `Pulumi.${stackName}.yaml`);
  const isNew = !existsSync(configFile);
  await mkdir(state, { recursive: true });
  await mkdir(projectFolder, { recursive: true });
  const settings = {
    pulumiCommand,
    pulumiHome,
    envVars: {
      PULUMI_BACKEND_URL: `file://${state}`,
      // It protects a generated password of a database that listens on loopback only.
      PULUMI_CONFIG_PASSPHRASE: "demo",
      PULUMI_SKIP_UPDATE_CHECK: "true",
    },
  };

  // The engine writes beside the project file, such as a new stack's salt. This project file is a copy
  // that reaches the program through a link.
  const projectText = await readFile(path.join(repositoryFolder, "Pulumi.yaml"), "utf8");
  await writeFile(path.join(projectFolder, "Pulumi.yaml"), `${projectText}\nmain: program\n`);
  const link = path.join(projectFolder, "program");
  if (!existsSync(link)) await symlink(repositoryFolder, link);
  const salt = isNew
    ? ""
    : (/^encryptionsalt:.*$/m.exec(await readFile(configFile, "utf8"))?.[0] ?? "");
  await writeFile(configFile, `${options.stackFile}\n${salt}\n`);
  const stack = await LocalWorkspace.createOrSelectStack(
    { stackName, workDir: projectFolder },
    settings,
  );
  for (const [key, value] of Object.entries(options.secrets))
    await stack.setConfig(`${options.project}:${key}`, { value, secret: true });

  /** Runs a command of the engine and logs what it prints. */
  const logged = async <Result>(
    command: string,
    operation: (output: typeof engineOutput) => Promise<Result>,
  ): Promise<Result> => {
    log(`$ pulumi ${command}`);
    try {
      return await operation(engineOutput);
    } catch (error) {
      // The error repeats all the output.
      throw new Error(`pulumi ${command} failed.`, { cause: error });
    }
  };
  const onOutput = (text: string) => {
    if (text.trim() !== "") log(text.trimEnd());
  };
  const engineOutput = {
    ...{ onOutput, onError: onOutput },
    ...{ suppressProgress: true, suppressOutputs: true },
  } as const;

  return {
    isNew,
    preview: (refresh = false) =>
      logged(`preview${refresh ? " --refresh" : ""}`, async (output) => {
        const { changeSummary } = await stack.preview({ ...output, refresh });
        const changes = Object.entries(changeSummary).filter(([operation]) => operation !== "same");
        return changes.reduce((sum, [, count]) => sum + count, 0);
      }),
    up: (refresh = false) =>
      logged(`up${refresh ? " --refresh" : ""}`, async (output) => {
        const { outputs } = await stack.up({ ...output, refresh });
        return outputs;
      }),
    destroy: () =>
      logged("destroy", async (output) => {
        await stack.destroy(output);
        await stack.workspace.removeStack(stackName);
        for (const folder of [projectFolder, state]) await rm(folder, { recursive: true });
      }),
  };
}

/** The user's plugins are shared with the demo, everything else is separate. */
async function preparePulumiHome(): Promise<void> {
  await mkdir(pulumiHome, { recursive: true });
  const usersHome = process.env["PULUMI_HOME"] ?? path.join(homedir(), ".pulumi");
  const shared = path.join(usersHome, "plugins");
  const link = path.join(pulumiHome, "plugins");
  await mkdir(shared, { recursive: true });
  if (!existsSync(link)) await symlink(shared, link);
}

async function packageVersion(name: string): Promise<string> {
  const file = path.join(repositoryFolder, "node_modules", name, "package.json");
  return (JSON.parse(await readFile(file, "utf8")) as { version: string }).version;
}

function answers(address: string): Promise<boolean> {
  return fetch(address, { method: "HEAD", signal: AbortSignal.timeout(3000) }).then(
    (answer) => answer.ok,
    () => false,
  );
}

/** Whether a demo with the engine left a stack. */
export function hasDemoStack(): boolean {
  return existsSync(path.join(engineFolder, "project"));
}
