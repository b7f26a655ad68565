import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join, relative } from "node:path";

import * as pulumi from "@pulumi/pulumi";

/** A file of this program that a command runs. */
export interface ProgramFile {
  /**
   * From the project's folder, where Pulumi runs commands: a checkout that is moved changes no input. Absolute
   * where the engine does not say what that folder is.
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
    path: project === "" ? file : relative(project, file),
    hash: createHash("sha256").update(readFileSync(file)).digest("hex").slice(0, 16),
  };
}
