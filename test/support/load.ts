import { readFileSync } from "node:fs";
import path from "node:path";

import { testName } from "./docker";
import type { PrivateEngine } from "./privateEngine";

/** What came of the requests that were sent. */
export interface Load {
  readonly answered: number;
  /** Failed once; a second try half a second later may have been answered. */
  readonly retried: number;
  /** Failed twice. */
  readonly lost: number;
  readonly seconds: number;
  /** Seconds the slowest answer took, its second try included. */
  readonly slowest: number;
  /** How often each error was met. */
  readonly reasons: Readonly<Record<string, number>>;
}

/**
 * Sends requests for embeddings from a container in the service's network until it is told to stop, and
 * at most for five minutes.
 *
 * @param options `workers`: requests at a time
 * @returns what ends it and counts
 */
export async function startLoad(
  engine: PrivateEngine,
  options: {
    readonly image: string;
    readonly network: string;
    readonly address: string;
    readonly workers?: number;
    readonly seconds?: number;
  },
): Promise<{ stop(): Promise<Load>; finish(): Promise<Load> }> {
  const name = testName("load");
  const program = readFileSync(path.join(__dirname, "load.py"), "utf8");
  const { image, network, address, workers = 2, seconds = 300 } = options;
  await engine.docker(
    ...["run", "--detach", "--name", name, "--network", network],
    ...[image, "python3", "-c", program, address, String(workers), String(seconds)],
  );
  const finish = async () => {
    await engine.docker("wait", name);
    const said = await engine.docker("logs", name);
    await engine.docker("rm", "--force", name);
    return JSON.parse(said.trim().split("\n").at(-1)!) as Load;
  };
  const stop = async () => {
    await engine.docker("exec", name, "touch", "/tmp/stop");
    return finish();
  };
  return { stop, finish };
}
