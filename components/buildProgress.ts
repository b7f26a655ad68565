import {
  accessSync,
  constants,
  type FSWatcher,
  readFileSync,
  rmSync,
  watch,
  writeFileSync,
} from "node:fs";
import { resolve } from "node:path";

import * as pulumi from "@pulumi/pulumi";

import { describeFailure, describeProgress } from "./buildLog";

/*
 * How far a build is, and why it failed. The Docker provider shows no more of a build than "creating" and
 * the failed instruction's exit code, but writes BuildKit's log to a file.
 */

/**
 * The file for a build's log: relative to the program's folder, where the engine and its plugins run,
 * because it is an input of the image and must not change with the place of the checkout. Absolute in a
 * program that no engine started (the Automation API, tests). None where nothing can be written.
 */
export function buildLogFile(name: string): string | undefined {
  const file = `.build-${pulumi.getStack()}-${name}.log`.replace(/[^\w.-]/g, "_");
  try {
    accessSync(".", constants.W_OK);
  } catch {
    return undefined;
  }
  const isStartedByEngine = process.env["PULUMI_NODEJS_ROOT_DIRECTORY"] !== undefined;
  return isStartedByEngine ? file : resolve(file);
}

/** Milliseconds; a build that takes less is not reported. */
const delay = 5_000;
const interval = 5_000;

/**
 * Logs how far a build is, in the line of a resource, until its result is known, and why it failed. Logs
 * nothing in a preview and where nothing has to be built.
 *
 * @param resource one that is registered before the build, such as the component around it
 * @param file as {@link buildLogFile} makes it
 */
export function logBuild(
  resource: pulumi.Resource,
  result: pulumi.Output<unknown>,
  file: string,
): void {
  if (pulumi.runtime.isDryRun()) return;
  const begin = Date.now();
  let isReported = false;
  const read = () => {
    try {
      return readFileSync(file, "utf8");
    } catch {
      return "";
    }
  };
  const report = (show: (message: string) => void) => {
    const log = isReported ? "" : read();
    const failure = /^#\d+ ERROR: /m.test(log) ? describeFailure(log) : undefined;
    if (failure === undefined) return;
    isReported = true;
    show(`${failure}\nThe whole log is in ${file}`);
  };
  let watcher: FSWatcher;
  try {
    // The provider appends; nobody else needs to read what a build prints.
    writeFileSync(file, "", { mode: 0o600 });
    // At once: a moment later the engine ends this process.
    watcher = watch(file, () => report((message) => void pulumi.log.error(message, resource)));
    watcher.on("error", () => undefined);
  } catch {
    // A machine without room or without watches builds all the same.
    return;
  }
  const onExit = () => report((message) => process.stderr.write(`${message}\n`));
  process.once("exit", onExit);
  const timer = setInterval(() => {
    const seconds = (Date.now() - begin) / 1000;
    const log = read();
    // Each line replaces the one before; none stays in the output.
    if (log && !isReported)
      void pulumi.log.info(describeProgress(log, seconds), resource, undefined, true);
  }, interval);
  const hello = setTimeout(() => {
    if (read())
      void pulumi.log.info("builds: some minutes and 2 GB of downloads the first time", resource);
  }, delay);
  // A build that failed must not keep the program waiting.
  for (const waiting of [watcher, timer, hello]) waiting.unref();
  result.apply(() => {
    process.off("exit", onExit);
    watcher.close();
    clearInterval(timer);
    clearTimeout(hello);
    rmSync(file, { force: true });
  });
}
