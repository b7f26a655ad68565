import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";

import { run } from "../util/run";
import { sanitize } from "../util/sanitize";
import { engineContext, homeStack, passphraseFile } from "../util/stackFolder";
import { engineLines, stackFileText } from "./stackFile";

/*
 * The folder of the stacks: Pulumi.yaml, the stack file, the passphrase and the state.
 */

/** The stack file that setup writes. */
export function stackFileOf(home: string): string {
  return path.join(home, `Pulumi.${process.env["PULUMI_STACK"] || homeStack}.yaml`);
}

/** The text of the stack file; undefined where there is none. */
export async function existingStackFile(home: string): Promise<string | undefined> {
  const file = stackFileOf(home);
  return existsSync(file) ? readFile(file, "utf8") : undefined;
}

/**
 * Makes the folder, the passphrase and the stack, and writes the stack file with its secrets.
 *
 * @param checkout where the program is on the user's machine
 * @returns whether the passphrase is new
 * @throws with the engine's message
 */
export async function writeStack(
  home: string,
  checkout: string,
  config: Readonly<Record<string, unknown>>,
  secrets: Readonly<Record<string, string>>,
): Promise<{ readonly isNewPassphrase: boolean }> {
  await mkdir(home, { recursive: true, mode: 0o700 });
  const isNewPassphrase = await ensurePassphrase(home);
  await writeFile(path.join(home, "Pulumi.yaml"), projectText(home, checkout));
  const former = await existingStackFile(home);
  if (former !== undefined) await writeFile(`${stackFileOf(home)}.before`, former, { mode: 0o600 });
  if (!former || engineLines(former).salt === "") {
    await engine(home, ["stack", "init", path.basename(stackFileOf(home)).split(".")[1]!]).catch(
      (error: Error) => {
        if (!error.message.includes("already exists")) throw error;
      },
    );
  }
  const { salt, secrets: kept } = engineLines((await existingStackFile(home)) ?? "");
  const text = `${salt === "" ? "" : `${salt}\n`}${stackFileText(config)}${kept === "" ? "" : `${kept}\n`}`;
  await replace(stackFileOf(home), text);
  for (const [key, value] of Object.entries(secrets)) {
    // By standard input: what a command line holds, every process may read.
    await engine(home, ["config", "set", "--secret", `immich-ml:${key}`], value);
  }
  return { isNewPassphrase };
}

/** The program stays where it is; stack files and state lie here. */
function projectText(home: string, checkout: string): string {
  return `# Written by immich-ml setup: the stacks of this folder, run by the program of that checkout.
name: immich-ml
runtime:
  name: nodejs
  options: { packagemanager: npm, typescript: false, nodeargs: --require ./loadTypeScript.cjs }
main: ${JSON.stringify(checkout)}
backend:
  url: ${JSON.stringify(`file://${home}`)}
`;
}

async function ensurePassphrase(home: string): Promise<boolean> {
  const { PULUMI_CONFIG_PASSPHRASE: given, PULUMI_CONFIG_PASSPHRASE_FILE: file } = process.env;
  const own = passphraseFile(home);
  if (given !== undefined || (file !== undefined && file !== own) || existsSync(own)) return false;
  await writeFile(own, `${randomBytes(24).toString("base64url")}\n`, { mode: 0o600, flag: "wx" });
  return true;
}

/** In one step, so that a file is never half written. */
async function replace(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text, { mode: 0o600 });
  await rename(`${file}.new`, file);
}

async function engine(home: string, words: readonly string[], stdin = ""): Promise<void> {
  const { environment } = engineContext(home);
  const parameters = [...words, "--non-interactive", "--cwd", home];
  const ended = await run("pulumi", parameters, {
    stdin,
    // Where the stack is not made yet, this file says it all the same.
    environment: { ...environment, PULUMI_SKIP_UPDATE_CHECK: "true", IMMICH_ML_HOME: home },
  });
  if (ended.code === 0) return;
  if (ended.code === 127)
    throw new Error("pulumi is not on the PATH; ./immich-ml setup brings its own");
  const reason = ended.stderr.trim().split("\n").at(-1) ?? "";
  throw new Error(`pulumi ${words.slice(0, 2).join(" ")}: ${sanitize(reason, 300)}`);
}
