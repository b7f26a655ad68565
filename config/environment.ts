import { accelerators, type AcceleratorName } from "../catalog/accelerators";
import { assignGpus, protectSharedCache } from "../catalog/deviceIds";
import { hasControlSocket } from "../catalog/immichReleases";
import type { ImmichVersion } from "../catalog/immichVersion";
import {
  checkEnvironmentFile,
  isSetting,
  renderEnvironment,
  servicePort,
} from "../catalog/renderEnvironment";
import { isVariableName } from "../catalog/runtimeVariables";
import type { Problem, Resolved } from "../util/problem";
import { hasCredentials } from "../util/sanitize";
import { isRoot } from "./container";
import { gpuCount } from "./gpu";
import { isOfficialImage } from "./image";
import type { HostEntry } from "./schema";
import type { ImageSource } from "./settings";

/** What a host's variables follow from, beside its entry. */
interface Container {
  readonly accelerator: AcceleratorName;
  readonly image: ImageSource | undefined;
  /** The variables of its env files. */
  readonly file: Readonly<Record<string, string>>;
}

interface HostEnvironment {
  /** By the names of catalog/environment.ts, or the variables' own. */
  readonly settings: HostEntry["environment"];
  /** The port the server listens on. */
  readonly port: number;
}

/** A host's environment with everything the program adds, and what is wrong with it. */
export function resolveEnvironment(
  host: HostEntry,
  key: string,
  version: ImmichVersion | undefined,
  { accelerator, image, file }: Container,
): Resolved<HostEnvironment> {
  const { environment } = host;
  if (!version) return { value: { settings: environment, port: 3003 }, problems: [], notes: [] };
  const rendered = renderEnvironment(environment, version, accelerator);
  const unchecked = resolveUnchecked(host, `${key}.uncheckedEnvironment`);
  const overridden = { ...rendered.variables, ...host.uncheckedEnvironment };
  const fromFile = checkEnvironmentFile(
    Object.fromEntries(Object.entries(file).filter(([name]) => !Object.hasOwn(overridden, name))),
    version,
    accelerator,
  );
  const variables = { ...file, ...rendered.variables };
  const ofCompose = composeVariables(host, key);
  const assigned = accelerators[accelerator].gpuRequest
    ? assignGpus(variables, gpuCount(host.gpus), version)
    : undefined;
  const added = renderEnvironment(assigned?.value ?? {}, version, accelerator).variables;
  const isShared = host.placement === "swarm";
  const shared = protectSharedCache({ ...variables, ...added }, isShared, version);
  return {
    value: {
      settings: {
        ...environment,
        ...assigned?.value,
        ...shared.value,
        ...webServerArguments(variables, version, image),
        ...homeOf(host, variables),
      },
      port: servicePort(variables, version),
    },
    problems: [
      ...rendered.problems
        .map(({ name, message }) => ({ key: `${key}.environment.${name}`, expected: message }))
        .filter((problem) => !ofCompose.some((other) => other.key === problem.key)),
      ...fromFile.problems.map(({ name, message }) => ({
        key: `${key}.envFiles`,
        expected: `${name}: ${message}`,
      })),
      ...(assigned?.problems ?? []).map((problem) => ({
        ...problem,
        key: `${key}.${problem.key}`,
      })),
      ...credentialProblems(environment, `${key}.environment`),
      ...ofCompose,
      ...proxyProblems(variables, host, key, image),
      ...unchecked.problems,
    ],
    notes: [
      ...rendered.notes,
      ...fromFile.notes,
      ...unchecked.notes,
      ...(assigned?.notes ?? []),
      ...shared.notes,
      ...cacheNote(variables),
      ...(host.gpus?.runtime ? [] : visibleDevicesNote(variables, accelerator)),
    ],
  };
}

/** Variables that people ask for though this program knows nothing of them. */
function resolveUnchecked({ uncheckedEnvironment, environment }: HostEntry, key: string) {
  const problems = Object.entries(uncheckedEnvironment).flatMap(([name, value]): Problem[] => {
    const problem = (expected: string) => [{ key: `${key}.${name}`, expected }];
    if (!isVariableName(name)) {
      return problem(
        "is not a valid name of a variable: use letters, digits and '_', and do not begin with a digit",
      );
    }
    if (isSetting(name))
      return problem("is a variable this program knows; put it into environment");
    if (Object.hasOwn(environment, name)) return problem("is also set in environment");
    if (hasCredentials(value) || secretName.test(name)) return problem(intoFile);
    return [];
  });
  const names = Object.keys(uncheckedEnvironment);
  const note = `${names.join(", ")} (uncheckedEnvironment) is passed on as it is; nothing checks it`;
  return { problems, notes: names.length > 0 && problems.length === 0 ? [note] : [] };
}

const secretName = /pass(word|wd)?$|secret|token|api_?key|credential/i;
const intoFile =
  "may be a secret, and a stack file is plain text; put the variable into an env file (envFiles)";

/**
 * Immich's images with gunicorn 25 hang on its control socket. Ours set the argument themselves, so only
 * a user's own arguments would undo it there.
 */
function webServerArguments(
  variables: Readonly<Record<string, string>>,
  version: ImmichVersion,
  image: ImageSource | undefined,
): Readonly<Record<string, string>> {
  const given = variables["GUNICORN_CMD_ARGS"];
  const isOurs = image?.kind === "legacy" && given !== undefined;
  const isAffected = isOurs || (isOfficialImage(image) && hasControlSocket(version));
  if (!isAffected || given?.includes("control-socket")) return {};
  return { GUNICORN_CMD_ARGS: [given, "--no-control-socket"].filter(Boolean).join(" ") };
}

/** A user that the image does not know has `/` for a home, where it may not write. */
function homeOf(
  { user, image }: HostEntry,
  variables: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  return isRoot(user) || image || variables["HOME"] ? {} : { HOME: "/tmp" };
}

/** A stack file is plain text. */
function credentialProblems(environment: HostEntry["environment"], key: string): Problem[] {
  const expected =
    "must be an address without a user or password; put the variable with them into an env file (envFiles)";
  return Object.entries(environment).flatMap(([name, value]) =>
    hasCredentials(String(value)) ? [{ key: `${key}.${name}`, expected }] : [],
  );
}

/** docker compose puts a value in the place of `${NAME}`; a stack file stays as it is. */
function composeVariables(host: HostEntry, key: string): Problem[] {
  return (["environment", "uncheckedEnvironment"] as const).flatMap((field) =>
    Object.entries(host[field]).flatMap(([name, value]) =>
      /\$\{\w+|^\$[A-Za-z_]\w*$/.test(String(value))
        ? [
            {
              key: `${key}.${field}.${name}`,
              expected:
                "contains a variable of docker compose, which a stack file does not replace: write the value, or put the line into an env file (envFiles)",
            },
          ]
        : [],
    ),
  );
}

/** Neither Immich's images nor ours have the library for SOCKS (PySocks, socksio). */
function proxyProblems(
  variables: Readonly<Record<string, string>>,
  { environment }: HostEntry,
  key: string,
  image: ImageSource | undefined,
): Problem[] {
  if (image?.kind === "given" && !isOfficialImage(image)) return [];
  return Object.entries(variables).flatMap(([name, value]) => {
    if (!/^(https?|all)_proxy$/i.test(name) || !/^socks/i.test(value)) return [];
    const settings: Record<string, string> = { HTTP_PROXY: "httpProxy", HTTPS_PROXY: "httpsProxy" };
    const spelling = [name, settings[name]].find(
      (each) => each && Object.hasOwn(environment, each),
    );
    const expected =
      "must be an http:// proxy: the image has no library for SOCKS, so every download would fail; put an HTTP proxy such as Privoxy before it, or download through huggingFaceEndpoint";
    return [{ key: spelling ? `${key}.environment.${spelling}` : `${key}.envFiles`, expected }];
  });
}

/** Models anywhere else are lost with the container. */
function cacheNote({ MACHINE_LEARNING_CACHE_FOLDER: folder }: Readonly<Record<string, string>>) {
  if (folder === undefined || /^\/cache(\/|$)/.test(folder)) return [];
  return [
    `MACHINE_LEARNING_CACHE_FOLDER=${folder} keeps the models in the container, so each new one downloads them again: leave it out, since the cache is mounted at /cache`,
  ];
}

/** `docker run --gpus` decides, whatever the variable says. */
function visibleDevicesNote(
  variables: Readonly<Record<string, string>>,
  accelerator: AcceleratorName,
): string[] {
  if (!accelerators[accelerator].gpuRequest || !variables["NVIDIA_VISIBLE_DEVICES"]) return [];
  return ["NVIDIA_VISIBLE_DEVICES has no effect: gpus decides which cards the container gets"];
}
