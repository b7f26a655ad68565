import type { AcceleratorName } from "../catalog/accelerators";
import { environmentSettings } from "../catalog/environment";
import type { ImmichVersion } from "../catalog/immichVersion";
import { presets } from "../catalog/presets";
import { renderEnvironment } from "../catalog/renderEnvironment";
import type { HostEntry } from "./schema";
import type { StackParts } from "./settings";

/**
 * What a stack's preset sets of a host's environment: that which neither the host nor an env file sets
 * under any of its names, and which this release reads.
 */
export function presetEnvironment(
  { preset, models }: Pick<StackParts, "preset" | "models">,
  given: Readonly<Record<string, unknown>>,
  version: ImmichVersion,
  accelerator: AcceleratorName,
): HostEntry["environment"] {
  const name = preset === undefined || preset === "none" ? models?.extends : preset;
  const standard = name !== undefined && Object.hasOwn(presets, name) && presets[name]?.environment;
  return Object.fromEntries(
    Object.entries(standard || {}).filter(([setting, value]) => {
      const row = environmentSettings.find((each) => each.setting === setting);
      const names = [setting, ...(row?.names ?? []).map(({ variable }) => variable)];
      const isRead = renderEnvironment({ [setting]: value }, version, accelerator);
      return !names.some((each) => Object.hasOwn(given, each)) && isRead.problems.length === 0;
    }),
  );
}
