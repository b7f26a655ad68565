import { readFileSync } from "node:fs";
import path from "node:path";

import type { BenchmarkResult, Figure } from "../../bench/support/results";
import type { QueueStatus, SettingStatus } from "../../verify/status";
import { chip, known, notKnown, numberColumn, section, table, time } from "./elements";
import { hostSection } from "./hostSection";
import { html, Html, type Part } from "./html";
import { type ModelOverview, overviewOf } from "./modelFit";
import { modelSection } from "./modelSection";
import type { Operation, ReportData } from "./reportData";

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
          <p>Immich's machine learning</p>
          <h1>${title}</h1>
          <p>
            ${data.immichVersion && `For Immich ${data.immichVersion} · `}as it was on
            ${time(data.made)}
          </p>
          ${tiles(data, models)}
        </header>
        <main>
          ${hostSection(data)} ${modelSection(models, data, smallest)} ${immichSection(data)}
          ${historySection(data)} ${benchmarkSection(data.benchmarks)}
        </main>
        <footer>
          Made by <code>npm run report</code>. What did not answer is marked as not known.
        </footer>
      </body>
    </html> `.text;
}

function tiles({ hosts, history, benchmarks }: ReportData, models: ModelOverview): Html {
  const all = hosts.answer ?? [];
  const figures = benchmarks.flatMap(({ figures }) => figures).filter(({ verdict }) => verdict);
  const met = figures.filter(({ verdict }) => verdict === "met").length;
  const last = history.answer?.[0];
  return html`<div class="tiles">
    ${tile("Hosts", all.length > 0 && `${all.filter(({ health }) => health === "healthy").length} of ${all.length} healthy`)}
    ${tile("Search model", models.chosen?.name)}
    ${tile("Last operation", last && `${last.kind}, ${last.result}`)}
    ${tile("Goals of the benchmarks", figures.length > 0 && `${met} of ${figures.length} met`)}
  </div>`;
}

function tile(title: string, value: Part): Html {
  return html`<div class="panel tile"><span>${title}</span><strong>${known(value)}</strong></div>`;
}

function immichSection({ settings, queues, immichProblem }: ReportData): Html {
  return section(
    "Immich's settings",
    html`<div class="panel">
      ${
        settings.length === 0
          ? notKnown("the stack declares nothing of Immich's configuration")
          : table(["Setting", "Declared", "In Immich"], settings.map(settingRow), true)
      }
      ${
        queues.length > 0 &&
        table(["Queue", ...["Waiting", "Active", "Failed"].map(numberColumn)], queues.map(queueRow))
      }
      ${immichProblem && html`<p class="problem">${immichProblem}</p>`}
    </div>`,
  );
}

function settingRow({ key, declared, actual, agrees }: SettingStatus): Html {
  const agreement =
    agrees === undefined
      ? html`<span class="unknown">not asked</span>`
      : agrees
        ? chip("the same", "good")
        : html`${chip("differs", "bad")} <code>${asJson(actual)}</code>`;
  return html`<tr>
    <td>${key.replace(/^machineLearning\./, "")}</td>
    <td data-column="Declared"><code>${asJson(declared)}</code></td>
    <td data-column="In Immich">${agreement}</td>
  </tr>`;
}

function queueRow({ queue, waiting, active, failed }: QueueStatus): Html {
  return html`<tr>
    <td>${queue}</td>
    ${[waiting, active, failed].map((count) => html`<td class="number">${count}</td>`)}
  </tr>`;
}

function historySection({ history }: ReportData): Html {
  const operations = history.answer ?? [];
  return section(
    "History",
    history.unknown !== undefined
      ? notKnown(history.unknown)
      : operations.length === 0
        ? notKnown("nothing was ever deployed")
        : html`<div class="panel">
            ${table(["When", "What", "Changes"], operations.map(operationRow), true)}
          </div>`,
  );
}

function operationRow({ kind, result, message, began, ended, changes }: Operation): Html {
  const counts = Object.entries(changes)
    .filter(([, count]) => count > 0)
    .sort(([left], [right]) => Number(left === "same") - Number(right === "same"))
    .map(([name, count]) => `${count} ${name}`);
  const seconds = ended && Math.round((ended.getTime() - began.getTime()) / 1000);
  return html`<tr>
    <td>
      ${time(began)}${seconds !== undefined && html`<div class="note" style="margin: 0">${seconds} s</div>`}
    </td>
    <td>
      ${kind}
      ${chip(result, result === "succeeded" ? "good" : result === "failed" ? "bad" : undefined)}
      ${message && html`<div>${message.split("\n")[0]}</div>`}
    </td>
    <td data-column="Changes">${counts.length > 0 ? counts.join(", ") : "none"}</td>
  </tr>`;
}

function benchmarkSection(results: readonly BenchmarkResult[]): Html {
  return section(
    "Benchmarks",
    results.length > 0 ? results.map(benchmarkPanel) : notKnown("bench/RESULTS.md is empty"),
  );
}

function benchmarkPanel({ name, date, machine, figures }: BenchmarkResult): Html {
  const judged = figures.filter(({ verdict }) => verdict);
  const met = judged.filter(({ verdict }) => verdict === "met").length;
  return html`<details class="panel">
    <summary>
      ${name}
      ${judged.length > 0 && chip(`${met} of ${judged.length} goals met`, met === judged.length ? "good" : "bad")}
      <small>${date} · ${machine}</small>
    </summary>
    ${table(["Figure", numberColumn("Median"), "Goal"], figures.map(figureRow))}
  </details>`;
}

function figureRow({ name, value, unit, goal, verdict, spread }: Figure): Html {
  return html`<tr>
    <td>${name}${spread && html`<div class="note" style="margin: 0">${spread}</div>`}</td>
    <td class="number">${value} ${unit}</td>
    <td>
      ${goal && html`${goal} ${verdict && chip(verdict, verdict === "met" ? "good" : "bad")}`}
    </td>
  </tr>`;
}

function asJson(value: unknown): string {
  return JSON.stringify(value) ?? "nothing";
}
