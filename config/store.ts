import { accelerators } from "../catalog/accelerators";
import { apiKeyAllowed, isApiKey } from "../immich/immichApi";
import { resolveModels, type ModelSelection } from "../immich/modelSelection";
import type { Problem, Resolved } from "../util/problem";
import type { CheckedStack, HostSettings, StackParts } from "./settings";

/*
 * What a stack file says of Immich's own configuration: the models, and the way they are written there.
 */

/** The models to set in Immich; undefined where its configuration is left alone. */
export function resolveSelection(
  parts: StackParts,
  hosts: readonly (HostSettings | undefined)[],
): Resolved<ModelSelection | undefined> {
  const { preset, models = {}, version, allowUnknownModels } = parts;
  if (preset === undefined || !version || !setsModels(parts)) {
    return { value: undefined, problems: [], notes: [] };
  }
  // Immich may send any job to any host, so the smallest GPU decides.
  const memories = hosts.flatMap((host) =>
    host?.gpu?.videoMemory && accelerators[host.accelerator].gpuRequest
      ? [host.gpu.videoMemory]
      : [],
  );
  return resolveModels(preset, models, {
    immichVersion: version,
    videoMemory: memories.length > 0 ? Math.min(...memories) : undefined,
    allowUnknownModels,
    store: parts.immich?.api ? "api" : "database",
  });
}

/** A preset needs exactly one way into Immich, with its secret. */
export function storeProblems({ parts, secrets }: CheckedStack): Problem[] {
  const { immich, preset = "none", embeddings } = parts;
  if (!immich || !setsModels(parts)) return [];
  const { api, database } = immich;
  if (api && database) {
    return [{ key: "immich", expected: "must have either database or api, not both" }];
  }
  if (api && embeddings === "keep") {
    const expected =
      'must be clear: through its API Immich clears them itself; "keep" needs immich.database';
    return [{ key: "embeddings", value: "keep", expected }];
  }
  if (api) return apiKeyProblems(secrets.immichApiKey);
  if (!database) {
    const wanted = preset === "none" ? "models" : `preset ${preset}`;
    const expected = `needs database (container, or host) or api (url), so that ${wanted} can be set`;
    return [{ key: "immich", expected }];
  }
  return [
    ...((database.container === undefined) === (database.host === undefined)
      ? [{ key: "immich.database", expected: "must have either container or host" }]
      : []),
    ...passwordProblems(secrets.databasePassword),
  ];
}

/** What is wrong with the wish to start jobs after a change of models. */
export function reindexProblems(parts: StackParts): Problem[] {
  const { immich, reindex, redetectFacesLosingNames } = parts;
  const problem = (key: string, expected: string) => [{ key, value: true, expected }];
  if (reindex && !setsModels(parts)) return problem("reindex", "needs a preset, or models");
  if (redetectFacesLosingNames && !reindex) {
    return problem("redetectFacesLosingNames", "needs reindex: true");
  }
  if (reindex && immich && !immich.api) {
    return problem(
      "reindex",
      "needs immich.api (url) and the secret immichApiKey: jobs start through the API only",
    );
  }
  return [];
}

function setsModels({ preset = "none", models = {} }: StackParts): boolean {
  return preset !== "none" || Object.keys(models).length > 0;
}

function apiKeyProblems(apiKey: string | undefined): Problem[] {
  if (!apiKey) return [missingSecret("immichApiKey", "Immich's API key")];
  return isApiKey(apiKey) ? [] : [{ key: "immichApiKey", expected: `must be ${apiKeyAllowed}` }];
}

function passwordProblems(password: string | undefined): Problem[] {
  if (!password) return [missingSecret("databasePassword", "the password of Immich's database")];
  if (!password.includes("\0")) return [];
  return [{ key: "databasePassword", expected: "must not hold a NUL character" }];
}

function missingSecret(key: string, what: string): Problem {
  return {
    key,
    expected: `is missing: ${what}; set it with: pulumi config set --secret immich-ml:${key}`,
  };
}
