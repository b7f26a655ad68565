import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import type { GpuFamilyName } from "../catalog/gpuFamilies";
import { logBuildProgress } from "./buildProgress";
import { type ImageBuild, type ImageBuildRequest, imageBuild } from "./imageBuild";

/** The inputs of {@link LegacyImage}. */
export interface LegacyImageArgs {
  /** The family of cards: `kepler-maxwell`, `maxwell` or `pascal-volta`. */
  gpuFamily: pulumi.Input<GpuFamilyName>;
  /** The Immich server's version, e.g. `v2.7.5`; v2.2.0 or newer, no moving tag. */
  immichVersion: pulumi.Input<string>;
  /** Base image with Python 3.10 (kepler-maxwell) or 3.11. Default: Docker Hub's, by digest. */
  pythonImage?: pulumi.Input<string>;
  /** Image to take Immich's server from. Default: Immich's own CPU image of `immichVersion`. */
  immichImage?: pulumi.Input<string>;
  /**
   * A mirror for both default images: put before the whole reference
   * (`mirror.example.org/docker.io/library/python:…`), or one mirror a registry
   * (`{ "docker.io": …, "ghcr.io": … }`). Default: none.
   */
  imageMirror?: pulumi.Input<string | Record<string, string>>;
  /** Address of a PyPI mirror's simple index. Default: PyPI. */
  packageIndex?: pulumi.Input<string>;
  /** Address of a Debian mirror, e.g. `http://mirror.example.org/debian`. Default: Debian's own. */
  aptMirror?: pulumi.Input<string>;
  /**
   * PEM text of a certificate that the build and the running server trust besides Debian's, at
   * most 128 KiB. It stays in the image. Default: none.
   */
  caCertificate?: pulumi.Input<string>;
  /** Proxy for http during the build; not kept in the image. Default: none. */
  httpProxy?: pulumi.Input<string>;
  /** Proxy for https during the build; not kept in the image. Default: none. */
  httpsProxy?: pulumi.Input<string>;
  /** Hosts reached without the proxy, separated by commas. Default: none. */
  noProxy?: pulumi.Input<string>;
  /** The build context, relative to the program's folder. Default: `image`. */
  contextPath?: pulumi.Input<string>;
  /**
   * Address of the engine that builds, as the provider's `host`: asked by the `docker` command while
   * `pulumi up` waits, to show how far the build is. Default: none, and nothing is shown.
   */
  dockerHost?: pulumi.Input<string>;
}

/**
 * Immich's machine-learning server on the newest ONNX Runtime that a GPU family of old NVIDIA cards
 * can run, built on the Docker host of the provider.
 *
 * It is rebuilt when a file of the build context or an argument changes, and only then. The image's
 * tag carries the hash of both: were the tag reused, deleting a replaced image would take the tag
 * away from its successor (seen with the containerd image store).
 *
 * @example
 * const image = new LegacyImage("attic-image", {
 *   GPU family: "kepler-maxwell",
 *   immichVersion: "v2.7.5",
 * });
 */
export class LegacyImage extends pulumi.ComponentResource {
  /** The image's id (`sha256:…`): what a container must be given, since a tag can move. */
  public readonly imageId: pulumi.Output<string>;
  /** The image's name and tag, e.g. `immich-ml-legacy:v2.7.5-onnxruntime1.14.1-0123456789ab`. */
  public readonly reference: pulumi.Output<string>;

  /**
   * @param name the resource's name, e.g. `attic-image`
   * @param args what to build
   * @param opts a docker provider chooses the host that builds
   */
  constructor(name: string, args: LegacyImageArgs, opts?: pulumi.ComponentResourceOptions) {
    super("immich-ml:index:LegacyImage", name, {}, opts);

    const context = pulumi.output(args.contextPath ?? "image");
    const owner = [pulumi.getProject(), pulumi.getStack(), name].join("/");
    const build = planBuild(args, context, owner);
    const image = new docker.RemoteImage(
      name,
      {
        name: build.reference,
        build: { context, buildArgs: pulumi.output(build.buildArgs).apply(hideCredentials) },
        triggers: { content: build.contentHash },
      },
      { parent: this },
    );

    if (args.dockerHost !== undefined) logBuildProgress(this, image.imageId, args.dockerHost);

    this.imageId = image.imageId;
    this.reference = build.reference;
    this.registerOutputs({ imageId: this.imageId, reference: this.reference });
  }
}

function planBuild(
  args: LegacyImageArgs,
  contextPath: pulumi.Output<string>,
  owner: string,
): pulumi.OutputInstance<ImageBuild> & pulumi.Lifted<ImageBuild> {
  return pulumi
    .output({ ...args, contextPath, owner })
    .apply((request) => imageBuild(request as ImageBuildRequest));
}

/** A proxy's password must not stand in the state in clear. */
function hideCredentials(buildArgs: Readonly<Record<string, string>>) {
  const hasPassword = Object.values(buildArgs).some((value) => /:\/\/[^/@\s]+@/.test(value));
  return hasPassword ? pulumi.secret({ ...buildArgs }) : pulumi.output({ ...buildArgs });
}
