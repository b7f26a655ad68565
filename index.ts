import { ModelCache, ModelPreset, stateOfFirstRelease } from "./components";
import { detectGpus, preflight } from "./preflight";
import { loadSettings } from "./config/load";
import {
  availabilityChecks,
  configurationStore,
  databaseProvider,
  dockerProviders,
  hostOptions,
  machineLearning,
  machineLearningImage,
  namesOf,
  seededModels,
  reindexing,
  runtimeOf,
} from "./components/wiring";

/** Everything is read and checked before the first resource is registered. */
export = async function immichMachineLearning() {
  const settings = loadSettings(await detectGpus(loadSettings()));
  const world = await preflight(settings);

  const { immich } = settings;
  const docker = dockerProviders(settings);
  const labels = {
    "org.immich-ml.project": settings.project,
    "org.immich-ml.stack": settings.stack,
  };

  const hosts = settings.hosts.map((host) => {
    const opts = hostOptions(host, docker, world.unreachableHosts);
    const image = machineLearningImage(host, settings, opts);
    const cache = new ModelCache(
      `${host.name}-cache`,
      {
        volumeName: host.cacheVolume,
        retain: host.keepCache,
        models: seededModels(host, image),
        labels,
      },
      opts,
    );
    const service = machineLearning(
      host,
      {
        image,
        cacheVolume: cache.volumeName,
        optionalMounts: world.optionalMounts[host.name],
        immichVersion: immich.version,
        models: settings.models,
        labels,
      },
      // Not before the models that were put into its cache beforehand.
      { ...opts, dependsOn: [cache] },
    );
    return { host, image, service };
  });

  const firstRelease =
    settings.models && world.mayBeFirstRelease ? await stateOfFirstRelease("preset") : undefined;
  const preset =
    settings.models &&
    new ModelPreset(
      "preset",
      {
        models: settings.models,
        urls: hosts.map(({ host }) => host.url),
        availabilityChecks: availabilityChecks(settings),
        store: configurationStore(settings, world.database),
        immichVersion: immich.version,
        embeddings: settings.embeddings,
        reindex: reindexing(settings),
        currentClipModel: world.currentClipModel,
        currentSettings: world.currentSettings,
        firstRelease,
        allowUnknownModels: settings.allowUnknownModels,
        serverContainer: immich.serverContainer
          ? { name: immich.serverContainer, dockerHost: immich.dockerHost, tls: immich.tls }
          : undefined,
      },
      {
        providers: world.database ? [databaseProvider(settings, world.database)] : [],
        // Immich is told to use a service only after that has verified itself.
        dependsOn: hosts.map(({ service }) => service),
      },
    );

  return {
    machineLearning: hosts.map(({ host, image, service }) => ({
      host: host.name,
      url: host.url,
      image,
      ...namesOf(service),
      dockerHost: host.dockerHost,
      ...(host.tls && { tls: host.tls }),
      accelerator: host.accelerator,
      runtime: runtimeOf(host),
      executionProvider: service.executionProvider,
      models: service.models,
    })),
    systemConfig: preset?.settings,
    restart: preset?.restart,
    ...(preset?.reindexed && { reindexed: preset.reindexed }),
  };
};
