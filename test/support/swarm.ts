import { testName } from "./docker";
import { type PrivateEngine, startPrivateEngine } from "./privateEngine";
import { buildRegistryImage, buildServiceImage } from "./serviceImage";

/** Allows the registry of a swarm with several nodes, which has no TLS. */
export const swarmDaemon = { "insecure-registries": ["10.77.0.0/24"] };

/** A swarm of one node on a private engine, with a registry on its loopback address. */
export interface Swarm {
  readonly engine: PrivateEngine;
  /** The fake server as two different images. */
  readonly images: { readonly first: string; readonly second: string; readonly registry: string };
  readonly registry: string;
  stop(): Promise<void>;
}

/** @param join prepares the engine for further nodes. @returns the address of the engine */
export async function startSwarm(
  join: (engine: PrivateEngine) => Promise<string> = () => Promise.resolve("127.0.0.1"),
): Promise<Swarm> {
  const engine = await startPrivateEngine({ daemon: swarmDaemon });
  try {
    const address = await join(engine);
    await engine.docker("swarm", "init", "--advertise-addr", address);
    const registry = await buildRegistryImage(engine);
    await engine.docker("run", "--detach", "--network", "host", registry);
    const first = await buildServiceImage(engine);
    const second = `${testName("image")}:latest`;
    const container = await engine.docker("create", first);
    await engine.docker("commit", "--change", "ENV STAND_IN=second", container, second);
    await engine.docker("rm", container);
    return {
      engine,
      images: { first, second, registry },
      registry: `${address}:5000/immich`,
      stop: () => engine.stop(),
    };
  } catch (error) {
    await engine.stop();
    throw error;
  }
}

/** Ids of a service's running tasks, sorted. */
export async function runningTasks(engine: PrivateEngine, service: string): Promise<string[]> {
  const format = "--format={{.ID}} {{.CurrentState}}";
  const listed = await engine.docker(
    "service",
    "ps",
    "--filter=desired-state=running",
    format,
    service,
  );
  return listed
    .split("\n")
    .filter((line) => line.includes(" Running "))
    .map((line) => line.split(" ")[0]!)
    .sort();
}
