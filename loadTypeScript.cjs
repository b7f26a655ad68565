// How Pulumi's Node.js loads the program: the TypeScript compiler turns each file into JavaScript once
// and caches the result by the file's content. ts-node, Pulumi's default, compiles every file in every
// run, which takes more than a second. `npm run lint:types` checks the types.
//
// Not esbuild (tsx): it copies what is imported, and with these copies Pulumi would write its own
// configuration, secrets and all, into the state beside the dynamic provider.
const { createHash } = require("node:crypto");
const { mkdirSync, readFileSync, renameSync, writeFileSync } = require("node:fs");
const path = require("node:path");

const { target, esModuleInterop } = require("./tsconfig.json").compilerOptions;
const compilerOptions = { target, esModuleInterop, module: "CommonJS" };
const compiler = JSON.stringify([compilerOptions, require("typescript/package.json").version]);
const folder = path.join(__dirname, "node_modules", ".cache", "immich-ml");

require.extensions[".ts"] = (module, file) => {
  const source = readFileSync(file, "utf8");
  const name = createHash("sha256").update(compiler).update(file).update(source).digest("hex");
  const cached = path.join(folder, `${name}.js`);
  module._compile(read(cached) ?? write(cached, compile(source, file)), file);
};

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
