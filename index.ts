import { ModelCache, ModelPreset } from "./components";
import { findGoneHosts, keepGoneHost } from "./components/goneHosts";
import { repairsOf } from "./components/repair";
import { removeLeftovers } from "./components/leftovers";
import { hostsIn, storedResources } from "./components/stackState";
import {
  cacheArgs,
  databaseProviders,
  dockerProviders,
  hostOptions,
  hostOutputs,
  machineLearning,
  machineLearningImage,
  presetArgs,
  presetName,
} from "./components/wiring";
import { loadSettings } from "./config/load";
import { keepAliases } from "./config/networkAlias";
import { detectGpus, preflight } from "./preflight";
import { memoize, run } from "./util/run";

/** Everything is read and checked before the first resource is registered. */
export = async function immichMachineLearning() {
  // A host with gpu: auto is asked once for both.
  const ask = memoize(run);
  const declared = await loadSettings((hosts) => detectGpus(hosts, ask), ask);
  const found = await preflight(declared, ask, async () => hostsIn(await storedResources()));
  // After the preflight: reading the state puts a provider of the engine's own into it.
  const stored = await storedResources();
  const gone = await findGoneHosts(declared, stored, ask);
  const settings = keepAliases(declared, found.aliases);
  const repairs = repairsOf(settings, found, stored);
  await removeLeftovers(settings, found, stored);
  const engines = dockerProviders(settings, found.unreachableHosts, gone);
  for (const host of gone) if (host.isOff) keepGoneHost(host, engines.get(host.dockerHost)!);

  const hosts = settings.hosts.map((host) => {
    const opts = hostOptions(host, engines, found.unreachableHosts);
    const repair = repairs[host.name];
    const image = machineLearningImage(host, settings, opts);
    const cache = new ModelCache(
      `${host.name}-cache`,
      cacheArgs(host, settings, image, repair),
      opts,
    );
    const service = machineLearning(host, settings, { image, cache, found, repair }, opts);
    return { host, image, service };
  });

  const preset =
    settings.models &&
    new ModelPreset(presetName, await presetArgs(settings.models, settings, found, stored), {
      providers: databaseProviders(settings, found.database),
      // Immich learns of a service only after its check.
      dependsOn: hosts.map(({ service }) => service),
    });

  return {
    immichVersion: settings.immich.version,
    machineLearning: hosts.map(hostOutputs),
    ...(preset && {
      systemConfig: preset.settings,
      restart: preset.restart,
      onDestroy: preset.onDestroy,
    }),
    ...(preset?.reindexed && { reindexed: preset.reindexed }),
  };
};
