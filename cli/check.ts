import { parseArgs } from "node:util";

import { accelerators } from "../catalog/accelerators";
import { dockerClientEnvironment } from "../util/dockerClient";
import { run } from "../util/run";
import { type DeployedHost, namedContainer, readDeployment } from "../verify/deployment";
import {
  inferenceProgram,
  parseCheckResult,
  parseCheckResults,
  type CheckResult,
  checkCommand,
  rolloutScript,
  waitingScript,
} from "../verify/check";
import { asTable, modelCells, modelHeading } from "./table";

const usage = `Checks that the accelerator of every container of a stack computes, and the models Immich
is told to use on it, as far as they are in the cache.

  npm run check -- [--stack NAME] [--json] [HOST…]
  npm run check -- --container NAME --accelerator NAME [--docker-host ADDRESS] [--json]

The second form shows any container of Immich's machine learning, for instance docker compose's, and
the models in its cache.
Ends with 1 when one of them is not verified.`;

interface Verified {
  readonly host: DeployedHost;
  readonly check: CheckResult;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      stack: { type: "string" },
      container: { type: "string" },
      accelerator: { type: "string", default: "cpu" },
      "docker-host": { type: "string", default: "unix:///var/run/docker.sock" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const all = values.container
    ? [
        namedContainer({
          container: values.container,
          accelerator: values.accelerator,
          dockerHost: values["docker-host"],
        }),
      ]
    : (await readDeployment(values.stack)).hosts;
  const unknown = positionals.filter((name) => !all.some(({ host }) => host === name));
  if (unknown.length > 0) {
    const known = all.map(({ host }) => host).join(", ");
    throw new Error(`this stack has no host ${unknown.join(", ")}; it has ${known}`);
  }
  const chosen = all.filter(({ host }) => positionals.length === 0 || positionals.includes(host));

  const verified = (await Promise.all(chosen.map(checkHostAccelerator))).flat();
  console.log(
    values.json
      ? JSON.stringify(
          verified.map(({ host, check }) => ({ host: host.host, ...check })),
          null,
          2,
        )
      : [asTable([heading, ...verified.map(summary)]), ...modelTable(verified)].join("\n\n"),
  );
  return verified.every(({ check }) => check.ok) ? 0 : 1;
}

/** A container's result, or one for each of a service's tasks on the engine reached. */
async function checkHostAccelerator(host: DeployedHost): Promise<Verified[]> {
  const subject: Record<string, string> = host.serviceName
    ? {
        IMMICH_ML_CHECK: rolloutScript(),
        IMMICH_ML_CONTAINER_CHECK: waitingScript(),
        IMMICH_ML_SERVICE: host.serviceName,
        IMMICH_ML_ADDRESS: "",
      }
    : { IMMICH_ML_CHECK: waitingScript(), IMMICH_ML_CONTAINER: host.containerName ?? "" };
  const ended = await run("sh", ["-c", checkCommand], {
    environment: {
      ...subject,
      IMMICH_ML_HOST: host.host,
      IMMICH_ML_EXPECTED: accelerators[host.accelerator].executionProviders.join(","),
      IMMICH_ML_MODE: "enforce",
      // Of a container that no stack runs it is not known what Immich asks of it.
      IMMICH_ML_MODELS: host.models?.map(({ model }) => model).join(",") ?? "cached",
      IMMICH_ML_TIMEOUT: "60",
      ...dockerClientEnvironment(host),
    },
    stdin: inferenceProgram(),
    onStderr: (text) => process.stderr.write(text),
  });
  const checks = host.serviceName
    ? parseCheckResults(ended.stdout)
    : [parseCheckResult(ended.stdout)];
  if (checks.length === 0) throw new Error(`${host.host}: no task runs on ${host.dockerHost}`);
  return checks.map((check) => ({ host, check }));
}

const heading = ["HOST", "VERIFIED", "PROVIDER", "CARD", "MILLISECONDS", "OFF THE CPU"];

function summary({ host, check }: Verified): string[] {
  if (!check.ok) return [host.host, "NO", check.error];
  const cards = check.devices.map(({ card, device }) => card ?? device);
  const differences = check.devices.flatMap(({ maximumDifference }) => maximumDifference ?? []);
  return [
    host.host,
    check.notExecuted ? "loaded" : "yes",
    check.provider,
    cards.join(", "),
    check.devices.map(({ milliseconds }) => milliseconds).join(", "),
    differences.map((difference) => difference.toExponential(0)).join(", "),
  ];
}

function modelTable(verified: readonly Verified[]): string[] {
  const rows = verified.flatMap(({ host, check }) =>
    check.ok ? (check.models ?? []).map((model) => [host.host, ...modelCells(model)]) : [],
  );
  return rows.length > 0 ? [asTable([["HOST", ...modelHeading], ...rows])] : [];
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error((error as Error).message);
    process.exit(2);
  },
);
