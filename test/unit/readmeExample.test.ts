import { readFileSync } from "node:fs";
import path from "node:path";

import ts from "typescript";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";

import { readSettings } from "../../config/read";

const repository = path.join(__dirname, "..", "..");
const read = (document: string) => readFileSync(path.join(repository, document), "utf8");

const secrets = { databasePassword: "the database's password" };

/** The settings of the stack file in a page whose first line is a comment with its name. */
function settingsOf(document: string, stack: string) {
  const [, found] = new RegExp(`\`\`\`yaml\\n# Pulumi.${stack}.yaml\\n([^]*?)\`\`\``).exec(
    read(document),
  ) ?? [undefined, undefined];
  if (found === undefined) throw new Error(`${document} has no example Pulumi.${stack}.yaml`);
  return settingsIn(found, stack);
}

function settingsIn(stackFile: string, stack: string, defaults: object = {}) {
  const { config } = parse(stackFile) as { config: object };
  const values = Object.fromEntries(
    Object.entries(config).map(([key, value]) => [key.replace("immich-ml:", ""), value as unknown]),
  );
  const { value: settings, problems } = readSettings(
    { ...defaults, ...values },
    {
      project: "immich-ml",
      stack,
      secrets,
    },
  );
  return { settings, problems };
}

describe.each(["docs/swarm.md", "docs/zh-CN/swarm.md"])("the example of a swarm in %s", (page) => {
  it("is a valid stack file with the described meaning", () => {
    const { settings, problems } = settingsOf(page, "rack");
    expect(problems).toEqual([]);
    expect(settings!.hosts).toMatchObject([
      {
        accelerator: "cuda",
        image: { kind: "legacy", gpuFamily: "maxwell" },
        url: "http://immich-machine-learning:3003",
        containerName: "immich-ml-rack",
        swarm: {
          replicas: 3,
          genericResources: { "NVIDIA-GPU": 1 },
          updateOrder: "stop-first",
          registry: "registry.lan:5000/immich",
        },
      },
    ]);
  });
});

describe("the example of two machines in docs/several-machines.md", () => {
  it("is a valid stack file with the described meaning", () => {
    const { settings, problems } = settingsOf("docs/several-machines.md", "home");
    expect(problems).toEqual([]);
    expect(settings!.hosts).toMatchObject([
      {
        name: "attic",
        image: { kind: "legacy", gpuFamily: "kepler-maxwell" },
        network: "immich_default",
        url: "http://immich-machine-learning:3003",
      },
      {
        name: "cellar",
        dockerHost: "ssh://you@192.168.1.21",
        image: { kind: "legacy", gpuFamily: "maxwell" },
        network: undefined,
        url: "http://192.168.1.21:3003",
      },
    ]);
    expect(settings!.hosts[0]!.publish).toBeUndefined();
  });
});

describe.each(
  ["presets.md", "mirrors.md"].flatMap((page) => [`docs/${page}`, `docs/zh-CN/${page}`]),
)("the examples in %s", (page) => {
  const examples = [...read(page).matchAll(/```yaml\n([^]*?)```/g)].map(([, example]) => example!);
  const rest = {
    immich: {
      version: "v3.1.0",
      network: "immich_default",
      database: { container: "immich_postgres" },
    },
    hosts: [{ name: "attic", gpu: "GeForce GTX 970" }],
  };

  it.each(examples)("number %# is valid with the rest of a stack file", (example) => {
    expect(settingsIn(example, "dev", rest).problems).toEqual([]);
  });
});

describe("the program in docs/components.md", () => {
  it("compiles", { timeout: 180_000 }, () => {
    const [, code = ""] = /```ts\n([^]*?)```/.exec(read("docs/components.md")) ?? [];
    const file = path.join(repository, "components", "exampleOfThePage.ts");
    const text = code.replace('"./immich-ml/components"', '"."');
    expect(text).not.toBe(code);
    const { config } = ts.readConfigFile(path.join(repository, "tsconfig.json"), (name) =>
      ts.sys.readFile(name),
    ) as { config: { compilerOptions: object } };
    const { options } = ts.convertCompilerOptionsFromJson(
      { ...config.compilerOptions, noCheck: false },
      repository,
    );
    const host = ts.createCompilerHost(options);
    host.fileExists = (name) => name === file || ts.sys.fileExists(name);
    host.readFile = (name) => (name === file ? text : ts.sys.readFile(name));
    const program = ts.createProgram([file], options, host);
    const errors = ts.getPreEmitDiagnostics(program, program.getSourceFile(file));
    expect(
      errors.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n")),
    ).toEqual([]);
  });
});
