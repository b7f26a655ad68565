import { readStatus } from "../verify/readStatus";
import type { StackStatus } from "../verify/status";
import { sanitize } from "../util/sanitize";
import { runCommand } from "./command";
import { asJson, asTable, modelCells, modelHeading } from "./table";

const usage = `Shows the state of a stack's hosts.

  npm run status -- [--stack NAME] [--json]

With Immich's API (immich.api.url and the secret immichApiKey of the stack) it also compares Immich's
settings with those the stack declares and shows its job queues.`;

const options = { json: { type: "boolean", default: false } } as const;

runCommand({ usage, options, allowPositionals: false }, async ({ stack, json }) => {
  const status = await readStatus(stack);
  console.log(json ? asJson(status) : asText(status));
  return 0;
});

const hostHeading = [
  ...["HOST", "HEALTH", "RESTARTS", "ACCELERATOR", "PROVIDER", "IMAGE", "IMMICH", "GPU"],
  "MEMORY USED/FREE",
];

function asText({ hosts, settings = [], queues = [], immichProblem }: StackStatus): string {
  const tables = [
    asTable([
      hostHeading,
      ...hosts.map((host) => [
        host.host,
        host.health,
        String(host.restarts ?? ""),
        host.accelerator,
        host.provider ?? "not verified",
        host.image?.replace(/^sha256:(.{12}).*/, "$1") ?? "",
        host.immichVersion ?? "",
        host.gpus?.map(({ name }) => name).join(", ") ?? "",
        host.gpus?.map(({ used, free }) => `${used}/${free} MiB`).join(", ") ?? "",
      ]),
    ]),
    ...hosts.flatMap(({ host, problem }) => (problem ? [sanitize(`${host}: ${problem}`)] : [])),
    ...hosts.flatMap(({ host, cardLoss }) =>
      cardLoss
        ? [
            sanitize(
              `${host}: Docker restarted it at ${cardLoss.at} UTC because it had lost its card (${cardLoss.complaint})`,
            ),
          ]
        : [],
    ),
    asTable([
      ["HOST", "MODEL IN THE CACHE", "SIZE"],
      ...hosts.flatMap(({ host, models = [] }) =>
        models.map(({ name, size }) => [host, name, `${size} MiB`]),
      ),
    ]),
    ...tableOf(
      ["HOST", ...modelHeading],
      hosts.flatMap(({ host, verified = [] }) =>
        verified.map((model) => [host, ...modelCells(model)]),
      ),
    ),
    ...settingsTable(settings),
    ...tableOf(
      ["QUEUE", "WAITING", "ACTIVE", "FAILED"],
      queues.map(({ queue, ...counts }) => [
        queue,
        ...[counts.waiting, counts.active, counts.failed].map(String),
      ]),
    ),
    ...(immichProblem ? [sanitize(immichProblem)] : []),
  ];
  return tables.join("\n\n");
}

/** Without Immich's API nothing is compared, so the table has no column for it. */
function settingsTable(settings: NonNullable<StackStatus["settings"]>): string[] {
  const isCompared = settings.some(({ agrees }) => agrees !== undefined);
  return tableOf(
    ["IMMICH'S SETTING", "DECLARED", ...(isCompared ? ["ACTUAL"] : [])],
    settings.map(({ key, declared, actual, agrees }) => [
      key,
      JSON.stringify(declared),
      ...(isCompared ? [agrees ? "the same" : String(JSON.stringify(actual))] : []),
    ]),
  );
}

/** No table at all without rows. */
function tableOf(heading: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return rows.length > 0 ? [asTable([heading, ...rows])] : [];
}
