import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";

import { run } from "../util/run";

/*
 * How far a build is. The Docker provider shows no more of it than "creating", so the engine that
 * builds is asked which of the Dockerfile's steps it holds.
 */

/** A line of `docker system df --verbose`: what one step of a build made. Docker's own field names. */
const buildRecord = z.object({
  Description: z.string(),
  /** `true` while a build uses it. */
  InUse: z.string(),
  /** Such as `1.72GB`. */
  Size: z.string(),
});

export type BuildRecord = z.infer<typeof buildRecord>;

/** The slow steps of image/Dockerfile, in its order, by words that only their instruction has. */
const steps: readonly { readonly name: string; readonly words: string }[] = [
  { name: "Debian's packages", words: "sh /tmp/system.sh" },
  { name: "CUDA libraries", words: "/tmp/install.sh cuda" },
  { name: "Python packages", words: "/tmp/install.sh python" },
  { name: "checks", words: "/checks/check.py immich" },
];

/**
 * One line of progress: the steps done so far, the latest first. Steps that an earlier build made
 * are not among them, since the engine does not report cached steps.
 */
export function describeProgress(records: readonly BuildRecord[], seconds: number): string {
  const made = steps.flatMap(({ name, words }) => {
    const record = records.find(
      ({ Description, InUse }) =>
        InUse === "true" && Description.startsWith("mount / ") && Description.includes(words),
    );
    return record ? [record.Size === "0B" ? name : `${name} (${record.Size})`] : [];
  });
  const time = `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  return `${time}, made so far: ${made.reverse().join(", ") || "nothing new"}`;
}

/** @returns undefined where the engine gives no readable answer */
export async function readBuildRecords(
  dockerHost: string,
): Promise<readonly BuildRecord[] | undefined> {
  const question = ["system", "df", "--verbose", "--format", "{{json .BuildCache}}"];
  const { code, stdout } = await run("docker", ["--host", dockerHost, ...question], {
    timeout: 20,
  });
  if (code !== 0) return undefined;
  try {
    return z.array(buildRecord).safeParse(JSON.parse(stdout)).data;
  } catch {
    return undefined;
  }
}

/** Milliseconds; a build that takes less is not reported. */
const delay = 5_000;
const interval = 10_000;

/**
 * Logs how far a build is, in the line of a resource, until its result is known. Logs nothing in a
 * preview and where nothing has to be built. Two builds on one engine are logged as one, since the
 * engine does not report which of them holds a step.
 *
 * @param resource one that is registered before the build, such as the component around it
 */
export function logBuildProgress(
  resource: pulumi.Resource,
  result: pulumi.Output<unknown>,
  dockerHost: pulumi.Input<string>,
): void {
  if (pulumi.runtime.isDryRun()) return;
  const begin = Date.now();
  let isDone = false;
  let timer: NodeJS.Timeout | undefined;
  result.apply(() => {
    isDone = true;
    clearTimeout(timer);
  });
  pulumi.output(dockerHost).apply((host) => {
    const look = async () => {
      const records = await readBuildRecords(host);
      if (isDone || !records) return;
      const progress = describeProgress(records, (Date.now() - begin) / 1000);
      // Each line replaces the one before; none stays in the log.
      void pulumi.log.info(progress, resource, undefined, true);
      after(interval, look);
    };
    const after = (milliseconds: number, work: () => Promise<void>) => {
      timer = setTimeout(() => void work(), milliseconds);
      // A build that failed must not keep the program waiting.
      timer.unref();
    };
    if (isDone) return;
    after(delay, () => {
      void pulumi.log.info("builds: some minutes and 2 GB of downloads the first time", resource);
      return look();
    });
  });
}
