import * as pulumi from "@pulumi/pulumi";

import { apiVersion, containerVersion } from "../immich/serverVersion";
import { type Answer, unanswered } from "../util/docker";
import { nearestNames } from "../util/nearestNames";
import type { Problem, Resolved } from "../util/problem";
import { run, type Run } from "../util/run";
import { hasCredentials, sanitize } from "../util/sanitize";
import { composeSection } from "./composeSpellings";
import { formatProblem } from "./errors";
import { exposures } from "./exposures";
import { readSettings } from "./read";
import { withDetectedGpus } from "./resolve";
import { autoVersion, immichSchema, stackSchema } from "./schema";
import type { DetectedGpus, Settings } from "./settings";

export type { DetectedGpu, DetectedGpus, HostSettings, Settings } from "./settings";

/** What a stack keeps encrypted: `pulumi config set --secret immich-ml:databasePassword`. */
const secretKeys = ["databasePassword", "immichApiKey"] as const;

/**
 * The password in Immich's published compose file. It protects nothing, and as a secret it costs the
 * output: the engine hides every secret's text wherever it stands, in `pulumi-resource-postgresql`, too.
 */
const publishedPassword = "postgres";

/**
 * Reads and checks the stack's configuration and works out what it means: which image each host's
 * GPU needs, which variables its container gets, which models Immich shall use. Logs what the user
 * should know of it.
 *
 * @param detect finds the GPUs of the hosts whose `gpu` is `auto`
 * @param ask reaches the server for `immich.version: auto`
 * @throws pulumi.RunError that lists every error, a line each: key, value, what is allowed
 */
export async function loadSettings(
  detect: (settings: Settings) => Promise<DetectedGpus>,
  ask: Run = run,
): Promise<Settings> {
  const namespace = pulumi.getProject();
  const given = await withRunningVersion(collect(pulumi.runtime.allConfig()), ask);
  const declared = readSettings(given.value, {
    project: namespace,
    stack: pulumi.getStack(),
    secrets: {
      databasePassword: pulumi.runtime.getConfig(`${namespace}:databasePassword`),
      immichApiKey: pulumi.runtime.getConfig(`${namespace}:immichApiKey`),
    },
  });
  const settings = valueOrThrow({
    ...declared,
    problems: [...given.problems, ...declared.problems],
  });
  const complete = withDetectedGpus(settings, await detect(settings));
  for (const note of [...given.notes, ...complete.notes]) void pulumi.log.info(sanitize(note));
  const loaded = valueOrThrow(complete);
  for (const exposure of exposures(loaded)) void pulumi.log.warn(exposure);
  return loaded;
}

type Collected = Resolved<Readonly<Record<string, unknown>>>;

/** `immich.version: auto` becomes the release of the server that runs. */
async function withRunningVersion(given: Collected, ask: Run): Promise<Collected> {
  const immich = given.value["immich"] as Record<string, unknown> | null | undefined;
  if (typeof immich !== "object" || immich?.["version"] !== autoVersion) return given;
  const answer = await askVersion(immich, ask);
  if (!answer.ok) {
    const expected = `${answer.message}; start Immich, or set the version, such as v2.7.5`;
    const problem = { key: "immich.version", value: autoVersion, expected };
    return { ...given, problems: [...given.problems, problem] };
  }
  return {
    ...given,
    value: { ...given.value, immich: { ...immich, version: answer.value } },
    notes: [...given.notes, `Immich runs ${answer.value} (immich.version: auto)`],
  };
}

/** The address as it stands in the file, since nothing of it is checked yet. */
async function askVersion(immich: Record<string, unknown>, ask: Run): Promise<Answer<string>> {
  const { serverContainer, api, dockerHost, tls } =
    immichSchema.partial().safeParse(immich).data ?? {};
  if (api) return apiVersion(api.url);
  if (serverContainer === undefined) {
    return unanswered("needs serverContainer, or api.url, so that the server can be asked");
  }
  return containerVersion(serverContainer, { dockerHost: dockerHost ?? localEngine, tls }, ask);
}

const localEngine = "unix:///var/run/docker.sock";

/** The keys of this program, read from the text that the engine passes on. */
function collect(all: Readonly<Record<string, string>>): Collected {
  const namespace = `${pulumi.getProject()}:`;
  const values: Record<string, unknown> = {};
  const problems: Problem[] = [];
  const notes: string[] = [];
  for (const [fullKey, text] of Object.entries(all)) {
    if (!fullKey.startsWith(namespace)) continue;
    const key = fullKey.slice(namespace.length);
    if (isSecretKey(key)) {
      const isEncrypted = encryptedKeys()?.includes(fullKey);
      const isPublished = key === "databasePassword" && text === publishedPassword;
      if (isEncrypted === false && !isPublished) problems.push(standsInClear(key));
      if (isEncrypted && isPublished) notes.push(hidesOutput(key));
      continue;
    }
    if (!Object.hasOwn(stackSchema.shape, key)) {
      const known = [...Object.keys(stackSchema.shape), ...secretKeys];
      problems.push({
        key,
        expected:
          composeSection(key) ?? `there is no such setting; the settings are: ${known.join(", ")}`,
        suggestion: composeSection(key) ? undefined : nearestNames(key, known)[0],
      });
      continue;
    }
    const value = fromText(text);
    const isEncrypted = encryptedKeys()?.includes(fullKey);
    // The only secret of the rest is a proxy's password, and the image's build keeps it one.
    if (isEncrypted && !(key === "build" && proxiesWithPassword(value).length > 0)) {
      problems.push({
        key,
        expected:
          "has an encrypted part, which would be in plain text in the state; put a container's secrets into an env file (envFiles)",
      });
    }
    for (const proxy of key === "build" && isEncrypted === false
      ? proxiesWithPassword(value)
      : []) {
      notes.push(
        `build.${proxy} has a password in plain text in the stack file; encrypt it: pulumi config set --secret --path immich-ml:build.${proxy}`,
      );
    }
    values[key] = value;
  }
  return { value: values, problems, notes };
}

/** The proxies of a stack file's `build` that need a password. */
function proxiesWithPassword(build: unknown): string[] {
  const { httpProxy, httpsProxy } = (build ?? {}) as Record<string, unknown>;
  return Object.entries({ httpProxy, httpsProxy }).flatMap(([name, value]) =>
    typeof value === "string" && hasCredentials(value) ? [name] : [],
  );
}

/** Objects, lists and booleans arrive as JSON, plain text as it stands. */
function fromText(text: string): unknown {
  if (!/^\s*([[{]|true\s*$|false\s*$)/.test(text)) return text;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

function isSecretKey(key: string): key is (typeof secretKeys)[number] {
  return (secretKeys as readonly string[]).includes(key);
}

function standsInClear(key: string): Problem {
  return {
    key,
    expected: `is in plain text in the stack file; encrypt it: pulumi config set --secret immich-ml:${key}`,
  };
}

/** Without the password itself, which would be hidden here, too. */
function hidesOutput(key: string): string {
  return `${key} is the password in Immich's published compose file. It is no secret, but Pulumi hides that word in all of its output: pulumi config set immich-ml:${key}, without --secret, avoids that. Better: give the database a password of its own`;
}

/** The names of the encrypted keys; undefined where no engine runs the program. */
function encryptedKeys(): readonly string[] | undefined {
  const text = process.env["PULUMI_CONFIG_SECRET_KEYS"];
  return text === undefined ? undefined : (JSON.parse(text) as string[]);
}

function valueOrThrow({
  value,
  problems,
}: Pick<Resolved<Settings | undefined>, "value" | "problems">): Settings {
  if (value && problems.length === 0) return value;
  const count = problems.length === 1 ? "an error" : `${problems.length} errors`;
  const lines = problems.map((problem) => `  ${formatProblem(problem)}`);
  throw new pulumi.RunError(
    `the stack file has ${count}; nothing was changed:\n${lines.join("\n")}`,
  );
}
