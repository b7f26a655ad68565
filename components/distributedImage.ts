import { readFileSync } from "node:fs";
import { join } from "node:path";

import { local } from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import { dockerClientEnvironment } from "../util/dockerClient";

export interface DistributedImageArgs {
  /** Id of the image (`sha256:…`) on the provider's engine. */
  image: pulumi.Input<string>;

  /**
   * What it is called in the registry, as every node reaches that: `registry.lan:5000/immich/rack`.
   */
  repository: pulumi.Input<string>;

  /**
   * Runs the registry on the swarm first: Docker's own, without a password. `repository` must then
   * begin with `127.0.0.1` and its port, which every engine takes without TLS.
   *
   * @default none is run
   */
  ownRegistry?:
    | {
        /** Name of its service and of its volume. */
        name: pulumi.Input<string>;
        port: pulumi.Input<number>;
        /** The registry's image, by a reference with a digest. */
        image: pulumi.Input<string>;
        /**
         * `ingress`: the port is open on every node; `host`: on the registry's node only, for a swarm
         * of one node whose kernel has no IP virtual server.
         *
         * @default "ingress"
         */
        publishMode?: "ingress" | "host" | undefined;
      }
    | undefined;

  /** The engine's address for the docker client that pushes. @default the client's own */
  dockerHost?: pulumi.Input<string> | undefined;

  /** For an engine at `tcp://`: the folder with ca.pem, cert.pem and key.pem. @default none */
  tls?: pulumi.Input<string> | undefined;
}

/**
 * An image that only one engine has, put where the nodes of a swarm can pull it from by its digest.
 *
 * The docker client pushes it, with what `docker login` has stored, so the registry need only be
 * reached by the engines. What was pushed stays in a registry that is not run here.
 *
 * @example
 * const distributed = new DistributedImage("rack-distributed", {
 *   image: built.imageId,
 *   repository: "registry.lan:5000/immich/rack",
 * }, { provider: manager });
 */
export class DistributedImage extends pulumi.ComponentResource {
  /** By digest, such as `registry.lan:5000/immich/rack@sha256:…`. */
  public readonly reference: pulumi.Output<string>;

  /**
   * @param name the component's name; its resources are `${name}-push` and, where a registry is run,
   *   `${name}-registry` with its volume.
   * @param args which image and where to.
   * @param opts give a `docker.Provider` of a manager of the swarm as `provider`.
   */
  constructor(name: string, args: DistributedImageArgs, opts?: pulumi.ComponentResourceOptions) {
    super("immich-ml:index:DistributedImage", name, {}, opts);

    const registry = args.ownRegistry && runRegistry(name, args.ownRegistry, this);
    const push = new local.Command(
      `${name}-push`,
      {
        // The script travels in the environment, so that an error does not repeat it.
        create: 'exec sh -c "$SCRIPT"',
        // Its layers are the built image's own, so only the name is taken away again.
        delete: 'docker image rm "$REPOSITORY:$TAG" || true',
        environment: {
          SCRIPT: pushingScript,
          IMAGE: args.image,
          REPOSITORY: args.repository,
          TAG: pulumi.output(args.image).apply((id) => id.replace(/^sha256:/, "").slice(0, 12)),
          ...(args.dockerHost !== undefined &&
            dockerClientEnvironment({ dockerHost: args.dockerHost, tls: args.tls })),
        },
        triggers: [args.image, args.repository, ...(registry ? [registry.id] : [])],
        addPreviousOutputInEnv: false,
      },
      { parent: this },
    );

    this.reference = push.stdout.apply(lastLine);
    this.registerOutputs({ reference: this.reference });
  }
}

const pushingScript = readFileSync(join(__dirname, "pushImage.sh"), "utf8");

function runRegistry(
  name: string,
  {
    name: serviceName,
    port,
    image,
    publishMode = "ingress",
  }: NonNullable<DistributedImageArgs["ownRegistry"]>,
  parent: DistributedImage,
): docker.Service {
  const volume = new docker.Volume(
    `${name}-registry`,
    { name: serviceName, driver: "local" },
    { parent },
  );
  return new docker.Service(
    `${name}-registry`,
    {
      name: serviceName,
      taskSpec: {
        containerSpec: {
          image,
          mounts: [{ type: "volume", source: volume.name, target: "/var/lib/registry" }],
          stopGracePeriod: "10s",
        },
        // Where its volume is.
        placement: { constraints: ["node.role==manager"], maxReplicas: 0 },
        restartPolicy: { condition: "any", delay: "5s", maxAttempts: 0, window: "0s" },
      },
      endpointSpec: {
        // Without a port of every node's there is no virtual address to balance.
        mode: publishMode === "ingress" ? "vip" : "dnsrr",
        ports: [{ targetPort: 5000, publishedPort: port, publishMode }],
      },
    },
    {
      parent,
      // The engine asks the registry for them when a service is created, and then reports them.
      ignoreChanges: ["taskSpec.placement.platforms"],
    },
  );
}

function lastLine(output: string): string {
  return output.trimEnd().split("\n").at(-1) ?? "";
}
