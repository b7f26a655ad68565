import { execFile } from "node:child_process";
import path from "node:path";

const root = path.join(__dirname, "..", "..");

/** Runs a program of immich/ as Pulumi's command does. */
export function runProgram(
  program: string,
  action: "create" | "update" | "delete",
  variables: Readonly<Record<string, string>>,
): Promise<{ code: number; output: string; errors: string }> {
  const parameters = ["--require", "./loadTypeScript.cjs", `immich/${program}`, action];
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      parameters,
      { cwd: root, env: { ...process.env, ...variables } },
      (_error, output, errors) => resolve({ code: child.exitCode ?? -1, output, errors }),
    );
  });
}
