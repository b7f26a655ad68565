import * as pulumi from "@pulumi/pulumi";

import { nearestNames } from "../util/nearestNames";
import { formatProblem, type Problem } from "./errors";
import { readSettings } from "./read";
import type { DetectedGpus, Settings } from "./resolve";
import { stackSchema } from "./schema";

export type { DetectedGpu, DetectedGpus, HostSettings, Settings } from "./resolve";

/** What a stack keeps encrypted: `pulumi config set --secret immich-ml:databasePassword`. */
const secretKeys = ["databasePassword", "immichApiKey"] as const;

/**
 * Reads and checks the stack's configuration and works out what it means: which image each host's
 * card needs, which variables its container gets, which models Immich is told to use.
 *
 * @param cards what was found on the hosts whose `gpu` is `auto`, by host name; without them these
 *   hosts have no image yet, and what else is worth knowing is left for the complete reading
 * @throws pulumi.RunError that lists every error, a line each: key, value, what is allowed
 */
export function loadSettings(cards?: DetectedGpus): Settings {
  const namespace = pulumi.getProject();
  const { values, problems } = collect(pulumi.runtime.allConfig());
  const { settings, problems: ofValues } = readSettings(values, {
    project: namespace,
    stack: pulumi.getStack(),
    cards: cards ?? {},
    secrets: {
      databasePassword: pulumi.runtime.getConfig(`${namespace}:databasePassword`),
      immichApiKey: pulumi.runtime.getConfig(`${namespace}:immichApiKey`),
    },
  });
  refuse([...problems, ...ofValues]);
  if (cards) for (const note of settings!.notes) void pulumi.log.info(note);
  return settings!;
}

/** The keys of this program, read from the text form in which the engine hands them over. */
function collect(all: Readonly<Record<string, string>>) {
  const namespace = `${pulumi.getProject()}:`;
  const values: Record<string, unknown> = {};
  const problems: Problem[] = [];
  for (const [fullKey, text] of Object.entries(all)) {
    if (!fullKey.startsWith(namespace)) continue;
    const key = fullKey.slice(namespace.length);
    if (isSecretKey(key)) {
      if (encryptedKeys()?.includes(fullKey) === false) problems.push(standsInClear(key));
      continue;
    }
    if (!Object.hasOwn(stackSchema.shape, key)) {
      const known = [...Object.keys(stackSchema.shape), ...secretKeys];
      problems.push({
        key,
        expected: `there is no such setting; known are ${known.join(", ")}`,
        suggestion: nearestNames(key, known)[0],
      });
      continue;
    }
    if (encryptedKeys()?.includes(fullKey)) {
      problems.push({
        key,
        expected:
          "has a part that is encrypted, which would stand in the state in clear; secrets of a container belong into an env file (envFiles)",
      });
    }
    values[key] = fromText(text);
  }
  return { values, problems };
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
    expected: `stands in clear in the stack file; encrypt it: pulumi config set --secret immich-ml:${key}`,
  };
}

/** The engine names the encrypted keys to the program; a run without an engine cannot. */
function encryptedKeys(): readonly string[] | undefined {
  const text = process.env["PULUMI_CONFIG_SECRET_KEYS"];
  return text === undefined ? undefined : (JSON.parse(text) as string[]);
}

function refuse(problems: readonly Problem[]): void {
  if (problems.length === 0) return;
  const count = problems.length === 1 ? "an error" : `${problems.length} errors`;
  const lines = problems.map((problem) => `  ${formatProblem(problem)}`);
  throw new pulumi.RunError(
    `the stack file has ${count}; nothing was changed:\n${lines.join("\n")}`,
  );
}
