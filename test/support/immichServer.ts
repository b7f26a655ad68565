import { readFileSync } from "node:fs";
import path from "node:path";

import { repositoryFolder } from "../../demo/folders";
import { checkScript, checkVariables, parseCheckResult } from "../../verify/check";
import { testName } from "./docker";
import { docker, ended } from "./immichMl";

/** Python programs for containers. */
export const helpers = path.join(repositoryFolder, "test/immich/ml");
/** The check's picture, with three faces and two lines of text. */
export const pictureFile = path.join(repositoryFolder, "verify/picture.jpg");
const picture = readFileSync(pictureFile);

/** Names in the cache that `models.py` makes. */
export const models = {
  clip: "clip/ViT-B-32__openai",
  faces: "facial-recognition/buffalo_s",
  text: "ocr/PP-OCRv5_mobile",
} as const;

/** What to remove at the end of a test file, newest first. */
const made: (() => Promise<unknown>)[] = [];

export async function removeMade(): Promise<void> {
  for (const remove of made.splice(0).reverse()) await remove();
}

/** A volume with the models at an opset; empty without one. */
export async function cacheVolume(tools: string, opset?: number): Promise<string> {
  const volume = await docker("volume", "create", testName("cache"));
  made.push(() => docker("volume", "rm", volume));
  const mounts = ["-v", `${helpers}:/helpers:ro`, "-v", `${volume}:/cache`];
  if (opset !== undefined) {
    const script = ["python", "/helpers/models.py", "/cache", String(opset)];
    await docker("run", "--rm", "--network", "none", ...mounts, tools, ...script);
  }
  return volume;
}

/** A network with a mock of the model hub, which serves a volume's models. @returns the network */
export async function hubNetwork(tools: string, volume: string): Promise<string> {
  const network = testName("hub");
  await docker("network", "create", network);
  made.push(() => docker("network", "rm", network));
  const mounts = ["-v", `${helpers}:/helpers:ro`, "-v", `${volume}:/source:ro`];
  const name = ["--name", network, "--network-alias", "hub", "--network", network];
  await docker("run", "-d", ...name, ...mounts, tools, "python", "/helpers/hub.py", "/source");
  made.push(() => docker("rm", "-f", network));
  return network;
}

export interface Server {
  readonly name: string;
  ask(task: "faces" | "text" | "clip" | "picture"): Promise<{ status: number; text: string }>;
  log(): Promise<string>;
  /** Runs the program's own check of a container. */
  check(
    asked: readonly string[],
  ): Promise<{ code: number; stdout: string; stderr: string; models: readonly object[] }>;
}

/**
 * Starts the image as the program does, and waits for its health.
 *
 * @param more `driver`: `none`: as with an NVIDIA card whose driver is missing. @default on the CPU in the card's place
 */
export async function startServer(
  image: string,
  volume: string,
  environment: Record<string, string> = {},
  more: {
    network?: string;
    command?: readonly string[];
    options?: readonly string[];
    driver?: "none";
  } = {},
): Promise<Server> {
  const name = testName("server");
  const folders = more.driver === "none" ? "/usr/src" : "/usr/src:/opt/on-cpu";
  const variables = { PYTHONPATH: folders, ...environment };
  await docker(
    ...["run", "-d", "--name", name, "--cap-drop", "ALL"],
    ...["--security-opt", "no-new-privileges:true", "--stop-timeout", "30"],
    ...["--health-cmd", "python3 healthcheck.py", "--health-interval", "1s"],
    ...[
      "-v",
      `${volume}:/cache`,
      "-v",
      `${helpers}/sitecustomize.py:/opt/on-cpu/sitecustomize.py:ro`,
    ],
    ...Object.entries(variables).flatMap(([key, value]) => ["-e", `${key}=${value}`]),
    ...(more.network === undefined ? [] : ["--network", more.network]),
    ...(more.options ?? []),
    image,
    ...(more.command ?? []),
  );
  made.push(() => docker("rm", "-f", name));
  const log = async () => {
    const { stdout, stderr } = await ended("docker", ["logs", name]);
    return stdout + stderr;
  };
  const health = () => docker("inspect", "--format", "{{.State.Health.Status}}", name);
  const deadline = Date.now() + 120_000;
  while ((await health()) !== "healthy") {
    if (Date.now() > deadline) throw new Error(`${image} is not healthy:\n${await log()}`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  const format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
  const address = `http://${await docker("inspect", "--format", format, name)}:3003`;
  return {
    name,
    log,
    ask: async (task) => {
      const form = new FormData();
      form.append("entries", JSON.stringify(entries[task]));
      if (task === "clip") form.append("text", "a cat");
      else form.append("image", new Blob([picture]), "picture.jpg");
      const answer = await fetch(`${address}/predict`, {
        method: "POST",
        body: form,
        signal: AbortSignal.timeout(120_000),
      });
      return { status: answer.status, text: await answer.text() };
    },
    check: async (asked) => {
      const checked = await ended("sh", [path.join(repositoryFolder, checkScript)], {
        ...checkVariables(more.driver === "none" ? "cuda" : "cpu"),
        IMMICH_ML_HOST: "attic",
        IMMICH_ML_CONTAINER: name,
        IMMICH_ML_MODE: "enforce",
        IMMICH_ML_TIMEOUT: "120",
        IMMICH_ML_MODELS: asked.join(","),
      });
      const result = parseCheckResult(checked.stdout);
      return { ...checked, models: result.ok ? (result.models ?? []) : [] };
    },
  };
}

const part = (name: string, options: object) => ({ modelName: name.split("/")[1], options });
/** What is asked for, as Immich asks. */
export const entries = {
  clip: { clip: { textual: part(models.clip, { language: "en" }) } },
  picture: { clip: { visual: part(models.clip, {}) } },
  faces: {
    "facial-recognition": {
      detection: part(models.faces, { minScore: 0.7 }),
      recognition: part(models.faces, {}),
    },
  },
  text: {
    ocr: {
      detection: part(models.text, { minScore: 0.5, maxResolution: 736 }),
      recognition: part(models.text, { minScore: 0.8 }),
    },
  },
};
