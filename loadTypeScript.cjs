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

// The SDK loads both, half a second of each run, for functions that it stores in the state. This program has none.
for (const name of ["typescript", "@npmcli/arborist"]) loadWhenUsed(name);

function loadWhenUsed(name) {
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
  // Compiled imports copy the properties of what is no ES module.
  const get = (_, key) => (loaded === undefined && key === "__esModule" ? true : load()[key]);
  const placeholder = new Module(file, module);
  placeholder.exports = new Proxy({}, { get, has: (_, key) => key in load() });
  placeholder.loaded = true;
  require.cache[file] = placeholder;
}

function resolve(name) {
  try {
    return require.resolve(name, { paths: [path.dirname(require.resolve("@pulumi/pulumi"))] });
  } catch {
    return undefined;
  }
}

/** What was loaded, with its source map, by the file's path. */
const compiledFiles = new Map();

let isPrepared = false;

/**
 * The SDK keeps a stack trace with every promise, and its runner maps each of them to the sources, which takes
 * a third of a run. Only the trace of an error that ends the run is shown, so only that one is mapped.
 *
 * The runner prints such an error with `util.inspect`, which takes 15 s and 3 GB on Node.js 20 and 22. So the
 * error says itself how it is printed: by its stack trace.
 */
function prepareForRunner() {
  isPrepared = true;
  const file = path.join("source-map-support", "source-map-support.js");
  const mapper = Object.values(require.cache).find(({ filename }) => filename?.endsWith(file));
  if (mapper === undefined) return;
  const mapStackTrace = Error.prepareStackTrace;
  Error.prepareStackTrace = undefined;
  const printCheaply = (error) => {
    if (!(error instanceof Error)) return;
    mapper.exports.install({ retrieveFile: (source) => compiledFiles.get(source) ?? null });
    Error.prepareStackTrace = mapStackTrace;
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
