import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { describe, expect, it, vi } from "vitest";

import { findContainer } from "../../cli/namedContainer";
import type { ContainerInfo } from "../../util/dockerAnswers";
import { askEngine, namedContainer, parseDeployment } from "../../verify/deployment";
import {
  compareSettings,
  parseCardLoss,
  parseGpus,
  parseModels,
  parseQueues,
  parseTasks,
} from "../../verify/status";
import { chooseHosts } from "../../cli/command";
import { asJson, asTable, modelCells } from "../../cli/table";
import { isDockerName } from "../../util/dockerClient";
import { sanitizeLines } from "../../util/sanitize";

describe("parseDeployment", () => {
  it("takes the hosts and what is declared of Immich from the stack's outputs", () => {
    const outputs = {
      machineLearning: [{ host: "attic", containerName: "x", accelerator: "cuda" }],
      systemConfig: { "machineLearning.clip.modelName": "ViT-B-32__openai" },
    };
    expect(parseDeployment(JSON.stringify(outputs))).toEqual({
      hosts: outputs.machineLearning,
      systemConfig: outputs.systemConfig,
    });
  });

  it("reads what version 0.1.0 stored", () => {
    const models = [{ model: "ocr/x", parts: [], notProven: "is not in the cache" }];
    const { hosts } = parseDeployment(JSON.stringify({ machineLearning: [{ host: "a", models }] }));
    expect(hosts[0]!.models!.map(modelCells)).toEqual([
      ["ocr/x", "not verified: is not in the cache"],
    ]);
  });

  it("says what to do about a stack that runs nothing", () => {
    expect(() => parseDeployment("{}")).toThrow("this stack runs nothing yet: run up first");
  });
});

describe("namedContainer", () => {
  it("refuses an unknown accelerator", () => {
    const options = { container: "x", dockerHost: "unix:///x" };
    expect(namedContainer({ ...options, accelerator: "rocm" }).accelerator).toBe("rocm");
    expect(() => namedContainer({ ...options, accelerator: "gpu" })).toThrow("--accelerator gpu");
  });
});

describe("without a stack", () => {
  it.each([
    "error: PULUMI_ACCESS_TOKEN must be set for login during non-interactive CLI sessions",
    "error: no stack selected; please use `pulumi stack select` to choose one",
  ])("a command says what to run first: %s", async (answer) => {
    const folder = mkdtempSync(path.join(tmpdir(), "immich-ml-test-status-"));
    try {
      const script = `#!/bin/sh\necho '${answer}' >&2\nexit 255\n`;
      writeFileSync(path.join(folder, "pulumi"), script, { mode: 0o755 });
      vi.stubEnv("PATH", `${folder}:${process.env["PATH"]}`);
      await expect(askEngine(undefined, "stack")).rejects.toThrow(
        "there is no stack yet: run setup first",
      );
    } finally {
      vi.unstubAllEnvs();
      rmSync(folder, { recursive: true });
    }
  });

  it("the engine asked is that of DOCKER_HOST", async () => {
    vi.stubEnv("DOCKER_HOST", "unix:///run/user/1000/docker.sock");
    vi.resetModules();
    const { dockerHostOption } = await vi.importActual<{ dockerHostOption: { default: string } }>(
      "../../cli/command",
    );
    expect(dockerHostOption.default).toBe("unix:///run/user/1000/docker.sock");
    vi.unstubAllEnvs();
  });
});

describe("the container to check", () => {
  const dockerHost = "unix:///x";
  const running = (image: string) => ({ immich_machine_learning: { image } as ContainerInfo });
  const find = (
    containers: Readonly<Record<string, ContainerInfo>>,
    accelerator?: string,
    container = "immich_machine_learning",
  ) =>
    findContainer(
      {
        container: (name) => Promise.resolve({ ok: true, value: containers[name] }),
        allContainers: () =>
          Promise.resolve({
            ok: true,
            value: Object.keys(containers).map((name) => ({
              ...{ id: "1a", names: [name], networks: [], host: "" },
            })),
          }),
      },
      { container, accelerator, dockerHost },
    );
  const official = "ghcr.io/immich-app/immich-machine-learning";

  it.each([
    [`${official}:release-cuda`, "cuda"],
    [`${official}:v2.7.5-openvino@sha256:12`, "openvino"],
    [`${official}:release`, "cpu"],
    ["immich-machine-learning:v3", "cpu"],
  ])("computes on what the tag of %s says: %s", async (image, accelerator) => {
    expect((await find(running(image))).accelerator).toBe(accelerator);
  });

  it("computes on the accelerator that is named", async () => {
    expect((await find(running(`${official}:release`), "cuda")).accelerator).toBe("cuda");
  });

  it("has no accelerator without a telling tag, and none is guessed", async () => {
    await expect(find(running("sha256:12"))).rejects.toThrow(
      "(sha256:12) does not tell what it computes on: add --accelerator and one of cpu, cuda",
    );
  });

  it("that does not exist is answered with those that do", async () => {
    await expect(find(running("x"), "cuda", "immich-ml")).rejects.toThrow(
      "there is no container immich-ml at unix:///x; there are: immich_machine_learning",
    );
  });
});

describe("a service's tasks", () => {
  it("come from the manager, with the container of each that runs on the engine asked", () => {
    const tasks = [
      "t2|immich-ml-rack.2|attic|Running 3 hours ago|",
      't10|immich-ml-rack.10||Pending 4 seconds ago|"no suitable node"',
      "t1|immich-ml-rack.1|manager|Running 3 hours ago|",
    ];
    expect(parseTasks(`${tasks.join("\n")}\n`, "t1|abc\nt0|of-before\n")).toEqual([
      { slot: "1", node: "manager", state: "running", error: "", container: "abc" },
      { slot: "2", node: "attic", state: "running", error: "", container: undefined },
      { slot: "10", node: "", state: "pending", error: '"no suitable node"', container: undefined },
    ]);
  });
});

describe("a host's state", () => {
  it("has the memory of each GPU, names with blanks and all", () => {
    expect(parseGpus("NVIDIA GeForce GTX 750 Ti, 812, 1187\nTesla K80, 3, 11438\n")).toEqual([
      { name: "NVIDIA GeForce GTX 750 Ti", used: 812, free: 1187 },
      { name: "Tesla K80", used: 3, free: 11438 },
    ]);
  });

  it("has the last restart for a lost card, and none where nothing was written down", () => {
    const written =
      '{"cards": 1, "failures": 0, "restarted": 1795849200.5, "complaint": "cuInit: CUDA error 999"}';
    expect(parseCardLoss(written)).toEqual({
      at: "2026-11-28 07:00",
      complaint: "cuInit: CUDA error 999",
    });
    for (const text of ["", "cat: no such file", '{"cards": 1, "answered": 5, "failures": 0}'])
      expect(parseCardLoss(text)).toBeUndefined();
  });

  it("has the models in the cache and nothing else that is there", () => {
    const listing =
      "607140\tclip/ViT-B-32__openai/\n19328\tfacial-recognition/buffalo_s/\n4\thf-cache/hub/\n";
    expect(parseModels(listing)).toEqual([
      { name: "clip/ViT-B-32__openai", size: 593 },
      { name: "facial-recognition/buffalo_s", size: 19 },
    ]);
    expect(parseModels("")).toEqual([]);
  });
});

describe("Immich's state", () => {
  it("is compared with what is declared; two spellings of one model agree", () => {
    const actual = {
      machineLearning: {
        clip: { modelName: "immich-app/ViT-B-32__openai" },
        ocr: { enabled: true },
      },
    };
    expect(
      compareSettings(
        [
          ["machineLearning.clip.modelName", "ViT-B-32__openai"],
          ["machineLearning.ocr.enabled", false],
        ],
        actual,
      ).map(({ key, agrees }) => [key, agrees]),
    ).toEqual([
      ["machineLearning.clip.modelName", true],
      ["machineLearning.ocr.enabled", false],
    ]);
  });

  it("has the queues of machine learning that this release has", () => {
    const jobs = {
      smartSearch: { jobCounts: { waiting: 41, active: 1, failed: 2, completed: 9 } },
      faceDetection: { jobCounts: {} },
      thumbnailGeneration: { jobCounts: { waiting: 7 } },
    };
    expect(parseQueues(jobs)).toEqual([
      { queue: "smartSearch", waiting: 41, active: 1, failed: 2 },
      { queue: "faceDetection", waiting: 0, active: 0, failed: 0 },
    ]);
  });
});

describe("what others wrote", () => {
  const evil = "a\u001b[2J\u009b1m\u202eb\u2066c\r";

  it("cannot rewrite the terminal from a table, a message or JSON", () => {
    const shown = "a\\u001b[2J\\u009b1m\\u202eb\\u2066c\\u000d";
    expect(asTable([[evil, "x\ny"]])).toBe(`${shown}  x\\u000ay`);
    expect(sanitizeLines(`one\n\t${evil}`)).toBe(`one\n\t${shown}`);
    const text = asJson({ evil });
    expect(text).not.toMatch(/[\u009b\u202e\u2066]/);
    expect(JSON.parse(text)).toEqual({ evil });
  });

  it.each(["--env-file=/x", "-v", "", "a b", "a;b", "a\n", "a/b", "ä"])(
    "is no name for the docker client when it is %j",
    (text) => expect(isDockerName(text)).toBe(false),
  );
  it.each(["immich_machine_learning", "1a2b", "a.b-c"])("is a name when it is %j", (text) =>
    expect(isDockerName(text)).toBe(true),
  );
});

describe("the hosts of a command line", () => {
  const host = namedContainer({ container: "attic", accelerator: "cpu", dockerHost: "unix:///x" });
  it("are all without a name, and those that are named", () => {
    expect(chooseHosts([host], [])).toEqual([host]);
    expect(chooseHosts([host], ["attic"])).toEqual([host]);
    expect(() => chooseHosts([host], ["cellar"])).toThrow("no host cellar; there are: attic");
  });
});

describe("asTable", () => {
  it("lines up columns and leaves no blanks behind", () => {
    expect(asTable([["HOST", "OK"], ["a-long-name", "yes"], ["b"]])).toBe(
      "HOST         OK\na-long-name  yes\nb",
    );
  });
});

describe("a model in a table", () => {
  it("has what computed its files and how long they and the server took", () => {
    const part = { device: "0", provider: "CUDAExecutionProvider", fallbackOps: [] };
    expect(
      modelCells({
        model: "clip/ViT-B-32__openai",
        serverMilliseconds: 31.5,
        parts: [
          { ...part, part: "visual", milliseconds: 12.3 },
          { ...part, part: "textual", milliseconds: 4.5 },
        ],
      }),
    ).toEqual([
      "clip/ViT-B-32__openai",
      "CUDAExecutionProvider",
      "visual 12.3, textual 4.5",
      "31.5",
    ]);
  });

  it("has the reason where it is not verified", () => {
    expect(modelCells({ model: "ocr/x", parts: [], notVerified: "is not in the cache" })).toEqual([
      "ocr/x",
      "not verified: is not in the cache",
    ]);
  });
});
