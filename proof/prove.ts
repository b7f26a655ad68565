import { parseArgs } from "node:util";

import { accelerators } from "../catalogue/accelerators";
import { dockerClientEnvironment } from "../catalogue/dockerClient";
import { type DeployedHost, namedContainer, readDeployment, run } from "./deployment";
import {
  inferenceProgram,
  parseProof,
  parseProofs,
  type Proof,
  proofCommand,
  rolloutScript,
  waitingScript,
} from "./proof";
import { asTable, modelCells, modelHeading } from "./table";

const usage = `Proves that the accelerator of every container of a stack computes, and the models Immich
is told to use on it, as far as they are in the cache.

  npm run prove -- [--stack NAME] [--json] [HOST…]
  npm run prove -- --container NAME --accelerator NAME [--docker-host ADDRESS] [--json]

The second form proves any container of Immich's machine learning, for instance docker compose's, and
the models in its cache.
Ends with 1 when one of them is not proven.`;

interface Proven {
  readonly host: DeployedHost;
  readonly proof: Proof;
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

  const proven = (await Promise.all(chosen.map(proveHost))).flat();
  console.log(
    values.json
      ? JSON.stringify(
          proven.map(({ host, proof }) => ({ host: host.host, ...proof })),
          null,
          2,
        )
      : [asTable([heading, ...proven.map(summary)]), ...modelTable(proven)].join("\n\n"),
  );
  return proven.every(({ proof }) => proof.ok) ? 0 : 1;
}

/** A container's result, or one for each of a service's tasks on the engine reached. */
async function proveHost(host: DeployedHost): Promise<Proven[]> {
  const subject: Record<string, string> = host.serviceName
    ? {
        IMMICH_ML_PROOF: rolloutScript(),
        IMMICH_ML_CONTAINER_PROOF: waitingScript(),
        IMMICH_ML_SERVICE: host.serviceName,
        IMMICH_ML_ADDRESS: "",
      }
    : { IMMICH_ML_PROOF: waitingScript(), IMMICH_ML_CONTAINER: host.containerName ?? "" };
  const ended = await run("sh", ["-c", proofCommand], {
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
    onError: (text) => process.stderr.write(text),
  });
  const proofs = host.serviceName ? parseProofs(ended.stdout) : [parseProof(ended.stdout)];
  if (proofs.length === 0) throw new Error(`${host.host}: no task runs on ${host.dockerHost}`);
  return proofs.map((proof) => ({ host, proof }));
}

const heading = ["HOST", "PROVEN", "PROVIDER", "CARD", "MILLISECONDS", "OFF THE CPU"];

function summary({ host, proof }: Proven): string[] {
  if (!proof.ok) return [host.host, "NO", proof.error];
  const cards = proof.devices.map(({ card, device }) => card ?? device);
  const differences = proof.devices.flatMap(({ maximumDifference }) => maximumDifference ?? []);
  return [
    host.host,
    proof.onlyLoaded ? "loaded" : "yes",
    proof.provider,
    cards.join(", "),
    proof.devices.map(({ milliseconds }) => milliseconds).join(", "),
    differences.map((difference) => difference.toExponential(0)).join(", "),
  ];
}

function modelTable(proven: readonly Proven[]): string[] {
  const rows = proven.flatMap(({ host, proof }) =>
    proof.ok ? (proof.models ?? []).map((model) => [host.host, ...modelCells(model)]) : [],
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
