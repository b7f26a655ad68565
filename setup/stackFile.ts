import { parse } from "yaml";

/** Why a setting stands there, in the file itself. */
const comments: Readonly<Record<string, string>> = {
  version: "the version that your server runs",
  network: "the container joins it as immich-machine-learning",
  serverContainer: "tells the version; restarted when its settings change",
  preset: "models that fit the card; docs/presets.md",
  models: "the model in use, so that all photos stay indexed",
  takeOver: "stopped and kept; down brings it back",
  cache: "the old container's models",
  networkAlias: "the name that Immich asks",
};

/** The text of a stack file, with a comment beside what needs one. */
export function stackFileText(config: Readonly<Record<string, unknown>>): string {
  const lines = Object.entries(config).flatMap(([key, value]) => entry(key, value));
  return [
    "# Written by immich-ml setup, and yours to edit: docs/settings.md lists every setting.",
    "config:",
    ...lines,
    "",
  ].join("\n");
}

function entry(key: string, value: unknown): string[] {
  if (Array.isArray(value)) {
    const items = value.flatMap((item: object) =>
      Object.entries(item).map(
        ([name, each], index) => `    ${index === 0 ? "- " : "  "}${line(name, each)}`,
      ),
    );
    return [`  immich-ml:${key}:`, ...items];
  }
  if (key === "immich") {
    const fields = Object.entries(value as object).map(([name, each]) => `    ${line(name, each)}`);
    return ["  immich-ml:immich:", ...fields];
  }
  return [`  immich-ml:${line(key, value)}`];
}

function line(name: string, value: unknown): string {
  const text = `${name}: ${flow(value)}`;
  const comment = comments[name];
  return comment === undefined ? text : `${text.padEnd(38)} # ${comment}`;
}

/** A value in one line. */
function flow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    const fields = Object.entries(value).map(([name, each]) => `${name}: ${flow(each)}`);
    return `{ ${fields.join(", ")} }`;
  }
  if (typeof value !== "string") return String(value);
  // What YAML might read as something else is quoted, as JSON does.
  const isPlain = /^[A-Za-z/][\w ./()-]*$/.test(value) && value.trim() === value;
  return isPlain && !/^(true|false|yes|no|on|off|null|y|n)$/i.test(value)
    ? value
    : JSON.stringify(value);
}

/** Keys that two stack files do not agree on; secrets and the engine's own are not compared. */
export function differences(existing: string, config: Readonly<Record<string, unknown>>): string[] {
  const own = ((parse(existing) as { config?: object } | null)?.config ?? {}) as Record<
    string,
    unknown
  >;
  const former = flatten(
    Object.fromEntries(
      Object.entries(own)
        .filter(([, value]) => !isSecret(value))
        .map(([key, value]) => [key.replace(/^immich-ml:/, ""), value]),
    ),
  );
  const wanted = flatten(config);
  const keys = [...new Set([...former.keys(), ...wanted.keys()])].sort();
  return keys
    .filter((key) => former.get(key) !== wanted.get(key))
    .map((key) => `${key}: ${former.get(key) ?? "nothing"} -> ${wanted.get(key) ?? "nothing"}`);
}

function isSecret(value: unknown): boolean {
  return typeof value === "object" && value !== null && "secure" in value;
}

function flatten(value: unknown, prefix = ""): Map<string, string> {
  if (typeof value !== "object" || value === null) return new Map([[prefix, String(value)]]);
  const fields = Object.entries(value).map(([name, each]) =>
    flatten(each, prefix === "" ? name : `${prefix}.${name}`),
  );
  return new Map(fields.flatMap((map) => [...map]));
}

/** The lines of a stack file that belong to the engine: the salt and the secrets. */
export function engineLines(text: string): { readonly salt: string; readonly secrets: string } {
  const salt = /^encryption\w+: .*$/m.exec(text)?.[0] ?? "";
  const secrets = text.match(/^ {2}immich-ml:\w+:\n {4}secure: .*$/gm)?.join("\n") ?? "";
  return { salt, secrets };
}
