import type { DemoEnvironment } from "./environment";
import { logProgress, type Say } from "./progress";
import { askService } from "./service";

/** What the program puts out about each host. */
export interface HostOutput {
  host: string;
  url: string;
  image: string;
  executionProvider?: string;
}

/** Settings that a preset decides, and what they mean where they are not there. */
const shownSettings = [
  ["CLIP model", "machineLearning.clip.modelName"],
  ["face model", "machineLearning.facialRecognition.modelName"],
  ["OCR", "machineLearning.ocr.enabled"],
  ["smart search at a time", "job.smartSearch.concurrency"],
  ["face detection at a time", "job.faceDetection.concurrency"],
  ["OCR at a time", "job.ocr.concurrency"],
  ["addresses", "machineLearning.urls"],
] as const;

/** Asks every host what it can and shows it beside what Immich's configuration says now. */
export async function showDemo(
  hosts: HostOutput[],
  world: DemoEnvironment,
  say: Say,
): Promise<void> {
  const after = await world.database.configurationText();
  const model = shown(setting(after, "machineLearning.clip.modelName") ?? "ViT-B-32__openai");
  const rows: string[][] = [];
  for (const { host, url, image, executionProvider } of hosts) {
    const { ping, dimension } = await logProgress(`asking ${host}`, say, () =>
      askService(url, model),
    );
    rows.push([
      host,
      image.replace(/^(sha256:.{12}).*/, "$1"),
      executionProvider ?? "not verified",
      ping,
      `${dimension} numbers`,
    ]);
  }
  say("");
  table(["host", "image", "execution provider", "/ping", `/predict (${model})`], rows).forEach(say);
  say("");
  const changes = shownSettings.map(([name, key]) => [
    name,
    shown(setting(world.before, key)),
    shown(setting(after, key)),
  ]);
  table(["Immich's configuration", "before", "after"], changes).forEach(say);
  say("\nnpm run demo:down takes everything away again.");
}

function setting(row: string | undefined, key: string): unknown {
  let value: unknown = JSON.parse(row ?? "{}");
  for (const part of key.split(".")) value = (value as Record<string, unknown> | undefined)?.[part];
  return value;
}

function shown(value: unknown): string {
  if (value === undefined) return "(Immich's default)";
  return Array.isArray(value) ? value.join(", ") : JSON.stringify(value).replaceAll('"', "");
}

function table(head: string[], rows: string[][]): string[] {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: string[]) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)];
}
