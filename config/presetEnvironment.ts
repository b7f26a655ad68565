import type { AcceleratorName } from "../catalog/accelerators";
import { environmentSettings } from "../catalog/environment";
import { presets } from "../catalog/presets";
import { renderEnvironment } from "../catalog/renderEnvironment";
import type { HostEntry } from "./schema";
import type { StackParts } from "./settings";

/**
 * A host with what the stack's preset sets of its environment: that which neither the host nor an env
 * file sets under any of its names, and which this release reads.
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
  if (!standard || !version) return host;
  const given = { ...file, ...host.uncheckedEnvironment, ...host.environment };
  const added = Object.entries(standard).filter(([setting, value]) => {
    const row = environmentSettings.find((each) => each.setting === setting);
    const names = [setting, ...(row?.names ?? []).map(({ variable }) => variable)];
    const { problems } = renderEnvironment({ [setting]: value }, version, accelerator);
    return !names.some((each) => Object.hasOwn(given, each)) && problems.length === 0;
  });
  return { ...host, environment: { ...Object.fromEntries(added), ...host.environment } };
}
