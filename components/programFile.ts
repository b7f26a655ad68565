import { join, relative } from "node:path";

/**
 * The path of a file of this program that a command runs: from the program's folder, where the engine runs its
 * commands, so that a checkout that is moved changes no input. Absolute in a program that no engine started
 * (the Automation API, tests): its commands run elsewhere.
 *
 * @param path from the root of this repository, such as `verify/check.sh`
 */
export function programFile(path: string): string {
  const file = join(__dirname, "..", path);
  const isStartedByEngine = process.env["PULUMI_NODEJS_ROOT_DIRECTORY"] !== undefined;
  return isStartedByEngine ? relative(process.cwd(), file) : file;
}

/** The command line that runs a shell script of this program. */
export function runScript(path: string): string {
  const file = programFile(path);
  return `exec sh ${/^[\w./-]+$/.test(file) ? file : `'${file.replaceAll("'", "'\\''")}'`}`;
}
