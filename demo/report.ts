import type { DemoEnvironment } from "./environment";
import { type Log, logProgress } from "./progress";
import { askService } from "./service";

/** The program's output about one host. */
export interface HostOutput {
  host: string;
  url: string;
  image: string;
  executionProvider?: string;
}

/** Settings that a preset decides, by name. */
const shownSettings = {
  "CLIP model": "machineLearning.clip.modelName",
  "face model": "machineLearning.facialRecognition.modelName",
  OCR: "machineLearning.ocr.enabled",
  "smart search jobs": "job.smartSearch.concurrency",
  "face detection jobs": "job.faceDetection.concurrency",
  "OCR jobs": "job.ocr.concurrency",
  addresses: "machineLearning.urls",
} as const;

/** Asks each host for an embedding, and shows Immich's configuration before and after. */
export async function showDemo(
  hosts: HostOutput[],
  { database, before }: DemoEnvironment,
  log: Log,
): Promise<void> {
  const after = await database.configurationText();
  const model = shown(setting(after, "machineLearning.clip.modelName") ?? "ViT-B-32__openai");
  const rows: Record<string, object> = {};
  for (const { host, url, image, executionProvider = "not verified" } of hosts) {
    const answers = await logProgress(`asking ${host}`, log, () => askService(url, model));
    rows[host] = {
      image: image.replace(/^(sha256:.{12}).*/, "$1"),
      "execution provider": executionProvider,
      "/ping": answers.ping,
      [`/predict (${model})`]: `${answers.dimension} numbers`,
    };
  }
  console.table(rows);
  console.table(
    Object.fromEntries(
      Object.entries(shownSettings).map(([name, key]) => [
        name,
        { before: shown(setting(before, key)), after: shown(setting(after, key)) },
      ]),
    ),
  );
  log("npm run demo:down removes everything.");
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
