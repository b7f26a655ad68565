import { presets, reservedVideoMemory } from "../../catalog/presets";
import type { ModelCheck } from "../../verify/check";
import { chip, gibibytes, known, meter, notKnown, type Row, section, table } from "./elements";
import { html, type Html, type Part } from "./html";
import type { FittingModel, ModelOverview } from "./modelFit";
import type { HostReport, ReportData } from "./reportData";

export function modelSection(
  overview: ModelOverview,
  { hosts, immichVersion }: ReportData,
  smallest: number | undefined,
): Html {
  const { models, besides } = overview;
  const all = hosts.answer ?? [];
  const usesGpu = all.some(({ accelerator }) => accelerator !== "cpu");
  const columns = ["Model", "Computed by", "#On the GPU", "#On the CPU", "Faster"];
  const rows = all
    .flatMap((host) => rowsOf(host, all.length > 1))
    .map((row) => (usesGpu ? row : withoutGpu(row)));
  const counted = [...besides, `${reservedVideoMemory} MiB for driver and libraries`].join(", ");
  return section(
    "Models",
    html`<div class="panel">
      ${
        rows.length > 0
          ? table(usesGpu ? columns : columns.slice(0, 2).concat("#On the CPU"), rows)
          : notKnown("no check has tried Immich's models")
      }
      <p>${choice(overview, smallest)}</p>
      <details>
        <summary>All ${models.length} CLIP models, and which fit</summary>
        ${table(
          ["Model", "#Recall", "#Needs", "Fits"],
          models.map((model) => fitRow(model, immichVersion)),
        )}
        <p class="note">
          Counted in: ${counted}. Immich's published figures, measured on a CPU: an order of
          magnitude, not a promise. Recall: how often the searched photo is found.
        </p>
      </details>
    </div>`,
  );
}

/** Without the columns of a GPU, where every host computes on its CPU. */
function withoutGpu({ cells: [model, by, , onCpu] }: Row): Row {
  return { cells: [model, by, onCpu] };
}

/** One row for each part of each model that the last check tried. */
function rowsOf({ host, check, verified }: HostReport, isNamed: boolean): Row[] {
  const models = (check?.check.ok ? check.check.models : undefined) ?? verified ?? [];
  return models.flatMap(({ model, parts, notVerified }): Row[] => {
    const named = (part: Part) =>
      html`<strong>${model}</strong> ${part}${isNamed && ` on ${host}`}`;
    if (notVerified !== undefined)
      return [{ cells: [named(""), html`not verified: ${notVerified}`, "", "", ""] }];
    return parts.map((part) => ({ cells: [named(part.part), ...partCells(part)] }));
  });
}

function partCells({
  provider,
  milliseconds,
  cpuMilliseconds,
}: ModelCheck["parts"][number]): readonly Part[] {
  const name = provider.replace("ExecutionProvider", "");
  if (name === "CPU") return [name, "", `${milliseconds} ms`, ""];
  if (cpuMilliseconds === undefined) return [name, `${milliseconds} ms`, known(undefined), ""];
  const factor = cpuMilliseconds / milliseconds;
  return [
    name,
    `${milliseconds} ms`,
    `${cpuMilliseconds} ms`,
    [`${factor.toFixed(factor < 10 ? 1 : 0)} times`, meter(Math.min(1, factor / 20))],
  ];
}

function choice({ models, chosen, best }: ModelOverview, memory: number | undefined): Part {
  const chosenText = chosen
    ? html`Search uses <strong data-chosen>${chosen.name}</strong>. `
    : "Which model search uses is not known here: the stack declares none. ";
  if (memory === undefined)
    return html`${chosenText}No card's memory is known, so none is ruled out.`;
  const count = models.filter(({ fits }) => fits).length;
  const better =
    best && best !== chosen && (best.recall ?? 0) > (chosen?.recall ?? 0)
      ? html` The best search that fits is <strong>${best.name}</strong>, recall ${best.recall}
          %${chosen?.recall !== undefined && ` instead of ${chosen.recall} %`}.`
      : best && best === chosen && " No model that fits finds more.";
  return html`${chosenText}${count} of ${models.length} models fit ${gibibytes(memory)}.${better}`;
}

function fitRow(model: FittingModel, immichVersion: string | undefined): Row {
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
  return {
    isChosen,
    cells: [
      html`${name} ${tags}`,
      known(recall !== undefined && `${recall} %`),
      known(needs !== undefined && gibibytes(needs)),
      known(fits !== undefined && (fits ? "yes" : "no")),
    ],
  };
}
