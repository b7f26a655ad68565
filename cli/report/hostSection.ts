import { accelerators, isAcceleratorName } from "../../catalog/accelerators";
import { chip, notKnown, row, section, time, type Tone } from "./elements";
import { html, type Html, type Part } from "./html";
import { gibibytes } from "./modelChart";
import type { DetectedGpu, HostReport, LastCheck, ReportData } from "./reportData";

export function hostSection({ hosts }: ReportData): Html {
  return section(
    "Hosts",
    hosts.answer
      ? html`<div class="hosts">${hosts.answer.map(hostPanel)}</div>`
      : notKnown(hosts.unknown),
  );
}

function hostPanel(host: HostReport): Html {
  const { accelerator, gpu } = host;
  const inUse = host.gpus?.find(({ used, free }) => used + free === gpu?.videoMemory);
  return html`<article class="panel" data-host="${host.host}">
    <div class="head">
      <h3>${host.host}</h3>
      ${chip(host.health, healthTone(host.health))}
    </div>
    <dl>
      ${row("Computes on", isAcceleratorName(accelerator) ? accelerators[accelerator].title : accelerator)}
      ${row("GPU", gpu && gpuText(gpu))}
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

function gpuText({ name, videoMemory, source }: DetectedGpu): string {
  return `${name}, ${gibibytes(videoMemory)} (${source === "driver" ? "from its driver" : "from the stack file"})`;
}

function checkText({ check, at }: LastCheck): Part {
  const when = at && html`<div>${time(at)}</div>`;
  if (!check.ok) return html`${chip("failed", "bad")} ${check.error}${when}`;
  const devices = check.devices.map(
    ({ device, gpu, milliseconds, maximumDifference }) =>
      html`<div>
        ${gpu ?? device}: ${milliseconds}
        ms${
          maximumDifference !== undefined &&
          `, ${maximumDifference.toExponential(0).replace("-", "\u2212")} off the CPU`
        }
      </div>`,
  );
  const verdict = check.notExecuted ? chip("loaded, not computed", "warn") : chip("passed", "good");
  return html`${verdict} ${check.provider}${devices}${when}`;
}

function healthTone(health: string): Tone {
  if (health === "healthy") return "good";
  return ["unknown", "starting", "running"].includes(health) ? "warn" : "bad";
}
