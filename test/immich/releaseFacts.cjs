"use strict";
/*
 * Runs inside a built Immich server, on standard input of node: asks the release's own schema about
 * values of its configuration. Argument: JSON of { "values": [[dotted key, value], …] }.
 * Prints { "defaults": …, "refused": [whether it refuses each value], "clipModels": { name: dimension } }.
 */
const path = require("node:path");

const dist = (file) => require(path.resolve("dist", file));
const { values } = JSON.parse(process.argv[2]);
const { defaults } = dist("config.js");
const dto = dist("dtos/system-config.dto.js");
const constants = dist("constants.js");

function refuses(document) {
  if (dto.SystemConfigSchema) return !dto.SystemConfigSchema.safeParse(document).success;
  const fromServer = (name) => require(require.resolve(name, { paths: [process.cwd()] }));
  const { plainToInstance } = fromServer("class-transformer");
  const { validateSync } = fromServer("class-validator");
  return validateSync(plainToInstance(dto.SystemConfigDto, document)).length > 0;
}

function withValue(key, value) {
  const document = structuredClone(defaults);
  const names = key.split(".");
  const last = names.pop();
  let part = document;
  for (const name of names) part = part[name] ??= {};
  part[last] = value;
  return document;
}

const models = constants.CLIP_MODEL_INFO ?? {};
const answer = {
  defaults: { machineLearning: defaults.machineLearning, job: defaults.job },
  refused: values.map(([key, value]) => refuses(withValue(key, value))),
  clipModels: Object.fromEntries(
    Object.entries(models).map(([name, { dimSize }]) => [name, dimSize]),
  ),
};
process.stdout.write(`\n${JSON.stringify(answer)}\n`, () => process.exit(0));
