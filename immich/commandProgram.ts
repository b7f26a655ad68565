import { sanitizeLines } from "../util/sanitize";

/** What a command of Pulumi's has its program do. */
export type Action = "create" | "update" | "delete";

/**
 * Runs the program of a `command.local.Command`. Its standard output is the saved state, one line of
 * JSON that the next action gets back; messages go to stderr, which Pulumi shows.
 *
 * @param timeout seconds until the program is ended
 * @param act gets the saved state of the last action, undefined on create; returns the next one
 */
export function runCommandProgram<State>(
  timeout: number,
  act: (action: Action, saved: State | undefined) => Promise<State | undefined>,
): void {
  const [action] = process.argv.slice(2) as [Action];
  setTimeout(() => fail(`gave up after ${timeout} s`), timeout * 1000).unref();
  const main = async () => {
    const state = await act(action, savedState<State>(process.env["PULUMI_COMMAND_STDOUT"]));
    if (state !== undefined) process.stdout.write(`${JSON.stringify(state)}\n`);
  };
  main().catch((error: Error) => fail(error.message));
}

/** Logs to the user who runs Pulumi. */
export function log(message: string): void {
  process.stderr.write(`${sanitizeLines(message)}\n`);
}

/** The state in a command's standard output; undefined where it has none. */
export function savedState<State>(stdout: string | undefined): State | undefined {
  const text = stdout?.trim().split("\n").at(-1);
  return text ? (JSON.parse(text) as State) : undefined;
}

function fail(message: string): void {
  log(message);
  process.exit(1);
}
