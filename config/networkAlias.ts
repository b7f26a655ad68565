import { isSameEngine } from "../util/dockerClient";
import type { HostSettings, Settings } from "./settings";

/** Immich's default for `machineLearning.urls` names this host. */
export const immichDefaultAlias = "immich-machine-learning";

/** The names that a host's container or service answers to now; undefined where there is none or it is not known. */
export type PresentAliases = Readonly<Record<string, readonly string[] | undefined>>;

/**
 * Who answers to Immich's default name. The stack file alone gives it to the first host; but a host keeps the
 * name it has, whatever its place in the list, or the containers of both would be replaced when another one
 * is put first.
 */
export function keepAliases(settings: Settings, present: PresentAliases): Settings {
  const { hosts, models, source } = settings;
  const isChosen = ({ name }: HostSettings) =>
    source.parts.hosts?.some((entry) => entry?.name === name && entry.networkAlias) ?? false;
  const keeps = (host: HostSettings, alias: string) =>
    isChosen(host) ? host.networkAlias === alias : (present[host.name]?.includes(alias) ?? false);
  return {
    ...settings,
    hosts: hosts.map((host, index) => {
      if (isChosen(host)) return host;
      if (keeps(host, immichDefaultAlias)) return named(host, immichDefaultAlias);
      const isHeldElsewhere = hosts.some(
        (other) => other !== host && isBeside(other, host) && keeps(other, immichDefaultAlias),
      );
      // With a preset Immich is told every address, so nobody needs the default one.
      const staysAsItIs = keeps(host, host.name) && models !== undefined;
      const isDefault = index === 0 && !isHeldElsewhere && !staysAsItIs;
      return named(host, isDefault ? immichDefaultAlias : host.name);
    }),
  };
}

function isBeside(one: HostSettings, other: HostSettings): boolean {
  return isSameEngine(one.dockerHost, other.dockerHost) && one.network === other.network;
}

/** The address follows the name, unless it is the stack file's own or a published port's. */
function named(host: HostSettings, networkAlias: string): HostSettings {
  const own = `http://${host.networkAlias}:`;
  const url = host.url.startsWith(own)
    ? `http://${networkAlias}:${host.url.slice(own.length)}`
    : host.url;
  return { ...host, networkAlias, url };
}
