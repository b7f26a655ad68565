import { spawn } from "node:child_process";
import path from "node:path";

import { DockerClient } from "../util/docker";
import { addressIn } from "../util/dockerClient";
import { run } from "../util/run";
import { sanitize, sanitizeLines } from "../util/sanitize";
import { engineContext } from "../util/stackFolder";
import { hostsOf, nameOf, readState, type State, withoutHosts } from "./state";

/*
 * Runs up, preview or destroy of Pulumi so that hosts that are off do not stop the others:
 *
 *   engine.ts up|preview|destroy [options of Pulumi]
 *
 * `destroy` and `--refresh` ask every engine of the state and end at the first one that does not answer.
 */

const refreshing = ["--refresh", "-r", "--refresh=true"];

async function main([word = "", ...words]: readonly string[]): Promise<number> {
  const state = await readState(stackIn(words));
  const off = await hostsOff(state);
  const names = [...off.keys()];
  for (const [name, message] of off) console.error(`${name}: ${message}`);
  if (names.length === 0) return pulumi([word, ...words]);

  const isRefreshed = words.some((each) => refreshing.includes(each));
  const rest = words.filter((each) => !refreshing.includes(each));
  if (isRefreshed) {
    console.error(
      `This run leaves out --refresh, which needs every host (off: ${names.join(", ")}). It still shows containers and volumes that are gone.`,
    );
  }
  if (word !== "destroy") return pulumi([word, ...rest]);
  const targets = targetsWithout(state, names);
  const code =
    targets.length === 0
      ? 0
      : await pulumi([word, ...rest, ...targets.flatMap((urn) => ["--target", urn])]);
  console.error(
    `${names.join(", ")}: what runs there stays, also in the stack's state. Run this again once it answers; if it never does: ./immich-ml forget ${names.join(" ")} (or npm run forget -- ${names.join(" ")})`,
  );
  // Not everything is gone.
  return code || 1;
}

/** By host, why its engine does not answer. */
async function hostsOff(state: State): Promise<ReadonlyMap<string, string>> {
  const { resources = [] } = state.deployment;
  const answers = hostsOf(state).map(async (name) => {
    const check = resources.find(
      (each) => each.type === "command:local:Command" && nameOf(each) === `${name}-check`,
    );
    const address = addressIn(check?.outputs?.["environment"]);
    const answer = address && (await new DockerClient(address, run).info());
    return answer?.ok === false ? ([name, sanitize(answer.message, 2000)] as const) : undefined;
  });
  return new Map((await Promise.all(answers)).filter((each) => each !== undefined));
}

/** What `destroy` may remove: providers and the stack itself go with the last host. */
function targetsWithout(state: State, names: readonly string[]): string[] {
  const { resources = [] } = withoutHosts(state, names).state.deployment;
  return resources
    .filter(({ type }) => !/^pulumi:(providers:|pulumi:Stack$)/.test(type))
    .map(({ urn }) => urn);
}

function stackIn(words: readonly string[]): string | undefined {
  const at = words.findIndex((each) => each === "--stack" || each === "-s");
  return at < 0
    ? words.find((each) => each.startsWith("--stack="))?.slice("--stack=".length)
    : words[at + 1];
}

/** Runs the engine in this one's place: its questions and its answers are the terminal's. */
function pulumi(words: readonly string[]): Promise<number> {
  const { folder, environment } = engineContext(path.join(__dirname, ".."));
  const there = folder === undefined || words.includes("--cwd") ? [] : ["--cwd", folder];
  return new Promise((resolve, reject) => {
    const child = spawn("pulumi", [...words, ...there], {
      stdio: "inherit",
      env: { ...process.env, ...environment },
    });
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      // A terminal's Ctrl-C reaches both, and a second one would end the engine at once.
      process.on(name, () => (process.stdin.isTTY && name === "SIGINT" ? 0 : child.kill(name)));
    }
    child.on("error", reject);
    child.on("close", (code) => resolve(code ?? 1));
  });
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(sanitizeLines((error as Error).message));
    process.exit(2);
  },
);
