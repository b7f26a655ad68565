import { existsSync } from "node:fs";
import { mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import {
  type EngineEvent,
  LocalWorkspace,
  type OutputMap,
  PulumiCommand,
} from "@pulumi/pulumi/automation";
import { EngineEvents } from "./engineEvents";
import { cacheFolder, repositoryFolder } from "./folders";
import { logProgress, type Say } from "./progress";
import { isInstalled, run } from "./shell";

/** The Pulumi engine with everything this program needs, or why it cannot be had. */
export type EngineSearch = { engine: PulumiCommand } | { missing: string };

const providers = ["docker", "command", "postgresql"];
const engineFolder = path.join(cacheFolder, "pulumi");
/** Of its own, so that neither the stack selected by the user nor a login is touched. */
const pulumiHome = path.join(engineFolder, "home");

/**
 * Looks for a Pulumi engine on the PATH. Where there is none, fetches it if get.pulumi.com answers
 * within three seconds.
 */
export async function findEngine(say: Say): Promise<EngineSearch> {
  await preparePulumiHome();
  const onPath = await isInstalled("pulumi");
  if (!onPath && !(await answers("https://get.pulumi.com")))
    return { missing: "there is no Pulumi on the PATH, and get.pulumi.com cannot be reached" };
  const engine = onPath
    ? await PulumiCommand.get({ skipVersionCheck: true })
    : await logProgress("Pulumi", say, () => PulumiCommand.install({ root: engineFolder }));
  for (const provider of providers) {
    if (await isInstalled(`pulumi-resource-${provider}`)) continue;
    const version = await packageVersion(`@pulumi/${provider}`);
    if (existsSync(path.join(pulumiHome, "plugins", `resource-${provider}-v${version}`))) continue;
    const install = ["plugin", "install", "resource", provider, version];
    try {
      if (!(await answers("https://get.pulumi.com"))) throw new Error("get.pulumi.com is silent");
      await logProgress(`Pulumi's provider ${provider}`, say, (tell) =>
        run(engine.command, install, { say: tell, environment: { PULUMI_HOME: pulumiHome } }),
      );
    } catch {
      return {
        missing: `Pulumi's provider ${provider} ${version} is not here and cannot be fetched`,
      };
    }
  }
  return { engine };
}

/** A stack of this repository, kept in a folder: no login, no file of the repository is changed. */
export interface DemoStack {
  /** Whether no earlier run has left it behind. */
  isNew: boolean;
  /** Shows what would be done; answers with the number of resources that would change. */
  preview(refresh?: boolean): Promise<number>;
  up(refresh?: boolean): Promise<OutputMap>;
  /** Destroys the resources and forgets the stack. */
  destroy(): Promise<void>;
}

export interface StackOptions {
  engine: PulumiCommand;
  project: string;
  stack: string;
  /** The text of a stack file, in place of the repository's own. */
  stackFile: string;
  /** Set as encrypted configuration. */
  secrets: Readonly<Record<string, string>>;
  say: Say;
}

export async function openStack(options: StackOptions): Promise<DemoStack> {
  const { engine: pulumiCommand, stack: stackName, say } = options;
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
      // It protects a password that is made up for a database nobody else can reach.
      PULUMI_CONFIG_PASSPHRASE: "demo",
      PULUMI_SKIP_UPDATE_CHECK: "true",
    },
  };

  // The engine writes into the folder of the project file, a new stack's salt for example; so it
  // is given a folder of its own, from which it reaches the program through a link.
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

  const warnings = new Set<string>();
  const told = async (
    kind: "preview" | "up" | "destroy",
    refresh: boolean,
    operation: (onEvent: (event: EngineEvent) => void) => Promise<unknown>,
  ): Promise<number> => {
    const command = `pulumi ${kind}${refresh ? " --refresh" : ""}`;
    const events = new EngineEvents(kind, say, warnings);
    say(`$ ${command}`);
    try {
      await operation(events.hear);
    } catch (error) {
      throw events.count.hasError ? new Error(`${command} failed.`) : error;
    } finally {
      events.end();
    }
    const { changes } = events.count;
    if (kind === "preview") say(changes === 0 ? "  no changes" : `  changes: ${changes}`);
    return changes;
  };

  return {
    isNew,
    preview: (refresh = false) =>
      told("preview", refresh, (onEvent) => stack.preview({ refresh, onEvent })),
    async up(refresh = false) {
      let outputs: OutputMap = {};
      await told("up", refresh, async (onEvent) => {
        outputs = (await stack.up({ refresh, onEvent })).outputs;
      });
      return outputs;
    },
    async destroy() {
      await told("destroy", false, (onEvent) => stack.destroy({ onEvent }));
      await stack.workspace.removeStack(stackName);
      for (const left of [projectFolder, state]) await rm(left, { recursive: true });
    },
  };
}

/** Plugins are shared with the user's own Pulumi; everything else stays apart. */
async function preparePulumiHome(): Promise<void> {
  await mkdir(pulumiHome, { recursive: true });
  const shared = path.join(
    process.env["PULUMI_HOME"] ?? path.join(homedir(), ".pulumi"),
    "plugins",
  );
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

/** Whether a demo with the engine has left a stack behind. */
export function hasDemoStack(): boolean {
  return existsSync(path.join(engineFolder, "project"));
}
