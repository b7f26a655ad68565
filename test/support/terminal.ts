import { run } from "../../demo/shell";

/** Waits until a text was shown, then types. */
export type Step = readonly [shown: string, typed: string];

/** Runs a command at a terminal of its own, in which each step has 90 s. */
const program = `
import fcntl, json, os, pty, re, select, struct, sys, termios, time
steps, command = json.loads(sys.argv[1]), sys.argv[2:]
child, terminal = pty.fork()
if child == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 50, int(os.environ["COLUMNS"]), 0, 0))
    os.execvp(command[0], command)
raw, shown, since, deadline = "", "", 0, time.time() + 90
escapes = re.compile(r"\\x1b\\[[0-9;?]*[A-Za-z]")
while True:
    if not select.select([terminal], [], [], 1)[0]:
        if time.time() < deadline:
            continue
        os.kill(child, 9)
        sys.exit(f"waited for {steps[:1]}, and saw:\\n{shown}")
    try:
        more = os.read(terminal, 65536)
    except OSError:
        more = b""
    if not more:
        break
    raw += more.decode(errors="replace")
    shown += escapes.sub("", more.decode(errors="replace"))
    if steps and steps[0][0] in shown[since:]:
        since, deadline = len(shown), time.time() + 90
        # A prompt that was just drawn may not read yet.
        time.sleep(0.3)
        os.write(terminal, steps.pop(0)[1].encode())
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(json.dumps({"code": code, "text": shown, "raw": raw, "left": steps}))
`;

/** What a command showed at a terminal, without colours, and the steps that never came. */
export interface AtTerminal {
  readonly code: number;
  readonly text: string;
  /** The same with colours and movements of the cursor. */
  readonly raw: string;
  readonly left: readonly Step[];
}

export async function atTerminal(
  command: readonly string[],
  steps: readonly Step[],
  environment: Readonly<Record<string, string>>,
  columns = 200,
): Promise<AtTerminal> {
  const words = ["-c", program, JSON.stringify(steps), ...command];
  return JSON.parse(
    await run("python3", words, {
      environment: { TERM: "xterm-256color", COLUMNS: String(columns), ...environment },
    }),
  ) as AtTerminal;
}
