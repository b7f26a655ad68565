import { readFileSync } from "node:fs";
import path from "node:path";

import type { QueueStatus, SettingStatus } from "../../verify/status";
import { chip, notKnown, type Row, section, table, time } from "./elements";
import { hostSection } from "./hostSection";
import { html, Html } from "./html";
import { overviewOf } from "./modelFit";
import { modelSection } from "./modelSection";
import type { Operation, ReportData } from "./reportData";
import { verdictOf } from "./verdict";
import { videoMemorySection } from "./videoMemory";

/** The whole report as one HTML document that loads nothing and runs no script. */
export function page(data: ReportData): string {
  const hosts = data.hosts.answer ?? [];
  const memories = hosts.flatMap(({ gpu }) => gpu?.videoMemory ?? []);
  const smallest = memories.length > 0 ? Math.min(...memories) : undefined;
  const declared = Object.fromEntries(data.settings.map(({ key, declared }) => [key, declared]));
  const models = overviewOf(declared, smallest, data.immichVersion);
  const title = data.stack.answer === undefined ? "immich-ml" : `Stack ${data.stack.answer}`;
  const style = new Html(readFileSync(path.join(__dirname, "page.css"), "utf8"));

  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta
          http-equiv="Content-Security-Policy"
          content="default-src 'none'; style-src 'unsafe-inline'; img-src data:"
        />
        <meta name="referrer" content="no-referrer" />
        <link rel="icon" href="data:," />
        <title>${title} · immich-ml</title>
        <style>
          ${style}
        </style>
      </head>
      <body>
        <header>
          <p>
            ${title}${data.immichVersion && ` · for Immich ${data.immichVersion}`} · as it was on
            ${time(data.made)}
          </p>
          ${verdictPanel(data)}
        </header>
        <main>
          ${hostSection(data)} ${modelSection(models, data, smallest)} ${videoMemorySection(data)}
          ${immichSection(data)} ${historySection(data)}
        </main>
        <footer>What did not answer is marked as not known.</footer>
      </body>
    </html> `.text;
}

function verdictPanel(data: ReportData): Html {
  const { tone, title, findings } = verdictOf(data);
  return html`<div class="verdict ${tone}">
    <h1>${title}</h1>
    <ul>
      ${findings.map(
        (finding) =>
          html`<li>
            ${finding.title !== title && html`<strong class="${finding.tone}">${finding.title}</strong>: `}${finding.text}
            ${finding.whatToDo !== undefined && html`<div>${finding.whatToDo}</div>`}
          </li>`,
      )}
    </ul>
  </div>`;
}

/** Only with Immich's API is it known what Immich has; else the declared values stand alone. */
function immichSection({ settings, queues, immichProblem }: ReportData): Html | undefined {
  if (settings.length === 0) return undefined;
  const isCompared = settings.some(({ agrees }) => agrees !== undefined);
  return section(
    "Immich's settings",
    html`<div class="panel">
      ${table(
        ["Setting", "Declared", ...(isCompared ? ["In Immich"] : [])],
        settings.map((setting) => settingRow(setting, isCompared)),
      )}
      ${queues.length > 0 && table(["Queue", "#Waiting", "#Active", "#Failed"], queues.map(queueRow))}
      ${immichProblem !== undefined && html`<p class="problem">${immichProblem}</p>`}
    </div>`,
  );
}

function settingRow({ key, declared, actual, agrees }: SettingStatus, isCompared: boolean): Row {
  const agreement = agrees
    ? chip("the same", "good")
    : html`${chip("differs", "bad")} <code>${asJson(actual)}</code>`;
  return {
    cells: [
      key.replace(/^machineLearning\./, ""),
      html`<code>${asJson(declared)}</code>`,
      ...(isCompared ? [agreement] : []),
    ],
  };
}

function queueRow({ queue, waiting, active, failed }: QueueStatus): Row {
  return { cells: [queue, waiting, active, failed] };
}

function historySection({ history }: ReportData): Html {
  const operations = history.answer ?? [];
  return section(
    "History",
    history.unknown !== undefined
      ? notKnown(history.unknown)
      : operations.length === 0
        ? notKnown("nothing has been deployed yet")
        : html`<div class="panel">
            ${table(["When", "What", "Changes"], operations.map(operationRow))}
          </div>`,
  );
}

function operationRow({ kind, result, message, began, ended, changes }: Operation): Row {
  const counts = Object.entries(changes)
    .filter(([, count]) => count > 0)
    .sort(([left], [right]) => Number(left === "same") - Number(right === "same"))
    .map(([name, count]) => `${count} ${name}`);
  const seconds = ended && Math.round((ended.getTime() - began.getTime()) / 1000);
  const tone = result === "succeeded" ? "good" : result === "failed" ? "bad" : undefined;
  return {
    cells: [
      html`${time(began)}${seconds !== undefined && html` <span class="note">${seconds} s</span>`}`,
      html`${kind} ${chip(result, tone)} ${message && html`<div>${message.split("\n")[0]}</div>`}`,
      counts.length > 0 ? counts.join(", ") : "none",
    ],
  };
}

function asJson(value: unknown): string {
  return JSON.stringify(value) ?? "nothing";
}
