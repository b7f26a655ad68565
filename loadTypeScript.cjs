// How Pulumi's Node.js loads the program: the TypeScript compiler turns each file into JavaScript once
// and caches the result by the file's content. ts-node, Pulumi's default, compiles every file in every
// run, which takes more than a second. `npm run lint:types` checks the types.
//
// Not esbuild (tsx): it copies what is imported, and with these copies Pulumi would write its own
// configuration, secrets and all, into the state beside the dynamic provider.
const { createHash } = require("node:crypto");
const { mkdirSync, readFileSync, renameSync, writeFileSync } = require("node:fs");
const Module = require("node:module");
const path = require("node:path");
const { inspect } = require("node:util");

const { target, esModuleInterop } = require("./tsconfig.json").compilerOptions;
const compilerOptions = { target, esModuleInterop, module: "CommonJS", inlineSourceMap: true };
const compiler = JSON.stringify([compilerOptions, require("typescript/package.json").version]);
const folder = path.join(__dirname, "node_modules", ".cache", "immich-ml");

require.extensions[".ts"] = (module, file) => {
  if (!isPrepared) prepareForRunner();
  const source = readFileSync(file, "utf8");
  const name = createHash("sha256").update(compiler).update(file).update(source).digest("hex");
  const cached = path.join(folder, `${name}.js`);
  const compiled = read(cached) ?? write(cached, compile(source, file));
  compiledFiles.set(file, compiled);
  module._compile(compiled, file);
};

/*
 * What packages load in every run for things that this program seldom does or never: functions stored in the
 * state (the TypeScript compiler, npm's arborist and its parser, a debugger's session), stacks run by code,
 * tracing, messages in 50 languages, a database's protocol where a run refuses the stack file first. A third of
 * what Node.js does in a run without changes.
 */
const seldomUsed = [
  ...["typescript", "@npmcli/arborist", "normalize-package-data", "@pulumi/pulumi/automation"],
  ...["zod/v4/locales", "pg"],
];
for (const name of seldomUsed) replaceModule(name, whenUsed);
replaceModule("@pulumi/pulumi/cmd/run/tracing", (load) => {
  let tracing;
  const noSpan = () => require(resolve("@opentelemetry/api")).trace.getTracer("none").startSpan("");
  return {
    start: (address) => (tracing = load()).start(address),
    stop: () => tracing?.stop(),
    newSpan: (name) => tracing?.newSpan(name) ?? noSpan(),
  };
});
replaceModule("@pulumi/pulumi/runtime/closure/v8Hooks", (load) => ({
  isInitializedAsync: () => Promise.resolve(),
  getSessionAsync: () => load().getSessionAsync(),
  getScriptUrl: (id) => load().getScriptUrl(id),
}));
// See prepareForRunner.
replaceModule("source-map-support/register", () => ({}));

/** Puts other exports in a module's place; `load` loads the module itself. */
function replaceModule(name, makeExports) {
  const file = resolve(name);
  if (file === undefined || require.cache[file] !== undefined) return;
  let loaded;
  const load = () => {
    if (loaded === undefined) {
      delete require.cache[file];
      loaded = require(file);
    }
    return loaded;
  };
  const placeholder = new Module(file, module);
  placeholder.exports = makeExports(load, () => loaded !== undefined);
  placeholder.loaded = true;
  require.cache[file] = placeholder;
}

function whenUsed(load, isLoaded) {
  // Compiled imports copy the properties of what is no ES module.
  const get = (_, key) => (!isLoaded() && key === "__esModule" ? true : load()[key]);
  return new Proxy({}, { get, has: (_, key) => key in load() });
}

/** As the SDK finds it; undefined where it is not installed. */
function resolve(name) {
  const find = (wanted, from) => {
    try {
      return require.resolve(wanted, { paths: [from] });
    } catch {
      return undefined;
    }
  };
  return find(name, path.dirname(find("@pulumi/pulumi", __dirname) ?? __filename));
}

/** What was loaded, with its source map, by the file's path. */
const compiledFiles = new Map();

let isPrepared = false;

/**
 * The SDK keeps a stack trace with every promise, and with source maps its runner maps each of them, which takes
 * a third of a run. Only the trace of an error that ends the run is shown, so only that one is mapped.
 *
 * The runner prints such an error with `util.inspect`, which takes 15 s and 3 GB on Node.js 20 and 22. So the
 * error says itself how it is printed: by its stack trace.
 */
function prepareForRunner() {
  isPrepared = true;
  // Where nobody listens, a listener of ours would keep Node.js from ending.
  if (process.listenerCount("unhandledRejection") === 0) return;
  const printCheaply = (error) => {
    // The runner prints the message of a RunError, and no trace.
    if (!(error instanceof Error) || "__pulumiRunError" in error) return;
    const retrieveFile = (source) => compiledFiles.get(source) ?? null;
    require(resolve("source-map-support")).install({ retrieveFile });
    const { stack } = error;
    Error.prepareStackTrace = undefined;
    Object.defineProperty(error, inspect.custom, { value: () => stack, configurable: true });
  };
  // Before the runner's own listeners, which are there already.
  process.prependListener("uncaughtException", printCheaply);
  process.prependListener("unhandledRejection", printCheaply);
}

function compile(source, fileName) {
  return require("typescript").transpileModule(source, { fileName, compilerOptions }).outputText;
}

function read(file) {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

/** Atomically, since several runs may write at once. A folder that cannot be written is no error. */
function write(file, text) {
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(`${file}.${process.pid}`, text);
    renameSync(`${file}.${process.pid}`, file);
  } catch {
    // The next run compiles it again.
  }
  return text;
}
