import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join, relative } from "node:path";

/** A file of this program that a command runs. */
export interface ProgramFile {
  /**
   * From the program's folder, where the engine runs its commands: a checkout that is moved changes no input.
   * Absolute in a program that no engine started (the automation API, tests): its commands run elsewhere.
   */
  readonly path: string;
  /** Of its content; 16 hexadecimal digits. */
  readonly hash: string;
}

/** Finds a file by its path from the root of this repository, such as `verify/check.sh`. */
export function programFile(path: string): ProgramFile {
  const file = join(__dirname, "..", path);
  const isStartedByEngine = process.env["PULUMI_NODEJS_ROOT_DIRECTORY"] !== undefined;
  return {
    path: isStartedByEngine ? relative(process.cwd(), file) : file,
    hash: createHash("sha256").update(readFileSync(file)).digest("hex").slice(0, 16),
  };
}

/** The command line that runs a shell script of this program. */
export function runScript(path: string): string {
  const file = programFile(path).path;
  return `exec sh ${/^[\w./-]+$/.test(file) ? file : `'${file.replaceAll("'", "'\\''")}'`}`;
}
