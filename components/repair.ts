import * as pulumi from "@pulumi/pulumi";

import type { Settings } from "../config/load";
import type { PreflightResult } from "../preflight";
import { storedOutputs, type Stored } from "./stackState";

/**
 * What is gone or broken on a host. It becomes part of the inputs, so that a plain `preview` shows it
 * and a plain `up` mends it. The numbers differ from those in the state, and so replace what is gone.
 */
export interface Repair {
  /** The container was deleted. */
  readonly container?: number | undefined;
  /** The cache's volume was deleted. */
  readonly volume?: number | undefined;
  /** Why the container does not serve, and since when. */
  readonly fault?: string | undefined;
  /** There are containers of this host that the state does not know. The swap removes them at its end. */
  readonly isStateLost?: boolean | undefined;
}

const containerType = "docker:index/container:Container";
const volumeType = "docker:index/volume:Volume";

/** The label of a volume that was made again; its value counts. */
export const madeAgain = "org.immich-ml.made-again";

/** By host, what has to be mended. */
export function repairsOf(
  { hosts }: Settings,
  { drift }: PreflightResult,
  resources: Stored,
): Readonly<Record<string, Repair>> {
  const stored = (type: string, name: string) =>
    storedOutputs(resources, type, name) as Outputs | undefined;
  return Object.fromEntries(
    hosts.map(({ name, containerName, cache }) => {
      const found = drift[name];
      const container = found?.isContainerMissing ? stored(containerType, name) : undefined;
      const volume = found?.isVolumeMissing ? stored(volumeType, `${name}-cache`) : undefined;
      if (container) say(`${name}: the container ${containerName} is gone: up creates it again`);
      if (volume)
        say(
          `${name}: the volume ${cache.kind === "volume" ? cache.volume : ""} is gone: up creates an empty one`,
        );
      const isStateLost =
        found?.isContainerMissing === false && stored(containerType, name) === undefined;
      if (isStateLost) say(leftBehind(`${name}: the container ${containerName}`));
      const count = Number(volume?.labels?.find(({ label }) => label === madeAgain)?.value ?? 0);
      const repair: Repair = {
        container: container && (container.waitTimeout ?? 60) + 1,
        volume: volume && count + 1,
        fault: found?.fault,
        isStateLost,
      };
      return [name, repair];
    }),
  );
}

interface Outputs {
  readonly waitTimeout?: number;
  readonly labels?: readonly { readonly label: string; readonly value: string }[];
}

/** What is said of something with this stack's marks that its state does not have. */
export function leftBehind(what: string): string {
  return `${what}: created by this stack, but missing from its state (the state was lost, or a run was killed); up creates it again`;
}

function say(message: string): void {
  void pulumi.log.warn(message);
}
