import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

const execute = promisify(execFile);
const repository = path.join(__dirname, "..", "..");

// Each test starts Node.js anew, which takes its time on a busy machine.
describe("loadTypeScript.cjs", { timeout: 60_000 }, () => {
  let folder: string;
  const kept = () => path.join(folder, "node_modules", ".cache", "immich-ml");

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-loader-"));
    await mkdir(path.join(folder, "node_modules"));
    for (const file of ["loadTypeScript.cjs", "tsconfig.json"])
      await cp(path.join(repository, file), path.join(folder, file));
    const typescript = path.join("node_modules", "typescript");
    await symlink(path.join(repository, typescript), path.join(folder, typescript));
  });

  afterEach(() => rm(folder, { recursive: true }));

  const write = (text: string) => writeFile(path.join(folder, "program.ts"), text);
  const program = async () => {
    const parameters = ["--require", "./loadTypeScript.cjs", "-e", 'require("./program.ts")'];
    return (await execute(process.execPath, parameters, { cwd: folder })).stdout.trim();
  };

  it("runs TypeScript, keeps what it compiled and uses that the next time", async () => {
    await write('const words: string[] = ["first"]; console.log(words.join());');
    expect(await program()).toBe("first");
    const [file] = await readdir(kept());
    const text = await readFile(path.join(kept(), file!), "utf8");
    await writeFile(path.join(kept(), file!), text.replace("first", "from what was kept"));
    expect(await program()).toBe("from what was kept");
  });

  it("compiles a file anew that has changed", async () => {
    await write('console.log("first" satisfies string);');
    expect(await program()).toBe("first");
    await write('console.log("second" satisfies string);');
    expect(await program()).toBe("second");
  });

  it("runs where nothing can be kept", async () => {
    await writeFile(path.join(folder, "node_modules", ".cache"), "a file in the folder's place");
    await write('console.log("all the same" satisfies string);');
    expect(await program()).toBe("all the same");
  });

  it("leaves an error of a program that nothing catches to Node.js", async () => {
    await write('throw new Error("on purpose");');
    await expect(program()).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining("Error: on purpose") as string,
    });
  });

  it("prints an error under Pulumi's runner by its stack trace, which names lines of the .ts file", async () => {
    const maps = path.join("node_modules", "source-map-support");
    await symlink(path.join(repository, maps), path.join(folder, maps));
    for (const needed of ["buffer-from", "source-map"].map((name) =>
      path.join("node_modules", name),
    ))
      await symlink(path.join(repository, needed), path.join(folder, needed));
    await write(
      `interface Gone { name: string }\n\nthrow Object.assign(new Error("on purpose"), { noise: "left out" });`,
    );
    const runner = `require("source-map-support/register");
      process.on("unhandledRejection", (error) => console.log(require("node:util").inspect(error, { colors: true })));
      void Promise.resolve().then(() => require("./program.ts"));`;
    const parameters = ["--require", "./loadTypeScript.cjs", "-e", runner];
    const { stdout } = await execute(process.execPath, parameters, { cwd: folder });
    expect(stdout).toContain("Error: on purpose\n");
    expect(stdout).toMatch(/program\.ts:3:\d+/);
    expect(stdout).not.toContain("left out");
  });

  it("imports a module itself and not a copy, or the engine would store its configuration", async () => {
    await write(
      `import * as path from "node:path"; import * as own from "./own";
       console.log((own as { itself(): unknown }).itself() === own, typeof path.join);`,
    );
    await writeFile(
      path.join(folder, "own.ts"),
      "export function itself(): unknown { return module.exports; }",
    );
    expect(await program()).toBe("true function");
  });

  it("leaves unloaded what the SDK needs for other programs, until something uses it", async () => {
    const script = `
      const { automation } = require("@pulumi/pulumi");
      const tracing = require("@pulumi/pulumi/cmd/run/tracing");
      const hooks = require("@pulumi/pulumi/runtime/closure/v8Hooks");
      const loaded = (part) => Object.keys(require.cache).some((file) => file.includes(part));
      const all = () =>
        ["/pacote/", "/automation/localWorkspace", "/sdk-trace-node/"].map(loaded).join();
      const compiler = Object.keys(require.cache).find((file) => file.endsWith("/typescript.js"));
      const hasCompiler = () => Reflect.ownKeys(require.cache[compiler].exports).length > 100;
      tracing.newSpan("before").end();
      hooks.isInitializedAsync().then(async () => {
        console.log(hasCompiler(), all());
        require("typescript").version;
        automation.LocalWorkspace.name;
        tracing.start("http://127.0.0.1:9/api/v2/spans");
        console.log(hasCompiler(), all(), tracing.newSpan("after").isRecording());
        console.log(typeof (await hooks.getSessionAsync()).post);
        process.exit();
      });`;
    const parameters = ["--require", "./loadTypeScript.cjs", "-e", script];
    const { stdout } = await execute(process.execPath, parameters, { cwd: repository });
    expect(stdout.trim().split("\n")).toEqual([
      "false false,false,false",
      "true false,true,true true",
      "function",
    ]);
  });
});
