import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import { describe, expect, it } from "vitest";
import { parse } from "yaml";

import { findGpu } from "../../catalog/gpuNames";
import { formatProblem } from "../../config/errors";
import { readSettings } from "../../config/read";
import { serverDatabase } from "../../immich/serverDatabase";
import { versionOfImage } from "../../immich/serverVersion";
import { mirrorProblem, parseMirrors } from "../../setup/ask";
import { overrideFor, writeOverride } from "../../setup/composeOverride";
import { parseContainers, readContainers } from "../../setup/containers";
import type { CommandResult } from "../../util/run";
import { findImmich, type FoundImmich } from "../../setup/findImmich";
import { remarksOn } from "../../setup/look";
import { type Answers, choosePreset, makePlan, type Situation } from "../../setup/plan";
import { differences, engineLines, stackFileText } from "../../setup/stackFile";
import { planText } from "../../setup/summary";
import { composeImmich, databasePassword, inspected } from "../support/immichContainers";

const containers = (list: readonly object[]) => parseContainers(JSON.stringify(list));

function found(list: readonly object[], chosen?: string): FoundImmich {
  const search = findImmich(containers(list), chosen);
  if (!search.ok) throw new Error(search.message);
  return search.value;
}

const refusal = (list: readonly object[], chosen?: string) => {
  const search = findImmich(containers(list), chosen);
  return search.ok ? "found" : search.message;
};

const card = (name: string, videoMemory: number, index = 0) => ({
  index,
  uuid: `GPU-${index}`,
  name,
  driver: "535.183.01",
  videoMemory,
  computeCapability: findGpu(name)?.computeCapability ?? "5.0",
});

function situation(change: Partial<Situation> = {}): Situation {
  return {
    immich: found(composeImmich()),
    version: "v2.7.5",
    dockerHost: "unix:///var/run/docker.sock",
    machine: "Attic.lan",
    gpus: [card("NVIDIA GeForce GTX 750 Ti", 2048)],
    gpuProblem: undefined,
    imageEnvironment: { MACHINE_LEARNING_CACHE_FOLDER: "/cache", DEVICE: "cuda" },
    models: { clip: "ViT-B-32__openai", photos: 12_345 },
    ...change,
  };
}

const answers = (change: Partial<Answers> = {}): Answers => ({
  isMultilingual: false,
  mirrors: {},
  takesOver: true,
  changesClip: false,
  ...change,
});

describe("setup finds Immich among an engine's containers", () => {
  it("as Immich's own compose file starts it", () => {
    const immich = found(composeImmich());
    expect({
      ...immich,
      server: immich.server.name,
      databaseContainer: immich.databaseContainer?.name,
      machineLearning: immich.machineLearning?.name,
    }).toEqual({
      server: "immich_server",
      version: "v2.7.5",
      manager: "compose",
      project: "immich",
      composeFiles: ["/srv/immich/docker-compose.yml"],
      network: "immich_default",
      database: {
        host: "database",
        port: 5432,
        name: "immich",
        user: "postgres",
        password: databasePassword,
        passwordFile: undefined,
        sslMode: "disable",
      },
      databaseContainer: "immich_postgres",
      machineLearning: "immich_machine_learning",
      otherMachineLearning: [],
      ownUrl: undefined,
      hasConfigFile: false,
      isAllInOne: false,
    });
  });

  it("without labels of compose, under other names and tags", () => {
    const networks = { photos: ["pg"] };
    const immich = found([
      inspected({
        name: "photos",
        image: "mirror.lan/ghcr.io/immich-app/immich-server:v2.7.5@sha256:abc123",
        networks: { photos: [] },
        environment: { DB_HOSTNAME: "pg" },
      }),
      inspected({
        name: "brain",
        image: "ghcr.io/immich-app/immich-machine-learning:v2.7.5-openvino",
        networks: { photos: [] },
      }),
      inspected({ name: "pg", image: "postgres:16", networks }),
    ]);
    expect(immich.manager).toBe("docker run");
    expect(immich.version).toBe("v2.7.5");
    expect(immich.machineLearning?.name).toBe("brain");
    expect(immich.databaseContainer?.name).toBe("pg");
  });

  it.each([
    ["unraid", { "net.unraid.docker.managed": "dockerman" }],
    [
      "portainer",
      {
        "com.docker.compose.project": "immich",
        "com.docker.compose.project.config_files": "/data/compose/7/docker-compose.yml",
      },
    ],
    ["truenas", { "com.docker.compose.project": "ix-immich" }],
  ])("recognises %s", (manager, labels) => {
    expect(found(composeImmich({ server: { labels } })).manager).toBe(manager);
  });

  it("leaves out what immich-ml itself runs, and the microservices of old releases", () => {
    const list = [
      ...composeImmich({ machineLearning: { labels: { "org.immich-ml.project": "immich-ml" } } }),
      inspected({
        name: "immich_microservices",
        image: "ghcr.io/immich-app/immich-server:v1.105.1",
        command: ["start.sh", "microservices"],
        networks: { immich_default: [] },
      }),
    ];
    expect(found(list).machineLearning).toBeUndefined();
  });

  it("fault: two Immichs; the names are told, and --immich takes a container or a project", () => {
    const list = [...composeImmich(), ...composeImmich({ project: "family" })];
    expect(refusal(list)).toBe(
      "there is more than one Immich: immich_server, family_server; choose with --immich NAME",
    );
    expect(found(list, "family").databaseContainer?.name).toBe("family_postgres");
    expect(found(list, "immich_server").machineLearning?.name).toBe("immich_machine_learning");
    expect(refusal(list, "nobody")).toMatch(/no Immich called nobody; there are: immich_server/);
  });

  it("fault: Immich is stopped, or not there", () => {
    expect(refusal(composeImmich({ server: { running: false } }))).toMatch(
      /^Immich is stopped: start it \(docker start immich_server\)/,
    );
    expect(refusal([])).toMatch(/this Docker engine has no Immich server/);
  });

  it("fault: Podman is refused by its name; rootless Docker and Docker Desktop are told apart", () => {
    expect(() => remarksOn({ buildahVersion: "1.33" })).toThrow(/Podman/);
    expect(remarksOn({ SecurityOptions: ["name=rootless"] })).toEqual([
      expect.stringMatching(/rootless/),
    ]);
    expect(remarksOn({ OperatingSystem: "Docker Desktop" })).toHaveLength(1);
    expect(remarksOn({ OperatingSystem: "Debian GNU/Linux 12", SecurityOptions: null })).toEqual(
      [],
    );
  });
});

describe("the server's own variables lead to its database", () => {
  it("fault: no variables at all; Immich's defaults hold", () => {
    expect(serverDatabase({})).toMatchObject({
      ...{ host: "database", port: 5432, name: "immich", user: "postgres", password: "postgres" },
    });
  });

  it.each([
    [`postgres://im%20mich:p%27a%22s%20%24w@db.lan:5433/photos?sslmode=require`, `p'a"s $w`],
    ["postgresql://immich:100%@db.lan/photos", "100%"],
  ])("fault: DB_URL instead of single ones: %s", (url, password) => {
    const database = serverDatabase({ DB_URL: url, DB_HOSTNAME: "other", DB_PASSWORD: "other" });
    expect(database.host).toBe("db.lan");
    expect(database.name).toBe("photos");
    expect(database.password).toBe(password);
  });

  it("fault: a DB_URL that leads nowhere is refused without its password", () => {
    for (const url of [
      "mysql://u:geheim@h/d",
      "postgres://u:geheim@/d?host=/run/postgresql",
      "geheim",
    ])
      expect(() => serverDatabase({ DB_URL: url })).toThrow(/^DB_URL of the server (?!.*geheim)/);
    expect(() => serverDatabase({ DB_PORT: "five" })).toThrow(/^DB_PORT/);
  });

  it("tells the release by label, build and tag, never by a moving tag", () => {
    const image = { image: "immich-server:release", labels: {}, environment: {} };
    expect(versionOfImage(image)).toBeUndefined();
    expect(versionOfImage({ ...image, environment: { IMMICH_SOURCE_REF: "v3.1.0" } })).toBe(
      "v3.1.0",
    );
    expect(versionOfImage({ ...image, image: "host:5000/immich-server:v2.7.5" })).toBe("v2.7.5");
  });
});

describe("the stack file", () => {
  const write = (change: Partial<Situation> = {}, given: Partial<Answers> = {}) =>
    stackFileText(makePlan(situation(change), answers(given)).config);

  it("of a GTX 750 Ti beside a compose Immich", () => {
    expect(write()).toMatchInlineSnapshot(`
      "# Written by immich-ml setup, and yours to edit: docs/settings.md lists every setting.
      config:
        immich-ml:immich:
          version: auto                          # the version that your server runs
          network: immich_default                # the container joins it as immich-machine-learning
          serverContainer: immich_server         # tells the version; restarted when its settings change
          database: { container: immich_postgres }
        immich-ml:preset: legacy-2gb                     # models that fit the card; docs/presets.md
        immich-ml:hosts:
          - name: attic
            gpu: GeForce GTX 750 Ti
            takeOver: immich_machine_learning      # stopped and kept; down brings it back
            cache: { volume: immich_model-cache }  # the old container's models
            environment: { modelTtl: "600" }
      "
    `);
  });

  it.each([
    ["NVIDIA GeForce GTX 860M", "3.0", '"3.0"'],
    ["NVIDIA GeForce GTX 860M", "5.0", "GeForce GTX 860M"],
    ["NVIDIA GeForce GT 630", "3.5", '"3.5"'],
    ["NVIDIA XYZ 1", "8.6", '"8.6"'],
  ])("of a %s that the driver says is %s", (name, computeCapability, gpu) => {
    expect(write({ gpus: [{ ...card(name, 2048), computeCapability }] })).toContain(
      `gpu: ${gpu}\n`,
    );
  });

  const cases: readonly (readonly [string, Partial<Situation>, Partial<Answers>])[] = [
    ["a GTX 750 Ti", {}, {}],
    ["no card", { gpus: [] }, {}],
    ["several cards", { gpus: [card("Tesla K80", 11_441), card("Tesla K80", 11_441, 1)] }, {}],
    ["a card with other memory", { gpus: [card("NVIDIA GeForce GTX 960", 4096)] }, {}],
    ["a card nobody knows", { gpus: [card("NVIDIA XYZ 1", 4096)] }, {}],
    [
      "another language",
      { gpus: [card("NVIDIA GeForce GTX 970", 4096)] },
      { isMultilingual: true },
    ],
    [
      "mirrors",
      {},
      { mirrors: { imageMirror: "m.lan:5000", huggingFaceEndpoint: "https://hf.lan" } },
    ],
    ["no take-over", {}, { takesOver: false }],
    [
      "a folder for the cache, a port and another engine",
      {
        dockerHost: "unix:///run/user/1000/docker.sock",
        immich: found(
          composeImmich({
            machineLearning: {
              mounts: [
                { Type: "bind", Source: "/mnt/user/appdata/immich ml", Destination: "/cache" },
              ],
              ports: { "3003/tcp": [{ HostIp: "", HostPort: "3003" }] },
            },
          }),
        ),
      },
      {},
    ],
    [
      "a database elsewhere",
      {
        immich: found(
          composeImmich({
            server: {
              environment: { DB_URL: "postgres://me:x@db.lan:5433/photos?sslmode=require" },
            },
          }),
        ),
      },
      {},
    ],
  ];

  it.each(cases)("of %s has at most 15 lines and the program takes it", (_name, change, given) => {
    const text = write(change, given);
    const lines = text.split("\n").filter((line) => line.trim() !== "" && !/^\s*#/.test(line));
    expect(lines.length).toBeLessThanOrEqual(15);
    const { config } = parse(text) as { config: Record<string, object> };
    const values = Object.fromEntries(
      Object.entries(config).map(([key, value]) => [key.replace("immich-ml:", ""), value]),
    );
    expect(values["immich"]).toMatchObject({ version: "auto" });
    const { problems } = readSettings(
      { ...values, immich: { ...values["immich"], version: "v2.7.5" } },
      { project: "immich-ml", stack: "home", secrets: { databasePassword: "x" } },
    );
    expect(problems.map((problem) => formatProblem(problem))).toEqual([]);
    expect(text).not.toContain(databasePassword);
  });

  it("keeps the CLIP model in use where it fits, and says what a change costs", () => {
    const gpus = [card("NVIDIA GeForce GTX 970", 4096)];
    const models = { clip: "ViT-B-16__openai", photos: 5000 };
    const kept = makePlan(situation({ gpus, models }), answers());
    expect(kept.config).toMatchObject({
      preset: "legacy-4gb",
      models: { clip: "ViT-B-16__openai" },
    });
    const changed = makePlan(situation({ gpus, models }), answers({ changesClip: true }));
    expect(changed.config).not.toHaveProperty("models");
    expect(changed.notes.join()).toMatch(
      /becomes ViT-B-16-SigLIP__webli: Immich has to index 5000 photos/,
    );
  });

  it("says honestly that no multilingual model fits 2 GB, and what to do instead", () => {
    const plan = makePlan(situation(), answers({ isMultilingual: true }));
    expect(plan.config["preset"]).toBe("legacy-2gb");
    expect(plan.notes.join()).toMatch(
      /None of Immich's multilingual models fits into 2048 MiB.*accelerator: cpu/,
    );
    expect(
      choosePreset(4096, "ViT-B-32__openai", "v2.7.5", answers({ isMultilingual: true }))?.preset,
    ).toBe("legacy-4gb-multilingual");
  });

  it("leaves the models alone where a preset has no effect or cannot be written", () => {
    const withFile = found(
      composeImmich({ server: { environment: { IMMICH_CONFIG_FILE: "/config.yaml" } } }),
    );
    for (const change of [{ immich: withFile }, { models: undefined }, { gpus: [] }]) {
      const plan = makePlan(situation(change), answers());
      expect(plan.config["preset"]).toBeUndefined();
      expect(plan.notes).toHaveLength(1);
    }
  });

  it("names what it does not take over, without its value", () => {
    const immich = found(
      composeImmich({
        machineLearning: {
          environment: {
            HF_TOKEN: "hf_geheim",
            MACHINE_LEARNING_WORKERS: "zero",
            TZ: "Europe/Berlin",
          },
        },
      }),
    );
    const plan = makePlan(situation({ immich }), answers());
    expect(JSON.stringify(plan)).not.toContain("geheim");
    expect(plan.notes.join()).toMatch(/Not copied.*HF_TOKEN, MACHINE_LEARNING_WORKERS/);
    expect((plan.config["hosts"] as object[])[0]).toMatchObject({
      environment: { timeZone: "Europe/Berlin" },
    });
  });

  it("is compared with one that exists, key by key, without its secrets", () => {
    const { config } = makePlan(situation(), answers());
    const text = `encryptionsalt: v1:abc=\n${stackFileText(config)}  immich-ml:databasePassword:\n    secure: v1:xyz\n`;
    expect(differences(text, config)).toEqual([]);
    expect(differences(text.replace("legacy-2gb", "balanced"), config)).toEqual([
      "preset: balanced -> legacy-2gb",
    ]);
    expect(engineLines(text)).toEqual({
      salt: "encryptionsalt: v1:abc=",
      secrets: "  immich-ml:databasePassword:\n    secure: v1:xyz",
    });
  });

  it("says in one screen what up will do and how to go back", () => {
    const text = planText(makePlan(situation(), answers()), "./immich-ml");
    expect(text.split("\n").length).toBeLessThan(12);
    expect(text).toMatch(/stops immich_machine_learning/);
    expect(text).toMatch(
      /To go back: \.\/immich-ml down\. Then immich_machine_learning runs again as before/,
    );
  });
});

describe("compose is kept from starting its own machine learning again", () => {
  it("by two lines beside the compose file", () => {
    expect(overrideFor(found(composeImmich()))).toEqual({
      text: "services:\n  immich-machine-learning: { profiles: [replaced-by-immich-ml] }\n",
      file: "/srv/immich/docker-compose.override.yml",
      composeFile: "/srv/immich/docker-compose.yml",
    });
  });

  it("fault: the compose file was deleted meanwhile, or has an override already; nothing is written over", async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-compose-"));
    const composeFile = path.join(folder, "compose.yaml");
    const file = path.join(folder, "compose.override.yaml");
    const override = { text: "services:\n", file, composeFile };
    expect(await writeOverride(override, undefined)).toBe("missing");
    await writeFile(composeFile, "services: {}\n");
    expect(await writeOverride(override, undefined)).toBe("written");
    expect(await readFile(file, "utf8")).toBe("services:\n");
    expect(await writeOverride({ ...override, text: "other" }, undefined)).toBe("exists");
    expect(await readFile(file, "utf8")).toBe("services:\n");
    await rm(folder, { recursive: true });
  });

  it("is only shown where compose would not read it by itself", () => {
    const files = (list: string, more = {}) =>
      found(
        composeImmich({
          server: {
            labels: {
              "com.docker.compose.project": "immich",
              "com.docker.compose.service": "immich-server",
              "com.docker.compose.project.config_files": list,
              ...more,
            },
          },
        }),
      );
    expect(overrideFor(files("/srv/immich/photos.yml"))?.file).toBeUndefined();
    expect(overrideFor(files("/srv/a/compose.yml,/srv/a/hwaccel.yml"))?.file).toBeUndefined();
    expect(overrideFor(files("/data/compose/7/docker-compose.yml"))?.file).toBeUndefined();
    expect(overrideFor(files("/srv/a/compose.yaml"))?.file).toBe("/srv/a/compose.override.yaml");
  });
});

describe("the question for mirrors", () => {
  it("takes words of name=value and names what is wrong", () => {
    const text = "imageMirror=m.lan:5000 packageIndex=https://pypi.lan/simple";
    expect(mirrorProblem(text)).toBeUndefined();
    expect(parseMirrors(text)).toEqual({
      imageMirror: "m.lan:5000",
      packageIndex: "https://pypi.lan/simple",
    });
    expect(mirrorProblem("pypi=https://x")).toMatch(/pypi is not one of imageMirror/);
    expect(mirrorProblem("aptMirror=ftp://x")).toMatch(/aptMirror must be a URL/);
    expect(mirrorProblem("")).toBeUndefined();
  });
});

describe("the containers of an engine", () => {
  const asked = (inspected: CommandResult) => (_kind: string, word?: string) =>
    Promise.resolve(word === "ls" ? { code: 0, stdout: "a1\nb2\n", stderr: "" } : inspected);
  const stdout = JSON.stringify([{ Id: "a1", Name: "/a", Config: {}, State: {} }]);

  it("are read without one that ended in the meantime", async () => {
    const stderr = "Error response from daemon: No such container: b2\n";
    const found = await readContainers(asked({ code: 1, stdout, stderr }));
    expect(found.map(({ name }) => name)).toEqual(["a"]);
  });

  it("fault: Docker stops between the two questions; its reason is told", async () => {
    const stderr = "Error: No such container: b2\nCannot connect to the Docker daemon";
    await expect(readContainers(asked({ code: 1, stdout: "[]", stderr }))).rejects.toThrow(
      /Cannot connect to the Docker daemon/,
    );
  });
});
