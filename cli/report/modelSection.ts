import { presets, reservedVideoMemory } from "../../catalog/presets";
import { chip, known, notKnown, numberColumn, section, table } from "./elements";
import { html, Html, type Part } from "./html";
import { gibibytes, isComparable, modelChart } from "./modelChart";
import type { FittingModel, ModelOverview } from "./modelFit";
import type { ReportData } from "./reportData";

export function modelSection(
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
        ${table(
          ["Model", numberColumn("Recall"), numberColumn("Needs"), "Fits"],
          models.map((model) => modelRow(model, immichVersion)),
        )}
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
