import { accelerators, type AcceleratorName } from "../catalog/accelerators";
import { assignGpus } from "../catalog/deviceIds";
import { environmentSettings } from "../catalog/environment";
import { presets } from "../catalog/presets";
import { renderEnvironment } from "../catalog/renderEnvironment";
import { gpuCount } from "./gpu";
import type { HostEntry } from "./schema";
import type { StackParts } from "./settings";

/**
 * A host with what the stack's preset sets of its environment: that which neither the host nor an env
 * file sets under any of its names, which this release reads, and which several GPUs do not need to be
 * otherwise. Nothing on the CPU, where memory is not short and loading a model again costs more.
 *
 * @param file the variables of the host's env files
 */
export function withPresetEnvironment(
  host: HostEntry,
  { preset, models, version }: Pick<StackParts, "preset" | "models" | "version">,
  file: Readonly<Record<string, string>>,
  accelerator: AcceleratorName,
): HostEntry {
  const name = preset === undefined || preset === "none" ? models?.extends : preset;
  const standard = name !== undefined && Object.hasOwn(presets, name) && presets[name]?.environment;
  if (!standard || !version || accelerator === "cpu") return host;
  const given = { ...file, ...host.uncheckedEnvironment, ...host.environment };
  const variables = {
    ...file,
    ...renderEnvironment(host.environment, version, accelerator).variables,
  };
  const forGpus = accelerators[accelerator].gpuRequest
    ? assignGpus(variables, gpuCount(host.gpus), version)
    : undefined;
  // What is wrong with the host's own settings is told later, and not what the preset would make of it.
  if (forGpus?.problems.length) return host;
  const added = Object.entries(standard).filter(([setting, value]) => {
    const row = environmentSettings.find((each) => each.setting === setting);
    const names = [setting, ...(row?.names ?? []).map(({ variable }) => variable)];
    const { problems } = renderEnvironment({ [setting]: value }, version, accelerator);
    const isFree = ![given, forGpus?.value ?? {}].some((those) =>
      names.some((each) => Object.hasOwn(those, each)),
    );
    return isFree && problems.length === 0;
  });
  return { ...host, environment: { ...Object.fromEntries(added), ...host.environment } };
}
