import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";

import { repositoryFolder } from "../../demo/folders";

/** Stops a container as the program does when another one takes over from it. */
export async function stopGently(container: string): Promise<void> {
  const folder = path.join(repositoryFolder, "verify");
  const script = `fail() { echo "$1" >&2; exit 1; }
work=$(mktemp -d); . "$folder/common.sh"; . "$folder/containers.sh"
stop_gently "$IMMICH_ML_CONTAINER" 30; rm -r "$work"`;
  await promisify(execFile)("sh", ["-euc", script], {
    env: { ...process.env, folder, IMMICH_ML_HOST: "attic", IMMICH_ML_CONTAINER: container },
  });
}
