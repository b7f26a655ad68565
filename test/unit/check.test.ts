import { readFileSync } from "node:fs";
import { join } from "node:path";

import { afterEach, describe, expect, it } from "vitest";

import { parseImmichVersion } from "../../catalog/immichVersion";
import { checkScript, modelsToCheck, parseCheckResult, parseStored } from "../../verify/check";
import { FakeCommands } from "../support/scripts";

let commands: FakeCommands | undefined;
afterEach(() => commands?.remove());

const passed = `echo '{"ok": true, "provider": "CPUExecutionProvider", "devices": []}'`;
const failed = `echo '{"ok": false, "error": "silent", "details": [], "hint": null}'; exit 1`;

/**
 * Runs the check's script with a fake `docker`.
 *
 * @param states the container's states in turn; the last one stays
 * @param inference lines of shell in place of the Python program in the container
 */
function check(
  states: string[],
  inference: string | ((commands: FakeCommands) => string) = passed,
  environment: Record<string, string> = {},
) {
  commands?.remove();
  commands = new FakeCommands();
  const { folder } = commands;
  commands.write("states", states.join("\n") + "\n");
  commands.write("inference", typeof inference === "string" ? inference : inference(commands));
  commands.add(
    "docker",
    `printf '%s' "$*" | tr '\\n' ' ' >>"${folder}/calls"
echo >>"${folder}/calls"
case $* in *Config.Healthcheck*) exit 0 ;; esac
case $1 in
  inspect) state=$(head -n 1 "${folder}/states")
    [ "$(wc -l <"${folder}/states")" -le 1 ] || sed -i 1d "${folder}/states"
    case $state in
      error:*) echo "\${state#error: }" >&2; exit 1 ;;
      hangs) ${commands.wait(30)}; exit 137 ;;
    esac
    echo "$state" ;;
  logs) [ ! -e "${folder}/log" ] || cat "${folder}/log"; echo "first line"; printf 'RuntimeError: \\033[2Jboom\\302\\233\\342\\200\\256\\r\\n' >&2 ;;
  exec) cat >"${folder}/stdin"; . "${folder}/inference" ;;
  update) [ ! -e "${folder}/busy" ] || { echo "container is restarting" >&2; exit 1; } ;;
  *) exit 64 ;;
esac`,
  );
  return commands.run(checkScript, {
    IMMICH_ML_HOST: "attic",
    IMMICH_ML_CONTAINER: "1a2b",
    IMMICH_ML_EXPECTED: "CPUExecutionProvider",
    IMMICH_ML_MODE: "enforce",
    IMMICH_ML_TIMEOUT: "2",
    ...environment,
  });
}

const calls = () => readFileSync(join(commands!.folder, "calls"), "utf8").trim().split("\n");

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

  it("runs the Python program beside it in the container, with known errors and a picture in front", async () => {
    await check([healthy]);
    const beside = (name: string) => readFileSync(join(__dirname, "../../verify", name));
    const picture = beside("picture.jpg").toString("base64");
    expect(readFileSync(join(commands!.folder, "stdin"), "utf8")).toBe(
      `KNOWN_ERRORS = r'''${beside("knownErrors.tsv").toString()}'''
` +
        `PICTURE = '${picture}'
${beside("inference.py").toString()}`,
    );
  });

  it.each([
    ["first line", ""],
    ["[WARNING] Failed to load textual model 'ViT-B-32__openai'. Clearing cache.", "1"],
  ])("has the server asked more often where a worker may have given up: %s", async (log, loads) => {
    const inference = (fake: FakeCommands) => {
      fake.write("log", `${log}\n`);
      return `printf '{"ok": true, "loads": "%s"}\\n' "$IMMICH_ML_FAILED_LOADS"`;
    };
    const { stdout } = await check([healthy], inference);
    expect(JSON.parse(stdout)).toEqual({ ok: true, loads });
    expect(calls().join("\n")).toMatch(/ -e IMMICH_ML_FAILED_LOADS /);
  });

  it("checks a container without a health check as soon as it runs", async () => {
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
      "the container keeps restarting (exit code 139)",
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
      `attic: ${message}. The last lines of its log:\n  | first line\n  | RuntimeError: [2Jboom??\n`,
    );
    expect(parseCheckResult(ended.stdout)).toEqual({
      ok: false,
      error: message,
      details: [],
      hint: null,
    });
  });

  it("names the cause and the cure of an error in the log that is known", async () => {
    const ended = await check(["exited 0 1 false none"], (fake) => {
      fake.write("log", "[ERROR] Can't connect to ('::', 3003)\n");
      return passed;
    });
    const hint =
      "the host has no IPv6, and the server listens on it by default: «environment: { host: 0.0.0.0 }»";
    expect(ended.stderr).toContain(`attic: What to do: ${hint}\n`);
    expect(parseCheckResult(ended.stdout)).toMatchObject({ ok: false, hint });
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

  it("waits about 60 s for Docker, however slow its client is", async () => {
    const ended = await check(["hangs"]);
    expect(ended.code).toBe(1);
    expect(ended.stdout).toContain("Docker has not answered for 61 s");
    expect(calls().filter((call) => call.startsWith("inspect"))).toHaveLength(2);
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
      ({ folder }) =>
        `if [ -e "${folder}/again" ]; then ${passed}; else : >"${folder}/again"; exit 137; fi`,
    );
    expect(ended.stderr).toContain("attic: the container was restarted meanwhile");
    expect(calls().filter((call) => call.startsWith("exec"))).toHaveLength(2);
    expect(ended.code).toBe(0);
  });

  it("limits the inference, and adds the time of downloads", async () => {
    const hangs = (commands: FakeCommands) => `${commands.wait(3720)}; exit 137`;
    const ended = await check([healthy], hangs, { IMMICH_ML_DOWNLOAD: "120" });
    expect(ended.code).toBe(1);
    expect(ended.stdout).toContain("the inference in the container has not answered for 3720 s");
    // The limit inside the container is the same.
    expect(calls().find((call) => call.startsWith("exec"))).toMatch(/ 3720$/);
  });

  it("fails on a failed check, and prints its result", async () => {
    const ended = await check([healthy], failed);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain("attic: NOT VERIFIED");
    expect(parseCheckResult(ended.stdout)).toMatchObject({ ok: false, error: "silent" });
  });

  it("only reports a failed check in mode warn", async () => {
    const mode = { IMMICH_ML_MODE: "warn" };
    for (const ended of [
      await check([healthy], failed, mode),
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

  it("limits the container's processes once it is verified, and in mode warn in any case", async () => {
    const limit = { IMMICH_ML_PIDS_LIMIT: "4096" };
    const update = "update --pids-limit 4096 -- 1a2b";
    await check([healthy], passed, limit);
    expect(calls().at(-1)).toBe(update);
    await check([healthy], failed, limit);
    expect(calls()).not.toContain(update);
    await check([healthy], failed, { ...limit, IMMICH_ML_MODE: "warn" });
    expect(calls()).toContain(update);
  });

  it("does nothing but limit the processes in mode off", async () => {
    const limit = { IMMICH_ML_PIDS_LIMIT: "4096", IMMICH_ML_MODE: "off" };
    const { code, stdout } = await check(["exited 0 1 false none"], passed, limit);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
    expect(calls()).toEqual(["update --pids-limit 4096 -- 1a2b"]);
  });

  it.each([
    ["fails when the processes cannot be limited", "4096", 1],
    ["does not mind when a limit cannot be removed", "-1", 0],
  ])("%s", async (_what, limit, code) => {
    const environment = { IMMICH_ML_PIDS_LIMIT: limit };
    const busy = (commands: FakeCommands) => `: >"${commands.folder}/busy"; ${passed}`;
    const ended = await check([healthy], busy, environment);
    expect(ended.code).toBe(code);
    expect(ended.stderr.includes("container is restarting")).toBe(code === 1);
  });

  it.each(["--env-file=/etc/shadow", "a b", "x;id", "", "a\nb"])(
    "refuses %j as a container before Docker sees it",
    async (container) => {
      const ended = await check([healthy], passed, { IMMICH_ML_CONTAINER: container });
      expect(ended.code).toBe(1);
      expect(ended.stdout).toContain("the container's name may only have letters, digits");
      expect(calls).toThrow("ENOENT");
    },
  );

  it("shows what the container prints without control characters", async () => {
    // Bytes that would form a C1 character once the one between them is dropped.
    const evil = `printf '\\033]0;x\\007\\302\\233\\342\\201\\246\\302\\000\\233\\302\\302\\233\\233 text\\n' >&2`;
    const { stderr } = await check([healthy], `${evil}; ${passed}`);
    expect(stderr).toMatch(/^\]0;x\?\?\?.* text$/m);
    expect(stderr).not.toMatch(
      /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/,
    );
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
    expect(modelsToCheck(undefined, version)).toEqual(["any"]);
  });
});

describe("parseCheckResult", () => {
  it("reads a result that version 0.1.0 stored", () => {
    const part = { part: "visual", elsewhere: ["Conv"] };
    const former = {
      ok: true,
      provider: "CUDAExecutionProvider",
      onlyLoaded: false,
      devices: [{ device: "0", card: "Tesla K80", elsewhere: ["Reshape"] }],
      models: [
        { model: "clip/a", parts: [part] },
        { model: "ocr/b", parts: [], notProven: "is not in the cache" },
      ],
    };
    expect(parseCheckResult(JSON.stringify(former))).toEqual({
      ok: true,
      provider: "CUDAExecutionProvider",
      notExecuted: false,
      devices: [{ device: "0", gpu: "Tesla K80", fallbackOps: ["Reshape"] }],
      models: [
        { model: "clip/a", parts: [{ part: "visual", fallbackOps: ["Conv"] }] },
        { model: "ocr/b", parts: [], notVerified: "is not in the cache" },
      ],
    });
    expect(parseStored('["card", {"a": null}]')).toEqual(["card", { a: null }]);
  });

  it("refuses models that cannot be shown", () => {
    const result = { ok: true, provider: "x", devices: [], models: [{ model: "clip/a" }] };
    expect(() => parseCheckResult(JSON.stringify(result))).toThrow("without a result");
  });

  it.each(["", "no result", "[1]", '"text"', "null"])("refuses %j", (output) => {
    expect(() => parseCheckResult(output)).toThrow("the check ended without a result");
  });
});
