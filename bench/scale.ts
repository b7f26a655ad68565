import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import { run } from "../demo/shell";
import { fakes, testName } from "../test/support/docker";
import { benchmark, type Figures, type Goal, median, timed } from "./support/benchmark";
import {
  ansibleFleet,
  bareFleet,
  composeFleet,
  type Fleet,
  type FleetArgs,
  ourFleet,
  terraformFleet,
} from "./support/fleets";
import { cpuTimeOfChildren } from "./support/processTree";

/**
 * Time to create, run again, change and destroy 1, 10 and 50 hosts on one engine, in turn with the same
 * containers by the least Pulumi program, by docker compose, by Terraform where it is at hand, and, up to 10
 * hosts, by Ansible. The image sleeps and is healthy; nobody waits for that, and nothing is checked
 * (`check: off`). The state is a local file.
 */
const sizes = [1, 10, 50];
/** `npm run bench -- scale <rounds>` */
const rounds = Number(process.argv[2] ?? 2);
/** Measured for each fleet, in this order. */
const steps = ["create", "noOp", "change", "destroy"] as const;
type Step = (typeof steps)[number];

const peers = {
  bare: bareFleet,
  compose: composeFleet,
  ansible: ansibleFleet,
  terraform: terraformFleet,
} as const;
type Peer = keyof typeof peers;
/** It takes 1.5 s a host. */
const mostHostsOfAnsible = 10;

/** Ratios to the peer; the figures are for as many hosts. */
const goals: readonly { size: number; step: Step; peer: Peer; goal: Goal }[] = [
  { size: 50, step: "create", peer: "bare", goal: { atMost: 1.15 } },
  { size: 50, step: "create", peer: "compose", goal: { atMost: 2 } },
  { size: 50, step: "destroy", peer: "compose", goal: { atMost: 3 } },
  { size: 10, step: "noOp", peer: "ansible", goal: { atMost: 0.1 } },
  { size: 50, step: "noOp", peer: "terraform", goal: { atMost: 1.5 } },
];

interface Times {
  readonly seconds: Record<Step, number[]>;
  readonly cpuSeconds: Record<Step, number[]>;
}

async function measure(figures: Figures): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-bench-"));
  const network = testName("bench-network");
  const image = await sleeper(folder);
  await run("docker", ["network", "create", network]);
  const noOps: Record<"ours" | "bare", number[]> = { ours: [], bare: [] };
  try {
    for (const size of sizes) {
      const hosts = Array.from({ length: size }, (_, index) => `host-${index + 1}`);
      const times = await measureFleets({ hosts, image, network });
      const { ours } = times;
      for (const name of ["ours", "bare"] as const)
        noOps[name].push(median(times[name]!.cpuSeconds.noOp));
      for (const step of steps) {
        figures.add(`scale.${size}.${step}`, ours!.seconds[step], "s");
        figures.add(`scale.${size}.${step}.cpuTime`, ours!.cpuSeconds[step], "s");
        for (const peer of Object.keys(peers) as Peer[]) {
          const theirs = times[peer];
          if (theirs === undefined) continue;
          const declared = goals.find(
            (each) => each.size === size && each.step === step && each.peer === peer,
          );
          figures.add(`scale.${size}.${step}.${peer}`, theirs.seconds[step], "s");
          figures.ratio(
            `scale.${size}.${step}.${peer}.ratio`,
            ours!.seconds[step],
            theirs.seconds[step],
            declared?.goal,
          );
        }
      }
    }
    const [ours, bare] = [noOps.ours, noOps.bare].map(
      ([one, , fifty]) => (1000 * (fifty! - one!)) / 49,
    );
    // Otherwise the goal would be met by the noise of a busy machine.
    if (ours! <= 0 || bare! <= 0) {
      throw new Error(
        "a no-op of 50 hosts took no longer than one of a single host: the machine is too busy for this benchmark, run it again",
      );
    }
    figures.add("scale.noOp.cpuTime.perAddedHost", ours!, "ms");
    figures.add("scale.noOp.cpuTime.perAddedHost.bare", bare!, "ms");
    figures.add("scale.noOp.cpuTime.perAddedHost.ratio", ours! / bare!, "", { atMost: 0.75 });
  } finally {
    await removeNetwork(network);
    await run("docker", ["rmi", image]);
    await rm(folder, { recursive: true });
  }
}

async function measureFleets(args: FleetArgs): Promise<Record<string, Times>> {
  const fleets: [string, Fleet][] = [["ours", await ourFleet(args)]];
  try {
    for (const [name, open] of Object.entries(peers)) {
      if (name === "ansible" && args.hosts.length > mostHostsOfAnsible) continue;
      const fleet = await open(args);
      if (fleet) fleets.push([name, fleet]);
      else console.log(`${name}: not run, since it or its Docker provider is not here`);
    }
    const times = Object.fromEntries(fleets.map(([name]) => [name, noTimes()]));
    for (let round = 0; round < rounds; round += 1) {
      for (const [name, fleet] of fleets) await goThrough(fleet, times[name]!);
    }
    return times;
  } finally {
    for (const [, fleet] of fleets) await fleet.remove();
  }
}

/** Docker 20.10 may keep the endpoint of a removed container, which spoils no figure. */
async function removeNetwork(name: string): Promise<void> {
  await run("docker", ["network", "rm", name]).catch((error: Error) =>
    console.error(error.message),
  );
}

function noTimes(): Times {
  const none = () => ({ create: [], noOp: [], change: [], destroy: [] });
  return { seconds: none(), cpuSeconds: none() };
}

async function goThrough(fleet: Fleet, times: Times): Promise<void> {
  const works = [() => fleet.up(300), () => fleet.up(300), () => fleet.up(10), () => fleet.down()];
  for (const [index, step] of steps.entries()) {
    const before = cpuTimeOfChildren();
    times.seconds[step].push((await timed(works[index]!)).milliseconds / 1000);
    times.cpuSeconds[step].push(cpuTimeOfChildren() - before);
  }
}

/** An image that sleeps, with the cheapest possible health check. */
async function sleeper(folder: string): Promise<string> {
  const { python310 } = await fakes();
  const image = `${testName("bench-sleeper")}:1`;
  await writeFile(
    path.join(folder, "Dockerfile"),
    `FROM ${python310}
RUN ln -sf /bin/true /usr/local/bin/python3
# Nobody waits for a container to stop.
STOPSIGNAL SIGKILL
CMD ["sleep", "infinity"]
`,
  );
  await run("docker", ["build", "--quiet", "--tag", image, folder]);
  return image;
}

benchmark("scale", measure);
