import { z } from "zod";

import { hostSchema, stackSchema } from "../../config/schema";
import * as values from "../../config/values";
import { chineseHeadings, chineseHostRows, type ChineseRow, chineseStackRows } from "./chinese";
import { hostGroups, type SettingGroup, type SettingRow, stackGroups } from "./english";

/*
 * The tables of both pages on settings: which settings there are, their types and their defaults come from
 * the schema, the words from english.ts and chinese.ts.
 */

/** A setting, and what the schema says of it. */
export interface Setting {
  readonly name: string;
  readonly schema: z.ZodType;
  /** Undefined for a setting without one. */
  readonly standard: unknown;
  readonly isRequired: boolean;
}

/** Secrets of the stack, which the schema of the stack file does not hold. */
const secrets = ["databasePassword", "immichApiKey"];

export const stackSettings = settingsIn(stackSchema.omit({ hosts: true }));
export const hostSettings = settingsIn(hostSchema);

function settingsIn(schema: z.ZodType, name = "", isOptional = false): readonly Setting[] {
  const { inner, standard, isRequired } = unwrapped(schema);
  const mayLack = isOptional || !isRequired;
  if (inner instanceof z.ZodObject) {
    return Object.entries(inner.shape as Record<string, z.ZodType>).flatMap(([key, child]) =>
      settingsIn(child, name === "" ? key : `${name}.${key}`, name !== "" && mayLack),
    );
  }
  return [{ name, schema: inner, standard, isRequired: !mayLack }];
}

function unwrapped(schema: z.ZodType): {
  readonly inner: z.ZodType;
  readonly standard: unknown;
  readonly isRequired: boolean;
} {
  if (schema instanceof z.ZodDefault) {
    const { inner } = unwrapped(schema.unwrap() as z.ZodType);
    return { inner, standard: schema.def.defaultValue, isRequired: false };
  }
  if (schema instanceof z.ZodOptional) {
    return { ...unwrapped(schema.unwrap() as z.ZodType), isRequired: false };
  }
  return { inner: schema, standard: undefined, isRequired: true };
}

interface Language {
  readonly title: readonly string[];
  readonly required: string;
  readonly none: string;
  readonly comma: string;
  readonly units: Readonly<Record<string, string>>;
  readonly kinds: ReadonlyMap<z.ZodType, string>;
}

const english: Language = {
  title: ["Setting", "What it does", "Values", "Default", "Since"],
  required: "required",
  none: "none",
  comma: ", ",
  units: { MiB: " MiB", "MiB beside memory": " MiB", seconds: " seconds" },
  kinds: new Map<z.ZodType, string>([
    [values.dockerName, "name"],
    [values.volumeName, "name"],
    [values.imageReference, "`name:tag`, `name@sha256:…`"],
    [values.tlsFolder, "path of a folder"],
    [values.url, "URL"],
    [values.urlWithoutUser, "URL"],
    [values.endpoint, "as a host's `dockerHost`"],
  ]),
};

const chinese: Language = {
  title: ["设置", "含义", "取值", "默认值", "起始版本"],
  required: "必填",
  none: "无",
  comma: "、",
  units: { MiB: " MiB", "MiB beside memory": " MiB", seconds: " 秒" },
  kinds: new Map<z.ZodType, string>([
    [values.dockerName, "名称"],
    [values.volumeName, "名称"],
    [values.imageReference, "`name:tag`、`name@sha256:…`"],
    [values.tlsFolder, "文件夹的路径"],
    [values.url, "URL"],
    [values.urlWithoutUser, "URL"],
    [values.endpoint, "同主机的 `dockerHost`"],
  ]),
};

/** The tables for the part of a page that begins with `<!-- settings: PART -->`. */
export function settingTables(part: "stack" | "host", language: "English" | "Chinese"): string {
  const [groups, settings] =
    part === "stack" ? [stackGroups, stackSettings] : [hostGroups, hostSettings];
  const translations = part === "stack" ? chineseStackRows : chineseHostRows;
  checkNames(groups, settings, translations, part === "stack" ? secrets : []);
  return groups
    .map((group) =>
      language === "English"
        ? section(group, settings, english)
        : section(translated(group, translations), settings, chinese),
    )
    .join("\n\n");
}

function section(group: SettingGroup, settings: readonly Setting[], language: Language): string {
  const rows = Object.entries(group.rows).map(([name, row]) => {
    const setting = settings.find((candidate) => candidate.name === name);
    const cells = [
      row.meaning,
      row.values ?? valuesOf(setting!.schema, language, name),
      row.standard ?? standardOf(setting!, language),
      row.since ?? "0.1.0",
    ];
    return [`\`${name}\``, ...cells].join(" | ");
  });
  const { title } = language;
  return [
    `### ${group.heading}`,
    ...(group.intro === undefined ? [] : ["", group.intro]),
    "",
    `| ${title.join(" | ")} |`,
    `|${"---|".repeat(title.length)}`,
    ...rows.map((row) => `| ${row} |`),
  ].join("\n");
}

/** What may be written, from the schema. */
function valuesOf(schema: z.ZodType, { kinds, units, comma }: Language, name: string): string {
  const kind = kinds.get(schema);
  if (kind !== undefined) return kind;
  if (schema instanceof z.ZodBoolean) return ["`true`", "`false`"].join(comma);
  if (schema instanceof z.ZodEnum) {
    return schema.options.map((option) => `\`${option}\``).join(comma);
  }
  if (schema instanceof z.ZodNumber) {
    const { minValue, maxValue } = schema;
    const [, unit = ""] = /\((.+)\)$/.exec(String(z.globalRegistry.get(schema)?.allowed)) ?? [];
    return `${minValue}–${maxValue}${units[unit] ?? ""}`;
  }
  throw new Error(`docs/settings/english.ts: ${name} needs values`);
}

function standardOf({ standard, isRequired }: Setting, { required, none }: Language): string {
  if (["string", "number", "boolean"].includes(typeof standard)) return `\`${String(standard)}\``;
  return isRequired ? required : none;
}

/** The group in Chinese. Cells that are only code or numbers are the same in both. */
function translated(
  { heading, rows }: SettingGroup,
  translations: Readonly<Record<string, ChineseRow>>,
): SettingGroup {
  const same = (text: string | undefined) =>
    text === undefined || /^(`[^`]+`(, )?|[≥–\d. ]+|–)+$/.test(text);
  const inChinese = ([name, row]: readonly [string, SettingRow]): [string, SettingRow] => {
    const {
      values: ownValues = row.values,
      standard = row.standard,
      meaning,
    } = translations[name]!;
    for (const text of [ownValues, standard])
      if (text === row.values || text === row.standard) {
        if (!same(text)) throw new Error(`docs/settings/chinese.ts: ${name} lacks "${text}"`);
      }
    const withCommas = (text: string) => text.replaceAll("`, `", "`、`");
    return [
      name,
      {
        meaning,
        ...(ownValues !== undefined && { values: withCommas(ownValues) }),
        ...(standard !== undefined && { standard: withCommas(standard) }),
        ...(row.since !== undefined && { since: row.since }),
      },
    ];
  };
  return {
    ...chineseHeadings[heading]!,
    rows: Object.fromEntries(Object.entries(rows).map(inChinese)),
  };
}

/** Throws where a setting has no row, a row no setting, or a row no translation. */
function checkNames(
  groups: readonly SettingGroup[],
  settings: readonly Setting[],
  translations: Readonly<Record<string, ChineseRow>>,
  others: readonly string[],
): void {
  const rows = groups.flatMap((group) => Object.keys(group.rows)).sort();
  const expected = [...settings.map(({ name }) => name), ...others].sort();
  const differ = (left: readonly string[], right: readonly string[]) =>
    left.filter((name) => !right.includes(name));
  const faults = [
    ...differ(expected, rows).map((name) => `${name} has no row in docs/settings/english.ts`),
    ...differ(rows, expected).map((name) => `${name} is no setting: docs/settings/english.ts`),
    ...differ(rows, Object.keys(translations)).map(
      (name) => `${name} has no row in docs/settings/chinese.ts`,
    ),
    ...differ(Object.keys(translations), rows).map(
      (name) => `${name} is no setting: docs/settings/chinese.ts`,
    ),
  ];
  if (faults.length > 0) throw new Error(faults.join("\n"));
}
