import { setTimeout as pause } from "node:timers/promises";

import { run } from "../../demo/shell";
import { testName } from "./docker";

/** Asks 20 times a second, and writes `seconds WHO`, or `seconds -` when nobody answers. */
const program = `
import sys, time, urllib.request
while True:
    began = time.time()
    try:
        who = urllib.request.urlopen(sys.argv[1], timeout=1).read().decode()
    except OSError:
        who = "-"
    print(f"{began:.3f} {who}", flush=True)
    time.sleep(0.05)
`;

/** Watches from a container in a network who answers at an address. */
export interface Probe {
  /** Who answered since a moment (seconds), in order, and for how many seconds nobody did. */
  since(moment: number): Promise<{ readonly who: readonly string[]; readonly silent: number }>;
  stop(): Promise<void>;
}

/** @param image one with Python */
export async function startProbe(image: string, network: string, url: string): Promise<Probe> {
  const name = testName("probe");
  await run("docker", [
    ...["run", "-d", "--name", name, "--network", network],
    ...[image, "python3", "-u", "-c", program, url],
  ]);
  return {
    since: async (moment) => {
      await pause(500);
      const output = await run("docker", ["logs", "--tail", "40000", name]);
      const answers = output
        .split("\n")
        .map((line) => line.split(" "))
        .flatMap(([at, who]) => (who === undefined ? [] : [{ at: Number(at), who }]))
        .filter(({ at }) => at >= moment);
      const silent = answers.reduce((sum, { at, who }, index) => {
        const next = answers[index + 1];
        return who === "-" && next ? sum + next.at - at : sum;
      }, 0);
      const who = answers.map((answer) => answer.who);
      return { who: who.filter((each, index) => each !== who[index - 1]), silent };
    },
    stop: async () => {
      await run("docker", ["rm", "-f", name]);
    },
  };
}
