import { local } from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import { dockerClientEnvironment } from "../util/dockerClient";
import { runScript } from "./programFile";
import { type DockerClientArgs, labelList } from "./server";

/** A registry on the swarm itself: Docker's own, without TLS and without a password. */
export interface OwnRegistry {
  /** Name of its service and of its volume. */
  name: pulumi.Input<string>;

  /** The port it is published on. */
  port: pulumi.Input<number>;

  /** The registry's image, by a reference with a digest. It needs `sh`; with `wget`, its health is checked. */
  image: pulumi.Input<string>;

  /**
   * `ingress`: the port is open on every node; `host`: on the registry's node only, for a swarm of
   * one node whose kernel has no IP virtual server.
   *
   * @default "ingress"
   */
  publishMode?: "ingress" | "host" | undefined;

  /** Labels of its service. @default none */
  labels?: Record<string, string> | undefined;
}

export interface DistributedImageArgs extends DockerClientArgs {
  /** Id of the image (`sha256:…`) on the provider's engine. */
  image: pulumi.Input<string>;

  /** Its name in the registry, as every node reaches that: `registry.lan:5000/immich/rack`. */
  repository: pulumi.Input<string>;

  /**
   * Runs the registry on the swarm first. `repository` must then begin with `127.0.0.1` and its
   * port, which every engine accepts without TLS.
   *
   * @default no registry is run
   */
  ownRegistry?: OwnRegistry | undefined;
}

/**
 * Puts an image that only one engine has where every node of a swarm can pull it by its digest.
 *
 * The docker client pushes it with the credentials of `docker login`, so only the engines need to
 * reach the registry. A registry that is not run here keeps what was pushed.
 *
 * @example
 * const distributed = new DistributedImage("rack-distributed", {
 *   image: image.imageId,
 *   repository: "registry.lan:5000/immich/rack",
 * }, { provider });
 */
export class DistributedImage extends pulumi.ComponentResource {
  /** Pushes the image. */
  public readonly push: local.Command;

  /** The registry's service; undefined where none is run. */
  public readonly registry: docker.Service | undefined;

  /** By digest, such as `registry.lan:5000/immich/rack@sha256:…`. */
  public readonly reference: pulumi.Output<string>;

  /**
   * @param name the component's name; its resources are `${name}-push` and, where a registry is run,
   *   `${name}-registry` with its volume
   * @param args which image, and where to
   * @param opts `provider`: a `docker.Provider` of a manager of the swarm
   */
  constructor(
    name: string,
    public readonly args: DistributedImageArgs,
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("immich-ml:index:DistributedImage", name, {}, opts);

    const { image, repository, ownRegistry } = args;
    this.registry = ownRegistry && runRegistry(`${name}-registry`, ownRegistry, this);
    this.push = new local.Command(
      `${name}-push`,
      {
        create: runScript("components/pushImage.sh"),
        // Removes only the name: the layers belong to the image that was built.
        delete: 'docker image rm "$REPOSITORY:$TAG" || true',
        environment: {
          IMAGE: image,
          REPOSITORY: repository,
          TAG: pulumi.output(image).apply((id) => id.replace(/^sha256:/, "").slice(0, 12)),
          ...dockerClientEnvironment(args),
        },
        triggers: [image, repository, ...(this.registry ? [this.registry.id] : [])],
        addPreviousOutputInEnv: false,
      },
      { parent: this },
    );

    this.reference = this.push.stdout.apply(lastLine);
    this.registerOutputs({ reference: this.reference });
  }
}

function runRegistry(
  name: string,
  { name: serviceName, port, image, publishMode = "ingress", labels }: OwnRegistry,
  parent: DistributedImage,
): docker.Service {
  const volume = new docker.Volume(name, { name: serviceName, driver: "local" }, { parent });
  return new docker.Service(
    name,
    {
      name: serviceName,
      labels: labelList(labels),
      taskSpec: {
        containerSpec: {
          image,
          mounts: [{ type: "volume", source: volume.name, target: "/var/lib/registry" }],
          healthcheck: {
            // Docker's own image has wget; another one may not.
            tests: [
              "CMD-SHELL",
              "! command -v wget >/dev/null || wget -q -O /dev/null http://127.0.0.1:5000/v2/",
            ],
            interval: "10s",
            timeout: "10s",
            startPeriod: "30s",
            retries: 3,
          },
          stopGracePeriod: "10s",
        },
        // It passes layers on to its volume and needs some 100 MiB.
        resources: { limits: { memoryBytes: 512 * 1024 * 1024, nanoCpus: 0 } },
        // A manager has its volume.
        placement: { constraints: ["node.role==manager"], maxReplicas: 0 },
        restartPolicy: { condition: "any", delay: "5s", maxAttempts: 0, window: "0s" },
      },
      endpointSpec: {
        // A port on one node has no virtual address.
        mode: publishMode === "ingress" ? "vip" : "dnsrr",
        ports: [{ targetPort: 5000, publishedPort: port, publishMode }],
      },
    },
    // The engine looks the platforms up when it creates a service, and reports them from then on.
    { parent, ignoreChanges: ["taskSpec.placement.platforms"] },
  );
}

function lastLine(output: string): string {
  return output.trimEnd().split("\n").at(-1) ?? "";
}
