import { execFile } from "node:child_process";

import * as pulumi from "@pulumi/pulumi";

/**
 * How far a build is. The Docker provider shows no more of it than "creating", so the engine that
 * builds is asked which of the Dockerfile's steps it has in its hands.
 */

/** A line of `docker system df --verbose`: what one step of a build made. Docker's own field names. */
export interface BuildRecord {
  readonly Description: string;
  /** `true` while a build uses it. */
  readonly InUse: string;
  /** Such as `1.72GB`. */
  readonly Size: string;
}

/** What takes long in image/Dockerfile, in its order, by words that only its instruction has. */
const steps: readonly { readonly name: string; readonly words: string }[] = [
  { name: "Debian's packages", words: "sh /tmp/system.sh" },
  { name: "CUDA libraries", words: "/tmp/install.sh cuda" },
  { name: "Python packages", words: "/tmp/install.sh python" },
  { name: "checks", words: "/checks/check.py immich" },
];

/**
 * One line for the person who waits: what was made so far. A step that an earlier build made is not
 * among it, since the engine does not say that it was passed by.
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

/** @returns nothing where the engine or its client does not answer */
export function readBuildRecords(dockerHost: string): Promise<readonly BuildRecord[] | undefined> {
  const question = ["system", "df", "--verbose", "--format", "{{json .BuildCache}}"];
  return new Promise((resolve) => {
    execFile(
      "docker",
      ["--host", dockerHost, ...question],
      { timeout: 20_000, maxBuffer: 16 * 1024 * 1024 },
      (error, stdout) => {
        try {
          resolve(error ? undefined : (JSON.parse(stdout) as BuildRecord[]));
        } catch {
          resolve(undefined);
        }
      },
    );
  });
}

/** What is built in less time is not talked about. */
const timeout = 5_000;
const interval = 10_000;

/**
 * Tells how far a build is, in the line of a resource, until something of its result is known. Tells
 * nothing in a preview and where nothing has to be built. Two builds on one engine are told as one:
 * it does not say which build has a step in its hands.
 *
 * @param resource one that is registered before the build, such as the component around it
 */
export function tellProgress(
  resource: pulumi.Resource,
  result: pulumi.Output<unknown>,
  dockerHost: pulumi.Input<string>,
): void {
  if (pulumi.runtime.isDryRun()) return;
  const begin = Date.now();
  const watch = { over: false, timer: undefined as NodeJS.Timeout | undefined };
  result.apply(() => {
    watch.over = true;
    clearTimeout(watch.timer);
  });
  pulumi.output(dockerHost).apply((host) => {
    const look = async () => {
      const records = await readBuildRecords(host);
      if (watch.over || !records) return;
      const progress = describeProgress(records, (Date.now() - begin) / 1000);
      // One replaces the other in the resource's line; none stays in the log.
      void pulumi.log.info(progress, resource, undefined, true);
      after(interval, look);
    };
    const after = (milliseconds: number, work: () => Promise<void>) => {
      watch.timer = setTimeout(() => void work(), milliseconds);
      // A build that failed must not keep the program waiting.
      watch.timer.unref();
    };
    if (watch.over) return;
    after(timeout, () => {
      void pulumi.log.info("builds: some minutes and 2 GB of downloads the first time", resource);
      return look();
    });
  });
}
