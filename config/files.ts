import { readFileSync } from "node:fs";
import { join } from "node:path";

import { certificateProblem } from "../util/certificate";
import { tlsFiles, type EngineAddress } from "../util/dockerClient";
import { parseEnvFile } from "./envFile";
import type { Problem } from "../util/problem";
import type { HostEntry } from "./schema";
import type { StackParts } from "./settings";

/*
 * The files that a stack file names.
 */

/** What is wrong with the files and folders that a stack file names, but for its env files. */
export function fileProblems({ hosts = [], immich, build }: StackParts): Problem[] {
  return [
    ...hosts.flatMap((host, index) => [
      ...(host ? tlsProblems(host, `hosts[${index}]`) : []),
      ...cacheModelsProblems(host?.cacheModels, `hosts[${index}].cacheModels`),
    ]),
    ...(immich ? tlsProblems(immich, "immich") : []),
    ...certificateProblems(build?.caCertificate, "build.caCertificate"),
    ...certificateProblems(immich?.api?.caCertificate, "immich.api.caCertificate"),
  ];
}

/** The variables of a host's env files. Later files win over earlier ones, as in docker compose. */
export function readEnvFiles(
  { envFiles }: Pick<HostEntry, "envFiles">,
  key: string,
): { readonly value: Readonly<Record<string, string>>; readonly problems: readonly Problem[] } {
  const files = envFiles.map((entry, index) => {
    const { path, required } = typeof entry === "string" ? { path: entry, required: true } : entry;
    const problem = { key: `${key}.envFiles[${index}]`, value: path };
    const text = readIfPresent(path);
    if (text === undefined) {
      return {
        variables: [],
        problems: required ? [{ ...problem, expected: "cannot be read" }] : [],
      };
    }
    const { variables, problems } = parseEnvFile(text, process.env);
    return {
      variables: [...variables],
      problems: problems.map(({ line, message }) => ({
        ...problem,
        expected: `line ${line}: ${message}`,
      })),
    };
  });
  return {
    value: Object.fromEntries(files.flatMap(({ variables }) => variables)),
    problems: files.flatMap(({ problems }) => problems),
  };
}

function tlsProblems({ dockerHost, tls }: EngineAddress, key: string): Problem[] {
  if (tls === undefined) return [];
  const problem = (expected: string) => [{ key: `${key}.tls`, value: tls, expected }];
  if (!dockerHost.startsWith("tcp://")) {
    return problem(
      `is for dockerHost tcp://host:port, not ${dockerHost}, which needs no certificates`,
    );
  }
  const unusable = tlsFiles.filter(
    (file) => !readIfPresent(join(tls, file))?.includes("-----BEGIN "),
  );
  if (unusable.length === 0) return [];
  return problem(
    `must be a folder with ${tlsFiles.join(", ")} in PEM form; ${unusable.join(" and ")} cannot be read there`,
  );
}

function cacheModelsProblems(folder: string | undefined, key: string): Problem[] {
  if (folder === undefined || readIfPresent(join(folder, "SHA256SUMS")) !== undefined) return [];
  const expected =
    "must be a folder with a file SHA256SUMS; create it there with: find . -type f ! -path ./SHA256SUMS -exec sha256sum {} + > SHA256SUMS";
  return [{ key, value: folder, expected }];
}

function certificateProblems(path: string | undefined, key: string): Problem[] {
  if (path === undefined) return [];
  const pem = readIfPresent(path);
  const expected = pem === undefined ? "cannot be read" : certificateProblem(pem);
  return expected === undefined ? [] : [{ key, value: path, expected }];
}

function readIfPresent(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
