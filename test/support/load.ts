import { readFileSync } from "node:fs";
import path from "node:path";

import { repositoryFolder } from "../../demo/folders";
import { testName } from "./docker";
import type { PrivateEngine } from "./privateEngine";

/** Counts of requests. */
export interface Load {
  readonly answered: number;
  /** Failed once, and were sent again after half a second. */
  readonly retried: number;
  /** Failed twice. */
  readonly lost: number;
  readonly seconds: number;
  /** Seconds until the slowest answer, including its second try. */
  readonly slowest: number;
  /** Number of each error. */
  readonly reasons: Readonly<Record<string, number>>;
}

/**
 * Requests embeddings from a container in the service's network until it is stopped, for at most five
 * minutes.
 *
 * @param options `workers`: number of concurrent requests
 */
export async function startLoad(
  engine: PrivateEngine,
  options: {
    readonly image: string;
    readonly network: string;
    readonly address: string;
    readonly workers?: number;
    readonly seconds?: number;
    /** What to ask of the check's picture, as Immich sends it. @default the embedding of a text */
    readonly entries?: object;
  },
): Promise<{ stop(): Promise<Load>; finish(): Promise<Load> }> {
  const name = testName("load");
  const program = readFileSync(path.join(__dirname, "load.py"), "utf8");
  const { image, network, address, workers = 2, seconds = 300, entries } = options;
  const picture = path.join(repositoryFolder, "verify/picture.jpg");
  await engine.docker(
    ...["run", "--detach", "--name", name, "--network", network],
    ...["--volume", `${picture}:/picture.jpg:ro`],
    ...[image, "python3", "-c", program, address, String(workers), String(seconds)],
    ...(entries ? [JSON.stringify(entries)] : []),
  );
  const finish = async () => {
    await engine.docker("wait", name);
    const output = await engine.docker("logs", name);
    await engine.docker("rm", "--force", name);
    return JSON.parse(output.trim().split("\n").at(-1)!) as Load;
  };
  const stop = async () => {
    await engine.docker("exec", name, "touch", "/tmp/stop");
    return finish();
  };
  return { stop, finish };
}
