import { chip, gibibytes, meter, notKnown, row, section, time, type Tone } from "./elements";
import { html, type Html, type Part } from "./html";
import type { DetectedGpu, HostReport, LastCheck, ReportData } from "./reportData";
import { hardwareOf } from "./verdict";

export function hostSection({ hosts }: ReportData): Html {
  return section(
    "Hosts",
    hosts.answer
      ? html`<div class="hosts">${hosts.answer.map(hostPanel)}</div>`
      : notKnown(hosts.unknown),
  );
}

function hostPanel(host: HostReport): Html {
  const { gpu, problem, gpus = [] } = host;
  return html`<article class="panel" data-host="${host.host}">
    <div class="head">
      <h3>${host.host}</h3>
      ${chip(host.health, healthTone(host.health))}
    </div>
    ${problem !== undefined && html`<p class="problem">${problem}</p>`}
    <dl>
      ${row("Computes on", hardwareOf(host.accelerator))}
      ${host.accelerator !== "cpu" && row("GPU", gpu && gpuText(gpu))}
      ${gpus
        .filter(({ used, free }) => Number.isFinite(used + free))
        .map(({ used, free }) =>
          row("VRAM in use", [
            `${gibibytes(used)} of ${gibibytes(used + free)}`,
            meter(used / (used + free)),
          ]),
        )}
      ${row("Last check", host.check && checkText(host.check))}
      ${problem === undefined && whatRuns(host)}
    </dl>
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
  const verdict = check.notExecuted ? chip("loaded, not computed", "warn") : chip("passed", "good");
  return html`${verdict} ${check.provider}${when}`;
}

function healthTone(health: string): Tone {
  if (health === "healthy") return "good";
  return ["unknown", "starting", "running"].includes(health) ? "warn" : "bad";
}
