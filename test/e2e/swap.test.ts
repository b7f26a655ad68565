import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";

import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { startedDocker, testName } from "../support/docker";
import { type EngineStack, missingEngine, openEngineStack } from "../support/engineStack";
import { type Probe, startProbe } from "../support/swapProbe";
import type { TestImage } from "../support/smallService";
import { buildSwapService } from "../support/swapService";

const execute = promisify(execFile);

/**
 * Seconds. Docker takes the address of a stopped container out of its names last, and each request to it costs
 * the probe one second: none on an idle machine (bench/outage.ts), two on one whose processors are all busy.
 */
const mostSilence = 3;

/** One container after another takes over under one alias, while a probe asks who answers there. */
describe.skipIf(missingEngine)("a container takes over on the real engine", () => {
  const network = testName("swap");
  const name = `${network}-ml`;
  const volume = `${network}-cache`;
  const foreign = `${network}-compose`;
  const alias = "ml";
  const formerPath = process.env["PATH"];
  let image: TestImage;
  let probe: Probe;
  let stack: EngineStack;
  let folder: string;

  const command = async (...words: string[]) => (await execute("docker", words)).stdout.trimEnd();
  const state = async (
    container: string,
    format = "{{.State.Status}} {{.HostConfig.RestartPolicy.Name}}",
  ) => command("inspect", "--format", format, container).catch(() => "missing");
  const owned = async () =>
    (
      await command(
        "ps",
        "-a",
        "--filter",
        `label=org.immich-ml.host=immich-ml/${stack.name}/attic`,
        "--format",
        "{{.Names}}",
      )
    )
      .split("\n")
      .filter(Boolean);
  const compose = (...words: string[]) =>
    command(
      "run",
      "-d",
      "--name",
      foreign,
      "--network",
      network,
      "--network-alias",
      alias,
      "--restart",
      "unless-stopped",
      "-e",
      "WHO=compose",
      ...words,
      image.reference,
    );

  beforeAll(async () => {
    await startedDocker();
    folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-swap-"));
    image = await buildSwapService();
    await command("network", "create", network);
    probe = await startProbe(image.reference, network, `http://${alias}:3003/ping`);
    // A docker client that ends the script that calls it, as a cut of the power does, where the file says so.
    const { stdout: real } = await execute("sh", ["-c", "command -v docker"]);
    const wrapper = path.join(folder, "docker");
    const lines = [
      "#!/bin/sh",
      `pattern=$(cat ${folder}/kill 2>/dev/null) || exec ${real.trim()} "$@"`,
      'case "$*" in',
      `  $pattern) rm -f ${folder}/kill; kill -9 "$IMMICH_ML_SUPERVISOR" $(ps -o pid= -s "$(ps -o sid= -p $$ | tr -d " ")") ;;`,
      "esac",
      `exec ${real.trim()} "$@"`,
    ];
    await writeFile(wrapper, `${lines.join("\n")}\n`);
    await chmod(wrapper, 0o755);
    process.env["PATH"] = `${folder}:${formerPath}`;
    stack = await openEngineStack({ name: "swap" });
  });

  afterAll(async () => {
    await stack?.dispose();
    process.env["PATH"] = formerPath;
    await probe?.stop();
    for (const left of [foreign, `${foreign}-before-immich-ml`]) await command("rm", "-f", left);
    await command("network", "rm", network);
    await image?.remove();
    await rm(folder, { recursive: true, force: true });
  });

  afterEach(() => rm(path.join(folder, "kill"), { force: true }));

  /** Declares a service that answers with a name, with further variables and settings of the host. */
  async function as(who: string, variables: Record<string, string> = {}, host: object = {}) {
    const file = path.join(folder, `${who}.env`);
    const text = Object.entries({ WHO: who, ...variables }).map(
      ([key, value]) => `${key}=${value}`,
    );
    await writeFile(file, text.join("\n"));
    await stack.configure({
      immich: { version: "v2.7.5" },
      hosts: [
        {
          name: "attic",
          accelerator: "cpu",
          image: image.reference,
          containerName: name,
          cache: { volume, keep: false },
          network,
          networkAlias: alias,
          healthTimeout: 60,
          envFiles: [file],
          takeOver: foreign,
          ...host,
        },
      ],
    });
  }
  const up = async (...args: Parameters<typeof as>) => {
    await as(...args);
    return stack.up();
  };
  const now = () => Date.now() / 1000;

  it("hands over from compose's container: it is kept, stopped, and gets nothing any more", async () => {
    await compose();
    await pause(3000);
    const began = now();
    await up("a");
    const { who, silent } = await probe.since(began);
    expect(who[0]).toBe("compose");
    expect(who.at(-1)).toBe("a");
    expect(silent).toBeLessThan(mostSilence);
    expect(await state(name)).toBe("running always");
    expect(await state(`${foreign}-before-immich-ml`)).toBe("exited no");
    expect(await state(foreign)).toBe("missing");
    expect(await owned()).toEqual([name]);
    expect((await stack.preview()).steps).toEqual([]);
    expect((await stack.preview({ refresh: true })).steps).toEqual([]);
  });

  it("is replaced after the new one has computed beside it", async () => {
    const began = now();
    const { steps, text } = await up("b");
    expect(steps).toEqual([
      "create-replacement attic",
      "replace attic",
      "update attic-check",
      "delete-replaced attic",
    ]);
    expect(text).toContain("trying the new container beside the one that serves");
    const { who, silent } = await probe.since(began);
    expect(who.at(-1)).toBe("b");
    expect(silent).toBeLessThan(mostSilence);
    expect(await owned()).toEqual([name]);
  });

  it.each([
    ["dies", { BREAK: "die" }, /keeps restarting/],
    ["never gets healthy", { BREAK: "sick" }, /health check fails|not healthy/],
    ["does not compute", { FAULT: "compute" }, /no kernel image/],
  ])(
    "keeps the former one without a second of outage when the new one %s",
    async (_what, fault: Record<string, string>, reason) => {
      const began = now();
      await expect(up("broken", fault, { healthTimeout: 15 })).rejects.toThrow(reason);
      const { who, silent } = await probe.since(began);
      expect(who).toEqual(["b"]);
      expect(silent).toBe(0);
      expect(await state(name)).toBe("running always");
    },
  );

  it("goes on once the fault is gone, and leaves no container behind", async () => {
    await up("c");
    expect((await probe.since(now() - 1)).who.at(-1)).toBe("c");
    expect(await owned()).toEqual([name]);
  });

  it("refuses a second server under the alias, and says how to hand it over", async () => {
    await compose();
    await as("c", {}, { takeOver: undefined });
    await expect(stack.preview()).rejects.toThrow(
      new RegExp(
        `${foreign} .* answers as ml in the network ${network}, too[^]*takeOver: ${foreign}`,
      ),
    );
    await command("rm", "-f", foreign);
  });
  it("swaps without a candidate where the card has no room for two", async () => {
    await up("d", { CARD: "exclusive" });
    const began = now();
    const { text } = await up("e", { CARD: "exclusive" });
    expect(text).toContain("the card has no room for a second server");
    expect((await probe.since(began)).who.at(-1)).toBe("e");
    await expect(up("f", { CARD: "exclusive", BREAK: "die" })).rejects.toThrow(/keeps restarting/);
    expect((await probe.since(now() - 1)).who).toEqual(["e"]);
  });

  it("mends a container that died, in a plain up, and preview shows it", async () => {
    await up("g");
    await command("stop", "-t", "1", name);
    const { steps, text } = await stack.preview();
    expect(steps).toEqual(["update attic-check"]);
    expect(text).toMatch(/it does not run \(exited/);
    const mended = await stack.up();
    expect(mended.text).toContain("attic: verified");
    expect(await state(name)).toBe("running always");
    expect((await stack.preview()).steps).toEqual([]);
  });

  it("gives a container that was renamed by hand its name back, in a plain up, and preview shows it", async () => {
    await up("g");
    const id = await state(name, "{{.Id}}");
    await command("rename", name, `${name}-renamed`);
    expect((await stack.preview()).steps).toEqual(["update attic-check"]);
    await stack.up();
    expect(await owned()).toEqual([name]);
    expect(await state(name, "{{.Id}}")).toBe(id);
    expect((await stack.preview()).steps).toEqual([]);
  });

  it("mends a deleted container and its volume in a plain up, and preview shows them", async () => {
    await command("rm", "-f", name);
    await command("volume", "rm", volume);
    const { steps, text } = await stack.preview();
    expect(text).toContain(`the container ${name} is gone`);
    expect(text).toContain(`the volume ${volume} is gone`);
    expect(steps.join()).toMatch(/replace attic-cache[^]*replace attic/);
    await stack.up();
    expect(await state(name)).toBe("running always");
    expect(await command("volume", "inspect", "--format", "{{json .Labels}}", volume)).toContain(
      "made-again",
    );
    expect((await stack.preview()).steps).toEqual([]);
    expect((await stack.preview({ refresh: true })).steps).toEqual([]);
  });

  it.each([
    ["tries the new one", /trying the new container/, "g"],
    ["hands over", /the new container takes over/, "g"],
  ])(
    "Ctrl-C while it %s: what served before serves, and the next up goes on",
    async (_what, moment, serves) => {
      await as("h");
      const going = stack.command("up", "--yes", "--config-file", stack.configFile);
      let text = "";
      await new Promise<void>((resolve) => {
        const listen = (more: Buffer) => {
          text += more.toString();
          if (moment.test(text)) resolve();
        };
        going.child.stdout!.on("data", listen);
        going.child.stderr!.on("data", listen);
        void going.ended.then(() => resolve());
      });
      process.kill(-going.child.pid!, "SIGINT");
      const { code } = await going.ended;
      expect(code).not.toBe(0);
      // The script puts everything back after the engine has ended.
      const ended = now();
      while (swaps(name)) {
        expect(now() - ended).toBeLessThan(30);
        await pause(200);
      }
      await pause(1500);
      expect((await probe.since(now() - 1)).who).toEqual([serves]);
      await stack.command("cancel", "--yes").ended;
      await up("g", { AGAIN: _what });
      expect((await probe.since(now() - 1)).who).toEqual(["g"]);
      expect(await owned()).toEqual([name]);
    },
  );

  it.each([
    [
      "between stop and start with a published port",
      "network connect*",
      {
        publish: { address: "127.0.0.1", port: 13_903 },
        network: undefined,
        url: "http://ml.invalid",
      },
    ],
    ["between the names", "rename*", {}],
  ])("loses power %s: the next up goes on", async (moment, pattern, host) => {
    await up("i", {}, host);
    await writeFile(path.join(folder, "kill"), pattern);
    await expect(up("j", { AT: moment }, host)).rejects.toThrow(/attic-check/);
    await stack.up();
    expect(await command("exec", name, "printenv", "WHO")).toBe("j");
    expect(await state(name)).toBe("running always");
    expect(await owned()).toEqual([name]);
  });

  it("stops a kept container that compose has started again, and remembers how it was", async () => {
    await command("start", `${foreign}-before-immich-ml`);
    await up("k");
    expect(await state(`${foreign}-before-immich-ml`)).toBe("exited no");
    expect((await probe.since(now() - 1)).who).toEqual(["k"]);
  });

  it("gives compose's container back with destroy, as it was", async () => {
    const { text } = await stack.destroy();
    expect(text).toContain(`${foreign}, which was taken over, runs again as before`);
    expect(await state(foreign)).toBe("running unless-stopped");
    expect(await owned()).toEqual([]);
  });

  it("hands over from a container that Docker restarts again and again, and gives that back, too", async () => {
    await command("rm", "-f", foreign);
    await compose("-e", "BREAK=die");
    // From now on Docker waits for seconds between two restarts.
    while (Number(await state(foreign, "{{.RestartCount}}")) < 6) await pause(200);
    await up("m");
    expect(await state(`${foreign}-before-immich-ml`)).toBe("exited no");
    expect((await probe.since(now() - 1)).who).toEqual(["m"]);
    expect(await owned()).toEqual([name]);
    expect((await stack.preview()).steps).toEqual([]);
    await stack.destroy();
    expect(await state(foreign, "{{.HostConfig.RestartPolicy.Name}}")).toBe("unless-stopped");
    expect(await owned()).toEqual([]);
  });
});

/** Whether a script swaps the container of this name. */
function swaps(name: string): boolean {
  const processes = readdirSync("/proc").filter((entry) => /^\d+$/.test(entry));
  return processes.some((id) => {
    try {
      return readFileSync(`/proc/${id}/environ`, "utf8").includes(`IMMICH_ML_NAME=${name}\0`);
    } catch {
      return false;
    }
  });
}
