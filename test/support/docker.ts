import { randomBytes } from "node:crypto";
import { setTimeout } from "node:timers/promises";

import Docker from "dockerode";
import { ensureDockerEngine } from "../../demo/engine";
import { ensureFakeImages, type FakeImages } from "../../demo/fakeImages";

/** A Docker engine; root installs and starts one when none answers. */
export async function startedDocker(): Promise<Docker> {
  await ensureDockerEngine(console.log);
  return new Docker();
}

/** The fake base images, built when they are missing, which takes minutes. */
export async function fakes(immichVersion = "v2.7.5"): Promise<FakeImages> {
  await startedDocker();
  return ensureFakeImages(immichVersion, console.log);
}

/** A name for a container, image, volume or network that only one test uses. */
export function testName(purpose: string): string {
  return `immich-ml-test-${purpose}-${randomBytes(3).toString("hex")}`;
}

/** Waits until Docker, too, calls a container healthy: it asks for the first time after an interval. */
export async function untilHealthy(
  inspect: () => Promise<Docker.ContainerInspectInfo>,
): Promise<void> {
  const end = Date.now() + 60_000;
  for (;;) {
    const status = (await inspect()).State.Health?.Status;
    if (status === "healthy") return;
    if (Date.now() > end) throw new Error(`the container is ${status} after a minute`);
    await setTimeout(500);
  }
}
