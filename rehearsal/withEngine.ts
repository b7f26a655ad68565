import { existsSync } from "node:fs";
import { cp, mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import {
  type EngineEvent,
  LocalWorkspace,
  type OutputMap,
  PulumiCommand,
} from "@pulumi/pulumi/automation";
import { rehearsalFolder, repositoryFolder } from "./folders";
import { narrate, type Say } from "./narration";
import { isInstalled, run } from "./shell";

/** The Pulumi engine with everything this program needs, or why it cannot be had. */
export type EngineSearch = { engine: PulumiCommand } | { missing: string };

const providers = ["docker", "command", "postgresql"];
const engineFolder = path.join(rehearsalFolder, "pulumi");
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
    : await narrate("Pulumi", say, () => PulumiCommand.install({ root: engineFolder }));
  for (const provider of providers) {
    if (await isInstalled(`pulumi-resource-${provider}`)) continue;
    const version = await packageVersion(`@pulumi/${provider}`);
    if (existsSync(path.join(pulumiHome, "plugins", `resource-${provider}-v${version}`))) continue;
    const install = ["plugin", "install", "resource", provider, version];
    try {
      if (!(await answers("https://get.pulumi.com"))) throw new Error("get.pulumi.com is silent");
      await narrate(`Pulumi's provider ${provider}`, say, (tell) =>
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
export interface RehearsedStack {
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

export async function openStack(options: StackOptions): Promise<RehearsedStack> {
  const { engine: pulumiCommand, stack: stackName, say } = options;
  const state = path.join(engineFolder, "state");
  const projectFolder = path.join(engineFolder, "project");
  const configFile = path.join(projectFolder, `Pulumi.${stackName}.yaml`);
  await mkdir(state, { recursive: true });
  await mkdir(projectFolder, { recursive: true });
  const settings = {
    pulumiCommand,
    pulumiHome,
    envVars: {
      PULUMI_BACKEND_URL: `file://${state}`,
      // It protects a password that is made up for a database nobody else can reach.
      PULUMI_CONFIG_PASSPHRASE: "rehearsal",
      PULUMI_SKIP_UPDATE_CHECK: "true",
    },
  };

  // A new stack's salt is written beside its project file; that is done to a copy.
  await cp(path.join(repositoryFolder, "Pulumi.yaml"), path.join(projectFolder, "Pulumi.yaml"));
  const salt = existsSync(configFile)
    ? (/^encryptionsalt:.*$/m.exec(await readFile(configFile, "utf8"))?.[0] ?? "")
    : "";
  await writeFile(configFile, `${options.stackFile}\n${salt}\n`);
  const elsewhere = await LocalWorkspace.createOrSelectStack(
    { stackName, workDir: projectFolder },
    settings,
  );
  for (const [key, value] of Object.entries(options.secrets))
    await elsewhere.setConfig(`${options.project}:${key}`, { value, secret: true });
  const stack = await LocalWorkspace.selectStack(
    { stackName, workDir: repositoryFolder },
    settings,
  );

  return {
    async preview(refresh = false) {
      let changes = 0;
      await watched("preview", say, (onOutput, onEvent) =>
        stack.preview({
          ...{ configFile, refresh, onOutput, diff: refresh, suppressProgress: true },
          onEvent: (event) => {
            onEvent(event);
            const counts = Object.entries(event.summaryEvent?.resourceChanges ?? {});
            for (const [kind, count] of counts) if (kind !== "same") changes += count ?? 0;
          },
        }),
      );
      return changes;
    },
    async up(refresh = false) {
      const options = { configFile, refresh, suppressOutputs: true, suppressProgress: true };
      const result = await watched("up", say, (onOutput, onEvent) =>
        stack.up({ ...options, onOutput, onEvent }),
      );
      return result.outputs;
    },
    async destroy() {
      await watched("destroy", say, (onOutput, onEvent) =>
        stack.destroy({ configFile, onOutput, onEvent, suppressProgress: true }),
      );
      // Forgetting a stack deletes its stack file, which must not be the repository's.
      await elsewhere.workspace.removeStack(stackName);
      await rm(projectFolder, { recursive: true });
    },
  };
}

type Operation<T> = (
  onOutput: (text: string) => void,
  onEvent: (event: EngineEvent) => void,
) => Promise<T>;

/** Shows what the engine says, and after five seconds of silence what it is still working on. */
async function watched<T>(name: string, say: Say, operation: Operation<T>): Promise<T> {
  const working = new Map<string, number>();
  let lastNews = Date.now();
  const onOutput = (text: string) => {
    lastNews = Date.now();
    for (const line of text.split("\n")) if (line.trim() !== "") say(`  ${line}`);
  };
  const onEvent = (event: EngineEvent) => {
    const started = event.resourcePreEvent?.metadata;
    const ended = (event.resOutputsEvent ?? event.resOpFailedEvent)?.metadata;
    if (started && started.op !== "same") working.set(started.urn, Date.now());
    if (ended) working.delete(ended.urn);
  };
  const clock = setInterval(() => {
    if (Date.now() - lastNews < 5000) return;
    lastNews = Date.now();
    const busy = [...working].map(
      ([urn, since]) => `${urn.split("::").at(-1)} (${((Date.now() - since) / 1000).toFixed(0)} s)`,
    );
    say(`  ${name}: still at it${busy.length > 0 ? `: ${busy.join(", ")}` : ""}`);
  }, 500);
  say(`pulumi ${name}`);
  try {
    return await operation(onOutput, onEvent);
  } finally {
    clearInterval(clock);
  }
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

/** Whether a rehearsal with the engine has left a stack behind. */
export function hasRehearsedStack(): boolean {
  return existsSync(path.join(engineFolder, "project"));
}
