import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type Docker from "dockerode";
import { afterAll, beforeAll, expect, test } from "vitest";

import { repositoryFolder } from "../../demo/folders";
import { createImmichDatabase, type ImmichDatabase } from "../../demo/immichDatabase";
import { freePort, type PostgresServer } from "../../demo/postgres";
import type { HostOutput } from "../../demo/report";
import { askService } from "../../demo/service";
import { run } from "../../demo/shell";
import { fakes, startedDocker, testName, untilHealthy } from "../support/docker";
import { startTestPostgres } from "../support/postgres";

const containerName = testName("program");
const cacheVolume = testName("program-cache");

let docker: Docker;
let server: PostgresServer;
let database: ImmichDatabase;
let before: string | undefined;
let folder: string;

const program = (direction: "up" | "down") =>
  run(
    process.execPath,
    ["--import", "tsx", "test/support/wholeProgram.ts", direction, path.join(folder, "options")],
    { directory: repositoryFolder },
  );

beforeAll(async () => {
  docker = await startedDocker();
  const images = await fakes("v2.7.5");
  server = await startTestPostgres();
  database = await createImmichDatabase(server);
  before = await database.configurationText();
  folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-program-"));
  const options = {
    project: "immich-ml",
    stack: "test",
    journal: path.join(folder, "journal.json"),
    config: {
      "immich-ml:immich": {
        version: "v2.7.5",
        database: { host: server.host, port: server.port, name: database.name, user: server.user },
      },
      "immich-ml:databasePassword": server.password,
      "immich-ml:build": {
        pythonImage: images.python310,
        immichImage: images.immichMachineLearning,
      },
      "immich-ml:preset": "legacy-2gb",
      "immich-ml:onDestroy": "restoreModel",
      "immich-ml:hosts": [
        {
          ...{ name: "test", accelerator: "cpu", imageVariant: "kepler-maxwell" },
          ...{ containerName, cacheVolume, keepCache: false },
          publish: { address: "127.0.0.1", port: await freePort() },
        },
      ],
    },
  };
  await writeFile(path.join(folder, "options"), JSON.stringify(options), { mode: 0o600 });
});

/** Names of the images that stacks have built. */
async function builtImages(): Promise<string[]> {
  const images = await docker.listImages();
  const names = images.flatMap(({ RepoTags }) => RepoTags ?? []);
  return names.filter((name) => name.startsWith("immich-ml-legacy")).sort();
}

afterAll(async () => {
  await program("down");
  await server.remove();
  await rm(folder, { recursive: true });
});

test("index.ts runs on a real Docker engine and PostgreSQL with npm packages alone, and is removed without a trace", async () => {
  // Of stacks of one's own, or of a test run that was killed.
  const others = await builtImages();
  const lastLine = (await program("up")).trimEnd().split("\n").at(-1) ?? "";
  const outputs = JSON.parse(lastLine) as { machineLearning: HostOutput[] };

  const [host] = outputs.machineLearning;
  expect(host?.executionProvider).toBe("CPUExecutionProvider");
  const found = await docker.getContainer(containerName).inspect();
  await untilHealthy(() => docker.getContainer(containerName).inspect());
  expect(found.Image).toBe(host?.image);
  expect((await builtImages()).length).toBe(others.length + 1);
  // The fake's model files are of opset 19; the legacy image's ONNX Runtime knows 18 at most.
  expect(await askService(host!.url, "ViT-B-32__openai")).toEqual({ ping: "pong", dimension: 512 });
  const row = JSON.parse((await database.configurationText()) ?? "") as Record<string, object>;
  expect(row["machineLearning"]).toMatchObject({
    clip: { modelName: "ViT-B-32__openai" },
    facialRecognition: { modelName: "buffalo_s" },
    urls: [host?.url],
  });
  expect(row["oauth"]).toMatchObject({ clientSecret: "demo-oauth-secret" });

  await program("down");
  expect(await database.configurationText()).toBe(before);
  await expect(docker.getContainer(containerName).inspect()).rejects.toThrow("no such container");
  await expect(docker.getVolume(cacheVolume).inspect()).rejects.toThrow("no such volume");
  expect(await builtImages()).toEqual(others);
  expect(await database.query("SELECT FROM pg_namespace WHERE nspname = 'immich_ml'")).toEqual([]);
});
