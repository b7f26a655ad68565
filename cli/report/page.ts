import { readFileSync } from "node:fs";
import path from "node:path";

import type { BenchmarkResult, Figure } from "../../bench/support/results";
import { accelerators, isAcceleratorName } from "../../catalog/accelerators";
import { presets, reservedVideoMemory } from "../../catalog/presets";
import { html, Html, type Part } from "./html";
import { gibibytes, isComparable, modelChart } from "./modelChart";
import { type FittingModel, type ModelOverview, overviewOf } from "./modelFit";
import type { DetectedGpu, HostReport, LastCheck, Operation, ReportData } from "./reportData";

/** The whole report as one HTML document that loads nothing and runs no script. */
export function page(data: ReportData): string {
  const hosts = data.hosts.answer ?? [];
  const memories = hosts.flatMap(({ card }) => card?.videoMemory ?? []);
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
          Made by <code>npm run report</code>. What could not be learnt is said to be not known.
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
    ${tile("Hosts", all.length > 0 && `${all.filter(isHealthy).length} of ${all.length} healthy`)}
    ${tile("Search model", models.chosen?.name)}
    ${tile("Last operation", last && `${last.kind}, ${last.result}`)}
    ${tile("Goals of the benchmarks", figures.length > 0 && `${met} of ${figures.length} met`)}
  </div>`;
}

function tile(title: string, value: Part): Html {
  return html`<div class="panel tile"><span>${title}</span><strong>${known(value)}</strong></div>`;
}

function hostSection({ hosts }: ReportData): Html {
  return section(
    "Hosts",
    hosts.answer
      ? html`<div class="hosts">${hosts.answer.map(hostPanel)}</div>`
      : notKnown(hosts.unknown),
  );
}

function hostPanel(host: HostReport): Html {
  const { accelerator, card } = host;
  const inUse = host.cards?.find(({ used, free }) => used + free === card?.videoMemory);
  return html`<article class="panel" data-host="${host.host}">
    <div class="head">
      <h3>${host.host}</h3>
      ${chip(host.health, healthTone(host.health))}
    </div>
    <dl>
      ${row("Computes on", isAcceleratorName(accelerator) ? accelerators[accelerator].title : accelerator)}
      ${row("DetectedGpu", card && cardText(card))}
      ${
        inUse &&
        row(
          "In use",
          html`${gibibytes(inUse.used)} of ${gibibytes(inUse.used + inUse.free)}
            <div class="meter">
              <div
                style="width: ${Math.round((100 * inUse.used) / (inUse.used + inUse.free))}%"
              ></div>
            </div>`,
        )
      }
      ${row("Last check", host.check && checkText(host.check))}
      ${host.problem ? row("What runs", undefined) : whatRuns(host)}
    </dl>
    ${host.problem && html`<p class="problem">${host.problem}</p>`}
  </article>`;
}

function whatRuns({ restarts, image, immichVersion, models }: HostReport): Part {
  return [
    row("Restarts", restarts),
    row("Image", image && html`<code>${image.replace(/^sha256:(.{12}).*/, "$1")}</code>`),
    row("Immich", immichVersion),
    row(
      "Cache",
      models &&
        (models.length > 0
          ? models.map(({ name, size }) => html`<div>${name}, ${size} MiB</div>`)
          : "no models yet"),
    ),
  ];
}

function cardText({ name, videoMemory, source }: DetectedGpu): string {
  return `${name}, ${gibibytes(videoMemory)} (${source === "driver" ? "says its driver" : "says the stack file"})`;
}

function checkText({ check, at }: LastCheck): Part {
  const when = at && html`<div>${time(at)}</div>`;
  if (!check.ok) return html`${chip("failed", "bad")} ${check.error}${when}`;
  const devices = check.devices.map(
    ({ device, card, milliseconds, maximumDifference }) =>
      html`<div>
        ${card ?? device}: ${milliseconds}
        ms${
          maximumDifference !== undefined &&
          `, ${maximumDifference.toExponential(0).replace("-", "\u2212")} off the CPU`
        }
      </div>`,
  );
  const verdict = check.notExecuted ? chip("loaded, not computed", "warn") : chip("passed", "good");
  return html`${verdict} ${check.provider}${devices}${when}`;
}

function modelSection(
  overview: ModelOverview,
  { hosts, immichVersion }: ReportData,
  smallest: number | undefined,
): Html {
  const { models, chosen, best, besides } = overview;
  const all = hosts.answer ?? [];
  const counted = [...besides, `${reservedVideoMemory} MiB for driver and libraries`].join(", ");
  return section(
    "Which CLIP models fit the card",
    html`<div class="panel">
      <p style="margin-top: 0">${verdict(overview, smallest)}</p>
      ${models.some(isComparable) ? charts() : notKnown(`what ${besides.join(" and ")} needs`)}
      <p class="note">
        Counted in: ${counted}. Immich's published figures, measured on a CPU: an order of
        magnitude, not a promise. Recall: how often the searched photo is found.
      </p>
      <details>
        <summary>All ${models.length} models as a table</summary>
        <div class="table">
          <table>
            <thead>
              <tr>
                <th>Model</th>
                <th class="number">Recall</th>
                <th class="number">Needs</th>
                <th>Fits</th>
              </tr>
            </thead>
            <tbody>
              ${models.map((model) => modelRow(model, immichVersion))}
            </tbody>
          </table>
        </div>
      </details>
    </div>`,
  );

  function charts(): Html {
    return html`<div class="wide">${modelChart(overview, all, { width: 860, height: 480 })}</div>
      <div class="narrow">${modelChart(overview, all, { width: 340, height: 400 })}</div>
      <ul class="legend">
        <li>${key("fits", "circle")} fits, English</li>
        <li>${key("fits", "diamond")} fits, many languages</li>
        ${smallest !== undefined && html`<li>${key("too-large", "circle")} does not fit</li>`}
        ${chosen && html`<li>${key("fits chosen", "circle")} chosen</li>`}
        ${best && best !== chosen && html`<li>${key("fits best", best.multilingual ? "diamond" : "circle")} best that fits</li>`}
      </ul>`;
  }

  function verdict({ models }: ModelOverview, memory: number | undefined): Part {
    const choice = chosen
      ? html`Chosen is <strong data-chosen>${chosen.name}</strong>. `
      : "Which model Immich uses is not known here: the stack declares none. ";
    if (memory === undefined)
      return html`${choice}No card's memory is known, so none is ruled out.`;
    const count = models.filter(({ fits }) => fits).length;
    const better =
      best && best !== chosen && (best.recall ?? 0) > (chosen?.recall ?? 0)
        ? html` The best search that fits is <strong>${best.name}</strong>, recall ${best.recall}
            %${chosen?.recall !== undefined && ` instead of ${chosen.recall} %`}.`
        : best && best === chosen && " Nothing that fits finds more.";
    return html`${choice}${count} of ${models.length} models fit ${gibibytes(memory)}.${better}`;
  }
}

function modelRow(model: FittingModel, immichVersion: string | undefined): Html {
  const { name, recall, needs, fits, isKnown, isChosen, multilingual, since } = model;
  const presetNames = Object.entries(presets)
    .filter(([, { clip }]) => clip === name)
    .map(([preset]) => preset);
  const tags = [
    isChosen && chip("chosen", "good"),
    multilingual && chip("many languages"),
    ...presetNames.map((preset) => chip(`preset ${preset}`)),
    isKnown === false && chip(`from Immich ${since}, the stack has ${immichVersion}`, "warn"),
  ];
  return html`<tr${isChosen && new Html(' class="chosen"')}>
    <td>${name} ${tags}</td>
    <td class="number">${known(recall !== undefined && `${recall} %`)}</td>
    <td class="number">${known(needs !== undefined && gibibytes(needs))}</td>
    <td>${known(fits !== undefined && (fits ? "yes" : "no"))}</td>
  </tr>`;
}

function key(kind: string, shape: "circle" | "diamond"): Html {
  return html`<svg width="26" height="26" viewBox="-13 -13 26 26" aria-hidden="true">
    <g class="model ${kind}">
      ${/chosen|best/.test(kind) && html`<circle class="ring" r="11"></circle>`}
      ${
        shape === "circle"
          ? html`<circle r="6"></circle>`
          : html`<rect x="-5" y="-5" width="10" height="10" transform="rotate(45)"></rect>`
      }
    </g>
  </svg>`;
}

function immichSection({ settings, queues, immichProblem }: ReportData): Html {
  const agreement = (agrees: boolean | undefined, actual: unknown): Part =>
    agrees === undefined
      ? html`<span class="unknown">not asked</span>`
      : agrees
        ? chip("the same", "good")
        : html`${chip("differs", "bad")} <code>${asJson(actual)}</code>`;
  return section(
    "What Immich is told",
    html`<div class="panel">
      ${
        settings.length === 0
          ? notKnown("the stack declares nothing of Immich's configuration")
          : html`<div class="table">
              <table class="stacked">
                <thead>
                  <tr>
                    <th>Setting</th>
                    <th>Declared</th>
                    <th>In Immich</th>
                  </tr>
                </thead>
                <tbody>
                  ${settings.map(
                    ({ key, declared, actual, agrees }) =>
                      html`<tr>
                        <td>${key.replace(/^machineLearning\./, "")}</td>
                        <td data-column="Declared"><code>${asJson(declared)}</code></td>
                        <td data-column="In Immich">${agreement(agrees, actual)}</td>
                      </tr>`,
                  )}
                </tbody>
              </table>
            </div>`
      }
      ${
        queues.length > 0 &&
        html`<div class="table">
          <table>
            <thead>
              <tr>
                <th>Queue</th>
                <th class="number">Waiting</th>
                <th class="number">Active</th>
                <th class="number">Failed</th>
              </tr>
            </thead>
            <tbody>
              ${queues.map(
                ({ queue, waiting, active, failed }) =>
                  html`<tr>
                    <td>${queue}</td>
                    <td class="number">${waiting}</td>
                    <td class="number">${active}</td>
                    <td class="number">${failed}</td>
                  </tr>`,
              )}
            </tbody>
          </table>
        </div>`
      }
      ${immichProblem && html`<p class="problem">${immichProblem}</p>`}
    </div>`,
  );
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
            <div class="table">
              <table class="stacked">
                <thead>
                  <tr>
                    <th>When</th>
                    <th>What</th>
                    <th>Changes</th>
                  </tr>
                </thead>
                <tbody>
                  ${operations.map(operationRow)}
                </tbody>
              </table>
            </div>
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
    <div class="table">
      <table>
        <thead>
          <tr>
            <th>Figure</th>
            <th class="number">Median</th>
            <th>Goal</th>
          </tr>
        </thead>
        <tbody>
          ${figures.map(figureRow)}
        </tbody>
      </table>
    </div>
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

function section(title: string, content: Part): Html {
  return html`<section>
    <h2>${title}</h2>
    ${content}
  </section>`;
}

function row(term: string, value: Part): Html {
  return html`<dt>${term}</dt>
    <dd>${known(value)}</dd>`;
}

type Tone = "good" | "bad" | "warn";

function chip(text: string, tone?: Tone): Html {
  return html`<span class="chip ${tone}">${text}</span>`;
}

function healthTone(health: string): Tone {
  if (health === "healthy") return "good";
  return ["unknown", "starting", "running"].includes(health) ? "warn" : "bad";
}

function isHealthy({ health }: HostReport): boolean {
  return health === "healthy";
}

function known(value: Part): Part {
  const isMissing = value === undefined || value === false || value === "";
  return isMissing ? html`<span class="unknown">not known</span>` : value;
}

function notKnown(reason: string): Html {
  return html`<p class="unknown">Not known: ${reason}</p>`;
}

/** A password in an address, which nobody should have put there, is left out. */
function asJson(value: unknown): string {
  return (JSON.stringify(value) ?? "nothing").replace(/(\/\/[^/\s:@"]*):[^/\s@"]*@/g, "$1:…@");
}

/** `2026-11-24 18:03 UTC` */
function time(date: Date): string {
  return Number.isNaN(date.getTime())
    ? "at a time not known"
    : `${date.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
