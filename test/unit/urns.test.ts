import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect, it, onTestFinished, vi } from "vitest";

import type { Settings } from "../../config/load";
import { recordProgram, stackConfiguration } from "../support/recordedProgram";

// Not tested here but in test/integration/preflight.test.ts.
vi.mock("../../preflight", () => ({
  detectGpus: () => Promise.resolve({}),
  preflight: ({ immich }: Settings) =>
    Promise.resolve({
      database: immich.database && { host: "172.18.0.3", port: 5432 },
      optionalMounts: {},
      drift: {},
      aliases: {},
      databaseFunctions: {},
      unreachableHosts: new Set(),
    }),
}));

/**
 * Every stack out there knows its resources by these addresses. When this test fails, a resource was
 * renamed, moved or lost: give it an `aliases` entry with the address that stands here, and add the
 * new address beside the old one. How the preset's resources of 0.1.0 are taken over is shown by
 * test/e2e/firstRelease.test.ts.
 */
// The first test loads the whole program.
vi.setConfig({ testTimeout: 60_000 });

it("every resource of the dev stack keeps the address it has in the state since version 0.1.0", async () => {
  const { urns } = await recordProgram("dev", {
    ...stackConfiguration("Pulumi.dev.yaml"),
    "immich-ml:databasePassword": "the database's password",
  });
  expect(urns.map((urn) => urn.replace("urn:pulumi:dev::immich-ml::", ""))).toMatchInlineSnapshot(`
    [
      "immich-ml:index:LegacyImage$docker:index/remoteImage:RemoteImage::attic-image",
      "immich-ml:index:LegacyImage::attic-image",
      "immich-ml:index:MachineLearning$command:local:Command::attic-check",
      "immich-ml:index:MachineLearning$docker:index/container:Container::attic",
      "immich-ml:index:MachineLearning::attic",
      "immich-ml:index:ModelCache$docker:index/volume:Volume::attic-cache",
      "immich-ml:index:ModelCache::attic-cache",
      "immich-ml:index:ModelPreset$command:local:Command::preset-apply",
      "immich-ml:index:ModelPreset$command:local:Command::preset-settings",
      "immich-ml:index:ModelPreset$postgresql:index/function:Function::preset-read-settings",
      "immich-ml:index:ModelPreset$postgresql:index/function:Function::preset-write-settings",
      "immich-ml:index:ModelPreset$postgresql:index/schema:Schema::preset-schema",
      "immich-ml:index:ModelPreset::preset",
      "pulumi:providers:docker::docker-local",
      "pulumi:providers:postgresql::immich-database",
    ]
  `);
});

async function addressesOf(config: Record<string, unknown>): Promise<string[]> {
  const namespaced: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(config)) namespaced[`immich-ml:${key}`] = value;
  const { urns } = await recordProgram("other", namespaced);
  return urns.map((urn) => urn.replace("urn:pulumi:other::immich-ml::", ""));
}

it("so do those of a service on a swarm", async () => {
  const urns = await addressesOf({
    immich: { version: "v2.7.5" },
    hosts: [{ name: "rack", placement: "swarm", gpu: "5.2" }],
  });
  expect(urns).toMatchInlineSnapshot(`
    [
      "immich-ml:index:DistributedImage$command:local:Command::rack-distributed-push",
      "immich-ml:index:DistributedImage$docker:index/service:Service::rack-distributed-registry",
      "immich-ml:index:DistributedImage$docker:index/volume:Volume::rack-distributed-registry",
      "immich-ml:index:DistributedImage::rack-distributed",
      "immich-ml:index:LegacyImage$docker:index/remoteImage:RemoteImage::rack-image",
      "immich-ml:index:LegacyImage::rack-image",
      "immich-ml:index:MachineLearningService$command:local:Command::rack-check",
      "immich-ml:index:MachineLearningService$docker:index/network:Network::rack-network",
      "immich-ml:index:MachineLearningService$docker:index/service:Service::rack",
      "immich-ml:index:MachineLearningService::rack",
      "immich-ml:index:ModelCache$docker:index/volume:Volume::rack-cache",
      "immich-ml:index:ModelCache::rack-cache",
      "pulumi:providers:docker::docker-local",
    ]
  `);
});

it("so do those of several hosts, with models placed beforehand, by the API with indexing again", async () => {
  const cacheModels = mkdtempSync(join(tmpdir(), "immich-ml-test-models-"));
  onTestFinished(() => rmSync(cacheModels, { recursive: true }));
  writeFileSync(join(cacheModels, "SHA256SUMS"), "");
  const urns = await addressesOf({
    immich: {
      version: "v2.7.5",
      network: "immich_default",
      api: { url: "http://immich_server:2283" },
    },
    immichApiKey: "key",
    preset: "legacy-2gb",
    reindex: true,
    hosts: [
      { name: "attic", accelerator: "cpu", cacheModels },
      {
        name: "cellar",
        dockerHost: "ssh://me@cellar",
        gpu: "GeForce GTX 960",
        publish: { address: "192.168.1.2" },
        check: "off",
      },
      { name: "den", accelerator: "openvino" },
    ],
  });
  expect(urns).toMatchInlineSnapshot(`
    [
      "command:local:Command::attic-pulled",
      "command:local:Command::den-pulled",
      "docker:index/remoteImage:RemoteImage::attic-image",
      "docker:index/remoteImage:RemoteImage::den-image",
      "immich-ml:index:LegacyImage$docker:index/remoteImage:RemoteImage::cellar-image",
      "immich-ml:index:LegacyImage::cellar-image",
      "immich-ml:index:MachineLearning$command:local:Command::attic-check",
      "immich-ml:index:MachineLearning$command:local:Command::cellar-check",
      "immich-ml:index:MachineLearning$command:local:Command::den-check",
      "immich-ml:index:MachineLearning$docker:index/container:Container::attic",
      "immich-ml:index:MachineLearning$docker:index/container:Container::cellar",
      "immich-ml:index:MachineLearning$docker:index/container:Container::den",
      "immich-ml:index:MachineLearning::attic",
      "immich-ml:index:MachineLearning::cellar",
      "immich-ml:index:MachineLearning::den",
      "immich-ml:index:ModelCache$command:local:Command::attic-cache-models",
      "immich-ml:index:ModelCache$docker:index/volume:Volume::attic-cache",
      "immich-ml:index:ModelCache$docker:index/volume:Volume::cellar-cache",
      "immich-ml:index:ModelCache$docker:index/volume:Volume::den-cache",
      "immich-ml:index:ModelCache::attic-cache",
      "immich-ml:index:ModelCache::cellar-cache",
      "immich-ml:index:ModelCache::den-cache",
      "immich-ml:index:ModelPreset$command:local:Command::preset-apply",
      "immich-ml:index:ModelPreset$command:local:Command::preset-settings",
      "immich-ml:index:ModelPreset::preset",
      "pulumi:providers:docker::docker-cellar",
      "pulumi:providers:docker::docker-local",
    ]
  `);
});

it("so do those of a stack that leaves Immich's configuration alone", async () => {
  const urns = await addressesOf({
    immich: { version: "v2.7.5", network: "immich_default" },
    preset: "none",
    hosts: [{ name: "attic", accelerator: "cpu" }],
  });
  expect(urns).toMatchInlineSnapshot(`
    [
      "command:local:Command::attic-pulled",
      "docker:index/remoteImage:RemoteImage::attic-image",
      "immich-ml:index:MachineLearning$command:local:Command::attic-check",
      "immich-ml:index:MachineLearning$docker:index/container:Container::attic",
      "immich-ml:index:MachineLearning::attic",
      "immich-ml:index:ModelCache$docker:index/volume:Volume::attic-cache",
      "immich-ml:index:ModelCache::attic-cache",
      "pulumi:providers:docker::docker-local",
    ]
  `);
});
