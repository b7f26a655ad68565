// How the engine's Node.js loads the program: the TypeScript compiler turns each file into JavaScript
// once, and the result is kept by the file's content. ts-node, which Pulumi uses otherwise, compiles
// every file anew in every run, for more than a second. Types are checked by `npm run check:types`.
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
  const kept = path.join(folder, `${name}.js`);
  module._compile(read(kept) ?? keep(kept, compile(source, file)), file);
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

/** Whole or not at all, since several runs may do so at once; where nothing can be kept, it is not. */
function keep(file, text) {
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(`${file}.${process.pid}`, text);
    renameSync(`${file}.${process.pid}`, file);
  } catch {
    // The next run compiles it again.
  }
  return text;
}
