import { execFile } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";

import { parseImmichVersion } from "../../catalog/immichVersion";
import { modelsToCheck, parseCheckResult, checkCommand, waitingScript } from "../../verify/check";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/**
 * Runs the check's script with a `docker` of our own on the PATH.
 *
 * @param states what the container's state is in turn; the last one stays
 * @param inference a shell script that stands for the Python program in the container
 */
function check(
  states: string[],
  inference = `echo '{"ok": true, "provider": "CPUExecutionProvider", "devices": []}'`,
  environment: Record<string, string> = {},
): Promise<Ended> {
  const folder = mkdtempSync(join(tmpdir(), "immich-ml-test-check-"));
  folders.push(folder);
  writeFileSync(join(folder, "states"), states.join("\n") + "\n");
  writeFileSync(join(folder, "inference"), inference);
  const docker = `#!/bin/sh
case $1 in
  inspect) state=$(head -n 1 "${folder}/states")
    [ "$(wc -l <"${folder}/states")" -le 1 ] || sed -i 1d "${folder}/states"
    case $state in error:*) echo "\${state#error: }" >&2; exit 1 ;; esac
    echo "$state" ;;
  logs) echo "first line"; echo "RuntimeError: boom" >&2 ;;
  exec) cat >"${folder}/stdin"; exec sh "${folder}/inference" ;;
  *) exit 64 ;;
esac
`;
  writeFileSync(join(folder, "docker"), docker);
  chmodSync(join(folder, "docker"), 0o755);
  return new Promise((resolve) => {
    const child = execFile(
      "sh",
      ["-c", checkCommand],
      {
        env: {
          PATH: `${folder}:${process.env["PATH"]}`,
          IMMICH_ML_CHECK: waitingScript(),
          IMMICH_ML_HOST: "attic",
          IMMICH_ML_CONTAINER: "1a2b",
          IMMICH_ML_EXPECTED: "CPUExecutionProvider",
          IMMICH_ML_MODE: "enforce",
          IMMICH_ML_TIMEOUT: "2",
          ...environment,
        },
      },
      (error, stdout, stderr) => resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    );
    child.stdin?.end("print('network')");
  });
}

const healthy = "running 0 0 false healthy";

describe("the check's script", () => {
  it("waits for health and answers with the result as its last line", async () => {
    const ended = await check(["running 0 0 false starting", healthy]);
    expect(ended.stderr).toContain("attic: running, health starting, 0 s");
    expect(ended.stderr).toContain("attic: healthy after 1 s");
    expect(ended.stderr).toContain("attic: verified");
    expect(parseCheckResult(ended.stdout)).toMatchObject({
      ok: true,
      provider: "CPUExecutionProvider",
    });
    expect(ended.code).toBe(0);
  });

  it("hands the Python program on as it is", async () => {
    const ended = await check([healthy], `cat "$(dirname "$0")/stdin" >&2; echo '{"ok": true}'`);
    expect(ended.stderr).toContain("print('network')");
  });

  it("shows a container without a health check as soon as it runs", async () => {
    expect((await check(["running 0 0 false none"])).code).toBe(0);
  });

  it.each([
    ["ends", ["exited 0 1 false none"], "the container ended with exit code 1"],
    ["runs out of memory", ["exited 0 137 true none"], "the container ran out of memory"],
    [
      "is unhealthy",
      ["running 0 0 false unhealthy"],
      "the container runs but its health check fails",
    ],
    [
      "crashes in a loop",
      [
        "running 1 0 false starting",
        "restarting 2 139 false starting",
        "restarting 4 0 false starting",
      ],
      "the container restarts again and again (exit code 139)",
    ],
    [
      "never becomes healthy",
      ["running 0 0 false starting"],
      "the container is not healthy after 2 s",
    ],
  ])("fails with the last log lines when the container %s", async (_what, states, message) => {
    const ended = await check(states);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain(
      `attic: ${message}. The last lines of its log:\n  | first line\n  | RuntimeError: boom`,
    );
    expect(parseCheckResult(ended.stdout)).toEqual({
      ok: false,
      error: message,
      details: [],
      hint: null,
    });
  });

  it("does not take the restarts of earlier days for a crash loop", async () => {
    expect((await check(["running 41 0 false starting", "running 41 0 false healthy"])).code).toBe(
      0,
    );
  });

  it("waits while Docker is restarted, and for its containers after it", async () => {
    const away = "error: Cannot connect to the Docker daemon at unix:///x. Is it running?";
    const ended = await check([away, "exited 0 137 false none", healthy]);
    expect(ended.stderr).toContain("attic: Docker does not answer; waiting until it is back");
    expect(ended.code).toBe(0);
  });

  it("does not wait for a container that is not there", async () => {
    const ended = await check(["error: Error: No such object: 1a2b", healthy]);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain("attic: Error: No such object: 1a2b");
    expect(parseCheckResult(ended.stdout)).toMatchObject({
      error: "the container 1a2b cannot be inspected",
    });
  });

  it("computes once more when the container was restarted meanwhile", async () => {
    const restarted = "running 1 0 false healthy";
    const ended = await check(
      [healthy, healthy, restarted],
      `if [ -e "$0.again" ]; then cat "$(dirname "$0")/stdin" >&2; echo '{"ok": true}'; else : >"$0.again"; exit 137; fi`,
    );
    expect(ended.stderr).toContain("attic: the container was restarted meanwhile");
    expect(ended.stderr).toContain("print('network')");
    expect(ended.code).toBe(0);
  });

  it("fails on a check that failed, and hands its result on", async () => {
    const failure = `echo '{"ok": false, "error": "silent", "details": [], "hint": null}'; exit 1`;
    const ended = await check([healthy], failure);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain("attic: NOT VERIFIED");
    expect(parseCheckResult(ended.stdout)).toMatchObject({ ok: false, error: "silent" });
  });

  it("only tells of a failed check where it may only warn", async () => {
    const failure = `echo '{"ok": false, "error": "silent", "details": [], "hint": null}'; exit 1`;
    const mode = { IMMICH_ML_MODE: "warn" };
    for (const ended of [
      await check([healthy], failure, mode),
      await check(["exited 0 1 false none"], "", mode),
    ]) {
      expect(ended.code).toBe(0);
      expect(parseCheckResult(ended.stdout).ok).toBe(false);
    }
  });

  it("fails when ONNX Runtime crashes before there is a result", async () => {
    const ended = await check([healthy], "kill -SEGV $$");
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain("ONNX Runtime crashed");
    expect(parseCheckResult(ended.stdout)).toMatchObject({
      ok: false,
      error: expect.stringContaining("exit code 139") as string,
    });
  });

  it("keeps its result readable whatever the image prints", async () => {
    const ended = await check([healthy], `printf 'no "python" \\\\ here\\t!'; exit 127`);
    expect(ended.code).toBe(1);
    expect(parseCheckResult(ended.stdout)).toMatchObject({
      error: "the check ended with exit code 127 before it had a result: no python  here !",
    });
  });
});

describe("the models to check", () => {
  const version = parseImmichVersion("v2.7.5")!;

  it("are those the selection names, as they are called in the cache", () => {
    expect(
      modelsToCheck(
        {
          clip: { modelName: "immich-app/ViT-B-32__openai" },
          facialRecognition: { modelName: "buffalo_s", minScore: 0.7 },
          ocr: { modelName: "PP-OCRv5_mobile" },
        },
        version,
      ),
    ).toEqual(["clip/ViT-B-32__openai", "facial-recognition/buffalo_s", "ocr/PP-OCRv5_mobile"]);
  });

  it("are none where a task is off, or only its scores are set, or nothing is selected", () => {
    expect(
      modelsToCheck({ clip: false, facialRecognition: { minScore: 0.7 }, ocr: false }, version),
    ).toEqual([]);
    expect(modelsToCheck(undefined, version)).toEqual([]);
  });
});

describe("parseCheckResult", () => {
  it.each(["", "no result", "[1]", '"text"', "null"])("refuses %j", (output) => {
    expect(() => parseCheckResult(output)).toThrow("the check ended without a result");
  });
});
