import { sanitize } from "../util/sanitize";

/** The variables of an env file, and what is wrong with it. */
export interface EnvFile {
  /** In the order of the file; a later line wins. */
  readonly variables: ReadonlyMap<string, string>;
  readonly problems: readonly EnvFileProblem[];
}

export interface EnvFileProblem {
  /** Line of the file, counted from 1. */
  readonly line: number;
  readonly message: string;
}

/** Characters of a message; the `message` of `${NAME:?message}` may be of any length. */
const maxMessageLength = 300;

/** Bytes of one variable, `MAX_ARG_STRLEN` of Linux: a process with more does not start. */
const maxVariableLength = 128 * 1024;

/** Of `${A:-${B:-…}}`: each level is read again for every level around it. */
const maxNesting = 100;

/**
 * Reads an env file as docker compose reads an `env_file`: comments, `export`, `KEY=value` and
 * `KEY: value`, single quotes taken literally, double quotes with escapes, either over several lines,
 * and `${NAME}`, `${NAME:-default}`, `${NAME:+other}`, `${NAME:?message}`.
 *
 * dotenv with dotenv-expand cannot stand in: they read `#`, escapes, `$$` and single quotes in another
 * way, report no errors, and run the commands in `$(…)`.
 *
 * @param environment what `${NAME}` stands for where the file does not set it
 */
export function parseEnvFile(
  text: string,
  environment: Readonly<Record<string, string | undefined>> = {},
): EnvFile {
  const variables = new Map<string, string>();
  const problems: EnvFileProblem[] = [];
  const inherited: LookUp = (name) =>
    Object.hasOwn(environment, name) ? environment[name] : undefined;
  const lookUp: LookUp = (name) => variables.get(name) ?? inherited(name);

  const source = text.replace(/^\uFEFF/, "").replace(/\r\n?/g, "\n");
  let line = 1;
  for (let start = 0, end; start < source.length; start = end + 1) {
    const entry = readEntry(source, start);
    end = entry.end;
    try {
      if (entry.error) throw new Error(entry.error);
      const value = entry.value ? valueOf(entry.value, lookUp) : inherited(entry.name ?? "");
      if (entry.name && value !== undefined) variables.set(entry.name, value);
    } catch (error) {
      const message = [...(entry.name ? [entry.name] : []), (error as Error).message].join(": ");
      problems.push({ line, message: sanitize(message, maxMessageLength) });
    }
    line += source.slice(start, end + 1).split("\n").length - 1;
  }
  return { variables, problems };
}

interface Entry {
  /** Index of the line feed behind it. */
  readonly end: number;
  /** Undefined for an empty line, a comment and an unreadable line. */
  readonly name?: string;
  /** Undefined for a name alone: it takes the value of the environment. */
  readonly value?: { readonly quote: "'" | '"' | ""; readonly text: string };
  readonly error?: string;
}

function readEntry(source: string, start: number): Entry {
  const endOfLine = endOfLineAt(source, start);
  const text = source.slice(start, endOfLine).trimStart();
  if (text === "" || text.startsWith("#")) return { end: endOfLine };

  const [, name, rest] = /^(?:export[ \t]+)?([\w.[\]-]+)[ \t]*(.*)$/s.exec(text) ?? [];
  if (name === undefined || !/^([=:#]|$)/.test(rest!)) {
    return { end: endOfLine, error: "expected NAME=value" };
  }
  if (!/^[=:]/.test(rest!)) return { end: endOfLine, name };

  const given = rest!.replace(/^.[ \t]*/, "");
  const quote = given[0];
  if (quote !== "'" && quote !== '"') {
    const uncommented = given.replace(/[ \t]#.*$/s, "").trimEnd();
    return { end: endOfLine, name, value: { quote: "", text: uncommented } };
  }
  const opening = endOfLine - given.length;
  let closing = opening + 1;
  while (closing < source.length && source[closing] !== quote) {
    closing += source[closing] === "\\" ? 2 : 1;
  }
  if (closing >= source.length) {
    return { end: endOfLine, name, error: "opens a quote and never closes it" };
  }
  const end = endOfLineAt(source, closing);
  if (!/^\s*(#|$)/.test(source.slice(closing + 1, end))) {
    return { end, name, error: "continues after its closing quote" };
  }
  return { end, name, value: { quote, text: source.slice(opening + 1, closing) } };
}

function endOfLineAt(source: string, from: number): number {
  const index = source.indexOf("\n", from);
  return index === -1 ? source.length : index;
}

const escapes: Readonly<Record<string, string>> = {
  a: "\u0007",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  '"': '"',
  "\\": "\\",
  // Doubled, since the interpolation makes one dollar sign of two.
  $: "$$",
};

type LookUp = (name: string) => string | undefined;

function valueOf({ quote, text }: NonNullable<Entry["value"]>, lookUp: LookUp): string {
  const value =
    quote === "'"
      ? text.replaceAll("\\'", "'")
      : interpolate(
          quote === ""
            ? text
            : text.replace(/\\([abfnrtv"\\$])/g, (_, letter: string) => escapes[letter]!),
          lookUp,
        );
  if (value.includes("\0"))
    throw new Error("contains a NUL character, which a variable cannot hold");
  return ofPossibleLength(value);
}

function ofPossibleLength(value: string): string {
  if (value.length < maxVariableLength) return value;
  throw new Error("is longer than 128 KiB, the longest variable that Linux accepts");
}

function interpolate(text: string, lookUp: LookUp, depth = 0): string {
  if (depth > maxNesting) throw new Error(`nests deeper than ${maxNesting} \${…}`);
  const part = /\$\$|\$([A-Za-z_]\w*)|\$\{|\$|[^$]+/y;
  let result = "";
  while (part.lastIndex < text.length) {
    const [matched, name] = part.exec(text)!;
    if (name) {
      result += lookUp(name) ?? "";
    } else if (matched === "${") {
      const end = closingBrace(text, part.lastIndex);
      result += substitute(text.slice(part.lastIndex, end), lookUp, depth + 1);
      part.lastIndex = end + 1;
    } else {
      result += matched === "$$" ? "$" : matched;
    }
    // Checked at each step: values that double line by line would fill the memory first.
    ofPossibleLength(result);
  }
  return result;
}

function substitute(expression: string, lookUp: LookUp, depth: number): string {
  const match = /^([A-Za-z_]\w*)(?:(:?)([-+?])(.*))?$/s.exec(expression);
  if (!match) throw new Error("a ${…} that cannot be read");
  const [, name, colon, operator, operand = ""] = match;
  const value = lookUp(name!);
  const isSet = colon ? Boolean(value) : value !== undefined;
  if (operator === "+") return isSet ? interpolate(operand, lookUp, depth) : "";
  if (isSet || !operator) return value ?? "";
  if (operator === "?") throw new Error(`${name} is required: ${operand}`);
  return interpolate(operand, lookUp, depth);
}

function closingBrace(text: string, from: number): number {
  let depth = 1;
  for (let index = from; index < text.length; index += 1) {
    if (text.startsWith("${", index)) depth += 1;
    if (text[index] === "}" && --depth === 0) return index;
  }
  throw new Error("a ${ that is never closed");
}
