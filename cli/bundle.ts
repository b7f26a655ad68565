import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import path from "node:path";

import { isSecretVariable } from "../catalog/renderEnvironment";
import { dockerClientEnvironment } from "../util/dockerClient";
import { run } from "../util/run";
import { sanitizeLines } from "../util/sanitize";
import { askEngine, type DeployedHost } from "../verify/deployment";

/** Seconds that one question may take. */
const timeout = 20;
const linesOfLog = 300;

/** A part of the file, under its title. */
type Section = readonly [title: string, text: string];

/**
 * The text of a file for a bug report: versions, facts of the engines and hosts, the last check and the
 * ends of the logs, without a secret or an address of the outside.
 *
 * @param check what the check that just ran printed
 */
export async function bundle(
  hosts: readonly DeployedHost[],
  check: string,
  stack: string | undefined,
): Promise<string> {
  const [program, engine, secrets, ...sections] = await Promise.all([
    readFile(path.join(__dirname, "..", "package.json"), "utf8"),
    answer("pulumi", ["version"]),
    secretsOf(stack),
    ...hosts.map(hostSections),
  ]);
  const versions = [
    `immich-ml ${(JSON.parse(program) as { version: string }).version}`,
    `Node.js ${process.version} on ${process.platform} ${process.arch}`,
    `Pulumi ${engine.trim()}`,
  ].join("\n");
  const all: Section[] = [["versions", versions], ["check", check], ...sections.flat()];
  const text = all.map(([title, body]) => `== ${title}\n${body.trim()}\n`).join("\n");
  return redact(text, secrets);
}

async function hostSections(host: DeployedHost): Promise<Section[]> {
  const { host: name, containerName, serviceName } = host;
  const environment = dockerClientEnvironment(host);
  const docker = (...words: string[]) => answer("docker", words, environment);
  const info = docker(
    "info",
    "--format",
    "{{.ServerVersion}}, {{.OperatingSystem}}, {{.KernelVersion}}, {{.Architecture}}, storage {{.Driver}}, cgroups {{.CgroupDriver}} {{.CgroupVersion}}, runtime {{.DefaultRuntime}}, {{json .SecurityOptions}}",
  );
  const title = (what: string) => `${name}: ${what}`;
  if (containerName === undefined) {
    const tasks = docker("service", "ps", "--no-trunc", "--", serviceName ?? "");
    const logs = docker("service", "logs", "--tail", String(linesOfLog), "--", serviceName ?? "");
    return [
      [title("engine"), await info],
      [title("tasks"), await tasks],
      [title("log"), await logs],
    ];
  }
  const smi = docker("exec", "--", containerName, "nvidia-smi");
  const inspected = docker("container", "inspect", "--", containerName);
  const logs = docker("logs", "--timestamps", "--tail", String(linesOfLog), "--", containerName);
  return [
    [title("engine"), await info],
    [title("driver"), await smi],
    [title("container"), containerFacts(await inspected)],
    [title("log"), await logs],
  ];
}

/** What matters of a container; of variables that may be secret, the names only. */
export function containerFacts(text: string): string {
  let parsed: Inspected | undefined;
  try {
    [parsed] = JSON.parse(text) as Inspected[];
  } catch {
    return text;
  }
  if (!parsed) return "not there";
  const { State, Config, HostConfig, Mounts, NetworkSettings, RestartCount, Image } = parsed;
  const variables = (Config?.Env ?? []).map((entry) => {
    const name = entry.split("=")[0]!;
    return isSecretVariable(name) ? `${name}=…` : entry;
  });
  return JSON.stringify(
    {
      Image,
      RestartCount,
      State,
      Env: variables,
      // Binds repeats the mounts.
      HostConfig: { ...HostConfig, Binds: undefined },
      Mounts,
      Networks: Object.keys(NetworkSettings?.Networks ?? {}),
    },
    null,
    2,
  );
}

interface Inspected {
  readonly Image?: string;
  readonly RestartCount?: number;
  readonly State?: object;
  readonly Config?: { readonly Env?: readonly string[] };
  readonly HostConfig?: { readonly Binds?: unknown };
  readonly Mounts?: readonly object[];
  readonly NetworkSettings?: { readonly Networks?: object };
}

/** The output of a command, or why there is none. Container logs come on both streams. */
async function answer(
  program: string,
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<string> {
  const { code, stdout, stderr } = await run(program, words, { environment, timeout });
  const text = [stdout, stderr].filter(Boolean).join("\n");
  return code === 0 ? text : `ended with ${code}: ${text}`;
}

/** Every secret of the stack, so that none of them is in the file by whatever way. */
async function secretsOf(stack: string | undefined): Promise<string[]> {
  const text = await askEngine(stack, "config", "--json", "--show-secrets").catch(() => "{}");
  const config = JSON.parse(text) as Record<string, { value?: string; secret?: boolean }>;
  return Object.values(config).flatMap(({ value, secret }) => (secret && value ? [value] : []));
}

/** Text without the secrets, and without what leads to a machine of the outside. */
export function redact(text: string, secrets: readonly string[]): string {
  const spellings = secrets.flatMap((secret) => [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret),
  ]);
  const hidden = [...new Set(spellings)]
    .filter((secret) => secret !== "")
    // The longest first, since one may hold another.
    .sort((left, right) => right.length - left.length)
    .reduce((rest, secret) => rest.replaceAll(secret, "<secret>"), text);
  return sanitizeLines(hidden)
    .replace(/[\w.+-]+@[\w-]+(\.[\w-]+)+/g, "<mail or user>")
    .replace(
      /\b([a-z][a-z0-9+.-]*:\/\/)([^\s/"'<>|]+)/gi,
      (whole, scheme: string, place: string) =>
        isInside(place.replace(/^.*@/, "").replace(/:\d+$/, "")) ? whole : `${scheme}<host>`,
    )
    .replace(/\b\d{1,3}(\.\d{1,3}){3}\b/g, (each) => (isInside(each) ? each : "<address>"))
    .replace(/\b(?:[0-9a-f]{1,4}:){2,7}(?::?[0-9a-f]{1,4})+\b/gi, (each) =>
      isIP(each) === 6 && !isInside(each) ? "<address>" : each,
    );
}

/** Hosts everybody's installation names, or that only a home network knows. */
function isInside(host: string): boolean {
  const name = host.replace(/^\[|\]$/g, "").toLowerCase();
  if (/^(127|10|0)\.|^192\.168\.|^169\.254\.|^172\.(1[6-9]|2\d|3[01])\./.test(name)) return true;
  if (isIP(name) === 6) return /^(::1?$|f[cd]|fe[89ab])/.test(name);
  if (isIP(name) === 4) return false;
  return (
    !name.includes(".") || /(^|\.)(docker\.com|github\.com|immich\.app|huggingface\.co)$/.test(name)
  );
}
