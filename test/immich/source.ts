import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";

import { compareImmichVersions } from "../../catalog/immichVersion";
import { testedReleases } from "../../catalog/immichReleases";
import { immichVersionOf } from "../../immich/settings";

/*
 * Where the tests find Immich's real server: a built checkout, or the official image. Nothing of Immich
 * is part of this repository.
 */

/** Immich's server of one release. */
export interface ImmichSource {
  /** Such as v3.1.0. */
  readonly release: string;
  /** Folder of a checkout whose server/ is built; undefined for the official image. */
  readonly folder?: string;
  readonly image?: string;
}

/** One folder a release, such as `v3.1.0`: checkouts with `server/dist`. */
const cache = path.join(homedir(), ".cache", "immich-ml", "immich-server");

/** The releases that can be tested here, newest first, and in one line where they come from. */
export function findImmich(): { readonly sources: readonly ImmichSource[]; readonly line: string } {
  const folder = process.env["IMMICH_SOURCE"] ?? cache;
  const names = existsSync(folder) ? readdirSync(folder) : [];
  const built = [folder, ...names.map((name) => path.join(folder, name))]
    .flatMap((checkout) => {
      const release = builtRelease(checkout);
      return release === undefined ? [] : [{ release, folder: checkout }];
    })
    .sort((left, right) =>
      compareImmichVersions(immichVersionOf(right.release), immichVersionOf(left.release)),
    );
  if (built.length > 0) {
    const releases = built.map(({ release }) => release).join(", ");
    return { sources: built, line: `Immich ${releases} from ${folder}` };
  }
  const images = testedReleases
    .map((release) => ({ release, image: `ghcr.io/immich-app/immich-server:${release}` }))
    .filter(({ image }) => isAvailable(image));
  if (images.length > 0) {
    const releases = images.map(({ release }) => release).join(", ");
    return { sources: images, line: `Immich ${releases} from the official images` };
  }
  return {
    sources: [],
    line: `SKIPPED: no real Immich server: no built checkout in ${folder} (server/dist/main.js), no official image (npm run test:immich pulls them)`,
  };
}

/** Says in one line what npm test leaves out for its length. */
export const longTestsLine = (what: string): string =>
  `SKIPPED: long tests against Immich itself, ${what}: npm run test:immich runs them`;

function builtRelease(folder: string): string | undefined {
  const manifest = path.join(folder, "server", "package.json");
  if (!existsSync(path.join(folder, "server", "dist", "main.js"))) return undefined;
  return `v${(JSON.parse(readFileSync(manifest, "utf8")) as { version: string }).version}`;
}

/** Whether the image is here; `npm run test:immich` pulls it. */
function isAvailable(image: string): boolean {
  const docker = (...words: string[]) => {
    try {
      execFileSync("docker", words, { stdio: "ignore", timeout: 600_000 });
      return true;
    } catch {
      return false;
    }
  };
  if (docker("image", "inspect", image)) return true;
  return process.env["IMMICH_PULL"] === "1" && docker("pull", "--quiet", image);
}
