import { afterEach, beforeAll, describe, expect, it } from "vitest";

import { assignGpus, protectSharedCache } from "../../catalog/deviceIds";
import { parseImmichVersion } from "../../catalog/immichVersion";
import { renderEnvironment } from "../../catalog/renderEnvironment";
import { docker, realImage } from "../support/immichMl";
import {
  cacheVolume,
  hubNetwork,
  models,
  removeMade,
  type Server,
  startServer,
} from "../support/immichServer";
import { immichSources, isQuick } from "../support/immichSource";
import { stopGently } from "../support/stopGently";
import { longTestsLine } from "./source";

const { sources, line } = immichSources;
const versions = [...sources.keys()];
console.log(line);
if (isQuick)
  console.log(
    longTestsLine("the ML server's with downloads, stops, several workers, two GPUs and damage"),
  );
/** The newest release of each major version, or the newest of all. */
const newest = versions.filter(
  (version, index) => version.split(".")[0] !== versions[index + 1]?.split(".")[0],
);

const wait = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

describe.each(isQuick ? newest.slice(-1) : newest)("the ML server of Immich %s", (release) => {
  const version = parseImmichVersion(release)!;
  let image: string;
  let tools: string;

  beforeAll(async () => {
    ({ server: image, tests: tools } = await realImage("kepler-maxwell", release));
  }, 30 * 60_000);
  // The health checks of dozens would take the machine.
  afterEach(removeMade);

  /** What the program sets for a container, from its settings. */
  const variables = (settings: Record<string, string | number>) => {
    const rendered = renderEnvironment(settings, version, "cuda").variables;
    const shared = protectSharedCache(rendered, false, version).value;
    return { ...rendered, ...renderEnvironment(shared, version, "cuda").variables };
  };

  it.each(isQuick ? [20] : [17, 18, 19, 20, 21])(
    "computes CLIP, three faces and two lines of text with models of opset %i, and the check sees it",
    async (opset) => {
      const server = await startServer(image, await cacheVolume(tools, opset));
      const { code, models: checked, stderr } = await server.check(Object.values(models));
      expect(code, stderr).toBe(0);
      expect(checked).toHaveLength(3);
      for (const model of checked) expect(model).not.toHaveProperty("note");
      const { text } = await server.ask("faces");
      expect((JSON.parse(text) as Record<string, unknown[]>)["facial-recognition"]).toHaveLength(3);
      const words = (await server.ask("text")).text;
      expect(words).toMatch(/IMMICH ?2468/);
      expect(words).toMatch(/LIGHT ?1357/);
    },
  );

  it.skipIf(isQuick)(
    "downloads what is preloaded, as another user on a read-only root",
    async () => {
      const network = await hubNetwork(tools, await cacheVolume(tools, 20));
      const environment = {
        HF_ENDPOINT: "http://hub:8000",
        ...variables({ preloadClipTextual: "ViT-B-32__openai" }),
      };
      const options = ["--read-only", "--tmpfs", "/tmp", "--user", "1000:1000"];
      const server = await startServer(image, await cacheVolume(tools), environment, {
        network,
        options,
      });
      const files = await docker("exec", server.name, "find", "/cache", "-name", "*.onnx");
      expect(files).toContain("clip/ViT-B-32__openai/textual/model.opset18.onnx");
      const { code, stderr } = await server.check([models.clip]);
      expect(code, stderr).toBe(0);
    },
  );

  it.skipIf(isQuick)("answers the requests under way when it is stopped", async () => {
    const server = await startServer(
      image,
      await cacheVolume(tools, 20),
      variables({ workers: 2 }),
    );
    expect(await stopUnderLoad(server)).toEqual({ answered: [200, 200], exitCode: "0" });
  });

  it.skipIf(isQuick)(
    "cuts them when Immich's own command is the container's: the reason for serve.py",
    async () => {
      const command = ["python", "-m", "immich_ml"];
      const volume = await cacheVolume(tools, 20);
      const server = await startServer(image, volume, variables({ workers: 2 }), { command });
      const { answered, exitCode } = await stopUnderLoad(server);
      expect(answered).toContain("cut");
      expect(exitCode).toBe("143");
    },
  );

  it.skipIf(isQuick)("answers them when our container takes over from Immich's own", async () => {
    const command = ["python", "-m", "immich_ml"];
    const options = ["--restart", "unless-stopped"];
    const volume = await cacheVolume(tools, 20);
    const more = { command, options };
    const server = await startServer(image, volume, variables({ workers: 2 }), more);
    const { answered } = await stopUnderLoad(server, () => stopGently(server.name));
    expect(answered).toEqual([200, 200]);
    expect(await docker("inspect", "--format", "{{.State.Status}}", server.name)).toBe("exited");
  });

  async function stopUnderLoad(
    server: Server,
    stop: () => Promise<unknown> = () => docker("stop", "--time", "30", server.name),
  ) {
    await Promise.all([server.ask("text"), server.ask("text")]);
    const asked = [1, 2].map(() =>
      server.ask("text").then(
        ({ status }) => status,
        () => "cut",
      ),
    );
    await wait(0.5);
    await stop();
    const answered = await Promise.all(asked);
    const exitCode = await docker("inspect", "--format", "{{.State.ExitCode}}", server.name);
    return { answered, exitCode };
  }

  it.skipIf(isQuick)(
    "leaves the face recogniser alone with several workers, and rewrites it with one",
    async () => {
      const recogniser = `/cache/${models.faces}/recognition/model.onnx`;
      const sum = ({ name }: Server) => docker("exec", name, "sha256sum", recogniser);
      const several = await startServer(
        image,
        await cacheVolume(tools, 18),
        variables({ workers: 3 }),
      );
      const before = await sum(several);
      const asked = await Promise.all(Array.from({ length: 12 }, () => several.ask("faces")));
      expect(asked.map(({ status }) => status)).toEqual(Array(12).fill(200));
      expect(await sum(several)).toBe(before);

      const one = await startServer(image, await cacheVolume(tools, 18), variables({ workers: 1 }));
      expect((await one.ask("faces")).status).toBe(200);
      expect(await sum(one)).not.toBe(before);
    },
  );

  describe.skipIf(isQuick)("with two GPUs in one container", () => {
    /** The devices of the workers that answer; those of a busy machine need a while to start. */
    const devicesOf = async (server: Server, since?: string) => {
      const devices = new Set<string>();
      for (let round = 0; round < 10 && devices.size < 2; round++) {
        if (round > 0) await wait(2);
        await Promise.all(Array.from({ length: 24 }, () => server.ask("clip")));
        const whole = await server.log();
        const log = since === undefined ? whole : whole.split(since).at(-1)!;
        for (const [, device] of log.matchAll(/ on device (\d)/g)) devices.add(device!);
      }
      return [...devices].sort();
    };
    const twoGpus = { deviceIds: "0,1", workers: 2 };

    it("both compute, however long it was idle", async () => {
      const assigned = assignGpus({}, 2, version).value;
      expect(assigned).toMatchObject(twoGpus);
      const environment = variables({ ...assigned, modelTtlPoll: 1 });
      const server = await startServer(image, await cacheVolume(tools, 18), environment);
      expect(await devicesOf(server)).toEqual(["0", "1"]);
      await wait(6);
      expect(await server.log()).not.toContain("Shutting down due to inactivity");
    });

    const immichsOwn = { command: ["python", "-m", "immich_ml"] };
    const ended = "Shutting down due to inactivity";
    /** Kills the worker of a device. @returns the devices of those that compute then */
    const afterDeathOf = async (server: Server, device: string) => {
      const opened = Array.from(
        (await server.log()).matchAll(/worker (\d+) opens .* device (\d)/g),
      );
      const pid = opened.filter(([, , of]) => of === device).at(-1)![1]!;
      await docker("exec", server.name, "sh", "-c", `kill -9 ${pid}`);
      const last = new Map<string, string>();
      for (let round = 0; round < 10 && last.size < 2; round++) {
        await wait(4);
        await Promise.all(Array.from({ length: 24 }, () => server.ask("clip")));
        const log = await server.log();
        for (const [, worker, of] of log.matchAll(/worker (\d+) opens .* device (\d)/g))
          if (worker !== pid) last.set(worker!, of!);
      }
      return [...last.values()].sort();
    };

    it("each computes after an idle time-out, and after a worker's death", async () => {
      const environment = variables({ ...twoGpus, modelTtl: 4, modelTtlPoll: 1 });
      const server = await startServer(image, await cacheVolume(tools, 18), environment);
      expect(await devicesOf(server)).toEqual(["0", "1"]);
      await wait(12);
      expect(await server.log()).toContain(ended);
      expect(await devicesOf(server, ended)).toEqual(["0", "1"]);

      const always = variables({ ...twoGpus, modelTtl: 0 });
      const steady = await startServer(image, await cacheVolume(tools, 18), always);
      await devicesOf(steady);
      expect(await afterDeathOf(steady, "0")).toEqual(["0", "1"]);
      const { code, stderr } = await steady.check([models.clip]);
      expect(code, stderr).toBe(0);
      expect(stderr).not.toContain("its workers were restarted");
    });

    it("one is left alone by Immich's own command after a worker's death, and the check mends it", async () => {
      const environment = variables({ ...twoGpus, modelTtl: 0 });
      const server = await startServer(
        image,
        await cacheVolume(tools, 18),
        environment,
        immichsOwn,
      );
      await devicesOf(server);
      // The check tells a worker that followed a dead one by its late start.
      await wait(15);
      expect(await afterDeathOf(server, "0")).toEqual(["1", "1"]);
      const { code, stderr } = await server.check([models.clip]);
      expect(code, stderr).toBe(0);
      expect(stderr).toContain("may be left for GPU 0: its workers were restarted");
      expect(await devicesOf(server, "Handling signal: hup")).toEqual(["0", "1"]);
    });
  });

  it.skipIf(isQuick)("is not verified with a recogniser that fails on every face", async () => {
    const server = await startServer(image, await cacheVolume(tools, 18));
    const folder = `/cache/${models.faces}`;
    // A model that computes, but not what a recogniser is given.
    const [good, bad] = ["detection", "recognition"].map((part) => `${folder}/${part}/model.onnx`);
    await docker("exec", server.name, "cp", good!, bad!);
    const { code, stdout } = await server.check([models.faces]);
    expect(stdout).toContain(`Immich's server cannot use ${models.faces}`);
    expect(code).toBe(1);
  });

  describe.skipIf(isQuick)("a damaged model", () => {
    const damage = ({ name }: Server, file: string) => {
      const script = `import sys; p=sys.argv[1]; c=open(p,"rb").read(); open(p,"wb").write(c.replace(b"MatMul",b"MatXul"))`;
      return docker("exec", name, "python", "-c", script, `/cache/${models.clip}/${file}`);
    };
    it("is downloaded again, also where only its conversion sees the damage", async () => {
      const volume = await cacheVolume(tools, 20);
      const network = await hubNetwork(tools, await cacheVolume(tools, 20));
      const server = await startServer(
        image,
        volume,
        { HF_ENDPOINT: "http://hub:8000" },
        { network },
      );
      await damage(server, "textual/model.onnx");
      expect(await server.ask("clip")).toMatchObject({ status: 200 });
      expect(await server.log()).toContain("the model is damaged: no operator of opset 20");
    });

    it("is converted again where only the converted copy is damaged", async () => {
      const volume = await cacheVolume(tools, 20);
      const first = await startServer(image, volume, { HF_HUB_OFFLINE: "1" });
      expect(await first.ask("clip")).toMatchObject({ status: 200 });
      await damage(first, "textual/model.opset18.onnx");
      await docker("restart", first.name);
      const second = await startServer(image, volume, { HF_HUB_OFFLINE: "1" });
      expect(await second.ask("clip")).toMatchObject({ status: 200 });
    });

    it("that the server gave up on is loaded once the check has restarted its workers", async () => {
      const volume = await cacheVolume(tools, 20);
      const whole = await cacheVolume(tools, 20);
      const settings = variables({ deviceIds: "0,1", workers: 2, modelTtl: 0 });
      const options = ["-v", `${whole}:/whole:ro`];
      const environment = { ...settings, HF_HUB_OFFLINE: "1" };
      const server = await startServer(image, volume, environment, { options });
      const folder = `/cache/${models.clip}`;
      await docker("exec", server.name, "rm", `${folder}/textual/model.onnx`);
      // On one connection, so perhaps of one worker alone.
      for (let round = 0; round < 12; round++) await server.ask("clip");
      expect((await server.ask("clip")).text).toContain("Failed to load model");

      const missing = await server.check([models.clip]);
      expect(missing.models).toMatchObject([{ notVerified: expect.any(String) as string }]);
      await docker("exec", server.name, "cp", "-r", `/whole/${models.clip}/.`, folder);
      const { code, stderr } = await server.check([models.clip]);
      expect(stderr).toContain("the server had given up on clip/ViT-B-32__openai");
      expect(code, stderr).toBe(0);
      const after = (await server.log()).split("Handling signal: hup").at(-1)!;
      const asked = await Promise.all(Array.from({ length: 24 }, () => server.ask("clip")));
      expect(asked.map(({ status }) => status)).toEqual(Array(24).fill(200));
      expect(after).toMatch(/on device 0|on device 1/);
    });
  });
});

if (versions.length === 0) it.skip(line, () => undefined);
