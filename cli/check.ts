import { writeFile } from "node:fs/promises";
import path from "node:path";

import { DockerClient } from "../util/docker";
import { dockerClientEnvironment } from "../util/dockerClient";
import { run } from "../util/run";
import { sanitizeLines } from "../util/sanitize";
import { type DeployedHost, readDeployment } from "../verify/deployment";
import {
  type CheckResult,
  checkScript,
  checkVariables,
  parseCheckResult,
  parseCheckResults,
  rolloutScript,
} from "../verify/check";
import { bundle } from "./bundle";
import { chooseHosts, dockerHostOption, runCommand } from "./command";
import { findContainer } from "./namedContainer";
import { asJson, asTable, modelCells, modelHeading } from "./table";

const usage = `Checks that the accelerators of a stack's containers compute, and tries the models of Immich that are in
their caches.

  npm run check -- [--stack NAME] [--json] [--bundle] [HOST…]
  npm run check -- --container NAME [--accelerator NAME] [--docker-host ADDRESS] [--json]

The second form checks any container of Immich's machine learning, such as docker compose's, and the
models in its cache. Without --accelerator, the tag of an official image names it (release-cuda: cuda).
--bundle writes immich-ml-bundle.txt for a bug report, without secrets and public addresses.
Exits with 0 when all are verified, with 1 when one is not, with 2 when the check could not run.`;

const options = {
  container: { type: "string" },
  accelerator: { type: "string" },
  "docker-host": dockerHostOption,
  json: { type: "boolean", default: false },
  bundle: { type: "boolean", default: false },
} as const;

interface CheckedHost {
  readonly host: DeployedHost;
  readonly check: CheckResult;
}

runCommand({ usage, options, allowPositionals: true }, async (values, names) => {
  const { container, accelerator, "docker-host": dockerHost, stack, json } = values;
  const hosts =
    container === undefined
      ? (await readDeployment(stack)).hosts
      : [
          await findContainer(new DockerClient({ dockerHost }, run), {
            ...{ container, accelerator, dockerHost },
          }),
        ];
  const chosen = chooseHosts(hosts, names);
  const checked = (await Promise.all(chosen.map(checkHost))).flat();
  const results = asJson(checked.map(({ host, check }) => ({ host: host.host, ...check })));
  if (values.bundle) {
    const file = path.resolve("immich-ml-bundle.txt");
    await writeFile(file, await bundle(chosen, results, stack), { mode: 0o600 });
    console.error(`Written: ${file}; read it before you publish it.`);
  }
  console.log(
    json
      ? results
      : [asTable([heading, ...checked.map(summary)]), ...modelTable(checked)].join("\n\n"),
  );
  return checked.every(({ check }) => check.ok) ? 0 : 1;
});

/** The result of a container, or of each of a service's tasks on the engine reached. */
async function checkHost(host: DeployedHost): Promise<CheckedHost[]> {
  const script = host.serviceName === undefined ? checkScript : rolloutScript;
  const ended = await run("sh", [path.join(__dirname, "..", script)], {
    environment: {
      ...(host.serviceName === undefined
        ? { IMMICH_ML_CONTAINER: host.containerName ?? "" }
        : { IMMICH_ML_SERVICE: host.serviceName, IMMICH_ML_ADDRESS: "" }),
      IMMICH_ML_HOST: host.host,
      ...checkVariables(host.accelerator),
      IMMICH_ML_MODE: "enforce",
      // What Immich uses is unknown for a container that no stack runs.
      IMMICH_ML_MODELS: host.models?.map(({ model }) => model).join(",") ?? "cached",
      IMMICH_ML_TIMEOUT: "60",
      ...dockerClientEnvironment(host),
    },
    onStderr: (text) => process.stderr.write(sanitizeLines(text)),
  });
  const checks =
    host.serviceName === undefined
      ? [parseCheckResult(ended.stdout)]
      : parseCheckResults(ended.stdout);
  if (checks.length === 0) throw new Error(`${host.host}: no task runs on ${host.dockerHost}`);
  return checks.map((check) => ({ host, check }));
}

const heading = ["HOST", "VERIFIED", "PROVIDER", "GPU", "MILLISECONDS", "DIFFERENCE TO CPU"];

function summary({ host, check }: CheckedHost): string[] {
  if (!check.ok) return [host.host, "NO", check.error];
  const { devices } = check;
  const differences = devices.flatMap(({ maximumDifference }) => maximumDifference ?? []);
  return [
    host.host,
    check.notExecuted ? "loaded" : "yes",
    check.provider,
    devices.map(({ gpu, device }) => gpu ?? device).join(", "),
    devices.map(({ milliseconds }) => milliseconds).join(", "),
    differences.map((difference) => difference.toExponential(0)).join(", "),
  ];
}

function modelTable(checked: readonly CheckedHost[]): string[] {
  const rows = checked.flatMap(({ host, check }) =>
    check.ok ? (check.models ?? []).map((model) => [host.host, ...modelCells(model)]) : [],
  );
  return rows.length > 0 ? [asTable([["HOST", ...modelHeading], ...rows])] : [];
}
