import { sanitizeLines } from "../util/sanitize";
import type { Look } from "./look";
import { acceleratorOf, chosenGpu, type Plan } from "./plan";

/** What was found, in a few lines. */
export function foundText({ situation, remarks }: Look): string {
  const { immich, version, models, gpuProblem } = situation;
  const old = immich.machineLearning;
  const by = immich.project === undefined ? immich.manager : `${immich.manager}, ${immich.project}`;
  const gpu = chosenGpu(situation);
  const rows = [
    ["Immich", `${version} in ${immich.server.name} (${by})`],
    ["Network", immich.network ?? "the host's own"],
    [
      "Database",
      `${immich.database.name} as ${immich.database.user} in ${immich.databaseContainer?.name ?? immich.database.host}`,
    ],
    [
      "Machine learning",
      old ? `${old.name}, ${old.running ? (old.health ?? "running") : "stopped"}` : "none",
    ],
    [
      "Card",
      gpu
        ? `${gpu.name}, ${gpu.videoMemory ?? "?"} MiB, driver ${gpu.driver}`
        : `none: ${acceleratorOf(situation)} computes${gpuProblem ? ` (${gpuProblem})` : ""}`,
    ],
    ["Search", models ? `${models.clip}, ${models.photos} photos indexed` : "not known"],
  ];
  return sanitizeLines(
    [
      ...rows.map(([title, text]) => `${title!.padEnd(18)}${text}`),
      ...remarks.map((remark) => `Note: ${remark}`),
    ].join("\n"),
  );
}

/** What `up` will do with the plan, and how to go back. */
export function planText({ config, notes }: Plan, launcher: string): string {
  const [host] = config["hosts"] as readonly Record<string, unknown>[];
  const cache = host?.["cache"] as Record<string, string> | undefined;
  const old = host?.["takeOver"] as string | undefined;
  const preset = config["preset"] as string | undefined;
  const steps = [
    "gets the image; everything keeps running meanwhile",
    old === undefined
      ? "starts the new container and checks that it computes"
      : `starts the new container and checks that it computes, then stops ${old}`,
    cache && `keeps using the models in ${cache["volume"] ?? cache["path"]}`,
    preset && `sets Immich's models to ${preset} and restarts the Immich server once`,
  ].filter((step) => step !== undefined);
  const text = [
    `${launcher} up shows every change and asks you. Then it`,
    ...steps.map((step, at) => `  ${at + 1}. ${step}`),
    `To go back: ${launcher} down${old === undefined ? "" : `. Then ${old} runs again as before`}.`,
  ];
  return sanitizeLines([...text, ...notes.map((note) => `Note: ${note}`)].join("\n"));
}
