import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join, relative } from "node:path";

import * as pulumi from "@pulumi/pulumi";

/** A file of this program that a command runs. */
export interface ProgramFile {
  /**
   * From the folder where Pulumi runs commands: a checkout that is moved changes no input. Absolute where the
   * engine does not name that folder.
   */
  readonly path: string;
  /** Of its content; 16 hexadecimal digits. */
  readonly hash: string;
}

/** Finds a file by its path from the root of this repository, such as `verify/check.sh`. */
export function programFile(path: string): ProgramFile {
  const file = join(__dirname, "..", path);
  const folder = commandFolder();
  return {
    path: folder === "" ? file : relative(folder, file),
    hash: createHash("sha256").update(readFileSync(file)).digest("hex").slice(0, 16),
  };
}

/** The command line that runs a shell script of this program. */
export function shellCommand(path: string): string {
  const file = programFile(path).path;
  return `exec sh ${/^[\w./-]+$/.test(file) ? file : `'${file.replaceAll("'", "'\\''")}'`}`;
}

/**
 * A program that the engine started runs in the folder of its `main`, and so do its commands; those of a
 * program inside another process (the automation API) run in the project's folder.
 */
function commandFolder(): string {
  const isStartedByEngine = process.env["PULUMI_NODEJS_ROOT_DIRECTORY"] !== undefined;
  return isStartedByEngine ? process.cwd() : pulumi.getRootDirectory();
}
