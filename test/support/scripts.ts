import { execFile } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface ScriptResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder of fake commands for a shell script. Time passes in it only when the script sleeps. */
export class FakeCommands {
  readonly folder = mkdtempSync(join(tmpdir(), "immich-ml-test-script-"));

  constructor() {
    this.write("clock", "1000\n");
    this.add("date", `cat "${this.folder}/clock"`);
    this.add("sleep", this.wait("$1"));
  }

  /** A line of shell that lets so many seconds pass. */
  wait(seconds: number | string): string {
    const clock = `"${this.folder}/clock"`;
    return `seconds=$(($(cat ${clock}) + ${seconds})) && echo "$seconds" >${clock}`;
  }

  write(file: string, text: string): void {
    writeFileSync(join(this.folder, file), text);
  }

  /** @param script lines of shell */
  add(command: string, script: string): void {
    this.write(command, `#!/bin/sh\n${script}\n`);
    chmodSync(join(this.folder, command), 0o755);
  }

  /** @param script its path from the root of this repository */
  run(script: string, environment: Readonly<Record<string, string>>): Promise<ScriptResult> {
    return new Promise((resolve) =>
      execFile(
        "sh",
        [join(__dirname, "../..", script)],
        { env: { PATH: `${this.folder}:${process.env["PATH"]}`, ...environment } },
        (error, stdout, stderr) => resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
      ),
    );
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
