import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";

import { parseImmichVersion } from "../catalog/immichVersion";
import { dockerClientEnvironment } from "../util/dockerClient";
import { checkVariables, modelsToCheck } from "../verify/check";
import { runScript } from "./programFile";
import type { ServerArgs } from "./server";

/**
 * The command that checks the server after each change: `${name}-check`.
 *
 * @param script path of the script from the root of this repository
 * @param subject the variables that name what the script checks
 * @param triggers a change of one of them replaces the command, and so runs the check again
 * @param remove what the script is called with before the server is removed; nothing is run without it
 */
export function acceleratorCheck(
  name: string,
  args: ServerArgs,
  script: string,
  subject: Record<string, pulumi.Input<string>>,
  triggers: pulumi.Input<unknown>[] | undefined,
  opts: pulumi.CustomResourceOptions,
  remove?: string,
): local.Command {
  const models = modelsToCheck(args.models, parseImmichVersion(args.immichVersion)!);
  return new local.Command(
    `${name}-check`,
    {
      create: runScript(script),
      ...(remove !== undefined && {
        update: runScript(script),
        delete: `${runScript(script)} ${remove}`,
      }),
      environment: {
        ...subject,
        IMMICH_ML_HOST: name,
        ...checkVariables(args.accelerator ?? "cpu"),
        IMMICH_ML_MODE: args.check ?? "enforce",
        IMMICH_ML_TIMEOUT: pulumi.output(args.healthTimeout ?? 600).apply(String),
        ...(models.length > 0 && {
          IMMICH_ML_MODELS: models.join(","),
          IMMICH_ML_DOWNLOAD: pulumi.output(args.modelDownload ?? 120).apply(String),
        }),
        ...(args.dockerHost !== undefined &&
          dockerClientEnvironment({ dockerHost: args.dockerHost, tls: args.tls })),
      },
      ...(triggers && { triggers }),
      // Shows the progress; the result on standard output is among the stack's outputs.
      logging: local.Logging.Stderr,
      // It may say what has to come back.
      addPreviousOutputInEnv: remove !== undefined,
    },
    // Its name in the stacks of version 0.1.0.
    { ...opts, aliases: [{ name: `${name}-proof` }] },
  );
}
