import { sanitize } from "../util/sanitize";
import { runCommand } from "./command";
import { hostsOf, nameOf, readState, type StoredResource, withoutHosts, writeState } from "./state";

const usage = `Forgets hosts that are gone for good: removes them from the stack's state without contacting them.
Immich's configuration and every other host stay as they are until the next pulumi up.

  npm run forget -- [--stack NAME] HOST…

Remove them from the stack file, too, or the next pulumi up sets them up again.`;

runCommand({ usage, options: {}, allowPositionals: true }, async ({ stack }, hosts) => {
  const before = await readState(stack);
  const known = hostsOf(before);
  const listed = known.join(", ") || "none";
  if (hosts.length === 0) throw new Error(`name the hosts to forget; there are: ${listed}`);
  const unknown = hosts.filter((host) => !known.includes(host));
  if (unknown.length > 0) {
    throw new Error(`the stack has no host ${unknown.join(", ")}; there are: ${listed}`);
  }
  const { state, gone } = withoutHosts(before, hosts);
  await writeState(stack, state);
  console.log(`forgotten: ${hosts.join(", ")}`);
  const left = gone.flatMap((resource) => removal(resource, servingName(resource, gone)));
  if (left.length > 0) {
    console.log("If they ever come back, remove this there by hand:");
    for (const command of left) console.log(`  ${command}`);
  }
  return 0;
});

const removals: Readonly<Record<string, string>> = {
  "docker:index/container:Container": "docker rm --force",
  "docker:index/service:Service": "docker service rm",
  "docker:index/network:Network": "docker network rm",
  "docker:index/volume:Volume": "docker volume rm",
  "docker:index/remoteImage:RemoteImage": "docker image rm",
};

/** The state has the name a container was made under; its host has the one it serves under. */
function servingName(resource: StoredResource, all: readonly StoredResource[]): unknown {
  // The check is no help: an `up` that failed at the host may have taken it out of the state already.
  return all.find(({ urn }) => urn === resource.parent)?.outputs?.["containerName"];
}

/** What is left on the host of a resource, as the command that removes it. */
function removal(resource: StoredResource, serving: unknown): string[] {
  const command = removals[resource.type];
  const isContainer = resource.type === "docker:index/container:Container";
  const name = isContainer && serving !== undefined ? serving : resource.outputs?.["name"];
  if (command === undefined) return [];
  return [`${command} ${sanitize(typeof name === "string" ? name : nameOf(resource))}`];
}
