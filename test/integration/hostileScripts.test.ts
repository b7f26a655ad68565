import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect } from "vitest";

import { restartServers } from "../../immich/serverContainer";
import { parseProbe, probeScript } from "../../preflight/hostProbe";
import { run, type Run } from "../../util/run";
import { checkScript, parseCheckResult } from "../../verify/check";
import { anyText, canarySecret, clearFailure, hostile } from "../support/hostile";

/*
 * The scripts run for real, in a folder of their own, with a docker and an nvidia-smi that say
 * whatever they are told to. Whatever is executed of a hostile text leaves the file `canary` there.
 */

const placingScript = readFileSync(path.join(__dirname, "../../components/placeModels.sh"), "utf8");

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-scripts-"));
  // Answers by the docker client's first words; what each says stands in files beside it.
  const docker = `#!/bin/sh
case "$1 $2" in
  "inspect --format" | "container inspect") cat "${folder}/said-state" ;;
  "logs "*) cat "${folder}/said-log" ;;
  "exec "*) cat "${folder}/said-result" ;;
  *) cat > /dev/null; echo container ;;
esac`;
  const nvidia = `#!/bin/sh\ncat "${folder}/said-result"`;
  for (const [name, text] of Object.entries({ docker, "nvidia-smi": nvidia })) {
    await writeFile(path.join(folder, name), text);
    await chmod(path.join(folder, name), 0o755);
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function runIn(
  shell: string,
  parameters: readonly string[],
  environment: Readonly<Record<string, string>>,
  stdin = "",
): Promise<Ended> {
  const ended = await new Promise<Ended>((resolve) => {
    const child = spawn(shell, parameters, {
      cwd: folder,
      env: {
        PATH: `${folder}:${process.env["PATH"]}`,
        CANARY_PASSWORD: canarySecret,
        ...environment,
      },
    });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (text: Buffer) => (stdout += text.toString()));
    child.stderr.on("data", (text: Buffer) => (stderr += text.toString()));
    child.stdin.on("error", () => undefined);
    child.stdin.end(stdin);
    child.once("close", (code) => resolve({ code, stdout, stderr }));
  });
  expect(existsSync(path.join(folder, "canary"))).toBe(false);
  expect(ended.stdout + ended.stderr).not.toContain(canarySecret);
  return ended;
}

const say = (file: "state" | "log" | "result", text: string) =>
  writeFile(path.join(folder, `said-${file}`), text);

/** Where sh is another one than Debian's, it is this. */
const shells = fc.constantFrom("sh", "bash");
/** No variable of a process can hold more, or a NUL. */
const words = anyText.filter((text) => !text.includes("\0"));

describe("shell scripts", () => {
  const states = fc.oneof(
    fc.constantFrom(
      "running 0 0 false healthy",
      "exited 0 3 false none",
      "restarting 3 139 false none",
      "running 0 0 true starting",
      "running 0 0 false unhealthy",
      "running a[$(touch${IFS}canary)] 0 false starting",
      "running 0 a[$(touch${IFS}canary)] false starting",
      "running $(touch canary) 0 false healthy",
      "* * * * *",
      "running",
      "",
    ),
    words,
  );
  hostile(
    "the check ends with a result that can be read, whatever the container says and is called",
    fc.record({
      shell: shells,
      host: words,
      container: words,
      state: states,
      log: anyText,
      result: fc.oneof(
        anyText,
        anyText.map((text) => `{"ok": ${text}`),
      ),
    }),
    async ({ shell, host, container, state, log, result }) => {
      await Promise.all([say("state", state), say("log", log), say("result", result)]);
      const ended = await runIn(shell, [path.join(__dirname, "../..", checkScript)], {
        IMMICH_ML_HOST: host,
        IMMICH_ML_CONTAINER: container,
        IMMICH_ML_EXPECTED: "CPUExecutionProvider",
        IMMICH_ML_TIMEOUT: "0",
        IMMICH_ML_MODE: "enforce",
      });
      // Only what begins like a result of our program is passed on as it stands.
      if (result.split("\n").some((line) => line.startsWith('{"ok": '))) {
        await clearFailure(() => parseCheckResult(ended.stdout));
        return;
      }
      expect(ended.code).toBe(1);
      expect(parseCheckResult(ended.stdout).ok).toBe(false);
    },
    { share: 0.1 },
  );

  hostile(
    "restarting the server ends in one message, and runs nothing of a name or a state",
    fc.record({ name: words, state: fc.oneof(states, words), changedAt: words }),
    async ({ name, state, changedAt }) => {
      await say("state", state);
      const inFolder: Run = (program, parameters, options) => {
        const environment = { ...options?.environment, PATH: `${folder}:${process.env["PATH"]}` };
        return run(program, parameters, { ...options, environment });
      };
      const options = { changedAt, whenMissing: "fail" } as const;
      await clearFailure(() => restartServers({ name, timeout: 0 }, options, () => {}, inFolder));
      expect(existsSync(path.join(folder, "canary"))).toBe(false);
    },
    { share: 0.1 },
  );

  hostile(
    "the probe of a host runs nothing of a folder's name or of what nvidia-smi says",
    fc.record({ shell: shells, root: anyText, result: anyText }),
    async ({ shell, root, result }) => {
      await say("result", result);
      const ended = await runIn(shell, ["-s"], {}, probeScript(root));
      expect(ended.code).toBe(0);
      parseProbe(ended.stdout);
    },
    { share: 0.1 },
  );

  hostile(
    "models are placed without running anything of a name",
    fc.record({ shell: shells, models: words, volume: words, image: words }),
    async ({ shell, models, volume, image }) => {
      await runIn(shell, ["-c", placingScript], {
        FOLDER: path.join(folder, "models", models),
        VOLUME: volume,
        IMAGE: image,
      });
    },
    { share: 0.1 },
  );
});
