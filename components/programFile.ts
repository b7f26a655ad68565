import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { isAbsolute, join, relative } from "node:path";

import * as pulumi from "@pulumi/pulumi";

/** A file of this program that a command runs. */
export interface ProgramFile {
  /**
   * From the project's folder, where Pulumi runs commands: moving a checkout changes no input.
   * Absolute where the engine does not name that folder, as in programs of the Automation API.
   */
  readonly path: string;
  /** Of its content; 16 hexadecimal digits. */
  readonly hash: string;
}

/** Finds a file by its path from the root of this repository, such as `verify/check.sh`. */
export function programFile(path: string): ProgramFile {
  const file = join(__dirname, "..", path);
  const project = pulumi.getRootDirectory();
  return {
    path: isAbsolute(project) ? relative(project, file) : file,
    hash: createHash("sha256").update(readFileSync(file)).digest("hex").slice(0, 16),
  };
}

/** The command line that runs a shell script of this program. */
export function runScript(path: string): string {
  return `exec sh '${programFile(path).path.replaceAll("'", "'\\''")}'`;
}
