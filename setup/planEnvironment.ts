import type { AcceleratorName } from "../catalog/accelerators";
import { environmentSettings } from "../catalog/environment";
import { parseImmichVersion } from "../catalog/immichVersion";
import { presets } from "../catalog/presets";
import { renderEnvironment } from "../catalog/renderEnvironment";
import { findRuntimeVariable, type RuntimeVariable } from "../catalog/runtimeVariables";
import { hasCredentials } from "../util/sanitize";
import { isWebUrl } from "../util/webUrl";
import type { Answers, Situation } from "./plan";

/*
 * Which of the old container's variables the new one keeps.
 */

/** What the program or the image sets itself. */
const ownVariables = ["MACHINE_LEARNING_CACHE_FOLDER", "DEVICE", "TRANSFORMERS_CACHE"];

/** The old container's settings, and the mirror of the models. */
export function planEnvironment(
  { immich, imageEnvironment, version }: Situation,
  { takesOver, mirrors }: Answers,
  accelerator: AcceleratorName,
  preset: string | undefined,
): { environment: Record<string, string>; notes: string[] } {
  const old = takesOver ? (immich.machineLearning?.environment ?? {}) : {};
  const standard = preset === undefined ? {} : (presets[preset]?.environment ?? {});
  const environment: Record<string, string> = {};
  const left: string[] = [];
  for (const [variable, value] of Object.entries(old)) {
    if (imageEnvironment[variable] === value || ownVariables.includes(variable)) continue;
    const row = environmentSettings.find(({ names }) =>
      names.some((name) => name.variable === variable),
    );
    if (!row) {
      const ofRuntime = findRuntimeVariable(variable);
      if (ofRuntime && isTaken(variable, value, { version, accelerator, ofRuntime })) {
        environment[variable] = value;
      } else if (variable.startsWith("MACHINE_LEARNING_") || ofRuntime?.secret) left.push(variable);
      continue;
    }
    if (String((standard as Record<string, unknown>)[row.setting]) === value) continue;
    const rendered = renderEnvironment(
      { [row.setting]: value },
      parseImmichVersion(version)!,
      accelerator,
    );
    // What has no effect does not stand in the file.
    const isUseful = rendered.problems.length === 0 && !row.ignoredReason;
    const isSecret = row.secret && !(isWebUrl(value) && !hasCredentials(value));
    if (isSecret || !isUseful) left.push(variable);
    else environment[row.setting] = value;
  }
  if (mirrors.huggingFaceEndpoint) environment["huggingFaceEndpoint"] = mirrors.huggingFaceEndpoint;
  return {
    environment,
    notes:
      left.length === 0
        ? []
        : [
            `Not copied from the old container, because it has no effect or is a secret: ${left.join(", ")}.`,
          ],
  };
}

/** Those that the image, Docker's GPU request or the shell of the image's start decide. */
const notTaken = /^(NVIDIA_|PATH$|HOME$|LD_|PYTHON|LANG|LC_|TERM$|HOSTNAME$)/;

/** Whether a runtime's variable has an effect in the new container, and no secret. */
function isTaken(
  variable: string,
  value: string,
  { version, accelerator, ofRuntime }: RuntimeContext,
): boolean {
  // No image has the library for SOCKS.
  if (notTaken.test(variable) || hasCredentials(value) || /^socks/i.test(value)) return false;
  if (ofRuntime.onlyFor && !ofRuntime.onlyFor.includes(accelerator)) return false;
  const { problems } = renderEnvironment(
    { [variable]: value },
    parseImmichVersion(version)!,
    accelerator,
  );
  return problems.length === 0;
}

interface RuntimeContext {
  readonly version: string;
  readonly accelerator: AcceleratorName;
  readonly ofRuntime: RuntimeVariable;
}
