import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";

import ts from "typescript";
import { beforeAll, describe, expect, it } from "vitest";

const components = path.join(__dirname, "..", "..", "components");

interface Example {
  /** The class it documents. */
  readonly component: string;
  readonly code: string;
}

function classesIn(file: string): ts.ClassDeclaration[] {
  const text = readFileSync(path.join(components, file), "utf8");
  return ts
    .createSourceFile(file, text, ts.ScriptTarget.ES2022, true)
    .statements.filter(ts.isClassDeclaration);
}

function examplesOf(component: ts.ClassDeclaration): Example[] {
  return ts
    .getJSDocTags(component)
    .filter(({ tagName }) => tagName.text === "example")
    .map(({ comment }) => ({
      component: component.name!.text,
      code: (ts.getTextOfJSDocComment(comment) ?? "").replace(/^```\w*$/gm, ""),
    }));
}

const classes = readdirSync(components)
  .filter((file) => file.endsWith(".ts"))
  .flatMap(classesIn)
  .filter(({ modifiers }) => modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword))
  .filter(({ heritageClauses }) => heritageClauses?.[0]?.getText().includes("ComponentResource"));
const examples = classes.flatMap(examplesOf);

/** What an example may use without declaring it: its program's providers and other examples' results. */
const context: Readonly<Record<string, string>> = {
  config: "pulumi.Config",
  provider: "docker.Provider",
  postgresqlProvider: "postgresql.Provider",
  image: "library.LegacyImage",
  cache: "library.ModelCache",
  distributed: "library.DistributedImage",
  service: "library.MachineLearning",
};

function moduleOf({ component, code }: Example): string {
  const declares = (name: string) => new RegExp(`\\b(const|let) ${name}\\b`).test(code);
  return [
    'import * as docker from "@pulumi/docker";',
    'import * as postgresql from "@pulumi/postgresql";',
    'import * as pulumi from "@pulumi/pulumi";',
    'import * as library from ".";',
    `import { ${component} } from ".";`,
    ...Object.entries(context).flatMap(([name, type]) =>
      declares(name) ? [] : [`declare const ${name}: ${type};`],
    ),
    code,
  ].join("\n");
}

/** Compiles all examples beside the components, in memory. */
function errorsByComponent(): ReadonlyMap<string, string[]> {
  const configFile = path.join(components, "..", "tsconfig.json");
  const { config } = ts.readConfigFile(configFile, (file) => ts.sys.readFile(file)) as {
    config: { compilerOptions: object };
  };
  const { options } = ts.convertCompilerOptionsFromJson(
    { ...config.compilerOptions, noCheck: false, noUnusedLocals: false },
    path.dirname(configFile),
  );
  const modules = new Map(
    examples.map((example) => [
      path.join(components, `exampleOf${example.component}.ts`),
      { ...example, text: moduleOf(example) },
    ]),
  );
  const host = ts.createCompilerHost(options);
  host.fileExists = (file) => modules.has(file) || ts.sys.fileExists(file);
  host.readFile = (file) => modules.get(file)?.text ?? ts.sys.readFile(file);
  const program = ts.createProgram([...modules.keys()], options, host);
  return new Map(
    [...modules].map(([file, { component }]) => [
      component,
      ts
        .getPreEmitDiagnostics(program, program.getSourceFile(file))
        .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n")),
    ]),
  );
}

describe("the example in a component's comment", () => {
  let errors: ReadonlyMap<string, string[]>;
  // Loads the types of three providers.
  beforeAll(() => (errors = errorsByComponent()), 120_000);

  it.each(classes.map(({ name }) => name!.text))("compiles for %s", (component) => {
    expect(errors.get(component), `${component}: @example`).toEqual([]);
  });
});
