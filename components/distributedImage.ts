import { readFileSync } from "node:fs";
import { join } from "node:path";

import { local } from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

export interface DistributedImageArgs {
  /** Id of the image (`sha256:…`) on the provider's engine. */
  image: pulumi.Input<string>;

  /** The registry as every node calls it, with a path if any, such as `registry.lan:5000/immich`. */
  registry: pulumi.Input<string>;

  /**
   * Runs that registry on the swarm first: Docker's own, without a password, its port open on every
   * node. `registry` must then be `127.0.0.1` and this port, which every engine takes without TLS.
   *
   * @default none is run
   */
  ownRegistry?:
    | {
        port: pulumi.Input<number>;
        /** The registry's image, by a reference with a digest. */
        image: pulumi.Input<string>;
      }
    | undefined;

  /** The engine's address for the docker client that pushes. @default the client's own */
  dockerHost?: pulumi.Input<string> | undefined;
}

/**
 * An image that only one engine has, put where the nodes of a swarm can pull it from by its digest.
 *
 * The docker client pushes it, with what `docker login` has stored, so the registry need only be
 * reached by the engines. What was pushed stays in a registry that is not run here.
 *
 * @example
 * const distributed = new DistributedImage("rack-image", {
 *   image: built.imageId,
 *   registry: "registry.lan:5000/immich",
 * }, { provider: manager });
 */
export class DistributedImage extends pulumi.ComponentResource {
  /** By digest, such as `registry.lan:5000/immich/rack-image@sha256:…`. */
  public readonly reference: pulumi.Output<string>;

  /**
   * @param name the component's name, and the image's in the registry; the resources are
   *   `${name}-push` and, where a registry is run, `${name}-registry` with its volume.
   * @param args which image and where to.
   * @param opts give a `docker.Provider` of a manager of the swarm as `provider`.
   */
  constructor(name: string, args: DistributedImageArgs, opts?: pulumi.ComponentResourceOptions) {
    super("immich-ml:index:DistributedImage", name, {}, opts);

    const registry = args.ownRegistry && runRegistry(name, args.ownRegistry, this);
    const push = new local.Command(
      `${name}-push`,
      {
        create: pushingScript,
        // Its layers are the built image's own, so only the name is taken away again.
        delete: 'docker image rm "$REPOSITORY:$TAG" || true',
        environment: {
          IMAGE: args.image,
          REPOSITORY: pulumi.interpolate`${args.registry}/${name}`,
          TAG: pulumi.output(args.image).apply((id) => id.replace(/^sha256:/, "").slice(0, 12)),
          ...(args.dockerHost !== undefined && { DOCKER_HOST: args.dockerHost }),
        },
        triggers: [args.image, args.registry, ...(registry ? [registry.id] : [])],
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
  { port, image }: NonNullable<DistributedImageArgs["ownRegistry"]>,
  parent: DistributedImage,
): docker.Service {
  const volume = new docker.Volume(
    `${name}-registry`,
    { name: `immich-ml-${name}-registry`, driver: "local" },
    { parent },
  );
  return new docker.Service(
    `${name}-registry`,
    {
      name: `immich-ml-${name}-registry`,
      taskSpec: {
        containerSpec: {
          image,
          mounts: [{ type: "volume", source: volume.name, target: "/var/lib/registry" }],
          stopGracePeriod: "10s",
        },
        // Where its volume is.
        placement: { constraints: ["node.role==manager"] },
      },
      endpointSpec: { mode: "vip", ports: [{ targetPort: 5000, publishedPort: port }] },
    },
    { parent },
  );
}

function lastLine(output: string): string {
  return output.trimEnd().split("\n").at(-1) ?? "";
}
