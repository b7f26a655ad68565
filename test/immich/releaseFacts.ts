import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";

import { clipModels } from "../../catalog/clipModels";
import { faceModels } from "../../catalog/faceModels";
import { atLeast, type ImmichVersion } from "../../catalog/immichVersion";
import { ocrModels } from "../../catalog/ocrModels";
import { systemConfigKeys, type SystemConfigKey } from "../../catalog/systemConfigKeys";
import { defaultOf, errorIn, immichVersionOf, settingOf } from "../../immich/settings";
import type { ImmichSource } from "./source";

/*
 * What this program's tables say of a release, compared with that release itself.
 */

interface Facts {
  readonly defaults: unknown;
  readonly refused: readonly boolean[];
  readonly clipModels: Readonly<Record<string, number>>;
}

const script = path.join(__dirname, "releaseFacts.cjs");

/** Every difference between a release and our tables, one line each. */
export function differencesFrom(source: ImmichSource): string[] {
  const version = immichVersionOf(source.release);
  const known = systemConfigKeys.filter(
    ({ key }) => errorIn(key, undefined, version) !== absent(source),
  );
  const trials = known.flatMap((entry) => trialsOf(entry, version));
  const facts = ask(
    source,
    trials.map(({ key, value }) => [key, value]),
  );
  return [
    ...known.flatMap(({ key }) => defaultDifference(key, version, facts.defaults)),
    ...unknownKeys(known, facts.defaults),
    ...trials.flatMap(({ key, value }, index) => {
      const ours = errorIn(key, value, version) !== undefined;
      const theirs = facts.refused[index]!;
      if (ours === theirs || (ours && isStricter(key))) return [];
      return [
        `${key}: ${JSON.stringify(value)} is ${theirs ? "refused" : "allowed"} by Immich, not by us`,
      ];
    }),
    ...clipDifferences(version, facts.clipModels),
    ...otherModels(source, version),
  ];
}

const absent = ({ release }: ImmichSource) => `does not exist in Immich ${release}`;

/** Where we allow less than Immich: what makes no sense, or no whole number. */
function isStricter(key: string): boolean {
  return (
    /\.(availabilityChecks\.(timeout|interval)|minFaces|maxResolution|enabled)$/.test(key) ||
    /modelName$/.test(key)
  );
}

/** Values on both sides of each limit, and of other types. */
function trialsOf(entry: SystemConfigKey, version: ImmichVersion) {
  const { key, type, minimum, maximum } = entry;
  const step = type === "integer" ? 1 : 0.0001;
  const values: unknown[] = [defaultOf(key, version)];
  if (minimum !== undefined) values.push(minimum, minimum - step);
  if (maximum !== undefined) values.push(maximum, maximum + step);
  if (type === "strings") {
    values.push(
      [],
      ["http://a:3003", "http://b:3003"],
      ["http://attic-:3003"],
      ["http://-a.lan:3003"],
      ["http://immich_ml:3003"],
      ["http://[fd00::1]:3003"],
      ["http://192.168.1.2"],
    );
  }
  return values.map((value) => ({ key, value }));
}

function ask(
  { folder, image }: ImmichSource,
  values: readonly (readonly [string, unknown])[],
): Facts {
  const parameter = JSON.stringify({ values });
  const [program, words, cwd] =
    folder === undefined
      ? ([
          "docker",
          [
            ...["run", "--rm", "--interactive", "--workdir", "/usr/src/app/server"],
            ...["--entrypoint", "node", image!, "-", parameter],
          ],
          undefined,
        ] as const)
      : ([process.execPath, ["-", parameter], path.join(folder, "server")] as const);
  const output = execFileSync(program, words, {
    input: readFileSync(script),
    encoding: "utf8",
    timeout: 120_000,
    stdio: ["pipe", "pipe", "ignore"],
    ...(cwd && { cwd }),
  });
  return JSON.parse(output.trim().split("\n").at(-1)!) as Facts;
}

function defaultDifference(key: string, version: ImmichVersion, defaults: unknown): string[] {
  const theirs = JSON.stringify(settingOf(defaults, key));
  const ours = JSON.stringify(defaultOf(key, version));
  return theirs === ours ? [] : [`${key}: Immich's default is ${theirs}, ours ${ours}`];
}

function unknownKeys(known: readonly SystemConfigKey[], defaults: unknown): string[] {
  const { machineLearning } = defaults as { machineLearning: object };
  return leaves(machineLearning, "machineLearning")
    .filter((key) => !known.some((entry) => entry.key === key))
    .map((key) => `${key}: Immich has it, our table does not`);
}

function leaves(part: unknown, key: string): string[] {
  if (typeof part !== "object" || part === null || Array.isArray(part)) return [key];
  return Object.entries(part).flatMap(([name, inner]) => leaves(inner, `${key}.${name}`));
}

function clipDifferences(version: ImmichVersion, theirs: Facts["clipModels"]): string[] {
  const ours = clipModels.filter(({ since }) => atLeast(version, since));
  const missing = Object.keys(theirs).filter((name) => !ours.some((model) => model.name === name));
  return [
    ...missing.map(
      (name) => `CLIP model ${name} (${theirs[name]}): Immich knows it, our table does not`,
    ),
    ...ours.flatMap(({ name, embeddingDimension }) =>
      theirs[name] === embeddingDimension
        ? []
        : [`CLIP model ${name}: Immich's dimension is ${theirs[name]}, ours ${embeddingDimension}`],
    ),
  ];
}

/** The face and OCR models stand in the machine learning's constants, which only a checkout has. */
function otherModels({ folder }: ImmichSource, version: ImmichVersion): string[] {
  const file = path.join(folder ?? "", "machine-learning", "immich_ml", "models", "constants.py");
  if (folder === undefined || !existsSync(file)) return [];
  const text = readFileSync(file, "utf8");
  const ours = [...faceModels, ...ocrModels].filter(({ since }) => atLeast(version, since));
  const theirs = [/_INSIGHTFACE_MODELS = \{([^}]*)\}/, /_PADDLE_MODELS = \{([^}]*)\}/].flatMap(
    (set) => [...(set.exec(text)?.[1] ?? "").matchAll(/"([^"]+)"/g)].map(([, name]) => name!),
  );
  return [
    ...ours
      .filter(({ name }) => !theirs.includes(name))
      .map(({ name }) => `model ${name}: Immich does not know it`),
    ...theirs
      .filter((name) => !ours.some((model) => model.name === name))
      .map((name) => `model ${name}: Immich knows it, our table does not`),
  ];
}
