import { randomBytes } from "node:crypto";
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
