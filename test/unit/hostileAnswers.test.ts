import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { detectGpus, preflight } from "../../preflight";
import { lookUpContainerAddress } from "../../immich/databaseAddress";
import type { CommandResult, Run } from "../../util/run";
import { architectureOf, parseContainers, parseDockerInfo } from "../../util/dockerAnswers";
import { parseProbe, shellOn } from "../../preflight/hostProbe";
import { parseNvidiaSmi } from "../../preflight/nvidia";
import { parseCheckResult, type CheckResult } from "../../verify/check";
import { compareSettings, parseGpus, parseModels, parseQueues } from "../../verify/status";
import { readSettings } from "../../config/read";
import type { Settings } from "../../config/load";
import { anyJson, anyText, clearFailure, expectClear, hostile, spoiled } from "../support/hostile";

const info = {
  ServerVersion: "27.5.1",
  Architecture: "x86_64",
  Runtimes: { nvidia: { path: "nvidia-container-runtime" }, runc: {} },
  CDISpecDirs: ["/etc/cdi"],
  DiscoveredDevices: [{ Source: "cdi", ID: "nvidia.com/gpu=0" }],
  DockerRootDir: "/var/lib/docker",
  OperatingSystem: "Debian GNU/Linux 12 (bookworm)",
  ServerErrors: ["Cannot connect"],
};

const inspected = [
  {
    Id: "0123456789ab",
    State: { Running: true },
    Config: { Labels: { "com.docker.compose.service": "database" } },
    NetworkSettings: {
      Networks: { immich_default: { IPAddress: "172.18.0.3" } },
      Ports: { "5432/tcp": [{ HostIp: "0.0.0.0", HostPort: "5432" }], "80/tcp": null },
    },
  },
];

const probe = [
  "path /dev/dri",
  "render /dev/dri/renderD128",
  "toolkit nvidia-ctk",
  "free 52428800",
  "nvidia 0, GPU-8e5e22a2, NVIDIA GeForce GTX 750 Ti, 535.183.01, 1999, 5.0",
  "nvidia-exit 0",
];

/** Lines with some of them, or parts of them, replaced by anything. */
const spoiledLines = (lines: readonly string[]) =>
  fc
    .array(fc.tuple(fc.nat(lines.length - 1), fc.nat(5), anyText), { minLength: 1, maxLength: 4 })
    .map((changes) => {
      const copy = [...lines];
      for (const [index, field, junk] of changes) {
        const fields = copy[index]!.split(/(?<=, )|(?<= )/);
        fields[field % fields.length] = junk;
        copy[index] = fields.join("");
      }
      return copy.join("\n");
    });

const json = (value: unknown, junk = anyJson) =>
  fc.oneof(
    spoiled(value, junk).map((spoilt) => JSON.stringify(spoilt)),
    fc.nat(200).map((length) => JSON.stringify(value).slice(0, length)),
    anyText,
  );

describe("answers of engines and hosts", () => {
  hostile("any answer of docker info is read or taken for none", json(info), (text) => {
    const docker = parseDockerInfo(text);
    if (!docker) return;
    expect(typeof docker.version).toBe("string");
    expect(typeof docker.architecture).toBe("string");
    expect(typeof docker.root).toBe("string");
    for (const name of [...docker.runtimes, ...docker.cdiDevices])
      expect(typeof name).toBe("string");
  });

  hostile("any answer of docker inspect is read or taken for none", json(inspected), (text) => {
    const container = parseContainers(text)?.[0];
    if (!container) return;
    const endpoint = "ssh://box";
    const network = "constructor";
    const found = lookUpContainerAddress(container, { port: 5432, network, endpoint });
    const here = lookUpContainerAddress(container, { port: 5432, network, endpoint: "unix:///s" });
    for (const address of [found, here]) {
      if (!address) continue;
      expect(typeof address.host).toBe("string");
      expect(Number.isSafeInteger(address.port)).toBe(true);
    }
    for (const label of Object.values(container.labels)) expect(typeof label).toBe("string");
  });

  hostile(
    "any output of nvidia-smi is read, or explained",
    fc.tuple(
      fc.oneof(spoiledLines(probe.slice(4, 5).map((line) => line.slice(7))), anyText),
      fc.oneof(fc.constant(0), fc.integer(), fc.constant(NaN)),
    ),
    ([output, code]) => {
      const answer = parseNvidiaSmi(output, code);
      if (!answer.ok) return expectClear(answer.message);
      for (const { index, computeCapability } of answer.value) {
        expect(Number.isSafeInteger(index) || index > 0).toBe(true);
        if (computeCapability) expect(computeCapability).toMatch(/^\d+\.\d$/);
      }
    },
  );

  hostile(
    "any output of the host's probe is read",
    fc.oneof(spoiledLines(probe), anyText),
    (text) => {
      const { freeDisk, paths } = parseProbe(text);
      expect(freeDisk === undefined || typeof freeDisk === "number").toBe(true);
      for (const path of paths) expect(typeof path).toBe("string");
    },
  );

  hostile("an engine's machine is called something, whatever it says", anyText, (machine) => {
    expect(typeof architectureOf(machine)).toBe("string");
  });

  const settingsOf = (gpu: string): Settings =>
    readSettings(
      {
        immich: { version: "v2.7.5", network: "immich_default", database: { container: "db" } },
        preset: "legacy-2gb",
        hosts: [{ name: "constructor", gpu }],
      },
      { project: "p", stack: "s", secrets: { databasePassword: "x" } },
    ).value!;

  const answers = fc.record({
    info: json(info),
    inspect: json(inspected),
    networks: anyText,
    probe: fc.oneof(spoiledLines(probe), anyText),
    code: fc.constantFrom(0, 0, 0, 1, 124, 127),
    stderr: anyText,
  });
  hostile(
    "a preflight over junk ends with one clear list, and never with a crash",
    fc.tuple(answers, fc.constantFrom("auto", "GTX 750 Ti")),
    async ([answer, gpu]) => {
      const runner: Run = (program, parameters): Promise<CommandResult> => {
        const stdout =
          program === "sh" ? answer.probe : answer[parameters[0] === "info" ? "info" : "networks"];
        const inspect = parameters[0] === "container" ? answer.inspect : stdout;
        return Promise.resolve({ code: answer.code, stdout: inspect, stderr: answer.stderr });
      };
      await clearFailure(() => detectGpus(settingsOf(gpu), runner));
      const settings = { ...settingsOf("GTX 750 Ti"), models: undefined };
      await clearFailure(() => preflight(settings, runner));
    },
    { share: 0.5 },
  );

  hostile(
    "an endpoint that a stack file may have is reached by words that no shell reads again",
    fc.oneof(
      anyText.map((text) => `ssh://${text}`),
      fc.tuple(anyText, anyText).map(([user, host]) => `ssh://${user}@${host}`),
      fc
        .tuple(
          fc.constantFrom("me", "a%40b", "-x", "$(id)"),
          fc.constantFrom("box", "-box", "[::1]", "b`id`"),
        )
        .map(([user, host]) => `ssh://${user}@${host}:22`),
    ),
    (dockerHost) => {
      const host = { name: "attic", dockerHost, publish: { address: "127.0.0.1" } };
      const { value: settings } = readSettings(
        { immich: { version: "v2.7.5" }, hosts: [host] },
        { project: "p", stack: "s", secrets: {} },
      );
      if (!settings) return;
      const words = shellOn(settings.hosts[0]!.dockerHost)!;
      const target = words[words.indexOf("--") + 1]!;
      expect(target).toMatch(/^[\w[]/);
      expect(target).not.toMatch(/[\s$`'";&|<>(){}]/);
    },
  );
});

describe("what containers and Immich say", () => {
  const check = {
    ok: true,
    provider: "CPUExecutionProvider",
    devices: [{ device: "cpu", milliseconds: 1, operators: {}, fallbackOps: [] }],
  };
  hostile(
    "a check is read whole or refused",
    fc.tuple(anyText, json(check)),
    async ([above, line]) => {
      let result: CheckResult | undefined;
      await clearFailure(() => (result = parseCheckResult(`${above}\n${line}`)));
      if (!result) return;
      if (result.ok) {
        expect(typeof result.provider).toBe("string");
        for (const { device } of result.devices) expect(device).toBeDefined();
      } else expect(typeof result.error).toBe("string");
    },
  );

  hostile(
    "the status of any container is shown",
    fc.oneof(anyText, spoiledLines(["a, 1, 2"])),
    (text) => {
      for (const card of parseGpus(text)) expect(typeof card.name).toBe("string");
      for (const model of parseModels(`12 clip/${text}/\n${text}`)) {
        expect(model.name).toMatch(/^(clip|facial-recognition|ocr)/);
      }
    },
  );

  it("the list of a cache is read in bounded time", () => {
    const started = performance.now();
    parseModels(`1${" ".repeat(200_000)}\r`);
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  hostile("any answer about queues and settings is shown", anyJson, (answer) => {
    compareSettings([["machineLearning.clip.modelName", "ViT-B-32__openai"]], answer);
    if (typeof answer !== "object" || answer === null) return;
    for (const queue of parseQueues(answer as Record<string, object>)) {
      expect(typeof queue.queue).toBe("string");
    }
  });
});
