import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import type { GpuFamilyName } from "../catalog/gpuFamilies";
import { hasCredentials } from "../util/sanitize";
import { buildLogFile, logBuild } from "./buildProgress";
import { type ImageBuild, type ImageBuildRequest, imageBuild } from "./imageBuild";

export interface LegacyImageArgs {
  /** The family of GPUs: `kepler-maxwell`, `maxwell` or `pascal-volta`. */
  gpuFamily: pulumi.Input<GpuFamilyName>;

  /** The Immich server's version, such as `v2.7.5`: v2.2.0 or newer, no moving tag. */
  immichVersion: pulumi.Input<string>;

  /** Base image with Python 3.10 (kepler-maxwell) or 3.11. @default Docker Hub's, by digest */
  pythonImage?: pulumi.Input<string>;

  /** Image to take Immich's server from. @default Immich's CPU image of `immichVersion`, by digest */
  immichImage?: pulumi.Input<string>;

  /**
   * A mirror for both default images: put before the whole reference
   * (`mirror.example.org/docker.io/library/python:…`), or one mirror per registry
   * (`{ "docker.io": …, "ghcr.io": … }`).
   *
   * @default none
   */
  imageMirror?: pulumi.Input<string | Partial<Record<string, string>>>;

  /** URL of a PyPI mirror's simple index. @default PyPI */
  packageIndex?: pulumi.Input<string>;

  /** URL of a Debian mirror, such as `http://mirror.example.org/debian`. @default Debian's own */
  aptMirror?: pulumi.Input<string>;

  /**
   * PEM text of a certificate that the build and the running server trust besides Debian's; less
   * than 128 KiB. It stays in the image.
   *
   * @default none
   */
  caCertificate?: pulumi.Input<string>;

  /** Proxy for http during the build; not kept in the image, a password is a secret. @default none */
  httpProxy?: pulumi.Input<string>;

  /** Proxy for https during the build; not kept in the image, a password is a secret. @default none */
  httpsProxy?: pulumi.Input<string>;

  /** Hosts reached without the proxy, separated by commas. @default none */
  noProxy?: pulumi.Input<string>;

  /** The build context, relative to the program's folder. @default "image" */
  contextPath?: pulumi.Input<string>;

  /** @deprecated The build's progress comes from its log now. */
  dockerHost?: pulumi.Input<string>;
}

/**
 * Immich's machine-learning server on the newest ONNX Runtime that a family of old NVIDIA GPUs can
 * run, built on the provider's Docker host. It is rebuilt when a file of the build context or an
 * argument changes.
 *
 * @example
 * const image = new LegacyImage("attic-image", {
 *   gpuFamily: "kepler-maxwell",
 *   immichVersion: "v2.7.5",
 * });
 */
export class LegacyImage extends pulumi.ComponentResource {
  public readonly image: docker.RemoteImage;

  /** The image's id (`sha256:…`): what a container must be given, since a tag can move. */
  public readonly imageId: pulumi.Output<string>;

  /** Name and tag, such as `immich-ml-legacy:v2.7.5-onnxruntime1.14.1-0123456789ab`. */
  public readonly reference: pulumi.Output<string>;

  /**
   * @param name the component's name, such as `attic-image`; the image has the same
   * @param args what to build; an argument that is not allowed fails the deployment and is named
   * @param opts `provider`: a `docker.Provider` of the host that builds
   */
  constructor(
    name: string,
    public readonly args: LegacyImageArgs,
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("immich-ml:index:LegacyImage", name, {}, opts);

    const context = pulumi.output(args.contextPath ?? "image");
    const owner = [pulumi.getProject(), pulumi.getStack(), name].join("/");
    const logFile = buildLogFile(name);
    const build = planBuild(args, context, { owner, logFile });
    this.image = new docker.RemoteImage(
      name,
      {
        // The tag contains the hash: were it reused, deleting a replaced image would take the tag
        // from its successor (seen with the containerd image store).
        name: build.reference,
        build: {
          context,
          buildArgs: pulumi.output(build.buildArgs).apply(hideCredentials),
          ...(logFile !== undefined && { buildLogFile: logFile }),
        },
        triggers: { content: build.contentHash },
      },
      { parent: this },
    );

    if (logFile !== undefined) logBuild(this, this.image.imageId, logFile);

    this.imageId = this.image.imageId;
    this.reference = build.reference;
    this.registerOutputs({ imageId: this.imageId, reference: this.reference });
  }
}

function planBuild(
  args: LegacyImageArgs,
  contextPath: pulumi.Output<string>,
  rest: Pick<ImageBuildRequest, "owner" | "logFile">,
): pulumi.OutputInstance<ImageBuild> & pulumi.Lifted<ImageBuild> {
  return pulumi
    .output({ ...args, contextPath, ...rest })
    .apply((request) => imageBuild(request as ImageBuildRequest));
}

/** Keeps a proxy's password out of the state's clear text. */
function hideCredentials(buildArgs: Readonly<Record<string, string>>) {
  const isSecret = ["HTTP_PROXY", "HTTPS_PROXY"].some((name) =>
    hasCredentials(buildArgs[name] ?? ""),
  );
  return isSecret ? pulumi.secret({ ...buildArgs }) : pulumi.output({ ...buildArgs });
}
