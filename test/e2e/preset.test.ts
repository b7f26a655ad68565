import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";

import { LocalWorkspace, type EngineEvent, type Stack } from "@pulumi/pulumi/automation";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import { createImmichDatabase, type ImmichDatabase } from "../../demo/immichDatabase";
import type { PostgresServer } from "../../demo/postgres";
import { findEngine } from "../../demo/withEngine";
import { askNothingAfterRuns, missingEngine } from "../support/engineStack";
import { startFakeImmich, type FakeImmich } from "../support/immichApi";
import { startTestPostgres } from "../support/postgres";

const program = path.join(__dirname, "presetProgram");

const legacy = {
  clip: { modelName: "ViT-B-32__openai" },
  facialRecognition: { modelName: "buffalo_s" },
  ocr: false,
  concurrency: { smartSearch: 1, faceDetection: 1, ocr: 1 },
};
const clipPath = "{machineLearning,clip,modelName}";

/** One run of the engine. */
interface Run {
  /** Operations other than `same`, as `update preset-settings`. */
  readonly steps: string[];
  /** What the engine and its plugins said. */
  readonly text: string;
}

/** A stack of the preset's program with everything the engine ever said about it. */
class PresetStack {
  private said = "";
  private constructor(
    private readonly stack: Stack,
    private readonly folder: string,
    readonly outputs: Stack["outputs"],
  ) {}

  static async open(
    name: string,
    config: Record<string, string>,
    secrets: Record<string, string>,
    environment: Record<string, string> = {},
  ) {
    const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-stack-"));
    const found = await findEngine(console.log);
    if ("missing" in found) throw new Error(found.missing);
    const stack = await LocalWorkspace.createStack(
      { stackName: name, workDir: program },
      {
        pulumiCommand: found.engine,
        envVars: {
          PULUMI_BACKEND_URL: `file://${folder}`,
          PULUMI_CONFIG_PASSPHRASE: "test",
          PULUMI_SKIP_UPDATE_CHECK: "true",
          ...environment,
        },
      },
    );
    const opened = new PresetStack(stack, folder, stack.outputs.bind(stack));
    askNothingAfterRuns(stack, () => Promise.resolve({}));
    await opened.configure(config, secrets);
    return opened;
  }

  async configure(
    config: Record<string, string>,
    secrets: Record<string, string> = {},
  ): Promise<void> {
    const valuesOf = (values: Record<string, string>, secret: boolean) =>
      Object.entries(values).map(([key, value]) => [key, { value, secret }] as const);
    await this.stack.setAllConfig(
      Object.fromEntries([...valuesOf(config, false), ...valuesOf(secrets, true)]),
    );
  }

  preview = (refresh = false) =>
    this.run((on) => this.stack.preview({ ...on, refresh, diff: true, color: "never" }));
  up = (refresh = false) => this.run((on) => this.stack.up({ ...on, refresh, color: "never" }));
  destroy = () => this.run((on) => this.stack.destroy({ ...on, color: "never" }));

  /** State and history as they are stored, and everything ever printed. */
  async everythingKept(): Promise<string> {
    const entries = await readdir(this.folder, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile() && !entry.name.endsWith(".attrs"));
    const texts = files.map((file) => readFile(path.join(file.parentPath, file.name), "utf8"));
    return (await Promise.all(texts)).join("\n") + this.said;
  }

  async dispose(): Promise<void> {
    await this.stack.destroy().catch(() => undefined);
    await this.stack.workspace.removeStack(this.stack.name, { force: true });
    await rm(this.folder, { recursive: true, force: true });
  }

  private async run(
    work: (on: {
      onOutput: (text: string) => void;
      onError: (text: string) => void;
      onEvent: (event: EngineEvent) => void;
    }) => Promise<unknown>,
  ): Promise<Run> {
    const steps: string[] = [];
    let text = "";
    const keep = (more: string) => {
      text += more;
      this.said += more;
    };
    try {
      await work({
        onOutput: keep,
        onError: keep,
        onEvent: ({ resourcePreEvent }) => {
          const step = resourcePreEvent?.metadata;
          if (!step || ["same", "refresh", "read"].includes(step.op)) return;
          // The second is the engine's own, for reading the stack's state.
          if (["pulumi:pulumi:Stack", "pulumi:providers:pulumi"].includes(step.type)) return;
          steps.push(`${step.op} ${step.urn.split("::").at(-1)}`);
        },
      });
    } catch (error) {
      throw new Error(`${text}\n${(error as Error).message}`);
    }
    return { steps, text };
  }
}

/** Which of the secrets stand in a text, each with what surrounds it. */
function found(secrets: Record<string, string>, text: string): string[] {
  return Object.entries(secrets).flatMap(([name, secret]) => {
    const at = text.indexOf(secret);
    return at < 0 ? [] : [`${name}: ${text.slice(Math.max(0, at - 200), at)}`];
  });
}

/** The lines of a diff that are marked as different, without those of the stack and its outputs. */
function differences(text: string): string[] {
  return text
    .split("--outputs:--")[0]!
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => /^[~+-] /.test(line) && !/pulumi|\d+ (to|unchanged)/.test(line));
}

describe.skipIf(missingEngine)("the preset in Immich's database, on the real engine", () => {
  let server: PostgresServer;
  let open: PresetStack[] = [];

  beforeAll(async () => {
    server = await startTestPostgres();
  });
  afterEach(async () => {
    for (const stack of open) await stack.dispose();
    open = [];
  });
  afterAll(() => server?.remove());

  async function openStack(
    immich: ImmichDatabase,
    config: Record<string, string> = {},
  ): Promise<PresetStack> {
    const stack = await PresetStack.open(
      `e2e-${immich.name}-${open.length}`,
      {
        port: String(immich.port),
        database: immich.name,
        user: immich.user,
        models: JSON.stringify(legacy),
        urls: '["http://attic:3003"]',
        ...config,
      },
      { password: immich.password },
    );
    open.push(stack);
    return stack;
  }

  const setByHand = (immich: ImmichDatabase, place: string, value: string) =>
    immich.query(
      `UPDATE system_metadata SET value = jsonb_set(value, '${place}', '${value}') WHERE key = 'system-config'`,
    );

  test("a change by hand is named by a plain preview and repaired by a plain up, each time", async () => {
    const immich = await createImmichDatabase(server, { name: "immich" });
    const before = await immich.configurationText();
    const stack = await openStack(immich);

    const created = await stack.up();
    expect(created.text).toContain("3 embeddings of the previous CLIP model were cleared");
    expect((await stack.preview()).steps).toEqual([]);
    expect((await stack.preview(true)).steps).toEqual([]);

    // The same drift twice: an input that is equal to the last repair's would hide the second one.
    for (let round = 1; round <= 2; round += 1) {
      await setByHand(immich, clipPath, '"RN50__openai"');
      const drift = await stack.preview();
      expect(drift.steps).toEqual(["update preset-settings"]);
      expect(drift.text).toContain(
        'machineLearning.clip.modelName: "RN50__openai" => "ViT-B-32__openai"',
      );
      expect((await stack.up()).steps).toEqual(["update preset-settings"]);
      expect(await immich.configurationText()).toContain('"ViT-B-32__openai"');
      expect((await stack.preview()).steps).toEqual([]);
    }

    // A key that is dropped from the stack gets its previous value back at once.
    await stack.configure({
      models: JSON.stringify({
        ...legacy,
        clip: { modelName: "ViT-B-16__openai" },
        ocr: undefined,
      }),
    });
    const changed = await stack.preview();
    expect(changed.steps).toEqual(["update preset-settings"]);
    expect(differences(changed.text)).toEqual([
      "~ command:local:Command: (update)",
      "~ environment: {",
      expect.stringContaining("immich.observed") as string,
      String.raw`~ machineLearning.clip.modelName: "\"ViT-B-32__openai\"" => "\"ViT-B-16__openai\""`,
      '- machineLearning.ocr.enabled   : "false"',
    ]);
    await stack.up();
    expect(await immich.configurationText()).not.toContain('"ocr": {"enabled"');
    expect((await stack.preview()).steps).toEqual([]);

    const outputs = await stack.outputs();
    await stack.destroy();
    expect(await immich.configurationText()).toBe(before);
    const kept = (await stack.everythingKept()) + JSON.stringify(outputs);
    expect(kept).toContain("buffalo_s");
    const secrets = {
      oauth: "demo-oauth-secret",
      smtp: "demo-smtp-secret",
      database: immich.password,
    };
    expect(found(secrets, kept)).toEqual([]);
    const left = await immich.query(
      `SELECT nspname AS name FROM pg_namespace WHERE nspname = 'immich_ml'
       UNION SELECT rolname FROM pg_roles WHERE rolname = 'immich_ml'`,
    );
    expect(left).toEqual([]);
  });

  test("destroy while the database is gone says how to go on, and works when it is back", async () => {
    const immich = await createImmichDatabase(server, { name: "gone" });
    const before = await immich.configurationText();
    const stack = await openStack(immich);
    await stack.up();
    const elsewhere = await createImmichDatabase(server, { name: "elsewhere" });
    await elsewhere.query("ALTER DATABASE gone ALLOW_CONNECTIONS false");
    await expect(stack.destroy()).rejects.toThrow(
      /Immich's previous settings could not be restored: .*run it again; to give the previous values up instead.*pulumi state delete/,
    );
    await elsewhere.query("ALTER DATABASE gone ALLOW_CONNECTIONS true");
    await stack.destroy();
    expect(await immich.configurationText()).toBe(before);
  });

  test("Immich's own user without superuser rights is enough", async () => {
    const immich = await createImmichDatabase(server, { name: "owned", owner: "immich" });
    const before = await immich.configurationText();
    const stack = await openStack(immich);
    await stack.up();
    expect((await stack.preview(true)).steps).toEqual([]);
    await stack.destroy();
    expect(await immich.configurationText()).toBe(before);
  });

  test("another database gets the settings, and the one before its previous ones back", async () => {
    const first = await createImmichDatabase(server, { name: "first" });
    const second = await createImmichDatabase(server, { name: "second" });
    const before = await first.configurationText();
    const stack = await openStack(first);
    await stack.up();
    await stack.configure({ database: second.name });
    const moved = await stack.up();
    expect(moved.text).toContain("Immich's database is no longer first");
    expect(await first.configurationText()).toBe(before);
    expect(await second.configurationText()).toContain("buffalo_s");
    expect((await stack.preview()).steps).toEqual([]);
    await stack.destroy();
    for (const immich of [first, second]) {
      expect(await immich.configurationText()).toBe(before);
      const left = await immich.query("SELECT FROM pg_namespace WHERE nspname = 'immich_ml'");
      expect(left).toEqual([]);
    }
  });

  test("two stacks at once on two databases of one server do not meet, on one they are kept apart", async () => {
    const left = await createImmichDatabase(server, { name: "left" });
    const right = await createImmichDatabase(server, { name: "right" });
    const stacks = [await openStack(left), await openStack(right)];
    await Promise.all(stacks.map((stack) => stack.up()));
    for (const immich of [left, right]) {
      expect(await immich.configurationText()).toContain("buffalo_s");
    }
    // A second stack on the same database must not take the first one's functions with it when it goes.
    const intruder = await openStack(left);
    await expect(intruder.up()).rejects.toThrow(/read_settings\W+ already exists/);
    await intruder.destroy();
    expect((await stacks[0]!.preview(true)).steps).toEqual([]);
    await Promise.all(stacks.map((stack) => stack.destroy()));
  });
});

/** A container of the database as its clients see it: an address, and what Docker reports of it. */
class DatabaseContainer {
  private close = () => Promise.resolve();
  private constructor(
    private readonly port: number,
    readonly folder: string,
  ) {}

  static async start(port: number): Promise<DatabaseContainer> {
    const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-docker-"));
    const script = `#!/bin/sh\nif [ "$1" = info ]; then echo '{"ServerVersion":"28.0.0"}'; else cat ${folder}/inspect.json; fi\n`;
    await writeFile(path.join(folder, "docker"), script, { mode: 0o755 });
    return new DatabaseContainer(port, folder);
  }

  /** Nothing answers at the address it had before. */
  async moveTo(address: string): Promise<void> {
    await this.close();
    const proxy = createServer((socket) => {
      const database = connect(this.port, "127.0.0.1");
      for (const [from, to] of [
        [socket, database],
        [database, socket],
      ] as const) {
        from.pipe(to);
        from.on("error", () => to.destroy());
      }
    });
    await new Promise<void>((resolve) => proxy.listen(this.port, address, resolve));
    this.close = () => new Promise((resolve) => proxy.close(() => resolve()));
    const container = {
      Id: "1",
      State: { Running: true },
      NetworkSettings: { Networks: { immich_default: { IPAddress: address } } },
    };
    await writeFile(path.join(this.folder, "inspect.json"), JSON.stringify([container]));
  }

  async remove(): Promise<void> {
    await this.close();
    await rm(this.folder, { recursive: true });
  }
}

describe.skipIf(missingEngine)(
  "the preset in the database of a container, on the real engine",
  () => {
    let server: PostgresServer;
    let container: DatabaseContainer;
    let stack: PresetStack;

    beforeAll(async () => {
      server = await startTestPostgres();
      container = await DatabaseContainer.start(server.port);
    });
    afterAll(async () => {
      await stack?.dispose();
      await container?.remove();
      await server?.remove();
    });

    test("destroy works after the container got another address", async () => {
      const immich = await createImmichDatabase(server, { name: "immich" });
      const before = await immich.configurationText();
      stack = await PresetStack.open(
        "e2e-moved",
        {
          port: String(server.port),
          database: "immich",
          container: "immich_postgres",
          models: JSON.stringify(legacy),
        },
        { password: server.password },
        { PATH: `${container.folder}:${process.env["PATH"]}` },
      );
      await container.moveTo("127.0.0.2");
      await stack.up();
      expect(await immich.configurationText()).toContain("buffalo_s");

      await container.moveTo("127.0.0.3");
      expect((await stack.preview()).steps).toEqual(["update database"]);
      await stack.destroy();
      expect(await immich.configurationText()).toBe(before);
      expect(await immich.query("SELECT FROM pg_namespace WHERE nspname = 'immich_ml'")).toEqual(
        [],
      );
    });
  },
);

describe.skipIf(missingEngine)("the preset through Immich's API, on the real engine", () => {
  let immich: FakeImmich;
  let stack: PresetStack;

  beforeAll(async () => {
    immich = await startFakeImmich();
    stack = await PresetStack.open(
      "e2e-api",
      {
        port: "1",
        database: "none",
        url: immich.url,
        reindex: "true",
        models: JSON.stringify(legacy),
        urls: '["http://attic:3003"]',
      },
      { password: "unused", apiKey: immich.apiKey },
    );
  });
  afterAll(async () => {
    await stack?.dispose();
    await immich?.close();
  });

  test("up, drift, repair and destroy, with nothing secret kept", async () => {
    const before = JSON.stringify(immich.configuration);
    await stack.up();
    expect((await stack.preview()).steps).toEqual([]);

    const { machineLearning } = immich.configuration as {
      machineLearning: { facialRecognition: { modelName: string } };
    };
    machineLearning.facialRecognition.modelName = "antelopev2";
    const drift = await stack.preview();
    expect(drift.text).toContain(
      'machineLearning.facialRecognition.modelName: "antelopev2" => "buffalo_s"',
    );
    await stack.up();
    expect((await stack.preview(true)).steps).toEqual([]);

    const saves = () => immich.requests.filter((request) => request.startsWith("PUT")).length;
    const savesBefore = saves();
    await stack.up();
    expect(saves()).toBe(savesBefore);

    expect(immich.jobs).toEqual([]);
    await stack.configure({
      models: JSON.stringify({ ...legacy, clip: { modelName: "RN50__openai" } }),
    });
    await stack.up();
    const missing = { name: "smartSearch", command: { command: "start", force: false } };
    expect(immich.jobs).toEqual([missing, missing]);
    expect((await stack.preview()).steps).toEqual([]);

    const kept = await stack.everythingKept();
    const secrets = {
      oauth: "fake-oauth-secret",
      smtp: "fake-smtp-secret",
      apiKey: immich.apiKey,
    };
    expect(found(secrets, kept)).toEqual([]);
    await stack.destroy();
    expect(JSON.stringify(immich.configuration)).toBe(before);
  });

  test("an error of the API reaches the person as one message", async () => {
    immich.permissions = ["systemConfig.read"];
    await expect(stack.up()).rejects.toThrow(
      /does not let this API key do it \(Missing required permission: systemConfig\.update\)/,
    );
  });
});

test("the program of these tests leaves no stack file behind", async () => {
  const files = await readdir(program);
  expect(files.filter((file) => file.startsWith("Pulumi.e2e"))).toEqual([]);
  expect(await readFile(path.join(program, "Pulumi.yaml"), "utf8")).toContain(
    "immich-ml-test-preset",
  );
});
