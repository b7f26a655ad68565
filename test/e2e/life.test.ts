import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";

import type Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { createImmichDatabase, type ImmichDatabase } from "../../demo/immichDatabase";
import { type PostgresServer } from "../../demo/postgres";
import { expectDeclaredToRun } from "../support/declared";
import { startedDocker, testName, untilHealthy } from "../support/docker";
import {
  imageReference,
  missingEngine,
  openEngineStack,
  type EngineStack,
} from "../support/engineStack";
import { startTestPostgres } from "../support/postgres";
import { type StackConfig, fakeStack } from "../support/fakeStack";

const execute = promisify(execFile);

/** One stack from the first `up` to `destroy`. Each step follows on the last. */
describe.skipIf(missingEngine)("the life of a stack on the real engine", () => {
  const containerName = testName("life");
  const cacheVolume = `${containerName}-cache`;
  let docker: Docker;
  let postgres: PostgresServer;
  let database: ImmichDatabase;
  let before: string | undefined;
  let stack: EngineStack;
  let config: StackConfig;
  let host: Record<string, unknown> | undefined;
  let said = "";
  let envFile: string;
  const planted = {
    apiKey: "Pl4nted-key",
    proxy: "Pl4nted-proxy-password",
    token: "Pl4nted-token",
    mirror: "Pl4nted-mirror-password",
  };

  beforeAll(async () => {
    docker = await startedDocker();
    postgres = await startTestPostgres();
    database = await createImmichDatabase(postgres);
    before = await database.configurationText();
    const cacheModels = await mkdtemp(path.join(tmpdir(), "immich-ml-test-models-"));
    await writeFile(path.join(cacheModels, "model"), "a seeded model");
    await execute("sh", ["-c", "sha256sum model > SHA256SUMS"], { cwd: cacheModels });
    envFile = path.join(await mkdtemp(path.join(tmpdir(), "immich-ml-test-env-")), ".env");
    const variables = [
      `HF_TOKEN=${planted.token}`,
      `HF_ENDPOINT=http://me:${planted.mirror}@models.invalid`,
    ];
    await writeFile(envFile, variables.join("\n"));
    const fake = await fakeStack(database, containerName, {
      cacheModels,
      cacheVolume,
      keepCache: true,
      envFiles: [envFile],
      environment: { workers: 1, requestThreads: 1, modelTtl: 10 },
    });
    const httpProxy = `http://me:${planted.proxy}@proxy.invalid:3128`;
    config = { ...fake, build: { ...(fake["build"] as object), httpProxy } };
    [host] = config.hosts;
    stack = await openEngineStack({
      name: "life",
      config,
      secrets: { databasePassword: database.password, immichApiKey: planted.apiKey },
    });
  });

  afterAll(async () => {
    await stack?.dispose();
    if (envFile) await rm(path.dirname(envFile), { recursive: true });
    await docker
      ?.getVolume(cacheVolume)
      .remove()
      .catch(() => undefined);
    await postgres?.remove();
  });

  const container = () => docker.getContainer(containerName).inspect();
  const inContainer = async (...command: string[]) => {
    const { stdout } = await execute("docker", ["exec", containerName, ...command]);
    return stdout;
  };
  const expectUpToDate = () => expectDeclaredToRun(stack, { docker, database });
  const settings = async () =>
    JSON.parse((await database.configurationText()) ?? "{}") as {
      machineLearning?: { clip?: { modelName?: string } };
    };

  it("a first preview names each setting with both values and changes nothing", async () => {
    const { steps, text } = await stack.preview();
    expect(text).toContain(
      'machineLearning.clip.modelName: "ViT-B-16-SigLIP2__webli" => "ViT-B-32__openai"',
    );
    expect(text).toContain(
      `machineLearning.facialRecognition.modelName: "buffalo_l" (Immich's default) => "buffalo_s"`,
    );
    expect(steps).toContain("create attic");
    expect(steps).toContain("create preset-settings");
    said += text;
    expect(await database.configurationText()).toBe(before);
    await expect(container()).rejects.toThrow(/no such container/i);
  });

  it("up builds the image, runs a healthy container, checks it and applies the preset", async () => {
    const { outputs, text } = await stack.up();
    said += text + JSON.stringify(await stack.outputs());
    const [service] = outputs["machineLearning"]!.value as Record<string, unknown>[];
    const running = await container();
    await untilHealthy(container);
    expect(await inContainer("cat", "/cache/model")).toBe("a seeded model");
    expect(running.Config.Env).toContain(`HF_TOKEN=${planted.token}`);
    expect(running.Id).toBe(service!["containerId"]);
    expect(running.Image).toBe(service!["image"]);
    expect(service!["executionProvider"]).toBe("CPUExecutionProvider");
    const provider = "CPUExecutionProvider";
    expect(service!["models"]).toMatchObject([
      {
        model: "clip/ViT-B-32__openai",
        parts: [
          { part: "visual", provider },
          { part: "textual", provider },
        ],
      },
      { model: "facial-recognition/buffalo_s" },
    ]);
    expect((await settings()).machineLearning?.clip?.modelName ?? "ViT-B-32__openai").toBe(
      "ViT-B-32__openai",
    );
    expect((await stack.preview()).steps).toEqual([]);
    await expectUpToDate();
  });

  it("no secret stands in clear in the state, the outputs, a preview or the image", async () => {
    const state = await stack.readState();
    const image = docker.getImage((await container()).Image);
    const history = JSON.stringify([await image.history(), await image.inspect()]);
    const { text } = await stack.preview();
    const immichsOwn = ["demo-oauth-secret", "demo-smtp-secret"];
    for (const secret of [database.password, ...immichsOwn, ...Object.values(planted)]) {
      for (const place of [state, said, text, history]) expect(place).not.toContain(secret);
    }
  });

  it("the state holds inputs of resources, and nothing else of the stack file", async () => {
    const state = await stack.readState();
    expect(state).toContain(containerName);
    // A dynamic resource's provider keeps the whole stack file.
    expect(state).not.toMatch(/pulumi-nodejs|immich-ml:hosts/);
    expect(state).not.toContain(envFile);
  });

  it("another Immich version replaces image and container, and going back restores them", async () => {
    const previous = await container();
    const previousReference = await imageReference(stack);
    await stack.configure({
      ...config,
      immich: { ...config.immich, version: "v2.8.0" },
    });
    await stack.up();
    expect((await container()).Image).not.toBe(previous.Image);
    expect(await imageReference(stack)).toMatch(/^immich-ml-legacy:v2\.8\.0-/);
    await expect(docker.getImage(previousReference).inspect()).rejects.toThrow(/no such image/i);
    await expectUpToDate();
    await stack.configure(config);
    await stack.up();
    expect(await imageReference(stack)).toBe(previousReference);
    expect((await container()).Config.Env).toEqual(previous.Config.Env);
    await expectUpToDate();
  });

  it("another environment replaces the container and builds nothing", async () => {
    const image = (await container()).Image;
    await stack.configure({
      ...config,
      hosts: [{ ...host, environment: { workers: 1, requestThreads: 2, modelTtl: 10 } }],
    });
    const { steps } = await stack.up();
    expect(steps.filter((step) => step.endsWith("attic-image"))).toEqual([]);
    expect((await container()).Config.Env).toContain("MACHINE_LEARNING_REQUEST_THREADS=2");
    expect((await container()).Image).toBe(image);
    await expectUpToDate();
  });

  it("another preset keeps the container", async () => {
    const id = (await container()).Id;
    config = {
      ...config,
      preset: "balanced",
      hosts: [{ ...host, environment: { workers: 1, requestThreads: 2, modelTtl: 10 } }],
    };
    await stack.configure(config);
    const { steps, outputs } = await stack.up();
    // Its models are checked before Immich uses them.
    expect(steps).toEqual(["update attic-check", "update preset-settings"]);
    expect(outputs["machineLearning"]!.value).toMatchObject([
      { models: [{ model: "clip/ViT-B-16-SigLIP2__webli", parts: [{}, {}] }, {}, {}] },
    ]);
    expect((await settings()).machineLearning?.clip?.modelName).toBe("ViT-B-16-SigLIP2__webli");
    expect((await container()).Id).toBe(id);
    await expectUpToDate();
  });

  it("a container deleted by hand is created again", async () => {
    await docker.getContainer(containerName).remove({ force: true });
    expect((await stack.preview({ refresh: true })).steps).toContain("create attic");
    await stack.up({ refresh: true });
    expect((await container()).State.Running).toBe(true);
    await expectUpToDate();
  });

  it("a container stopped by hand is started again", async () => {
    await docker.getContainer(containerName).stop();
    await stack.up({ refresh: true });
    expect((await container()).State.Running).toBe(true);
    await expectUpToDate();
  });

  it("an image deleted by hand is built again", async () => {
    await docker.getContainer(containerName).remove({ force: true });
    const reference = await imageReference(stack);
    await docker.getImage(reference).remove({ force: true });
    expect((await stack.preview({ refresh: true })).steps).toContain("create attic-image");
    await stack.up({ refresh: true });
    expect((await container()).State.Running).toBe(true);
    await expectUpToDate();
  });

  it("a setting changed by hand is shown with both values and repaired", async () => {
    await database.query(
      `UPDATE system_metadata SET value = jsonb_set(value, '{machineLearning,clip,modelName}', '"RN50__openai"')
       WHERE key = 'system-config'`,
    );
    const { text } = await stack.preview();
    expect(text).toMatch(/clip\.modelName.*"RN50__openai" => "ViT-B-16-SigLIP2__webli"/);
    await stack.up();
    expect((await settings()).machineLearning?.clip?.modelName).toBe("ViT-B-16-SigLIP2__webli");
    await expectUpToDate();
  });

  it("destroy restores Immich's configuration byte for byte and leaves only the cache", async () => {
    await inContainer("sh", "-c", "echo a model > /cache/marker");
    await stack.destroy();
    expect(await database.configurationText()).toBe(before);
    await expect(container()).rejects.toThrow(/no such container/i);
    expect((await docker.getVolume(cacheVolume).inspect()).Name).toBe(cacheVolume);
    expect(await database.query("SELECT FROM pg_namespace WHERE nspname = 'immich_ml'")).toEqual(
      [],
    );
    expect(await database.query("SELECT FROM pg_roles WHERE rolname = 'immich_ml'")).toEqual([]);
  });

  it("the next up adopts the kept cache with its content", async () => {
    await stack.up();
    expect(await inContainer("cat", "/cache/marker")).toContain("a model");
    await expectUpToDate();
    await stack.destroy();
  });
});
