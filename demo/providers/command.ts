import { spawn } from "node:child_process";
import type { local } from "@pulumi/command";
import type { Unwrap } from "@pulumi/pulumi";
import type { Log } from "../progress";
import { type FakeProvider, type FakeProviders, onlyInputs } from "./provider";

type Command = Unwrap<local.CommandArgs>;

const command: FakeProvider<Command> = {
  async make(wanted, log) {
    onlyInputs(wanted, [
      ...["create", "update", "delete", "stdin", "environment", "dir", "interpreter"],
      ...["triggers", "logging", "addPreviousOutputInEnv"],
    ]);
    const output = await execute(wanted.inputs.create, wanted.inputs, {}, log);
    return { id: wanted.name, outputs: { ...output } };
  },
  async remove(made, log) {
    const previous =
      made.inputs.addPreviousOutputInEnv === false
        ? {}
        : {
            PULUMI_COMMAND_STDOUT: made.outputs["stdout"] as string,
            PULUMI_COMMAND_STDERR: made.outputs["stderr"] as string,
          };
    await execute(made.inputs.delete, made.inputs, previous, log);
  },
};

export const commandProviders: FakeProviders = { "command:local:Command": command };

async function execute(
  line: string | undefined,
  inputs: Command,
  previousOutput: NodeJS.ProcessEnv,
  log: Log,
): Promise<{ stdout: string; stderr: string }> {
  if (line === undefined) return { stdout: "", stderr: "" };
  const [program, ...args] = inputs.interpreter ?? ["/bin/sh", "-c"];
  return new Promise((resolve, reject) => {
    const child = spawn(program!, [...args, line], {
      cwd: inputs.dir,
      env: { ...process.env, ...previousOutput, ...inputs.environment },
    });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => {
      stderr += chunk.toString();
      chunk.toString().split("\n").filter(Boolean).forEach(log);
    });
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve({ stdout: stdout.trimEnd(), stderr: stderr.trimEnd() });
      else reject(new Error([`ended with ${code}`, stdout.trim(), stderr.trim()].join("\n")));
    });
    // A command that does not read its standard input may end before all of it is written.
    child.stdin.on("error", () => undefined);
    child.stdin.end(inputs.stdin ?? "");
  });
}
