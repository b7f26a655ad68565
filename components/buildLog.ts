import { findKnownError, hintOf } from "../catalog/knownErrors";
import { sanitize } from "../util/sanitize";

/** What BuildKit's plain log tells of a build: how far it is, and why it failed. */

/** A step of a build, as the log shows it. */
interface Step {
  /** BuildKit's name, such as `[cuda 4/4] RUN sh /tmp/install.sh cuda`. */
  name: string;
  state: "begun" | "done" | "cached" | "failed";
  /** What its program printed. */
  readonly output: string[];
  error: string;
}

/** The slow steps of image/Dockerfile, by words that only their instruction has. */
const slowSteps: readonly { readonly title: string; readonly words: string }[] = [
  { title: "Debian's packages", words: "sh /tmp/system.sh" },
  { title: "CUDA libraries", words: "/tmp/install.sh cuda" },
  { title: "Python packages", words: "/tmp/install.sh python" },
  { title: "checks", words: "/checks/check.py" },
];

/** Lines of a failed step that are shown. */
const shownLines = 12;
const maxLineLength = 300;

/** Reads `#5 [2/3] RUN …`, `#5 1.204 output`, `#5 DONE 3.4s`, `#5 CACHED` and `#5 ERROR: …`. */
function readSteps(log: string): Step[] {
  const steps = new Map<string, Step>();
  for (const line of log.split("\n")) {
    const [, number, text] = /^#(\d+) (.*)$/.exec(line.trimEnd()) ?? [];
    if (number === undefined || text === undefined) continue;
    const step: Step = steps.get(number) ?? { name: "", state: "begun", output: [], error: "" };
    steps.set(number, step);
    const [, printed] = /^\d+\.\d+ (.*)$/.exec(text) ?? [];
    if (printed !== undefined) step.output.push(printed);
    else if (text.startsWith("DONE ")) step.state = "done";
    else if (text === "CACHED") step.state = "cached";
    else if (text.startsWith("ERROR: ")) {
      step.state = "failed";
      step.error = text.slice("ERROR: ".length);
    } else if (step.name === "") step.name = text;
  }
  return [...steps.values()];
}

function titleOf({ name }: Step): string | undefined {
  return slowSteps.find(({ words }) => name.includes(words))?.title;
}

/**
 * One line of progress: the slow steps that run with the last line of each, the ones that are done, the
 * latest first.
 */
export function describeProgress(log: string, seconds: number): string {
  const steps = readSteps(log);
  const running = steps
    .filter(({ state }) => state === "begun")
    .flatMap((step) => {
      const title = titleOf(step);
      const line = step.output.findLast((text) => text.trim() !== "")?.trim();
      return title ? [line === undefined ? title : `${title} (${sanitize(line, 60)})`] : [];
    });
  const done = steps.filter(({ state }) => state === "done").flatMap((step) => titleOf(step) ?? []);
  const time = `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  return [
    `${time}: ${running.join(", ") || "base images and files"}`,
    ...(done.length > 0 ? [`done: ${[...new Set(done)].reverse().join(", ")}`] : []),
  ].join("; ");
}

/**
 * Why the build failed, in lines: the step, what it printed last, and the cure where it is known;
 * undefined where no step failed.
 */
export function describeFailure(log: string): string | undefined {
  const failed = readSteps(log).find(({ state }) => state === "failed");
  if (!failed) return undefined;
  const printed = failed.output.filter((line) => line.trim() !== "");
  const shown = printed.length > 0 ? printed.slice(-shownLines) : [failed.error];
  const known = findKnownError([...printed.slice(-60), failed.error].join("\n"), "build");
  const step = titleOf(failed) ?? sanitize(failed.name, 100);
  return [
    `the image cannot be built: the step "${step}" failed. Its last lines:`,
    ...shown.map((line) => `  | ${sanitize(line.trimEnd(), maxLineLength)}`),
    ...(printed.length > 0 ? [`  ${sanitize(failed.error, maxLineLength)}`] : []),
    ...(known ? [`What to do: ${hintOf(known)}`] : []),
  ].join("\n");
}
