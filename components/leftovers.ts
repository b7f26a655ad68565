import * as pulumi from "@pulumi/pulumi";

import type { HostSettings, Settings } from "../config/load";
import { databaseFunctions } from "../immich/databaseFunctions";
import { dropFunctions } from "../immich/databaseStore";
import type { PreflightResult } from "../preflight";
import { otherOwner } from "../preflight/containerChecks";
import { DockerClient } from "../util/docker";
import { dockerClientEnvironment } from "../util/dockerClient";
import { run } from "../util/run";
import { sanitize } from "../util/sanitize";
import { functionResource } from "./presetCommands";
import { leftBehind } from "./repair";
import { storedOutputs, type Stored } from "./stackState";
import { presetName, registryName } from "./wiring";

/*
 * What this stack has made and its state does not know: the state was lost, or a run was killed at that moment.
 * The providers would fail on each. The swap sees to containers.
 */

/** Something that `up` removes first, and makes again. */
interface Leftover {
  /** Such as `the service immich_ml`. */
  readonly description: string;
  /** @throws an error that says why it cannot be removed */
  readonly remove: () => Promise<void>;
}

/**
 * Removes what is left over, and says so; a preview only says it.
 *
 * @throws pulumi.RunError where the functions in Immich's database may be another stack's
 */
export async function removeLeftovers(
  settings: Settings,
  found: PreflightResult,
  stored: Stored,
): Promise<void> {
  const swarms = settings.hosts.filter(
    ({ name, swarm }) => swarm && !found.unreachableHosts.has(name),
  );
  const leftovers = [
    ...leftFunctions(settings, found, stored),
    ...(await Promise.all(swarms.map((host) => leftOfSwarm(host, settings, stored)))).flat(),
  ];
  for (const { description, remove } of leftovers) {
    void pulumi.log.warn(leftBehind(description));
    if (!pulumi.runtime.isDryRun()) await remove();
  }
}

function leftFunctions(
  settings: Settings,
  { database: location, databaseFunctions: existing, mayBeFirstRelease }: PreflightResult,
  stored: Stored,
): Leftover[] {
  const { database } = settings.immich;
  // The functions of release 0.1.0 have other names in the state.
  if (!database || !location || mayBeFirstRelease) return [];
  const names = databaseFunctions
    .map(({ name }) => name)
    .filter(
      (name) =>
        name in existing &&
        storedOutputs(
          stored,
          "postgresql:index/function:Function",
          functionResource(presetName, name),
        ) === undefined,
    );
  if (names.length === 0) return [];
  const own = `${settings.project}/${settings.stack}`;
  const others = new Set(names.map((name) => existing[name]).filter((stack) => stack !== own));
  if (others.size > 0) {
    const [other] = others;
    const whose = other === null ? "an unknown stack" : `stack ${other}`;
    throw new pulumi.RunError(
      `Immich's database already has the functions of ${whose}; nothing was changed. One Immich takes its models from one stack: destroy that one first, or, if its state is lost, DROP SCHEMA immich_ml CASCADE in Immich's database`,
    );
  }
  const { name, user, sslMode } = database;
  const password = settings.secrets.databasePassword!;
  return [
    {
      description: `the functions in schema immich_ml of Immich's database (${names.join(", ")})`,
      remove: () =>
        dropFunctions(
          { kind: "database", ...location, database: name, user, sslMode, password },
          names,
        ),
    },
  ];
}

const serviceType = "docker:index/service:Service";

/** In the order in which they can be removed. */
async function leftOfSwarm(
  host: HostSettings,
  settings: Settings,
  stored: Stored,
): Promise<Leftover[]> {
  const { name, containerName, network } = host;
  const docker = new DockerClient(host, run);
  const candidates = [
    { kind: "service", called: containerName, type: serviceType, resource: name },
    {
      kind: "service",
      called: registryName(containerName),
      type: serviceType,
      resource: `${name}-distributed-registry`,
    },
    ...(network === undefined
      ? [
          {
            kind: "network",
            called: containerName,
            type: "docker:index/network:Network",
            resource: `${name}-network`,
          } as const,
        ]
      : []),
  ] as const;
  const unknown = candidates.filter(
    ({ type, resource }) => storedOutputs(stored, type, resource) === undefined,
  );
  const found = await Promise.all(
    unknown.map(async ({ kind, called }) => {
      const answer = await docker[kind](called);
      const existing = answer.ok ? answer.value : undefined;
      return existing && otherOwner(existing.labels, settings) === undefined
        ? [
            {
              description: `${name}: the ${kind} ${called}`,
              remove: () => removeFromEngine(host, kind, called),
            },
          ]
        : [];
    }),
  );
  return found.flat();
}

/** Seconds that a service's tasks may take to leave their network. */
const limit = 120;

async function removeFromEngine(
  host: HostSettings,
  kind: "service" | "network",
  name: string,
): Promise<void> {
  const docker = new DockerClient(host, run);
  const until = Date.now() + 1000 * limit;
  for (;;) {
    const { stderr } = await run("docker", [kind, "rm", name], {
      environment: dockerClientEnvironment(host),
      timeout: 30,
    });
    // A network that was removed is there until the last task has left it.
    const left = await docker[kind](name);
    if (left.ok && left.value === undefined) return;
    if (Date.now() > until) {
      const reason = left.ok ? sanitize(stderr, 2000) || "it is still there" : left.message;
      throw new pulumi.RunError(
        `${host.name}: the ${kind} ${name} could not be removed within ${limit} s: ${reason}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}
