import { distance } from "fastest-levenshtein";

import { nearestNames } from "../util/nearestNames";
import { withoutCredentials } from "../util/sanitize";
import type { AcceleratorName } from "./accelerators";
import {
  environmentSettings,
  newestReleaseRead,
  type EnvironmentSetting,
  type ValueType,
  type VariableName,
} from "./environment";
import { findRuntimeVariable, foreignVariables, runtimeVariables } from "./runtimeVariables";
import { atLeast, formatImmichVersion, type ImmichVersion } from "./immichVersion";

export type EnvironmentValue = string | number | boolean;

/** An error in the environment of a stack file. */
export interface EnvironmentProblem {
  /** The setting's name as the stack file spells it. */
  readonly name: string;
  readonly message: string;
}

export interface RenderedEnvironment {
  /** The container's variables, sorted by name. */
  readonly variables: Record<string, string>;
  readonly problems: readonly EnvironmentProblem[];
  /** What the user should know though nothing is wrong. */
  readonly notes: readonly string[];
}

/**
 * Turns the environment of a stack file into the container's variables.
 *
 * @param settings by the names of the table (`modelTtl`) or the variables' own (`MACHINE_LEARNING_MODEL_TTL`)
 */
export function renderEnvironment(
  settings: Readonly<Record<string, EnvironmentValue>>,
  immichVersion: ImmichVersion,
  accelerator: AcceleratorName,
): RenderedEnvironment {
  const variables = new Map<string, string>();
  const problems: EnvironmentProblem[] = [];
  const notes: string[] = [];
  for (const [name, value] of Object.entries(settings)) {
    const rendered = renderSetting(name, value, immichVersion, accelerator);
    if ("problem" in rendered) {
      problems.push({ name, message: rendered.problem });
    } else if (isGiven(variables, name, rendered.variable)) {
      const message = `given twice: ${find(name)?.row.setting} and ${rendered.variable}`;
      problems.push({ name, message });
    } else {
      variables.set(rendered.variable, rendered.text);
      if (rendered.note) notes.push(rendered.note);
    }
  }
  const missing = missingBatchSize(variables, immichVersion);
  return {
    variables: Object.fromEntries(
      [...variables, ...(missing?.variables ?? [])].sort(([a], [b]) => (a < b ? -1 : 1)),
    ),
    problems,
    notes: [...notes, ...(missing?.notes ?? [])],
  };
}

/** What an env file's variables mean to the ML server; it may hold those of other programs, too. */
export function checkEnvironmentFile(
  variables: Readonly<Record<string, string>>,
  immichVersion: ImmichVersion,
  accelerator: AcceleratorName,
): Pick<RenderedEnvironment, "problems" | "notes"> {
  const known: Record<string, string> = {};
  const notes: string[] = [];
  for (const [name, value] of Object.entries(variables)) {
    const row = find(name)?.variable && find(name)!.row;
    const isImmichs = /^(MACHINE_LEARNING|IMMICH)_/.test(name);
    const isUnset = value === "" && !isImmichs;
    if (row?.fallsBack && !isAllowed(row.type, value)) {
      notes.push(`${name} is not ${allowed(row.type)}, so the server takes its standard`);
    } else if ((row ?? Object.hasOwn(runtimeVariables, name)) && !isUnset) {
      known[name] = value;
    } else if (name.startsWith("MACHINE_LEARNING_")) {
      const [nearest] = nearestNames(name, namesOfVariables());
      const hint = nearest ? `; did you mean ${nearest}?` : "";
      notes.push(`${name} is not a variable of the ML server that this program knows${hint}`);
    }
  }
  const { problems, notes: more } = renderEnvironment(known, immichVersion, accelerator);
  return { problems, notes: [...notes, ...more.filter((note) => !note.includes(" is added: "))] };
}

/** The port the ML server listens on, by the container's variables. @default 3003 */
export function servicePort(
  variables: Readonly<Record<string, string>>,
  version: ImmichVersion,
): number {
  const { row } = find("port")!;
  const name = row.names.find((candidate) => isReadBy(candidate, version))!;
  return Number(variables[name.variable] ?? 3003);
}

/**
 * Whether logs and plain state must not show a variable's value: true for every variable that is not
 * known to be harmless, since Immich's `.env` also holds the database's password.
 */
export function isSecretVariable(variable: string): boolean {
  const known = knownVariable(variable);
  return known?.secret ?? !known;
}

/** The same for a variable that a stack file declares in clear: true where it holds a credential. */
export function holdsCredential(variable: string): boolean {
  return knownVariable(variable)?.secret ?? false;
}

function knownVariable(variable: string): { readonly secret?: boolean } | undefined {
  const row = find(variable);
  if (row?.variable) return row.row;
  return Object.hasOwn(runtimeVariables, variable) ? runtimeVariables[variable] : undefined;
}

/** Whether a name is that of a setting, or of a variable that one stands for. */
export function isSetting(name: string): boolean {
  return find(name) !== undefined;
}

/** Whether a variable, or another name of its setting, has a value already. */
function isGiven(variables: ReadonlyMap<string, string>, name: string, variable: string): boolean {
  const names = find(name)?.row.names.map((each) => each.variable) ?? [variable];
  return names.some((each) => variables.has(each));
}

type Rendered =
  | { readonly variable: string; readonly text: string; readonly note?: string | undefined }
  | { readonly problem: string };

function renderSetting(
  name: string,
  value: EnvironmentValue,
  version: ImmichVersion,
  accelerator: AcceleratorName,
): Rendered {
  const found = find(name);
  if (!found) {
    const ofRuntime = renderRuntimeVariable(name, String(value), accelerator);
    if (ofRuntime) return ofRuntime;
    if (!mayBeNewer(name, version)) return { problem: unknownName(name) };
    const note = `${name} is passed on unchecked: this program knows the variables up to v${newestReleaseRead}`;
    return { variable: name, text: String(value), note };
  }
  const { row } = found;
  const current = row.names.find((candidate) => isReadBy(candidate, version));
  const used = found.variable ?? current;
  if (!current || !used || !isReadBy(used, version)) {
    return { problem: notInRelease(row, version) };
  }
  const { variable } = used;
  const text = String(value);
  if (!isAllowed(row.type, text)) {
    const harmless = typeof value === "string" ? withoutCredentials(value) : value;
    const shown = row.secret ? "the value" : JSON.stringify(harmless);
    return { problem: `${shown} is not ${allowed(row.type)}` };
  }
  const reason = ignoredReason(row, accelerator);
  return { variable, text, note: reason && `${variable}=${text} has no effect: ${reason}` };
}

/** A variable of a runtime below Immich. One that is not known by its full name is not checked. */
function renderRuntimeVariable(
  name: string,
  text: string,
  accelerator: AcceleratorName,
): Rendered | undefined {
  const row = findRuntimeVariable(name);
  if (!row) return undefined;
  const { purpose, pattern, onlyFor, secret } = row;
  if (!Object.hasOwn(runtimeVariables, name)) {
    const [meant] = nearestNames(name, Object.keys(runtimeVariables)).filter(
      (near) => distance(near, name) <= 2 && !near.endsWith("*"),
    );
    if (meant) return { problem: `not a variable this program knows; did you mean ${meant}?` };
    const note = `${name} (${purpose}) is passed on as it is; nothing checks it`;
    return { variable: name, text, note };
  }
  if (pattern?.test(text) === false) {
    const shown = secret ? "the value" : JSON.stringify(withoutCredentials(text));
    return { problem: `${shown} is not ${row.allowed}` };
  }
  const isIgnored = onlyFor && !onlyFor.includes(accelerator);
  const note = `${name}=${text} has no effect: only ${onlyFor?.join(" and ")} reads it`;
  return { variable: name, text, note: isIgnored ? note : undefined };
}

/** The row a name belongs to, and the variable where it is a variable's own name. */
function find(
  name: string,
): { row: EnvironmentSetting; variable: VariableName | undefined } | undefined {
  for (const row of environmentSettings) {
    const variable = row.names.find((candidate) => candidate.variable === name);
    if (variable || row.setting === name) return { row, variable };
  }
  return undefined;
}

function isReadBy({ since, until }: VariableName, version: ImmichVersion): boolean {
  return (!since || atLeast(version, since)) && !(until && atLeast(version, until));
}

/** Whether a release newer than the table may read the variable. */
function mayBeNewer(name: string, version: ImmichVersion): boolean {
  const [major, minor] = newestReleaseRead.split(".").map(Number);
  return name.startsWith("MACHINE_LEARNING_") && atLeast(version, `${major}.${minor! + 1}.0`);
}

function unknownName(name: string): string {
  const foreign = foreignVariables.find(({ pattern }) => pattern.test(name));
  if (foreign) return `not a setting of the ML container: ${foreign.instead}`;
  const settings = environmentSettings.map(({ setting }) => setting);
  const runtimes = Object.keys(runtimeVariables).filter((each) => !each.endsWith("*"));
  const [nearest] = nearestNames(name, [...settings, ...namesOfVariables(), ...runtimes]);
  const hint = nearest
    ? `did you mean ${nearest}? Otherwise put it under uncheckedEnvironment`
    : `known are ${settings.join(", ")}; any other variable belongs under uncheckedEnvironment`;
  return `not a setting of the ML container; ${hint}`;
}

function namesOfVariables(): string[] {
  return environmentSettings.flatMap(({ names }) => names.map((each) => each.variable));
}

function notInRelease(
  { setting, names, replacedBy }: EnvironmentSetting,
  version: ImmichVersion,
): string {
  const releases = names.map(({ variable, since, until }) =>
    [variable, since && `since v${since}`, until && `before v${until}`].filter(Boolean).join(" "),
  );
  const isGone = names.every(({ until }) => until && atLeast(version, until));
  const instead = isGone
    ? replacedBy && `now ${replacedBy}`
    : `as ${setting} the right one is chosen`;
  const hint = instead ? ` (${instead})` : "";
  return `Immich ${formatImmichVersion(version)} does not read it; there is ${releases.join(", and ")}${hint}`;
}

function isAllowed(type: ValueType, text: string): boolean {
  switch (type.kind) {
    case "integer": {
      const number = Number(text);
      const { minimum, maximum = Number.MAX_SAFE_INTEGER } = type;
      const isInteger = /^-?\d+$/.test(text) && Number.isSafeInteger(number);
      return isInteger && number >= minimum && number <= maximum;
    }
    case "boolean":
      // The words pydantic reads as a boolean.
      return /^(true|false|1|0|yes|no|on|off)$/i.test(text);
    case "choice":
      return type.allowed.includes(text);
    case "text":
      return text !== "" && type.pattern?.test(text) !== false;
  }
}

function allowed(type: ValueType): string {
  switch (type.kind) {
    case "integer":
      return type.maximum === undefined
        ? `a whole number of ${type.minimum} or more`
        : `a whole number from ${type.minimum} to ${type.maximum}`;
    case "boolean":
      return "true or false";
    case "choice":
      return `one of ${type.allowed.join(", ")}`;
    case "text":
      return type.allowed;
  }
}

function ignoredReason(row: EnvironmentSetting, accelerator: AcceleratorName): string | undefined {
  if (row.onlyFor?.includes(accelerator)) return undefined;
  return row.ignoredReason ?? (row.onlyFor && `only ${row.onlyFor.join(" and ")} reads it`);
}

/**
 * v2.2.0 to v2.5.x read the batch size of OCR from the section that holds that of faces, so OCR has
 * none at all where only that of faces is set (fixed by immich#26524).
 */
function missingBatchSize(variables: ReadonlyMap<string, string>, version: ImmichVersion) {
  const faces = "MACHINE_LEARNING_MAX_BATCH_SIZE__FACIAL_RECOGNITION";
  const text = "MACHINE_LEARNING_MAX_BATCH_SIZE__TEXT_RECOGNITION";
  const isAffected = atLeast(version, "2.2.0") && !atLeast(version, "2.6.0");
  if (!isAffected || !variables.has(faces) || variables.has(text)) return undefined;
  const note = `${text}=6 is added: without it Immich ${formatImmichVersion(version)} breaks OCR when ${faces} is set (immich#26524)`;
  return { variables: [[text, "6"]] as const, notes: [note] };
}
