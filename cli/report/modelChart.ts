import type { HostReport } from "./reportData";
import { html, type Html } from "./html";
import type { FittingModel, ModelOverview } from "./modelFit";

/** The size of a chart in CSS pixels; letters keep their size, so a phone gets a chart of its own. */
export interface ChartSize {
  readonly width: number;
  readonly height: number;
}

const margin = { top: 40, right: 14, bottom: 46, left: 44 };
const recallAxis = { from: 50, to: 90, step: 10 };
const mebibytes = 1024;

/**
 * Video memory against search quality: one mark per model, one line per amount of memory.
 *
 * @param overview with at least one model whose figures are known
 */
export function modelChart(
  { models, chosen, best }: ModelOverview,
  hosts: readonly HostReport[],
  { width, height }: ChartSize,
): Html {
  const known = models.filter(isComparable);
  const right = Math.ceil(Math.max(...known.map(({ needs }) => needs)) / mebibytes) * mebibytes;
  const bottom = height - margin.bottom;
  const x = (needs: number) =>
    margin.left + (Math.min(needs, right) / right) * (width - margin.left - margin.right);
  const y = (recall: number) =>
    bottom -
    ((recall - recallAxis.from) / (recallAxis.to - recallAxis.from)) * (bottom - margin.top);

  const lines = gpuLines(hosts).filter(({ videoMemory }) => videoMemory <= right);
  const smallest = Math.min(...hosts.flatMap(({ gpu }) => gpu?.videoMemory ?? []));
  const gigabytes = Array.from({ length: right / mebibytes + 1 }, (_nothing, tick) => tick);
  const recalls = Array.from(
    { length: (recallAxis.to - recallAxis.from) / recallAxis.step + 1 },
    (_nothing, tick) => recallAxis.from + tick * recallAxis.step,
  );
  const named = [
    ...(chosen && isComparable(chosen) ? [{ model: chosen, below: true }] : []),
    // On a phone its name would cover its neighbours; the sentence above the chart has it.
    ...(best && best !== chosen && isComparable(best) && width >= 600
      ? [{ model: best, below: false }]
      : []),
  ];

  return html`<svg
    viewBox="0 0 ${width} ${height}"
    width="${width}"
    height="${height}"
    role="img"
    aria-label="${description(known, chosen, best, hosts)}"
  >
    ${
      Number.isFinite(smallest) &&
      html`<rect
        class="room"
        x="${margin.left}"
        y="${margin.top}"
        width="${round(x(smallest) - margin.left)}"
        height="${bottom - margin.top}"
      ></rect>`
    }
    ${recalls.map(
      (recall) =>
        html`<line
            class="grid"
            x1="${margin.left}"
            x2="${width - margin.right}"
            y1="${round(y(recall))}"
            y2="${round(y(recall))}"
          ></line>
          <text class="tick" x="${margin.left - 8}" y="${round(y(recall) + 4)}" text-anchor="end"
            >${recall}</text
          >`,
    )}
    ${gigabytes.map(
      (tick) =>
        html`<text
          class="tick"
          x="${round(x(tick * mebibytes))}"
          y="${bottom + 18}"
          text-anchor="middle"
          >${tick}</text
        >`,
    )}
    <text
      class="axis"
      x="${(margin.left + width - margin.right) / 2}"
      y="${height - 8}"
      text-anchor="middle"
    >
      video memory needed, GiB
    </text>
    <text class="axis" x="${margin.left - 30}" y="14">recall in English, %</text>
    ${lines.map(({ videoMemory, label }, row) => {
      const at = round(x(videoMemory));
      const isLeft = at > width * 0.6;
      return html`<line
          class="gpu"
          x1="${at}"
          x2="${at}"
          y1="${margin.top - 8}"
          y2="${bottom}"
        ></line>
        <text
          class="gpu-name"
          x="${at + (isLeft ? -6 : 6)}"
          y="${margin.top + 8 + row * 16}"
          text-anchor="${isLeft ? "end" : "start"}"
          >${label}</text
        >`;
    })}
    ${[...known]
      // The chosen one above its neighbours.
      .sort((left, right) => Number(left.isChosen) - Number(right.isChosen))
      .map((model) => mark(model, model === best, x(model.needs), y(model.recall)))}
    ${named.map(({ model, below }) => {
      const at = x(model.needs);
      const isLeft = at > width * 0.55;
      return html`<text
        class="${model.isChosen ? "name chosen-name" : "name"}"
        x="${round(at + (isLeft ? 12 : -12))}"
        y="${round(y(model.recall) + (below ? 28 : -16))}"
        text-anchor="${isLeft ? "end" : "start"}"
        >${shortened(model.name, width)}</text
      >`;
    })}
  </svg>`;
}

type Comparable = FittingModel & { readonly needs: number; readonly recall: number };

/** Whether both figures of a model are known. */
export function isComparable(model: FittingModel): model is Comparable {
  return model.needs !== undefined && model.recall !== undefined;
}

function mark(model: Comparable, isBest: boolean, x: number, y: number): Html {
  const kind = model.fits === false ? "too-large" : model.fits ? "fits" : "open";
  const radius = model.isChosen ? 7 : 5;
  const title = html`<title>${sentence(model)}</title>`;
  const isRinged = model.isChosen || isBest;
  return html`<g class="model ${kind}${model.isChosen ? " chosen" : isBest ? " best" : ""}">
    ${isRinged && html`<circle class="ring" cx="${round(x)}" cy="${round(y)}" r="12"></circle>`}
    ${
      model.multilingual
        ? html`<rect
            x="${round(x - radius)}"
            y="${round(y - radius)}"
            width="${radius * 2}"
            height="${radius * 2}"
            transform="rotate(45 ${round(x)} ${round(y)})"
            >${title}</rect
          >`
        : html`<circle cx="${round(x)}" cy="${round(y)}" r="${radius}">${title}</circle>`
    }
  </g>`;
}

function sentence(model: Comparable): string {
  const verdict = model.fits === undefined ? "" : model.fits ? ", fits" : ", does not fit";
  return `${model.name}: recall ${model.recall} %, needs ${gibibytes(model.needs)}${verdict}`;
}

/** For screen readers; the table below the chart has all figures. */
function description(
  known: readonly Comparable[],
  chosen: FittingModel | undefined,
  best: FittingModel | undefined,
  hosts: readonly HostReport[],
): string {
  const gpus = gpuLines(hosts);
  return [
    `Video memory against search quality of ${known.length} CLIP models.`,
    gpus.length > 0
      ? `GPUs: ${gpus.map(({ label }) => label).join("; ")}. ${known.filter(({ fits }) => fits).length} models fit.`
      : "No GPU's memory is known.",
    chosen
      ? `Chosen: ${isComparable(chosen) ? sentence(chosen) : chosen.name}.`
      : "None is chosen.",
    best && best !== chosen && isComparable(best) ? `Best that fits: ${sentence(best)}.` : "",
    "The table below has every figure.",
  ]
    .filter(Boolean)
    .join(" ");
}

/** One line for all GPUs of the same memory, the smallest first. */
function gpuLines(hosts: readonly HostReport[]): { videoMemory: number; label: string }[] {
  const byMemory = new Map<number, string[]>();
  for (const { host, gpu } of hosts) {
    if (!gpu) continue;
    byMemory.set(gpu.videoMemory, [...(byMemory.get(gpu.videoMemory) ?? []), host]);
  }
  return [...byMemory]
    .sort(([left], [right]) => left - right)
    .map(([videoMemory, names]) => ({
      videoMemory,
      label: `${shortened(names.join(", "), 500)} ${gibibytes(videoMemory)}`,
    }));
}

/** `3 GiB`, `1.9 GiB`. */
export function gibibytes(size: number): string {
  return `${Number((size / mebibytes).toFixed(1))} GiB`;
}

/** A name cut to the room in a chart of that width. */
function shortened(name: string, width: number): string {
  const room = Math.floor(width / 14);
  return name.length > room ? `${name.slice(0, room - 1)}…` : name;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
