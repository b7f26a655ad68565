import { sanitize } from "../util/sanitize";

/**
 * Reads `.env` files as docker compose reads an `env_file`: comments, `export`, `KEY=value` and
 * `KEY: value`, single quotes taken as they stand, double quotes with escapes and over several
 * lines, and `${NAME}`, `${NAME:-default}`, `${NAME:+other}`, `${NAME:?message}` with what stands
 * above or in `environment`.
 */
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

const keyPattern = /^(?:export[ \t]+)?([A-Za-z0-9_.[\]-]+)[ \t]*([=:])[ \t]*/;

export function parseEnvFile(
  text: string,
  environment: Readonly<Record<string, string | undefined>> = {},
): EnvFile {
  const variables = new Map<string, string>();
  const problems: EnvFileProblem[] = [];
  const inherited = (name: string) =>
    Object.hasOwn(environment, name) ? environment[name] : undefined;
  const lookUp = (name: string) => variables.get(name) ?? inherited(name);

  const source = text.replace(/^\uFEFF/, "").replace(/\r\n?/g, "\n");
  let position = 0;
  let line = 1;
  while (position < source.length) {
    const endOfLine = indexOrEnd(source, "\n", position);
    const start = position + leadingBlanks(source.slice(position, endOfLine));
    const rest = source.slice(start, endOfLine);
    if (rest === "" || rest.startsWith("#")) {
      position = endOfLine + 1;
      line += 1;
      continue;
    }

    const match = keyPattern.exec(rest);
    if (!match) {
      // A name alone takes the value of the surrounding environment, as in docker compose.
      const bare = /^(?:export[ \t]+)?([A-Za-z0-9_.[\]-]+)[ \t]*(?:#.*)?$/.exec(rest);
      if (bare) {
        const value = inherited(bare[1]!);
        if (value !== undefined) variables.set(bare[1]!, value);
      } else {
        problems.push({ line, message: "expected NAME=value" });
      }
      position = endOfLine + 1;
      line += 1;
      continue;
    }

    const valueAt = start + match[0].length;
    const value = readValue(source, valueAt, endOfLine);
    if (value.fault) {
      problems.push({ line, message: `the value of ${match[1]} ${value.fault}` });
    } else {
      try {
        const text = value.literal ? value.text : interpolate(value.text, lookUp);
        variables.set(match[1]!, passable(text));
      } catch (error) {
        problems.push({
          line,
          message: sanitize(`${match[1]}: ${(error as Error).message}`, maxMessageLength),
        });
      }
    }
    line += countLines(source, position, value.end) + 1;
    position = value.end + 1;
  }
  return { variables, problems };
}

/** Characters of a message; the `message` of `${NAME:?message}` may be of any length. */
const maxMessageLength = 300;

/** Bytes of one variable, `MAX_ARG_STRLEN` of Linux: a process with more is not started. */
const maxVariableLength = 128 * 1024;

/** Of `${A:-${B:-…}}`; each of them is read anew for every one around it. */
const deepestNesting = 100;

function passable(text: string): string {
  if (text.includes("\0")) throw new Error("holds a NUL character, which no variable may");
  if (text.length >= maxVariableLength) throw new Error(tooLong);
  return text;
}

const tooLong = "is longer than 128 KiB, which Linux takes for no variable";

interface RawValue {
  readonly text: string;
  /** Single quotes: nothing in it is replaced. */
  readonly literal: boolean;
  /** Index of the line feed that ends the value. */
  readonly end: number;
  readonly fault?: string;
}

function readValue(source: string, start: number, endOfLine: number): RawValue {
  const quote = source[start];
  if (quote === "'" || quote === '"') {
    let index = start + 1;
    while (index < source.length && source[index] !== quote) {
      index += source[index] === "\\" ? 2 : 1;
    }
    if (index >= source.length) {
      const fault = "opens a quote and never closes it";
      return { text: "", literal: true, end: endOfLine, fault };
    }
    const inner = source.slice(start + 1, index);
    const text = quote === "'" ? inner.replaceAll("\\'", "'") : expandEscapes(inner);
    const end = indexOrEnd(source, "\n", index);
    const value = { text, literal: quote === "'", end };
    const rest = source.slice(index + 1, end).trim();
    const closed = rest === "" || rest.startsWith("#");
    return closed ? value : { ...value, fault: "goes on after its closing quote" };
  }
  const unquoted = source.slice(start, endOfLine);
  const comment = /[ \t]#/.exec(unquoted);
  const text = (comment ? unquoted.slice(0, comment.index) : unquoted).trimEnd();
  return { text, literal: false, end: endOfLine };
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
  // Doubled, so that the interpolation that follows makes it one plain dollar sign.
  $: "$$",
};

function expandEscapes(text: string): string {
  return text.replace(/\\([abfnrtv"\\$])/g, (_whole, letter: string) => escapes[letter]!);
}

type LookUp = (name: string) => string | undefined;

function interpolate(text: string, lookUp: LookUp, depth = 0): string {
  if (depth > deepestNesting) throw new Error(`nests more than ${deepestNesting} \${…}`);
  let result = "";
  for (let index = 0; index < text.length;) {
    // Said here, since values that double line by line would fill the memory first.
    if (result.length >= maxVariableLength) throw new Error(tooLong);
    const rest = text.slice(index);
    if (rest.startsWith("$$")) {
      result += "$";
      index += 2;
      continue;
    }
    const plain = /^\$([A-Za-z_][A-Za-z0-9_]*)/.exec(rest);
    if (plain) {
      result += lookUp(plain[1]!) ?? "";
      index += plain[0].length;
      continue;
    }
    if (rest.startsWith("${")) {
      const end = closingBrace(rest);
      if (end === undefined) throw new Error("a ${ that is never closed");
      result += substitute(rest.slice(2, end), lookUp, depth + 1);
      index += end + 1;
      continue;
    }
    result += text[index];
    index += 1;
  }
  return result;
}

function substitute(expression: string, lookUp: LookUp, depth: number): string {
  const match = /^([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-+?])([\s\S]*))?$/.exec(expression);
  if (!match) throw new Error("a ${…} that cannot be read");
  const [, name, operator, operand = ""] = match;
  const value = lookUp(name!);
  const isSet = operator?.startsWith(":") ? Boolean(value) : value !== undefined;
  switch (operator?.at(-1)) {
    case "-":
      return isSet ? value! : interpolate(operand, lookUp, depth);
    case "+":
      return isSet ? interpolate(operand, lookUp, depth) : "";
    case "?":
      if (!isSet) throw new Error(`${name} is required: ${operand}`);
      return value!;
    default:
      return value ?? "";
  }
}

function closingBrace(text: string): number | undefined {
  let depth = 0;
  for (let index = 0; index < text.length; index += 1) {
    if (text.startsWith("${", index)) depth += 1;
    if (text[index] === "}" && --depth === 0) return index;
  }
  return undefined;
}

function indexOrEnd(text: string, needle: string, from: number): number {
  const index = text.indexOf(needle, from);
  return index === -1 ? text.length : index;
}

function leadingBlanks(text: string): number {
  return text.length - text.trimStart().length;
}

function countLines(text: string, from: number, to: number): number {
  return text.slice(from, to).split("\n").length - 1;
}
